"""Sends the calls to workers, as any client sends scripts, and takes down what each of them gave.

A call that ends its worker does not end the sweep: the next run begins behind it. Since it may be the one before that
did the harm, it is tried again alone, in a worker of its own, with the same arguments.
"""
import collections
import concurrent.futures
import errno
import json
import os
import random
import re
import threading
import time

from calls import CALLS, KINDS
from client import ask

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = 0x7669657777656976  # with which the view makes its own calls; whoever reads its source knows it
A_RUN = 200  # calls
AT_ONCE = 3  # runs
LINE = re.compile(r"^!(?P<pid>\d+)$|^@(?P<number>-?\d+) (?P<part>\d+) (?P<arguments>[0-9a-f]+(?: [0-9a-f]+){5})$|^=(?P<answer>-?\d+)$", re.M)
TRIES, MOST_MS = 2, 5000  # of a call alone
THROUGH = "through"  # what the script returns
BY_ITSELF = ("killed", "exited", "memory", "exception")  # outcomes of a call's own making
ENDED = "ended"

# `answer` is None where it ended the run.
Record = collections.namedtuple("Record", "entry number part arguments pid answer")


def source(name, targets):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return f"T = {targets!r}\n" + file.read()


class Silence(OSError):
    """The service does not answer."""


# An innocent script beside the sweep: whether what it has and is stays as it was.
NEIGHBOUR = """
import os, resource, signal, threading, time
def state():
    return [open("/tmp/mine").read(), sorted(os.listdir("/tmp")), os.getcwd(), os.fstat(1).st_ino, os.getpid(), sorted(os.environ.items()),
            resource.getrlimit(resource.RLIMIT_NOFILE), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            [str(signal.getsignal(n)) for n in range(1, 32)], threading.active_count(), os.stat("/tmp/mine").st_mode, hash(memory)]
memory = bytes(range(256)) * 4096
def main():
    with open("/tmp/mine", "w") as file: file.write("mine alone")
    before, end = state(), time.monotonic() + 1
    while time.monotonic() < end:
        now = state()
        if now != before or memory != bytes(range(256)) * 4096: return [before, now]
        time.sleep(0.05)
    return "unharmed"
"""


class Neighbour(threading.Thread):
    """Has one run after another while the block lasts; `harmed` is the first answer that is not as it should be. Not one that
    took too long, or never had its turn: so it may be on a busy machine."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.harmed, self.runs, self.over = port, "", 0, threading.Event()

    def run(self):
        while not self.over.is_set() and not self.harmed:
            answer = ask(self.port, "POST", "/execute", json.dumps({"script": NEIGHBOUR}).encode(), timeout=60)
            self.runs += 1
            outcome = answer.headers.get("execution-outcome", "")
            if answer.result != "unharmed" and answer.status != 503 and outcome != "timeout":
                self.harmed = f"{answer} {outcome}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Sweep:
    """`patience_ms` is what a run may take: a call that no signal wakes costs it. `until` ends the sweep early."""

    def __init__(self, port, targets, seed, patience_ms, until=float("inf")):
        self.port, self.targets, self.seed, self.patience_ms, self.until = port, targets, seed, patience_ms, until
        self.runs, self.outcomes = 0, collections.Counter()

    def send(self, entry, calls, patience_ms=None):
        """(records, its outcome; THROUGH where it came to its end) of one run."""
        targets = {**self.targets, "entry": entry, "seed": self.seed, "kinds": KINDS, "mark": MARK, "calls": calls}
        body = {"script": source("inside.py", targets), "details": True, "limits": {"wall_ms": patience_ms or self.patience_ms}}
        for _ in range(5):
            answer = ask(self.port, "POST", "/execute", json.dumps(body).encode(), timeout=60)
            if answer.status not in (0, 503):
                break
            time.sleep(1)
        else:
            raise Silence(str(answer))
        self.runs += 1
        outcome = answer.keys.get("outcome", str(answer.status))
        self.outcomes[outcome] += 1
        return list(self.read(entry, answer.stdout)), THROUGH if answer.result == THROUGH else outcome

    @staticmethod
    def read(entry, text):
        pid, last = None, None
        for found in LINE.finditer(text):
            if found["pid"]:
                pid = int(found["pid"])
            elif found["number"]:
                if last:
                    yield last
                last = Record(entry, int(found["number"]), int(found["part"]), [int(word, 16) for word in found["arguments"].split()], pid, None)
            elif last:
                yield last._replace(answer=int(found["answer"]))
                last = None
        if last:
            yield last

    def run(self, entry, calls):
        """A record for each of the calls, in runs as long as the worker lasts; none of one that does not come to an end."""
        left = calls
        while left and time.monotonic() < self.until:
            records, outcome = self.send(entry, left)
            done = [record for record in records if record.answer is not None]
            yield from done
            if outcome == THROUGH and len(done) == len(left):
                return
            if len(done) < len(left):
                certain = not done and records and outcome in BY_ITSELF
                yield from records if certain else self.alone(entry, left[len(done)])
            left = left[len(done) + 1 :]

    def alone(self, entry, call):
        """Its record, once it is seen to begin and does not end for want of time. None where it never is: the machine is busy, or
        it waits, and no signal wakes it."""
        for _ in range(TRIES):
            records, outcome = self.send(entry, [call], MOST_MS)
            if records and (records[-1].answer is not None or outcome in BY_ITSELF):
                return records
        return []

    def all(self, entry, numbers):
        """The records of {number: its argument sets}; several runs at once."""
        calls = [(number, CALLS.get(number, ("", KINDS[:6]))[1], part) for number, parts in numbers.items() for part in parts]
        random.Random(f"{self.seed}/{entry}").shuffle(calls)  # what one leaves behind in its worker is where the next begins
        chunks = [calls[at : at + A_RUN] for at in range(0, len(calls), A_RUN)]
        if entry != "syscall":  # each call ends its run
            chunks = [calls[at :: AT_ONCE * 2] for at in range(AT_ONCE * 2)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return [record for records in pool.map(lambda chunk: list(self.run(entry, chunk)), chunks) for record in records]


def word(record):
    """What a call gave, in one word: who refuses everything answers EPERM, whatever the arguments are."""
    if record.answer is None:
        return ENDED
    name = errno.errorcode.get(-record.answer, "") if record.answer < 0 else ""
    return name if name in ("EPERM", "ENOSYS") else "answered"


def words_of(records):
    """{number: the words that were seen}"""
    found = collections.defaultdict(set)
    for record in records:
        found[record.number].add(word(record))
    return found
