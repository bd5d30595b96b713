"""Streams under attack: readers that do not read, scripts that flood them, and workers that would write events."""
import json
import socket
import time

import pytest
from service import order, resident_kb, unsanitized, wait_until
from streaming import Client, finished, parse, stream, text_of, unchunk

FLOOD = "import os\ndef main():\n    while True: os.write(1, b'x' * 60000)"
ZEROS = "import os\nzeros = bytes(60000)\ndef main():\n    while True: os.write(1, zeros); os.write(2, zeros)"  # six bytes each, as JSON
MANY = "--stdout-kb=65536", "--stderr-kb=65536"


def stalled(one, script, **keys):
    """Nobody reads the answer, and the kernel does not hold much of it."""
    return Client(one, order(script, stream=True, **keys), window=32768)


# --- Readers that do not read -----------------------------------------------------------------------


@unsanitized
@pytest.mark.parametrize("script", [FLOOD, ZEROS, FLOOD.replace("60000", "3")])
def test_a_reader_that_stalls_holds_no_memory(start, script):
    """The script waits, up to its deadline, and takes nothing from its neighbours."""
    one = start("--preload=", *MANY, "--workers=2", "--wall-ms=1500", "--idle-s=20")
    stream(one, FLOOD, limits={"wall_ms": 300, "output_kb": 100})  # what a first stream takes, stays
    before = resident_kb(one.server_pid)
    client = stalled(one, script)
    one.wait_for_busy(1)
    worst = 0
    while one.busy_pids():
        one.assert_well()
        worst = max(worst, resident_kb(one.server_pid))
    assert worst - before < 4096, (before, worst)
    # What was printed is still there for whoever reads on, and so is how it ended.
    events = parse(unchunk(client.read_slowly(b"", 65536, 0)))
    assert events[-1] == ("result", {"status": 500, "outcome": "timeout", "error": "Execution failed"})
    assert sum(len(data["text"]) for _, data in events[:-1]) < 5_000_000
    client.close()


@unsanitized
def test_many_readers_that_stall(start):
    one = start("--preload=", *MANY, "--workers=4", "--wall-ms=300", "--queue=200", "--idle-s=20")
    stream(one, FLOOD, limits={"output_kb": 100})
    before = resident_kb(one.server_pid)
    clients = [stalled(one, ZEROS) for _ in range(60)]
    assert wait_until(lambda: not one.busy_pids() and one.run("def main(): return 1").status == 200, 20)
    assert resident_kb(one.server_pid) - before < 60 * 1600
    for client in clients:
        client.reset()
    one.assert_well()
    assert wait_until(lambda: resident_kb(one.server_pid) - before < 6000, 5), resident_kb(one.server_pid) - before


def test_a_reader_that_stalls_for_ever(start):
    """Its connection is closed when it has been idle for so long; a run that still streams to it ends then."""
    one = start("--preload=", *MANY, "--wall-ms=30000", "--idle-s=2")
    client = stalled(one, FLOOD)
    one.wait_for_busy(1)
    assert wait_until(lambda: not one.busy_pids(), 8), "the run goes on though its client has been idle for long"
    with pytest.raises(OSError):
        while client.socket.recv(65536):
            pass
        raise ConnectionResetError
    ended = stalled(one, FLOOD, limits={"wall_ms": 300})
    ended.socket.settimeout(10)
    time.sleep(4)
    text = b""
    try:
        while piece := ended.socket.recv(65536):
            text += piece
    except ConnectionResetError:
        pass
    assert b"event: result" not in text
    one.assert_well()


def test_a_quiet_run_is_not_idle(start):
    one = start("--preload=", "--wall-ms=10000", "--idle-s=1")
    printed, result = stream(one, "import time\ndef main():\n    print(1); time.sleep(3); print(2); time.sleep(2)")
    assert text_of(printed, "stdout") == "1\n2\n" and result["outcome"] == "ok"


