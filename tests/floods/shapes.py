"""Requests that two programs may read in two ways, or that nobody should read at all; and whether what came back is HTTP.

Every one of SMUGGLED has a request inside of what may be its body, and that one prints a word. It is to run on none of them.
"""
import json
import re

WORD = b"smuggled"
HEAD = b"POST /execute HTTP/1.1\r\nHost: x\r\n"


def request(script, *headers):
    body = json.dumps({"script": script}).encode()
    lines = [*headers, f"Content-Length: {len(body)}"]
    return HEAD + "".join(line + "\r\n" for line in lines).encode() + b"\r\n" + body


GOOD = request("def main(): return 1")
INNER = request(f"def main(): return '{WORD.decode()}'")
CHUNKS = b"0\r\n\r\n" + INNER
LENGTH = b"Content-Length: %d\r\n" % len(CHUNKS)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SIZE = b"%x" % len(INNER)

# What is one request to us may be one and a half to whoever stands before us.
SMUGGLED = {
    "length and chunks": HEAD + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "chunks and length": HEAD + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "chunks and length 0": HEAD + CHUNKED + b"Content-Length: 0\r\n\r\n" + CHUNKS,
    "two lengths": HEAD + b"Content-Length: 5\r\n" + LENGTH + b"\r\n" + CHUNKS,
    "two lengths, the other way": HEAD + LENGTH + b"Content-Length: 5\r\n\r\n" + CHUNKS,
    "a list of lengths": HEAD + b"Content-Length: 5, 5\r\n\r\n" + CHUNKS,
    "a length with a sign": HEAD + b"Content-Length: +5\r\n\r\n" + CHUNKS,
    "a length below 0": HEAD + b"Content-Length: -5\r\n\r\n" + CHUNKS,
    "a length in hexadecimal": HEAD + b"Content-Length: 0x5\r\n\r\n" + CHUNKS,
    "a length beyond 64 bits": HEAD + b"Content-Length: 18446744073709551621\r\n\r\n" + CHUNKS,
    "a length that is empty": HEAD + b"Content-Length: \r\n\r\n" + INNER,
    "a blank in the length": HEAD + b"Content-Length: 5 5\r\n\r\n" + CHUNKS,
    "a blank before the colon": HEAD + b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "a tab before the colon": HEAD + CHUNKED + b"Content-Length\t: 5\r\n\r\n" + CHUNKS,
    "a line folded": HEAD + b"Transfer-Encoding:\r\n chunked\r\n" + LENGTH + b"\r\n" + CHUNKS,
    "a length in a folded line": HEAD + b"X: y\r\n Content-Length: 5\r\n" + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "another encoding": HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNKS,
    "two encodings": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "two lines of encodings": HEAD + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "chunked with a prefix": HEAD + b"Transfer-Encoding: xchunked\r\n" + LENGTH + b"\r\n" + CHUNKS,
    "chunked with a tail": HEAD + b"Transfer-Encoding: chunked;q=1\r\n" + LENGTH + b"\r\n" + CHUNKS,
    "chunked behind a vertical tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n" + LENGTH + b"\r\n" + CHUNKS,
    "chunks in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + CHUNKS,
    "a bare CR behind the encoding": HEAD + b"Transfer-Encoding: chunked\rX: y\r\n" + LENGTH + b"\r\n" + CHUNKS,
    "a NUL in a name": HEAD + b"Transfer-Enc\0oding: chunked\r\n" + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "a chunk's size with a sign": HEAD + CHUNKED + b"\r\n+" + SIZE + b"\r\n" + INNER,
    "a chunk's size below 0": HEAD + CHUNKED + b"\r\n-1\r\n" + INNER,
    "a chunk's size with 0x": HEAD + CHUNKED + b"\r\n0x" + SIZE + b"\r\n" + INNER + b"\r\n0\r\n\r\n",
    "a chunk's size beyond 64 bits": HEAD + CHUNKED + b"\r\n10000000000000000\r\n" + CHUNKS,
    "no size of a chunk": HEAD + CHUNKED + b"\r\n\r\n" + INNER,
    "a chunk that is longer than it says": HEAD + CHUNKED + b"\r\n1\r\nxy" + CHUNKS,
}

# Lines that end with LF alone: two programs may differ about where one ends, but there is no second request to hide.
BARE = {
    "bare LF": GOOD.replace(b"\r\n", b"\n"),
    "bare LF between headers": GOOD.replace(b"Host: x\r\n", b"Host: x\n"),
    "bare LF behind chunks": HEAD + CHUNKED + b"\r\n5\nhello\n0\n\n",
    "bare CR": GOOD.replace(b"\r\n", b"\r"),
    "an obsolete fold": GOOD.replace(b"Host: x\r\n", b"Host: x\r\nX: a\r\n b\r\n"),
    "a fold as the first header": GOOD.replace(b"Host", b" Host"),
    "no Host": GOOD.replace(b"Host: x\r\n", b""),
    "no colon": GOOD.replace(b"Host: x", b"Host x"),
    "no name": GOOD.replace(b"Host: x", b": x"),
    "blank lines before": b"\r\n\r\n" + GOOD,
    "chunk extensions": HEAD + CHUNKED + b"\r\n2;a=b;c=\"d\"\r\n[]\r\n0;x\r\nX: y\r\n\r\n",
}

STATUS = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9] [^\r\n]+\r\n")


def body_of(head, rest, closed):
    """(the body, what follows it) of an answer whose head was read; None where it is not whole or not as its head says."""
    headers = dict(re.findall(rb"(?m)^([A-Za-z0-9-]+): ?([^\r\n]*)\r$", head.lower()))
    if b"content-length" in headers:
        size = int(headers[b"content-length"])
        return (rest[:size], rest[size:]) if len(rest) >= size else None
    if headers.get(b"transfer-encoding") == b"chunked":
        whole = re.match(rb"(?s)(.*?(?:^|\r\n)0\r\n\r\n)(.*)", rest)
        return whole.groups() if whole else None
    status = int(head.split(b" ", 2)[1])
    return (b"", rest) if status in (100, 204, 304) else (rest, b"") if closed else None


def answers(text, closed=True):
    """The statuses of all answers in what a client has read, or an AssertionError; the last may be cut short where it
    was the client that ended the connection. libmicrohttpd 0.9.75 writes the head of its own refusals twice."""
    statuses = []
    while text:
        match = STATUS.match(text)
        assert match, f"no status line: {text[:200]!r}"
        head, end, rest = text.partition(b"\r\n\r\n")
        if not end and not closed:
            break
        assert end and all(b":" in line for line in head.split(b"\r\n")[1:]), f"no head: {text[:400]!r}"
        statuses.append(int(text[9:12]))
        if rest.startswith(head):
            text = rest
            continue
        body = body_of(head + b"\r\n", rest, closed)
        if body is None:
            assert not closed, f"cut short: {text[:400]!r}"
            break
        text = body[1]
    return statuses


def smuggled(heard):
    """What is wrong with what came back for one of SMUGGLED, or None."""
    return f"a request in a body was run: {heard[:600]!r}" if WORD in heard else None
