"""The list of system calls against what innocent scripts ask for. Layer: seccomp.

The scripts of tests/innocent.py run in a real service whose zygote strace follows, so that every call of every
worker is seen. Of these count the ones made behind the filter: after the worker's own seccomp(), and all of
its threads. What the filter answered is known from its table (tests/unit/seccomp_tool.c), since an EPERM of the
kernel looks the same in a trace. build/seccomp-audit.txt has the figures.
"""
import collections
import os
import re
import shutil
import subprocess

import pytest
from innocent import SCRIPTS
from service import BUILD, Service, status_field, together, unsanitized, wait_until

TOOL = os.path.join(BUILD, "tests", "unit", "seccomp_tool")
REPORT = os.path.join(BUILD, "seccomp-audit.txt")
WORKERS = 4

CLONE_THREAD = 0x10000
# What libraries try and do well without, or turn into an ordinary error: call -> (of which arguments, why).
# Nothing else may be refused.
EXPECTED = {
    "socket": (lambda arguments: True, "pwd and grp look for nscd, uuid1 for uuidd; or the script wants the network"),
    "mbind": (lambda arguments: True, "OpenBLAS has a wish about its buffers, and does without"),
    "vfork": (lambda arguments: True, "subprocess"),
    "clone": (lambda arguments: not arguments[0] & CLONE_THREAD, "fork() of a process pool, posix_spawn()"),
}

pytestmark = unsanitized

# --- The table --------------------------------------------------------------------------------------


class Rule(collections.namedtuple("Rule", "action call conditions")):
    """conditions: (index, mask, value) each."""

    @classmethod
    def parse(cls, line):
        action, call, *numbers = line.split()
        numbers = [int(number, 16) for number in numbers]
        return cls(action, call, tuple(zip(numbers[::3], numbers[1::3], numbers[2::3])))

    def applies(self, call, arguments):
        return call == self.call and all(arguments[index] & mask == value for index, mask, value in self.conditions)

    def __str__(self):
        tests = [f"argument {i} {'' if m == 0xFFFFFFFF else f'& {m:#x} '}= {v:#x}" for i, m, v in self.conditions]
        return ", ".join([self.call, *tests])


def read_table():
    return [Rule.parse(line) for line in subprocess.run([TOOL], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()]


# --- The trace --------------------------------------------------------------------------------------

LINE = re.compile(
    r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\((?P<arguments>[^)<]*))"
    r"(?:(?P<unfinished> *<(?:unfinished|detached) \.\.\.>)|\) *= (?P<result>\S+) ?(?P<error>E[A-Z]\w+)?.*)"
)


def read_calls(path):
    """(pid, call, six arguments, result, error) in the order of their ends; result is None where a call had none."""
    pending = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            found = LINE.fullmatch(line.rstrip("\n"))
            assert found, f"what does strace want to say: {line}"
            pid = int(found["pid"])
            if found["call"]:
                numbers = [int(word, 0) for word in found["arguments"].split(",") if word.strip()]
                pending[pid] = found["call"], numbers + [0] * (6 - len(numbers))
            if not found["unfinished"]:
                yield pid, *pending.pop(pid, (found["resumed"], None)), found["result"], found["error"]
    for pid, (call, arguments) in pending.items():
        yield pid, call, arguments, None, None


def calls_behind_the_filter(path, zygotes):
    """A process that a zygote made is behind it once its seccomp() has succeeded, a thread always."""
    calls = list(read_calls(path))
    before = {int(result, 0) for pid, call, _, result, error in calls if pid in zygotes and call in ("clone", "clone3") and result and not error}
    for pid, call, arguments, result, error in calls:
        if pid in zygotes or arguments is None:
            continue
        if pid not in before:
            yield call, arguments, result, error
        elif call == "seccomp" and result == "0":
            before.discard(pid)


