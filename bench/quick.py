"""`make bench-quick OLD=FOLDER`: this build beside another one, paired and in turns, in less than a minute."""
import json
import os
import statistics
import time

import clients
import machine
from peers import Service
from scripts import SCRIPTS

PACED, PAUSE = 30, 0.01
LONGEST = 45  # seconds after which no pair is begun


def measure(service, script, connections, seconds):
    """{figure: value} of one turn, and wrong bodies and errors."""
    request = SCRIPTS[script].request()
    times, wrong = clients.paced(service.port, request, PACED, PAUSE)
    figures = {"paced, ms": statistics.median(times)}
    for count in connections:
        before = service.calm()
        load = clients.wrk(service.port, request, count, seconds)
        cpu = service.calm() - before
        figures[f"requests/s, {count} connections"] = load.rate
        figures[f"CPU ms, {count} connections"] = cpu / max(1, load.requests + min(count, service.at_once))
        wrong += load.wrong + load.errors
    return figures, wrong


def compare(pairs):
    """[(old, new), …] of one figure as medians, and the ratio new to old of each pair: median, least and most."""
    ratios = [new / old for old, new in pairs if old and new]
    medians = [statistics.median(side) for side in zip(*pairs)]
    if not ratios:
        return {"old": medians[0], "new": medians[1], "ratio": None, "least": None, "most": None}
    return {"old": medians[0], "new": medians[1], "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def show(results):
    print(f"\n{'script':8} {'':26} {'old':>9} {'new':>9}   new to old, with its spread over {results['rounds']} pairs")
    for script, figures in results["scripts"].items():
        for figure, seen in figures.items():
            spread = "–" if seen["ratio"] is None else f"{seen['ratio']:.3f}   {seen['least']:.3f} … {seen['most']:.3f}"
            print(f"{script:8} {figure:26} {seen['old']:9.2f} {seen['new']:9.2f}   {spread}")
    print(f"\nwrong bodies and errors: {results['wrong']}; load before and after: {results['load']}; "
          f"{results['seconds']:.0f} s")


def measure_pair(options, old_first):
    """{script: {figure: (old, new)}}, and wrong ones. Both are started anew: one start may be luckier than another, as
    with the large pages that the kernel has left."""
    pairs, wrong = {}, 0
    with Service(options.old, name="old") as old, Service(options.build, name="new") as new:
        for service in (old.check(), new.check()):
            service.calm()
        for script in options.scripts:
            seen = {}
            for service in (old, new) if old_first else (new, old):
                seen[service.name], bad = measure(service, script, options.connections, options.seconds)
                wrong += bad
            pairs[script] = {figure: (seen["old"][figure], seen["new"][figure]) for figure in seen["old"]}
    return pairs, wrong


def run(options):
    begun, load, wrong = time.monotonic(), machine.load(), 0
    pairs, count = {script: {} for script in options.scripts}, 0
    while count < options.rounds and (count == 0 or time.monotonic() - begun < LONGEST):
        pair, bad = measure_pair(options, count % 2 == 0)
        count, wrong = count + 1, wrong + bad
        for script, figures in pair.items():
            for figure, values in figures.items():
                pairs[script].setdefault(figure, []).append(values)
        print(f"pair {count} of {options.rounds}, {time.monotonic() - begun:.0f} s", flush=True)
    results = {
        "rounds": count, "wrong": wrong, "load": f"{load:.1f}, {machine.load():.1f}",
        "seconds": time.monotonic() - begun,
        "scripts": {script: {figure: compare(values) for figure, values in figures.items()} for script, figures in pairs.items()},
    }
    show(results)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "quick.json"), "w", encoding="utf-8") as file:
        json.dump({**results, "pairs": pairs}, file, indent=1)
    return 1 if wrong else 0
