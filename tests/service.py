"""Starts the program as its users do, talks to it over HTTP, and knows its processes.

Every instance gets a range of user ids of its own (--uid-base). That tells its processes from those of
any other instance on the machine, even when their parent is dead.
"""
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, "build")
PROGRAM = os.path.join(BUILD, "python-executor")

# Stands for what an operator has in the environment and no script may ever see.
SECRET_NAME, SECRET = "DATABASE_PASSWORD", "marker-5c1f0e77-do-not-leak"

# AddressSanitizer answers mlock itself, ends a process that reads beyond an object, as some attacks do, and
# keeps freed memory: what tests of these see is then the sanitizer, not the service.
with open(PROGRAM + "-zygote", "rb") as _file:
    SANITIZED = b"__asan_init" in _file.read()
unsanitized = pytest.mark.skipif(SANITIZED, reason="AddressSanitizer stands in for what is tested")

IDS_PER_SERVICE = 3000  # the server's and 2 x 4 x 256 workers', see --uid-base
TIMEOUT = 30


class Response:
    """One answer. `body` is what came over the wire; the rest reads it."""

    def __init__(self, answer, seconds):
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.body = answer.read()
        self.seconds = seconds

    @property
    def json(self):
        def refuse(word):
            raise ValueError(f"{word} is not JSON")

        return json.loads(self.body.decode("utf-8"), parse_constant=refuse)

    @property
    def result(self):
        assert self.status == 200, self
        return self.json["result"]

    @property
    def stdout(self):
        return self.json["stdout"]

    @property
    def error(self):
        return self.json["error"]

    @property
    def outcome(self):
        return self.headers.get("execution-outcome")

    def __repr__(self):
        return f"<{self.status} {self.outcome} {self.body[:400]!r}>"


def ask(port, method, path, body=None, headers=None, timeout=TIMEOUT):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    begin = time.monotonic()
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer, time.monotonic() - begin)
    finally:
        connection.close()


def order(script, **keys):
    """The body of a POST /execute."""
    return json.dumps({"script": script, **keys}).encode()


# --- Processes --------------------------------------------------------------------------------------


def read_proc(pid, name):
    """A file of /proc/PID as bytes; empty where the process has just ended."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def status_field(pid, name):
    found = re.search(rb"^" + name.encode() + rb":[ \t]*(.*)$", read_proc(pid, "status"), re.M)
    return found.group(1).decode() if found else ""


def state_of(pid):
    """The letter of /proc/PID/stat; empty where there is no such process."""
    text = read_proc(pid, "stat")
    return text[text.rindex(b")") + 2 :][:1].decode() if b")" in text else ""


def is_zygote(pid):
    """Of those that are forks of another; see become() in src/zygote/main.c."""
    stat = read_proc(pid, "stat")
    if b")" not in stat:
        return False
    name, parent = read_proc(pid, "comm"), int(stat[stat.rindex(b")") + 2 :].split()[1])
    # A worker has its zygote's name until it gives itself its own.
    return name.startswith(b"zygote-") and name != read_proc(parent, "comm")


def children_by_parent():
    """{pid: pids of its children} of the whole machine."""
    family = {}
    for pid in all_pids():
        stat = read_proc(pid, "stat")
        if b")" in stat:
            family.setdefault(int(stat[stat.rindex(b")") + 2 :].split()[1]), []).append(pid)
    return family


def descriptor_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kb(pid):
    return int(status_field(pid, "VmRSS").split()[0])


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def wait_until(condition, seconds=10, step=0.02):
    """The first true value of condition(), or its last false one when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


def is_readable_by_all(path):
    """Whether an ordinary user gets to a file."""
    while path != "/":
        if not os.stat(path).st_mode & (0o004 if os.path.isfile(path) else 0o001):
            return False
        path = os.path.dirname(path)
    return True


needs_poverty = pytest.mark.skipif(
    os.geteuid() != 0 or not is_readable_by_all(os.path.abspath(PROGRAM)) or not os.path.exists("/proc/sys/user/max_user_namespaces"),
    reason="needs root, a build folder that others may read, and the sysctl user.max_user_namespaces",
)


