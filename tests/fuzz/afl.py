#!/usr/bin/python3
"""AFL++ on the whole server and the library that reads HTTP for it: afl.py BUILD [--seconds N] [--keep].

libmicrohttpd is built from Debian's source with AFL++'s compiler and AddressSanitizer, into BUILD/library, since its parser is
what is to be seen; fuzz_server.c is built against it, in persistent mode. It begins with corpus/server.* and with what it has
found in this folder before. The last line is `N passed, N failed`; crashes and hangs are lines for corpus/server.seeds.

--keep writes corpus/server.found anew, of what was found: few inputs that together reach what all of them do.
"""
import argparse
import glob
import os
import shutil
import subprocess
import sys
import time

import run as fuzz

ROOT = os.path.dirname(os.path.dirname(fuzz.HERE))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CONFIGURE = ["--disable-doc", "--disable-examples", "--disable-curl", "--disable-https", "--disable-nls", "--disable-shared"]
SANITIZERS = {"ASAN_OPTIONS": "abort_on_error=1:symbolize=0:detect_leaks=0:allocator_may_return_null=1",
              "UBSAN_OPTIONS": "abort_on_error=1:halt_on_error=1:symbolize=0"}
# It is to run on any machine, and beside others; for what it may lose by that nobody wants a question.
AFL = {"AFL_SKIP_CPUFREQ": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_NO_AFFINITY": "1", "AFL_NO_UI": "1",
       "AFL_AUTORESUME": "1"}
FIGURES = ("execs_done", "execs_per_sec", "corpus_count", "edges_found", "total_edges", "bitmap_cvg", "stability", "saved_crashes",
           "saved_hangs")


def do(log, arguments, folder=ROOT, **environment):
    log.write(f"\n$ {' '.join(arguments)}\n".encode())
    log.flush()
    if subprocess.run(arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                      env={**os.environ, "AFL_QUIET": "1", **environment}).returncode != 0:
        raise SystemExit(f"{arguments[0]} has failed, see {log.name}")


def get_source(log, folder):
    """By apt, from the archive of this release, with lists of its own: the machine's may have no sources."""
    release = subprocess.run(["sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME"], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.strip()
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    with open(os.path.join(folder, "sources.list"), "w", encoding="ascii") as file:
        file.write(f"deb-src [signed-by={KEYRING}] http://deb.debian.org/debian {release} main\n")
    apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={folder}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null",
           "-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    do(log, [*apt, "update"], folder)
    do(log, [*apt, "source", "libmicrohttpd"], folder)
    return glob.glob(os.path.join(folder, "libmicrohttpd-*", ""))[0]


def build_library(log, folder):
    prefix = os.path.join(folder, "prefix")
    if os.path.exists(os.path.join(prefix, "lib", "pkgconfig", "libmicrohttpd.pc")):
        return prefix
    print("building: libmicrohttpd from Debian's source", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    source = get_source(log, folder)
    do(log, ["./configure", f"--prefix={prefix}", *CONFIGURE, "CC=afl-clang-fast", "CFLAGS=-g -O1"], source, AFL_USE_ASAN="1")
    for part in ("src/include", "src/microhttpd"):
        do(log, ["make", f"-j{os.cpu_count()}", "-C", part, "install"], source, AFL_USE_ASAN="1")
    do(log, ["make", "install-pkgconfigDATA"], source)
    return prefix


def build_all(build):
    os.makedirs(build, exist_ok=True)
    with open(os.path.join(build, "build.log"), "wb") as log:
        prefix = build_library(log, os.path.join(build, "library"))
        there = os.path.join(build, "server")
        print("building: the server", flush=True)
        if not os.path.exists(os.path.join(there, "build.ninja")):
            do(log, ["meson", "setup", there, "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=false",
                     "-Deditor=plain"], CC="afl-clang-fast", PKG_CONFIG_PATH=os.path.join(prefix, "lib", "pkgconfig"))
        do(log, ["ninja", "-C", there, "tests/fuzz/fuzz_server"])
    return os.path.join(there, "tests", "fuzz", "fuzz_server")


def figures(out):
    with open(os.path.join(out, "default", "fuzzer_stats"), encoding="ascii") as file:
        lines = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
    found = {key.strip(): value.strip() for key, value in lines.items()}
    # AFL++ 4.04 has saved_* and corpus_*, as later ones do; what a version does not say is not shown.
    return {key: found[key] for key in FIGURES if key in found}


def search(program, build, seconds):
    """afl-fuzz for so long: what it says at the end."""
    start, out, log_path = (os.path.join(build, name) for name in ("start", "out", "afl.log"))
    shutil.rmtree(start, ignore_errors=True)
    fuzz.write_files(start, fuzz.read_kept("server"))
    command = ["afl-fuzz", "-i", start, "-o", out, "-x", f"{fuzz.CORPUS}/server.dict", "-t", "2000", "-m", "none",
               "-G", str(fuzz.LONGEST), "-V", str(seconds), "--", program]
    begin = time.monotonic()
    with open(log_path, "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **SANITIZERS, **AFL})
        try:
            while process.poll() is None:
                print(f"[{time.monotonic() - begin:5.0f} s] of {seconds} s, and some for the seeds before", flush=True)
                try:
                    process.wait(max(10, seconds / 10))
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        raise SystemExit(f"afl-fuzz has failed, see {log_path}")
    return figures(out)


def keep(program, build):
    queue, least = os.path.join(build, "out", "default", "queue"), os.path.join(build, "least")
    shutil.rmtree(least, ignore_errors=True)
    with open(os.path.join(build, "cmin.log"), "wb") as log:
        do(log, ["afl-cmin", "-i", queue, "-o", least, "-m", "none", "-t", "4000", "--", program], **SANITIZERS, **AFL)
    fuzz.write_found("server", set(fuzz.read_files(least)) - set(fuzz.read_lines(f"{fuzz.CORPUS}/server.seeds")))


def bad_inputs(build):
    for kind in ("crashes", "hangs"):
        for path in sorted(glob.glob(os.path.join(build, "out", "default", kind, "id*"))):
            with open(path, "rb") as file:
                yield kind, path, file.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    program = build_all(build)
    if arguments.keep:
        keep(program, build)
        return 0
    for key, value in search(program, build, arguments.seconds).items():
        print(f"{key:<16}{value:>14}")
    bad = list(bad_inputs(build))
    for kind, path, data in bad:
        print(f"{kind}: again by {program} {path}\n  as a line of server.seeds: {fuzz.escape(data)}")
    print(f"{int(not bad)} passed, {int(bool(bad))} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
