"""Streams: what a script prints comes while it runs, in its true order, and then how it ended."""
import http.client
import json
import os
import signal
import threading
import time

import pytest
from service import Background, Service, order, wait_until
from streaming import Client, finished, parse, stream, text_of

# --- Asking for it ----------------------------------------------------------------------------------

HELLO = "def main(): print('hi'); return 1"


@pytest.mark.parametrize("keys, accept, streams", [
    ({"stream": True}, None, True),
    ({"stream": True}, "application/json", True),
    ({}, "text/event-stream", True),
    ({}, "application/json;q=0.5, Text/Event-Stream", True),
    ({"stream": False}, "text/event-stream", False),
    ({}, "text/event-stream;q=0", False),
    ({}, "*/*", False),
    ({}, None, False),
    ({"stream": False}, None, False),
])
def test_who_asks(service, keys, accept, streams):
    answer = service.post(order(HELLO, **keys), {"Accept": accept} if accept else {})
    if streams:
        assert finished(answer) == ([("stdout", "hi\n")], {"status": 200, "outcome": "ok", "result": 1})
    else:
        assert answer.body == b'{"result": 1, "stdout": "hi\\n"}' and answer.headers["content-type"] == "application/json"
        assert answer.outcome == "ok"


@pytest.mark.parametrize("value", [None, 1, "true", []])
def test_what_is_no_flag(service, value):
    answer = service.run(HELLO, stream=value)
    assert (answer.status, answer.error) == (400, "Invalid input: 'stream' must be true or false.")


def test_errors_before_a_run_are_plain(start):
    one = start("--preload=", "--body-kb=4", "--script-kb=1", "--workers=1", "--queue=0")
    accept = {"Accept": "text/event-stream"}
    assert one.post(b"{", accept).status == 400
    assert one.post(order("x" * 2000), accept).status == 413
    assert one.post(order("x" * 5000), accept).status == 413
    assert one.ask("GET", "/execute", headers=accept).status == 405
    assert one.ask("GET", "/nowhere", headers=accept).status == 404
    running = Background(one.run, "import time\ndef main(): time.sleep(1.5)")
    one.wait_for_busy(1)
    full = one.post(order(HELLO), accept)
    assert (full.status, full.error) == (503, "Too busy, the queue is full.") and "retry-after" in full.headers
    assert full.headers["content-type"] == "application/json"
    assert running.get().status == 200


# --- What is printed --------------------------------------------------------------------------------

ALTERNATING = """
import os, sys, traceback
def main():
    for i in range({count}):
        text = "%d\\n" % i
        if i % 7 == 0: print(i)
        elif i % 7 == 1: print(i, file=sys.stderr)
        elif i % 7 == 2: os.write(1, text.encode())
        elif i % 7 == 3: os.writev(2, [text[:1].encode(), text[1:].encode()])
        elif i % 7 == 4: sys.__stdout__.write(text)
        elif i % 7 == 5: sys.stderr.buffer.write(text.encode())
        else: os.write(2, text.encode())
"""


def test_the_order_is_true(service):
    count = 3000
    printed, result = stream(service, ALTERNATING.format(count=count))
    assert "".join(text for _, text in printed) == "".join(f"{i}\n" for i in range(count))
    assert text_of(printed, "stdout") == "".join(f"{i}\n" for i in range(count) if i % 7 in (0, 2, 4))
    assert result == {"status": 200, "outcome": "ok", "result": None}


def test_the_order_of_threads_that_wait_for_each_other(service):
    printed, _ = stream(service, """
import sys, threading
def main():
    turns = threading.Semaphore(1), threading.Semaphore(0)
    def work(mine, stream):
        for i in range(mine, 200, 2):
            turns[mine].acquire(); print(i, file=stream); turns[1 - mine].release()
    threads = [threading.Thread(target=work, args=(0, sys.stdout)), threading.Thread(target=work, args=(1, sys.stderr))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
""")
    assert "".join(text for _, text in printed) == "".join(f"{i}\n" for i in range(200))


def test_the_order_of_large_writes(service):
    printed, _ = stream(service, """
import sys, os
def main():
    print("a" * 300000); print("b" * 30000, file=sys.stderr); print("c" * 300000); print("d" * 30000, file=sys.stderr)
""")
    assert printed == [("stdout", "a" * 300000 + "\n"), ("stderr", "b" * 30000 + "\n"), ("stdout", "c" * 300000 + "\n"),
                       ("stderr", "d" * 30000 + "\n")]


