"""Whether wrong keys slow right ones: keys.py [seconds]. Starts the service with 1,000 keys, and asks at a pace with the last
of them: alone, beside 1,000 requests a second with wrong keys, and beside as many GET /healthz, which need none and show what
the traffic itself takes of this machine. Rounds of all three take turns, so that what else the machine does meets each alike.
"""
import hashlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time

import clients

PROGRAM = os.path.join(os.environ.get("BUILD") or os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build"),
                       "python-executor")
KEYS, PER_SECOND, ROUNDS, PAUSE, COUNTED = 1000, 1000, 5, 0.005, 10000
BODY = b'{"script": "def main(): return 1"}'
ANSWER = b'{"result": 1, "stdout": ""}'


def message(method, path, key, body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def disturb(port, method, path, body, status, seconds, count):
    """At a fixed pace, each over the one connection; says how many were answered as they should be."""
    end, answered, due = time.monotonic() + seconds, 0, time.monotonic()
    with clients.connect(port) as connection:
        while time.monotonic() < end:
            connection.sendall(message(method, path, f"{answered:048x}", body))
            answered += clients.receive(connection)[0] == status
            due += 1 / PER_SECOND
            time.sleep(max(0, due - time.monotonic()))
    count.value = answered


def measure(port, key, seconds):
    times, end = [], time.monotonic() + seconds
    with clients.connect(port) as connection:
        while time.monotonic() < end:
            time.sleep(PAUSE)
            begun = time.perf_counter()
            connection.sendall(message("POST", "/execute", key, BODY))
            if clients.receive(connection) != (200, ANSWER):
                raise SystemExit("a right key got another answer")
            times.append((time.perf_counter() - begun) * 1e3)
    return times


def beside(port, key, seconds, disturbance):
    """The times, and how many a second came beside."""
    if disturbance is None:
        return measure(port, key, seconds), 0
    count = multiprocessing.Value("q", 0)
    other = multiprocessing.Process(target=disturb, args=(port, *disturbance, seconds, count), daemon=True)
    other.start()
    times = measure(port, key, seconds)
    other.join()
    return times, count.value / seconds


def server_cpu(service):
    """Seconds that the server has used so far; it is the child of that name."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                name = file.read().split(b"\0")[0]
        except OSError:
            continue
        if int(fields[1]) == service.pid and name == b"python-executor-server":
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise SystemExit("there is no server")


def cost(service, port, method, path, body, status):
    """Microseconds of the server's CPU for each such request, which no other load can lengthen by much."""
    before = server_cpu(service)
    with clients.connect(port) as connection:
        for i in range(COUNTED):
            connection.sendall(message(method, path, f"{i:048x}", body))
            if clients.receive(connection)[0] != status:
                raise SystemExit("a wrong key got another answer")
    return (server_cpu(service) - before) / COUNTED * 1e6


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    kinds = {"alone": None, "beside wrong keys": ("POST", "/execute", BODY, 401), "beside /healthz": ("GET", "/healthz", b"", 200)}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "keys")
        with open(path, "w", encoding="ascii") as file:
            for i in range(KEYS):
                file.write(f"key-{i} sha256:{hashlib.sha256(f'secret-{i}'.encode()).hexdigest()}\n")
        os.chmod(path, 0o600)
        service = subprocess.Popen([PROGRAM, "--port=0", f"--keys={path}", "--preload=", "--log-format=text", "--access-log=off", f"--uid-base={400_000_000 + os.getpid() % 1000 * 3000}"],
                                   stdout=subprocess.PIPE, text=True)
        try:
            port = next(int(line.rsplit(":", 1)[1]) for line in service.stdout if line.startswith("ready"))
            key = f"secret-{KEYS - 1}"
            measure(port, key, 1)
            found = {kind: [] for kind in kinds}
            rates = {kind: [] for kind in kinds}
            for _ in range(ROUNDS):
                for kind, disturbance in kinds.items():
                    times, rate = beside(port, key, seconds, disturbance)
                    found[kind] += times
                    rates[kind].append(rate)
            costs = {kind: cost(service, port, *disturbance) for kind, disturbance in kinds.items() if disturbance}
        finally:
            service.terminate()
            service.wait()
    print(f"a run with one of {KEYS} keys, {ROUNDS} rounds of {seconds:g} s each, ms:")
    for kind, times in found.items():
        p50, p95, p99 = (clients.percentile(times, share) for share in (50, 95, 99))
        print(f"{kind:>18}: p50 {p50:.2f}  p95 {p95:.2f}  p99 {p99:.2f}  ({len(times)} runs, {sum(rates[kind]) / ROUNDS:.0f}/s beside)")
    print("the server's CPU for each of these others: " + ", ".join(f"{kind.removeprefix('beside ')} {us:.0f} us" for kind, us in costs.items()))


if __name__ == "__main__":
    main()
