"""One tier's second opinion: the sweep, what is outside before and after, and the tables against what is kept."""
import collections
import json
import platform
import random
import re
import time

import bpf
import expectation
import outside
import portrait
import sweep
from attacks import innocent
from calls import LAST, name_of
from client import ask

KNOWS_MACHINE = platform.machine() == "x86_64"  # numbers of calls, and their registers
SEED = 1  # of the short form
PARTS, FOREIGN = 2, 12  # argument sets of each number; numbers that are tried by other entries, which end a worker each
DEEPER = 3  # times as many of a number that was answered
KEPT_PARTS = 20  # argument sets that what is kept of the calls is of
START = 60  # seconds until all that is preloaded must be there
CATEGORY = "second opinion"
EVERY = "every number was tried"
X32 = 0x40000000
NO_TABLE = (335, 336)  # answered by the kernel with a SIGILL before any filter is asked
ROOTS_FILTER = expectation.load("root").get("filter", [])  # for the tiers whose filters are not to be had: there is but one table
ODD = (-1, -2, -4096, -(1 << 31), -(1 << 63), 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 32) | 57, (1 << 63) - 1, 4096, 65535, X32 - 1)
PATHS = ("/", "/etc", "/etc/passwd", "/etc/shadow", "/root", "/home", "/proc", "/proc/self/environ", "/proc/self/mem", "/proc/1/environ",
         "/sys", "/sys/fs/cgroup", "/dev", "/dev/null", "/dev/urandom", "/dev/shm", "/run", "/var", "/srv", "/srv/python-executor", "/tmp",
         *[f"/{folder}/{outside.BAIT}{name}" for folder in outside.BAIT_FOLDERS for name in ("", "/public", "/program")],
         "/usr", "/usr/bin/env", "/usr/lib/os-release", "/usr/lib/python3/dist-packages", "/usr/share/zoneinfo/UTC", "/boot")


def grouped(row):
    groups = {}
    for name, answer in row.items():
        groups.setdefault(answer, []).append(name)
    return "; ".join(f"{answer}: {', '.join(names)}" for answer, names in sorted(groups.items(), key=lambda one: (one[0] != "yes", one[0])))


def reach_lines(found):
    """A line a path, the operations grouped by what they gave; before them those that gave the same everywhere."""
    first, *others = found.values()
    common = {name for name in first if all(row[name] == first[name] for row in others)}
    lines = ["every path: " + grouped({name: first[name] for name in first if name in common})]
    return lines + [f"{path}: " + grouped({name: row[name] for name in row if name not in common}) for path, row in found.items()]


