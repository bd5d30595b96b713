"""What the line of a request costs the server: `bench/logs.py build`, in CPU time of the server's process.

OPTIONS is answered without a run and so shows the cost best. The services take turns; the log goes into a pipe that
`cat` empties, so that lines are written and read as in a container.
"""
import argparse
import os
import re
import statistics
import subprocess
import time

import clients
import processes
from scripts import FLOOR

KINDS = {
    "off": ["--access-log=off"],
    "JSON": ["--log-format=json", "--log-rate=1000000"],
    "text": ["--log-format=text", "--log-rate=1000000"],
    "JSON, 1000 a second": ["--log-format=json"],
}


class Service:
    def __init__(self, build, number, options):
        self.sink = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        command = [os.path.join(build, "python-executor"), "--port=0", "--preload=", f"--uid-base={330_000_000 + number * 3000}", *options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.sink.stdin, text=True)
        self.port = next(int(found[1]) for line in self.process.stdout if (found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)))
        self.server = next(pid for pid in processes.tree(self.process.pid) if processes.command(pid) == "python-executor-server")

    def cpu_us(self):
        user, system = processes.read(self.server, "stat").rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) * 1e6 / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.terminate()
        self.process.wait(15)
        self.sink.stdin.close()
        self.sink.wait(15)


def measure(service, connections, seconds):
    before = service.cpu_us()
    load = clients.wrk(service.port, FLOOR, connections, seconds)
    assert not load.wrong and not load.errors, load
    return (service.cpu_us() - before) / load.requests, load.requests / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    services = {kind: Service(options.build, number, flags) for number, (kind, flags) in enumerate(KINDS.items())}
    time.sleep(1)
    print(f"load {os.getloadavg()[0]:.1f}; median of {options.rounds} turns, least and most")
    for connections in (1, 16):
        seen = {kind: [] for kind in services}
        for turn in range(options.rounds):
            for kind in list(services)[turn % 4:] + list(services)[:turn % 4]:
                seen[kind].append(measure(services[kind], connections, options.seconds))
        for kind, values in seen.items():
            costs = [cost for cost, _ in values]
            print(f"{connections:3} connections  {kind:20} {statistics.median(costs):6.2f} µs CPU a request ({min(costs):.2f} … {max(costs):.2f}), "
                  f"{statistics.median([rate for _, rate in values]):7.0f} requests/s", flush=True)
    for service in services.values():
        service.close()


if __name__ == "__main__":
    main()
