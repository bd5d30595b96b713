"""Hostile runs beside innocent ones: who is next door must notice nothing but the lack of a free CPU."""
import os
import re

import pytest
from attack import PRELUDE, assert_refused, attack
from service import Background, Service, all_pids, descriptor_count, read_proc, state_of, together, wait_until

WORK = (
    "import time, threading\ndef main():\n    end = time.monotonic() + 0.8\n    n = 0\n    while time.monotonic() < end:\n"
    "        t = threading.Thread(target=sum, args=([1, 2],)); t.start(); t.join()\n        with open('/tmp/x', 'w') as f: f.write('x' * 1000)\n"
    "        n += 1\n        time.sleep(0.01)\n    return n > 1"
)

BOMBS = {
    "memory": "def main():\n    kept = []\n    while True: kept.append(bytearray(b'\\xa5') * (8 << 20))",
    "CPU in threads": "import threading\ndef work():\n    while True: pass\ndef main():\n    for _ in range(6): threading.Thread(target=work, daemon=True).start()\n    work()",
    "threads": "import threading, time\ndef main():\n    while True:\n        try: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n        except RuntimeError: time.sleep(0.001)",
    "descriptors": "import os, time\ndef main():\n    while True:\n        try: os.pipe()\n        except OSError: time.sleep(0.001)",
    "pipe buffers": "import os, time\ndef main():\n    for _ in range(60):\n        r, w = os.pipe(); os.set_blocking(w, False)\n        try:\n            while True: os.write(w, bytes(65536))\n        except BlockingIOError: pass\n    time.sleep(9)",
    "files": "import os\ndef main():\n    while True:\n        try:\n            for i in range(2000): open(f'/tmp/{i}', 'wb').write(bytes(100000))\n        except OSError: pass\n        for n in os.listdir('/tmp'): os.unlink('/tmp/' + n)",
    "output": "import os\ndef main():\n    while True: os.write(1, bytes(65536)); os.write(2, bytes(65536))",
    "signals": "import os, signal\ndef main():\n    while True:\n        for p in range(1, 3000):\n            try: os.kill(p, signal.SIGKILL) if p != os.getpid() else None\n            except OSError: pass",
    "page tables": "import mmap\ndef main():\n    m = mmap.mmap(-1, 400 << 20)\n    while True:\n        for i in range(0, 400 << 20, 2 << 20): m[i] = 1",
    "system calls": "import os\ndef main():\n    while True: os.getppid(); os.stat('/')",
    "forks": "import os\ndef main():\n    while True:\n        try: os.fork()\n        except OSError: pass",
}


@pytest.fixture(scope="module")
def yard():
    one = Service("--workers=3", "--wall-ms=2500", "--cpu-ms=5000")
    yield one
    one.stop()


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_next_door(yard, kind):
    """Layers: rlimits per user, a user and a tmpfs per worker, the keeper, and the bounded pool."""
    bombs = [Background(yard.run, BOMBS[kind]) for _ in range(2)]
    assert yard.result(WORK) is True
    for bomb in bombs:
        answer = bomb.get(15)
        assert answer.outcome in ("memory", "timeout"), answer
    yard.assert_well()


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


def test_locks_do_not_reach_the_neighbour(start):
    """A lock on a file that all runs share is a signal to them, and may hold them up."""
    one = start("--workers=2")
    script = (
        "import fcntl, os, time\ndef main():\n    f = os.open(os.__file__, os.O_RDONLY)\n    try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "    except OSError: return 'refused'\n    time.sleep(1)\n    return 'locked'"
    )
    first = Background(one.result, script)
    one.wait_for_busy(1)
    assert one.result("import os, importlib\ndef main(): return len(open(os.__file__).read()) > 0") is True
    first.get()
    one.assert_well()


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
    family = {service.manager_pid, service.server_pid, service.zygote_pid}
    return [p for p in all_pids() if state_of(p) == "Z" and int(read_proc(p, "stat").rsplit(b")", 1)[1].split()[1]) in family]


def snapshot(service):
    workers = len(service.worker_pids())  # a burst leaves a few more than asked for, and the zygote a descriptor for each
    descriptors = [descriptor_count(p) for p in (service.manager_pid, service.server_pid, service.zygote_pid)]
    return {
        "descriptors": [*descriptors[:2], descriptors[2] - workers],
        "processes": len(service.processes()) - workers, "zombies": zombies_of(service), "mounts": own_mounts(), "ipc": ipc_objects(), "files": files_of(service),
    }


def test_nothing_is_left_of_a_mixed_run(start):
    one = start()
    one.assert_well()
    assert wait_until(lambda: len(one.worker_pids()) == 2 * 2 * os.cpu_count(), 5)
    before = snapshot(one)
    together(*[lambda: [one.run(script) for script in MIXED * 3] for _ in range(4)])
    one.run("import time\ndef main(): time.sleep(60)")
    assert wait_until(lambda: snapshot(one) == before, 5), (before, snapshot(one))
    assert len(one.worker_pids()) <= 3 * 2 * os.cpu_count()
    one.assert_well()
