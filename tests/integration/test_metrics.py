"""GET /metrics: every number equal to what its clients have counted themselves."""
import collections
import http.client
import json
import os
import random
import re
import signal
import socket
import time

from exposition import Metrics, promtool, scrape
from service import ROOT, Background, needs_poverty, order, read_proc, status_field, together, unsanitized, wait_until

SLEEP = "import time\ndef main(): time.sleep({})"
LIMIT = {"limits": {"wall_ms": 200}}

# name: (script, other keys, how its process was killed)
RUNS = {
    "ok": ("def main(): print('hi'); return [1, {'a': None}]", {}, None),
    "numpy": ("import numpy\ndef main(): return int(numpy.arange(5).sum())", {}, None),
    "details": ("def main(): return 1", {"details": True}, None),
    "no_main": ("x = 1", {}, None),
    "exception": ("def main(): raise ValueError('\"\\n\\\\outcome=')", {}, None),
    "not_serializable": ("def main(): return {1}", {}, None),
    "output_limit": ("def main(): return 'x' * 9_000_000", {}, None),
    "timeout": ("def main():\n while True: pass", LIMIT, "deadline"),
    "memory": ("def main(): raise MemoryError", {}, None),
    "killed": ("import os\ndef main(): os.abort()", {}, "signal"),
    "exited": ("import os\ndef main(): os._exit(3)", {}, None),
}
OUTCOMES = {"numpy": "ok", "details": "ok"}