def poorly(uid, *arguments):
    """A command that runs the given one as an ordinary user on a platform that grants no namespaces."""
    return [sys.executable, os.path.join(ROOT, "tests", "launch_poorly.py"), str(uid), *map(str, arguments)]


def inheriting(sockets, *arguments):
    """A command that runs the given one with these sockets handed over; they must be passed on to it."""
    numbers = ",".join(str(one.fileno()) for one in sockets)
    return [sys.executable, os.path.join(ROOT, "tests", "launch_inheriting.py"), numbers, *map(str, arguments)]


# --- The service ------------------------------------------------------------------------------------


class Service:
    """A running instance with the given options. `poor`: as an ordinary user, whose id is uid_base, on a platform
    that grants no namespaces. `behind`: a command that runs the rest of its arguments elsewhere. `sockets`: handed over
    to it, as a service manager does. `stderr`: a descriptor that the log goes to, in place of a file."""

    count = 0

    @classmethod
    def next_uid_base(cls):
        cls.count += 1
        # Some 500 are started in one run, and the first of them lives to its end: its ids must not come round again.
        assert cls.count < 1_333
        return 100_000_000 + os.getpid() % 800 * 4_000_000 + cls.count * IDS_PER_SERVICE

    def __init__(self, *options, environment=None, uid_base=None, port=0, program=PROGRAM, poor=False, behind=(), sockets=(), stderr=None):
        self.uid_base = uid_base or Service.next_uid_base()
        self.folder = tempfile.TemporaryDirectory(prefix="python-executor-test-")
        self.out_path = os.path.join(self.folder.name, "stdout")
        self.log_path = os.path.join(self.folder.name, "stderr")
        self.tag = f"--uid-base={self.uid_base}"
        # The log is text, as on a terminal, but where a test wants something else: see test_logs.py.
        arguments = [program, f"--port={port}", self.tag, "--log-format=text", *map(str, options)]
        if poor:
            arguments = poorly(self.uid_base, *arguments)
        if sockets:
            arguments = inheriting(sockets, *arguments)
        arguments = [*behind, *arguments]
        with open(self.out_path, "wb") as out, open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                arguments, cwd=self.folder.name, stdin=subprocess.DEVNULL, stdout=out, stderr=log if stderr is None else stderr,
                pass_fds=[one.fileno() for one in sockets],
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), SECRET_NAME: SECRET, **(environment or {})},
            )
        self.port = self.wait_for_port()

    def wait_for_port(self):
        """Text says it in a line, JSON in a line's message."""
        pattern = re.compile(r'(?:^|"message":")ready in [0-9.]+ s, listening on http://127\.0\.0\.1:([0-9]+)(?:"|$)', re.M)
        wait_until(lambda: pattern.search(self.out) or self.process.poll() is not None, 30)
        found, said = pattern.search(self.out), self.out + self.log
        if found is None:
            self.kill()
        assert found, f"it did not get ready:\n{said}"
        return int(found.group(1))

    @property
    def out(self):
        with open(self.out_path, encoding="utf-8") as file:
            return file.read()

    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    # --- Requests ---

    def ask(self, method, path, body=None, headers=None, timeout=TIMEOUT):
        return ask(self.port, method, path, body, headers, timeout)

    def post(self, body, headers=None, timeout=TIMEOUT):
        return self.ask("POST", "/execute", body, headers, timeout)

    def run(self, script, timeout=TIMEOUT, **keys):
        return self.post(order(script, **keys), {"Content-Type": "application/json"}, timeout)

    def result(self, script):
        return self.run(script).result

    def assert_well(self):
        """The next ordinary request gets its ordinary answer."""
        answer = self.run("def main():\n    print('well')\n    return 6 * 7")
        assert answer.status == 200 and answer.body == b'{"result": 42, "stdout": "well\\n"}', answer
        assert answer.seconds < 5, answer.seconds

    # --- Processes ---

    def is_ours(self, pid):
        if self.tag.encode() in read_proc(pid, "cmdline").split(b"\0"):
            return True
        # Whoever rewrites its arguments still has its user id.
        uid = status_field(pid, "Uid").split()
        return bool(uid) and self.uid_base <= int(uid[0]) < self.uid_base + IDS_PER_SERVICE

    def processes(self):
        """Every process of this instance, zombies apart."""
        return [pid for pid in all_pids() if self.is_ours(pid) and state_of(pid) not in ("", "Z", "X")]

    def children(self, parent, name, family=None):
        return [pid for pid in (family or children_by_parent()).get(parent, [])
                if read_proc(pid, "cmdline").split(b"\0")[0] == name.encode() and state_of(pid) != "Z"]

    @property
    def manager_pid(self):
        return self.process.pid

    @property
    def server_pid(self):
        found = self.children(self.manager_pid, "python-executor-server")
        return found[0] if found else None

    def zygote_pids(self, family=None):
        return self.children(self.manager_pid, "python-executor-zygote", family)

    @property
    def zygote_pid(self):
        found = self.zygote_pids()
        return found[0] if found else None

    def flavour_pids(self, above=None, family=None):
        """The zygotes that are forks of one another, for more that is imported; not the first of each tree."""
        family = family or children_by_parent()
        above = self.zygote_pids(family) if above is None else above
        found = [pid for zygote in above for pid in self.children(zygote, "python-executor-zygote", family) if is_zygote(pid)]
        return found + self.flavour_pids(found, family) if found else []

    def every_zygote(self):
        """Once all of them are there."""
        assert wait_until(lambda: "all that is preloaded is there" in self.log, 30), self.log
        return self.zygote_pids() + self.flavour_pids()

    def wait_for_ready(self):
        """What a balancer waits for, and the line in the log does not."""
        assert wait_until(lambda: self.ask("GET", "/readyz").status == 200, 30), self.log

    def worker_pids(self):
        family = children_by_parent()  # once: a look at all processes takes its time
        zygotes = self.zygote_pids(family) + self.flavour_pids(family=family)
        return [pid for zygote in zygotes for pid in self.children(zygote, "python-executor-zygote", family) if pid not in zygotes]

    def ready_pids(self):
        """The workers once none of them is still being made: those that were looked at, since another may be
        forked right after."""
        seen = []

        def all_are_ready():
            seen[:] = self.worker_pids()
            return seen and all(status_field(pid, "Seccomp") == "2" for pid in seen)

        assert wait_until(all_are_ready, 5)
        return seen

    def busy_pids(self):
        """Workers that have a job: their standard output is a pipe, an idle one's is /dev/null."""
        busy = []
        for pid in self.worker_pids():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/1").startswith("pipe:"):
                    busy.append(pid)
        return busy

    def wait_for_busy(self, count):
        assert wait_until(lambda: len(self.busy_pids()) == count), (count, self.busy_pids())

    # --- The end ---

    def assert_gone(self, seconds=1.0):
        gone = wait_until(lambda: not self.processes(), seconds)
        assert gone, f"left running: {self.processes()}"

    def stop(self, sign=signal.SIGTERM):
        """Ends it as an operator would, and checks that this leaves nothing."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(sign)
                self.process.wait(20)
            assert self.process.returncode == 0, (self.process.returncode, self.log)
            self.assert_gone()
        finally:
            self.kill()

    def kill(self):
        """Ends it by force; for tests that are over."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(AssertionError):
            self.assert_gone(2)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.folder.cleanup()


# --- Many at once -----------------------------------------------------------------------------------


class Background:
    """A call in a thread of its own; its result, or what it raised, is had from get()."""

    def __init__(self, function, *arguments, **keys):
        self.value = self.error = None
        self.thread = threading.Thread(target=self.work, args=(function, arguments, keys), daemon=True)
        self.thread.start()

    def work(self, function, arguments, keys):
        try:
            self.value = function(*arguments, **keys)
        except Exception as error:  # shown by get()
            self.error = error

    @property
    def running(self):
        return self.thread.is_alive()

    def get(self, timeout=60):
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "it hangs"
        if self.error is not None:
            raise self.error
        return self.value


def together(*calls):
    """Runs all calls at once and returns their results in order."""
    running = [Background(call) for call in calls]
    return [one.get() for one in running]
