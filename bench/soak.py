"""`make bench-soak N=100000`: many requests of mixed scripts. Does it get slower, does anything grow, is an answer wrong?"""
import json
import os
import threading
import time

import clients
import machine
import processes
from clients import percentile
from peers import Service
from report import number, table
from scripts import SCRIPTS

CONNECTIONS = 4
WINDOW = 1000
# Of each hundred: mostly small ones.
MIX = ["empty"] * 40 + ["numpy"] * 25 + ["pandas"] * 25 + ["stdout", "result", "script"] * 3 + ["cpu"]


class Soak:
    """Clients that share one count of requests; times are kept in the order in which they came."""

    def __init__(self, port, total, names):
        self.port, self.total = port, total
        self.requests = [SCRIPTS[name].request() for name in names]
        self.times, self.begun, self.wrong = [], 0, 0
        self.lock = threading.Lock()
        self.stopped = False

    def next(self):
        with self.lock:
            if self.begun == self.total or self.stopped:
                return None
            self.begun += 1
            # 37 has no factor in common with a hundred: the mix is spread out, and the same each time.
            return self.requests[(self.begun * 37) % len(self.requests)]

    def client(self):
        connection = None
        while (request := self.next()) is not None:
            try:
                connection = connection or clients.connect(self.port)
                ms, right = clients.ask(connection, request)
            except OSError:
                connection = connection and connection.close()
                ms, right = None, False
            with self.lock:
                self.times.append(ms)
                self.wrong += not right
        if connection is not None:
            connection.close()


def memory(service):
    """Resident MB of the manager, the server and each zygote."""
    seen = {"manager": processes.resident_kb(service.pid), "server": processes.resident_kb(service.server())}
    for number_, (zygote, _) in enumerate(service.crews()):
        seen[f"zygote {number_}"] = processes.resident_kb(zygote)
    return {name: (kb or 0) / 1024 for name, kb in seen.items()}


def drive(service, soak):
    """Runs it. Returns what memory() said in the middle."""
    threads = [threading.Thread(target=soak.client, daemon=True) for _ in range(CONNECTIONS)]
    middle, begun, said = None, time.monotonic(), 0
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.1)
            time.sleep(0.05)
            done = len(soak.times)
            if middle is None and done * 2 >= soak.total:
                middle = memory(service)
            if time.monotonic() - said > 5:
                said = time.monotonic()
                print(f"{done} of {soak.total}, {done / (said - begun):.0f}/s, {soak.wrong} wrong", flush=True)
    finally:
        soak.stopped = True
    return middle or memory(service)


def run(options):
    load = machine.load()
    names = [name for name in MIX if name in options.scripts]
    with Service(options.build) as service:
        service.check().calm()
        soak = Soak(service.port, options.requests, names)
        begun, start = time.monotonic(), memory(service)
        middle = drive(service, soak)
        seconds = time.monotonic() - begun
        service.calm()
        end = memory(service)
    show(options, soak, seconds, [start, middle, end], f"{load:.1f}, {machine.load():.1f}")
    return 1 if soak.wrong else 0


def show(options, soak, seconds, memories, load):
    window = min(WINDOW, len(soak.times) // 2)
    rows = []
    for name, times in ((f"first {window}", soak.times[:window]), (f"last {window}", soak.times[-window:])):
        good = [ms for ms in times if ms is not None] or [0]
        rows.append([name] + [number(percentile(good, share)) for share in (50, 95, 99)])
    names = list(dict.fromkeys(name for seen in memories for name in seen))
    sizes = [[name] + [number(seen.get(name)) for seen in memories] for name in names]
    text = "\n".join([
        f"{len(soak.times)} requests over {CONNECTIONS} connections in {seconds:.0f} s, {len(soak.times) / seconds:.0f} "
        f"requests/s, wrong or failed: {soak.wrong}; load before and after: {load}.\n",
        table(["latency, ms", "p50", "p95", "p99"], rows),
        table(["resident, MB", "start", "middle", "end"], sizes)])
    print("\n" + text)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "soak.md"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(options.out, "soak.json"), "w", encoding="utf-8") as file:
        json.dump({"seconds": seconds, "wrong": soak.wrong, "times_ms": soak.times, "memory_mb": memories, "load": load}, file)
