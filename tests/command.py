"""The command `python-executor run` as its users start it, and what it must not leave behind."""
import contextlib
import os
import signal
import subprocess

from service import PROGRAM, all_pids, read_proc, state_of, status_field, wait_until

BASE = 3_400_000_000 + os.getpid() % 20_000 * 10_000  # user ids of this process's runs, see Tag
FAST = "--preload="
OK = "def main(): return 1"
BUSY = "def main():\n    open('/tmp/left', 'w').write('x'); print('up')\n    while True: pass"


# A shell's background job ignores it, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
    """A --uid-base of its own, by which all processes of a run are known, its workers too."""

    count = 0

    def __init__(self):
        Tag.count += 1
        self.base = BASE + Tag.count * 1000
        self.option = f"--uid-base={self.base}"

    def processes(self):
        """Those of the run that has the option: by their ids, which are claimed below the base, or by its name."""
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
