"""A Debian root that has been started: systemd is its process 1, packages are installed and services run in it as on a
machine of its own. See boot.sh for what it is kept from."""
import os
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def cgroup_mount():
    """Where the hierarchy of version 2 is."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, where, kind, *_ = line.split()
            if kind == "cgroup2":
                return where
    raise RuntimeError("this machine has no control groups of version 2, without which systemd does not start")


def own_cgroup():
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        return next(line.rstrip("\n").split("::")[1] for line in file if line.startswith("0::"))


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def make_cgroup():
    """A folder for one root that is started; see boot.sh."""
    path = tempfile.mkdtemp(prefix=f"machine-{os.getpid()}-", dir=cgroup_mount() + own_cgroup())
    os.chmod(path, 0o755)
    return path


def remove_cgroup(path):
    """Once all processes in it have ended."""
    for _ in range(50):
        for folder, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                pass
        if not os.path.exists(path):
            return
        time.sleep(0.1)


class Machine:
    def __init__(self, root):
        self.root = root
        self.cgroup = make_cgroup()
        self.process = subprocess.Popen([os.path.join(HERE, "boot.sh"), root, self.cgroup], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.init = None
        self.wait_for_start()

    def wait_for_start(self):
        for _ in range(300):
            if self.process.poll() is not None:
                raise RuntimeError(f"it did not start: {self.process.stderr.read()}")
            found = children_of(self.process.pid)
            if found and os.path.basename(os.readlink(f"/proc/{found[0]}/exe")) == "systemd":
                self.init = found[0]
                if self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"):
                    return
            time.sleep(0.1)
        raise RuntimeError("systemd does not get ready")

    def command(self, *arguments):
        """What runs the given command inside, with all that it sees there."""
        return ["nsenter", f"--target={self.init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root",
                "--wdns=/", *map(str, arguments)]

    def run(self, *arguments, check=True, timeout=300, **keys):
        result = subprocess.run(self.command(*arguments), env=ENVIRONMENT, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False, **keys)
        if check and result.returncode:
            raise RuntimeError(f"{' '.join(map(str, arguments))}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def out(self, *arguments):
        return self.run(*arguments).stdout.strip()

    def start(self, *arguments):
        """In the background."""
        return subprocess.Popen(self.command(*arguments), env=ENVIRONMENT, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def stop(self):
        """Its process 1 ends, and with it all others."""
        self.process.kill()
        self.process.wait()
        remove_cgroup(self.cgroup)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
