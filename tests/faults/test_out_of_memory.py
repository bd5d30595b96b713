"""The container, and not the run's own limit, is out of memory: a worker dies, not the service."""
import pytest

from groups import Group
from service import together, unsanitized, wait_until

CONTAINER_MB = 128
# Several times what there is, well below what a script may have.
EAT = """
def main():
    return len([bytearray(10_000_000) + b'x' for _ in range(40)])
"""


@pytest.fixture
def group():
    one = Group(memory=CONTAINER_MB)
    yield one
    one.remove()


@unsanitized
def test_the_worker_dies_and_not_the_service(group, start):
    one = start("--preload=", "--workers=2", "--crew=2", "--memory-mb=512", "--wall-ms=20000", behind=group.behind)
    one.wait_for_ready()
    one.assert_well()
    parts = [one.manager_pid, one.server_pid, one.zygote_pid]
    for _ in range(2):
        answers = together(*[lambda: one.run(EAT, timeout=60)] * 2)
        assert {(answer.status, answer.outcome) for answer in answers} == {(500, "memory")}, answers
        one.assert_well()
    assert [one.manager_pid, one.server_pid, one.zygote_pid] == parts and "killed" not in one.log, one.log
    assert wait_until(lambda: len(one.worker_pids()) == 2, 10)
