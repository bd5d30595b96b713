"""HTTP itself: methods, paths, connections, and clients that do not behave."""
import http.client
import json
import socket
import time

import pytest
from service import order, together

GOOD = order("def main(): return 1")
ONE = b'{"result": 1, "stdout": ""}'


def connect(service, timeout=20):
    return socket.create_connection(("127.0.0.1", service.port), timeout=timeout)


def request(body, *headers, method="POST", path="/execute"):
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def with_length(body, *headers):
    return request(body, f"Content-Length: {len(body)}", *headers)


def answers(connection, count):
    """So many answers read from one connection: (status, body)."""
    file = connection.makefile("rb")
    found = []
    for _ in range(count):
        status = int(file.readline().split()[1])
        headers = http.client.parse_headers(file)
        found.append((status, file.read(int(headers["Content-Length"]))))
    return found


# --- Routes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(service, method):
    body = GOOD if method in ("PUT", "PATCH") else None
    answer = service.ask(method, "/execute", body)
    assert answer.status == 405
    assert "POST" in [word.strip() for word in answer.headers["allow"].split(",")]
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert set(answer.json) == {"error"}


def test_options(service):
    answer = service.ask("OPTIONS", "/execute")
    assert answer.status == 204 and answer.body == b""
    assert answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("path", ["/nowhere", "/execute/", "/Execute", "/execute/x", "//execute", "/../execute", "/%00", "/" + "x" * 4000])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_paths(service, method, path):
    answer = service.ask(method, path, GOOD if method == "POST" else None)
    assert answer.status == 404 and set(answer.json) == {"error"}, answer
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/execute?x=1", "/execute?", "/execute?script=no"])
def test_the_query_is_not_looked_at(service, path):
    assert service.ask("POST", path, GOOD).body == ONE


# --- Connections ------------------------------------------------------------------------------------


