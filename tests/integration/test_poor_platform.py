"""On a platform that grants no mounts and no namespaces, as an ordinary user: what a script keeps in /tmp is bounded by
the keeper, nothing of it stays, and no neighbour is harmed."""
import os
import re
import signal

import pytest
from service import Background, needs_poverty, together, wait_until

pytestmark = needs_poverty

SCRATCH_MB, SCRATCH_FILES = 4, 100
LIMITS = (f"--scratch-mb={SCRATCH_MB}", f"--scratch-files={SCRATCH_FILES}", "--preload=")


@pytest.fixture
def poor(start):
    return start(*LIMITS, poor=True)


def folders(uid):
    """Those of all zygotes of a user, wherever they were put."""
    found = []
    for base in ("/tmp", "/dev/shm", "/var/tmp", "/run"):
        for name in os.listdir(base):
            path = os.path.join(base, name)
            if re.fullmatch("python-executor-[0-9]+", name) and os.stat(path).st_uid == uid:
                found.append(path)
    return found


def kept(service):
    """What is in the folders of its workers."""
    return [os.path.join(at, name) for path in folders(service.uid_base) for at, _, names in os.walk(path) for name in names
            if not at.startswith(os.path.join(path, "root"))]


def test_the_view(poor):
    script = """
import os, pathlib, platform, tempfile
def main():
    with tempfile.NamedTemporaryFile('w+') as file:
        file.write('x'); file.flush()
        inside = file.name.startswith('/tmp/')
    os.chdir('/tmp'); os.mkdir('d'); os.symlink('/tmp/d', 'l')
    return [inside, os.getcwd(), os.readlink('l'), os.path.realpath('l'), os.getuid(), os.geteuid(), os.getgroups(),
            platform.node(), sorted(os.listdir('/tmp')), os.path.exists('/etc/passwd'), os.path.exists('/etc/shadow')]
"""
    assert poor.result(script) == [
        True, "/tmp", "/tmp/d", "/tmp/d", 65534, 65534, [], "sandbox", ["d", "l"], True, False]


BYTES = """
import time
def main():
    for i in range(40):
        with open(f'/tmp/{i}', 'wb') as file:
            file.write(b'x' * 400_000)
        time.sleep(0.02)
    time.sleep(4)
"""
FILES = """
import time
def main():
    for i in range(400):
        open(f'/tmp/{i}', 'wb').close()
    time.sleep(4)
"""
FOLDERS = """
import os, time
def main():
    os.makedirs('/tmp/' + 'd/' * 300)
    time.sleep(4)
"""
HIDDEN = """
import os, time
def main():
    os.mkdir('/tmp/hidden', 0o300)
    for i in range(10):
        open(f'/tmp/hidden/{i}', 'wb').write(b'x' * 1_000_000)
    time.sleep(4)
"""
ALL_HIDDEN = """
import os, time
def main():
    os.chmod('/tmp', 0o300)
    for i in range(10):
        open(f'/tmp/{i}', 'wb').write(b'x' * 1_000_000)
    time.sleep(4)
"""


NAMELESS = """
import os, time
def main():
    kept = []
    for i in range(50):
        kept.append(os.open(f'/tmp/{i}', os.O_CREAT | os.O_WRONLY)); os.unlink(f'/tmp/{i}')
        for _ in range(3): os.write(kept[-1], b'x' * 1_000_000)
    time.sleep(4)
"""


@pytest.mark.parametrize("script", [BYTES, FILES, FOLDERS, HIDDEN, ALL_HIDDEN, NAMELESS],
                         ids=["bytes", "files", "folders", "hidden", "all hidden", "nameless"])
def test_a_script_that_fills_its_folder(poor, script):
    answer = poor.run(script)
    assert (answer.status, answer.outcome) == (500, "scratch_limit"), answer
    assert answer.seconds < 4
    poor.assert_well()
    assert wait_until(lambda: not kept(poor), 5), kept(poor)


