"""The floods: what each does to a service, and with which options that was started.

Counts are for a scale of 1; `make test` has less. None is about load, so those that run scripts run fewer than the queue holds.
"""
import itertools
import json
import random

import shapes
from crowd import CLOSE, HALF, RESET, VANISH

HEAD = shapes.HEAD
LARGE = shapes.request("def main(): return 'x' * 8_000_000")
PRINTS = json.dumps({"stream": True, "script": "def main():\n    for _ in range(100_000): print('x' * 1000)"}).encode()
STREAM = HEAD + b"Content-Length: %d\r\n\r\n" % len(PRINTS) + PRINTS
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
MIB = b" " * (1 << 20)


def drip(text, pause=0.5):
    """A byte at a time, for ever: behind the text comes more of its last."""
    for byte in itertools.chain(text, itertools.repeat(text[-1])):
        yield bytes([byte])
        yield pause


def slow_headers():
    yield b"POST /execute HTTP/1.1\r\n"
    yield from drip(b"Host: x\r\nX-Long: yyyyyyyy")


def slow_bodies():
    yield HEAD + b"Content-Length: 1000000\r\n\r\n"
    yield from drip(b'{"script": "')


def large_slow_bodies():
    """As much as the service takes of one, and then no end of it."""
    yield HEAD + b"Content-Length: %d\r\n\r\n" % (16 << 20)
    for _ in range(15):
        yield MIB
    yield from drip(b" ")


def slow_reader():
    yield random.uniform(0, 2)  # so many runs at once would be load
    yield LARGE


def slow_stream_reader():
    yield random.uniform(0, 2)
    yield STREAM


def idle():
    return iter(())


def half_open():
    """Half a request, one time in fifty a whole one, from a client that is gone without a word, or says no more and stays."""
    yield shapes.GOOD[:random.randrange(1, len(shapes.GOOD))] if random.randrange(50) else shapes.GOOD
    yield 0.3
    yield random.choice((VANISH, HALF))


def pipelining():
    for _ in range(20):
        yield HEALTH * 500
        yield shapes.GOOD * 3
    yield 0.2
    yield RESET


def pipelining_unread():
    yield HEALTH * 2000


def huge_headers():
    yield random.choice([
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        HEAD + b"X: " + b"y" * 300_000 + b"\r\n\r\n",
        HEAD + b"X: y\r\n" * 20_000 + b"\r\n",
        HEAD + b"y" * 100_000,
        HEAD + b"Cookie: " + b"a=b; " * 6_000 + b"\r\nContent-Length: 2\r\n\r\n[]",
        b"x" * 200_000,
    ])
    yield 1.0
    yield CLOSE


def smuggling():
    yield random.choice(list(shapes.SMUGGLED.values()) + list(shapes.BARE.values()))
    yield 1.0
    yield RESET


def endless_bodies():
    begin, more = random.choice([
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 5000),
        (b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 4096),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 500),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 4096),
        (b"Content-Length: 9223372036854775807\r\n\r\n", b" " * 65536),
        (b"Content-Length: %d\r\n\r\n" % (60 << 20), b" " * 65536),
    ])
    yield HEAD + begin
    while True:
        yield more
        yield 0.005


def churn():
    how = random.randrange(4)
    if how == 1:
        yield HEALTH
    elif how == 2:
        yield shapes.GOOD[:-random.randrange(1, 100)]
    elif how == 3:
        yield HEALTH
        yield 0.01
    yield RESET if how % 2 else CLOSE


class Flood:
    """`options` of the service, `files` it may open; `crowd`: what else Crowd is told; `room`: MiB that its peak may be above
    where it began. `keeps`: it is to have that many connections open at once."""

    def __init__(self, behave, count, *options, files=None, keeps=None, **crowd):
        self.behave, self.count, self.options, self.files, self.keeps, self.crowd = behave, count, options, files, keeps, crowd


FLOODS = {
    "slow headers": Flood(slow_headers, 2000),
    "slow bodies": Flood(slow_bodies, 2000),
    "slow bodies, large": Flood(large_slow_bodies, 40),
    "slow readers": Flood(slow_reader, 40, reads=0, window=4096),
    "slow readers of streams": Flood(slow_stream_reader, 60, reads=0, window=4096),
    "10,000 idle, 1,024 allowed": Flood(idle, 10_000),
    "10,000 idle, 12,000 allowed": Flood(idle, 10_000, "--connections=12000", keeps=10_000),
    "half-open": Flood(half_open, 2000, "--idle-s=3"),
    "pipelining": Flood(pipelining, 20),
    "pipelining, unread": Flood(pipelining_unread, 200, reads=0, window=4096),
    "huge headers": Flood(huge_headers, 50),
    "smuggling": Flood(smuggling, 40, judge=shapes.smuggled),
    "endless bodies": Flood(endless_bodies, 40),
    "churn": Flood(churn, 100),
    "descriptors exhausted": Flood(idle, 500, files=256),
}
