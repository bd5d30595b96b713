"""python-executor run FILE: on a terminal, under signals, as other users, and beside others."""
import contextlib
import fcntl
import os
import pty
import signal
import termios
import time

import pytest
from command import BASE, BUSY, FAST, OK, Tag, arguments_of, begin, folders_of, run, workers_of
from service import PROGRAM, Background, all_pids, needs_poverty, poorly, read_proc, state_of, status_field, together, wait_until

# --- A terminal -------------------------------------------------------------------------------------


def test_a_terminal(script):
    """It works there, has its flags afterwards, and no other process than the command's has it."""
    tag = Tag()
    master, slave = pty.openpty()
    before = fcntl.fcntl(slave, fcntl.F_GETFL), termios.tcgetattr(slave)
    text = "import os, sys\ndef main():\n    print('name?'); name = input(); print('hello', name); input()\n    return [os.isatty(n) for n in (0, 1, 2)]"
    child = begin(script(text), tag.option, stdin=slave, stdout=slave, stderr=slave)
    seen = bytearray()

    def read_until(words):
        while words not in seen:
            seen.extend(os.read(master, 1000))

    read_until(b"name?\r\n")
    os.write(master, b"world\n")
    read_until(b"hello world\r\n")
    others = [pid for pid in tag.processes() if pid != child.pid]
    assert len(others) >= 3 and workers_of(tag)
    name = os.ttyname(slave)
    for pid in others:
        assert name not in [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")], read_proc(pid, "cmdline")
        assert read_proc(pid, "stat").rsplit(b")", 1)[1].split()[4] == b"0"  # no controlling terminal
    os.write(master, b"\n")
    read_until(b"[false, false, false]\r\n")
    assert child.wait(10) == 0
    assert (fcntl.fcntl(slave, fcntl.F_GETFL), termios.tcgetattr(slave)) == before
    os.close(master)
    os.close(slave)


def test_control_c_at_a_terminal(script):
    tag = Tag()
    pid, master = pty.fork()
    if pid == 0:
        os.execv(PROGRAM, arguments_of(script("def main():\n    print('up')\n    while True: pass"), tag.option, "--wall-ms=60000", "--cpu-ms=60000"))
    seen = b""
    while b"up" not in seen:
        seen += os.read(master, 100)
    os.write(master, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    tag.assert_gone()
    os.close(master)


def test_in_the_background_of_a_terminal(script):
    """A script that does not read runs on; whoever reads is in front again, or waits."""
    path = script("def main(): return 7")
    pid, master = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", 'set -m; "$@" </dev/tty & wait $!; echo status $?', "sh", *arguments_of(path)])
    seen = b""
    with contextlib.suppress(OSError):
        while True:
            seen += os.read(master, 1000)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"7\r\nstatus 0\r\n" in seen, seen
    os.close(master)


# --- Signals ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("sign, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_and_nothing_is_left(script, sign, status):
    tag = Tag()
    child = begin(script(BUSY), tag.option, "--wall-ms=60000", "--cpu-ms=60000")
    assert child.stdout.readline() == b"up\n"
    pids = tag.processes()
    assert len(pids) >= 4 and len(workers_of(tag)) == 1
    child.send_signal(sign)
    assert child.wait(10) == status
    assert tag.processes() == [] and folders_of(pids) == []  # at once
    assert child.communicate() == (b"", b"")


def test_a_signal_while_python_is_loaded(script):
    tag = Tag()
    child = begin(script(BUSY), tag.option, "--preload=numpy,pandas")
    assert wait_until(lambda: len(tag.processes()) >= 3)
    pids = tag.processes()
    child.terminate()
    assert child.wait(10) == 143 and tag.processes() == [] and folders_of(pids) == []
    child.communicate()


def test_a_signal_while_nobody_reads(script):
    """The pump waits in a pipe that is full."""
    tag = Tag()
    child = begin(script("def main():\n    while True: print('x' * 1000)"), tag.option, "--wall-ms=60000", "--cpu-ms=60000")
    assert wait_until(lambda: workers_of(tag))
    time.sleep(0.5)
    child.terminate()
    assert child.wait(10) == 143
    tag.assert_gone()
    child.communicate()


def test_killed_it_takes_all_others_along(script):
    tag = Tag()
    child = begin(script(BUSY), tag.option, "--wall-ms=60000", "--cpu-ms=60000")
    assert child.stdout.readline() == b"up\n"
    child.kill()
    child.wait()
    tag.assert_gone()
    child.communicate()


@pytest.mark.parametrize("name, words", [(b"python-executor-server", b"the server has died, and the run is lost"),
                                         (b"python-executor-zygote", b"python-executor: lost: ")])
def test_a_run_is_lost_when_a_child_dies(script, name, words):
    tag = Tag()
    child = begin(script(BUSY), tag.option, "--wall-ms=60000", "--cpu-ms=60000")
    assert child.stdout.readline() == b"up\n"
    victims = [pid for pid in tag.processes() if read_proc(pid, "cmdline").startswith(name) and pid not in workers_of(tag)]
    assert len(victims) == 1 and victims[0] > 1
    os.kill(victims[0], signal.SIGKILL)
    assert child.wait(10) == 125
    assert words in child.communicate()[1]
    tag.assert_gone()


def test_nohup(script):
    path = script("import time\ndef main():\n    print('up'); time.sleep(0.5)\n    return 2")
    child = begin(path, command=["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *arguments_of(path)])
    assert child.stdout.readline() == b"up\n"
    child.send_signal(signal.SIGHUP)
    assert child.communicate(timeout=20)[0] == b"2\n" and child.returncode == 0


# --- Where it runs ----------------------------------------------------------------------------------

LAYERS = "import os\ndef main(): return [os.getuid(), sorted(os.listdir('/tmp')), os.path.exists('/etc/shadow'), input()]"
LAYERS_RESULT = b'[65534, [], false, "line"]\n'


def as_user(uid, *command):
    """As an ordinary user with all that the machine grants one."""
    return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]


def assert_works_and_ends(command_of, script, folder):
    done = run(None, command=command_of(arguments_of(script(LAYERS))), stdin=b"line\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, LAYERS_RESULT, b""), done
    child = begin(None, command=command_of(arguments_of(script(BUSY), "--wall-ms=60000", "--cpu-ms=60000")))
    assert child.stdout.readline() == b"up\n"
    child.terminate()
    assert child.wait(10) == 143
    child.communicate()
    assert wait_until(lambda: not folder(), 2), folder()


def left_of(uid):
    """Processes and folders of a user."""
    found = [pid for pid in all_pids() if status_field(pid, "Uid").split()[:1] == [str(uid)] and state_of(pid) not in ("", "Z", "X")]
    for base in ("/tmp", "/dev/shm", "/var/tmp", "/run"):
        for name in os.listdir(base):
            with contextlib.suppress(OSError):
                if name.startswith("python-executor-") and os.stat(f"{base}/{name}").st_uid == uid:
                    found.append(f"{base}/{name}")
    return found


@needs_poverty
def test_as_an_ordinary_user(script):
    uid = BASE + 500
    assert_works_and_ends(lambda command: as_user(uid, *command), script, lambda: left_of(uid))


@needs_poverty
def test_without_namespaces(script):
    uid = BASE + 501
    assert_works_and_ends(lambda command: poorly(uid, *command), script, lambda: left_of(uid))


@needs_poverty
def test_what_only_a_poor_platform_has_to_say(script):
    """Where nothing of the kernel's bounds files and threads the keeper does, with a status of its own."""
    uid = BASE + 502
    files = script("import time\ndef main():\n    for i in range(30): open(f'/tmp/{i}', 'wb').write(bytes(400_000)); time.sleep(0.02)\n    time.sleep(4)")
    threads = script("import threading, time\ndef main():\n    for _ in range(40): threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n    time.sleep(3)")
    done = run(None, command=poorly(uid, *arguments_of(files, "--scratch-mb=4")))
    assert done.returncode == 14 and b"scratch_limit: it keeps more in /tmp than 4 MiB" in done.stderr, done
    done = run(None, command=poorly(uid, *arguments_of(threads, "--threads=20")))
    assert done.returncode == 15 and b"thread_limit: it has more than 20 threads (--threads)" in done.stderr, done


@needs_poverty
def test_a_layer_that_is_not_to_be_had(script):
    done = run(None, command=poorly(BASE + 503, *arguments_of(script(OK), "--require=seccomp,rlimits,identity,mount-namespace")))
    assert done.returncode == 125 and done.stdout == b""
    for word in ("mount-namespace", "it needs", "Docker", "doctor"):
        assert word in done.stderr.decode(), done.stderr


def test_a_module_that_is_not_there(script):
    done = run(script(OK + "\n# no_such_module_xyz"), "--preload=no_such_module_xyz")
    assert done.returncode == 125 and b"no_such_module_xyz" in done.stderr and done.stdout == b""


# --- Beside others ----------------------------------------------------------------------------------


def uids_of(pids):
    return {int(status_field(pid, "Uid").split()[0]) for pid in pids if status_field(pid, "Uid")}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who has user ids to give")
def test_beside_a_service(script, start):
    """The same --uid-base, as the defaults are: no user id is in both, neither ends what is the other's."""
    one = start(FAST)
    busy = Background(one.run, "import time\ndef main():\n    open('/tmp/x', 'w').write('mine')\n    time.sleep(2)\n    return open('/tmp/x').read()")
    one.wait_for_busy(1)
    child = begin(script("def main():\n    print('up'); return input()"), f"--uid-base={one.uid_base}")
    assert child.stdout.readline() == b"up\n"
    theirs = uids_of(one.worker_pids() + [one.server_pid])
    family = [pid for pid in all_pids() if pid != child.pid and is_below(pid, child.pid)]
    mine = uids_of(family) - {0}
    assert len(mine) >= 2 and not mine & theirs and all(one.uid_base - 400 <= uid < one.uid_base for uid in mine)
    assert child.communicate(b"x\n", timeout=10)[0] == b'"x"\n' and child.returncode == 0
    assert busy.get().result == "mine"
    one.assert_well()


def is_below(pid, ancestor):
    while pid > 1:
        stat = read_proc(pid, "stat")
        if b")" not in stat:
            return False
        pid = int(stat[stat.rindex(b")") + 2 :].split()[1])
        if pid == ancestor:
            return True
    return False


def many(command_of, script):
    path = script("import os, time\ndef main(n):\n    open('/tmp/mine', 'w').write(str(n)); time.sleep(0.3)\n    return [int(open('/tmp/mine').read()), os.listdir('/tmp')]")
    calls = [lambda n=n: run(None, command=command_of(arguments_of(path, "--input", str(n), "--wall-ms=60000")), timeout=100)
             for n in range(20)]
    for n, done in enumerate(together(*calls)):
        assert (done.returncode, done.stdout, done.stderr) == (0, b'[%d, ["mine"]]\n' % n, b""), done


def test_twenty_at_once(script):
    many(lambda command: command, script)


@needs_poverty
def test_twenty_at_once_of_a_user_without_namespaces(script):
    """They share a user id and a folder for their folders, and each sweeps what the dead have left."""
    uid = BASE + 504
    many(lambda command: poorly(uid, *command), script)
    assert wait_until(lambda: not left_of(uid), 5), left_of(uid)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who has user ids to give")
def test_runs_do_not_share_ids(script):
    tag = Tag()
    path = script("def main():\n    print('up'); input()")
    runs = [begin(path, tag.option) for _ in range(5)]
    for child in runs:
        assert child.stdout.readline() == b"up\n"
    mine = [uids_of(pid for pid in tag.processes() if is_below(pid, child.pid)) - {0} for child in runs]
    assert all(len(ids) == 2 for ids in mine) and len(set.union(*mine)) == 10, mine
    for child in runs:
        child.communicate(b"\n", timeout=10)
        assert child.returncode == 0
    tag.assert_gone()


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/usr/bin/setpriv"), reason="needs root, to give up what it may")
def test_root_without_rights_is_told_why(script):
    """The server ends before it has read what the manager has sent it."""
    for _ in range(5):
        done = run(None, command=["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--", *arguments_of(script(OK))])
        assert done.returncode == 125 and done.stdout == b"", done
        assert b"staying root was refused" in done.stderr and b"CAP_SETUID" in done.stderr, done