def call(arguments):
    """Of the Model Context Protocol."""
    params = {"name": "run_python", "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


# (method, path, body, why a run that was wanted is none)
OTHERS = [
    ("POST", "/execute", b"{}", "invalid"), ("POST", "/execute", b"\xff", "invalid"), ("POST", "/execute", b"", "invalid"),
    ("POST", "/execute", order("x = 1", limits={"wall_ms": 0}), "invalid"),
    ("POST", "/execute", order("#" * (1 << 20) + "#"), "too_large"), ("POST", "/execute", b" " * (17 << 20), "too_large"),
    ("GET", "/execute", None, None), ("PUT", "/metrics", b"12345", None), ("GET", "/nowhere", None, None), ("POST", "/nowhere", b"123", None),
    ("GET", "/isolation", None, None), ("HEAD", "/isolation", None, None), ("OPTIONS", "/readyz", None, None), ("GET", "/healthz", None, None),
    ("HEAD", "/metrics", None, None),
    ("POST", "/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}', None), ("POST", "/mcp", b"[]", None),
    ("POST", "/mcp", call({"script": "def main(): return 1"}), None), ("POST", "/mcp", call({"script": 1}), "invalid"),
]


class Client:
    """Does its requests over one connection, and counts what it sent and got."""

    def __init__(self, service):
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        self.counts = collections.Counter()
        self.times = {"queue": [], "run": [], "total": []}  # µs

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body=body)
        answer = self.connection.getresponse()
        text = answer.read()
        self.counts["code", str(answer.status)] += 1
        self.counts["sent"] += len(body or b"")
        self.counts["got"] += len(text)
        outcome = answer.headers["Execution-Outcome"]
        if outcome is not None:
            self.counts["outcome", outcome] += 1
            for name, ms in re.findall(r"(\w+);dur=([0-9.]+)", answer.headers["Server-Timing"]):
                self.times[name].append(round(float(ms) * 1000))
        return answer.status, outcome, text

    def do(self, what):
        if isinstance(what, str):
            script, keys, kill = RUNS[what]
            _, outcome, _ = self.ask("POST", "/execute", order(script, **keys))
            assert outcome == OUTCOMES.get(what, what)
            self.counts["kill", kill] += kill is not None
        else:
            method, path, body, reason = what
            status, _, _ = self.ask(method, path, body)
            self.counts["rejected", reason] += reason is not None
            assert reason is None or status in (400, 413) or path == "/mcp"

    def work(self, plan):
        for what in plan:
            self.do(what)
        self.connection.close()
        return self


def grown(after, before, name, label):
    """By how much each has grown, without those that have not."""
    return {key: value - before.by(name, label)[key] for key, value in after.by(name, label).items()
            if value != before.by(name, label)[key]}


def counted(clients, kind):
    counts = collections.Counter()
    for client in clients:
        counts.update({key[1]: value for key, value in client.counts.items() if key[0] == kind and value > 0})
    return dict(counts)


def summed(clients, name):
    return sum(client.counts[name] for client in clients)


def check_equal(before, after, clients):
    """All that can be counted from the outside. `before` was itself an answer, and `after` did not count itself yet."""
    codes = collections.Counter(counted(clients, "code"))
    codes["200"] += 1
    assert grown(after, before, "python_executor_http_responses_total", "code") == dict(codes)
    assert grown(after, before, "python_executor_runs_total", "outcome") == counted(clients, "outcome")
    assert grown(after, before, "python_executor_rejected_total", "reason") == counted(clients, "rejected")
    assert grown(after, before, "python_executor_kills_total", "reason") == counted(clients, "kill")
    assert after.total("python_executor_received_bytes_total") - before.total("python_executor_received_bytes_total") == summed(clients, "sent")
    assert after.total("python_executor_sent_bytes_total") - before.total("python_executor_sent_bytes_total") == summed(clients, "got") + before.size
    for name in ("queue", "run", "total"):
        check_histogram(before, after, f"python_executor_{name}_seconds", [us for client in clients for us in client.times[name]])


def check_histogram(before, after, name, times):
    """Server-Timing has all digits that the sum has, so they are equal to the last."""
    assert round((after.value(f"{name}_sum") - before.value(f"{name}_sum")) * 1e6) == sum(times)
    for bound, count in after.buckets(name).items():
        assert count - before.buckets(name)[bound] == sum(us <= bound * 1e6 for us in times), (name, bound)


COUNTERS = ("_total", "_bucket", "_count", "_sum")


def watch(service, client, until):
    """Reads it all the while: always sound, no counter ever goes back, and nothing is above its limit."""
    last, scrapes = None, 0
    while not until():
        status, _, text = client.ask("GET", "/metrics")
        metrics = Metrics(text.decode("ascii"))
        assert status == 200
        for (name, labels), value in (last or {}).items():
            assert not name.endswith(COUNTERS) or metrics[(name, labels)] >= value, (name, labels)
        assert metrics.value("python_executor_running") <= metrics.value("python_executor_workers_limit")
        assert metrics.by("python_executor_workers", "state")["busy"] == metrics.value("python_executor_running")
        assert metrics.value("python_executor_queue_depth") <= metrics.value("python_executor_queue_limit")
        last, scrapes = metrics, scrapes + 1
    assert scrapes > 0
    return client


def test_equal_to_what_clients_count_under_load(start):
    one = start("--workers=3", "--preload=numpy")
    plan = [what for what in [*RUNS, *OTHERS] for _ in range(2)]
    clients = [Client(one) for _ in range(6)]
    before = scrape(one)
    running = [Background(client.work, random.Random(i).sample(plan, len(plan))) for i, client in enumerate(clients)]
    watcher = Background(watch, one, Client(one), lambda: not any(client.running for client in running))
    clients = [client.get() for client in running] + [watcher.get()]
    after = scrape(one)
    check_equal(before, after, clients)
    runs = sum(counted(clients, "outcome").values())
    assert runs == 6 * 2 * (len(RUNS) + 1)  # one of them is a call of the tool
    assert after.value("python_executor_queue_seconds_count") == runs == after.total("python_executor_runs_total")
    # Three at once cannot have had six clients: some have waited, and the histogram says so.
    assert after.buckets("python_executor_queue_seconds")[0.0005] < runs
    assert after.value("python_executor_running") == after.value("python_executor_queue_depth") == 0
    checked = promtool("check", "metrics", text=one.ask("GET", "/metrics").body.decode())
    assert (checked.returncode, checked.stdout) == (0, b"")


def test_streams_are_counted_by_what_they_send(start):
    one = start("--preload=")
    before = scrape(one)
    clients = [Client(one) for _ in range(4)]
    scripts = ["def main():\n    for i in range(500): print(i)\n    return 1", "x = 1", "def main(): return {1}"]

    def work(client):
        for script in scripts:
            client.ask("POST", "/execute", order(script, stream=True))
        return client

    clients = together(*[lambda client=client: work(client) for client in clients])
    after = scrape(one)
    assert grown(after, before, "python_executor_runs_total", "outcome") == {"ok": 4, "no_main": 4, "not_serializable": 4}
    assert grown(after, before, "python_executor_http_responses_total", "code") == {"200": 13}
    assert after.total("python_executor_sent_bytes_total") - before.total("python_executor_sent_bytes_total") == summed(clients, "got") + before.size
    assert after.value("python_executor_total_seconds_count") == 12


def begin(service):
    """A run that lasts until its client goes away."""
    body = order(SLEEP.format(60))
    client = socket.create_connection(("127.0.0.1", service.port))
    client.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return client


def wait_for(service, name, value, **labels):
    assert wait_until(lambda: scrape(service).value(name, **labels) == value, 30), scrape(service)


def rejected(service):
    return {key: value for key, value in scrape(service).by("python_executor_rejected_total", "reason").items() if value}


def test_who_is_sent_away(start):
    one = start("--workers=1", "--queue=2", "--queue-ms=60000", "--wall-ms=60000", "--preload=")
    clients = [begin(one) for _ in range(3)]
    wait_for(one, "python_executor_queue_depth", 2)
    for _ in range(5):
        assert one.run("x = 1").status == 503
    assert rejected(one) == {"queue_full": 5}
    metrics = scrape(one)
    assert metrics.by("python_executor_http_responses_total", "code")["503"] == 5
    assert metrics.total("python_executor_runs_total") == metrics.value("python_executor_queue_seconds_count") == 0
    for client in clients:
        client.close()


def test_who_has_waited_too_long(start):
    """What has only waited is no run."""
    one = start("--workers=1", "--queue-ms=300", "--wall-ms=60000", "--preload=")
    running = begin(one)
    wait_for(one, "python_executor_running", 1)
    assert [answer.status for answer in together(*[lambda: one.run("x = 1")] * 3)] == [503] * 3
    assert rejected(one) == {"queue_timeout": 3}
    assert scrape(one).value("python_executor_queue_seconds_count") == 0
    running.close()
    wait_for(one, "python_executor_runs_total", 1, outcome="cancelled")
    assert scrape(one).value("python_executor_queue_seconds_count") == 1


def test_who_goes_away(start):
    """Nobody sees their answers, so they are none; that they ran is in the runs."""
    one = start("--workers=2", "--preload=", "--wall-ms=60000")
    before = scrape(one)

    def leave(clients, count):
        for client in clients:
            client.close()
        wait_for(one, "python_executor_runs_total", count, outcome="cancelled")

    running = [begin(one), begin(one)]
    wait_for(one, "python_executor_running", 2)
    waiting = [begin(one), begin(one)]
    wait_for(one, "python_executor_queue_depth", 2)
    now = scrape(one)
    assert now.value("python_executor_running") == now.by("python_executor_workers", "state")["busy"] == 2
    leave(waiting, 2)
    leave(running, 4)
    after = scrape(one)
    # Those that waited had no process.
    assert grown(after, before, "python_executor_kills_total", "reason") == {"cancelled": 2}
    assert set(grown(after, before, "python_executor_http_responses_total", "code")) == {"200"}
    assert after.value("python_executor_run_seconds_count") == 4


@unsanitized
def test_killed_for_memory_and_cpu(start):
    one = start("--preload=", "--wall-ms=60000")
    eaters = together(*[lambda: one.run("def main():\n    x = []\n    while True: x.append(bytearray(b'x') * (8 << 20))")] * 2)
    burner = one.run("def main():\n    while True: pass", limits={"cpu_ms": 1000})
    assert [answer.outcome for answer in (*eaters, burner)] == ["memory", "memory", "timeout"]
    # 400 is a MemoryError that nobody caught.
    killed = sum(answer.status == 500 for answer in eaters)
    kills = scrape(one).by("python_executor_kills_total", "reason")
    assert {key: value for key, value in kills.items() if value} == {"cpu": 1, **({"memory": killed} if killed else {})}


@needs_poverty
def test_killed_for_files_and_threads(start):
    one = start("--preload=", "--scratch-files=100", "--threads=20", poor=True)
    one.run("import time\ndef main():\n    for i in range(400): open(f'/tmp/{i}', 'wb').close()\n    time.sleep(4)")
    one.run("import threading, time\ndef main():\n    for _ in range(40):\n"
            "        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n    time.sleep(1)")
    metrics = scrape(one)
    assert {key: value for key, value in metrics.by("python_executor_kills_total", "reason").items() if value} == {"scratch": 1, "threads": 1}
    check_layers(one, metrics)


# --- Workers and zygotes ----------------------------------------------------------------------------


def starts(metrics):
    return dict(metrics.by("python_executor_zygote_starts_total", "reason"))


def test_a_zygote_that_dies(start):
    one = start("--preload=", "--workers=2")
    for count in (1, 2):
        running = [Background(one.run, SLEEP.format(4)) for _ in range(2)]
        one.wait_for_busy(2)
        os.kill(one.zygote_pid, signal.SIGKILL)
        assert [client.get().outcome for client in running] == ["lost", "lost"]
        assert wait_until(lambda: starts(scrape(one)) == {"first": 1, "takeover": 0, "restart": count})
        metrics = scrape(one)
        assert metrics.value("python_executor_runs_total", outcome="lost") == 2 * count
        assert metrics.value("python_executor_flavour_ready", flavour="python") == metrics.value("python_executor_ready") == 1
    one.assert_well()


def test_a_zygote_that_retires(start):
    one = start("--preload=", "--recycle=5")
    for _ in range(5):
        one.run("def main(): return 1")
    assert wait_until(lambda: starts(scrape(one)) == {"first": 1, "takeover": 1, "restart": 0})
    assert scrape(one).value("python_executor_runs_total", outcome="ok") == 5


def test_each_run_takes_a_worker(start):
    """Made are: those that have run, and those that stand ready."""
    one = start("--preload=numpy", "--crew=4")
    one.every_zygote()
    scripts = ["def main(): return 1", "import numpy\ndef main(): return 1"] * 10
    together(*[lambda script=script: one.run(script) for script in scripts])

    def is_settled():
        metrics = scrape(one)
        by_state = metrics.by("python_executor_workers", "state")
        by_flavour = {flavour: metrics.value("python_executor_workers", state="idle", flavour=flavour) for flavour in ("python", "numpy")}
        return (by_state["starting"] == by_state["busy"] == 0 and by_flavour == {"python": 4, "numpy": 4} and
                metrics.value("python_executor_forks_total") == len(scripts) + 8 and len(one.worker_pids()) == 8)

    assert wait_until(is_settled, 30), scrape(one)


def test_flavours(start):
    one = start("--preload=numpy,no_such_module?,pandas")
    one.every_zygote()
    assert wait_until(lambda: all(scrape(one).by("python_executor_flavour_ready", "flavour").values()))
    metrics = scrape(one)
    flavours = {"python", "numpy", "no_such_module", "pandas"}
    assert set(metrics.by("python_executor_flavour_ready", "flavour")) == flavours
    assert set(metrics.by("python_executor_workers", "flavour")) == flavours


# --- What it is ---------------------------------------------------------------------------------------


def check_layers(service, metrics):
    layers = {(layer["name"], layer["status"]) for layer in service.ask("GET", "/isolation").json["layers"]}
    shown = {(dict(labels)["layer"], dict(labels)["status"]): value for (name, labels), value in metrics.items() if name == "python_executor_layer"}
    assert shown == {layer: 1 for layer in layers}


def test_facts(start):
    begun = time.time()
    one = start("--workers=3", "--queue=7", "--connections=33", "--preload=")
    version = re.search(r"^  version: '([^']+)'", open(os.path.join(ROOT, "meson.build"), encoding="utf-8").read(), re.M).group(1)
    python = one.result("import platform\ndef main(): return platform.python_version()")
    assert wait_until(lambda: scrape(one).value("python_executor_build_info", version=version, python=python) == 1)
    metrics = scrape(one)
    check_layers(one, metrics)
    assert metrics.value("python_executor_workers_limit") == 3
    assert metrics.value("python_executor_queue_limit") == 7
    assert metrics.value("python_executor_connections_limit") == 33
    assert (metrics.value("python_executor_ready"), metrics.value("python_executor_draining")) == (1, 0)
    assert begun <= metrics.value("process_start_time_seconds") <= time.time()


def test_open_connections(start):
    one = start("--preload=")
    client = Client(one)
    client.ask("GET", "/healthz")

    def numbers():
        metrics = Metrics(client.ask("GET", "/metrics")[2].decode())
        return metrics.value("python_executor_connections"), metrics.value("python_executor_requests_in_flight")

    assert wait_until(lambda: numbers() == (1, 1))
    idle = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(5)]
    half = socket.create_connection(("127.0.0.1", one.port))
    half.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000)
    assert wait_until(lambda: numbers() == (7, 2))
    metrics = Metrics(client.ask("GET", "/metrics")[2].decode())
    assert 50000 <= metrics.value("python_executor_held_bytes") <= 200000
    for connection in (*idle, half):
        connection.close()
    assert wait_until(lambda: numbers() == (1, 1))
    assert Metrics(client.ask("GET", "/metrics")[2].decode()).value("python_executor_held_bytes") == 0


