"""A few faults of the many that `make faults` tries: those that the service once did not bear, and some of each kind."""
import errno

import pytest

from cases import Case, action_of
from injection import Injected, needs_injector
import trial

pytestmark = needs_injector
OPTIONS = (*trial.OPTIONS, "--preload=")


@pytest.fixture(scope="module")
def injected():
    one = Injected(*OPTIONS)
    one.wait_for_ready()
    yield one
    one.kill()


@pytest.fixture(scope="module")
def reference(injected):
    return trial.look(injected)


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


def test_an_address_that_cannot_be_had_is_not_made_up():
    """It is what people and scripts are told to connect to."""
    assert trial.try_start(case_of("manager getsockname ENOBUFS", "start"), OPTIONS, None) == "refused"


@pytest.mark.parametrize("name, outcomes", [
    ("server accept4 EMFILE", "absorbed"), ("server epoll_wait EINTR", "absorbed"), ("server read short", "absorbed"),
    ("server recvmsg ENOMEM", "replaced"), ("server sendto short", "absorbed"), ("server epoll_ctl kill", "replaced"),
    ("worker landlock_restrict_self ENOMEM", "absorbed"), ("worker mount ENOMEM", "absorbed"), ("worker setresuid EAGAIN", "absorbed"),
    ("worker writev short", "absorbed"), ("worker writev kill", "said"), ("worker read EIO", "said"),
    ("zygote clone EAGAIN", "absorbed"), ("zygote poll ENOMEM", "replaced"), ("zygote sendto kill", "replaced"),
])
def test_while_it_serves(injected, reference, name, outcomes):
    assert trial.try_serving(case_of(name, "serve"), injected, reference) in outcomes.split()


@pytest.mark.parametrize("name", ["manager clone EAGAIN", "manager socketpair EMFILE", "launch execveat ENOMEM", "zygote mount ENOSPC",
                                  "zygote seccomp kill"])
def test_while_it_is_reloaded(injected, reference, name):
    """The one before serves on, and the next attempt succeeds."""
    assert trial.try_reload(case_of(name, "reload"), injected, reference) in ("absorbed", "degraded")


@pytest.mark.parametrize("name", ["server epoll_wait EINTR", "server sendto ENOBUFS", "manager poll EINTR", "zygote recvmsg kill"])
def test_while_it_ends(reference, name):
    assert trial.try_drain(case_of(name, "drain"), OPTIONS, reference) in ("absorbed", "said")
