#!/usr/bin/python3
"""Reads the code without running it: read.py BUILD CLANG-BUILD [FILE...].

clang-tidy (.clang-tidy says with which checks), cppcheck and gcc's -fanalyzer go over every file of src/, with the flags
that it is built with. What is known and stays is a table in docs/TESTING.md, each row with its reason; all else counts as
failed. The last line is `N passed, N failed`; a file that a tool has nothing to say about has passed.
"""
import collections
import concurrent.futures
import json
import os
import platform
import re
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "TESTING.md")
CPPCHECK = ["cppcheck", "--enable=warning,performance,portability", "--std=c11", "--quiet", f"-D__{platform.machine()}__", "-D__linux__",
            "--template={file}:{line}:{column}: warning: {message} [{id}]"]
PROGRESS = 20  # files

# With colour off every one of them says so.
FINDING = re.compile(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*) \[(?:-W)?([\w.,-]+)\]$", re.M)
Finding = collections.namedtuple("Finding", "tool check file line text")


def explained():
    """{(tool, check, file)} of the rows `| tool | check | file | why |`."""
    with open(PAGE, encoding="utf-8") as file:
        rows = re.findall(r"^\| (clang-tidy|cppcheck|gcc) \| `([^`]+)` \| `([^`]+)` \| \S.* \|$", file.read(), re.M)
    return set(rows)


def commands(build):
    """{file: (its command, the folder of that)} of what is built of src/."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        path = os.path.relpath(os.path.realpath(os.path.join(entry["directory"], entry["file"])), ROOT)
        if path.startswith("src/"):
            found[path] = (shlex.split(entry["command"]), entry["directory"])
    return found


def run(command, folder=ROOT):
    result = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env={**os.environ, "LC_ALL": "C.UTF-8", "GCC_COLORS": ""})
    return result.returncode, result.stdout


def findings(tool, output, folder):
    found = set()
    for path, line, text, check in FINDING.findall(output):
        path = os.path.relpath(os.path.realpath(os.path.join(folder, path)), ROOT)
        found.add(Finding(tool, check, path, int(line), text))
    return found


def one_file(tool, path, command, folder):
    """A tool that could not read its file has found that."""
    if tool == "gcc":
        at = command.index("-o")
        told, where = command[:at] + ["-o", "/dev/null", "-fanalyzer", "-Wno-error", "-fdiagnostics-color=never"] + command[at + 2 :], folder
    elif tool == "clang-tidy":
        # One at a time: of a second one version 14 thinks that va_start() is unknown.
        told, where = ["clang-tidy", "-p", folder, "--quiet", os.path.join(ROOT, path)], folder
    else:
        flags = [word for word in command if re.match(r"-[IDU](?!/)", word)]  # of libraries' headers it understands too little
        told, where = [*CPPCHECK, *flags, os.path.join(ROOT, path)], folder
    status, output = run(told, where)
    found = findings(tool, output, where)
    if status != 0 and not found:
        found = {Finding(tool, "failed", path, 0, output[-2000:])}
    return found


def analyse(build, clang_build, files):
    """{(tool, file): findings} of these files, or of all."""
    for_gcc, for_clang = commands(build), commands(clang_build)
    for_gcc = {path: for_gcc[path] for path in files or for_gcc}
    work = [(tool, path, *(for_clang if tool == "clang-tidy" else for_gcc)[path])
            for path in sorted(for_gcc) for tool in ("clang-tidy", "cppcheck", "gcc")]
    done = {}
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for item, found in zip(work, pool.map(lambda item: one_file(*item), work)):
            done[item[:2]] = found
            if len(done) % (3 * PROGRESS) == 0:
                print(f"{len(done) // 3} of {len(for_gcc)} files", flush=True)
    return done


def main():
    build, clang_build, *files = sys.argv[1:]
    done, known = analyse(os.path.abspath(build), os.path.abspath(clang_build), files), explained()
    all_found = sorted(set().union(*done.values()))
    stray = [one for one in all_found if (one.tool, one.check, one.file) not in known]
    for one in stray:
        print(f"{one.file}:{one.line}: {one.tool}: {one.text} [{one.check}]")
    for row in sorted(() if files else known - {(one.tool, one.check, one.file) for one in all_found}):
        print(f"not seen here, but explained in docs/TESTING.md: {' '.join(row)}")
    for tool in ("clang-tidy", "cppcheck", "gcc"):
        version = run([tool, "--version"])[1]
        print(f"{tool} {re.search(r'[0-9]+[.][0-9.]+', version).group()}: {sum(one.tool == tool for one in all_found)} found, "
              f"{sum(one.tool == tool for one in stray)} of them not explained")
    passed = sum(not set(stray) & found for found in done.values())
    print(f"{passed} passed, {len(stray)} failed")
    return 1 if stray or not passed else 0


sys.exit(main())