class Audit:
    """Counts by rule what the table names, and (call, first three arguments) of what it does not."""

    def __init__(self, table, calls):
        self.table = table
        self.allowed, self.answered, self.denied, self.let_through = (collections.Counter() for _ in range(4))
        for call, arguments, result, error in calls:
            rule = next((rule for rule in table if rule.applies(call, arguments)), None)
            if rule is not None:
                (self.allowed if rule.action == "allow" else self.answered)[rule] += 1
            elif result is not None:  # else it was ended inside, and nobody knows
                (self.denied if error == "EPERM" else self.let_through)[call, *arguments[:3]] += 1

    @property
    def never_seen(self):
        return [rule for rule in self.table if rule.action == "allow" and rule not in self.allowed]

    @property
    def unexpected(self):
        return sorted(show(key) for key in self.denied if key[0] not in EXPECTED or not EXPECTED[key[0]][0](key[1:]))

    @property
    def summary(self):
        return (
            f"{sum(self.allowed.values())} calls by {len(self.allowed)} rules; {len(self.never_seen)} rules never used; "
            f"{sum(self.answered.values())} answered as absent, {sum(self.denied.values())} denied"
        )

    def report(self):
        def counted(counter, name=str):
            return [f"{count:8} {name(key)}" for key, count in counter.most_common()]

        def section(title, lines):
            return ["", title, *(lines or ["       none"])]

        lines = [self.summary, *section("Seen, and allowed:", counted(self.allowed))]
        lines += section("Allowed, and never seen:", [f"         {rule}" for rule in self.never_seen])
        lines += section("Answered as absent, unsupported, or by an end:", counted(self.answered, lambda rule: f"{rule} {rule.action}"))
        lines += section("Denied:", [f"{count:8} {show(key)} {EXPECTED.get(key[0], (0, 'NOBODY EXPECTED THIS'))[1]}" for key, count in self.denied.most_common()])
        return "\n".join(lines) + "\n"


def show(key):
    call, *arguments = key
    return f"{call}({', '.join(map(hex, arguments))}, ...)"


# --- The load ---------------------------------------------------------------------------------------


FLAVOURS = ("", "numpy", "pandas", "matplotlib")


class Tracer:
    """strace on the zygotes, and so on every worker that they make from now on."""

    def __init__(self, service, path):
        assert shutil.which("strace"), "strace is missing: tools/packages test"
        self.service, self.path, self.zygotes = service, path, service.every_zygote()
        self.log = open(path + ".log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", "raw=all", "-e", "signal=none", "-o", path, *[f"-p{pid}" for pid in self.zygotes]], stdin=subprocess.DEVNULL, stderr=self.log
        )
        wait_until(lambda: all(map(self.has, self.zygotes)) or self.process.poll() is not None, 10)
        if self.process.poll() is not None:
            self.log.seek(0)
            pytest.skip(f"the platform does not let strace look: {self.log.read()}")
        assert wait_until(self.has_all_workers, 20), "there are workers that strace does not see"

    def has(self, pid):
        return status_field(pid, "TracerPid") == str(self.process.pid)

    def has_all_workers(self):
        """Uses up the workers that were there before."""
        if all(self.has(pid) for pid in self.service.ready_pids()):
            return True
        for name in FLAVOURS:
            together(*[lambda: self.service.run("import time\ndef main(): time.sleep(0.3)\n# " + name)] * WORKERS)
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


@pytest.fixture(scope="module")
def trail(tmp_path_factory):
    """Runs the load: (Audit, {name: (answer, result)})."""
    service = Service(f"--workers={WORKERS}", f"--crew={WORKERS}", "--wall-ms=30000", "--cpu-ms=30000")
    try:
        tracer = Tracer(service, str(tmp_path_factory.mktemp("audit") / "trace"))
        try:
            # With details a worker takes another way out.
            answers = {name: (service.run(script, details=number % 2 == 1), result) for number, (name, script, result) in enumerate(SCRIPTS)}
        finally:
            tracer.stop()
        service.assert_well()
        audit = Audit(read_table(), calls_behind_the_filter(tracer.path, tracer.zygotes))
    finally:
        service.stop()
    with open(REPORT, "w", encoding="utf-8") as file:
        file.write(audit.report())
    print(f"{audit.summary}; see {REPORT}")
    return audit, answers


def test_the_load_was_seen(trail):
    """Or all the rest means nothing. Each run reads its job, and ends with a frame."""
    audit, answers = trail
    seen = collections.Counter()
    for rule, count in audit.allowed.items():
        seen[rule.call] += count
    assert min(seen[call] for call in ("recvmsg", "read", "mmap", "openat")) >= len(answers), seen
    assert seen["clone"] > 10 and seen["exit"] > 10, "the threads are not there"
    assert seen["seccomp"] == seen["setresuid"] == seen["execve"] == 0


def test_every_script_has_its_right_result(trail):
    wrong = {name: answer for name, (answer, result) in trail[1].items() if answer.status != 200 or answer.result != result}
    assert not wrong, wrong


def test_nothing_innocent_is_denied(trail):
    assert not trail[0].unexpected, trail[0].unexpected


def test_what_the_table_does_not_name_is_denied(trail):
    assert not trail[0].let_through, {show(key): count for key, count in trail[0].let_through.items()}
