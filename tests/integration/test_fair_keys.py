"""The queue with keys on: callers in turn, and none of them fills it for the others."""
import threading
import time

import pytest
from bearer import Keys, run
from service import Background, wait_until
from streaming import EVENT

SLEEP = "import time\ndef main():\n    time.sleep({})\n    return time.monotonic()"


@pytest.fixture
def keys(tmp_path):
    found = Keys(str(tmp_path))
    for name in ("greedy", "modest", "third", "looks"):
        found.add(name)
    return found


def queued(one, keys):
    text = one.ask("GET", "/metrics", headers=keys.headers("looks")).body.decode()
    return int(next(line for line in text.splitlines() if line.startswith("python_executor_queue_depth ")).split()[1])


def metric(one, keys, line):
    text = one.ask("GET", "/metrics", headers=keys.headers("looks")).body.decode()
    return next((int(found.split()[1]) for found in text.splitlines() if found.rsplit(" ", 1)[0] == line), None)


def fill(one, keys, name, count, seconds, before=0, **more):
    """So many runs that wait, in this order."""
    waiting = []
    for _ in range(count):
        waiting.append(Background(run, one, keys, name, SLEEP.format(seconds), **more))
        wanted = before + len(waiting)
        assert wait_until(lambda: queued(one, keys) >= wanted), (queued(one, keys), wanted)
    return waiting


def occupy(one, keys, seconds):
    running = Background(run, one, keys, "looks", SLEEP.format(seconds))
    one.wait_for_busy(1)
    return running


def test_callers_come_in_turn(start, keys):
    one = start("--preload=", "--workers=1", f"--keys={keys.path}")
    running = occupy(one, keys, 4)
    greedy = fill(one, keys, "greedy", 5, 0.05)
    modest = fill(one, keys, "modest", 2, 0.05, before=5)
    ends = sorted((call.get().result, name) for name, calls in (("greedy", greedy), ("modest", modest)) for call in calls)
    assert [name for _, name in ends] == ["greedy", "modest", "greedy", "modest", "greedy", "greedy", "greedy"]
    running.get()


def test_without_keys_it_is_first_come_first_served(start):
    one = start("--preload=", "--workers=1")
    running = Background(one.run, SLEEP.format(1))
    one.wait_for_busy(1)
    waiting = []
    for _ in range(4):
        waiting.append(Background(one.run, SLEEP.format(0.02)))
        time.sleep(0.05)
    ends = [call.get().result for call in waiting]
    assert ends == sorted(ends) and running.get().status == 200


def test_a_full_queue_gives_place_to_who_has_less_in_it(start, keys):
    one = start("--preload=", "--workers=1", "--queue=4", f"--keys={keys.path}")
    running = occupy(one, keys, 4.5)
    greedy = fill(one, keys, "greedy", 4, 0.02)
    refused = run(one, keys, "greedy")
    assert refused.status == 503 and 1 <= int(refused.headers["retry-after"]) <= 60
    modest = Background(run, one, keys, "modest")
    answer = greedy[3].get(3)  # its newest, and not when its time is over
    assert answer.status == 503 and "most of it was of this key" in answer.error and answer.outcome is None
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    third = Background(run, one, keys, "third")
    assert greedy[2].get(3).status == 503
    full = run(one, keys, "third")  # two of one and one of each: to take from one would be to give him less than it
    assert full.status == 503 and "queue is full" in full.error
    assert [call.get().status for call in (running, greedy[0], greedy[1], modest, third)] == [200] * 5
    assert metric(one, keys, 'python_executor_rejected_total{reason="displaced"}') == 2
    assert metric(one, keys, 'python_executor_rejected_total{reason="queue_full"}') == 2
    assert metric(one, keys, 'python_executor_key_refused_total{key="greedy",reason="displaced"}') == 2


def test_a_stream_that_has_to_go(start, keys):
    """It has been answered 200 already, so its last event says it."""
    one = start("--preload=", "--workers=1", "--queue=2", f"--keys={keys.path}")
    running = occupy(one, keys, 4)
    greedy = fill(one, keys, "greedy", 2, 0.02, stream=True)
    modest = Background(run, one, keys, "modest")
    answer = greedy[1].get(3)
    last = [match for match in EVENT.finditer(answer.body)][-1]
    assert answer.status == 200 and b'"status": 503' in last[2] and b"most of it was of this key" in last[2]
    assert running.get().status == 200 and modest.get().result == 1 and greedy[0].get().status == 200


def test_one_who_floods_does_not_starve_another(start, keys):
    """However many the one sends at once, the other's runs come through, each in its turn."""
    one = start("--preload=", "--workers=2", "--queue=8", f"--keys={keys.path}")
    stop = threading.Event()
    flood = []

    def send():
        while not stop.is_set():
            flood.append(run(one, keys, "greedy", SLEEP.format(0.05)).status)

    senders = [Background(send) for _ in range(24)]
    assert wait_until(lambda: flood.count(503) > 5, 20)
    answers = [run(one, keys, "modest") for _ in range(40)]
    stop.set()
    for sender in senders:
        sender.get()
    assert [answer.status for answer in answers] == [200] * 40
    assert set(flood) == {200, 503}
