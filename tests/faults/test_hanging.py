"""Workers and others that stop for ever at a step of their start, where nothing but time tells."""
import pytest

from injection import Injected, needs_injector
from service import together, wait_until
import trial

pytestmark = needs_injector


@pytest.fixture(scope="module")
def injected():
    one = Injected("--preload=", "--workers=2", "--crew=2", "--stall-s=2")
    one.wait_for_ready()
    one.assert_well()
    yield one
    one.kill()


@pytest.mark.parametrize("role, step", [("fork", "close_range"), ("worker", "mount"), ("worker", "sendto")])
def test_workers_that_hang_before_they_are_ready(injected, role, step):
    """Two at a time are made ready, and two that hang must not be the last."""
    one = injected
    one.injector.arm(role, step, "stop", 1, 2)
    answers = together(*[lambda i=i: one.run(f"def main(): return {i}") for i in range(8)])
    assert [answer.result for answer in answers] == list(range(8))
    assert one.injector.was_hit(1)
    one.injector.disarm()
    one.assert_well()
    assert wait_until(lambda: len(trial.family(one)["workers"]) == 2, 10), "those that hang are still there"
    assert "killed by signal" not in one.log and "ended with" not in one.log, one.log
