"""python-executor run FILE: one script in the sandbox, with the streams of the command passed through."""
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import termios
import time

import pytest
from service import (PROGRAM, Background, all_pids, needs_poverty, poorly, read_proc, state_of, status_field, together,
                     unsanitized, wait_until)

BASE = 1_900_000_000 + os.getpid() % 20_000 * 10_000  # user ids of this file's runs, see tag()
FAST = "--preload="
OK = "def main(): return 1"


@pytest.fixture
def script():
    """Writes a script where every user can read it, and gives its path."""
    count = iter(range(100))
    with tempfile.TemporaryDirectory(prefix="run-command-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)

        def write(text):
            path = os.path.join(folder, f"script{next(count)}.py")
            with open(path, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
            os.chmod(path, 0o644)
            return path

        yield write


def arguments_of(path, *options):
    return [PROGRAM, "run", path, FAST, *options]


def run(path, *options, stdin=b"", environment=None, timeout=30, command=None):
    return subprocess.run(command or arguments_of(path, *options), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, env={"PATH": "/usr/bin:/bin", **(environment or {})})


def begin(path, *options, command=None, **streams):
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(command or arguments_of(path, *options), bufsize=0, **streams)


# --- What is left behind ----------------------------------------------------------------------------


class Tag:
    """A mark on all processes of a run, workers too: a module to preload that does no harm."""

    count = 0

    def __init__(self):
        Tag.count += 1
        self.base = BASE + Tag.count * 1000
        self.option = f"--uid-base={self.base}"

    def processes(self):
        """Those of the run whose manager has the option: by their ids, which are claimed below the base, or by name."""
        found = []
        for pid in all_pids():
            uid = status_field(pid, "Uid").split()
            is_ours = (uid and self.base - 400 <= int(uid[0]) < self.base) or self.names_it(pid)
            if is_ours and state_of(pid) not in ("", "Z", "X"):
                found.append(pid)
        return found

    def names_it(self, pid):
        words = read_proc(pid, "cmdline").split(b"\0")
        for word in words:
            if word.startswith(b"--uid-base=") and word[11:].isdigit() and self.base - 400 <= int(word[11:]) <= self.base:
                return True
        return False

    def assert_gone(self):
        assert wait_until(lambda: not self.processes(), 5), self.processes()


def folders_of(pids):
    """Scratch folders and control groups that the zygotes with these pids have made."""
    found = []
    bases = ["/tmp", "/dev/shm", "/var/tmp", "/run", "/usr/lib/python-executor", "/sys/fs/cgroup"]
    with contextlib.suppress(OSError):
        bases += [f"/sys/fs/cgroup/{name}" for name in os.listdir("/sys/fs/cgroup")]
    for base in bases:
        for pid in pids:
            path = f"{base}/python-executor-{pid}"
            if os.path.exists(path):
                found.append(path)
    return found


def workers_of(tag):
    """Processes that have a job: their standard output is a pipe."""
    busy = []
    for pid in tag.processes():
        with contextlib.suppress(OSError):
            if read_proc(pid, "cmdline").startswith(b"python-executor-zygote") and os.readlink(f"/proc/{pid}/fd/1").startswith("pipe:"):
                busy.append(pid)
    return busy


# --- How it ends ------------------------------------------------------------------------------------

EXCEPTION = "def main():\n    return 1 / 0"
ENDINGS = {
    "ok": (OK, (), 0, b"1\n", ""),
    "exception": (EXCEPTION, (), 1, b"", 'Traceback (most recent call last):\n  File "<string>", line 2, in main\n'),
    "syntax": ("def main(:", (), 1, b"", "SyntaxError"),
    "no_main": ("x = 1", (), 10, b"", "python-executor: no_main: Function 'main()' not found in script.\n"),
    "not_serializable": ("def main(): return {1}", (), 11, b"", "python-executor: not_serializable: Result is not JSON-serializable: set"),
    "output_limit": ("def main(): return 'x' * 4000", ("--result-kb=2",), 12, b"", "--result-kb 2"),
    "memory error": ("def main(): return len(bytearray(10**12))", (), 13, b"", "MemoryError"),
    "exited": ("import sys\ndef main(): sys.exit(3)", (), 17, b"", "python-executor: exited: "),
    "os._exit": ("import os\ndef main(): os._exit(0)", (), 17, b"", "python-executor: exited: "),
    "timeout": ("import time\ndef main(): time.sleep(60)", ("--limit", "wall_ms=300"), 124, b"", "timeout: it ran for the 300 ms that it may (--wall-ms)"),
    "CPU": ("def main():\n while True: pass", ("--limit=cpu_ms=200", "--wall-ms=20000"), 124, b"", "--cpu-ms"),
    "wrong arguments": ("def main(a): return a", (), 1, b"", "TypeError"),
}


@pytest.mark.parametrize("name", list(ENDINGS))
def test_an_end_has_its_status(script, name):
    text, options, status, out, words = ENDINGS[name]
    done = run(script(text), *options)
    assert (done.returncode, done.stdout) == (status, out), done
    assert words in done.stderr.decode() and (words or not done.stderr), done


@unsanitized
def test_a_crash(script):
    done = run(script("import ctypes\ndef main(): ctypes.string_at(0)"))
    assert (done.returncode, done.stdout) == (16, b"") and done.stderr == b"python-executor: killed: it was ended by signal 11 (SIGSEGV)\n", done


@unsanitized
def test_memory_without_end(script):
    text = "import mmap\ndef main():\n    m = mmap.mmap(-1, 400 << 20)\n    for i in range(0, 400 << 20, 4096): m[i] = 1\n    import time; time.sleep(5)"
    done = run(script(text))
    assert done.returncode == 13 and b"more than the 256 MiB" in done.stderr and b"--memory-mb" in done.stderr, done


def test_nothing_is_printed_for_none(script):
    done = run(script("def main(): pass"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_result_is_one_line_behind_what_was_printed(script):
    done = run(script("def main():\n    print('a', end='')\n    return {'n': 2**80, 't': 'x\\ny\\u00e9', 'l': [1, None]}"))
    assert done.returncode == 0
    assert done.stdout == b'a{"n": 1208925819614629174706176, "t": "x\\ny\\u00e9", "l": [1, null]}\n'


def test_a_traceback_is_of_the_scripts_own_frames(script):
    done = run(script("import json\ndef f(): return json.loads('{')\ndef main(): return f()"))
    assert done.returncode == 1 and done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert [line.split('", ')[1] for line in lines if line.startswith("  File ")] == ["line 3, in main", "line 2, in f"]
    assert lines[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")


HOSTILE = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e\x7f\x00\u2028end"


@pytest.mark.parametrize("text", [f"def main(): raise ValueError({HOSTILE!r})", f"class E(Exception): pass\nE.__name__ = {HOSTILE!r}\ndef main(): raise E",
                                  f"def main(): return {{{HOSTILE!r}: {{1}}}}"], ids=["message", "name", "path"])
def test_a_terminal_is_safe_from_error_texts(script, text):
    done = run(script(text))
    assert done.returncode in (1, 11)
    shown = done.stderr.decode()
    assert "end" in shown and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]", shown), ascii(shown)
    assert "\\x1b]0;title\\x07" in shown or "\\u001b" in shown or "\\x1b" in shown


def test_a_name_of_a_file_is_shown_safely(script):
    done = run(script(OK), "--file", "a\x1b[2J/../b=/dev/null")
    assert done.returncode == 2 and b"\x1b" not in done.stderr and b"files" in done.stderr, done


# --- Streams ----------------------------------------------------------------------------------------


def test_lines_pass_while_the_script_runs(script):
    """The second line of the script needs an answer that is given only when the first has been seen."""
    child = begin(script("import sys\ndef main():\n    print('first'); print(input()); print('err', file=sys.stderr)\n    return input()"))
    assert child.stdout.readline() == b"first\n"
    child.stdin.write(b"second\n")
    assert child.stdout.readline() == b"second\n"
    assert child.stderr.readline() == b"err\n"
    child.stdin.write(b"third\n")
    assert child.stdout.readline() == b'"third"\n'
    assert child.wait(10) == 0  # though nobody has closed its stdin
    child.communicate()


def test_bytes_are_left_alone(script):
    data = bytes(range(256)) * 5000
    text = "import sys\ndef main():\n    data = sys.stdin.buffer.read()\n    sys.stdout.buffer.write(data); sys.stderr.buffer.write(data[::-1])\n    return len(data)"
    done = run(script(text), stdin=data)
    assert done.returncode == 0
    assert done.stdout == data + b"1280000\n" and done.stderr == data[::-1]


def test_the_end_of_stdin(script):
    assert run(script("def main(): return open(0).read()"), stdin=b"abc").stdout == b'"abc"\n'
    assert run(script("def main(): return open(0).read()")).stdout == b'""\n'


@pytest.mark.parametrize("how", ["</dev/null", "<&-"])
def test_no_stdin(script, how):
    path = script("import sys\ndef main(): return sys.stdin.read()")
    done = run(path, command=["/bin/sh", "-c", f'exec "$@" {how}', "sh", *arguments_of(path)])
    assert (done.returncode, done.stdout) == (0, b'""\n'), done


def test_a_file_for_stdin(script, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"line\n" * 200_000)
    with open(big, "rb") as file:
        child = begin(script("def main(): return sum(1 for _ in open(0))"), stdin=file)
        assert child.communicate(timeout=20)[0] == b"200000\n"


def test_a_script_that_does_not_read_does_not_wait_for_it(script):
    done = run(script(OK), stdin=bytes(10 << 20))
    assert (done.returncode, done.stdout) == (0, b"1\n")


def test_all_that_is_printed_arrives(script):
    """More than all pipes and buffers hold, at a reader that takes its time."""
    child = begin(script("def main():\n    for i in range(200000): print(i, 'x' * 40)"), "--wall-ms=60000", "--cpu-ms=60000")
    time.sleep(1)
    out, err = child.communicate(timeout=60)
    assert out == b"".join(b"%d %s\n" % (i, b"x" * 40) for i in range(200000)) and err == b"" and child.returncode == 0


def test_what_is_dropped_is_told(script):
    done = run(script("def main(): print('x' * 5000)"), "--limit", "output_kb=1")
    assert done.stdout == b"x" * 1024 and done.returncode == 0
    assert done.stderr == b"python-executor: of 5001 bytes on standard output the first 1024 were handed on (--stdout-kb)\n"


@pytest.mark.parametrize("stream", [1, 2])
def test_nobody_reads_any_more(script, stream):
    tag = Tag()
    text = f"import os\ndef main():\n    while True: os.write({stream}, b'line\\n')"
    read, write = os.pipe()
    child = begin(script(text), tag.option, "--wall-ms=60000", **{"stdout" if stream == 1 else "stderr": write})
    os.close(write)
    assert os.read(read, 5)
    os.close(read)
    assert child.wait(10) == 141
    assert child.communicate() == ((None, b"") if stream == 1 else (b"", None))
    tag.assert_gone()


def test_head(script):
    path = script("def main():\n    while True: print('line')")
    done = run(path, command=["/bin/sh", "-c", '"$@" | head -1', "sh", *arguments_of(path, "--wall-ms=60000")])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"line\n", b"")


def test_a_full_disk_is_told(script):
    with open("/dev/full", "wb") as full:
        child = begin(script("def main(): print('x')"), stdout=full)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 125 and b"cannot write to standard output: No space left on device" in err


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

BUSY = "import threading\ndef main():\n    threading.Thread(target=main, daemon=True)\n    open('/tmp/left', 'w').write('x'); print('up')\n    while True: pass"


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


# --- What goes in -----------------------------------------------------------------------------------


def test_a_script_from_stdin():
    done = run("-", stdin=b"import sys\ndef main(): return [41 + 1, sys.stdin.read()]")
    assert (done.returncode, done.stdout) == (0, b'[42, ""]\n')


def test_numbers_of_any_size(script):
    number = "123456789" * 100
    assert run(script("def main(x): return x * 10"), "--input", number).stdout.decode() == number + "0\n"


def test_args_and_kwargs(script):
    path = script("def main(a, b, *, c): return [a, b, c]")
    assert run(path, "--args", '[1, "\\u00e9"]', '--kwargs={"c": null}').stdout == b'[1, "\\u00e9", null]\n'


def test_files(script, tmp_path):
    data = bytes(range(256)) * 1001
    (tmp_path / "data=1.bin").write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "one").write_bytes(b"\xff")
    text = "import os, hashlib\ndef main(): return {n: hashlib.sha256(open(n, 'rb').read()).hexdigest() for n in ('in/data', 'empty', 'two')}"
    done = run(script(text), "--file", f"in/data={tmp_path}/data=1.bin", "--file", f"{tmp_path}/empty", f"--file=two={tmp_path}/one")
    assert json.loads(done.stdout) == {"in/data": hashlib.sha256(data).hexdigest(), "empty": hashlib.sha256(b"").hexdigest(),
                                       "two": hashlib.sha256(b"\xff").hexdigest()}


def test_a_seed(script):
    path = script("import random\ndef main(): return random.randint(1, 1000)")
    assert run(path, "--seed", "7").stdout == b"332\n"


def test_conversion(script):
    path = script("import datetime\ndef main(): return datetime.date(2024, 2, 29)")
    assert run(path).returncode == 11
    assert run(path, "--convert").stdout == b'"2024-02-29"\n'


def test_a_script_with_a_mark_of_its_encoding(script):
    assert run(script(b"\xef\xbb\xbfdef main(): return '\xc3\xa9'")).stdout == b'"\\u00e9"\n'


@pytest.mark.parametrize("options, words", [
    (["--input", "{"], ["--input is not JSON"]),
    (["--input", '1, "script": "x"'], ["--input is not JSON"]),
    (["--args", "[1]}"], ["--args is not JSON"]),
    (["--args", "{}"], ["'args' must be an array"]),
    (["--kwargs", "[]"], ["'kwargs' must be an object"]),
    (["--input", "1", "--args", "[]"], ["one or the other"]),
    (["--seed", "-1"], ["'seed'"]),
    (["--seed", "x"], ["--seed"]),
    (["--file", "/no/such/file"], ["/no/such/file", "No such file"]),
    (["--file", "/"], ["/", "Is a directory"]),
    (["--file", "../x=/dev/null"], ["../x"]),
    (["--file", "a=/dev/zero"], ["/dev/zero", "--scratch-mb"]),
    (["--limit", "wall_ms=0"], ["--limit wall_ms", "1 to 3600000"]),
    (["--limit", "wall_ms=3600001"], ["--limit wall_ms", "1 to 3600000"]),
    (["--limit", "memory_mb=lots"], ["--limit memory_mb", "lots"]),
    (["--limit", "walls=1"], ["--limit", "walls", "wall_ms"]),
    (["--limit", "wall_ms"], ["--limit wall_ms"]),
    (["--wall-ms", "0"], ["--wall-ms"]),
    (["--nonsense"], ["--nonsense"]),
    (["-x"], ["-x"]),
    (["another.py"], ["another.py"]),
    (["--json=1"], ["--json", "no value"]),
    (["--input"], ["--input", "needs a value"]),
    (["--output", "/abs"], ["outputs"]),
    (["--require=rlimits"], ["--require"]),
])
def test_wrong_usage(script, options, words):
    done = run(script("def main(*a): open('/tmp/ran', 'w'); print('ran')"), *options)
    assert (done.returncode, done.stdout) == (2, b""), done
    assert done.stderr.startswith(b"python-executor: "), done
    for word in words:
        assert word in done.stderr.decode(), done.stderr


@pytest.mark.parametrize("text, options, words", [
    (b"# " + bytes(3000), ["--script-kb=2"], ["larger than 2 KiB", "--script-kb"]),
    (b"def main(): return '\xe9'", [], ["not UTF-8", "byte 20"]),
])
def test_a_wrong_script(script, text, options, words):
    done = run(script(text), *options)
    assert (done.returncode, done.stdout) == (2, b"") and all(word in done.stderr.decode() for word in words), done


def test_no_script():
    done = run(None, command=[PROGRAM, "run"])
    assert done.returncode == 2 and b"which script?" in done.stderr
    assert run("/no/such/script").returncode == 2


def test_help():
    for arguments in (["run", "--help"], ["run", "x.py", "-h"]):
        done = run(None, command=[PROGRAM, *arguments])
        assert done.returncode == 0 and done.stderr == b""
        text = done.stdout.decode()
        assert "usage: python-executor run FILE" in text
        for option in ("input", "args", "kwargs", "file", "limit", "seed", "convert", "output", "json"):
            assert re.search(rf"^  --{option} ", text, re.M), option
        for status in (0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 124, 125, 130, 141):
            assert re.search(rf"^ +{status}  ", text, re.M), status


# --- Limits -----------------------------------------------------------------------------------------


def test_limits_may_be_raised_beyond_what_a_service_allows(script):
    done = run(script("def main(): return len(bytearray(600 << 20))"), "--limit", "memory_mb=1000", "--limit=wall_ms=60000", "--json",
               environment={"PYTHON_EXECUTOR_MAX_WALL_MS": "5000", "PYTHON_EXECUTOR_MAX_MEMORY_MB": "256"})
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["result"] == 600 << 20
    assert (document["limits"]["wall_ms"], document["limits"]["memory_mb"]) == (60000, 1000)


def test_the_environment_counts_and_the_flag_wins(script):
    variables = {"PYTHON_EXECUTOR_WALL_MS": "300", "PYTHON_EXECUTOR_CPU_MS": "2000"}
    done = run(script(OK), "--json", "--cpu-ms=3000", environment=variables)
    limits = json.loads(done.stdout)["limits"]
    assert (limits["wall_ms"], limits["cpu_ms"]) == (300, 3000)
    assert run(script(OK), environment={"PYTHON_EXECUTOR_WALL_MS": "x"}).returncode == 2


# --- JSON -------------------------------------------------------------------------------------------


def test_one_document(script):
    text = "import sys\ndef main():\n    print('out'); print('err', file=sys.stderr); open('a.csv', 'w').write('1,2')\n    return 2**70"
    done = run(script(text), "--json", "--output", "*.csv", "--output=*.txt")
    assert done.returncode == 0 and done.stderr == b"" and done.stdout.endswith(b"}\n") and done.stdout.count(b"\n") == 1
    document = json.loads(done.stdout)
    assert document["result"] == 2**70 and document["outcome"] == "ok"
    assert (document["stdout"], document["stderr"]) == ("out\n", "err\n")
    assert document["outputs"] == [{"name": "a.csv", "size": 3, "media_type": "text/csv", "base64": base64.b64encode(b"1,2").decode()}]
    assert set(document) == {"result", "stdout", "stderr", "outputs", "stdout_truncated", "stderr_truncated", "outcome", "usage", "limits"}


def test_the_document_is_what_the_service_says(script, service):
    for text in (EXCEPTION, "def main():\n    print('x')\n    return [1.5, 'é']", "x = 1", "def main(): return {1}"):
        theirs = service.run(text, details=True).json
        mine = json.loads(run(script(text), "--json").stdout)
        for document in (theirs, mine):
            document.pop("usage"), document.pop("limits")
        assert mine == theirs


def test_a_document_of_a_failure_has_its_status(script):
    done = run(script("def main():\n    print('x', flush=True)\n    while True: pass"), "--json", "--wall-ms=300")
    assert done.returncode == 124 and done.stderr == b""
    document = json.loads(done.stdout)
    assert (document["error"], document["outcome"], document["stdout"]) == ("Execution failed", "timeout", "x\n")


def test_a_wrong_request_has_no_document(script):
    done = run(script(OK), "--json", "--input", "{")
    assert (done.returncode, done.stdout) == (2, b"") and b"--input" in done.stderr


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
    done = run(script(OK), "--preload=no_such_module_xyz")
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
