"""`make bench-size`: what a request costs by the size of its script, stdout, result and input, from 1 KB to 8 MB."""
import json
import math
import os
import statistics

import clients
import machine
import processes
from peers import Service
from report import number, table
from scripts import MB, Script, long, printing, returning

SIZES = [1_000, 4_000, 16_000, 64_000, 256_000, MB, 2 * MB, 4 * MB, 8 * MB]
REQUESTS, PAUSE = 6, 0.02
OPTIONS = ("--script-kb=8192", "--stdout-kb=8192", "--result-kb=8192", "--body-kb=16384", "--memory-mb=1024")


def asking(size):
    """A script that is handed so much."""
    return Script("def main(text): return len(text)", str(size - 2)).request(input="x" * (size - 2))


KINDS = {
    "script": lambda size: long(size).request(),
    "stdout": lambda size: printing(size).request(),
    "result": lambda size: returning(size).request(),
    "input": asking,
}


def line(sizes, times):
    """Least squares: ms per MB, and ms at size 0."""
    mean_size, mean_time = statistics.fmean(sizes), statistics.fmean(times)
    slope = (sum((size - mean_size) * (time - mean_time) for size, time in zip(sizes, times))
             / sum((size - mean_size) ** 2 for size in sizes))
    return slope * MB, mean_time - slope * mean_size


def exponent(sizes, times):
    """Of the power of the size with which the time grows beyond that of the smallest, from 1 MB on: 1 is linear.
    None where noise hides it."""
    points = [(math.log(size), math.log(time - times[0])) for size, time in zip(sizes, times) if size >= MB and time > times[0]]
    if len(points) < 3:
        return None
    return line([x for x, _ in points], [y for _, y in points])[0] / MB


def verdict(power):
    if power is None:
        return "hidden by noise"
    return "linear" if 0.8 <= power <= 1.25 else "less than linear" if power < 0.8 else "more than linear"


def measure(service, request):
    """Times of the requests in ms, peak memory of the server in MB (None where the kernel does not say), wrong ones."""
    server = service.server()
    counted = processes.forget_peak(server)
    times, wrong = clients.paced(service.port, request, REQUESTS, PAUSE)
    peak = processes.peak_kb(server) if counted else None
    return times, peak / 1024 if peak else None, wrong


def run(options):
    cells = {kind: {size: ([], []) for size in SIZES} for kind in KINDS}
    wrong, load = 0, machine.load()
    with Service(options.build, *OPTIONS) as service:
        service.check().calm()
        for round_ in range(options.rounds):
            for kind, make in KINDS.items():
                for size in SIZES:
                    times, peak, bad = measure(service, make(size))
                    service.calm()
                    cells[kind][size][0].extend(times)
                    cells[kind][size][1].append(peak)
                    wrong += bad
                print(f"round {round_ + 1} of {options.rounds}: {kind}", flush=True)
    show(options, cells, wrong, f"{load:.1f}, {machine.load():.1f}")
    return 1 if wrong else 0


def show(options, cells, wrong, load):
    times = {kind: [statistics.median(seen) for seen, _ in sizes.values()] for kind, sizes in cells.items()}
    rows = []
    for index, size in enumerate(SIZES):
        row = [f"{size // 1000} KB" if size < MB else f"{size // MB} MB"]
        for kind in KINDS:
            peaks = [peak for peak in cells[kind][size][1] if peak is not None]
            row += [number(times[kind][index]), number(max(peaks) if peaks else None)]
        rows.append(row)
    head = ["size"] + [text for kind in KINDS for text in (f"{kind}: ms", "server, MB")]
    fits = []
    for kind in KINDS:
        slope, base = line(SIZES, times[kind])
        power = exponent(SIZES, times[kind])
        fits.append([kind, number(slope), number(base), number(power), verdict(power)])
    text = "\n".join([table(head, rows), table(["", "ms per MB", "ms at 0", "grows with size to the power", ""], fits),
                      f"Wrong bodies and errors: {wrong}; load before and after: {load}.\n"])
    print("\n" + text)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "size.md"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(options.out, "size.json"), "w", encoding="utf-8") as file:
        json.dump({"times_ms": cells, "wrong": wrong, "load": load}, file, indent=1)