def test_lines_that_the_log_does_not_have(start):
    one = start("--preload=", "--log-rate=3")
    for _ in range(40):
        one.ask("GET", "/healthz")
    dropped = scrape(one).by("python_executor_log_lines_dropped_total", "reason")
    assert dropped["rate"] > 0 and dropped["reader"] == 0

    def lines():
        return len(re.findall(r"GET /(?:healthz|metrics) 200", one.log))

    # The scrape's own line came behind its answer, if there was room for it.
    assert wait_until(lambda: lines() + dropped["rate"] >= 40) and lines() + dropped["rate"] <= 41


@unsanitized
def test_what_the_server_itself_has_used(start):
    one = start("--preload=")
    tick = os.sysconf("SC_CLK_TCK")

    def ticks():
        fields = read_proc(one.server_pid, "stat").rsplit(b")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    for _ in range(200):
        one.ask("GET", "/metrics")
    least = ticks() / tick
    metrics = scrape(one)
    assert least - 2 / tick <= metrics.value("process_cpu_seconds_total") <= (ticks() + 2) / tick
    resident = int(status_field(one.server_pid, "VmHWM").split()[0]) << 10
    assert resident / 2 <= metrics.value("python_executor_server_memory_peak_bytes") <= resident * 2


def test_nothing_is_run_for_it(start):
    one = start("--preload=")
    assert wait_until(lambda: scrape(one).by("python_executor_workers", "state")["starting"] == 0)
    pids = one.ready_pids()
    forks = scrape(one).value("python_executor_forks_total")
    for path in ("/metrics", "/readyz", "/healthz") * 50:
        assert one.ask("GET", path).status == 200
    assert one.ready_pids() == pids and scrape(one).value("python_executor_forks_total") == forks


def test_a_client_chooses_no_label(start):
    """However many paths, methods and words it tries, there are as many lines as before, but for codes of answers."""
    one = start("--preload=")
    one.run("def main(): return 1")
    one.ask("GET", "/nowhere")
    one.ask("PUT", "/metrics")
    one.post(b"{}")
    before = set(scrape(one))
    for i in range(30):
        one.ask("GET", f"/x{i}", headers={"User-Agent": f"x{i}", "X-Request-Id": f"x{i}"})
        one.ask("PUT", "/metrics")
        one.post(order(f"class E{i}(Exception): pass\ndef main(): raise E{i}"))
    assert set(scrape(one)) == before
