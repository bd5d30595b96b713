"""Bearer keys: who may call, what is told to the others, and that nobody sees the keys themselves."""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from bearer import Keys, make_key, reload, run
from service import PROGRAM, ROOT, SANITIZED, Background, order, read_proc, wait_until

GOOD = order("def main(): return 1")
PING = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping"})


@pytest.fixture
def keys(tmp_path):
    found = Keys(str(tmp_path))
    found.add("alice")
    found.add("bob", "rate=1000/s", "concurrent=100")
    return found


def is_refused(answer, error):
    assert answer.status == 401 and answer.headers["content-type"] == "application/json"
    wanted = 'Bearer realm="python-executor"'
    assert answer.headers["www-authenticate"] == (wanted + ', error="invalid_token"' if error else wanted)
    assert answer.outcome is None and ("not known" if error else "is needed") in str(answer.json["error"])
    return answer


# --- Who may ----------------------------------------------------------------------------------------


def test_who_has_a_key_may(start, keys):
    one = start(f"--keys={keys.path}")
    for name in ("alice", "bob"):
        assert run(one, keys, name).result == 1
        assert one.ask("POST", "/mcp", PING, keys.headers(name)).json["id"] == 7
        assert one.ask("GET", "/isolation", headers=keys.headers(name)).status == 200
    secret = keys.secrets["alice"]
    assert one.post(GOOD, {"Authorization": f"bearer  {secret}"}).status == 200


def test_who_has_none_may_not(start, keys):
    one = start(f"--keys={keys.path}")
    secret = keys.secrets["alice"]
    for method, path, body in (("POST", "/execute", GOOD), ("POST", "/mcp", PING), ("GET", "/isolation", None), ("HEAD", "/isolation", None),
                               ("GET", "/metrics", None), ("GET", "/execute", None), ("POST", "/nowhere", GOOD)):
        for authorization, wrong in ((None, False), ("", False), ("Bearer", False), (f"Basic {secret}", False), (secret, False),
                                     ("Bearer x", True), (f"Bearer {secret[:-1]}", True), (f"Bearer {secret}0", True),
                                     (f"Bearer {secret.upper()}", True), (f"Bearer {secret} {secret}", True), ("Bearer " + "x" * 9000, True)):
            answer = one.ask(method, path, body, {} if authorization is None else {"Authorization": authorization})
            if method == "HEAD":
                assert answer.status == 401
            else:
                is_refused(answer, wrong)
                if path == "/mcp":
                    assert answer.json["jsonrpc"] == "2.0" and answer.json["id"] is None
    assert run(one, keys, "alice").status == 200


def test_what_is_open_to_everybody(start, keys):
    one = start(f"--keys={keys.path}")
    one.wait_for_ready()
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert one.ask("GET", path).status == 200
    for path in ("/execute", "/mcp", "/metrics"):
        assert one.ask("OPTIONS", path).status == 204


def test_a_key_that_may_only_read(start, keys):
    keys.add("prometheus", "concurrent=0")
    one = start(f"--keys={keys.path}")
    answer = run(one, keys, "prometheus")
    assert answer.status == 403 and 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert one.ask("POST", "/mcp", PING, keys.headers("prometheus")).status == 403
    text = one.ask("GET", "/metrics", headers=keys.headers("prometheus")).body.decode()
    assert 'python_executor_key_requests_total{key="prometheus"} 3' in text


