#!/usr/bin/python3
"""Which lines the tests run: coverage.py BUILD [pytest arguments].

Builds BUILD with gcc's counters, runs the unit tests and those of pytest against it, and reports: BUILD/coverage.txt has
every file with the lines that nothing ran, BUILD/coverage/index.html shows them, and a table has the folders. What reads
bytes from outside, and the sandbox, must be above 90 % of lines; the last line is `N passed, N failed` of that. How
confined processes are counted: see shared.c.
"""
import collections
import glob
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WANTED = 90

# What reads bytes of clients, workers, operators and files.
PARSERS = ["base/config", "base/flavour", "base/layer", "base/utf8", "wire/frame", "wire/key", "wire/message", "server/compose", "server/files",
           "server/framing", "server/headers", "server/json", "server/judge", "server/mcp", "server/origin", "server/request",
           "server/tool", "server/trace", "cli/arguments", "cli/inifile", "cli/keys"]

# gcc makes of fork() one that forgets what was counted.
NO_WRAPPERS = ["-fno-builtin-" + name for name in ("fork", "execl", "execlp", "execle", "execv", "execvp", "execve")]
COMPILE = ["--coverage", "-fprofile-update=atomic", "-fdata-sections", "-fprofile-abs-path", *NO_WRAPPERS]


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def build(folder):
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        os.makedirs(os.path.join(folder, "counters"), exist_ok=True)
        os.chmod(os.path.join(folder, "counters"), 0o777)
        shared = os.path.join(folder, "shared.o")
        run("cc", "-O2", "-Wall", "-Wextra", "-fPIC", f'-DCOVERAGE_FOLDER="{folder}/counters"', "-c", os.path.join(HERE, "shared.c"), "-o", shared)
        link = ["--coverage", "-Wl,--wrap=__gcov_exit", "-Wl,-T," + os.path.join(HERE, "shared.ld"), shared]
        run("meson", "setup", folder, "-Doptimization=g", "-Dc_args=" + str(COMPILE), "-Dc_link_args=" + str(link),
            cwd=ROOT, stdout=subprocess.DEVNULL)
    run(os.path.join(ROOT, "tools", "build"), folder)


def forget(folder):
    for path in glob.glob(os.path.join(folder, "counters", "*")) + glob.glob(os.path.join(folder, "**", "*.gcda"), recursive=True):
        os.remove(path)


def dump(folder):
    """Every program adds what its processes have counted to the .gcda files."""
    for counters in sorted(glob.glob(os.path.join(folder, "counters", "*"))):
        found = [path for path in glob.glob(os.path.join(folder, "**", os.path.basename(counters)), recursive=True) if path != counters]
        if len(found) == 1 and os.access(found[0], os.X_OK):
            run(found[0], env={**os.environ, "PX_COVERAGE_DUMP": "1"})


def report(folder):
    """{file: (lines that were run, lines)}."""
    html, summary = os.path.join(folder, "coverage"), os.path.join(folder, "coverage.json")
    shutil.rmtree(html, ignore_errors=True)
    os.makedirs(html)
    run("gcovr", "--root", ROOT, "--object-directory", folder, "--filter", os.path.join(ROOT, "src") + "/", "--exclude-unreachable-branches",
        "--txt", os.path.join(folder, "coverage.txt"), "--html-details", os.path.join(html, "index.html"), "--json-summary", summary, folder,
        cwd=folder, stderr=subprocess.DEVNULL)
    with open(summary, encoding="utf-8") as file:
        files = json.load(file)["files"]
    return {one["filename"].removeprefix("src/").removesuffix(".c"): (one["line_covered"], one["line_total"]) for one in files}


def row(name, covered, total):
    print(f"| {name} | {total} | {covered} | {100 * covered / total if total else 100:.1f} |")
    return total == 0 or 100 * covered / total > WANTED


def show(files):
    """(passed, failed)"""
    folders = collections.defaultdict(lambda: [0, 0])
    for name, counts in files.items():
        for i in (0, 1):
            folders["src/" + name.split("/")[0]][i] += counts[i]
            folders["src"][i] += counts[i]
    print("| | lines | run | % |\n|---|---|---|---|")
    for folder in sorted(folders):
        row(f"`{folder}`", *folders[folder])
    print("\n| must be above 90 % | lines | run | % |\n|---|---|---|---|")
    good = [row("`src/sandbox`", *folders["src/sandbox"])]
    good += [row(f"`{name}.c`", *files.get(name, (0, 1))) for name in PARSERS]
    return sum(good), len(good) - sum(good)


def main():
    folder, *arguments = sys.argv[1:]
    folder = os.path.abspath(folder)
    build(folder)
    forget(folder)
    tests = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tests", "run.py"), folder, *arguments], check=False)
    dump(folder)
    passed, failed = show(report(folder))
    print(f"the lines: {folder}/coverage.txt and {folder}/coverage/index.html")
    if tests.returncode != 0:
        print("tests failed: what they would have run is not counted")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
