"""What the container grants is seen, the automatic options follow it, and the arithmetic of memory holds: a service whose
control group has the memory that was counted gets through its worst case."""
import json
import os
import re
import subprocess
import threading

import pytest
from groups import Group
from service import PROGRAM, Service, unsanitized, wait_until


@pytest.fixture
def group(request):
    made = Group(**request.param)
    yield made
    made.remove()


def doctor(*options, behind=()):
    done = subprocess.run([*behind, PROGRAM, "doctor", "--json", *options], env={"PATH": "/usr/bin:/bin"}, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done
    return json.loads(done.stdout)["memory"]


# --- What is granted --------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [{"memory": 1536, "cpus": 0.5}], indirect=True)
def test_the_groups_limits_are_seen(group):
    told = doctor("--preload=", behind=group.behind)
    assert told["limit_mb"] == 1536 and told["limited_by"] == "container"
    assert told["workers"] == 2 and told["crew"] == 4 and told["fits"] is True


@pytest.mark.parametrize("group", [{"memory": 900}], indirect=True)
def test_automatic_options_fit_and_set_ones_stay(group):
    told = doctor("--preload=", "--memory-mb=400", behind=group.behind)
    assert told["workers"] == 1 and told["crew"] == 2 and told["fits"] is True, told
    told = doctor("--preload=", "--memory-mb=400", "--workers=2", behind=group.behind)
    assert told["workers"] == 2 and told["fits"] is False, told


def test_affinity_is_what_this_process_may_use():
    cpu = min(os.sched_getaffinity(0))
    told = doctor("--preload=", "--body-kb=1024", behind=["taskset", "-c", str(cpu)])
    assert told["workers"] == 2 and told["crew"] == 4


def test_the_sum_is_the_sum_of_its_parts():
    told = doctor("--workers=3")
    parts = ("zygotes_mb", "takeover_mb", "idle_mb", "held_mb")
    assert told["total_mb"] == sum(told[part] for part in parts) + 3 * told["run_mb"]


@pytest.mark.parametrize("group", [{"memory": 300}], indirect=True)
def test_a_service_that_cannot_fit_says_so_and_runs(group):
    service = Service("--preload=", "--workers=4", behind=group.behind)
    try:
        line = re.search(r"^.*warning: memory: at most (\d+) MiB of the 300 that the container may have: (.*)$", service.log, re.M)
        assert line, service.log
        assert "does not fit" in line.group(2) and f"Grant {line.group(1)} MiB" in line.group(2)
        assert "--workers (4)" in line.group(2) and "--memory-mb (256)" in line.group(2)
        service.assert_well()
    finally:
        service.stop()


def test_a_service_that_fits_says_with_what():
    service = Service("--preload=", "--workers=1", "--memory-mb=32")
    try:
        assert re.search(r"^python-executor: memory: at most \d+ MiB of the \d+ that the ", service.log, re.M), service.log
        assert "does not fit" not in service.log
    finally:
        service.stop()


# --- Whether it holds -------------------------------------------------------------------------------

MODULES = "numpy,pandas,matplotlib.pyplot?"


@unsanitized
@pytest.mark.parametrize("group", [{}], indirect=True)
@pytest.mark.parametrize("preload", ["", "numpy", MODULES])
def test_what_the_service_takes_at_rest_is_what_is_counted(group, preload):
    told = doctor(f"--preload={preload}", "--crew=12", behind=group.behind)
    service = Service(f"--preload={preload}", "--crew=12", behind=group.behind)
    try:
        service.every_zygote()
        for module in [word.strip("?") for word in preload.split(",") if word] or ["json"]:
            assert service.run(f"import {module.split('.')[0]}\ndef main(): return 1").outcome == "ok"
        # Every flavour whose zygote is there has its full crew after a second.
        zygotes = len(service.every_zygote())
        assert wait_until(lambda: len(service.worker_pids()) >= 12 * max(1, zygotes - 1), 20), len(service.worker_pids())
        service.ready_pids()
        taken = group.read_mb("usage")
    finally:
        service.stop()
    counted = told["zygotes_mb"] + told["idle_mb"]
    print(f"{taken:.0f} MiB at rest of {counted}")
    assert counted / 3 < taken < counted, (taken, told)


# As much as it may have of everything: memory, files, output, a result.
GREEDY = """
import os, time
def main():
    block = bytearray(%d << 20)
    for i in range(0, len(block), 4096):
        block[i] = 1
    with open('/tmp/file', 'wb') as file:
        for _ in range(%d):
            file.write(os.urandom(1 << 20))
    print('x' * (1000 << 10))
    time.sleep(1)
    return 'y' * (2 << 20)
"""


@unsanitized
@pytest.mark.parametrize("group", [{"memory": 2048}], indirect=True)
def test_the_worst_case_fits_into_what_was_counted(group):
    options = ["--preload=", "--workers=4", "--crew=4", "--memory-mb=96", "--scratch-mb=32", "--body-kb=2048", "--script-kb=1024",
               "--recycle=4", "--wall-ms=30000", "--cpu-ms=30000"]
    told = doctor(*options, behind=group.behind)
    group.limit_memory(told["total_mb"])
    service = Service(*options, behind=group.behind)
    answers = []
    try:
        script = GREEDY % (84, 30)
        threads = [threading.Thread(target=lambda: answers.append(service.run(script, timeout=100))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peak = group.read_mb("peak")
    finally:
        service.stop()
    assert [answer.outcome for answer in answers] == ["ok"] * 12, answers
    print(f"peak {peak:.0f} MiB of {told}")
    assert 4 * (84 + 30) < peak <= told["total_mb"], (peak, told)