@pytest.mark.parametrize("script", [
    "r, w = os.pipe(); os.dup2(w, 2); os.write(2, b'x'); print('out'); return os.read(r, 9).decode()",
    "f = open('/tmp/f', 'w+'); f.write('x' * 99); f.seek(0); os.dup2(f.fileno(), 2); print('out'); return 'x'",
    "os.dup2(1, 2); os.write(2, b'o'); print('ut'); return 'x'",
    "os.close(2); print('out'); return 'x'",
    "sys.stderr.close(); sys.stdout.write('out\\n'); return 'x'",
    "print('out'); os.close(1); print('x', file=sys.stderr); return 'x'",
])
def test_descriptors_that_a_script_has_moved(service, script):
    """Nobody waits for a pipe that the server does not read."""
    printed, result = stream(service, f"import os, sys\ndef main(): {script}", limits={"wall_ms": 3000})
    assert text_of(printed, "stdout") == "out\n" and result["result"] == "x"


def test_os_write_is_as_it_was(service):
    script = """
import inspect, os, posix
def attempt(call, *args):
    try: return call(*args)
    except Exception as error: return type(error).__name__, getattr(error, "errno", None)
def main():
    f = os.open("/tmp/x", os.O_RDWR | os.O_CREAT)
    return [str(inspect.signature(os.write)), str(inspect.signature(os.writev)), os.write is posix.write, os.writev is posix.writev,
            os.write(f, b"ab"), os.writev(f, [b"cd", bytearray(b"e")]), os.pread(f, 9, 0).decode(),
            attempt(os.write, 99, b""), attempt(os.write, 1, "x"), attempt(os.write), attempt(os.write, 1, b"", 2), attempt(os.writev, 1, 2),
            attempt(os.write, None, b""), os.write(True, memoryview(b"1"))]
"""
    printed, result = stream(service, script)
    assert result["result"] == service.result(script) and text_of(printed, "stdout") == "1"


def test_it_is_live(service):
    """The first event is there before the script, which ends only when the client has had it, has ended."""
    client = Client(service, order("import time\ndef main():\n    print('first'); time.sleep(2); print('second')\n    return 'end'", stream=True))
    begin = client.read_until(b"first")
    assert b"second" not in begin and b"event: result" not in begin
    rest = client.read_until(b'"end"}\n\n')
    assert b"second" in rest and b"first" not in rest
    client.close()


def test_it_is_answered_before_anything_is_printed(service):
    client = Client(service, order("import time\ndef main(): time.sleep(2)", stream=True))
    head = client.read_until(b"\r\n\r\n")
    assert b"200 OK" in head and b"text/event-stream" in head and b"event:" not in head
    client.read_until(b"event: result")
    client.close()


@pytest.mark.parametrize("text", ["é", "€", "😀", "a😀é"])
def test_characters_in_pieces(service, text):
    printed, _ = stream(service, f"""
import os, time
def main():
    for byte in {text.encode()!r}:
        os.write(1, bytes([byte])); os.write(2, b"."); time.sleep(0.02)
""")
    assert text_of(printed, "stdout") == text
    assert text_of(printed, "stderr") == "." * len(text.encode())


def test_what_is_no_text(service):
    printed, _ = stream(service, "import os\ndef main(): os.write(1, b'a\\xff\\xe2\\x82'); os.write(2, b'\\0\\n\\r\\x1b\\xf0')")
    assert text_of(printed, "stdout") == "a\ufffd\ufffd" and text_of(printed, "stderr") == "\0\n\r\x1b\ufffd"


def test_output_that_looks_like_events(service):
    text = "\n\nevent: result\ndata: {}\r\r\n\n: x\n"
    printed, result = stream(service, f"def main():\n    print({text!r}, end='')\n    return {text!r}")
    assert printed == [("stdout", text)] and result["result"] == text


def test_no_output_no_events(service):
    assert stream(service, "def main(): return [None]") == ([], {"status": 200, "outcome": "ok", "result": [None]})


# --- How it ended -----------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome, status, script", [
    ("ok", 200, "print('x')\ndef main(): return 2 ** 70"),
    ("no_main", 400, "print('x')"),
    ("exception", 400, "print('x')\ndef main(): 1 / 0"),
    ("exception", 400, "print('x')\ndef main(): raise ValueError('a\\nb\\rc')"),
    ("not_serializable", 400, "print('x')\ndef main(): return {1}"),
    ("output_limit", 400, "print('x')\ndef main(): return 'x' * 9_000_000"),
    ("timeout", 500, "print('x')\ndef main():\n    while True: pass"),
    ("memory", 400, "print('x')\ndef main(): raise MemoryError"),
    ("killed", 500, "import os\nprint('x')\ndef main(): os.abort()"),
    ("exited", 500, "print('x')\ndef main(): raise SystemExit"),
])
def test_every_outcome(service, outcome, status, script):
    limits = {"wall_ms": 700}
    printed, result = stream(service, script, limits=limits)
    plain = service.run(script, limits=limits)
    assert (plain.status, plain.outcome) == (status, outcome)
    body = plain.json
    body.pop("stdout", None)
    assert printed == [("stdout", "x\n")]
    assert result == {"status": status, "outcome": outcome, **body}
    detailed, plain = stream(service, script, limits=limits, details=True)[1], service.run(script, limits=limits, details=True).json
    assert detailed.pop("status") == status
    assert set(plain) - set(detailed) == {"stdout", "stderr"} and set(detailed) <= set(plain)
    for key in set(detailed) - {"usage"}:
        assert detailed[key] == plain[key]
    assert detailed["usage"]["stdout_bytes"] == 2


