"""Scripts that run for seconds leave a place for those that take a millisecond, and get on beside them."""
import threading
import time

import pytest
from service import Background, Service, needs_poverty, read_proc, together, wait_until

HOG = "import time\ndef main():\n    begin = time.monotonic()\n    while time.monotonic() < begin + {}: pass\n    return [begin, time.monotonic()]"
QUICK = "import time\ndef main(): return time.monotonic()"


class Client:
    """Sends the same script again and again until it is told to stop."""

    def __init__(self, one, script):
        self.answers = []
        self.stop = threading.Event()
        self.call = Background(self.work, one, script)

    def work(self, one, script):
        while not self.stop.is_set():
            self.answers.append(one.run(script))

    def results(self):
        """Of all that it was answered; nothing was refused or lost."""
        self.stop.set()
        self.call.get()
        return [answer.result for answer in self.answers]


def most_at_once(spans):
    return max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)


def test_long_scripts_do_not_starve_short_ones(start):
    one = start("--workers=4")
    hogs = [Client(one, HOG.format(2)) for _ in range(6)]
    assert wait_until(lambda: any(hog.answers for hog in hogs), 20)  # from now on they are known
    quick = Client(one, QUICK)
    time.sleep(9)
    moments = quick.results()
    spans = sorted(span for hog in hogs for span in hog.results())
    known = [span for span in spans if span[0] > min(end for _, end in spans)]
    during = [sum(begin < at < end for at in moments) for begin, end in known]
    assert len(known) >= 3 and most_at_once(known) == 3
    assert max(during) >= 10, during


def test_streams_of_short_scripts_have_that_place_too(start):
    one = start("--workers=2")
    assert one.run(HOG.format(0.5)).status == 200
    hogs = [Background(one.run, HOG.format(0.5)) for _ in range(4)]
    one.wait_for_busy(1)
    for _ in range(5):
        answer = one.run(QUICK, stream=True)
        assert answer.status == 200 and b'"outcome": "ok"' in answer.body, answer
    spans = sorted(hog.get().result for hog in hogs)
    assert most_at_once(spans) == 1


def test_different_long_scripts_count_together(start):
    """While they run, not only when they have ended; and one that comes again meanwhile is known."""
    one = start("--workers=4")
    hogs = [Background(one.run, HOG.format(4) + f"\n# {i}") for i in range(3)]
    one.wait_for_busy(3)
    time.sleep(0.5)
    fourth = Background(one.run, HOG.format(4) + "\n# 0")
    quick = [one.result(QUICK) for _ in range(5)]
    spans = [hog.get().result for hog in hogs]
    assert max(quick) < min(end for _, end in spans)
    assert fourth.get().result[0] >= min(end for _, end in spans)


def test_one_worker_keeps_no_place(start):
    one = start("--workers=1")
    for _ in range(2):
        answers = together(*[lambda: one.run(HOG.format(0.4))] * 2, lambda: one.run(QUICK))
        assert [answer.status for answer in answers] == [200, 200, 200]


def nice_of(pid):
    stat = read_proc(pid, "stat")
    return int(stat[stat.rindex(b")") + 2 :].split()[16])


@pytest.mark.parametrize("poor", [False, pytest.param(True, marks=needs_poverty)])
def test_no_script_has_more_of_the_processor_than_another(start, poor):
    """However its worker was made: before it was needed, or while it waited. And the server has more than they."""
    one = start("--preload=", "--workers=6", "--crew=6", poor=poor)
    one.assert_well()  # from the first one on the crew is what it is to be
    assert wait_until(lambda: len(one.ready_pids()) == 6)
    running = [Background(one.run, "import time\ndef main(): time.sleep(2)") for _ in range(6)]
    one.wait_for_busy(6)
    found = {nice_of(pid) for pid in one.busy_pids()}
    assert len(found) == 1 and found.pop() > max(nice_of(one.server_pid), nice_of(one.zygote_pid))
    assert all(call.get().status == 200 for call in running)


def test_those_of_a_service_that_is_less_important_are_too(program):
    one = Service("--preload=", "--workers=2", behind=["nice", "-n", "7"])
    try:
        running = Background(one.run, "import time\ndef main(): time.sleep(1)")
        one.wait_for_busy(1)
        assert nice_of(one.busy_pids()[0]) > nice_of(one.server_pid) == 7
        assert running.get().status == 200
        one.stop()
    finally:
        one.kill()
