"""A few faults of the many that `make faults` tries: those that the service once did not bear, and some of each kind."""
import errno

import pytest

from cases import Case
from injection import Injected, needs_injector
from service import wait_until
import trial

pytestmark = needs_injector


@pytest.fixture(scope="module")
def injected():
    one = Injected(*trial.OPTIONS, "--preload=")
    one.wait_for_ready()
    assert trial.is_well(one)
    yield one
    one.kill()


@pytest.mark.parametrize("call", ["socketpair", "pipe2", "sendmsg"])
def test_a_run_that_cannot_be_started_is_tried_again(injected, call):
    """Of a descriptor that is there again, or a place in a socket, nobody tells; and nothing else goes on."""
    for _ in range(3):  # what waits from before is used up
        injected.injector.arm("server", call, f"error:{errno.ENFILE if call != 'sendmsg' else errno.ENOBUFS}", 1, 2)
        answers = [injected.run("def main(): return 1") for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200], answers
    assert wait_until(injected.injector.was_hit, 5)
    injected.injector.disarm()


def test_an_address_that_cannot_be_had_is_not_made_up():
    """It is what people and scripts are told to connect to."""
    case = Case("start", "manager", "getsockname", f"error:{errno.ENOBUFS}")
    assert trial.try_start(case, trial.OPTIONS, None) == "refused"