def test_lost(start):
    one = start("--preload=")
    running = Background(stream, one, "import time\ndef main(): print('so far'); time.sleep(4)")
    one.wait_for_busy(1)
    time.sleep(0.3)
    os.kill(one.zygote_pid, signal.SIGKILL)
    assert running.get() == ([("stdout", "so far\n")], {"status": 500, "outcome": "lost", "error": "Execution failed"})


def test_it_waits_in_the_queue(start):
    one = start("--preload=", "--workers=1", "--queue-ms=1000", "--wall-ms=3000")
    running = Background(one.run, "import time\ndef main(): time.sleep(0.7)")
    one.wait_for_busy(1)
    assert stream(one, HELLO)[1] == {"status": 200, "outcome": "ok", "result": 1}
    running.get()
    running = Background(one.run, "import time\ndef main(): time.sleep(2.5)")
    one.wait_for_busy(1)
    assert stream(one, HELLO, details=True, outputs=["*"]) == (
        [], {"status": 503, "outcome": None, "error": "Too busy, no worker was free in time."})
    running.get()


def test_truncated(start):
    one = start("--preload=", "--stdout-kb=2", "--stderr-kb=1")
    script = "import os\ndef main():\n    for _ in range(100): os.write(1, b'o' * 99 + b'\\n'); os.write(2, b'e' * 20)\n    return 1"
    printed, result = stream(one, script)
    assert len(text_of(printed, "stdout")) == 2048 and len(text_of(printed, "stderr")) == 1024
    assert result == {"status": 200, "outcome": "ok", "result": 1, "stdout_truncated": True, "stderr_truncated": True}
    printed, result = stream(one, script, limits={"output_kb": 1}, details=True)
    assert len(text_of(printed, "stdout")) == 1024
    assert result["stdout_truncated"] is True and result["usage"]["stdout_bytes"] == 10000
    # The limit cuts an é in two, and what is left of it is nothing.
    printed, result = stream(one, "def main(): print('x' + 'é' * 2000, end='')")
    assert text_of(printed, "stdout") == "x" + "é" * 1023
    assert result == {"status": 200, "outcome": "ok", "result": None, "stdout_truncated": True}


def test_other_keys(service):
    printed, result = stream(
        service, "import sys, numpy\ndef main(a):\n    print(input()); open('o', 'w').write(open('i').read()); return numpy.int64(a)",
        args=[3], stdin="in\n", files={"i": {"text": "file"}}, outputs=["o"], convert=True)
    assert printed == [("stdout", "in\n")]
    assert result == {"status": 200, "outcome": "ok", "result": 3, "outputs": [
        {"name": "o", "size": 4, "media_type": "application/octet-stream", "base64": "ZmlsZQ=="}]}


def test_a_large_result(service):
    printed, result = stream(service, "def main(): print('x'); return 'r' * 8_000_000")
    assert result["result"] == "r" * 8_000_000 and printed == [("stdout", "x\n")]


# --- Connections ------------------------------------------------------------------------------------