def test_a_slow_reader_gets_all_of_it(start):
    one = start("--preload=", *MANY, "--wall-ms=20000")
    client = stalled(one, "import sys\ndef main():\n    for i in range(6000): print(i, 'x' * 20, file=(sys.stdout, sys.stderr)[i % 3 == 0])")
    events = parse(unchunk(client.read_slowly(b"", 50_000, 0.002)))
    assert "".join(data["text"] for _, data in events[:-1]) == "".join(f"{i} {'x' * 20}\n" for i in range(6000))
    assert events[-1][1]["outcome"] == "ok"


def test_whoever_waits_for_a_slow_reader_sleeps(start):
    """A second of waiting for the other pipe to be read takes little CPU time."""
    one = start("--preload=", *MANY, "--wall-ms=3000")
    client = stalled(one, "import sys\ndef main():\n    while True: print('x' * 1000); print('x' * 1000, file=sys.stderr)", details=True)
    one.wait_for_busy(1)
    assert wait_until(lambda: not one.busy_pids(), 10)
    result = parse(unchunk(client.read_slowly(b"", 65536, 0)))[-1][1]
    assert result["outcome"] == "timeout"
    assert result["usage"]["cpu_user_ms"] + result["usage"]["cpu_system_ms"] < 1500, result["usage"]


# --- Floods -----------------------------------------------------------------------------------------


def test_a_flood_of_tiny_writes(start):
    one = start("--preload=", "--wall-ms=20000")
    printed, result = stream(one, "import os\ndef main():\n    for i in range(100_000): os.write(1, b'%d\\n' % i)\n    return i")
    assert text_of(printed, "stdout") == "".join(f"{i}\n" for i in range(100_000)) and result["result"] == 99_999
    printed, _ = stream(one, "import os\ndef main():\n    for i in range(10_000): os.write(1 + i % 2, b'x')", limits={"wall_ms": 20000})
    assert len(text_of(printed, "stdout")) == len(text_of(printed, "stderr")) == 5000


def test_a_flood_beyond_the_limit_is_dropped(start):
    one = start("--preload=", "--wall-ms=1000")
    printed, result = stream(one, ZEROS)
    assert text_of(printed, "stdout") == "\0" * (1 << 20) and text_of(printed, "stderr") == "\0" * (64 << 10)
    assert result == {"status": 500, "outcome": "timeout", "error": "Execution failed", "stdout_truncated": True, "stderr_truncated": True}


def test_a_flood_leaves_the_neighbours_alone(start):
    one = start("--preload=", *MANY, "--workers=3", "--wall-ms=3000")
    floods = [Client(one, order(FLOOD, stream=True)) for _ in range(2)]
    one.wait_for_busy(2)
    for client in floods:
        client.socket.setblocking(False)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for client in floods:
            try:
                client.socket.recv(1 << 20)
            except BlockingIOError:
                pass
        one.assert_well()
    for client in floods:
        client.reset()


# --- Workers that would write events ----------------------------------------------------------------

FORGE = "import os, struct\ndef frame(kind, p): os.write(3, struct.pack('<II', kind, len(p)) + p); os._exit(0)\ndef main(): "


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n", "\n\n", "\n\r\n\r"])
def test_a_result_of_many_lines(service, line_end):
    """JSON may have line ends between its tokens, and is passed on byte for byte in a plain answer."""
    wanted = {"event: result": ["data: {}", 1]}
    text = line_end + json.dumps(wanted, indent=1).replace("\n", line_end) + line_end
    answer = service.run(FORGE + f"frame(2, {text.encode()!r})", stream=True)
    assert answer.body.count(b"\n") == 3 and b"\r" not in answer.body
    assert finished(answer) == ([], {"status": 200, "outcome": "ok", "result": wanted})
    plain = service.run(FORGE + f"frame(2, {text.encode()!r})")
    assert text.encode() in plain.body


@pytest.mark.parametrize("kind, payload, outcome", [
    (2, b'1\n\nevent: result\ndata: {"status": 200}\n\n', "exited"),
    (2, b'"\n\nevent: result\ndata: 1\n\n"', "exited"),
    (2, b'{"a": 1}\ndata: 2', "exited"),
    (4, b"E: \n\nevent: result\ndata: {}\r\r", "exception"),
    (6, b"\r\n\r\nevent: stdout\r\ndata: {}\n\n", "not_serializable"),
    (99, b"\n\nevent: result\n", "exited"),
])
def test_what_is_no_result(service, kind, payload, outcome):
    for details in (False, True):
        answer = service.run(FORGE + f"frame({kind}, {payload!r})", stream=True, details=details)
        printed, result = finished(answer)
        assert printed == [] and result["outcome"] == outcome and "result" not in result
        assert answer.body.count(b"\n") == 3 and b"\r" not in answer.body


