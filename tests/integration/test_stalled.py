"""A zygote or the server that lives and does nothing is noticed, killed and replaced; a machine that stands still is not."""
import http.client
import os
import signal
import time

from service import Background, wait_until

SLEEP = "import time\ndef main():\n    time.sleep({})\n    return 'slept'"
SLEEP_NUMPY = "import time, numpy\ndef main():\n    time.sleep({})\n    return 'slept'"


def answers_again(service, script="def main(): return 1", seconds=20):
    def good():
        try:
            return service.run(script, timeout=20).status == 200
        except (OSError, http.client.HTTPException):
            return False

    return wait_until(good, seconds)


def test_a_zygote_that_is_stopped(start):
    one = start("--stall-s=2", "--preload=", "--workers=2")
    before = one.zygote_pid
    running = [Background(one.run, SLEEP.format(3)) for _ in range(2)]
    one.wait_for_busy(2)
    waiting = Background(one.run, "def main(): return 'waited'")
    os.kill(before, signal.SIGSTOP)
    for call in running:
        answer = call.get(15)
        assert (answer.status, answer.outcome) == (500, "lost"), answer
    assert waiting.get(15).result == "waited"
    assert before not in one.zygote_pids()
    assert "zygote (flavour 0) has not been heard of for 2 s and is killed" in one.log


def test_a_zygote_of_another_flavour_that_is_stopped(start):
    one = start("--stall-s=2", "--preload=numpy")
    tree = one.every_zygote()
    assert one.run(SLEEP_NUMPY.format(0)).status == 200
    running = Background(one.run, SLEEP_NUMPY.format(4))
    one.wait_for_busy(1)
    os.kill(one.flavour_pids()[-1], signal.SIGSTOP)
    answer = running.get(15)
    assert (answer.status, answer.outcome) == (500, "lost"), answer
    assert answers_again(one, SLEEP_NUMPY.format(0))
    assert not set(tree) & set(one.zygote_pids() + one.flavour_pids())
    assert "zygote (flavour 1) has not been heard of" in one.log


def test_one_that_retires_and_is_stopped(start):
    one = start("--stall-s=2", "--wall-ms=1000", "--preload=")
    one.every_zygote()
    before = one.zygote_pid
    running = Background(one.run, SLEEP.format(0.9))
    one.wait_for_busy(1)
    os.kill(before, signal.SIGSTOP)
    one.process.send_signal(signal.SIGHUP)
    answer = running.get(20)
    assert (answer.status, answer.outcome) == (500, "lost"), answer
    assert wait_until(lambda: before not in one.zygote_pids(), 10)
    one.assert_well()


def test_a_server_that_is_stopped(start):
    one = start("--stall-s=2", "--preload=")
    before = one.server_pid
    os.kill(before, signal.SIGSTOP)
    assert wait_until(lambda: one.server_pid not in (None, before), 15)
    assert answers_again(one)
    assert "the server has not been heard of for 2 s and is killed" in one.log


def test_who_has_nothing_to_do_is_alive(start):
    one = start("--stall-s=2", "--preload=numpy")
    before = one.every_zygote() + [one.server_pid]
    time.sleep(5)
    assert one.zygote_pids() + one.flavour_pids() + [one.server_pid] == before
    assert "killed" not in one.log


def test_a_machine_that_stood_still(start):
    """All of them, or the one who judges, for longer than is allowed: nobody is to blame."""
    one = start("--stall-s=2", "--preload=numpy")
    before = one.every_zygote() + [one.server_pid]
    for stopped in ([one.manager_pid], before + [one.manager_pid]):
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(5)
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        time.sleep(1.5)
        assert one.zygote_pids() + one.flavour_pids() + [one.server_pid] == before
        one.assert_well()
    assert "killed" not in one.log
