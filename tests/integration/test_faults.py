"""Parts of the service die under load; requests get an answer or an end, and the service comes back."""
import http.client
import os
import signal
import threading
import time

from service import Background, state_of, wait_until

SLEEP = "import time\ndef main():\n    time.sleep({})\n    return 'slept'"


class Load:
    """Threads that send one request after the other until they are told to stop."""

    def __init__(self, service, script, threads=4):
        self.service, self.script = service, script
        self.answers, self.broken = [], []
        self.over = threading.Event()
        self.calls = [Background(self.work) for _ in range(threads)]

    def work(self):
        while not self.over.is_set():
            try:
                self.answers.append(self.service.run(self.script, timeout=20))
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(error)
                time.sleep(0.01)

    def stop(self):
        self.over.set()
        for call in self.calls:
            call.get(40)
        assert not any(isinstance(error, TimeoutError) for error in self.broken), "a request hung"
        return self.answers


def answers_again(service, seconds=10):
    def good():
        try:
            return service.run("def main(): return 1", timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    return wait_until(good, seconds)


# --- The zygote -------------------------------------------------------------------------------------


def test_death_of_the_zygote_answers_what_runs(start):
    one = start("--workers=3")
    before = one.zygote_pid
    calls = [Background(one.run, SLEEP.format(30)) for _ in range(3)]
    one.wait_for_busy(3)
    os.kill(before, signal.SIGKILL)
    for call in calls:
        answer = call.get()
        assert (answer.status, answer.outcome) == (500, "lost"), answer
        assert answer.body == b'{"error": "Execution failed"}'
    assert answers_again(one)
    assert one.zygote_pid != before
    assert "zygote was killed by signal 9" in one.log


def test_death_of_the_zygote_takes_its_workers_along(start):
    one = start("--workers=2")
    calls = [Background(one.run, SLEEP.format(30)) for _ in range(2)]
    one.wait_for_busy(2)
    workers = one.worker_pids()
    os.kill(one.zygote_pid, signal.SIGKILL)
    assert wait_until(lambda: not set(workers) & set(one.processes()))
    for call in calls:
        call.get()


def test_who_waits_while_the_zygote_dies_is_served_by_the_next(start):
    one = start("--workers=1")
    running = Background(one.run, SLEEP.format(30))
    one.wait_for_busy(1)
    waiting = [Background(one.result, f"def main(): return {i}") for i in range(10)]
    time.sleep(0.2)
    os.kill(one.zygote_pid, signal.SIGKILL)
    assert running.get().outcome == "lost"
    assert [call.get(15) for call in waiting] == list(range(10))


def test_death_of_the_zygote_under_load(start):
    one = start()
    load = Load(one, "def main(): return 1")
    pids = set()
    for _ in range(3):
        assert wait_until(lambda: one.zygote_pid and one.zygote_pid not in pids and one.worker_pids(), 10)
        time.sleep(0.3)
        pids.add(one.zygote_pid)
        os.kill(one.zygote_pid, signal.SIGKILL)
        count = len(load.answers)
        assert wait_until(lambda: len(load.answers) > count + 20, 10), "it did not come back"
    answers = load.stop()
    assert not load.broken, load.broken[:3]
    assert len(pids) == 3
    kinds = {(answer.status, answer.outcome) for answer in answers}
    assert kinds <= {(200, "ok"), (500, "lost")}, kinds
    assert sum(answer.status == 500 for answer in answers) <= 3 * 4
    one.assert_well()


def test_a_worker_that_is_killed_from_outside(start):
    one = start("--workers=2")
    one.every_zygote()  # one that is just being forked looks like a worker
    call = Background(one.run, SLEEP.format(20))
    one.wait_for_busy(1)
    os.kill(one.busy_pids()[0], signal.SIGKILL)
    answer = call.get()
    assert answer.status == 500 and answer.outcome in ("memory", "killed"), answer
    idle = one.worker_pids()
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: all(state_of(pid) in ("", "Z") for pid in idle))
    one.assert_well()


def test_a_zygote_that_is_stopped_and_goes_on(start):
    one = start()
    os.kill(one.zygote_pid, signal.SIGSTOP)
    call = Background(one.run, "def main(): return 1")
    time.sleep(0.5)
    os.kill(one.zygote_pid, signal.SIGCONT)
    assert call.get(10).result == 1


# --- The server -------------------------------------------------------------------------------------


