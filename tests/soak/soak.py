#!/usr/bin/python3
"""A long run at full load: soak.py BUILD, by `make soak`. SOAK_SECONDS says how long, SOAK_SEED repeats what a run did.

Clients send what is innocent, what fails, attacks and what is no request, and go away in the middle; zygotes and servers
are killed under them. At the end each request is accounted for, and the service is what it was at the beginning. Writes
soak.md, soak.json and soak.svg into BUILD/soak; the last line is `N passed, N failed`. Ctrl-C ends it with what there is.
"""
import collections
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
if __name__ == "__main__":
    os.environ["BUILD"] = os.path.abspath(sys.argv[1])
sys.path += [TESTS, *(os.path.join(TESTS, name) for name in ("integration", "security", "tiers")), os.path.join(os.path.dirname(TESTS), "bench")]

import results  # noqa: E402
import state  # noqa: E402
from account import Account  # noqa: E402
from bearer import Keys  # noqa: E402
from clients import percentile  # noqa: E402
from kills import Killer, Metered  # noqa: E402
from load import ANSWERED, BROKEN, CUT, Load  # noqa: E402
from report import number  # noqa: E402
from service import BUILD, Service, ask, order  # noqa: E402
from traffic import Traffic  # noqa: E402

# Small enough that the queue is full now and then, and that zygotes retire; with a line in the log for every request.
OPTIONS = ("--queue=24", "--wall-ms=20000", "--memory-mb=128", "--recycle=3000", "--log-format=json", "--log-rate=1000000")
CLIENTS = {"alice": 18, "bob": 18, "limited": 4}
SAID = 5  # seconds between two lines of progress


class Soak:
    def __init__(self, service, seconds, seed, keys):
        self.service, self.seconds, self.seed, self.keys = service, seconds, seed, keys
        self.over, self.checks, self.said, self.before, self.after = threading.Event(), [], collections.Counter(), None, None
        self.metered = Metered(self.service.port, keys.headers("watch"))
        self.people = [(name, keys.secrets[name]) for name, count in CLIENTS.items() for _ in range(count)]
        self.load = Load(seed, self.service.port, self.people, Traffic(self.service.port))
        self.killer = None

    def drive(self):
        """Some load without kills, a look at what the service is; then load with kills, and another look."""
        self.begun = time.monotonic()
        flavours = len(self.service.every_zygote())
        warm = min(60, max(3, self.seconds * 0.1))
        self.under_load("a", warm)
        self.before = state.look(self.service, flavours)
        main = self.seconds - warm
        self.killer = Killer(self.service, self.metered, self.seed, main, self.over)
        self.killer.start()
        self.under_load("b", main)
        self.killer.over.set()
        self.killer.join(90)
        self.lasted = time.monotonic() - self.begun
        self.after = state.look(self.service, flavours, self.before)
        self.final = self.metered.scrape()

    def under_load(self, block, seconds):
        self.load.begin(block)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.over.wait(max(0, min(SAID, end - time.monotonic()))):
            self.say(self.load.collect())
        self.say(self.load.end())

    def say(self, records):
        """A line of what has ended since the last one, and of all so far."""
        self.said.update(word for record in records for word in self.words(record))
        lately = results.times([record for record in records if record.kind == "innocent"])
        counts = ", ".join(f"{self.said[word]} {word}" for word in (ANSWERED, CUT, BROKEN, "lost", "sent away", "wrong"))
        kills = len(self.killer.kills) if self.killer else 0
        print(f"{time.monotonic() - self.begun:5.0f} s of {self.seconds}: {len(self.load.records)} requests, {counts}; "
              f"p99 {number(percentile(lately, 99)) if lately else '–'} ms; {kills} kills", flush=True)

    @staticmethod
    def words(record):
        yield record.end
        if record.outcome == "lost":
            yield "lost"
        if record.status in (429, 503):
            yield "sent away"
        if record.wrong:
            yield "wrong"

    # --- Judgement ---

    def check(self, name, problems):
        self.checks.append((name, problems))

    def judge(self):
        scrapes = self.killer.scrapes + [self.final]
        account = self.account = Account(self.load.records, self.killer.kills, scrapes, self.service.log_path, self.seed)
        self.check("every request was answered, cut by its client, or under way when a server was killed", account.unaccounted())
        self.check("no request hangs", account.hung())
        self.check("every answer is right, and the request's own", account.wrong())
        self.check("what was lost was lost with a zygote that was killed", account.lost_without_reason())
        self.check("who is sent away is told when to come again", account.without_retry_after())
        self.check("the log has each answered request once, with its status", account.not_in_the_log())
        self.check("the metrics of every server are what the clients had", account.not_in_the_metrics())
        self.check("nobody ended but who was killed", account.unplanned_deaths())
        self.check("the killer got at everybody", self.killer.problems)
        for name, (was, now) in {key: (value, self.after["counts"].get(key)) for key, value in self.before["counts"].items()}.items():
            self.check(f"{name}: as before", [f"{was} → {now}"] if was != now else [])
        self.check("memory: as before", [f"{name}: {was} → {now} kB" for name, (was, now) in
                                         state.grown(self.before["memory"], self.after["memory"]).items()])
        self.check("no file and no control group of dead workers is left", state.left(self.service, account.zygote_pids))

    def end(self):
        answer = ask(self.service.port, "POST", "/execute", order("def main(): return 42"), self.keys.headers("alice"))
        self.check("the next request gets its answer", [] if answer.body == b'{"result": 42, "stdout": ""}' else [str(answer)])
        try:
            self.service.process.terminate()
            self.service.process.wait(30)
            self.service.assert_gone(5)
            problems = [] if self.service.process.returncode == 0 else [f"status {self.service.process.returncode}"]
        except Exception as error:
            problems = [repr(error)]
        self.check("SIGTERM ends it, with nothing left", problems + state.left(self.service, self.account.zygote_pids))


def run(soak, folder):
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: soak.over.set())
    try:
        soak.drive()
        soak.judge()
        soak.end()
        results.write(soak, folder)
    except Exception:
        traceback.print_exc()
        soak.check("it came to its end", ["see above"])
    return soak.checks


def main():
    if os.geteuid() != 0:
        sys.exit("soak: needs root, as which alone the service's processes can be looked at")
    seconds = int(os.environ.get("SOAK_SECONDS") or 600)
    seed = os.environ.get("SOAK_SEED") or f"{random.SystemRandom().randrange(1 << 32):08x}"
    print(f"{seconds} s with the seed {seed}; SOAK_SECONDS={seconds} SOAK_SEED={seed} sends the same and kills at the same times", flush=True)
    with tempfile.TemporaryDirectory(prefix="python-executor-soak-") as place:
        keys = Keys(place)
        for name, limits in (("alice", ()), ("bob", ()), ("limited", ("rate=20/s", "concurrent=2")), ("watch", ("concurrent=0",))):
            keys.add(name, *limits)
        # Of a session of its own: a Ctrl-C is for us, and the service is stopped when everybody has his answer.
        service = Service(*OPTIONS, f"--keys={keys.path}", behind=["setsid"])
        try:
            checks = run(Soak(service, seconds, seed, keys), os.environ.get("SOAK_OUT") or os.path.join(BUILD, "soak"))
        finally:
            service.kill()
    failed = [name for name, problems in checks if problems]
    print(f"{len(checks) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
