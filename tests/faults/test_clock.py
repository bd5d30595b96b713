"""The clock that people set jumps by a day, back and forth; what the service decides by time goes on as before.

That it asks only the clock which nobody can set is counted, and the clock is really another one to all of its processes: the
injector changes what the kernel says.
"""
import re

import pytest

from injection import Injected, needs_injector
from service import Background, wait_until

pytestmark = needs_injector
DAY = 86_400
REALTIME, MONOTONIC = "0", "1"
NOW = "import time\ndef main(): return time.time()"


@pytest.fixture(scope="module")
def clocked():
    one = Injected("--preload=", "--workers=4", "--stall-s=2", "--wall-ms=3000", "--queue-ms=4000", orders=["clocks"])
    one.wait_for_ready()
    yield one
    one.kill()


def clocks(census):
    """{role: ids of the clocks that it has asked}"""
    found = {}
    for role, call in census:
        if call.startswith("clock_gettime:"):
            found.setdefault(role, set()).add(call.partition(":")[2])
    return found


def test_nothing_is_decided_by_a_clock_that_can_be_set(clocked):
    """The server writes it into its log and the date of an answer. Manager and zygote have no use for it."""
    clocked.injector.census()
    for _ in range(3):
        clocked.assert_well()
    assert clocked.run("import time\ndef main(): time.sleep(60)").outcome == "timeout"
    found = clocks(clocked.injector.census())
    assert MONOTONIC in found["manager"] and MONOTONIC in found["zygote"] and MONOTONIC in found["server"], found
    assert REALTIME not in found["manager"] | found["zygote"], found


@pytest.mark.parametrize("days", [1, -1])
def test_a_jump_while_all_goes_on(clocked, days):
    one = clocked
    before = one.result(NOW)
    running = Background(one.run, "import time\ndef main():\n    time.sleep(1)\n    return 'slept'")
    late = Background(one.run, "import time\ndef main(): time.sleep(60)")
    one.wait_for_busy(2)
    waiting = [Background(one.run, "import time\ndef main():\n    time.sleep(0.2)\n    return 'waited'") for _ in range(6)]
    parts = [one.manager_pid, one.server_pid, one.zygote_pid]
    one.injector.order(f"jump {days * DAY}")
    # It is the real thing: scripts see it.
    assert running.get().result == "slept" and {call.get().result for call in waiting} == {"waited"}
    assert abs(one.result(NOW) - before - days * DAY) < 60
    answer = late.get()
    assert answer.outcome == "timeout", answer
    one.injector.order("jump 0")
    one.assert_well()
    assert wait_until(lambda: [one.manager_pid, one.server_pid, one.zygote_pid] == parts, 3), one.log
    assert not re.search("killed|ended with", one.log), one.log
