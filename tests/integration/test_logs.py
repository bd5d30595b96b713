"""The log: a line for each request with what came of it, nothing of what it carried, and nobody who waits for its reader."""
import ctypes
import http.client
import json
import os
import pty
import re
import signal
import socket
import time

import pytest
from bearer import Keys
from service import ROOT, Background, Service, needs_poverty, order, read_proc, together, wait_until
from test_request_id import REQUESTS

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
JSON = "--log-format=auto"  # the log of a test is a file


def parse(text):
    """Every line is an object; by component, and those of requests apart, by their id."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert text == "" or text.endswith("\n")
    requests = [line for line in lines if "request_id" in line]
    assert len({line["request_id"] for line in requests}) == len(requests), "one request, one line"
    return lines, {line["request_id"]: line for line in requests}


def logged(one, count):
    """The lines of requests, once there are so many; a request is logged when its answer is out, so just behind it."""
    assert wait_until(lambda: one.log.count('"request_id"') >= count, 10), one.log
    return parse(one.log)[1]


# --- One line for each ------------------------------------------------------------------------------


def expected_outcome(answer):
    if "text/event-stream" in answer.headers.get("content-type", ""):
        return json.loads(answer.body.decode().rsplit("data: ", 1)[1])["outcome"]
    return answer.outcome


def test_every_kind_of_request_once_under_load(start):
    one = start(JSON, "--preload=", "--log-rate=100000")
    rounds, clients = 4, 6

    def client(number):
        seen = []
        for turn in range(rounds):
            for name, (method, path, body, headers, status) in REQUESTS.items():
                key = f"{number}.{turn}.{name.replace(' ', '_')}"
                answer = one.ask(method, path, body, {**headers, "X-Request-Id": key})
                assert answer.status == status and answer.headers["x-request-id"] == key
                seen.append((key, method, path, body, answer))
        return seen

    seen = [entry for part in together(*[lambda n=n: client(n) for n in range(clients)]) for entry in part]
    lines = logged(one, len(seen))
    assert len(lines) == len(seen) == rounds * clients * len(REQUESTS)
    for key, method, path, body, answer in seen:
        line, outcome = lines[key], expected_outcome(answer)
        request = line["httpRequest"]
        assert (request["requestMethod"], request["requestUrl"], request["status"], request["remoteIp"]) == (method, path, answer.status, "127.0.0.1")
        assert int(request["requestSize"]) == len(body or b"") and int(request["responseSize"]) == len(answer.body), (key, line)
        assert line.get("outcome") == outcome and line["severity"] == "INFO" and line["component"] == "server", line
        assert line["message"].startswith(f"{method} {path} {answer.status} {outcome + ' ' if outcome else ''}{line['total_ms']:.3f} ms")
        assert ("queue_ms" in line) == ("run_ms" in line) == (outcome is not None)
        assert round(float(request["latency"].rstrip("s")) * 1e6) == round(line["total_ms"] * 1e3)
        if "server-timing" in answer.headers:
            timing = dict(re.findall(r"(queue|run);dur=([0-9.]+)", answer.headers["server-timing"]))
            assert (float(timing["queue"]), float(timing["run"])) == (line["queue_ms"], line["run_ms"])
        assert "aborted" not in line and "script" not in line and "key" not in line


def test_several_on_one_connection(start):
    one = start(JSON, "--preload=")
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=10)
    ids = []
    for path in ("/isolation", "/x", "/openapi.json"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        ids.append(answer.getheader("X-Request-Id"))
    connection.close()
    assert list(logged(one, 3)) == ids


def test_a_client_that_goes_away(start):
    one = start(JSON, "--preload=", "--workers=1")
    for stream in (False, True):
        body = order("import time\ndef main():\n    print(1, flush=True)\n    time.sleep(4)", stream=stream)
        with socket.create_connection(("127.0.0.1", one.port), 10) as client:
            client.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nX-Request-Id: %d\r\nContent-Length: %d\r\n\r\n%s" % (stream, len(body), body))
            one.wait_for_busy(1)
        line = logged(one, 1 + stream)[str(int(stream))]
        assert line["aborted"] is True and line["outcome"] == "cancelled" and line["run_ms"] < 4000, line
        assert line["httpRequest"]["status"] == (200 if stream else 499)


def test_severities_of_requests(start):
    one = start(JSON, "--preload=", "--workers=1", "--queue=0", "--log=warning")
    running = Background(one.run, "import time\ndef main(): time.sleep(4)")
    one.wait_for_busy(1)
    assert one.run("x = 1").status == 503
    os.kill(one.zygote_pid, signal.SIGKILL)
    assert running.get().outcome == "lost"
    assert wait_until(lambda: one.run("def main(): return 1").status == 200, 10)
    found = {(line["severity"], line["httpRequest"]["status"], line.get("outcome")) for line in logged(one, 2).values()}
    assert found == {("WARNING", 503, None), ("ERROR", 500, "lost")}


def test_the_last_ones_are_logged_before_the_end(start):
    one = start(JSON, "--preload=", "--drain-ms=700", "--workers=2")
    quick = Background(one.run, "import time\ndef main(): time.sleep(0.5)")
    slow = Background(one.run, "import time\ndef main(): time.sleep(4)")
    one.wait_for_busy(2)
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(20) == 0
    answers = [quick.get(), slow.get()]
    lines = parse(one.log)[1]
    assert [(lines[answer.headers["x-request-id"]]["httpRequest"]["status"], lines[answer.headers["x-request-id"]]["outcome"])
            for answer in answers] == [(200, "ok"), (500, "lost")]
    assert len(lines) == 2


def test_no_lines_of_requests(start):
    one = start(JSON, "--preload=", "--access-log=off")
    assert one.run("def main(): return 1").status == 200
    os.kill(one.server_pid, signal.SIGKILL)  # what it says next would be behind the line
    assert wait_until(lambda: one.log.count("confined: ") == 2, 10)
    assert not parse(one.log)[1]


def test_the_name_of_the_key_and_never_the_key(start, tmp_path):
    keys = Keys(str(tmp_path))
    keys.add("alice")
    keys.add("limited", "rate=1/min", "burst=1")
    one = start(JSON, "--preload=", f"--keys={keys.path}")
    told = [("alice", 200, "alice"), ("limited", 200, "limited"), ("limited", 429, "limited"), (None, 401, None)]
    for number, (name, status, _) in enumerate(told):
        headers = {**(keys.headers(name) if name else {"Authorization": f"Bearer {keys.secrets['alice']}x"}), "X-Request-Id": str(number)}
        assert one.post(order("def main(): return 1"), headers).status == status
    lines = logged(one, len(told))
    assert [(lines[str(number)]["httpRequest"]["status"], lines[str(number)].get("key")) for number in range(len(told))] == [
        (status, name) for _, status, name in told]
    assert not [secret for secret in keys.secrets.values() if secret in one.log]


# --- Ids and traces ---------------------------------------------------------------------------------


def test_the_trace_is_the_callers(start):
    one = start(JSON, "--preload=", "--log-project=my-project-1")
    cases = [
        ("w3c", {"traceparent": f"00-{ID}-{SPAN}-01"}, (f"projects/my-project-1/traces/{ID}", SPAN, True)),
        ("google", {"X-Cloud-Trace-Context": f"{ID}/255;o=0"}, (f"projects/my-project-1/traces/{ID}", "00000000000000ff", False)),
        ("both", {"traceparent": f"00-{ID}-{SPAN}-00", "X-Cloud-Trace-Context": f"{ID[::-1]}/1;o=1"}, (f"projects/my-project-1/traces/{ID}", SPAN, False)),
        ("malformed", {"traceparent": f"00-{ID}-{SPAN}-1", "X-Cloud-Trace-Context": "x"}, (None, None, None)),
        ("none", {}, (None, None, None)),
    ]
    for name, headers, _ in cases:
        assert one.ask("GET", "/isolation", None, {"X-Request-Id": name, **headers}).status == 200
    lines = logged(one, len(cases))
    for name, _, told in cases:
        assert tuple(lines[name].get(f"logging.googleapis.com/{key}") for key in ("trace", "spanId", "trace_sampled")) == told, lines[name]


# --- What must not be in it -------------------------------------------------------------------------


SECRETS = {key: f"secret-{key}-7f3a" for key in ("script", "stdin", "input", "file", "printed", "error", "result", "raised", "query", "header", "body")}


def tell_all_secrets(one):
    script = (f"# {SECRETS['script']}\nimport sys\ndef main(*args):\n    print('{SECRETS['printed']}')\n"
              f"    print('{SECRETS['error']}', file=sys.stderr)\n    return '{SECRETS['result']}'")
    headers = {"Authorization": f"Bearer {SECRETS['header']}", "Cookie": SECRETS["header"], "User-Agent": SECRETS["header"]}
    for keys in ({}, {"details": True}, {"stream": True}):
        body = order(script, stdin=SECRETS["stdin"], input=SECRETS["input"], files={"a.txt": {"text": SECRETS["file"]}}, outputs=["*"], **keys)
        assert one.ask("POST", f"/execute?{SECRETS['query']}", body, headers).status == 200
    assert one.run(f"def main(): raise ValueError('{SECRETS['raised']}')").status == 400
    assert one.post(b'{"script": 1, "x": "' + SECRETS["body"].encode() + b'"}').status == 400
    call = {"jsonrpc": "2.0", "id": SECRETS["body"], "method": "tools/call", "params": {"name": "run_python", "arguments": {"script": script}}}
    assert one.ask("POST", "/mcp", json.dumps(call)).status == 200
    return 6


@pytest.mark.parametrize("form", [JSON, "--log-format=text"])
def test_nothing_of_what_a_request_carries(start, form):
    one = start(form, "--preload=", "--log=debug")
    count = tell_all_secrets(one)
    assert wait_until(lambda: len(re.findall(r"POST /(execute|mcp) ", one.log)) == count, 10), one.log
    said = one.log + one.out
    assert not [secret for secret in SECRETS.values() if secret in said], said
    assert "secret" not in said


@pytest.mark.parametrize("form", [JSON, "--log-format=text"])
def test_scripts_where_that_is_asked_for_and_nothing_else(start, form):
    one = start(form, "--preload=", "--log-scripts=on", "--log=debug")
    count = tell_all_secrets(one)
    assert wait_until(lambda: len(re.findall(r"POST /(execute|mcp) ", one.log)) == count, 10), one.log
    assert "scripts are logged (--log-scripts)" in one.log
    assert one.log.count(SECRETS["script"]) == 4
    # What the script has in its text is in the text.
    for key in ("stdin", "input", "file", "query", "header", "body"):
        assert SECRETS[key] not in one.log, key
    if form == JSON:
        scripts = [line["script"] for line in parse(one.log)[1].values() if "script" in line]
        assert len(scripts) == 5 and scripts[0].startswith(f"# {SECRETS['script']}\nimport sys\n")
    one.run("#" * 100_000)
    assert wait_until(lambda: one.log.count("POST /") == count + 1, 10)
    assert max(map(len, one.log.splitlines())) < 4096


# --- Nobody forges it -------------------------------------------------------------------------------


ATTACKS = [
    b"GET /a%0Aserver:%20forged%0D%0A HTTP/1.1", b"GET /%1b[2J%00%7f HTTP/1.1", b"GET /%ff%c3%28%c2%9b%e2%80%ae HTTP/1.1",
    b'GET /","severity":"ERROR","x":" HTTP/1.1', b"GET /\\u0022\\n HTTP/1.1", b"GET /" + b"%0a" * 5000 + b" HTTP/1.1",
    b"A\"B\\C /x HTTP/1.1", b"X" * 3000 + b" /x HTTP/1.1", b"GET /\xff\xfe\x9b HTTP/1.1",
]


@pytest.mark.parametrize("form", [JSON, "--log-format=text"])
def test_nobody_forges_a_line(start, form):
    one = start(form, "--preload=", "--log=info")
    before = one.log.count("\n")
    for attack in ATTACKS:
        with socket.create_connection(("127.0.0.1", one.port), 10) as client:
            client.sendall(attack + b"\r\nHost: x\r\nConnection: close\r\nX-Request-Id: a\x0b\"},{\"b\r\ntraceparent: \"\\\r\n\r\n")
            while client.recv(65536):
                pass
    one.assert_well()
    assert wait_until(lambda: one.log.count("\n") - before == len(ATTACKS) + 1, 5), one.log
    with open(one.log_path, "rb") as file:
        raw = file.read()
    assert set(raw) <= set(range(0x20, 0x7f)) | {0x0a}
    assert max(map(len, raw.splitlines())) < 4096
    if form == JSON:
        lines, _ = parse(raw.decode())
        assert {line["severity"] for line in lines} == {"INFO"} and "forged" in raw.decode()
    else:
        assert all(line.startswith((b"server: ", b"python-executor: ")) for line in raw.splitlines())
        assert b"\nserver: forged" not in raw


# --- Nobody waits for it ----------------------------------------------------------------------------


def make_pipe():
    return os.pipe()


def make_socket():
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def make_terminal():
    return pty.openpty()


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_terminal])
def test_a_reader_that_does_not_read(start, make):
    ours, theirs = make()
    be_deaf_to(start("--log-format=auto", "--preload=", "--log-rate=1000000", stderr=theirs), ours, theirs)


@needs_poverty
def test_a_reader_that_does_not_read_another_users_pipe(start):
    """It cannot be opened again: every write looks first."""
    ours, theirs = make_pipe()
    be_deaf_to(start("--log-format=json", "--preload=", "--log-rate=1000000", stderr=theirs, poor=True), ours, theirs)


def be_deaf_to(one, ours, theirs):
    os.close(theirs)
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=20)
    for _ in range(3000):  # a megabyte of lines, and nothing takes as much
        connection.request("GET", "/isolation", headers={"traceparent": f"00-{ID}-{SPAN}-01"})
        assert connection.getresponse().read()
    connection.close()
    one.assert_well()
    # The manager and a zygote have something to say as well, and other things to do.
    os.kill(one.zygote_pid, signal.SIGKILL)
    assert wait_until(lambda: is_well(one), 10)
    assert b"were lost" in read_until(ours, b"lines of the log were lost")
    os.kill(one.server_pid, signal.SIGKILL)
    assert wait_until(lambda: is_well(one), 10)
    os.close(ours)
    one.assert_well()


def is_well(one):
    try:
        return one.run("def main(): return 1").status == 200
    except OSError:
        return False


def read_until(fd, words, seconds=10):
    os.set_blocking(fd, False)
    said, end = b"", time.monotonic() + seconds
    while words not in said and time.monotonic() < end:
        try:
            said += os.read(fd, 65536)
        except BlockingIOError:
            time.sleep(0.02)
    return said


def test_others_keep_a_pipe_that_blocks(start):
    """O_NONBLOCK belongs to the open file, which the service shares with whoever has started it."""
    ours, theirs = os.pipe()
    one = start(JSON, "--preload=", stderr=theirs)
    assert os.get_blocking(theirs)
    os.close(theirs)
    one.assert_well()
    assert b'"request_id"' in read_until(ours, b'"request_id"')
    os.close(ours)


def shares_descriptor(one, other, number):
    """Whether it is one open file in both processes (kcmp(2))."""
    call = {"x86_64": 312, "aarch64": 272}[os.uname().machine]
    result = ctypes.CDLL(None, use_errno=True).syscall(call, one, other, 0, number, number)
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="looks into processes of other users")
@pytest.mark.parametrize("make", [make_pipe, make_terminal])
def test_the_server_cannot_make_the_manager_wait(start, make):
    """The flag is the open file's: who has taken the server could take it away."""
    ours, theirs = make()
    one = start(JSON, "--preload=", stderr=theirs)
    assert not shares_descriptor(one.manager_pid, one.server_pid, 2)
    assert not shares_descriptor(one.manager_pid, os.getpid(), 2) and os.get_blocking(theirs)
    assert shares_descriptor(one.manager_pid, one.zygote_pid, 2)
    for pid in (one.manager_pid, one.server_pid):
        flags = int(re.search(rb"^flags:\s+(\d+)", read_proc(pid, "fdinfo/2"), re.M).group(1), 8)
        assert flags & os.O_NONBLOCK and flags & os.O_ACCMODE == os.O_WRONLY
    os.close(theirs)
    os.close(ours)


