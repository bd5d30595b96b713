"""How much runs at once, who waits, and who is sent away."""
import time

from service import Background, together, wait_until

SLEEP = "import time\ndef main():\n    begin = time.monotonic()\n    time.sleep({})\n    return [begin, time.monotonic()]"


def most_at_once(spans):
    events = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    now = most = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most


def test_never_more_than_workers_at_once_and_always_as_many(start):
    one = start("--workers=3", "--preload=")
    one.wait_for_ready()  # a worker that has to be made first may make the script one that is known as long
    spans = together(*[lambda: one.result(SLEEP.format(0.1)) for _ in range(15)])
    assert most_at_once(spans) == 3


def test_one_worker_runs_one_after_the_other(start):
    one = start("--workers=1", "--crew=1")
    spans = together(*[lambda: one.result(SLEEP.format(0.05)) for _ in range(10)])
    assert most_at_once(spans) == 1


def test_first_come_first_served(start):
    one = start("--workers=1")
    first = Background(one.run, SLEEP.format(2))
    one.wait_for_busy(1)
    waiting = []
    for _ in range(6):
        waiting.append(Background(one.result, SLEEP.format(0.01)))
        time.sleep(0.05)
    begins = [call.get()[0] for call in waiting]
    first.get()
    assert begins == sorted(begins)


def test_waiting_shows_in_the_timing(start):
    one = start("--workers=1")
    first = Background(one.run, SLEEP.format(2))
    one.wait_for_busy(1)
    timing = one.run("def main(): return 1").headers["server-timing"]
    first.get()
    queue = float(timing.split("queue;dur=")[1].split(",")[0])
    assert 100 < queue < 5000, timing


def assert_busy(answer):
    assert answer.status == 503, answer
    assert set(answer.json) == {"error"} and answer.error
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_a_full_queue(start):
    one = start("--workers=1", "--queue=2")
    runs = [Background(one.run, SLEEP.format(2.5))]
    one.wait_for_busy(1)
    runs += [Background(one.run, SLEEP.format(0.01)) for _ in range(2)]
    time.sleep(0.3)
    refused = one.run("def main(): return 1")
    assert_busy(refused)
    assert refused.seconds < 1 and refused.outcome is None
    assert [run.get().status for run in runs] == [200, 200, 200]
    one.assert_well()


def test_no_queue_at_all(start):
    one = start("--workers=1", "--queue=0")
    run = Background(one.run, SLEEP.format(2))
    one.wait_for_busy(1)
    assert_busy(one.run("def main(): return 1"))
    assert run.get().status == 200
    one.assert_well()


def test_a_wait_that_takes_too_long(start):
    one = start("--workers=1", "--queue-ms=400")
    run = Background(one.run, SLEEP.format(2))
    one.wait_for_busy(1)
    refused = together(*[lambda: one.run("def main(): return 1")] * 3)
    for answer in refused:
        assert_busy(answer)
        assert 0.3 < answer.seconds < 1.8
    assert run.get().status == 200
    one.assert_well()


def test_bad_requests_need_no_place(start):
    one = start("--workers=1", "--queue=0")
    run = Background(one.run, SLEEP.format(2))
    one.wait_for_busy(1)
    assert one.post(b"[]").status == 400
    assert one.ask("GET", "/execute").status == 405
    assert run.running
    run.get()


def test_a_burst_beyond_the_crew(start):
    one = start("--workers=4", "--crew=1")
    found = together(*[lambda i=i: one.result(f"def main(): return {i}") for i in range(80)])
    assert found == list(range(80))
    # Those made for jobs that waited may be left over, a few.
    assert wait_until(lambda: 1 <= len(one.worker_pids()) <= 1 + 4), one.worker_pids()
