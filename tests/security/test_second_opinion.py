"""The second opinion (tests/second_opinion) on the service that is tested here, and whether it would say it if something were
wrong: a filter that lets more through, a worker that is less confined, a file that changed."""
import os
import platform
import sys

import pytest
from service import ROOT, SANITIZED, Service, unsanitized, wait_until

sys.path += [os.path.join(ROOT, "tests", folder) for folder in ("second_opinion", "tiers")]
import bpf  # noqa: E402
import expectation  # noqa: E402
import opinion  # noqa: E402
import outside  # noqa: E402
import portrait  # noqa: E402
import sweep  # noqa: E402
from calls import LAST, name_of  # noqa: E402

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
WEAK = os.path.join(ROOT, "build-weak", "python-executor")
TARGETS = {"pids": [], "ids": [0], "paths": ["/etc/passwd"]}
ROOTS = expectation.load("root")
X32 = opinion.X32
# With every layer below it these harm nobody: getpgid, getsid, capget, sched_get_priority_max, mincore.
HARMLESS = (121, 124, 125, 146, 27)


def seen(service, entry, numbers, parts=1):
    return sweep.words_of(sweep.Sweep(service.port, TARGETS, 1, 5000).all(entry, dict.fromkeys(numbers, range(parts))))


def openings(words):
    kept = [line for line in ROOTS["calls"] if not line.startswith("...")]
    maybe = expectation.conditional(line for line in ROOTS["filter"] if not line.startswith("..."))
    return expectation.openings(kept, maybe, words, name_of)


def test_every_number_there_is_and_those_to_come(service):
    """Layer: seccomp. 335 and 336 are left out: the kernel answers them itself, whatever a filter says."""
    words = seen(service, "syscall", [number for number in [*range(LAST + 1), 1000, 65535, X32 - 1] if number not in opinion.NO_TABLE])
    assert not openings(words)
    assert words[57] == words[1000] == words[X32 - 1] == {"EPERM"} and words[39] == {"answered"} and words[231] == {"ended"}
    service.assert_well()


def test_the_other_tables_end_a_worker(service):
    """Bit 30 of the number selects another table under the same architecture word; int 0x80 has other numbers, 2 is fork there."""
    words = {**seen(service, "x32", [X32 + number for number in (1, 39, 57, 512, 520, 545)]), **seen(service, "int80", [2, 11, 20])}
    assert words == dict.fromkeys(words, {"ended"}) and len(words) == 9
    service.assert_well()


def fetched(service):
    """The filters of two workers, the newest of each last."""
    one, another, *_ = portrait.ready_workers(service.manager_pid)
    try:
        return [bpf.fetch(pid) for pid in (one, another)]
    except PermissionError:
        pytest.skip("fetching a filter needs CAP_SYS_ADMIN")


@pytest.mark.skipif(os.geteuid() != 0, reason="the kept filter is that of the tier root")
def test_the_filter_is_the_kept_one_and_a_row_more_is_seen(service):
    """The row: what the filter says of fork is turned to what it says of getpid."""
    one, another = fetched(service)
    program = bpf.Program(one[-1], another[-1])
    assert bpf.lines_of(program) == ROOTS["filter"]
    allow = next(index for index, step in enumerate(program.code) if step[0] == bpf.RETURN and bpf.action_of(step[3]) == "allow")
    # In front: load the number; if it is 57 allow it; load the architecture, as the program begins.
    program.code[:0] = [(bpf.LOAD, 0, 0, 0), (0x15, 0, 1, 57), (bpf.JUMP, 0, 0, allow)]
    assert "+  57 fork: allow" in expectation.difference(ROOTS["filter"], bpf.lines_of(program))


@pytest.mark.skipif(SANITIZED, reason="there is no sanitized build with layers switched off")
@pytest.mark.skipif(os.geteuid() != 0, reason="a layer more is missing where this is not root")
def test_a_missing_layer_is_seen():
    """Without the filter the calls that it answered are openings; without the identity capabilities are a difference."""
    options = ("--preload=json", "--workers=2", "--crew=2", "--require=seccomp,rlimits,identity")
    weak = Service("--layers-off=seccomp", *options, program=WEAK)
    try:
        assert [line.split()[0] for line in openings(seen(weak, "syscall", HARMLESS, 4))] == sorted(map(str, HARMLESS), key=int)
    finally:
        weak.stop()
    weak = Service("--layers-off=identity", *options, program=WEAK)
    try:
        found = portrait.look(weak.manager_pid)
        assert "+ CapEff: 000001ffffffffff" in expectation.difference(ROOTS["identity"], found["identity"])
    finally:
        weak.stop()


@unsanitized
def test_the_mounts_and_limits_are_the_kept_ones(start):
    """As root; the rest of the portrait depends on what the tests were started from."""
    if os.geteuid() != 0:
        pytest.skip("what is kept is of root")
    one = start()
    found = portrait.look(one.manager_pid)
    for name in ("mounts", "limits", "descriptors"):
        assert not expectation.difference(ROOTS[name], found[name], "/"), name
    assert found["workers"] == ["all are the same"]


@pytest.mark.alone
def test_what_changes_outside_is_seen(start):
    """A process's priority, and of a file its mode; and nothing where nothing did, once all zygotes are there."""
    one = start("--preload=json")
    looks = [{}]

    def changes():
        looks.append({str(pid): outside.process(pid) for pid in outside.fixed(one.manager_pid)})
        return list(outside.differences(looks[-2], looks[-1]))

    assert wait_until(lambda: not changes()) is True
    os.setpriority(os.PRIO_PROCESS, one.server_pid, 19)
    assert [line for line in changes() if line.startswith(f"{one.server_pid}: nice: ") and line.endswith(" -> '19'")]
    bait = os.path.join(one.folder.name, "bait")
    with open(bait, "w", encoding="ascii") as file:
        file.write("one")
    facts = outside.facts(bait)
    os.chmod(bait, 0o604)
    assert facts != outside.facts(bait)
