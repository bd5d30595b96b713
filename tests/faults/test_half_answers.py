"""Workers that answer in part, too often or too much, and stay: descriptor 3 is theirs. The keeper ends them, by time.

What they may write and die is in tests/security/test_processes.py.
"""
import pytest

from service import SANITIZED, Service, resident_kb, together, wait_until

HEAD = "import os, struct, time\ndef frame(length, body): os.write(3, struct.pack('<II', 2, length) + body)\n"
STAYS = {
    "half a head": ("os.write(3, b'\\2\\0')", "timeout"),
    "half a frame": ("frame(100, b'[1, 2')", "timeout"),
    "four gigabytes": ("frame(0xffffffff, b'[' + b'1,' * 20_000)", None),
    "a byte a time": ("[(os.write(3, b), time.sleep(0.4)) for b in (b'\\2', b'\\0', b'\\0', b'\\0')]", "timeout"),
    "a frame": ("frame(1, b'7')", "ok"),
    "ten frames": ("[frame(1, b'%d' % i) for i in range(7, 17)]", "ok"),
    "frames for ever": ("[frame(1, b'7') for _ in iter(int, 1)]", "ok"),
}


@pytest.fixture(scope="module")
def one(program):
    service = Service("--preload=", "--workers=8", "--wall-ms=1500")
    service.wait_for_ready()
    yield service
    service.stop()


@pytest.mark.parametrize("details", [False, True], ids=["at once", "with details"])
def test_who_answers_so_and_stays(one, details):
    """The first whole frame is the answer; nothing that comes behind it is read, and nobody waits for its writer's end."""
    before = resident_kb(one.server_pid)
    answers = together(*[lambda write=write: one.run(f"{HEAD}def main():\n    {write}\n    time.sleep(60)", details=details)
                         for write, _ in STAYS.values()])
    for (what, (_, outcome)), answer in zip(STAYS.items(), answers):
        # With details the end of the process is waited for, which is the deadline.
        wanted = "timeout" if outcome == "ok" and details else outcome
        assert wanted in (None, answer.outcome), (what, answer)
        assert (answer.status == 200) == (answer.outcome == "ok") and (answer.outcome != "ok" or answer.result == 7), (what, answer)
    assert wait_until(lambda: not one.busy_pids(), 5)
    assert SANITIZED or resident_kb(one.server_pid) < before + 20_000
    one.assert_well()