def test_many_requests_on_one_connection(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.connect()
    socket_before = connection.sock
    for i in range(200):
        connection.request("POST", "/execute", order(f"def main(): return {i}"))
        assert json.loads(connection.getresponse().read())["result"] == i
    assert connection.sock is socket_before
    connection.close()


def test_a_connection_is_kept_after_every_kind_of_answer(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    bodies = [GOOD, b"[]", order("1 / 0"), order("import os; os._exit(0)"), order("x"), GOOD]
    statuses = []
    for body in bodies:
        connection.request("POST", "/execute", body)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        assert not answer.will_close
    for method, path in (("GET", "/execute"), ("POST", "/nowhere"), ("OPTIONS", "/execute")):
        connection.request(method, path, GOOD if method == "POST" else None)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    assert statuses == [200, 400, 400, 500, 400, 200, 405, 404, 204]
    connection.close()


def test_pipelined_requests_are_answered_in_order(service):
    with connect(service) as connection:
        slow = order("import time\ndef main():\n    time.sleep(0.3)\n    return 'slow'")
        connection.sendall(with_length(slow) + b"".join(with_length(order(f"def main(): return {i}")) for i in range(20)))
        found = answers(connection, 21)
    assert [json.loads(body)["result"] for _, body in found] == ["slow", *range(20)]


def test_a_request_that_comes_byte_by_byte(service):
    with connect(service) as connection:
        for byte in with_length(GOOD):
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
        assert answers(connection, 1) == [(200, ONE)]


def test_connection_close_and_http_1_0(service):
    for head in (b"POST /execute HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", b"POST /execute HTTP/1.0\r\n"):
        with connect(service) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
            text = connection.makefile("rb").read()
        assert b" 200 " in text.splitlines()[0] and text.endswith(ONE)


def test_many_connections_at_once(service):
    def one(i):
        return service.run(f"print({i})\ndef main(): return {i}").json

    found = together(*[lambda i=i: one(i) for i in range(60)])
    assert found == [{"result": i, "stdout": f"{i}\n"} for i in range(60)]


def test_idle_connections_do_not_hinder(service):
    idle = [connect(service) for _ in range(200)]
    half = [connect(service) for _ in range(50)]
    for connection in half:
        connection.sendall(with_length(GOOD)[:60])
    service.assert_well()
    for connection in idle + half:
        connection.close()
    service.assert_well()


def test_a_silent_connection_is_closed_in_time(start):
    one = start("--idle-s=1")
    for sent in (b"", b"POST /exec", with_length(GOOD)[:-5]):
        with connect(one) as connection:
            connection.sendall(sent)
            begin = time.monotonic()
            connection.recv(1000)
            assert time.monotonic() - begin < 10
    one.assert_well()


def test_a_run_is_not_idleness(start):
    one = start("--idle-s=1")
    assert one.run("import time\ndef main():\n    time.sleep(2.5)\n    return 'slept'").result == "slept"


# --- Bodies -----------------------------------------------------------------------------------------


def test_expect_100_continue(service):
    for body in (GOOD, order("#" + "x" * 1_000_000 + "\ndef main(): return 1")):
        with connect(service) as connection:
            connection.sendall(request(b"", f"Content-Length: {len(body)}", "Expect: 100-continue"))
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
            assert answers(connection, 1) == [(200, ONE)]


def test_expect_with_a_body_that_is_too_large_is_refused_before_it_is_sent(service):
    with connect(service) as connection:
        connection.sendall(request(b"", f"Content-Length: {17 << 20}", "Expect: 100-continue"))
        begin = time.monotonic()
        status, body = answers(connection, 1)[0]
        assert status == 413 and set(json.loads(body)) == {"error"}
        assert time.monotonic() - begin < 3


def chunked(body, size, trailer=b""):
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_bodies(service, size):
    with connect(service) as connection:
        for _ in range(3):
            connection.sendall(request(chunked(GOOD, size), "Transfer-Encoding: chunked"))
            assert answers(connection, 1) == [(200, ONE)]


def test_a_chunked_body_with_a_trailer(service):
    with connect(service) as connection:
        connection.sendall(request(chunked(GOOD, 10, b"X-After: 1\r\n"), "Transfer-Encoding: chunked"))
        assert answers(connection, 1) == [(200, ONE)]


def test_a_chunked_body_that_is_too_large(service):
    with connect(service) as connection:
        connection.sendall(request(b"", "Transfer-Encoding: chunked"))
        connection.sendall(chunked(b" " * (17 << 20), 1 << 20))
        assert answers(connection, 1)[0][0] == 413
    service.assert_well()


def test_an_endless_body_is_cut_off(service):
    sent = 0
    with connect(service) as connection, pytest.raises(OSError):
        connection.sendall(request(b"", "Transfer-Encoding: chunked"))
        while sent < 300 << 20:
            connection.sendall(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")
            sent += 1 << 20
    service.assert_well()


def test_an_empty_body(service):
    for head in (b"Content-Length: 0\r\n", b""):
        with connect(service) as connection:
            connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
            assert answers(connection, 1)[0][0] == 400


# --- Clients that do not behave ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"\x00" * 5000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /execute HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /execute HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"POST " + b"/" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        with_length(GOOD)[:40],
        with_length(GOOD)[:-1],
    ],
)
def test_rubbish_and_halves_then_close(service, sent):
    with connect(service) as connection:
        try:
            connection.sendall(sent)
            connection.settimeout(0.2)
            text = connection.recv(1000)
            assert text == b"" or text.startswith(b"HTTP/1.1 4") or text.startswith(b"HTTP/1.1 5"), text
        except (TimeoutError, ConnectionError):
            pass  # closed, or waits for the rest
    service.assert_well()


INNER = with_length(order("def main(): return 'smuggled'"))
CHUNKS = b"0\r\n\r\n" + INNER
DOUBTFUL = {
    "length and chunks": (f"Content-Length: {len(CHUNKS)}", "Transfer-Encoding: chunked"),
    "chunks and length": ("Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKS)}"),
    "in another case": ("transfer-encoding: Chunked", f"CONTENT-LENGTH: {len(CHUNKS)}"),
    "chunks and no length": ("Transfer-Encoding: chunked", "Content-Length: 0"),
    "two lengths": ("Content-Length: 5", f"Content-Length: {len(CHUNKS)}"),
    "one length twice": ("Content-Length: 5", "Content-Length: 5"),
    "lengths in one line": ("Content-Length: 5, 5",),
    "chunks twice": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "another encoding": ("Transfer-Encoding: gzip",),
    "another encoding before": ("Transfer-Encoding: gzip, chunked",),
    "another encoding and a length": ("Transfer-Encoding: identity", "Content-Length: 5"),
    "a blank behind the name": ("Content-Length: 5", "Transfer-Encoding : chunked"),
    "a tab behind the name": ("Transfer-Encoding: chunked", "Content-Length\t: 5"),
}


def read_to_the_end(connection):
    """What comes until the other end closes, which it must; if need be with a reset, since it has left something unread."""
    text = b""
    try:
        while piece := connection.recv(65536):
            text += piece
    except ConnectionResetError:
        pass
    return text


@pytest.mark.parametrize("path, method", [("/execute", "POST"), ("/mcp", "POST"), ("/isolation", "GET"), ("/nowhere", "PUT")])
@pytest.mark.parametrize("headers", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_follows_a_doubtful_length_is_no_request(service, headers, method, path):
    """Request smuggling. The client keeps its half open, as one that waits for a second answer does."""
    with connect(service) as connection:
        connection.sendall(request(CHUNKS, *headers, method=method, path=path))
        text = read_to_the_end(connection)
    head, _, body = text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"smuggled" not in text, text
    assert b"connection: close" in head.lower(), head
    if b"application/json" in head:
        assert text.count(b"HTTP/1.") == 1 and "length of the body" in str(json.loads(body)["error"]), text
    else:  # the own refusal of libmicrohttpd, of which 0.9.75 writes the head twice
        assert b"<html>" in body, text
    service.assert_well()


def test_chunks_in_http_1_0_are_no_request(service):
    with connect(service) as connection:
        connection.sendall(b"POST /execute HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS)
        text = read_to_the_end(connection)
    assert b"smuggled" not in text and text.count(b"HTTP/1.") <= 1
    service.assert_well()


def test_a_client_that_does_not_read(service):
    with connect(service) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(with_length(order("def main(): return 'x' * 8_000_000")) * 3)
        time.sleep(0.5)
        service.assert_well()
    service.assert_well()


def test_many_clients_that_leave_with_a_reset(service):
    for i in range(100):
        connection = connect(service)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(with_length(GOOD)[: 20 + i])
        connection.close()
    service.assert_well()


def test_a_nul_in_a_path_ends_nothing(service):
    assert service.ask("POST", "/execute%00x", order("def main(): return 1")).status == 404
    assert service.ask("GET", "/isolation%00").status == 404
    assert service.ask("POST", "/%65xecute", order("def main(): return 1")).status == 200
