"""X-Request-Id: in every answer, the client's where it is sane, and another one each time where it is not."""
import json
import re
import socket

import pytest
from service import Background, order

MADE = re.compile(r"^[0-9a-f]{32}$")
PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                   "params": {"name": "run_python", "arguments": {"script": "def main(): return 1"}}})
REQUESTS = {
    "run": ("POST", "/execute", order("def main(): return 1"), {}, 200),
    "raises": ("POST", "/execute", order("1 / 0"), {}, 400),
    "fails": ("POST", "/execute", order("import os\nos._exit(1)"), {}, 500),
    "streams": ("POST", "/execute", order("print(1)"), {"Accept": "text/event-stream"}, 200),
    "no JSON": ("POST", "/execute", b"{", {}, 400),
    "elsewhere": ("GET", "/nowhere", None, {}, 404),
    "method": ("DELETE", "/execute", None, {}, 405),
    "methods": ("OPTIONS", "/execute", None, {}, 204),
    "read": ("GET", "/isolation", None, {}, 200),
    "head": ("HEAD", "/openapi.json", None, {}, 200),
    "ping": ("POST", "/mcp", PING, {}, 200),
    "call": ("POST", "/mcp", CALL, {}, 200),
    "notification": ("POST", "/mcp", '{"jsonrpc": "2.0", "method": "x"}', {}, 202),
    "other origin": ("POST", "/mcp", PING, {"Origin": "https://example.com"}, 403),
    "too large": ("POST", "/execute", order("#" * (2 << 20)), {}, 413),
}


@pytest.mark.parametrize("name", list(REQUESTS))
def test_every_answer_has_one(service, name):
    method, path, body, headers, status = REQUESTS[name]
    answers = [service.ask(method, path, body, {**headers, **more}) for more in ({}, {}, {"X-Request-Id": f"abc-{status}"}, {"x-request-id": "a b"})]
    assert [answer.status for answer in answers] == [status] * 4
    first, second, taken, refused = [answer.headers["x-request-id"] for answer in answers]
    assert taken == f"abc-{status}"
    assert MADE.match(first) and MADE.match(second) and MADE.match(refused) and len({first, second, refused}) == 3


def test_so_has_a_busy_service_and_a_body_that_is_refused_before_it_came(start):
    one = start("--preload=", "--workers=1", "--queue=0", "--body-kb=2", "--script-kb=1")
    running = Background(one.run, "import time\ndef main(): time.sleep(1)")
    one.wait_for_busy(1)
    answer = one.run("x = 1")
    assert answer.status == 503 and MADE.match(answer.headers["x-request-id"])
    with socket.create_connection(("127.0.0.1", one.port), 10) as client:
        client.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        said = client.recv(4096)
    assert said.startswith(b"HTTP/1.1 413 ") and b"\r\nX-Request-Id: mine\r\n" in said
    assert MADE.match(running.get().headers["x-request-id"])


@pytest.mark.parametrize("bad", [b"", b"a\tb", b"\xc3\xa4", b"\xff", b'"', b"a;b", b"x" * 129])
def test_an_id_that_is_not_sane_is_replaced(service, bad):
    with socket.create_connection(("127.0.0.1", service.port), 10) as client:
        client.sendall(b"OPTIONS /execute HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: " + bad + b"\r\n\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))
    found = re.search(rb"^X-Request-Id: (.*)\r$", said, re.M).group(1).decode()
    assert said.startswith(b"HTTP/1.1 204 ") and MADE.match(found)