def test_no_more_than_so_many_in_a_second(start):
    one = start(JSON, "--preload=", "--log-rate=20")
    count = 200
    for _ in range(count):
        assert one.ask("GET", "/nowhere").status == 404
    os.kill(one.zygote_pid, signal.SIGKILL)  # not starved by them
    pattern = re.compile(r'"WARNING".*?"message":"(\d+) requests have no line, there were more than 20 in a second')
    assert wait_until(lambda: sum(map(int, pattern.findall(one.log))) + one.log.count('"request_id"') == count, 10), one.log
    assert pattern.search(one.log) and "zygote was killed by signal 9" in one.log
    # In no second by its own clock more than in two windows that it touches.
    seconds = [line["time"][:19] for line in parse(one.log)[1].values()]
    assert max(map(seconds.count, seconds)) <= 40


# --- Both formats -----------------------------------------------------------------------------------


def test_json_is_all_there_is(start):
    one = start(JSON, "--preload=numpy")
    assert one.run("def main(): return 1").status == 200
    one.every_zygote()
    os.kill(one.zygote_pid, signal.SIGKILL)
    assert wait_until(lambda: "fresh zygote" in one.log, 10), one.log
    logged(one, 1)
    lines, _ = parse(one.log)
    for line in lines + [json.loads(line) for line in one.out.splitlines()]:
        assert list(line)[:5] == ["time", "severity", "component", "pid", "message"], line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["severity"] in ("ERROR", "WARNING", "INFO", "DEBUG")
    by = {line["component"]: line["pid"] for line in lines}
    assert by == {"python-executor": one.manager_pid, "server": one.server_pid}
    messages = [json.loads(line)["message"] for line in one.out.splitlines()]
    assert messages[-1].startswith("ready in ") and messages[-1].endswith(f"listening on http://127.0.0.1:{one.port}")
    assert any(message.startswith("layer seccomp ") for message in messages)