class Opinion:
    """`process` is what the tier's service was started as, `port` where it answers."""

    def __init__(self, tier, process, port, report):
        self.tier, self.port, self.report = tier, port, report
        self.manager = tier.manager(process)  # None where the host does not see it
        self.kept, self.found = expectation.load(tier.name), {}
        self.programs, self.answered, self.harmed = [], set(), ""
        self.calls, self.runs, self.outcomes = 0, 0, collections.Counter()

    def add(self, name, why):
        self.report.add(self.tier, CATEGORY, name, why[:2000])

    # --- Outside ---

    def look(self, *words):
        """What is outside; where the host does not see the tier's processes both what the tier sees of itself, and the host."""
        if self.manager:
            if words:
                outside.lay_bait(f"/proc/{self.manager}/root")
            return json.loads(json.dumps(outside.look(self.manager)))
        return {**json.loads(self.tier.inside("outside.py", "1", *words)), "host": json.loads(json.dumps(outside.host()))}

    def isolation(self):
        return ask(self.port, "GET", "/isolation", content_type=None).text

    def metrics(self, pattern):
        return re.findall(pattern, ask(self.port, "GET", "/metrics", content_type=None).text, re.M)

    def restarts(self):
        """What /metrics tells of the zygotes and of workers that nobody could judge."""
        return self.metrics(r'^(?:python_executor_zygote_starts_total\{reason="restart"\}|python_executor_runs_total\{outcome="lost"\}) .*$')

    def wait_for_flavours(self):
        """Until all that is preloaded is there: zygotes are still made, and mount, after the first answers."""
        end = time.monotonic() + START
        while time.monotonic() < end and not all(value == "1" for value in self.metrics(r"^python_executor_flavour_ready\{.*\} (.*)$")):
            time.sleep(0.3)

    def at_rest(self):
        """A look that is the same twice: right after runs the crew is not complete."""
        last = self.look()
        for _ in range(10):
            time.sleep(0.3)
            now = self.look()
            if not any(outside.differences(last, now)):
                break
            last = now
        return now

    def begin(self):
        self.wait_for_flavours()
        self.look("lay")
        self.before = {**self.at_rest(), "isolation": self.isolation(), "restarts": self.restarts()}

    def unchanged(self):
        """{what: how it changed}; what is on its way back to what it was gets a moment."""
        for _ in range(8):
            now = {**self.look(), "isolation": self.isolation(), "restarts": self.restarts()}
            found = {name: "; ".join(outside.differences(self.before[name], now.get(name))) for name in self.before}
            if not any(found.values()):
                break
            time.sleep(0.5)
        found["next request"] = innocent(self.port, self.tier.patience)
        return found

    # --- Tables ---

    def tables(self):
        if self.manager:
            self.found.update(portrait.look(self.manager))
        else:
            self.found.update(json.loads(self.tier.inside("portrait.py", "1")))
        self.fetch_filter()
        body = {"script": sweep.source("reach.py", {"paths": PATHS, "mark": sweep.MARK}), "details": True}
        answer = ask(self.port, "POST", "/execute", json.dumps(body).encode())
        self.found["reach"] = reach_lines(answer.result) if answer.ok else [f"no answer: {answer}"]

    def fetch_filter(self):
        """Of two workers, since in each its own number is another."""
        if not self.manager:
            return
        try:
            one, another, *_ = portrait.ready_workers(self.manager)
            codes = list(zip(bpf.fetch(one), bpf.fetch(another), strict=True))
        except OSError as error:  # no CAP_SYS_ADMIN of the machine, a filter on ourselves, or a kernel that cannot do it
            self.report.say(f"{self.tier.name}: the filter is not compared, since it cannot be fetched here: {error}")
            self.kept.pop("filter", None)
            return
        self.programs = [bpf.Program(*both) for both in codes]
        self.found["filter"] = bpf.lines_of(self.programs[-1])

    def targets(self):
        """What of the service may be aimed at: paths, processes by the numbers they have in the tier, users."""
        pids, ids = [], []
        for pid, facts in self.before["processes"].items():
            pids += [int(pid), *map(int, portrait.status(pid).get("NSpid", pid).split()[-1:])] if self.manager else [int(pid)]
            ids.append(int(facts["Uid"].split()[0]))
        return {"pids": sorted(set(pids)), "ids": sorted(set(ids)), "paths": [path for path in PATHS if path.count("/") > 1]}

    # --- The sweep ---

    def round(self, seed, parts, until):
        """One of the long form: a case, with everything that it finds. Of the calls that were seen to be answered there are more."""
        swept = self.sweeps(seed, range(parts), FOREIGN, until, {number: range(parts, DEEPER * parts) for number in self.answered})
        found = [f"{name}: {why}" for name, why in [*self.judge(swept), *self.unchanged().items()]
                 if why and (name != EVERY or time.monotonic() < until)]  # the last round is cut off
        self.add(f"seed {seed}", "; ".join(found))
        if found:
            self.begin()

    def sweeps(self, seed, parts, foreign, until=float("inf"), more=()):
        """{name: records}: all numbers by the entry of 64-bit programs, `more` parts of some, and some by the others, which end
        their workers."""
        one = sweep.Sweep(self.port, self.targets(), seed, int(self.tier.patience * 1000), until)
        some = sorted(random.Random(seed).sample(range(LAST + 1), foreign))
        with sweep.Neighbour(self.port) as neighbour:
            found = {"numbers": one.all("syscall", dict.fromkeys(range(LAST + 1), parts)) + one.all("syscall", dict(more)),
                     "odd numbers": one.all("syscall", dict.fromkeys(ODD, parts[:1])),
                     "x32": one.all("x32", {X32 + number: parts[:1] for number in some}),
                     "int 0x80": one.all("int80", dict.fromkeys(some, parts[:1]))}
        self.harmed = neighbour.harmed
        self.calls += sum(map(len, found.values()))
        self.runs += one.runs
        self.outcomes += one.outcomes
        self.answered |= {record.number for record in found["numbers"] if sweep.word(record) == "answered"}
        return found

    @staticmethod
    def call_lines(swept):
        words = sweep.words_of(record for record in swept["numbers"] if record.number not in NO_TABLE)
        rest = [f"... {name}: {' '.join(sorted(set(map(sweep.word, records))))}" for name, records in swept.items() if name != "numbers"]
        return [*expectation.call_lines(words, name_of), *rest]

    def disagreements(self, swept):
        """The calls that were not answered as the filter has it, whose text the kernel gave us."""
        for name, records in swept.items():
            for record in records:
                if record.number in NO_TABLE or record.pid is None:
                    continue
                architecture = bpf.I386 if name == "int 0x80" else bpf.X86_64
                actions = {program.run(record.number, record.arguments, record.pid, architecture) for program in self.programs}
                if not fits(actions, record.answer):
                    yield f"{record}: the filter says {' and '.join(sorted(actions))}"

    def judge(self, swept):
        """[(what, why it is wrong)] of a sweep."""
        yield "neighbour", self.harmed
        kept = [line for line in self.kept.get("calls", []) if not line.startswith("...")]
        maybe = expectation.conditional(line for line in self.kept.get("filter", ROOTS_FILTER) if not line.startswith("..."))
        words = sweep.words_of(record for record in swept["numbers"] if record.number not in NO_TABLE)
        yield "calls", "; ".join(expectation.openings(kept, maybe, words, name_of))
        usually = dict(line[4:].split(": ") for line in self.kept.get("calls", []) if line.startswith("..."))
        for name in ("odd numbers", "x32", "int 0x80"):
            usual = usually.get(name, "").split()
            yield name, ", ".join(f"{record.number}: {sweep.word(record)}" for record in swept[name] if sweep.word(record) not in usual)
        yield "int 0x80 lets no more through", "; ".join(expectation.openings(kept, maybe, {
            number: seen for number, seen in sweep.words_of(swept["int 0x80"]).items() if seen != {sweep.ENDED}}, name_of))
        missing = sorted(set(range(LAST + 1)) - {record.number for record in swept["numbers"]})
        yield EVERY, f"not {missing}" if missing else ""
        if self.programs:
            yield "calls as the filter has them", "; ".join(list(self.disagreements(swept))[:5])


