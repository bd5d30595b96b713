#!/usr/bin/python3
"""Makes every system call of the service fail once, in every way that is worth it: matrix.py BUILD, as `make faults`.

First it records what manager, server, zygotes and workers call while the service starts, serves, is reloaded and ends; then
each of these calls fails, with each error that it may have, at its first, its last and some of its occurrences between. FAULTS
is words: of the names of cases, PHASE:PROCESS:CALL:ERROR@NTH, those that have one of the words in them. FAULTS_EACH is how
many occurrences are tried (5).
"""
import collections
import glob
import os
import signal
import sys
import threading
import time
import traceback

os.environ["BUILD"] = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import PHASES, WORDS, cases_of, chosen, left_out  # noqa: E402
from injection import Injected  # noqa: E402
from service import wait_until  # noqa: E402
import trial  # noqa: E402

EACH = int(os.environ.get("FAULTS_EACH") or 5)
AT_ONCE = os.cpu_count() + 1
BARE, GROWN = trial.BARE, (*trial.OPTIONS, "--preload=decimal")
OPTIONS_OF = {"start": BARE, "grow": GROWN, "serve": GROWN, "reload": GROWN, "drain": BARE}


def census_of(options, phases):
    """What is called in these phases, and what a service without faults looks like."""
    census = {}
    one = Injected(*options)
    try:
        one.wait_for_ready()
        time.sleep(0.5)
        census["start"] = census["grow"] = one.injector.census()
        reference = trial.look(one)
        time.sleep(1.5)  # what is done each second
        census["serve"] = one.injector.census()
        one.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "has taken over" in one.log, 20)
        time.sleep(1)
        census["reload"] = one.injector.census()
        one.process.send_signal(signal.SIGTERM)
        census["drain"] = collections.Counter()
        while one.process.poll() is None:
            census["drain"].update(one.injector.census())
            time.sleep(0.01)
    finally:
        one.kill()
    return {phase: census[phase] for phase in phases}, reference


class Runner:
    """Works through cases, in a service of its own for those that share one."""

    def __init__(self, table, references):
        self.table, self.references = table, references
        self.shared = {}
        self.uid_bases = {}

    def service(self, phase):
        one = self.shared.get(phase)
        if one is None or one.process.poll() is not None:
            one = self.shared[phase] = Injected(*OPTIONS_OF[phase])
            one.wait_for_ready()
        return one

    def once(self, case):
        options = OPTIONS_OF[case.phase]
        reference = self.references[options]
        if case.phase in ("start", "grow"):
            return trial.try_start(case, options, reference)
        if case.phase == "drain":
            return trial.try_drain(case, options, reference)
        work = trial.try_serving if case.phase == "serve" else trial.try_reload
        outcome = work(case, self.service(case.phase), reference)
        if outcome == "degraded":
            self.drop(case.phase)
        return outcome

    def drop(self, phase):
        one = self.shared.pop(phase, None)
        if one is not None:
            one.kill()

    def try_case(self, case):
        try:
            return self.once(case), ""
        except Exception as error:  # whatever it is, it is this case's
            self.drop(case.phase)
            words = str(error) if isinstance(error, trial.Bug) else traceback.format_exc(limit=-4)
            return "BUG", words

    def work(self):
        while (case := self.table.next()) is not None:
            self.table.note(case, *self.try_case(case))
        for phase in list(self.shared):
            self.drop(phase)


class Table:
    def __init__(self, cases):
        self.left = list(reversed(cases))
        self.total, self.found = len(cases), []
        self.lock = threading.Lock()
        self.begun = self.told = time.monotonic()

    def next(self):
        with self.lock:
            return self.left.pop() if self.left else None

    def note(self, case, outcome, words):
        with self.lock:
            self.found.append((case, outcome, words))
            if outcome == "BUG":
                print(f"{case}: {words}", flush=True)
            now = time.monotonic()
            if now - self.told >= 10 or len(self.found) == self.total:
                self.told = now
                bad = sum(one == "BUG" for _, one, _ in self.found)
                print(f"{len(self.found)} of {self.total}, {bad} failed, {now - self.begun:.0f} s", flush=True)

    def print_all(self):
        """Process by call by error, then how many there are of each outcome."""
        lines = collections.defaultdict(collections.Counter)
        for case, outcome, _ in self.found:
            lines[case.phase, case.role, case.call, case.fault + (" always" if case.times > 1 else "")][outcome] += 1
        for key, outcomes in sorted(lines.items()):
            print("{:7} {:8} {:24} {:14}".format(*key), ", ".join(f"{outcome} {n}" for outcome, n in sorted(outcomes.items())))
        names = ["absorbed", "said", "replaced", "degraded", "refused", "unreached", "BUG"]
        print("\n| phase | process | faults | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 3))
        for phase, roles in PHASES.items():
            for role in roles:
                counts = collections.Counter(outcome for case, outcome, _ in self.found if (case.phase, case.role) == (phase, role))
                if counts:
                    print(f"| {phase} | {role} | {sum(counts.values())} | " + " | ".join(str(counts[name]) for name in names) + " |")


def dead_groups():
    """Control groups of zygotes that are no more. Others on this machine may be about to remove theirs."""
    found = set(glob.glob("/sys/fs/cgroup/**/python-executor-[0-9]*", recursive=True))
    return {path for path in found if not os.path.exists(f"/proc/{path.rpartition('-')[2]}")}


def groups_left_behind(before):
    """What no start sweeps away, of what was not there `before`: a start looks where it would make its own."""
    one = Injected(*BARE)
    one.kill()
    left = dead_groups() - before
    wait_until(lambda: not left & dead_groups(), 10, 0.5)
    return left & dead_groups()


def main():
    references, cases, before = {}, [], dead_groups()
    for options, phases in ((BARE, ("start", "drain")), (GROWN, ("grow", "serve", "reload"))):
        census, references[options] = census_of(options, phases)
        for phase, calls in census.items():
            cases += cases_of(phase, calls, EACH)
            print(f"{phase}: {sum(calls.values())} calls of {len(calls)} kinds; not made to fail: {' '.join(left_out(calls))}")
    table = Table(chosen(cases, WORDS))
    print(f"{table.total} faults", flush=True)
    threads = [threading.Thread(target=Runner(table, references).work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table.print_all()
    failed = sum(outcome == "BUG" for _, outcome, _ in table.found)
    left = groups_left_behind(before)
    if left:
        print("control groups that are left behind:", *sorted(left))
        failed += 1
    print(f"{len(table.found) + 1 - failed} passed, {failed} failed")
    return 1 if failed or not table.found else 0


if __name__ == "__main__":
    sys.exit(main())
