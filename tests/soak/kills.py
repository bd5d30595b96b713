"""Kills zygotes and servers of the service while it is under load, by a plan that a seed makes, and writes down when.

A kill is a span, from before the signal to when what it takes along is gone: what a server or a tree of zygotes
had under way in that span may be hit, and nothing else may.
"""
import dataclasses
import os
import random
import signal
import threading
import time

import exposition
from service import ask, state_of, wait_until

PATIENCE = 60  # seconds until there must be somebody to kill again
# Server and zygotes in turn, and a renewal, which must cost nobody anything.
BAG = ["zygote", "zygote", "flavour", "flavour", "server", "renewal"]


def plan(seed, seconds):
    """[(seconds from the beginning, what)]: no kills in the last fifth, after which everything must be as it was."""
    rng, found, at = random.Random(f"{seed} kills"), [], 0.0
    mean = min(12.0, max(2.0, seconds / 10))
    waiting = ["zygote", "server"]
    while True:
        at += mean * (0.3 + 1.4 * rng.random())
        if at > seconds * 0.8:
            return found
        if not waiting:
            waiting = rng.sample(BAG, len(BAG))
        found.append((at, waiting.pop(0)))


@dataclasses.dataclass
class Kill:
    what: str
    pid: int
    began: float
    gone: float


@dataclasses.dataclass
class Scrape:
    """GET /metrics, and when: what it counts lies between the two times. `last`: a server was killed right after."""

    metrics: exposition.Metrics
    began: float
    ended: float


class Metered:
    """The service as exposition.scrape() wants it, with a key."""

    def __init__(self, port, headers):
        self.port, self.headers = port, headers

    def ask(self, method, path, headers=None):
        return ask(self.port, method, path, headers=self.headers, timeout=60)

    def scrape(self):
        began = time.monotonic()
        metrics = exposition.scrape(self)
        return Scrape(metrics, began, time.monotonic())


class Killer(threading.Thread):
    def __init__(self, service, metered, seed, seconds, over):
        super().__init__(daemon=True)
        self.service, self.metered, self.over = service, metered, over
        self.plan, self.seconds = plan(seed, seconds), seconds
        self.rng = random.Random(f"{seed} targets")
        self.kills, self.scrapes, self.problems = [], [], []  # a scrape for each killed server, in order

    def run(self):
        begun = time.monotonic()
        for at, what in self.plan:
            if self.over.wait(max(0, begun + at - time.monotonic())):
                return
            try:
                getattr(self, what)()
            except Exception as error:  # shown at the end, as a failure
                self.problems.append(f"{what}: {type(error).__name__}: {error}")

    def kill(self, what, pid, is_gone):
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        if not wait_until(is_gone, PATIENCE, 0.005):
            self.problems.append(f"{what} {pid} was killed, and is there after {PATIENCE} s")
        self.kills.append(Kill(what, pid, began, time.monotonic()))

    @staticmethod
    def is_dead(pid):
        return state_of(pid) in ("", "Z", "X")

    def first_of(self, look):
        found = wait_until(look, PATIENCE)
        assert found, f"there has been none for {PATIENCE} s"
        return self.rng.choice(sorted(found))

    def zygote(self):
        pid = self.first_of(self.service.zygote_pids)
        self.kill("zygote", pid, lambda: self.is_dead(pid))

    def flavour(self):
        """One that is a fork of another; its whole tree ends with it."""
        trees = {pid: self.service.flavour_pids([pid]) for pid in self.service.zygote_pids()}
        of = {flavour: root for root, flavours in trees.items() for flavour in flavours}
        if not of:
            return self.zygote()
        pid = self.rng.choice(sorted(of))
        return self.kill("flavour", pid, lambda: self.is_dead(of[pid]))

    def server(self):
        """With its zygotes, which serve nobody else."""
        assert wait_until(lambda: self.service.server_pid, PATIENCE), "there is no server"
        pid = self.service.server_pid
        self.scrapes.append(self.metered.scrape())
        self.kill("server", pid, lambda: self.is_dead(pid))

    def renewal(self):
        began = time.monotonic()
        self.service.process.send_signal(signal.SIGHUP)
        self.kills.append(Kill("renewal", self.service.manager_pid, began, began))

    def count(self, what):
        return sum(kill.what == what for kill in self.kills)
