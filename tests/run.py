#!/usr/bin/python3
"""Runs every test of a build folder and counts: run.py BUILD [pytest arguments].

Unit tests are programs that speak TAP; the rest is pytest. The last line is `N passed, N failed`, with
what the platform refused behind it. Unit tests skip what only root can do, with a line that says why;
skipped as root it counts as failed.
"""
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOTHING_CHOSEN = 5  # pytest's status


def count(output):
    """(passed, failed, skipped) in TAP; a whole program that is left out is `1..0 # SKIP why` and counts as one.
    To cmocka 1.1 a skipped test is `not ok`, to later ones `ok`."""
    lines = output.splitlines()
    skipped = [line for line in lines if re.match(r"(?:(?:not )?ok \d+|1\.\.0) # SKIP", line)]
    rest = [line for line in lines if line not in skipped]
    return (sum(line.startswith("ok ") for line in rest), sum(line.startswith("not ok ") for line in rest),
            len(skipped))


def unit_tests(build):
    """(passed, failed, skipped) over all test programs; their output is shown where one fails."""
    passed = failed = skipped = 0
    folders = [os.path.join(build, "tests", folder) for folder in ("unit", "fuzz")]
    paths = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in sorted(os.listdir(folder))
             if name.startswith("test_") and os.access(os.path.join(folder, name), os.X_OK)]
    paths = [path for path in paths if not os.path.isdir(path)]
    if not any("/unit/" in path for path in paths):
        print("there are no unit tests in this build: cmocka is missing")
        failed += 1
    for path in paths:
        name = os.path.basename(path)
        result = subprocess.run(
            [path], env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )
        good, bad, left_out = count(result.stdout)
        if "needs root" in result.stdout and os.geteuid() == 0:
            bad, left_out = bad + left_out, 0
        if result.returncode != 0 and bad == 0 or good + bad + left_out == 0:
            bad += 1  # it crashed, or ran nothing
        print(f"{name}: {good} passed, {bad} failed" + (f", {left_out} skipped" if left_out else ""), flush=True)
        if bad or left_out:
            print(result.stdout)
        passed += good
        failed += bad
        skipped += left_out
    return passed, failed, skipped


def pytest_counts(build, *arguments):
    """(passed, failed, skipped) of one pytest."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        result = subprocess.run(
            ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *arguments],
            env={**os.environ, "BUILD": os.path.abspath(build), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=ROOT, stdin=subprocess.DEVNULL,
        )
        if not os.path.exists(report):
            return 0, 1, 0
        suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    counts = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    bad = counts["failures"] + counts["errors"]
    if result.returncode not in (0, 1, NOTHING_CHOSEN):
        bad += 1
    return counts["tests"] - bad - counts["skipped"], bad, counts["skipped"]


def black_box_tests(build, arguments):
    """(passed, failed, skipped): a process for each core and one more, since tests wait for half of their time, and a file of
    tests is one process's; then those that want to be alone."""
    paths = [] if any(os.path.exists(os.path.join(ROOT, word)) for word in arguments) else [os.path.join(ROOT, "tests")]
    many = pytest_counts(build, "-n", str(os.cpu_count() + 1), "--dist=loadfile", "-m", "not alone", *paths, *arguments)
    alone = pytest_counts(build, "-m", "alone", *paths, *arguments)
    return tuple(map(sum, zip(many, alone)))


def main():
    build, *arguments = sys.argv[1:]
    passed, failed, skipped = unit_tests(build)
    more, bad, left_out = black_box_tests(build, arguments)
    passed += more
    failed += bad
    skipped += left_out
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


sys.exit(main())
