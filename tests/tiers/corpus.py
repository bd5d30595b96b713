"""Runs the corpora against one service, and asks it which of their cases apply."""
import contextlib
import json
import os
import threading
import time

import attacks
import contract
import footprint
from client import ask

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus")
# The namespaces on which the cases of the layer `full` lean.
NEEDED = ("mount", "pid", "net", "ipc", "uts")
DEAD = 3  # cases in a row without an answer, until the rest is not tried any more
PLACES = 64  # more than there are tiers at once
places, door = threading.Semaphore(PLACES), threading.Lock()


@contextlib.contextmanager
def place(alone=False):
    """Room for a case beside those of other tiers, or `alone`, for one whose threads fill every processor and that is judged by time:
    Linux 6.18 has a whole control group wait for seconds when the threads of another one do that (docs/TESTING.md)."""
    wanted = PLACES if alone else 1
    with door:  # who waits for all of them lets nobody else begin
        for _ in range(wanted):
            places.acquire()
    try:
        yield
    finally:
        places.release(wanted)


def load(name):
    with open(os.path.join(FOLDER, name + ".jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


CONTRACT, ATTACKS = load("contract"), load("hostile") + load("innocent")


def namespaces(port):
    """{kind: active} as GET /isolation has it; None where the service does not say."""
    answer = ask(port, "GET", "/isolation", content_type=None)
    layers = answer.keys.get("layers")
    if answer.status != 200 or not isinstance(layers, list):
        return None
    active = {layer["name"].lower(): layer.get("active") is True for layer in layers}
    return {kind: any(on for name, on in active.items() if name.startswith(kind) and "namespace" in name)
            for kind in NEEDED}


def is_full(tier, port, report):
    """Whether the cases that lean on namespaces apply. What the platform grants the service has to use."""
    active = namespaces(port)
    if active is None:
        return tier.full
    missing = [kind for kind, on in active.items() if not on]
    if tier.full:
        report.add(tier, "platform", "namespaces", missing and f"granted, but not used: {', '.join(missing)}")
    return not missing


def chosen(cases, only):
    """The cases whose name or category is in `only`; all where there is none."""
    return [case for case in cases if not only or {case.get("name") or case["id"], case.get("category")} & set(only)]


class Watch:
    """Holds what the service occupies against what it occupied before the first case."""

    def __init__(self, tier, process):
        self.tier, self.process = tier, process
        self.before = self.at_rest()

    def look(self):
        return self.tier.footprint(self.process)

    def at_rest(self):
        """A look once two of them are the same: right after a case the crew is not complete."""
        last = self.look()
        for _ in range(10):
            time.sleep(0.3)
            now = self.look()
            if now == last:
                break
            last = now
        return last

    def grown(self):
        if self.before is None:
            return "its processes cannot be looked at"
        why = footprint.settled(self.before, self.look)
        if why:
            self.before = self.at_rest() or self.before  # each case answers for itself
        return why


def run_contract(tier, port, cases, report):
    for case in cases:
        with place():
            why = contract.run(case, port)
        report.add(tier, "contract", case["name"], why)


def give_up(tier, cases, report):
    report.say(f"FAIL {tier.name}: {len(cases)} cases are not run, since the service is dead")
    for case in cases:
        report.add(tier, case["category"], case["id"], "not run", quiet=True)


def run_attacks(tier, port, cases, watch, report):
    """The attacks and the innocent scripts, after each of them an innocent request and a look at what is left."""
    dead = 0
    for index, case in enumerate(cases):
        if dead >= DEAD:
            give_up(tier, cases[index:], report)
            break
        with place(case.get("alone", False)):
            why = [attacks.judge(case, attacks.send(case, port, tier.hostname))]
            harm = attacks.innocent(port, tier.patience)
        dead = 0 if not harm or "does not answer" not in harm else dead + 1
        if harm:
            time.sleep(1)
        why += [harm, watch.grown() if tier.looked_at == "after each" else ""]
        report.add(tier, case["category"], case["id"], "; ".join(filter(None, why)))


def run(tier, process, port, only, report):
    """Both corpora, or what of them is in `only`."""
    full = is_full(tier, port, report)
    requests = chosen([{**case, "category": "contract"} for case in CONTRACT], only)
    cases = chosen([case for case in ATTACKS if full or case["layers"] == "any"], only)
    report.say(f"{tier.name}: {len(requests)} cases of the contract, then {len(cases)} attacks and innocent scripts, "
               + ("with those" if full else "without those") + " that lean on namespaces")
    run_contract(tier, port, requests, report)
    watch = None if tier.looked_at == "never" else Watch(tier, process)
    run_attacks(tier, port, cases, watch, report)
    if tier.looked_at == "end":
        report.add(tier, "process", "left in the end", watch.grown())
