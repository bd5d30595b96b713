"""A tree of zygotes, each with more imported than the one before: what a script mentions decides where it runs, and
nothing else follows from it but time."""
import importlib.util
import os
import signal

import pytest
from service import Background, wait_until
from test_cli import command
from test_faults import Load, answers_again

# In pieces, so as to mention nothing by itself.
WHAT_IS_THERE = """
import sys
there = [name for name in ("num" + "py", "pan" + "das") if name in sys.modules]
def main(): return there
"""
FLAVOURS = 3 if importlib.util.find_spec("matplotlib") else 2  # besides the first
NUMPY, PANDAS = WHAT_IS_THERE + "\n# numpy", WHAT_IS_THERE + "\n# pandas"


def test_what_is_mentioned_is_there(service):
    assert service.result(WHAT_IS_THERE) == []
    assert service.result(NUMPY) == ["numpy"]
    assert service.result(PANDAS) == ["numpy", "pandas"]


def test_a_part_of_a_word_is_no_mention(service):
    assert service.result(WHAT_IS_THERE + "\n# mypandas pandas_ numpyro") == []


@pytest.mark.parametrize(
    "script",
    [
        "def main(): return int(__import__('num' + 'py').arange(4).sum())",
        "import importlib\ndef main(): return int(importlib.import_module('pan' + 'das').Series([1, 2, 3]).sum())",
    ],
    ids=["numpy", "pandas"],
)
def test_what_is_not_mentioned_is_imported(service, script):
    assert service.result(script) == 6


def test_all_at_once(service):
    scripts = [(WHAT_IS_THERE, []), (NUMPY, ["numpy"]), (PANDAS, ["numpy", "pandas"])] * 20
    calls = [(Background(service.result, script), expected) for script, expected in scripts]
    for call, expected in calls:
        assert call.get(40) == expected


def test_each_worker_has_a_user_id_of_its_own(start):
    one = start()
    assert wait_until(lambda: len(one.flavour_pids()) == FLAVOURS and len(one.ready_pids()) >= 6, 20)
    uids = [os.stat(f"/proc/{pid}").st_uid for pid in one.ready_pids()]
    assert len(set(uids)) == len(uids) and os.stat(f"/proc/{one.server_pid}").st_uid not in uids


def test_a_first_script_need_not_wait_for_what_it_does_not_mention(start):
    """Told by order, not by time: the service is ready before the last flavour is, and serves."""
    one = start("--preload=numpy,pandas,sqlite3", "--log=debug")
    assert one.result(WHAT_IS_THERE) == []
    assert wait_until(lambda: "all that is preloaded is there" in one.log, 20)


def test_whoever_comes_too_early_for_a_flavour_waits_for_it(start):
    one = start()
    assert one.result(PANDAS) == ["numpy", "pandas"]


def test_no_flavours_without_modules(start):
    one = start("--preload=")
    assert one.result(PANDAS) == []
    assert one.flavour_pids() == []


def test_more_modules_than_flavours(start):
    modules = ["json", "decimal", "sqlite3", "wave", "colorsys"]
    one = start(f"--preload={','.join(modules)}")
    script = "import sys\ndef main(): return [m for m in %r if m in sys.modules]\n# " % modules[1:]
    assert one.result(script + "colorsys") == modules[1:]
    assert len(one.flavour_pids()) == 3


def test_a_module_that_fails_stops_the_start():
    done = command("--port=0", "--preload=numpy,antigravity_xyz")
    assert done.returncode == 1
    assert "antigravity_xyz" in done.stderr


@pytest.mark.parametrize("depth", range(FLAVOURS))
def test_death_of_one_of_the_tree(start, depth):
    one = start()
    assert one.result(PANDAS) == ["numpy", "pandas"]
    before = one.zygote_pids() + one.flavour_pids()
    load = Load(one, PANDAS)
    os.kill(one.flavour_pids()[depth], signal.SIGKILL)
    assert wait_until(lambda: len(one.flavour_pids()) == FLAVOURS and not set(one.zygote_pids() + one.flavour_pids()) & set(before), 20)
    answers = load.stop()
    assert not load.broken, load.broken[:3]
    assert {answer.outcome for answer in answers} <= {"ok", "lost"}
    assert answers_again(one)
    assert one.result(PANDAS) == ["numpy", "pandas"]


def test_recycling_with_all_flavours_at_work_fails_no_request(start):
    one = start("--recycle=15", "--workers=3")
    loads = [Load(one, script, threads=1) for script in (WHAT_IS_THERE, NUMPY, PANDAS)]
    assert wait_until(lambda: one.log.count("has taken over") >= 3 or any(load.broken for load in loads), 90)
    for load, expected in zip(loads, ([], ["numpy"], ["numpy", "pandas"])):
        answers = load.stop()
        assert not load.broken, load.broken[:3]
        assert [answer for answer in answers if answer.status != 200 or answer.result != expected] == []
    assert wait_until(lambda: len(one.zygote_pids()) == 1 and len(one.flavour_pids()) == FLAVOURS, 20)


def test_a_long_run_of_a_flavour_outlives_its_tree(start):
    one = start("--recycle=5", "--workers=3")
    long = Background(one.run, "import time\ndef main(): time.sleep(3); return 'slept'\n# pandas")
    one.wait_for_busy(1)
    before = one.zygote_pid
    assert wait_until(lambda: one.run(WHAT_IS_THERE).status == 200 and before != max(one.zygote_pids(), default=before), 10)
    assert long.get().result == "slept"
    assert wait_until(lambda: before not in one.zygote_pids(), 10)


def test_a_seed_reaches_numpy_wherever_it_runs(service):
    script = "import numpy as np\ndef main(): return int(np.random.randint(1 << 30))"
    first, second = (service.run(script, seed=5).result for _ in range(2))
    assert first == second


def test_all_crews_are_there_before_anybody_asks(start):
    """Who counts processes finds as many after the first requests as before them."""
    one = start("--workers=2", "--crew=5")
    whole = 5 * len(one.every_zygote())
    assert wait_until(lambda: len(one.worker_pids()) == whole, 10), one.worker_pids()
    assert one.result("import numpy\ndef main(): return int(numpy.int64(3))") == 3
    assert wait_until(lambda: len(one.worker_pids()) == whole, 10), one.worker_pids()
