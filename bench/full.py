"""`make bench`: this service, the usual ones and the limits, in turns, so that a noisy machine hurts all alike."""
import contextlib
import math
import os
import subprocess
import tempfile
import time

import blas
import chart
import clients
import machine
import memory
import processes
import report
from peers import Service, spawners
from scripts import FLOOR, SCRIPTS

PACED = {"this": 40}  # requests a round
PACED_SPAWNED = 6
PAUSE = 0.03
LONGEST = 20  # seconds that one closed loop may take


class Progress:
    """One line a round of steps, with the time that is left by what was needed so far."""

    def __init__(self, steps):
        self.steps, self.done, self.begun = steps, 0, time.monotonic()

    def step(self, words):
        self.done += 1
        needed = time.monotonic() - self.begun
        left = needed / self.done * (self.steps - self.done)
        print(f"[{self.done:4}/{self.steps}] {needed:4.0f} s, some {left:4.0f} s left: {words}", flush=True)


def cpu_of(peer, load):
    """Runs `load`, which returns (its value, requests that were run); returns the value and CPU ms per request."""
    before = peer.calm()
    value, requests = load()
    return value, (peer.calm() - before) / max(requests, 1)


def measure_paced(peer, request):
    count = PACED.get(peer.name, PACED_SPAWNED)

    def load():
        times, wrong = clients.paced(peer.port, request, count, PAUSE)
        return (times, wrong), count

    (times, wrong), cpu = cpu_of(peer, load)
    return {"ms": times, "wrong": wrong, "cpu_ms": cpu}


def measure_loop(peer, request, connections, seconds):
    def load():
        seen = clients.wrk(peer.port, request, connections, seconds)
        # What is under way when wrk goes has cost something as well.
        return seen, seen.requests + min(connections, peer.at_once)

    seen, cpu = cpu_of(peer, load)
    return {**vars(seen), "cpu_ms": cpu}


def measure_bare(build, script, seconds):
    """Runs/s with a loop on each core, and CPU ms of a run."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("script", "result")]
        for path, text in zip(paths, (SCRIPTS[script].text, SCRIPTS[script].result)):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        output = subprocess.run(
            [os.path.join(build, "bench", "bare"), str(seconds), str(len(os.sched_getaffinity(0))), *paths],
            stdout=subprocess.PIPE, text=True, check=True, preexec_fn=processes.end_with_us).stdout
    rate, cpu = map(float, output.split())
    return {"rate": rate, "cpu_ms": cpu}


def long_enough(cell, connections, seconds):
    """Seconds in which even the slow ones answer each connection: a window that ends earlier sees the fast answers only.
    By the rate with fewer connections, or one after the other."""
    rates = [loads[0]["rate"] for loads in cell["loops"].values() if loads[0]["rate"]]
    rates += [1e3 / clients.percentile(part["ms"], 50) for part in cell["paced"]]
    return min(LONGEST, max(seconds, math.ceil(1.5 * connections / max(rates))))


class Full:
    def __init__(self, options, peers):
        self.options, self.peers = options, peers
        self.cells = {peer.name: {script: {"paced": [], "loops": {}} for script in options.scripts} for peer in peers}
        self.bare = {script: [] for script in options.scripts}
        self.floor = {"paced": [], "loops": {connections: [] for connections in options.connections}}
        each = len(options.scripts) * (len(peers) * (1 + len(options.connections)) + 2) + 1 + len(options.connections)
        self.progress = Progress(options.rounds * each)

    def script(self, script, first):
        options = self.options
        self.limit(script)
        for peer in self.peers:
            cell = measure_paced(peer, SCRIPTS[script].request())
            self.cells[peer.name][script]["paced"].append(cell)
            self.progress.step(f"{script}, paced, {peer.name}: {clients.percentile(cell['ms'], 50):.2f} ms")
        for connections in options.connections:
            for peer in self.peers:
                cell = self.cells[peer.name][script]
                seconds = long_enough(cell, connections, options.seconds)
                if not first and seconds > 3 * options.seconds:
                    self.progress.step(f"{script}, {connections} connections, {peer.name}: once is enough")
                    continue
                load = measure_loop(peer, SCRIPTS[script].request(), connections, seconds)
                cell["loops"].setdefault(connections, []).append(load)
                self.progress.step(f"{script}, {connections} connections, {peer.name}: {load['rate']:.0f} requests/s")
        self.limit(script)

    def limit(self, script):
        bare = measure_bare(self.options.build, script, self.options.seconds)
        self.bare[script].append(bare)
        self.progress.step(f"{script}, bare: {bare['rate']:.0f} runs/s")

    def round(self, first):
        for script in self.options.scripts:
            self.script(script, first)
        self.floor["paced"].append(measure_paced(self.peers[0], FLOOR))
        self.progress.step("no run, paced")
        for connections in self.options.connections:
            load = measure_loop(self.peers[0], FLOOR, connections, self.options.seconds)
            self.floor["loops"][connections].append(load)
            self.progress.step(f"no run, {connections} connections: {load['rate']:.0f} requests/s")

    def wrong(self):
        """Wrong answers and errors of connections over all."""
        loops = [load for scripts in self.cells.values() for cell in scripts.values()
                 for loads in cell["loops"].values() for load in loads] + sum(self.floor["loops"].values(), [])
        paced = [cell for scripts in self.cells.values() for all in scripts.values() for cell in all["paced"]] + self.floor["paced"]
        return sum(load["wrong"] + load["errors"] for load in loops) + sum(cell["wrong"] for cell in paced)


def run(options):
    begun, load = time.monotonic(), machine.load()
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(Service(options.build)).check()
        others, refused = spawners(stack, options.peers)
        service.calm()
        what = machine.describe(service)
        for name, value in what.items():
            print(f"{name}: {value}")
        for name, why in refused.items():
            print(f"without {name}: {why}")
        full = Full(options, [service, *others])
        for number in range(options.rounds):
            full.round(number == 0)
        products = blas.measure(service)
    print("the memory of idle workers", flush=True)
    rows, whole = memory.measure(options.build)
    results = {
        "machine": {**what, "load before and after": f"{load:.1f}, {machine.load():.1f}"},
        "seconds": time.monotonic() - begun, "rounds": options.rounds, "refused": refused,
        "peers": full.cells, "bare": full.bare, "floor": full.floor, "wrong": full.wrong(),
        "memory": {"flavours": rows, "whole_mb": whole}, "blas": products,
    }
    report.write(options.out, results)
    chart.write(options.out, results)
    return 1 if results["wrong"] else 0
