"""Scripts that run for seconds leave a place for those that take a millisecond, and lose nothing by it."""
import threading
import time

import pytest
from service import Background, order, wait_until

HOG = "import time\ndef main():\n    begin = time.monotonic()\n    while time.monotonic() < begin + 2: pass\n    return [begin, time.monotonic()]"
QUICK = "import time\ndef main(): return time.monotonic()"


class Client:
    """Sends the same request again and again until it is told to stop."""

    def __init__(self, one, **keys):
        self.answers = []
        self.stop = threading.Event()
        self.call = Background(self.work, one, keys)

    def work(self, one, keys):
        while not self.stop.is_set():
            self.answers.append(one.run(**keys))

    def end(self):
        self.stop.set()
        self.call.get()
        return self.answers


def most_at_once(spans):
    return max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)


def results(clients):
    """Of all that they were answered, and nothing was refused or lost."""
    answers = [answer for client in clients for answer in client.end()]
    assert {answer.status for answer in answers} == {200}, answers
    return [answer.result for answer in answers]


@pytest.mark.parametrize("keys", [{}, {"stream": True}], ids=["plain", "stream"])
def test_long_scripts_do_not_starve_short_ones(start, keys):
    one = start("--workers=4")
    hogs = [Client(one, script=HOG) for _ in range(6)]
    assert wait_until(lambda: any(hog.answers for hog in hogs), 20)  # from now on they are known
    quick = Background(stream_some, one) if keys else Client(one, script=QUICK)
    time.sleep(9)
    if keys:
        assert quick.get(60) == 20
    moments = [] if keys else results([quick])
    spans = sorted(results(hogs))
    known = [span for span in spans if span[0] > spans[0][1]]
    assert len(known) >= 3  # they get on
    assert most_at_once(spans) == 4 and most_at_once(known) == 3
    if not keys:
        during = [sum(begin < at < end for at in moments) for begin, end in known]
        assert max(during) >= 10, during


def stream_some(one):
    """How many of twenty streams were answered well, while the hogs run."""
    good = 0
    for _ in range(20):
        answer = one.post(order(QUICK, stream=True))
        good += answer.status == 200 and b'"outcome": "ok"' in answer.body
    return good


def test_different_long_scripts_count_together(start):
    """While they run, not only when they have ended; one that comes again in time is known by then."""
    one = start("--workers=4")
    hogs = [Background(one.run, HOG + f"\n# {i}") for i in range(3)]
    one.wait_for_busy(3)
    time.sleep(0.6)
    fourth = Background(one.run, HOG + "\n# 0")
    quick = [one.result(QUICK) for _ in range(5)]
    spans = [hog.get().result for hog in hogs]
    begin = fourth.get().result[0]
    assert begin >= min(end for _, end in spans)
    assert max(quick) < min(end for _, end in spans)


def test_long_scripts_alone_wait_for_no_one(start):
    """One worker keeps no place."""
    one = start("--workers=1")
    calls = [Background(one.run, HOG) for _ in range(2)]
    assert [call.get().status for call in calls] == [200, 200]
