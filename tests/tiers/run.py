#!/usr/bin/python3
"""Runs the contract and attack corpora against the service on every platform: run.py BUILD [TIER…].

Each tier (platforms.py) is shown to be what its name says, then the service is started there, and answers both
corpora. The table at the end has passed/failed of every category; the last line is `N passed, N failed`. A tier
that cannot be set up here, or a service that does not start in it, is a failure, and is told in the words of
whoever refused it.

By hand: `run.py build gvisor --only fs,cpu-002` for some cases, `run.py build gvisor --serve` to have the service
up in a tier and talk to it from the host.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import corpus
import platforms
import prepare

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "second_opinion"))
import opinion  # noqa: E402

# Tiers; with more than there are CPUs innocent scripts run into their time limit.
AT_ONCE = int(os.environ.get("JOBS") or os.cpu_count() or 1)
START = 60  # seconds until the service must be ready
END = 15  # seconds to end after SIGTERM
READY = re.compile(r"^ready in [0-9.]+ s, listening on http://[0-9.]+:([0-9]+)$", re.M)
HERE = os.path.dirname(os.path.abspath(__file__))
BESIDE = [os.path.join(HERE, name) for name in ("probe.py", "footprint.py")] + [
    os.path.join(os.path.dirname(opinion.__file__), name) for name in ("outside.py", "portrait.py")]  # run in a tier


class Stopped(Exception):
    """Ctrl-C, as the threads of the tiers learn it."""


class Report:
    """What passed and failed, and a line of progress for each step."""

    def __init__(self):
        self.lock, self.begin, self.stopped = threading.Lock(), time.monotonic(), False
        self.counts = {}  # (tier, category): [passed, failed]

    def say(self, line):
        with self.lock:
            print(f"[{time.monotonic() - self.begin:5.1f} s] {line}", flush=True)

    def add(self, tier, category, name, why, quiet=False):
        """Counts a case; `why` it failed is shown, unless one line for many was shown already."""
        if self.stopped:
            raise Stopped
        with self.lock:
            self.counts.setdefault((tier.name, category), [0, 0])[bool(why)] += 1
        if why and not quiet:
            self.say(f"FAIL {tier.name} {name} [{category}]: {why}")

    def total(self, tier=None):
        rows = [count for (name, _), count in self.counts.items() if tier in (None, name)]
        return sum(row[0] for row in rows), sum(row[1] for row in rows)

    def table(self, tiers):
        """A line a category, a column a tier: what passed, and `/` what failed where something did."""
        def cell(count):
            return "-" if count is None else f"{count[0]}/{count[1]}"

        categories = list(dict.fromkeys(category for _, category in self.counts))
        width = max(len(name) for name in [*categories, "passed/failed"]) + 1
        print("passed/failed".ljust(width) + "".join(tier.name.rjust(13) for tier in tiers))
        for category in categories:
            cells = [cell(self.counts.get((tier.name, category))) for tier in tiers]
            print(category.ljust(width) + "".join(text.rjust(13) for text in cells))
        print("all".ljust(width) + "".join(cell(self.total(tier.name)).rjust(13) for tier in tiers))


class Service:
    """The service in a tier, from its start to its end."""

    def __init__(self, tier):
        self.tier, self.out = tier, ""
        self.log_path = os.path.join(tier.folder, "stderr")
        with open(self.log_path, "wb") as log:
            self.process = tier.serve(stderr=log)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.out += line.decode(errors="replace")

    def wait_for_port(self):
        """The port; None where it does not get ready."""
        end = time.monotonic() + START
        while time.monotonic() < end and not READY.search(self.out):
            if self.process.poll() is not None:
                self.reader.join(2)
                break
            time.sleep(0.05)
        found = READY.search(self.out)
        return int(found.group(1)) if found else None

    def said(self, most=600):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            text = (self.out + log.read()).strip()
        return text[-most:]

    def end(self):
        """How it ended on SIGTERM, empty where that was well."""
        self.process.terminate()
        try:
            code = self.process.wait(END)
        except subprocess.TimeoutExpired:
            return f"it did not end within {END} s"
        return f"it ended with status {code}: {self.said()}" if code else ""

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.tier.clean()


class Run:
    """All tiers of one call, and what they have in common."""

    def __init__(self, build, only, serve):
        self.build, self.only, self.serve, self.report = os.path.abspath(build), only, serve, Report()
        self.cache_folder = os.path.join(self.build, "tiers")
        os.makedirs(self.cache_folder, exist_ok=True)
        self.folder = tempfile.mkdtemp(prefix="tiers-", dir="/run")  # podman wants its paths short
        os.chmod(self.folder, 0o755)
        self.cache_lock, self.cached = threading.Lock(), {}
        self.services = set()

    def make_stage(self):
        """A folder that every tier sees as /srv: the programs, and what looks at the platform."""
        stage = os.path.join(self.folder, "stage")
        os.mkdir(stage, 0o755)
        for path in [os.path.join(self.build, name) for name in prepare.PROGRAMS] + BESIDE:
            shutil.copy(path, stage)
        return stage

    def cache(self, what, *arguments):
        """Makes a part of a platform once, and has it from then on."""
        make = {"stage": self.make_stage,
                "root": lambda: prepare.root_file_system(self.cache_folder, self.build),
                "profile": lambda: prepare.docker_profile(self.cache_folder),
                "gvisor": lambda year: prepare.gvisor(self.cache_folder, year)}[what]
        with self.cache_lock:
            if (what, arguments) not in self.cached:
                begin = time.monotonic()
                self.cached[what, arguments] = make(*arguments)
                if time.monotonic() - begin > 3:
                    self.report.say(f"made: {' '.join(map(str, (what, *arguments)))}")
            return self.cached[what, arguments]

    def check_platform(self, tier):
        """Shows what the platform grants, and holds it against what the tier is to be."""
        found = tier.probe()
        self.report.say(f"{tier.name}: " + describe(found))
        for key, wanted in tier.grants.items():
            value = found["calls"].get(key, found.get(key))
            met = value not in ("ok", "killed") if wanted == platforms.REFUSED else value == wanted
            self.report.add(tier, "platform", key, "" if met else f"{value}, but this tier is to have {wanted}")

    def run_service(self, tier):
        service = Service(tier)
        self.services.add(service)
        try:
            port = service.wait_for_port()
            if port is None:
                self.report.add(tier, "start", "ready", f"the service did not start: {service.said()}")
                return
            self.report.add(tier, "start", "ready", "")
            if self.serve:
                self.report.say(f"{tier.name}: until Ctrl-C:\n{service.said(10000)}")
                service.process.wait()
            for name, why in tier.also():
                self.report.add(tier, "start", name, why)
            self.attack(tier, service.process, port)
            self.report.add(tier, "start", "ends on SIGTERM", service.end())
        finally:
            service.kill()
            self.services.discard(service)

    def attack(self, tier, process, port):
        """What the service is put to."""
        corpus.run(tier, process, port, self.only, self.report)

    def run_tier(self, tier):
        begin = time.monotonic()
        folder = os.path.join(self.folder, tier.name)
        os.mkdir(folder)
        try:
            tier.prepare(folder, self.cache)
            self.check_platform(tier)
            self.run_service(tier)
        except prepare.Unavailable as error:
            self.report.add(tier, "platform", "set-up", f"not started: {error}")
        except (OSError, ValueError, subprocess.SubprocessError) as error:  # a tier's trouble is not the others'
            self.report.add(tier, "platform", "run", f"{type(error).__name__}: {error}")
        passed, failed = self.report.total(tier.name)
        self.report.say(f"{tier.name}: {passed} passed, {failed} failed in {time.monotonic() - begin:.0f} s")

    def stop(self):
        self.report.stopped = True
        for service in list(self.services):
            service.kill()

    def clean(self):
        """Leaves nothing: podman's own cleaning goes on for a moment after a container, and may mount again."""
        end = time.monotonic() + END
        while time.monotonic() < end and processes_with(self.folder):
            time.sleep(0.05)
        for pid in processes_with(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with open("/proc/self/mounts", encoding="utf-8") as file:
            below = [line.split()[1] for line in file if line.split()[1].startswith(self.folder + "/")]
        for path in reversed(below):
            subprocess.run(["umount", "--lazy", path], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class WithSecondOpinion(Run):
    """The same, and what tests/second_opinion has to say in short."""

    def attack(self, tier, process, port):
        super().attack(tier, process, port)
        if opinion.KNOWS_MACHINE and (not self.only or opinion.CATEGORY in self.only):
            with corpus.place():
                opinion.short(tier, process, port, self.report)


def processes_with(path):
    """The processes that have a path in their arguments; ours, as it is like no other."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            if path.encode() in file.read() and int(name) != os.getpid():
                found.append(int(name))
    return found


def describe(found):
    """What the probe found, in a line."""
    calls = found["calls"]
    facts = [f"{key} {value}" for key, value in found.items() if key != "calls"]
    refused = [f"{name} {value}" for name, value in calls.items() if value != "ok"]
    granted = [name for name, value in calls.items() if value == "ok"]
    return f"{', '.join(facts)}; refused: {', '.join(refused) or 'nothing'}; granted: {', '.join(granted)}"


def arguments(every):
    """The options, and which of `every` tier they name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("tiers", nargs="*", metavar="tier")
    parser.add_argument("--only", type=lambda text: text.split(","), help="categories and names of cases")
    parser.add_argument("--serve", action="store_true", help="start the service and leave it alone")
    return chosen(parser, parser.parse_args(), every)


def chosen(parser, options, every):
    """The options, and the tiers that they name or else all; ends the program where that makes no sense."""
    unknown = set(options.tiers) - {tier.name for tier in every}
    if unknown:
        parser.error(f"there is no tier {', '.join(unknown)}, but {', '.join(tier.name for tier in every)}")
    if os.geteuid() != 0:
        parser.error("run this as root: it sets up platforms")
    return options, [tier for tier in every if not options.tiers or tier.name in options.tiers]


def apart(tiers):
    """In an order in which the two that are slow for the CPU they take are not beside each other."""
    order = ["gvisor", "root", "user+userns", "gvisor-2022"]
    return sorted(tiers, key=lambda tier: order.index(tier.name) if tier.name in order else len(order))


def run_all(run, tiers, other=None):
    """The exit status. `other` is called beside the tiers, and has a column of its own: other.tier."""
    for sign in (signal.SIGINT, signal.SIGTERM):  # even where a shell has us ignore the first
        signal.signal(sign, signal.default_int_handler)
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    try:
        works = [pool.submit(other)] if other else []
        for work in works + [pool.submit(run.run_tier, tier) for tier in apart(tiers)]:
            work.result()
    except KeyboardInterrupt:
        run.report.say("stopped")
        return 130
    finally:
        run.stop()
        pool.shutdown(cancel_futures=True)
        run.clean()
    run.report.table([other.tier, *tiers] if other else tiers)
    passed, failed = run.report.total()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main():
    options, tiers = arguments(platforms.all_tiers())
    return run_all(WithSecondOpinion(options.build, options.only, options.serve), tiers)


if __name__ == "__main__":
    sys.exit(main())