def test_a_connection_is_used_again(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    for i in range(20):
        streams = i % 3 < 2
        connection.request("POST", "/execute", order(f"def main():\n    print({i})\n    return {i}", stream=streams))
        answer = connection.getresponse()
        body = answer.read()
        if streams:
            assert parse(body) == [("stdout", {"text": f"{i}\n"}), ("result", {"status": 200, "outcome": "ok", "result": i})] or (
                len(parse(body)) == 3)
            assert parse(body)[-1][1]["result"] == i
        else:
            assert json.loads(body) == {"result": i, "stdout": f"{i}\n"}
        assert answer.getheader("Connection") != "close"
    connection.close()


def test_requests_that_follow_at_once(service):
    """Pipelined: the second is read when the first is answered."""
    client = Client(service, order("import time\ndef main(): print(1); time.sleep(0.3); return 'a'", stream=True))
    client.send(order("def main(): print(2); return 'b'", stream=True), b"Connection: close\r\n")
    text = client.read_all()
    assert text.count(b"HTTP/1.1 200 OK") == 2 and text.count(b"event: result") == 2
    assert text.index(b'"a"') < text.index(b'"b"')


def test_connection_close(service):
    client = Client(service, order(HELLO, stream=True), b"Connection: close\r\n")
    text = client.read_all()
    assert text.endswith(b"0\r\n\r\n") and b"Connection: close" in text


@pytest.mark.parametrize("head", [b"", b"Connection: Keep-Alive\r\n"])
def test_http_1_0(service, head):
    """Knows no chunks: the end of the connection is the end of the stream."""
    client = Client(service, order("import time\ndef main(): print('hi', end=''); time.sleep(0.5); return 1", stream=True), head, b"1.0")
    head, _, body = client.read_all().partition(b"\r\n\r\n")
    assert b"200 OK" in head and b"chunked" not in head
    assert parse(body) == [("stdout", {"text": "hi"}), ("result", {"status": 200, "outcome": "ok", "result": 1})]


def test_head_is_no_stream(service):
    answer = service.ask("HEAD", "/execute", headers={"Accept": "text/event-stream"})
    assert answer.status == 405 and answer.body == b""


def test_it_is_finished_while_draining(program):
    one = Service("--preload=")
    running = Background(stream, one, "import time\ndef main():\n    print('a'); time.sleep(1); print('b'); return 'c'")
    one.wait_for_busy(1)
    one.process.send_signal(signal.SIGTERM)
    printed, result = running.get()
    assert text_of(printed, "stdout") == "a\nb\n" and result["result"] == "c"
    one.process.wait(10)
    one.stop()


# --- Clients that go away ---------------------------------------------------------------------------


def gone_within(one, leave):
    """Seconds from the client's going away to the worker's end."""
    one.wait_for_busy(1)
    pid = one.busy_pids()[0]
    begin = time.monotonic()
    leave()
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < begin + 5, "the run goes on without its client"
    return time.monotonic() - begin


@pytest.mark.parametrize("script", [
    "import time\ndef main(): time.sleep(60)",
    "def main():\n    while True: pass",
    "import time\nprint('x')\ndef main():\n    while True: print('x'); time.sleep(0.001)",
    "def main():\n    while True: print('x' * 1000)",
])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_goes_away(start, script, how):
    one = start("--preload=", "--wall-ms=60000", "--cpu-ms=60000", "--stdout-kb=65536")
    took = []
    for _ in range(8):
        client = Client(one, order(script, stream=True), window=32768)
        client.read_until(b"\r\n\r\n")
        time.sleep(0.1)
        took.append(gone_within(one, getattr(client, how)))
        if took[-1] < 0.1:
            break
    assert min(took) < 0.1, took
    one.assert_well()


def test_a_client_that_goes_while_it_waits(start):
    one = start("--preload=", "--workers=1", "--wall-ms=60000", "--queue=1")
    first = Client(one, order("import time\ndef main(): time.sleep(60)", stream=True))
    one.wait_for_busy(1)
    second = Client(one, order("def main():\n    while True: pass", stream=True))
    second.read_until(b"\r\n\r\n")
    assert wait_until(lambda: one.run(HELLO).status == 503, 3)
    second.close()
    third = Background(stream, one, HELLO)
    first.close()
    assert third.get(5)[1]["result"] == 1


def test_many_that_come_and_go(start):
    one = start("--preload=", "--workers=2", "--wall-ms=60000")
    for round_ in range(5):
        clients = [Client(one, order("import time\ndef main():\n    while True: print('x' * 100); time.sleep(0.001)", stream=True)) for _ in range(20)]
        one.wait_for_busy(2)
        for i, client in enumerate(clients):
            client.reset() if (i + round_) % 2 else client.close()
    assert wait_until(lambda: not one.busy_pids(), 5)
    one.assert_well()


def test_a_run_that_ends_as_its_client_goes(start):
    one = start("--preload=")
    for i in range(60):
        client = Client(one, order(f"import time\ndef main(): print('x'); time.sleep({i % 10 / 1000}); print('y')", stream=True))
        client.socket.settimeout(i % 7 / 1000 or 0.001)
        try:
            client.socket.recv(10)
        except TimeoutError:
            pass
        client.reset() if i % 2 else client.close()
    one.assert_well()


def test_many_streams_at_once(service):
    """None of them gets another's."""
    results = {}

    def run(i):
        results[i] = stream(service, f"import sys\ndef main():\n    for j in range(50): print({i}, j, file=(sys.stdout, sys.stderr)[j % 2])\n    return {i}")

    threads = [threading.Thread(target=run, args=(i,)) for i in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(30):
        printed, result = results[i]
        assert "".join(text for _, text in printed) == "".join(f"{i} {j}\n" for j in range(50)) and result["result"] == i
