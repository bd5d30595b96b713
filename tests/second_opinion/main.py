#!/usr/bin/python3
"""The long form, by itself: main.py BUILD [--seconds N] [--seed N] [--renew] [TIER…].

Starts the service in each tier (tests/tiers), holds a worker there against what is kept of one (expected/), and then
makes system calls with ever new arguments for N seconds, a tier after another, looking after each round at what must
not change outside. `--renew` writes what is kept anew. The last line is `N passed, N failed`. By the seed, the number
and the part that a finding names, the same call is made again: `--seed`.
"""
import argparse
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "tiers"))

import run  # noqa: E402

import expectation  # noqa: E402
import opinion  # noqa: E402
import platforms  # noqa: E402

PARTS = 4  # argument sets of a number in a round


class LongRun(run.Run):
    """Rounds until the time is over; what one finds is told, and the next goes on."""

    def __init__(self, options):
        super().__init__(options.build, None, False)
        self.options, self.found = options, {}

    def attack(self, tier, process, port):
        one = opinion.short(tier, process, port, self.report, keep=self.options.renew)
        if self.options.renew:
            self.found[tier.name] = one.found
        begin, told, rounds = time.monotonic(), time.monotonic(), 0
        while time.monotonic() < begin + self.options.seconds:
            seed = f"{self.options.seed}.{rounds}"
            one.round(seed, PARTS, begin + self.options.seconds)
            rounds += 1
            if time.monotonic() > told + 20:
                told = time.monotonic()
                self.report.say(f"{tier.name}: {one.calls} calls in {one.runs} runs, {rounds} rounds")
        self.report.say(f"{tier.name}: {rounds} rounds after the first, {one.calls} calls in {one.runs} runs: "
                        + ", ".join(f"{name} {count}" for name, count in one.outcomes.most_common()))


def main():
    tiers = platforms.all_tiers()
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("tiers", nargs="*", metavar="tier")
    parser.add_argument("--seconds", type=int, default=30, help="of the fuzz, in each tier")
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--renew", action="store_true", help="write what is kept")
    options, wanted = run.chosen(parser, parser.parse_intermixed_args(), tiers)
    if not opinion.KNOWS_MACHINE:
        parser.error("this knows the system calls of x86-64 alone")
    print(f"seed {options.seed}, {options.seconds} s of fuzz in each tier", flush=True)
    the_run = LongRun(options)
    status = run.run_all(the_run, wanted)
    if options.renew and the_run.found:
        expectation.save(the_run.found, [tier.name for tier in tiers])
    return status


if __name__ == "__main__":
    sys.exit(main())
