"""Workers and others that stop for ever at a step of their start, where nothing but time tells."""
import pytest

from injection import Injected, needs_injector
from service import together, wait_until

pytestmark = needs_injector


@pytest.fixture
def injected():
    started = []

    def begin(*options, **keys):
        started.append(Injected("--preload=", "--workers=2", "--crew=2", "--stall-s=2", *options, **keys))
        started[-1].wait_for_ready()
        return started[-1]

    yield begin
    for one in started:
        one.kill()


@pytest.mark.parametrize("step", ["close_range", "recvmsg", "mount", "prlimit64", "landlock_restrict_self", "seccomp", "sendto"])
def test_workers_that_hang_before_they_are_ready(injected, step):
    """Two at a time are made ready, and two that hang must not be the last."""
    one = injected()
    one.assert_well()
    role = "fork" if step == "close_range" else "worker"
    one.injector.arm(role, step, "stop", 1, 2)
    answers = together(*[lambda i=i: one.run(f"def main(): return {i}") for i in range(8)])
    assert [answer.result for answer in answers] == list(range(8))
    assert wait_until(lambda: one.injector.was_hit(0.1), 5)
    one.injector.disarm()
    one.assert_well()
    assert wait_until(lambda: len(one.worker_pids()) == 2, 10), "those that hang are still there"