def test_text_on_a_terminal(start):
    ours, theirs = pty.openpty()
    one = start("--log-format=auto", "--preload=", stderr=theirs)
    os.close(theirs)
    answer = one.run("def main(): return 1")
    said = read_until(ours, b", id ").decode()
    assert re.search(rf"^server: \d{{4}}-\S+Z POST /execute 200 ok [0-9.]+ ms \(queue [0-9.]+, run [0-9.]+\), \d+ B in, {len(answer.body)} B out, "
                     rf"from 127\.0\.0\.1, id {answer.headers['x-request-id']}", said, re.M), said
    assert re.search("^server: confined: ", said, re.M) and re.search(r"^ready in [0-9.]+ s, listening on http:", one.out, re.M)
    os.close(ours)


def test_a_start_that_fails_is_told_in_the_same_format(start):
    one = start(JSON, "--preload=")
    with pytest.raises(AssertionError) as caught:
        Service(JSON, "--preload=", port=one.port)
    line = next(json.loads(line) for line in str(caught.value).splitlines() if line.startswith("{") and '"ERROR"' in line)
    assert line["component"] == "python-executor" and str(one.port) in line["message"]


# --- The page ---------------------------------------------------------------------------------------


def test_the_page_has_every_field_of_the_code():
    with open(os.path.join(ROOT, "docs", "LOGS.md"), encoding="utf-8") as file:
        page = file.read()
    told = {name for row in re.findall(r"^\| (`.*?) \|", page, re.M) for name in re.findall(r"`([^`]+)`", row)}
    written = set()
    for path in ("base/log.c", "server/access.c"):
        with open(os.path.join(ROOT, "src", *path.split("/")), encoding="utf-8") as file:
            inside = ""
            for call, key in re.findall(r'line_(add|add_value|add_bytes|open|close)\((?:&?line)(?:, "([^"]+)")?', file.read()):
                if call == "open":
                    inside = key + "." if key else ""
                elif call == "close":
                    inside = ""
                else:
                    written.add(inside + key)
    assert written == told
    # The examples are of the shape that there is.
    example = json.loads(re.search(r"```json\n(.*?)\n```", page, re.S).group(1))
    assert set(example) | {f"httpRequest.{key}" for key in example["httpRequest"]} <= told | {"httpRequest"}