def test_forged_details_and_outputs(service):
    details = b'E\0{"type":\n\n"event: result\\n", "line":\r\n1}'
    answer = service.run(FORGE + f"frame(4, {details!r})", stream=True, details=True)
    assert finished(answer)[1]["exception"] == {"type": "event: result\n", "line": 1} and answer.body.count(b"\n") == 3
    outputs = b'[\n\n{"name":\r"x"}\n]'
    answer = service.run(FORGE + f"frame(2, b'1\\n\\0=' + {outputs!r})", stream=True, outputs=["*"])
    assert finished(answer)[1] == {"status": 200, "outcome": "ok", "result": 1, "outputs": [{"name": "x"}]}
    assert answer.body.count(b"\n") == 3 and b"\r" not in answer.body


def test_frames_behind_and_before(service):
    """Only the first counts, whatever is printed around it."""
    answer = service.run(
        "import os, struct\ndef main():\n    print('a')\n    for p in (b'1\\n', b'2\\n'): os.write(3, struct.pack('<II', 2, len(p)) + p)\n"
        "    os.write(1, b'b'); os._exit(0)", stream=True, details=True)
    printed, result = finished(answer)
    assert text_of(printed, "stdout").startswith("a\n") and result["result"] == 1


@pytest.mark.parametrize("script", [
    "import sys\ndef main():\n    sys.stdout.buffer.other = None\n    print('x')",
    "import sys\ndef main():\n    sys.stdout.buffer.other.wait = lambda: 1 / 0\n    print('x')",
    "import os, posix, time\nposix.write = os.write = time.sleep = os.sched_yield = None\ndef main(): print('x'); return 1",
    "import fcntl, os\nfcntl.ioctl = os.fstat = None\ndef main(): print('x'); return 1",
    "import sys\nclass Odd(int):\n    def __eq__(self, other): raise KeyboardInterrupt\n    __hash__ = int.__hash__\nimport os\ndef main(): os.write(Odd(1), b'x')",
    "import os\ndef main():\n    os.closerange(0, 100); print('x')",
    "import os\ndef main():\n    os.dup2(3, 1); print('into the frames' * 100); os.dup2(1, 3)\n    return 1",
    "import os\ndef main():\n    os.dup2(3, 2); os.write(2, b'x'); print('out')\n    return 1",
])
def test_a_script_that_breaks_its_own_order(service, script):
    """It harms its own run alone."""
    printed, result = stream(service, script, limits={"wall_ms": 2000})
    assert result["outcome"] in ("ok", "exception", "exited", "output_limit")
    service.assert_well()


# --- Clients that would break it --------------------------------------------------------------------


def test_odd_accept_headers(service):
    for value in ("text/event-stream" + ";" * 5000, ";q=" * 3000, "," * 8000, "text/event-stream;q=" + "9" * 2000, "text/event-stream;q=nan",
                  "text/event-stream;q=-1", "\xff" * 100):
        answer = service.post(order("def main(): return 1"), {"Accept": value})
        assert answer.status == 200 and b'"result": 1' in answer.body


def test_clients_that_only_half_close(start):
    """A client that says it will send no more counts as gone, as with a plain answer."""
    one = start("--preload=", "--wall-ms=20000")
    client = Client(one, order("import time\ndef main(): print('x'); time.sleep(20)", stream=True))
    one.wait_for_busy(1)
    client.socket.shutdown(socket.SHUT_WR)
    assert wait_until(lambda: not one.busy_pids(), 3)
    events = parse(unchunk(client.read_slowly(b"", 65536, 0)))
    assert events[-1] == ("result", {"status": 500, "outcome": "cancelled", "error": "Execution failed"})
    one.assert_well()
