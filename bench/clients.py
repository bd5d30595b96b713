"""Load, from this machine to this machine: as much as it takes (wrk), or at a pace. Every body is checked."""
import dataclasses
import http.client
import os
import re
import subprocess
import tempfile
import time

import processes

WRK = """
local function text(path) local file = io.open(path, "rb"); local all = file:read("*a"); file:close(); return all end
wrk.method = "%(method)s"
wrk.body = text("%(folder)s/body")
local expected = text("%(folder)s/answer")
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status, headers, body)
  if status ~= %(status)d or body ~= expected then wrong = wrong + 1 end
end
function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  local e = summary.errors
  print(string.format("RESULT %%d %%d %%d %%.3f %%.3f %%.3f %%.2f", summary.requests, bad,
    e.connect + e.read + e.write + e.timeout, latency:percentile(50) / 1000, latency:percentile(95) / 1000,
    latency:percentile(99) / 1000, summary.requests / summary.duration * 1e6))
end
"""


@dataclasses.dataclass
class Load:
    """What one run of wrk saw; times in ms, rate in requests/s."""

    requests: int
    wrong: int
    errors: int
    p50: float
    p95: float
    p99: float
    rate: float


def wrk(port, request, connections, seconds):
    """A closed loop: each connection sends its next request when it has its answer."""
    with tempfile.TemporaryDirectory() as folder:
        lua = WRK % {"method": request.method, "folder": folder, "status": request.status}
        for name, content in (("body", request.body), ("answer", request.answer), ("wrk.lua", lua.encode())):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        output = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", os.path.join(folder, "wrk.lua"),
             f"http://127.0.0.1:{port}{request.path}"],
            stdout=subprocess.PIPE, text=True, check=True, preexec_fn=processes.end_with_us).stdout
    values = re.search(r"RESULT (.*)", output).group(1).split()
    return Load(*map(int, values[:3]), *map(float, values[3:]))


def ask(connection, request):
    """The time of one request in ms, and whether its answer was the right one."""
    begun = time.perf_counter()
    connection.request(request.method, request.path, request.body)
    answer = connection.getresponse()
    body = answer.read()
    return (time.perf_counter() - begun) * 1e3, answer.status == request.status and body == request.answer


def paced(port, request, count, pause):
    """One connection, a pause of so many seconds before each request. Returns times in ms, and how many were wrong."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times, wrong = [], 0
    try:
        for _ in range(count):
            time.sleep(pause)
            ms, right = ask(connection, request)
            times.append(ms)
            wrong += not right
    finally:
        connection.close()
    return times, wrong


def percentile(values, share):
    """By the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]