def test_threads_are_bounded(start):
    """All workers are one user of the kernel's, which counts its threads together; so the keeper counts."""
    one = start(*LIMITS, "--threads=20", poor=True)
    script = """
import threading, time
def main():
    for _ in range({}): threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
    time.sleep(0.5); return 'done'
"""
    assert one.result(script.format(15)) == "done"
    answer = one.run(script.format(40))
    assert (answer.status, answer.outcome) == (500, "thread_limit"), answer
    one.assert_well()


def test_up_to_the_limit_nothing_happens(poor):
    script = """
import time
def main():
    open('/tmp/large', 'wb').write(b'x' * 3_500_000)
    for i in range(90):
        open(f'/tmp/{i}', 'wb').close()
    with open('/tmp/sparse', 'wb') as file:
        file.truncate(4_000_000)
    time.sleep(0.3)
    return True
"""
    assert poor.result(script) is True


def test_one_file_is_bounded_by_the_kernel(poor):
    answer = poor.run("def main():\n    open('/tmp/x', 'wb').write(b'x' * 9_000_000)")
    assert answer.status in (400, 500) and answer.outcome in ("exception", "scratch_limit"), answer


NEIGHBOUR = """
import os, time
def main():
    open('/tmp/mine', 'w').write('mine')
    time.sleep(2.5)
    os.mkdir('/tmp/more')
    return [open('/tmp/mine').read(), sorted(os.listdir('/tmp'))]
"""


def test_a_neighbour_is_unharmed(poor):
    answers = together(lambda: poor.run(NEIGHBOUR), lambda: poor.run(BYTES), lambda: poor.run(HIDDEN),
                       lambda: poor.run(NEIGHBOUR))
    assert [answer.outcome for answer in answers] == ["ok", "scratch_limit", "scratch_limit", "ok"]
    assert answers[0].result == answers[3].result == ["mine", ["mine", "more"]]


# Past the view, by the mark that it uses itself (seccomp_table.h), against every folder a neighbour could have.
REACH = """
import ctypes, errno, os
MARK = 0x7669657777656976
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    values = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    values += [ctypes.c_long(0)] * (5 - len(values)) + [ctypes.c_ulong(MARK)]
    return errno.errorcode[ctypes.get_errno()] if libc.syscall(ctypes.c_long(number), *values) < 0 else 'done'
def everywhere(names, number, name, *arguments):
    buffer = ctypes.create_string_buffer(4096)
    assert libc.syscall(79, buffer, ctypes.c_long(4096), 0, 0, 0, ctypes.c_ulong(MARK)) > 0
    own = os.path.basename(buffer.value)
    base = os.path.dirname(buffer.value)
    return sorted({call(number, base + b'/' + at.encode() + name, *arguments) for at in names if at.encode() != own})
"""


def reach(poor, attempt):
    """At the folder of every worker. A script cannot know their names; here it is told."""
    names = [name for path in folders(poor.uid_base) for name in os.listdir(path) if name != "root"]
    assert all(re.fullmatch("[0-9]+-[0-9a-f]{16}", name) for name in names), names
    return poor.result(REACH + f"def main(): return everywhere({names}, {attempt})")
OPEN, UNLINK, TRUNCATE, CHMOD, MKDIR = 2, 87, 76, 90, 83


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names system calls by their x86-64 numbers")
@pytest.mark.parametrize("attempt", [f"{OPEN}, b'/mine'", f"{OPEN}, b'', 0x10000", f"{OPEN}, b'/new', 0x41, 0o600",
                                     f"{UNLINK}, b'/mine'", f"{TRUNCATE}, b'/mine'", f"{MKDIR}, b'/folder', 0o700"],
                         ids=["read", "list", "create", "unlink", "truncate", "mkdir"])
def test_a_neighbours_files_are_out_of_reach(poor, attempt):
    """By Landlock alone: the user id is the same. truncate() is the view's to do, which finds the script's own /tmp."""
    victim = Background(poor.run, NEIGHBOUR)
    assert wait_until(lambda: kept(poor), 5)
    found = reach(poor, attempt)
    assert "done" not in found and ("ENOENT" if attempt.startswith(str(TRUNCATE)) else "EACCES") in found, found
    assert victim.get().result == ["mine", ["mine", "more"]]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names system calls by their x86-64 numbers")
