#!/usr/bin/python3
"""Measures a build beside the usual design, a python3 started for each request: bench.py BUILD [SECONDS].

Both run on this machine in one run, in turns, so that a noisy machine hurts both alike; read the ratios.
The usual design is a small HTTP front end that starts `python3 runner.py` per request, without isolation.
"""
import http.client
import http.server
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SCRIPTS = {
    "empty": ("def main(): return 1", 1),
    "numpy": ("import numpy as np\ndef main(): return int(np.arange(10).sum())", 45),
    "pandas": ("import pandas as pd\ndef main(): return int(pd.DataFrame({'a': [1, 2, 3]}).a.sum())", 6),
}

RUNNER = """import json, sys
names = {"__name__": "__main__"}
exec(compile(sys.stdin.read(), "<string>", "exec"), names)
print(json.dumps({"result": names["main"](), "stdout": ""}))
"""

WRK = """
wrk.method = "POST"
wrk.body = %s
local expected = %s
threads = {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status, headers, body)
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
end
function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  local e = summary.errors
  print(string.format("RESULT %%d %%d %%d %%.2f %%.2f %%.0f", summary.requests, bad,
    e.connect + e.read + e.write + e.timeout, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, summary.requests / summary.duration * 1e6))
end
"""


class Spawner(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    runner = None

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = subprocess.run(
            ["/usr/bin/python3", self.runner], input=body["script"].encode(), stdout=subprocess.PIPE, check=True
        ).stdout
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def start_service(build):
    service = subprocess.Popen(
        [os.path.join(build, "python-executor"), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    for line in service.stdout:
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if found:
            return service, int(found.group(1))
    sys.exit("the service did not start")


def median_ms(port, name, count, pause=0.0):
    """One connection, one request after the other."""
    script, expected = SCRIPTS[name]
    body = json.dumps({"script": script})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        connection.request("POST", "/execute", body)
        answer = json.loads(connection.getresponse().read())
        times.append((time.perf_counter() - begun) * 1e3)
        assert answer["result"] == expected, answer
        time.sleep(pause)
    return statistics.median(times)


def wrk(port, name, connections, seconds):
    script, expected = SCRIPTS[name]
    body = json.dumps(json.dumps({"script": script}))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(WRK % (body, json.dumps('{"result": %d, "stdout": ""}' % expected)))
        lua.flush()
        output = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", lua.name,
             f"http://127.0.0.1:{port}/execute"],
            stdout=subprocess.PIPE, text=True, check=True,
        ).stdout
    return re.search(r"RESULT (.*)", output).group(1).split()


def measure(front_port, port, seconds):
    failures = 0
    print("script   spawned ms   ours, paced ms   ratio", flush=True)
    for name in SCRIPTS:
        spawned = median_ms(front_port, name, 12)
        ours = median_ms(port, name, 100, pause=0.03)
        print(f"{name:8} {spawned:10.2f} {ours:16.2f} {spawned / ours:7.0f}", flush=True)
    print("\nscript   connections   requests  wrong  errors   median ms    p99 ms   requests/s", flush=True)
    for name in SCRIPTS:
        for connections in (1, 2, 16, 64):
            requests, wrong, errors, median, p99, rate = wrk(port, name, connections, seconds)
            failures += int(wrong) + int(errors)
            print(f"{name:8} {connections:11} {requests:>10} {wrong:>6} {errors:>7} {median:>11} {p99:>9} {rate:>12}",
                  flush=True)
    return failures


def main():
    build = sys.argv[1]
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        Spawner.runner = os.path.join(folder, "runner.py")
        with open(Spawner.runner, "w") as file:
            file.write(RUNNER)
        front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Spawner)
        threading.Thread(target=front.serve_forever, daemon=True).start()
        service, port = start_service(build)
        try:
            failures = measure(front.server_port, port, seconds)
        finally:
            front.shutdown()
            service.terminate()
            service.wait()
    return 1 if failures else 0


sys.exit(main())
