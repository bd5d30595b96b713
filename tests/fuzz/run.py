#!/usr/bin/python3
"""Runs the fuzzers of a build with -Dfuzz=true: run.py BUILD [--seconds N] [--keep] [FUZZER...].

As many at a time as there are processors. Each begins with what is kept in corpus/ and with what it has found in this build
folder before. The table at the end has its executions, seconds, edges that were covered, and crashes; the last line is
`N passed, N failed`, a fuzzer passing when nothing has crashed, hung or leaked. What did is in BUILD/crashes.

--keep writes corpus/X.found anew: of all that there is, the smallest inputs that together reach what all of them reach.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "corpus")
LONGEST = 4096  # bytes of an input
KEPT = 40_000  # bytes of a file .found
HEAD = "# Inputs that `make fuzz-keep` has kept: see tests/fuzz/replay.c for how they are written.\n"
PLAIN = {ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}


# --- What is kept ---


def escape(data):
    """A line that stands for these bytes, without its end."""
    text = "".join(PLAIN.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in data)
    return "\\x23" + text[1:] if text.startswith("#") else text


def unescape(line):
    known = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}
    pieces = re.findall(r"\\x([0-9a-f]{2})|\\(.)|([^\\]+)", line)
    return b"".join(bytes.fromhex(code) if code else known[letter] if letter else text.encode() for code, letter, text in pieces)


def read_lines(path):
    with open(path, encoding="ascii") as file:
        return [unescape(line.rstrip("\n")) for line in file if line.strip("\n") and not line.startswith("#")]


def read_kept(name):
    return [data for path in (f"{CORPUS}/{name}.seeds", f"{CORPUS}/{name}.found") if os.path.exists(path)
            for data in read_lines(path)]


def write_files(folder, inputs):
    os.makedirs(folder, exist_ok=True)
    for number, data in enumerate(inputs):
        with open(os.path.join(folder, f"kept-{number}"), "wb") as file:
            file.write(data)


def read_files(folder):
    inputs = []
    for entry in os.scandir(folder):
        with open(entry.path, "rb") as file:
            inputs.append(file.read())
    return inputs


def write_found(name, inputs):
    """The shortest of them, as far as there is room."""
    with open(f"{CORPUS}/{name}.found", "w", encoding="ascii") as file:
        left = KEPT - file.write(HEAD)
        for line in map(escape, sorted(inputs, key=lambda data: (len(data), data))):
            left -= len(line) + 1
            if left < 0:
                break
            file.write(line + "\n")


# --- One fuzzer ---


class Fuzzer:
    def __init__(self, build, name):
        self.name = name
        self.program = os.path.join(build, "tests", "fuzz", f"fuzz_{name}")
        self.corpus = os.path.join(build, "corpus", name)
        self.crashes = os.path.join(build, "crashes")
        self.dictionary = [f"-dict={CORPUS}/{name}.dict"] if os.path.exists(f"{CORPUS}/{name}.dict") else []
        self.log = os.path.join(build, f"fuzz_{name}.log")
        self.failed = None  # why
        self.numbers = {}

    def start(self, *arguments):
        environment = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
        with open(self.log, "wb") as log:
            return subprocess.Popen([self.program, f"-max_len={LONGEST}", "-timeout=10", *arguments],
                                    stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def run(self, seconds):
        os.makedirs(self.crashes, exist_ok=True)
        write_files(self.corpus, read_kept(self.name))
        begin = time.monotonic()
        process = self.start(f"-max_total_time={seconds}", "-print_final_stats=1", "-reload=0", *self.dictionary,
                             f"-artifact_prefix={self.crashes}/{self.name}-", self.corpus)
        status = process.wait()
        said = self.said()
        executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
        edges = re.findall(r"\bcov: (\d+)", said)
        self.numbers = {"executions": int(executions[1]) if executions else 0, "seconds": time.monotonic() - begin,
                        "edges": int(edges[-1]) if edges else 0, "kept": len(os.listdir(self.corpus))}
        if status != 0:
            self.failed = self.explain(said)
        elif not self.numbers["executions"]:
            self.failed = f"it has tried nothing, see {self.log}"

    def explain(self, said):
        summary = re.findall(r"^(?:SUMMARY: .*|.*Assertion .*|.*runtime error.*)$", said, re.M)
        artifact = re.search(r"Test unit written to (\S+)", said)
        lines = [summary[0] if summary else "it ended early", f"all that it said: {self.log}"]
        if artifact:
            lines.append(f"again: {self.program} {artifact[1]}")
            with open(artifact[1], "rb") as file:
                lines.append(f"as a line of {self.name}.seeds: {escape(file.read())}")
        return "\n  ".join(lines)

    def keep(self):
        seeds = read_lines(f"{CORPUS}/{self.name}.seeds")
        with tempfile.TemporaryDirectory() as folder:
            write_files(f"{folder}/seeds", seeds)
            write_files(f"{folder}/all", read_kept(self.name) + (read_files(self.corpus) if os.path.isdir(self.corpus) else []))
            # What the seeds reach needs no other input.
            if self.start("-merge=1", f"{folder}/seeds", f"{folder}/all").wait() != 0:
                raise SystemExit(self.explain(self.said()))
            write_found(self.name, set(read_files(f"{folder}/seeds")) - set(seeds))


# --- All of them ---


def at_once(fuzzers, work, seconds):
    lock, begin, done = threading.Lock(), time.monotonic(), []

    def one(fuzzer):
        with lock:
            print(f"[{time.monotonic() - begin:5.0f} s] {fuzzer.name} begins{seconds}", flush=True)
        work(fuzzer)
        with lock:
            done.append(fuzzer)
            end = f"FAIL {fuzzer.name}: {fuzzer.failed}" if fuzzer.failed else f"{fuzzer.name} is done"
            print(f"[{time.monotonic() - begin:5.0f} s] {end}, {len(fuzzers) - len(done)} to go", flush=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in [pool.submit(one, fuzzer) for fuzzer in fuzzers]:
            result.result()


def show(fuzzers):
    print(f"{'fuzzer':<10}{'executions':>12}{'seconds':>9}{'a second':>10}{'edges':>7}{'inputs':>8}{'crashes':>9}")
    for fuzzer in fuzzers:
        numbers = fuzzer.numbers
        print(f"{fuzzer.name:<10}{numbers['executions']:>12}{numbers['seconds']:>9.0f}"
              f"{numbers['executions'] / numbers['seconds']:>10.0f}{numbers['edges']:>7}{numbers['kept']:>8}{int(bool(fuzzer.failed)):>9}")
    print(f"{'all':<10}{sum(fuzzer.numbers['executions'] for fuzzer in fuzzers):>12}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("fuzzers", nargs="*")
    arguments = parser.parse_intermixed_args()  # of which parse_args() of Python 3.11 takes no fuzzer behind an option
    build = os.path.abspath(arguments.build)
    names = sorted(os.path.basename(path)[5:-2] for path in glob.glob(f"{HERE}/fuzz_*.c"))
    unknown = set(arguments.fuzzers) - set(names)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}, there are {', '.join(names)}")
    fuzzers = [Fuzzer(build, name) for name in arguments.fuzzers or names]
    if arguments.keep:
        at_once(fuzzers, Fuzzer.keep, "")
        return 0
    shutil.rmtree(os.path.join(build, "crashes"), ignore_errors=True)
    at_once(fuzzers, lambda fuzzer: fuzzer.run(arguments.seconds), f", {arguments.seconds} s")
    show(fuzzers)
    failed = sum(bool(fuzzer.failed) for fuzzer in fuzzers)
    print(f"{len(fuzzers) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
