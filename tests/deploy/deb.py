#!/usr/bin/python3
"""Builds the Debian package for each release and lives with it, on a machine of that release that has been started:
deb.py BUILD [RELEASE ...]. Needs root. The last line is `N passed, N failed`."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback

import roots
from machine import Machine

HIGHER = "0.1.0+test1"
CONFIG = "/etc/python-executor/python-executor.conf"

PANDAS = """
import pandas
def main():
    print("sum")
    return int(pandas.DataFrame({"a": [1, 2, 39]})["a"].sum())
"""

# Runs where only the network is the machine's. Prints how many answers were what they should be, and what else came.
LOAD = """
import collections, http.client, json, sys, threading, time
until, counts, lock = time.monotonic() + float(sys.argv[1]), collections.Counter(), threading.Lock()
body = json.dumps({"script": "def main(): return 42"})
def work():
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
        try:
            connection.request("POST", "/execute", body, {"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            word = str(answer.status)
        except Exception as error:
            word = repr(error)
        connection.close()
        with lock:
            counts[word] += 1
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(counts))
"""

ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
connection.request(sys.argv[1], sys.argv[2], sys.argv[3] or None)
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


class Counts:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, function):
        """True where it held. What it returns is shown."""
        begin = time.monotonic()
        try:
            said = function()
        except Exception as error:  # one that fails is not the end of the others
            self.failed += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAILED {name}: {str(error) or place.line}", flush=True)
            return False
        self.passed += 1
        print(f"ok     {name} ({time.monotonic() - begin:.1f} s){': ' + said if said else ''}", flush=True)
        return True


class Package:
    """The package in two versions, and what is done with it."""

    def __init__(self, folder, release):
        self.folder, self.release = os.path.join(folder, release), release
        self.builder = roots.build_root(os.path.join(folder, "roots"), release)
        self.machine = None

    # --- Built ---

    def copy_tree(self):
        """Once: two versions differ in their number and nothing else."""
        tree = os.path.join(self.builder, "tree")
        shutil.rmtree(tree, ignore_errors=True)
        os.makedirs(tree)
        # What make itself copies of the tree, without its build folders.
        subprocess.run(f"tar -C '{roots.TOP}' --exclude=./build --exclude='./build-*' --exclude=./.git -cf - . | tar -C '{tree}' -xf -",
                       shell=True, check=True)

    def build(self, version):
        tree = os.path.join(self.builder, "tree")
        roots.inside(self.builder, "/tree/tools/deb", "/tree/build/deb", *([version] if version else []))
        os.makedirs(self.folder, exist_ok=True)
        for path in glob.glob(f"{tree}/build/deb/*.deb"):
            shutil.copy(path, self.folder)
        return os.path.basename(self.path(version))

    def path(self, version=None):
        return next(path for path in glob.glob(f"{self.folder}/python-executor_*.deb") if ("+test" in path) == bool(version))

    def lintian(self):
        said = roots.inside(self.builder, "sh", "-c", "lintian --allow-root --fail-on none /tree/build/deb/*.changes")
        assert not said.strip(), said

    # --- Installed ---

    def prepare(self):
        """A system with the packages' own needs downloaded, since the machine has no network."""
        root = roots.copy(roots.system_root(os.path.join(os.path.dirname(self.folder), "roots"), self.release),
                          os.path.join(self.folder, "machine"))
        cache = os.path.join(self.folder, "archives")
        os.makedirs(cache, exist_ok=True)
        archives = os.path.join(root, "var/cache/apt/archives")
        for path in glob.glob(f"{cache}/*.deb"):
            shutil.copy(path, archives)
        for path in (self.path(), self.path(HIGHER)):
            shutil.copy(path, os.path.join(root, "opt"))
        roots.inside(root, "apt-get", "update", "-q")
        roots.inside(root, "apt-get", "install", "-q", "-y", "--no-install-recommends", "--download-only", self.inner())
        for path in glob.glob(f"{archives}/*.deb"):
            shutil.copy(path, cache)
        self.machine = Machine(root)

    def inner(self, version=None):
        return "/opt/" + os.path.basename(self.path(version))

    def apt(self, *arguments):
        # Whoever asks a question gets no answer, and fails.
        return self.machine.run("apt-get", "-q", "-y", "--no-install-recommends", *arguments)

    def install(self):
        self.apt("install", self.inner())

    def show(self, name, unit="python-executor.service"):
        return self.machine.out("systemctl", "show", "--value", "-p", name, unit)

    def is_active(self):
        state = self.machine.run("systemctl", "is-active", "python-executor.service", check=False).stdout.strip()
        assert state == "active", self.machine.run("systemctl", "status", "python-executor.service", check=False).stdout

    def is_enabled(self):
        assert self.machine.out("systemctl", "is-enabled", "python-executor.service") == "enabled"
        assert self.machine.run("systemctl", "is-enabled", "python-executor.socket", check=False).stdout.strip() == "disabled"

    def runs_as_its_user(self):
        status = self.machine.out("cat", f"/proc/{self.show('MainPID')}/status")
        uid = self.machine.out("id", "-u", "python-executor")
        assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.M), status
        assert re.search(r"^CapBnd:\t0+$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M), status
        shell = self.machine.out("getent", "passwd", "python-executor").split(":")[-1]
        assert shell in ("/usr/sbin/nologin", "/sbin/nologin"), shell
        return f"user id {uid}, no capability"

    # --- Used ---

    def in_its_network(self, script, *arguments):
        return ["nsenter", f"--target={self.machine.init}", "--net", sys.executable, "-c", script, *map(str, arguments)]

    def ask(self, method, path, body=""):
        said = subprocess.run(self.in_its_network(ASK, method, path, body), stdout=subprocess.PIPE, text=True, check=True).stdout
        status, _, text = said.partition(" ")
        return int(status), text.strip()

    def answers(self):
        status, text = self.ask("POST", "/execute", json.dumps({"script": PANDAS}))
        assert (status, json.loads(text)) == (200, {"result": 42, "stdout": "sum\n"}), (status, text)

    def layers(self):
        """All that there are but for one that another stands in for. The control groups of version 2 have the controllers
        that this machine has given to that version, and it may have given none; with them there is no cgroup namespace."""
        status, text = self.ask("GET", "/isolation")
        states = {layer["name"]: layer["status"] for layer in json.loads(text)["layers"]}
        lacking = {name for name, state in states.items() if state not in ("on", "active")}
        assert status == 200 and lacking in ({"chroot", "cgroup"}, {"chroot", "cgroup-namespace"}), text
        return f"{len(states) - len(lacking)} of {len(states)}, without {', '.join(sorted(lacking))}"

    def tells_systemd(self):
        text = self.show("StatusText")
        assert text == "Serving on http://127.0.0.1:8080", text
        return text

    def reloads(self):
        pid = self.show("MainPID")
        self.machine.run("systemctl", "reload", "python-executor.service")
        for _ in range(600):
            if "a fresh zygote has taken over" in self.journal():
                break
            time.sleep(0.1)
        assert self.show("MainPID") == pid and "a fresh zygote has taken over" in self.journal()
        self.answers()

    def journal(self):
        return self.machine.run("journalctl", "-q", "--no-pager", "-u", "python-executor.service").stdout

    def is_restarted_when_it_dies(self):
        pid = self.show("MainPID")
        self.machine.run("sh", "-c", f"kill -KILL {pid}")
        for _ in range(600):
            if self.show("ActiveState") == "active" and self.show("MainPID") not in (pid, "0"):
                break
            time.sleep(0.1)
        self.is_active()
        assert self.show("NRestarts") == "1"
        self.answers()

    def score(self):
        said = self.machine.out("systemd-analyze", "security", "--no-pager", "python-executor.service")
        number = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said).group(1))
        assert number <= 2.6, said
        return f"exposure {number}"

    def verifies(self):
        result = self.machine.run("systemd-analyze", "verify", "python-executor.service", "python-executor.socket", check=False)
        # So small a system has no man to look for the page with.
        ours = [line for line in (result.stdout + result.stderr).splitlines() if "python-executor" in line and "Command 'man " not in line]
        assert not ours, ours

    # --- Upgraded, by way of the socket ---

    def socket_takes_over(self):
        self.machine.run("systemctl", "stop", "python-executor.service")
        self.machine.run("systemctl", "enable", "--now", "python-executor.socket")
        assert self.show("ActiveState") == "inactive"
        self.answers()  # which starts it
        self.is_active()

    def under_load(self, seconds, *actions):
        load = subprocess.Popen(self.in_its_network(LOAD, seconds), stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        for action in actions:
            action()
        counts = json.loads(load.communicate(timeout=seconds + 120)[0])
        assert set(counts) == {"200"}, counts
        return f"{counts['200']} answered, 0 failed"

    def restarts_under_load(self):
        restart = lambda: self.machine.run("systemctl", "restart", "python-executor.service")  # noqa: E731
        return self.under_load(15, restart, restart)

    def upgrades(self):
        config = os.path.join(self.machine.root, CONFIG[1:])
        with open(config, "a", encoding="utf-8") as file:
            file.write("# of the operator\n")
        pid = self.show("MainPID")
        said = self.under_load(15, lambda: self.apt("install", self.inner(HIGHER)))
        assert self.machine.out("dpkg-query", "-W", "-f", "${Version}", "python-executor") == HIGHER
        assert open(config, encoding="utf-8").read().endswith("# of the operator\n")
        assert self.show("MainPID") not in (pid, "0"), "it was not restarted"
        self.answers()
        return said

    # --- Gone ---

    def leftovers(self):
        """Whatever has its name, but for apt's and systemd's own records of it."""
        said = self.machine.out("find", "/etc", "/usr", "/var", "/lib", "/run", "/opt", "/root", "/tmp", "/home", "/srv", "-xdev", "-name",
                                "*python-executor*")
        return [path for path in said.splitlines() if not path.endswith(".deb")]

    def removes(self):
        self.apt("remove", "python-executor")
        state = self.machine.run("systemctl", "is-active", "python-executor.service", "python-executor.socket", check=False).stdout
        assert set(state.split()) <= {"inactive", "unknown"}, state
        assert not re.search("python-executor", self.machine.run("sh", "-c", "cat /proc/[0-9]*/comm").stdout)
        assert self.machine.out("cat", CONFIG).endswith("# of the operator")

    def purges(self):
        self.apt("purge", "python-executor")
        assert not self.leftovers(), self.leftovers()
        assert self.machine.run("getent", "passwd", "python-executor", check=False).returncode != 0
        assert self.machine.run("getent", "group", "python-executor", check=False).returncode != 0

    def installs_again(self):
        self.install()
        self.is_active()
        self.answers()


def live_with(folder, release, counts):
    print(f"--- {release}", flush=True)
    package = Package(folder, release)
    package.copy_tree()
    if not all([counts.check("builds", lambda: package.build(None)), counts.check("builds a higher version", lambda: package.build(HIGHER))]):
        return
    counts.check("lintian finds nothing", package.lintian)
    if not counts.check("a fresh system starts", package.prepare):
        return
    with package.machine:
        if not counts.check("installs", package.install):
            return
        for name in ("is_active", "is_enabled", "runs_as_its_user", "answers", "layers", "tells_systemd", "verifies", "score",
                     "reloads", "is_restarted_when_it_dies", "socket_takes_over", "restarts_under_load", "upgrades", "removes",
                     "purges", "installs_again"):
            counts.check(name.replace("_", " "), getattr(package, name))
        if counts.failed:
            print(package.journal()[-6000:])
    shutil.rmtree(package.machine.root, ignore_errors=True)


def main():
    build, *releases = sys.argv[1:]
    counts = Counts()
    for release in releases or roots.RELEASES:
        try:
            live_with(os.path.abspath(os.path.join(build, "deb")), release, counts)
        except Exception:  # a root that cannot be made is a failure of that release
            traceback.print_exc()
            counts.failed += 1
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main())