def test_death_of_the_server_ends_connections_and_it_comes_back(start):
    one = start("--workers=2")
    before = one.server_pid
    calls = [Background(one.run, SLEEP.format(30)) for _ in range(2)]
    one.wait_for_busy(2)
    os.kill(before, signal.SIGKILL)
    for call in calls:
        try:
            call.get()
            raise AssertionError("an answer from a dead server")
        except (OSError, http.client.HTTPException):
            pass
    assert answers_again(one), one.log
    assert one.server_pid != before
    # The workers of those runs are gone too, though nobody cancelled them.
    assert wait_until(lambda: not one.busy_pids())
    # Flavours of the tree that was killed are the manager's while they end.
    assert wait_until(lambda: len(one.zygote_pids()) == 1)
    assert "server was killed by signal 9" in one.log


def test_death_of_the_server_under_load(start):
    one = start()
    load = Load(one, "def main(): return 1")
    pids = set()
    for _ in range(3):
        assert wait_until(lambda: one.server_pid not in (None, *pids), 10)
        time.sleep(0.5)
        pids.add(one.server_pid)
        os.kill(one.server_pid, signal.SIGKILL)
        count = len(load.answers)
        assert wait_until(lambda: len(load.answers) > count + 20, 15), one.log
    answers = load.stop()
    assert {answer.status for answer in answers} <= {200, 500}, {answer.status for answer in answers}
    one.assert_well()


def test_both_die_at_once(start):
    one = start()
    for _ in range(2):
        os.kill(one.zygote_pid, signal.SIGKILL)
        os.kill(one.server_pid, signal.SIGKILL)
        assert answers_again(one, 15), one.log
    one.assert_well()


# --- The manager ------------------------------------------------------------------------------------


def test_death_of_the_manager_ends_everything(start):
    one = start("--workers=2")
    calls = [Background(one.run, SLEEP.format(30)) for _ in range(2)]
    one.wait_for_busy(2)
    one.process.kill()
    one.process.wait()
    one.assert_gone(1.0)
    for call in calls:
        try:
            call.get()
            raise AssertionError("an answer from a dead service")
        except (OSError, http.client.HTTPException):
            pass


def test_death_of_the_manager_while_idle(start):
    one = start()
    one.process.kill()
    one.process.wait()
    one.assert_gone(1.0)


# --- Recycling --------------------------------------------------------------------------------------

PROBE = "import sys\ndef main(): return [hash('x'), id(sys)]"


def test_recycling_under_load_fails_no_request(start):
    one = start("--recycle=20")
    load = Load(one, PROBE)
    assert wait_until(lambda: len({answer.json["result"][0] for answer in list(load.answers)}) >= 3 or load.broken, 60)
    answers = load.stop()
    assert not load.broken, load.broken[:3]
    assert {answer.status for answer in answers} == {200}
    seeds = {answer.result[0] for answer in answers}
    addresses = {answer.result[1] for answer in answers}
    assert len(seeds) >= 3 and len(addresses) >= 3, (len(seeds), len(addresses), len(answers))
    assert wait_until(lambda: len(one.zygote_pids()) == 1, 10), one.zygote_pids()
    one.assert_well()


def test_recycling_lets_long_runs_finish(start):
    one = start("--recycle=5", "--workers=3", "--wall-ms=20000")
    one.every_zygote()
    before = one.zygote_pid
    long = Background(one.run, SLEEP.format(6))
    one.wait_for_busy(1)
    assert wait_until(lambda: one.run(PROBE).status == 200 and before != max(one.zygote_pids(), default=before), 10)
    assert long.running
    assert long.get().result == "slept"
    assert wait_until(lambda: before not in one.zygote_pids(), 10)


def test_without_recycling_the_seed_stays(start):
    one = start()
    assert len({tuple(one.result(PROBE)) for _ in range(40)}) == 1


def test_death_of_a_zygote_that_retires(start):
    one = start("--recycle=5", "--workers=2", "--wall-ms=20000")
    long = Background(one.run, SLEEP.format(15))
    one.wait_for_busy(1)
    before = one.zygote_pid
    assert wait_until(lambda: one.run(PROBE).status == 200 and len(one.zygote_pids()) == 2, 10)
    os.kill(before, signal.SIGKILL)
    assert long.get().outcome == "lost"
    for _ in range(12):
        one.assert_well()
