#!/usr/bin/python3
"""Floods a service of its own with each of floods.py, and has a canary ask all the while: flood.py BUILD [SECONDS [NAME,...]].

A flood has failed where the canary was not answered, where the service holds more descriptors or
memory when it is over than before, or where something that came back was wrong. The last line is `N passed, N failed`.
"""
import json
import os
import resource
import subprocess
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path += [FOLDER, os.path.dirname(FOLDER)]

if __name__ == "__main__":
    os.environ["BUILD"] = os.path.abspath(sys.argv[1])

from floods import FLOODS  # noqa: E402
from service import SANITIZED, Service, descriptor_count, read_proc, resident_kb, wait_until  # noqa: E402

LEFT_KB = 12 << 10  # what malloc may keep of what it had; a leak is larger, by the number of connections that there were
HEADINGS = ("flood", "asked", "failed", "quiet: p50 / p99 / max ms", "flood: p50 / p99 / max ms", "server had a core / waited for one",
            "MiB before / most / after", "descriptors before / most / after")


def start(script, *arguments):
    return subprocess.Popen([sys.executable, os.path.join(FOLDER, script), *map(str, arguments)], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def said_by(process, seconds):
    output, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, f"{process.args} ended with {process.returncode}"
    return json.loads(output)


def times(canary):
    seconds = canary["seconds"]
    return " / ".join(f"{seconds[min(len(seconds) - 1, int(len(seconds) * part))] * 1000:.1f}" for part in (0.5, 0.99, 1))


def cpu_seconds(pid):
    """That it has had, and that it has waited for: proc(5), schedstat."""
    had, waited, _ = read_proc(pid, "schedstat").split() or (0, 0, 0)
    return int(had) / 1e9, int(waited) / 1e9


class Watch:
    """The server of a service, and its manager and zygote as far as descriptors are concerned."""

    def __init__(self, service):
        self.service, self.server = service, service.server_pid
        self.others = (service.manager_pid, service.zygote_pid)
        self.cpu = cpu_seconds(self.server)
        self.most = (0, 0)
        # A worker that the canary had may be missing for a moment, with what the zygote has of it.
        for _ in range(10):
            self.most = tuple(map(max, self.most, self.look()))
            time.sleep(0.05)
        self.before = self.most

    def look(self):
        """(KiB in memory, descriptors)"""
        if self.service.server_pid != self.server:
            return self.most  # it has died, which is told in the end
        return resident_kb(self.server), descriptor_count(self.server) + sum(map(descriptor_count, self.others))

    def watch(self, running):
        while any(one.poll() is None for one in running):
            self.most = tuple(map(max, self.most, self.look()))
            time.sleep(0.1)

    def settle(self):
        """Back to where it was, or as far as it gets in some seconds."""
        wait_until(lambda: not self.left(self.look()), 15, 0.1)
        self.after = self.look()
        return self.left(self.after)

    def left(self, now):
        found = []
        if now[0] > self.before[0] + LEFT_KB and not SANITIZED:
            found.append(f"{(now[0] - self.before[0]) >> 10} MiB more than before")
        if now[1] > self.before[1]:
            found.append(f"{now[1] - self.before[1]} descriptors more than before")
        return found


def begin(flood):
    behind = ["prlimit", f"--nofile={flood.files}:{flood.files}", "--"] if flood.files else []
    one = Service("--preload=", "--log=error", "--queue=512", *flood.options, behind=behind)
    one.wait_for_ready()
    return one


def metric(service, name):
    for line in service.ask("GET", "/metrics").body.decode().splitlines():
        if line.startswith(f"python_executor_{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


def look_after(flood, watch, did, scale):
    """What is wrong when it is over."""
    failures = did["wrong"] + watch.settle()
    if flood.keeps and did["most open"] < flood.keeps * scale:
        failures.append(f"only {did['most open']} connections could be had: see ulimit -n")
    if watch.service.server_pid != watch.server:
        failures.append("the server died")
    elif metric(watch.service, "held_bytes") or metric(watch.service, "requests_in_flight") != 1:
        failures.append("it still holds what was sent")
    watch.service.assert_well()
    return failures


def endure(one, name, seconds, quiet, scale=1.0):
    """One flood: (cells of its row, what the crowd did, what is wrong)."""
    flood = FLOODS[name]
    calm = said_by(start("canary.py", one.port, quiet), quiet + 60)
    watch = Watch(one)
    attack = start("attack.py", name, one.port, seconds, scale)
    canary = start("canary.py", one.port, seconds)
    watch.watch((attack, canary))
    heard, did = said_by(canary, 60), said_by(attack, 60)
    cpu = [(after - before) / seconds for after, before in zip(cpu_seconds(watch.server), watch.cpu)]
    failures = [f"the canary: {failure}" for failure in calm["failures"] + heard["failures"]] + look_after(flood, watch, did, scale)
    memory, files = zip(watch.before, watch.most, watch.after)
    row = (name, len(heard["seconds"]), len(heard["failures"]), times(calm), times(heard), " / ".join(f"{share:.0%}" for share in cpu),
           " / ".join(f"{kb / 1024:.0f}" for kb in memory), " / ".join(map(str, files)))
    return row, did, failures


def raise_files():
    """As many descriptors as may be had: the service inherits them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main():
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    wanted = sys.argv[3] if len(sys.argv) > 3 else ""
    names = [name for name in FLOODS if any(part and part in name for part in wanted.split(","))] if wanted else list(FLOODS)
    raise_files()
    failed = 0
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS), flush=True)
    for name in names:
        one = begin(FLOODS[name])
        try:
            row, did, failures = endure(one, name, seconds, min(5, seconds))
            one.stop()
        finally:
            one.kill()
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in did.items() if key != 'wrong')}", file=sys.stderr)
        for failure in failures[:5]:
            print(f"  {name}: {failure}", file=sys.stderr)
        failed += bool(failures)
    print(f"\n{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
