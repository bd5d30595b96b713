"""What passes from one run to another, and what stays of them; for two at once see test_two_at_once.py."""
import os
import re

import pytest
from attack import PRELUDE, assert_refused, attack
from service import all_pids, descriptor_count, read_proc, together, wait_until


def test_every_caller_gets_its_own_answer(service):
    script = "import time\nprint('out-{0}')\ndef main():\n    time.sleep(0.05)\n    return {{'v': {0}}}"
    answers = together(*[lambda i=i: service.run(script.format(i)) for i in range(40)])
    assert [answer.json for answer in answers] == [{"result": {"v": i}, "stdout": f"out-{i}\n"} for i in range(40)]


def test_no_channel_between_two_runs(start):
    """Layers: seccomp (no IPC, no sockets), private /tmp, no /dev/shm."""
    one = start("--workers=2")
    make = PRELUDE + (
        "import time\ndef main():\n    found = {'shmget': call(29, 0x7741, 4096, 0o1666), 'msgget': call(68, 0x7741, 0o1666), 'semget': call(64, 0x7741, 1, 0o1666),\n"
        "             'mq_open': call(240, ctypes.c_char_p(b'leak'), 0o102, 0o666, 0), 'abstract': attempt(__import__('socket').socket, 1, 2),\n"
        "             'shm': attempt(open, '/dev/shm/leak', 'w'), 'memfd': call(319, ctypes.c_char_p(b'x'), 0)}\n    time.sleep(0.5)\n    return found"
    )
    for found in together(lambda: one.result(make), lambda: one.result(make)):
        assert_refused(found, {"EPERM", "EACCES", "ENOSYS", "ENOENT", "EROFS"})


def test_hostile_pickles_and_formats_are_the_scripts_own(service):
    """Python has no walls inside a process; none is needed, and nothing outside unpickles anything."""
    script = (
        "import pickle\nclass Bad:\n    def __reduce__(self): return (os.system, ('exit 3',))\n"
        "def main():\n    r = attempt(pickle.loads, pickle.dumps(Bad()))\n    return r"
    )
    assert attack(service, script) != "reached: 768"
    assert service.run("class Bad:\n    def __reduce__(self): return (print, (1,))\ndef main(): return Bad()").outcome == "not_serializable"


# --- What stays -------------------------------------------------------------------------------------

MIXED = [
    "def main(): return 1", "def main(): return 1 / 0", "x = 1", "import os; os._exit(1)", "import ctypes; ctypes.string_at(0)",
    "def main(): return {1}", "import os\ndef main(): os.abort()", "import sys; sys.exit()", "import os\ndef main():\n    os.closerange(0, 99)",
    "import os\ndef main():\n    try: os.fork()\n    except OSError: pass\n    open('/tmp/left', 'w').write('x' * 1000000)\n    return 1",
    "import threading, time\ndef main():\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    return 1",
    "import pandas as pd\ndef main(): return int(pd.DataFrame({'a': [1, 2]}).a.sum())", "import os\ndef main(): os.write(1, os.urandom(100000))",
    "import os, struct\ndef main(): os.write(3, struct.pack('<II', 2, 1000) + b'x'); os._exit(0)", "def main(): return 'x' * 100000",
    "def main(): raise MemoryError", "import asyncio\nasync def a(): await asyncio.sleep(0)\ndef main(): asyncio.run(a())",
    "import os\ndef main():\n    os.dup2(3, 1); print('x')", "def main(): return main()", "import ctypes\ndef main(): ctypes.CDLL(None).syscall(29, 1, 4096, 0o1666)",
]


def ipc_objects():
    count = 0
    for kind in ("shm", "sem", "msg"):
        with open(f"/proc/sysvipc/{kind}") as file:
            count += len(file.readlines()) - 1
    return count


def files_of(service):
    """New names in the folders where things are left; those of other programs do not count."""
    found = set(os.listdir(service.folder.name))
    for folder in ("/dev/shm", "/dev/mqueue"):
        if os.path.isdir(folder):
            found |= {f"{folder}/{name}" for name in os.listdir(folder)}
    return found


def own_mounts():
    with open("/proc/self/mountinfo") as file:
        return sorted(re.sub(r"^\d+ \d+ ", "", line) for line in file)


def zombies_of(service):
    family = {service.manager_pid, service.server_pid, *service.every_zygote()}
    stats = {pid: read_proc(pid, "stat").rpartition(b")")[2].split() for pid in all_pids()}  # once, since they go away
    return [pid for pid, fields in stats.items() if fields[:1] == [b"Z"] and int(fields[1]) in family]


def snapshot(service):
    workers = len(service.worker_pids())  # a burst leaves a few more than asked for, and its zygote two descriptors for each
    zygotes = sum(map(descriptor_count, service.every_zygote()))
    return {
        "descriptors": [descriptor_count(service.manager_pid), descriptor_count(service.server_pid), zygotes - 2 * workers],
        "processes": len(service.processes()) - workers, "zombies": zombies_of(service), "mounts": own_mounts(), "ipc": ipc_objects(), "files": files_of(service),
    }


def changes(before, after):
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


@pytest.mark.alone
def test_nothing_is_left_of_a_mixed_run(start):
    one = start()
    one.assert_well()
    crew = 2 * 2 * os.cpu_count()
    one.every_zygote()
    assert wait_until(lambda: len(one.ready_pids()) >= crew and len(one.processes()) - len(one.worker_pids()) == 2 + len(one.every_zygote()), 10)
    before = snapshot(one)
    together(*[lambda: [one.run(script) for script in MIXED * 3] for _ in range(4)])
    one.run("import time\ndef main(): time.sleep(60)")
    assert wait_until(lambda: changes(before, snapshot(one)) == {}, 5), changes(before, snapshot(one))
    assert len(one.worker_pids()) <= 3 * crew // 2 * len(one.every_zygote())
    one.assert_well()