@pytest.mark.parametrize("attempt", [f"{CHMOD}, b'', 0", f"{CHMOD}, b'/mine', 0"], ids=["folder", "file"])
def test_a_neighbours_folder_cannot_be_closed(poor, attempt):
    """Landlock knows no chmod: where the user id is the same the filter says that it is done, and nothing is."""
    victim = Background(poor.run, NEIGHBOUR)
    assert wait_until(lambda: kept(poor), 5)
    reach(poor, attempt)
    assert victim.get().result == ["mine", ["mine", "more"]]


CLOSED = {
    "no search": "os.makedirs('/tmp/a/b'); os.chmod('/tmp/a', 0); os.chmod('/tmp', 0)",
    "no writing": "os.makedirs('/tmp/a/b'); os.chmod('/tmp/a', 0o500); os.chmod('/tmp', 0o500)",
    "a link": "os.symlink('/usr', '/tmp/a'); os.chmod('/tmp', 0o500)",
    "closed when made": "os.mkdir('/tmp/a', 0o300); os.mkdir('/tmp/a/b', 0o300); open('/tmp/a/b/x', 'w'); os.mkdir('/tmp/c', 0)",
    "by its mask": "os.umask(0o777); os.mkdir('/tmp/a'); open('/tmp/x', 'w')",
    "deep": "os.makedirs('/tmp/' + 'd/' * 60); os.chmod('/tmp/d/d', 0)",
    "odd names": "[os.mkdir(b'/tmp/' + n) for n in (b'\\n', b'\\xff', b'-rf', b'...', b'\\x01')]",
}


@pytest.mark.parametrize("what", CLOSED, ids=list(CLOSED))
def test_folders_that_are_hard_to_remove_are_removed(poor, what):
    for _ in range(12):  # every slot more than once
        poor.run(f"import os\ndef main():\n    {CLOSED[what]}")
    poor.assert_well()
    assert poor.result("import os\ndef main(): return os.listdir('/tmp')") == []
    assert wait_until(lambda: not kept(poor), 5), kept(poor)


def test_nothing_is_left_at_the_end(start):
    one = start(*LIMITS, poor=True)
    assert len(folders(one.uid_base)) == 1
    one.run("def main():\n    open('/tmp/x', 'w').write('x')")
    one.stop()
    assert folders(one.uid_base) == []


def test_a_killed_zygote_is_swept_by_the_next(poor):
    victim = Background(poor.run, NEIGHBOUR)
    poor.wait_for_busy(1)
    before = folders(poor.uid_base)
    old = poor.zygote_pid
    os.kill(old, signal.SIGKILL)
    assert victim.get().outcome == "lost"
    assert wait_until(lambda: poor.zygote_pid not in (None, old) and poor.ready_pids(), 10)
    poor.assert_well()
    assert wait_until(lambda: len(folders(poor.uid_base)) == 1 and not set(before) & set(folders(poor.uid_base)), 5)


@pytest.mark.alone
def test_all_killed_is_swept_by_the_next_start(start):
    one = start(*LIMITS, poor=True)
    Background(one.run, NEIGHBOUR)
    one.wait_for_busy(1)
    before = folders(one.uid_base)
    for pid in sorted(one.processes()):
        if pid > 1 and one.is_ours(pid):
            os.kill(pid, signal.SIGKILL)
    one.process.wait(10)
    one.assert_gone(5)
    assert folders(one.uid_base) == before and len(before) == 1  # nobody was left to do it
    again = start(*LIMITS, poor=True, uid_base=one.uid_base)
    assert len(folders(again.uid_base)) == 1 and before[0] not in folders(again.uid_base)
    again.assert_well()
    again.stop()  # before the other is cleared away, whose user it is
