#!/usr/bin/python3
"""Measures builds of this service. Load goes to this machine alone and ends by itself; Ctrl-C ends all that it started.

full   beside the usual services and the limits: tables, JSON and a chart   (make bench)
quick  beside another build, paired, in turns                               (make bench-quick OLD=FOLDER)
size   cost against the size of script, stdout, result and input            (make bench-size)
soak   many requests: does it get slower or larger                          (make bench-soak N=100000)
"""
import argparse
import importlib
import os
import signal
import sys

from scripts import SCRIPTS


def words(choices):
    def parse(text):
        chosen = text.split(",")
        if set(chosen) - set(choices):
            raise argparse.ArgumentTypeError(f"one or some of {','.join(choices)}")
        return chosen
    return parse


def build_folder(text):
    if not os.access(os.path.join(text, "python-executor"), os.X_OK):
        raise argparse.ArgumentTypeError(f"there is no build in {text!r}")
    return text


def numbers(text):
    return [int(word) for word in text.split(",")]


def command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("build", type=build_folder, help="the build folder")
    common.add_argument("--out", help="folder for what is written (BUILD/bench)")
    common.add_argument("--seconds", type=int, default=1, help="of one closed loop (1)")

    def kind(name, rounds, scripts):
        one = kinds.add_parser(name, parents=[common])
        one.add_argument("--rounds", type=int, default=rounds, help=f"({rounds})")
        one.add_argument("--scripts", type=words(SCRIPTS), default=scripts, help=f"some of {','.join(SCRIPTS)}")
        return one

    full = kind("full", 2, list(SCRIPTS))
    full.add_argument("--connections", type=numbers, default=[1, 2, 16, 64], help="(1,2,16,64)")
    full.add_argument("--peers", type=lambda text: text.split(","), help="of the usual services, these only")
    quick = kind("quick", 6, ["empty", "pandas"])
    quick.add_argument("old", type=build_folder, help="the build folder to compare with")
    quick.add_argument("--connections", type=numbers, default=[16], help="(16)")
    kind("size", 3, list(SCRIPTS))
    soak = kind("soak", 1, list(SCRIPTS))
    soak.add_argument("--requests", type=int, default=100_000, help="(100000)")
    options = parser.parse_args()
    options.out = options.out or os.path.join(options.build, "bench")
    return options


def end(*_):
    sys.exit(143)


def main():
    options = command_line()
    signal.signal(signal.SIGTERM, end)
    try:
        return importlib.import_module(options.kind).run(options)
    except KeyboardInterrupt:
        return 130
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