def fits(actions, answer):
    """Whether an answer is one that the filters can have given, of which the strictest counts."""
    if "kill" in actions:
        return answer is None
    refused = {name for name in actions if name.startswith("E") or name.startswith("errno")}
    if refused:
        return answer is not None and (bpf.errno.errorcode.get(-answer) in refused)
    return answer == 0 if "nothing" in actions else True


def short(tier, process, port, report, keep=False):
    """What `make test-security` has time for. `keep`: what it finds is what is to be kept from now on, so nothing is amiss."""
    one = Opinion(tier, process, port, report)
    one.begin()
    one.tables()
    swept = one.sweeps(SEED, range(PARTS), FOREIGN)
    if keep:
        more = one.sweeps(SEED + 1, range(KEPT_PARTS), LAST)
        one.found["calls"] = one.call_lines({name: records + more[name] for name, records in swept.items()})
        one.kept = one.found
    root = f"/proc/{one.manager}/root" if one.manager else None
    for name, lines in one.found.items():
        if name != "calls":
            one.add(name, expectation.difference(one.kept.get(name, []), lines, root))
    for name in sorted(set(one.kept) - set(one.found) - {"calls"}):
        one.add(name, "is kept, but was not seen")
    for name, why in [*one.judge(swept), *[(f"unchanged: {name}", why) for name, why in one.unchanged().items()]]:
        one.add(name, why)
    report.say(f"{tier.name}: second opinion: {one.calls} calls in {one.runs} runs")
    return one
