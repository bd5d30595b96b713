"""What is measured side by side: this service and the usual ones. Each is a process tree with a port of 127.0.0.1."""
import os
import re
import shutil
import signal
import subprocess
import threading

import clients
import processes
from scripts import EACH_FLAVOUR, SCRIPTS

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
UIDS = 3000  # more than one service has, see --uid-base


class Peer:
    """`name` is a word for tables; `at_once` requests run at a time at most."""

    at_once = 2 * os.cpu_count()
    trials = [SCRIPTS["pandas"]]

    def __init__(self, name, command, port_pattern):
        self.name = name
        # Ctrl-C is ours alone: we end them, in the order in which that is quiet.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, start_new_session=True, preexec_fn=processes.end_with_us)
        self.said = []
        self.drain = threading.Thread(target=self.hear, daemon=True)
        self.drain.start()
        for line in self.process.stdout:
            if found := re.search(port_pattern, line):
                self.port = int(found.group(1))
                return
        self.close()
        raise RuntimeError(f"{name} did not start: {''.join(self.said)[-500:]}")

    @property
    def pid(self):
        return self.process.pid

    def hear(self):
        for line in self.process.stderr:
            self.said = self.said[-50:] + [line]

    def calm(self):
        """Waits until it has nothing to do. Returns its CPU time so far in ms."""
        return processes.wait_for_calm(self.pid)

    def check(self):
        """That it gives right answers at all."""
        for script in self.trials:
            _, wrong = clients.paced(self.port, script.request(), 1, 0)
            if wrong:
                raise RuntimeError(f"{self.name} gives a wrong answer: {(self.said or ['it says nothing'])[-1].strip()}")
        return self

    def end(self):
        os.killpg(self.pid, signal.SIGTERM)

    def close(self):
        self.end()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.drain.join(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Service(Peer):
    """This project's, of a build folder, with options of its own."""

    count = 0
    trials = EACH_FLAVOUR

    def __init__(self, build, *options, name="this"):
        Service.count += 1
        base = 300_000_000 + os.getpid() % 40_000 * 20 * UIDS + Service.count % 20 * UIDS
        command = [os.path.join(build, "python-executor"), "--port=0", f"--uid-base={base}", "--log=warning", *options]
        super().__init__(name, ["env", "PYTHON_EXECUTOR_LOG_FORMAT=text", *command], r"listening on http://127\.0\.0\.1:(\d+)")

    def end(self):
        self.process.terminate()

    def pids(self, name):
        return [pid for pid in processes.tree(self.pid) if processes.command(pid) == name]

    def server(self):
        return self.pids("python-executor-server")[0]

    def crews(self):
        """The idle workers of each flavour: [(pid of the zygote, [pids])], the plain one first."""
        found = processes.tree(self.pid)
        parents = {pid: int(stat[1]) for pid, stat in found.items()
                   if processes.command(pid) == "python-executor-zygote"}
        names = {pid: processes.read(pid, "comm").strip() for pid in found}

        def is_zygote(pid):
            """One that was forked just now has its parent's name until it gives itself one."""
            return parents[pid] == self.pid or (names[pid].startswith("zygote-") and names[pid] != names[parents[pid]])

        zygotes = sorted(filter(is_zygote, parents), key=lambda pid: (parents[pid] != self.pid, names[pid]))
        return [(zygote, [pid for pid in parents if parents[pid] == zygote and pid not in zygotes]) for zygote in zygotes]


def commands():
    """{name: command that runs the runner, isolated in this way}; only what is installed."""
    runner = os.path.join(HERE, "runner.py")
    found = {"spawn": [PYTHON, runner]}
    if shutil.which("bwrap"):
        found["bubblewrap"] = [
            "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--setenv", "HOME", "/tmp",
            "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
            "--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--proc", "/proc", "--dev", "/dev",
            "--tmpfs", "/tmp", "--ro-bind", runner, "/tmp/runner.py", "--chdir", "/tmp", PYTHON, "/tmp/runner.py"]
    if shutil.which("nsjail"):
        found["nsjail"] = ["nsjail", "--mode", "o", "--really_quiet", "--time_limit", "30", "--rlimit_as", "hard", "--env", "HOME=/tmp",
                           "--bindmount_ro", "/usr", "--bindmount_ro", "/lib", "--bindmount_ro", "/lib64",
                           "--bindmount_ro", "/etc/alternatives", "--tmpfsmount", "/tmp",
                           "--bindmount_ro", f"{runner}:/runner.py", "--", PYTHON, "/runner.py"]
    if shutil.which("runsc"):
        found["gvisor"] = ["runsc", "--network=none", "--ignore-cgroups", "do", PYTHON, runner]
    return found


def spawners(stack, wanted=None):
    """Starts those that work here, each on the stack. Returns them, and {name: why not} of the others."""
    front = os.path.join(HERE, "front.py")
    working, refused = [], {name: "not installed" for name in ("bubblewrap", "nsjail", "gvisor")}
    for name, command in commands().items():
        refused.pop(name, None)
        if wanted is not None and name not in wanted:
            continue
        try:
            peer = stack.enter_context(Peer(name, [PYTHON, front, *command], r"^(\d+)$"))
            working.append(peer.check())
        except (RuntimeError, OSError) as error:
            refused[name] = str(error)
    return working, refused
