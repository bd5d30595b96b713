"""Asks for answers that are streamed, and reads them: server-sent events, of this service's kind and no other."""
import json
import re
import socket
import time

from service import order

EVENT = re.compile(rb"event: (stdout|stderr|result)\ndata: ([^\r\n]*)\n\n")
HEADERS = {"content-type": "text/event-stream", "cache-control": "no-store", "x-content-type-options": "nosniff",
           "x-accel-buffering": "no"}


def parse(body):
    """All of it, and nothing between the events."""
    found = [(match.group(1).decode(), json.loads(match.group(2))) for match in EVENT.finditer(body)]
    assert sum(len(match.group(0)) for match in EVENT.finditer(body)) == len(body), body[:1000]
    return found


def finished(answer):
    """What was printed, by name in order, neighbours of one name joined; and the result."""
    assert answer.status == 200, answer
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "execution-outcome" not in answer.headers
    *printed, (last, result) = parse(answer.body)
    assert last == "result" and list(result)[:2] == ["status", "outcome"]
    joined = []
    for name, data in printed:
        assert name != "result" and list(data) == ["text"] and data["text"] != ""
        if joined and joined[-1][0] == name:
            data = {"text": joined.pop()[1] + data["text"]}
        joined.append((name, data["text"]))
    return joined, result


def stream(service, script, **keys):
    return finished(service.run(script, stream=True, **keys))


def unchunk(text):
    """The body of an answer that came in chunks."""
    body = text.partition(b"\r\n\r\n")[2]
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        end = int(size, 16)
        parts.append(body[:end])
        assert body[end : end + 2] == b"\r\n"
        body = body[end + 2 :]
    return b"".join(parts)


def text_of(printed, name):
    return "".join(text for found, text in printed if found == name)


class Client:
    """A connection on which an answer is read at leisure."""

    def __init__(self, service, body, head=b"", version=b"1.1", window=None):
        self.socket = socket.socket()
        if window is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            # Segments larger than the window, as of the loopback device, wait for a timer each (tcp(7), RFC 9293).
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", service.port))
        self.send(body, head, version)

    def send(self, body, head=b"", version=b"1.1"):
        self.socket.sendall(b"POST /execute HTTP/%s\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (version, head, len(body)) + body)

    def read_until(self, word):
        text = b""
        while word not in text:
            piece = self.socket.recv(65536)
            assert piece, text
            text += piece
        return text

    def read_all(self):
        text = b""
        while piece := self.socket.recv(65536):
            text += piece
        return text

    def read_slowly(self, text, size, pause):
        """Up to the end of the chunked body that text is the beginning of."""
        while not text.endswith(b"\r\n0\r\n\r\n"):
            time.sleep(pause)
            piece = self.socket.recv(size)
            assert piece, text[-100:]
            text += piece
        return text

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()
