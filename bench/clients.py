"""Load, from this machine to this machine: as much as it takes (wrk), or at a pace. Every body is checked."""
import dataclasses
import os
import re
import socket
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


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection):
    """One answer: status and body. As little Python as it takes, since its time is in what is measured."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += more(connection)
    head, body = bytes(data[:end]), data[end + 4:]
    length = re.search(rb"\r\nContent-Length: *(\d+)", head, re.IGNORECASE)
    size = int(length.group(1)) if length else 0
    while len(body) < size:
        body += more(connection)
    return int(head[9:12]), bytes(body)


def more(connection):
    data = connection.recv(1 << 20)
    if not data:
        raise ConnectionError("the service has closed the connection")
    return data


def ask(connection, request):
    """The time of one request in ms, and whether its answer was the right one."""
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(request.body)}\r\n\r\n"
    message = head.encode() + request.body
    begun = time.perf_counter()
    connection.sendall(message)
    status, body = receive(connection)
    return (time.perf_counter() - begun) * 1e3, status == request.status and body == request.answer


def paced(port, request, count, pause):
    """One connection, a pause of so many seconds before each request. Returns times in ms, and how many were wrong."""
    times, wrong = [], 0
    with connect(port) as connection:
        for _ in range(count):
            time.sleep(pause)
            ms, right = ask(connection, request)
            times.append(ms)
            wrong += not right
    return times, wrong


def percentile(values, share):
    """By the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]
