"""A few faults of the many that `make faults` tries: those that the service once did not bear, and some of each kind."""
import errno

import pytest

from cases import FOREVER, Case, action_of
from injection import Injected, needs_injector
import trial

pytestmark = needs_injector


def case_of(name, phase):
    role, call, word = name.split()
    return Case(phase, role, call, action_of(word))


@pytest.mark.parametrize("call", ["socketpair", "pipe2", "sendmsg"])
def test_a_run_that_cannot_be_started_is_tried_again(injected, reference, call):
    """Of a descriptor that is there again, or a place in a socket, nobody tells; and nothing else goes on."""
    for _ in range(3):  # what waits from before is used up
        injected.injector.arm("server", call, f"error:{errno.ENFILE if call != 'sendmsg' else errno.ENOBUFS}", 1, 2)
        answers = [injected.run("def main(): return 1") for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200], answers
    assert injected.injector.was_hit(1)
    injected.injector.disarm()


@pytest.mark.parametrize("name", ["manager getsockname ENOBUFS", "zygote access ENOMEM"])
def test_what_is_not_known_is_not_made_up(name):
    """An address that people and scripts are told to connect to; that a folder of the system's is not there."""
    assert trial.try_start(case_of(name, "start"), trial.BARE, None) == "refused"


@pytest.mark.parametrize("name, outcomes", [
    ("server accept4 EMFILE", "absorbed"), ("server recvmsg ENOMEM", "absorbed"), ("server sendto short", "absorbed"),
    ("server epoll_ctl kill", "replaced"), ("worker landlock_restrict_self ENOMEM", "absorbed"), ("worker writev short", "absorbed"),
    ("worker read EIO", "said"), ("zygote clone EAGAIN", "absorbed"), ("zygote poll ENOMEM", "replaced"),
])
def test_while_it_serves(injected, reference, name, outcomes):
    assert trial.try_serving(case_of(name, "serve"), injected, reference) in outcomes.split()


@pytest.mark.parametrize("name", ["manager clone EAGAIN", "launch execveat ENOMEM", "zygote mount ENOSPC"])
def test_while_it_is_reloaded(injected, reference, name):
    """The one before serves on, and the next attempt succeeds."""
    assert trial.try_reload(case_of(name, "reload"), injected, reference) in ("absorbed", "degraded")


def test_while_it_ends(reference):
    assert trial.try_drain(case_of("server epoll_wait EINTR", "drain"), trial.BARE, reference) in ("absorbed", "said")


def test_a_flavour_that_ends_by_itself_is_not_taken_for_one_that_was_let_go(flavoured):
    """It cannot send a verdict. The first of its tree must not serve on without it."""
    one, reference = flavoured
    case = Case("serve", "flavour", "sendto", f"error:{errno.ENOBUFS}", times=FOREVER)
    assert trial.try_serving(case, one, reference) == "replaced"


def test_a_flavour_that_cannot_announce_itself_is_no_heir(flavoured):
    one, reference = flavoured
    assert trial.try_reload(case_of("flavour sendmsg ENOBUFS", "reload"), one, reference) in ("absorbed", "said")


@pytest.fixture(scope="module")
def flavoured():
    one = Injected(*trial.OPTIONS, "--preload=decimal")
    one.wait_for_ready()
    yield one, trial.look(one)
    one.kill()


def test_a_moments_trouble_costs_no_layer(reference):
    """The throwaway child that tries the layers lacks memory once: it is asked again."""
    for call in ("mount", "unshare", "pipe2"):
        case = Case("start", "fork", call, f"error:{errno.ENOMEM}", 12 if call == "unshare" else 1)
        assert trial.try_start(case, trial.BARE, reference) == "absorbed", case
