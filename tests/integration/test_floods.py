"""The floods of `make flood`, short and small: others are answered meanwhile, and nothing is left behind. No time is judged."""
import collections
import os
import socket
import sys
import time

import pytest
from service import ROOT

sys.path[:0] = [os.path.join(ROOT, "tests", "floods"), os.path.join(ROOT, "tests", "fuzz")]

import flood  # noqa: E402
import run as fuzz  # noqa: E402
import shapes  # noqa: E402
from floods import FLOODS  # noqa: E402
from test_http import connect, read_to_the_end  # noqa: E402


PLAIN = [name for name, one in FLOODS.items() if not one.options and not one.files]


@pytest.fixture(scope="module")
def flooded(program):
    """One for all that need no options: what one flood leaves the next would meet."""
    one = flood.begin(FLOODS[PLAIN[0]])
    yield one
    one.stop()


def assert_endured(service, name):
    _, did, failures = flood.endure(service, name, 1, 0.1, 0.1)
    assert not failures and did["opened"] > 0


@pytest.mark.parametrize("name", PLAIN)
def test_others_are_answered_and_nothing_is_left(flooded, name):
    assert_endured(flooded, name)


@pytest.mark.parametrize("name", [name for name in FLOODS if name not in PLAIN])
def test_likewise_with_other_bounds(name):
    one = flood.begin(FLOODS[name])
    try:
        assert_endured(one, name)
        one.stop()
    finally:
        one.kill()


def test_a_flood_that_is_not_endured_is_told():
    """Of what is run in a body the word comes back."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\"smuggled\""
    assert shapes.smuggled(answer) and shapes.answers(answer) == [200]
    for wrong in (answer[:-1], b"x" + answer, answer + b"x", answer.replace(b"10", b"9")):
        with pytest.raises(AssertionError):
            shapes.answers(wrong)


SEEDS = fuzz.read_kept("server")


def test_what_is_kept_for_the_fuzzer_of_the_server_is_answered_in_http(service):
    """By a real service, over real connections. Of HEAD an answer has the length and not the body."""
    connections = [connect(service) for _ in SEEDS]
    for data, connection in zip(SEEDS, connections):
        connection.sendall(data)
    time.sleep(1)
    statuses = collections.Counter()
    for data, connection in zip(SEEDS, connections):
        connection.shutdown(socket.SHUT_WR)
        text = read_to_the_end(connection)
        connection.close()
        statuses.update(shapes.answers(text) if b"HEAD" not in data else [int(text[9:12])])
        assert shapes.WORD not in text, data
    assert statuses[200] > 20 and statuses[400] > 20, statuses
    service.assert_well()