def test_a_refused_request_keeps_its_connection(start, keys):
    one = start(f"--keys={keys.path}")
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=20)
    for headers, status in (({}, 401), (keys.headers("alice"), 200), ({"Authorization": "Bearer x"}, 401), (keys.headers("bob"), 200)):
        connection.request("POST", "/execute", GOOD, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status and not answer.will_close
    connection.close()


@pytest.mark.parametrize("headers", [f"Content-Length: {16 << 20}", "Transfer-Encoding: chunked", "Content-Length: 70000",
                                     "Content-Length: 5\r\nExpect: 100-continue"])
def test_a_large_body_is_not_waited_for(start, keys, headers):
    """The answer comes although nothing of the body does, and then the end."""
    one = start(f"--keys={keys.path}")
    with socket.create_connection(("127.0.0.1", one.port), timeout=20) as connection:
        connection.sendall(f"POST /execute HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n{headers}\r\n\r\n".encode())
        text = b""
        while piece := connection.recv(65536):
            text += piece
    assert text.startswith(b"HTTP/1.1 401 ") and b"Connection: close" in text and text.count(b"HTTP/1.1") == 1, text


# --- Limits -----------------------------------------------------------------------------------------


def test_rate(start, keys):
    keys.add("slow", "rate=1/min", "burst=3")
    one = start(f"--keys={keys.path}")
    assert [run(one, keys, "slow").status for _ in range(4)] == [200, 200, 200, 429]
    answer = one.ask("POST", "/mcp", PING, keys.headers("slow"))
    assert answer.status == 429 and answer.json["error"]["code"] == -32000
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert one.ask("GET", "/isolation", headers=keys.headers("slow")).status == 200
    assert run(one, keys, "alice").status == 200


def test_retry_after_is_the_truth(start, keys):
    keys.add("slow", "rate=30/min", "burst=1")
    one = start(f"--keys={keys.path}")
    assert run(one, keys, "slow").status == 200
    answer = run(one, keys, "slow")
    assert answer.status == 429 and set(answer.json) == {"error"}
    time.sleep(int(answer.headers["retry-after"]))
    assert run(one, keys, "slow").status == 200


def test_runs_at_once(start, keys):
    keys.add("two", "concurrent=2")
    one = start(f"--keys={keys.path}", "--workers=1")
    sleep = "import time\ndef main(): time.sleep(1.5)"
    waiting = [Background(run, one, keys, "two", sleep, limits={"wall_ms": 4000}) for _ in range(2)]
    text = wait_until(lambda: (text := one.ask("GET", "/metrics", headers=keys.headers("alice")).body.decode())
                      and 'python_executor_key_runs{key="two"} 2' in text and text)
    assert text
    answer = run(one, keys, "two")
    assert answer.status == 429 and "at once" in answer.error and 4 <= int(answer.headers["retry-after"]) <= 8
    assert [call.get().status for call in waiting] == [200, 200]
    assert run(one, keys, "two").status == 200 and run(one, keys, "alice").status == 200


# --- Where they come from ---------------------------------------------------------------------------


def test_lines_in_the_environment(start):
    secret, line = make_key("alice")
    one = start(environment={"PYTHON_EXECUTOR_KEY_LINES": f"# from a secret\n{line}"})
    assert one.post(GOOD).status == 401
    assert one.post(GOOD, {"Authorization": f"Bearer {secret}"}).status == 200


def test_the_example_in_the_documentation(start, tmp_path):
    with open(os.path.join(ROOT, "docs", "KEYS.md"), encoding="utf-8") as file:
        lines = file.read().split("```text\n# name", 1)[1].split("```", 1)[0]
    path = str(tmp_path / "keys")
    with open(path, "w", encoding="utf-8") as file:
        file.write("# name" + lines)
    assert "keys in force: 3" in start("--preload=", f"--keys={path}").log


def test_no_keys_in_a_file_is_nobody(start, tmp_path):
    keys = Keys(str(tmp_path))
    one = start(f"--keys={keys.path}")
    assert "nobody may call" in one.log
    assert one.post(GOOD).status == 401
    keys.add("alice")
    reload(one)
    assert run(one, keys, "alice").status == 200


@pytest.mark.parametrize("text, words", [
    ("alice\n", "line 1: behind the name"), ("\n\nalice secret\n", "line 3: behind the name"), (None, "cannot read"), ("FIFO", "is no file"),
])
def test_a_file_that_is_none(tmp_path, text, words):
    path = str(tmp_path / "keys")
    if text == "FIFO":
        os.mkfifo(path)
    elif text is not None:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    ended = subprocess.run([PROGRAM, "--port=0", f"--keys={path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    assert ended.returncode == 1 and words in ended.stderr and "secret" not in ended.stderr, ended


def test_two_places_are_one_too_many(keys):
    ended = subprocess.run([PROGRAM, "--port=0", f"--keys={keys.path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20,
                           env={**os.environ, "PYTHON_EXECUTOR_KEY_LINES": ""})
    assert ended.returncode == 1 and "it takes one of them" in ended.stderr


@pytest.mark.parametrize("words", [[], ["-x"], ["a b"], ["alice", "rate=1"], ["alice", "#"], ["alice", "x" * 300], ["alice\nbob"]])
def test_keys_that_are_not_made(words):
    ended = subprocess.run([PROGRAM, "key", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    assert ended.returncode == 2 and ended.stdout == "" and ended.stderr and "pxk_" not in ended.stderr


def test_every_key_is_another():
    made = [make_key("alice", "rate=5/s") for _ in range(20)]
    assert len({secret for secret, _ in made}) == len({line for _, line in made}) == 20
    for secret, line in made:
        assert secret not in line and line.endswith(" rate=5/s\n")


def test_a_file_that_everybody_reads_is_warned_of(start, keys):
    os.chmod(keys.path, 0o604)
    assert "everybody can read" in start(f"--keys={keys.path}").log
    os.chmod(keys.path, 0o600)
    assert "everybody can read" not in start(f"--keys={keys.path}").log


# --- Read again -------------------------------------------------------------------------------------


class Load:
    """A client of one key that goes on until it is told to stop."""

    def __init__(self, one, keys, name):
        self.statuses = []
        self.stop = threading.Event()
        self.call = Background(self.work, one, keys.headers(name))

    def work(self, one, headers):
        connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
        while not self.stop.is_set():
            connection.request("POST", "/execute", GOOD, headers)
            answer = connection.getresponse()
            answer.read()
            self.statuses.append(answer.status)
        connection.close()

    def end(self):
        self.stop.set()
        self.call.get()
        return self.statuses


def test_read_again_under_load(start, keys):
    """Who stays sees nothing of it, ten times; who is removed is refused from then on."""
    for i in range(20):
        keys.add(f"other-{i}")
    one = start(f"--keys={keys.path}", "--recycle=100000")
    stays = [Load(one, keys, name) for name in ("alice", "bob")]
    goes = Load(one, keys, "other-0")
    assert wait_until(lambda: all(len(load.statuses) > 20 for load in [*stays, goes]), 20)
    keys.remove("other-0")
    reload(one)
    time.sleep(0.1)  # for what it has under way
    for i in range(1, 10):
        keys.add(f"new-{i}")
        keys.remove(f"other-{i}")
        reload(one)
        assert run(one, keys, f"new-{i}").status == 200
        assert run(one, keys, f"other-{i}").status == 401
        seen = [len(load.statuses) for load in stays]
        assert wait_until(lambda: all(len(load.statuses) > before + 3 for load, before in zip(stays, seen)), 20)
    assert run(one, keys, "other-0").status == 401
    seen = len(goes.statuses)
    assert wait_until(lambda: len(goes.statuses) > seen + 20, 20)
    refused = goes.end()
    for load in stays:
        statuses = load.end()
        assert set(statuses) == {200}, set(statuses)
    first = refused.index(401)
    assert set(refused[:first]) == {200} and set(refused[first:]) == {401}


def test_a_bad_file_changes_nothing(start, keys):
    one = start(f"--keys={keys.path}")
    keys.write("carol no-hash\n")
    reload(one)
    assert "line 4: behind the name" in one.log and "those from before stay in force" in one.log
    assert run(one, keys, "alice").status == 200 and one.post(GOOD).status == 401
    os.unlink(keys.path)
    reload(one)
    assert run(one, keys, "alice").status == 200 and one.post(GOOD).status == 401
    keys.add("carol")
    reload(one)
    assert run(one, keys, "carol").status == 200


def test_a_server_that_starts_again_has_them(start, keys):
    """It never answers without: from its first answer on who has none is refused."""
    one = start(f"--keys={keys.path}")
    keys.remove("bob")
    reload(one)
    for _ in range(3):
        before = one.server_pid
        os.kill(before, signal.SIGKILL)
        found = []

        def ask():
            try:
                found.append(one.post(GOOD, timeout=2).status)
            except OSError:
                return False
            return one.server_pid not in (None, before)

        assert wait_until(ask, 20) and set(found) == {401}, found
        assert wait_until(lambda: run(one, keys, "alice").status == 200, 20)
        assert run(one, keys, "bob").status == 401


def test_a_rate_outlives_a_change(start, keys):
    keys.add("slow", "rate=1/min", "burst=1")
    one = start(f"--keys={keys.path}")
    assert run(one, keys, "slow").status == 200
    keys.add("carol")
    reload(one)
    assert run(one, keys, "slow").status == 429


# --- What is seen of them ---------------------------------------------------------------------------


LOOK = """
import os
def main():
    found = {"environ": dict(os.environ), "fds": {}, "strings": []}
    for fd in range(64):
        try:
            found["fds"][fd] = os.fstat(fd).st_size
        except OSError:
            pass
    return found
"""


def test_nobody_sees_a_key(start, keys):
    """Not the log, the command lines, answers or a script; nor a hash of it."""
    keys.add("limited", "rate=1/min", "burst=1")
    one = start(f"--keys={keys.path}", "--log=debug")
    hashes = [line.split()[1][len("sha256:"):] for line in keys.lines.values()]
    secrets = [*keys.secrets.values(), *hashes]
    answers = [run(one, keys, name) for name in ("alice", "limited", "limited", "bob")]
    wrong = keys.secrets["alice"][:-1] + ("0" if keys.secrets["alice"][-1] != "0" else "1")
    answers += [one.post(GOOD, {"Authorization": f"Bearer {wrong}"}), one.post(b"{", keys.headers("alice")), run(one, keys, "alice", LOOK)]
    answers += [one.ask("GET", path, headers=keys.headers("alice")) for path in ("/metrics", "/isolation", "/openapi.json", "/nowhere")]
    reload(one)
    keys.write("dave " + keys.secrets["alice"] + "\n")
    reload(one)
    said = one.log + one.out + "".join(f"{answer.headers} {answer.body}" for answer in answers)
    for pid in one.processes():
        said += read_proc(pid, "cmdline").decode() + read_proc(pid, "environ").decode("utf-8", "replace")
    assert [secret for secret in [*secrets, wrong] if secret in said] == []
    assert "alice" in one.ask("GET", "/metrics", headers=keys.headers("alice")).body.decode()


def memory_of(pid):
    """All that a process has in writable memory."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(number, 16) for number in span.split("-"))
            try:
                memory.seek(begin)
                yield memory.read(end - begin)
            except (OSError, ValueError):
                continue


@pytest.mark.skipif(os.geteuid() != 0 or SANITIZED, reason="only root may read the memory of these processes, and AddressSanitizer's is too large")
def test_zygotes_and_workers_have_none_in_memory(start, keys):
    one = start(f"--keys={keys.path}", "--preload=")
    assert run(one, keys, "alice").status == 200
    digests = [bytes.fromhex(line.split()[1][len("sha256:"):]) for line in keys.lines.values()]
    wanted = [*digests, *(secret.encode() for secret in keys.secrets.values())]

    def has(pid):
        return any(text in piece for piece in memory_of(pid) for text in wanted)

    assert has(one.server_pid), "the search finds nothing where there is something"
    pids = one.every_zygote() + one.ready_pids()
    assert len(pids) > 2 and [pid for pid in pids if has(pid)] == []


def test_names_in_the_log(start, keys):
    one = start(f"--keys={keys.path}", "--log-format=json")
    run(one, keys, "bob")
    one.post(GOOD)

    def lines():
        found = [json.loads(line) for line in one.log.splitlines() if line.startswith("{") and '"/execute"' in line]
        return found if len(found) == 2 else None

    found = wait_until(lines)
    assert found and "bob" in json.dumps(found[0]) and "bob" not in json.dumps(found[1]), one.log


def test_names_in_metrics(start, keys):
    one = start(f"--keys={keys.path}")
    for _ in range(3):
        run(one, keys, "bob")
    one.post(GOOD)
    one.post(GOOD, {"Authorization": "Bearer x"})
    one.post(GOOD, {"Authorization": "Bearer y"})
    lines = one.ask("GET", "/metrics", headers=keys.headers("alice")).body.decode().splitlines()
    for line in ('python_executor_key_requests_total{key="alice"} 1', 'python_executor_key_requests_total{key="bob"} 3',
                 'python_executor_unauthorized_total{reason="missing"} 1', 'python_executor_unauthorized_total{reason="wrong"} 2',
                 'python_executor_key_refused_total{key="bob",reason="rate"} 0', 'python_executor_key_runs{key="bob"} 0'):
        assert line in lines, line


def test_wrong_keys_beside_right_ones(start, keys):
    one = start(f"--keys={keys.path}")
    right = Load(one, keys, "alice")
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
    for i in range(3000):
        connection.request("POST", "/execute", GOOD, {"Authorization": f"Bearer {i:048x}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
    assert set(right.end()) == {200}
