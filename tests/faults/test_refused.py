"""The machine refuses for a while what the service needs: processes, a /tmp, descriptors. It says so, and goes on when it may."""
import contextlib
import errno
import os
import uuid

import pytest

from cases import FOREVER, Case
from injection import needs_injector
from service import Background, Service, wait_until
import trial

PIDS = "/sys/fs/cgroup/pids"


class Unsure(trial.MayRefuse, Service):
    pass


@pytest.fixture
def pids():
    """A group that counts processes, as a container's. The number that it may have is written by write()."""
    folder = os.path.join(PIDS, f"px-test-{uuid.uuid4().hex[:8]}")
    try:
        os.makedirs(folder)
        assert os.path.exists(os.path.join(folder, "pids.max"))
    except (OSError, AssertionError):
        pytest.skip("no controller of processes, version 1, in which a group can be made")

    def write(count):
        with open(os.path.join(folder, "pids.max"), "w", encoding="ascii") as file:
            file.write(str(count))

    yield folder, write
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            wait_until(lambda at=below: not open(os.path.join(at, "cgroup.procs")).read(), 5)
            os.rmdir(below)


def behind(folder):
    return ["sh", "-ec", f'echo 0 > {folder}/cgroup.procs; exec "$@"', "sh"]


def test_no_more_processes(pids, start):
    """The container has as many as it may: what is there works, and what cannot be forked is made when it can."""
    folder, write = pids
    one = start("--preload=", "--workers=2", "--crew=2", "--queue-ms=2000", "--recycle=1000000", behind=behind(folder))
    one.wait_for_ready()
    one.assert_well()
    assert wait_until(lambda: len(one.worker_pids()) == 2, 10)
    parts = [one.manager_pid, one.server_pid, one.zygote_pid]
    write(1)
    answers = [one.run("def main(): return 1", timeout=20) for _ in range(2)]
    assert [answer.result for answer in answers] == [1, 1]  # the idle ones had been made
    calls = [Background(one.run, "def main(): return 1", timeout=30) for _ in range(3)]
    assert wait_until(lambda: not one.worker_pids(), 10)
    write("max")
    assert [call.get().status for call in calls] in ([200, 200, 200], [200, 200, 503], [200, 503, 503]), [call.get() for call in calls]
    one.assert_well()
    assert [one.manager_pid, one.server_pid, one.zygote_pid] == parts, one.log


def test_no_processes_from_the_beginning(pids):
    folder, write = pids
    write(3)
    one = Unsure(*trial.BARE, behind=behind(folder))
    try:
        assert one.port is None and trial.verdict_of_refusal(one) == "refused"
        assert "Resource temporarily unavailable" in one.log, one.log
    finally:
        one.kill()


@needs_injector
@pytest.mark.parametrize("role, call, name", [("worker", "mount", "ENOSPC"), ("zygote", "clone", "EAGAIN"), ("server", "pipe2", "EMFILE")])
def test_what_is_refused_for_a_while(injected, reference, role, call, name):
    case = Case("serve", role, call, f"error:{getattr(errno, name)}", 1, FOREVER)
    assert trial.try_serving(case, injected, reference) in ("absorbed", "said", "replaced")


@needs_injector
@pytest.mark.parametrize("role, call, name", [("worker", "mount", "ENOSPC"), ("fork", "mount", "ENOSPC"), ("zygote", "clone", "EAGAIN"),
                                              ("manager", "clone", "EAGAIN")])
def test_what_is_refused_at_the_start(reference, role, call, name):
    """A mount that is refused in the trial is a layer less, as GET /isolation says; one that is refused later, no service."""
    case = Case("start", role, call, f"error:{getattr(errno, name)}", 1, FOREVER)
    outcome = trial.try_start(case, trial.BARE, reference)
    assert outcome in ("refused", "degraded"), outcome
