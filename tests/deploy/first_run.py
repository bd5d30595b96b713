#!/usr/bin/python3
"""Does what the README says to begin with, on a fresh Debian of each release, as root and as an ordinary user who may use sudo,
from a clone of the last commit: first_run.py BUILD [RELEASE ...]. Needs root and a network. What goes wrong is tried first.
Prints the commands and seconds from the clone to the first result; the last line is `N passed, N failed`."""
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

import roots
from deb import Counts
from machine import HERE, make_cgroup, remove_cgroup

sys.path.insert(0, os.path.join(roots.TOP, "tests"))
import document  # noqa: E402

HOME = "/home/newcomer"
READY = "Ctrl-C ends it."
PACKAGES = "cd python-executor && tools/packages run"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Session:
    """Commands for a shell in a root, on a terminal or with standard input from nowhere; with its last process all others end."""

    def __init__(self, root, user, script, terminal=True):
        self.cgroup, self.text, self.begin = make_cgroup(), "", time.monotonic()
        command = [os.path.join(HERE, "boot.sh"), root, self.cgroup, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm",
                   "runuser", "-u", user, "--", "sh", "-c", f"export HOME=~{user}; cd {HOME}; {script}"]
        if not terminal:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                            start_new_session=True)
            self.fd = self.process.stdout.fileno()
            return
        self.fd, inner = pty.openpty()
        self.process = subprocess.Popen(["setsid", "--ctty", "--wait", *command], stdin=inner, stdout=inner, stderr=inner)
        os.close(inner)

    def read(self, until=None, seconds=1200):
        """Until the text has that, or the session has ended; the seconds since its start."""
        end = time.monotonic() + seconds
        while until is None or not re.search(until, self.text, re.M):
            if time.monotonic() > end:
                raise AssertionError(f"nothing more after {seconds} s: {self.text[-2000:]}")
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the other end of the terminal is closed
                data = b""
            if not data:
                if until is not None:
                    raise AssertionError(f"ended without {until}: {self.text[-2000:]}")
                break
            self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return time.monotonic() - self.begin

    def interrupt(self):
        os.write(self.fd, b"\x03")

    def end(self):
        """What it has written."""
        self.read()
        self.process.wait()
        remove_cgroup(self.cgroup)
        return self.text

    def shown(self):
        """What stays on the screen: of each line what came behind the last return."""
        return [line.rsplit("\r\033[K", 1)[-1] for line in self.text.split("\n")]


class Newcomer:
    def __init__(self, folder, release, user):
        self.release, self.user = release, user
        fresh = roots.newcomer_root(os.path.join(folder, "roots"), release)
        self.root = roots.copy(fresh, os.path.join(folder, f"{release}-{user}"))
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(f"/etc/{name}", f"{self.root}/etc/{name}")
        roots.inside(self.root, "useradd", "--create-home", "newcomer")
        self.sudoers = f"{self.root}/etc/sudoers.d/newcomer"
        self.commands, self.seconds = ["git clone", "cd python-executor", "make run", "curl"], 0.0

    def may_use_sudo(self, line):
        with open(self.sudoers, "w", encoding="ascii") as file:
            file.write(line + "\n")

    def session(self, script, user=None, **keys):
        return Session(self.root, user or self.user, script, **keys)

    def clone(self):
        begin = time.monotonic()
        tree = f"{self.root}{HOME}/python-executor"
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", roots.TOP, tree], check=True)
        roots.inside(self.root, "chown", "-R", f"{self.user}:", f"{HOME}/python-executor")
        self.seconds = time.monotonic() - begin
        return f"{self.seconds:.1f} s"

    # --- What goes wrong ---

    def refused(self, script, *words, **keys):
        """Ends with a status that says so, and these words, and not many others."""
        session = self.session(f"{script}; echo status $?", **keys)
        text = session.end()
        assert re.search(r"^status [12]$", text, re.M), text
        for word in words:
            assert word in text, text
        assert len(text.split("\n")) < 40, text
        return text.strip().split("\n")[-2][:100]

    def no_sudo_rights(self):
        return self.refused(PACKAGES, "sudo does not let you install", "apt-get install --no-install-recommends gcc", terminal=False)

    def no_network(self):
        return self.refused(f"unshare --net sh -c '{PACKAGES}'", "apt-get could not install", "is there a network", user="root")

    def full_disk(self):
        script = f"mount -t tmpfs -o size=1m none /var/cache/apt/archives && {PACKAGES}"
        return self.refused(script, "The disk is full", "build/packages.log", user="root")

    def other_system(self):
        script = "printf 'PRETTY_NAME=\"Plan 9\"\\n' >/tmp/o && mount --bind /tmp/o /etc/os-release && unshare --net sh -c"
        return self.refused(f"{script} '{PACKAGES}'", "This is Plan 9", "Debian 12 and 13", user="root")

    def clean(self):
        shutil.rmtree(f"{self.root}{HOME}/python-executor/build", ignore_errors=True)

    def interrupted(self, where):
        """A Ctrl-C there is the end, and no obstacle to the next try."""
        session = self.session("cd python-executor && make run; echo status $?")
        session.read(where)
        session.interrupt()
        text = session.end()
        assert READY not in text, text[-2000:]
        return session.shown()[-2][:60] if len(session.shown()) > 1 else ""

    # --- What goes well ---

    def first_result(self):
        self.port = free_port()
        # Those that have ended and that nobody waits for, as process 1 of a system would, are none.
        after = ("echo status $?; for p in /proc/[0-9]*; do grep -q '^State:.Z' $p/status || cat $p/comm; done;"
                 " ls -A /tmp /var/tmp /dev/shm; echo over")
        self.running = self.session(f"cd python-executor && trap : INT && PORT={self.port} make run; {after}")
        self.seconds += self.running.read(READY)
        line = re.search(r"^Try +(curl .*)$", self.running.text, re.M).group(1)
        begin = time.monotonic()
        answer = subprocess.run(["sh", "-c", line.replace("curl ", "curl -s ")], stdout=subprocess.PIPE, check=True).stdout
        self.seconds += time.monotonic() - begin
        assert json.loads(answer) == {"result": 42, "stdout": ""}, answer
        shown = len([line for line in self.running.shown() if line])
        return f"{len(self.commands)} commands, {self.seconds:.0f} s from the clone on, {shown} lines on the screen"

    def how_long(self):
        return "; ".join(line for line in self.running.shown() if re.search(": done in |to download|on disk|ready in", line))

    def readme(self):
        """The first session in it, which is typed into a shell while `make run` serves."""
        first = next(block for block in document.blocks_of("README.md") if block.language == "console")
        document.run_block(first, self.root, self.port, {})
        return f"{len(document.session_of(first))} commands"

    def page(self):
        done = subprocess.run(["curl", "-sSf", f"http://127.0.0.1:{self.port}/"], stdout=subprocess.PIPE, check=True)
        assert b"<!doctype html" in done.stdout.lower()

    def port_in_use(self):
        session = self.session(f"cd python-executor && PORT={self.port} make run; echo status $?")
        text = session.end()
        assert f"{self.port} is in use" in text and "PORT" in text and "status 2" in text, text
        return text.splitlines()[-3][:120]

    def interrupt_leaves_nothing(self):
        self.running.interrupt()
        text = self.running.end()
        left = text.split("stopping: ")[-1].split("\n")
        processes = left[left.index(next(line for line in left if line.startswith("status"))) + 1 : left.index("/dev/shm:")]
        assert sorted(set(processes) - {""}) == sorted({"runuser", "sh", "cat"} & set(processes)), text[-600:]
        listing = text[text.rindex("/dev/shm:") :]
        assert re.fullmatch(r"/dev/shm:\n\n/tmp:\n\n/var/tmp:\nover\n", listing), listing

    def second_time(self):
        session = self.session(f"cd python-executor && PORT={self.port} make run")
        seconds = session.read("listening on")
        session.read(READY)
        session.interrupt()
        session.end()
        # Without npm the build asks each time whether it is there now, which takes no time.
        before = [line for line in session.shown() if re.search("installing|building|configuring", line) and "done in 0 s" not in line]
        assert not before, before
        return f"{seconds:.1f} s to `listening on`"


def live(counts, folder, release, user):
    print(f"--- {release}, as {user} ---", flush=True)
    one = Newcomer(folder, release, user)
    if not counts.check("clone", one.clone):
        return
    if user == "newcomer":
        counts.check("without the right to use sudo, and no terminal", one.no_sudo_rights)
        one.may_use_sudo("newcomer ALL=(ALL) ALL")
        counts.check("sudo wants a password, and no terminal", one.no_sudo_rights)
        one.may_use_sudo("newcomer ALL=(ALL) NOPASSWD: ALL")
    else:
        counts.check("no network", one.no_network)
        counts.check("another system", one.other_system)
        counts.check("a full disk", one.full_disk)
        counts.check("Ctrl-C while it downloads", lambda: one.interrupted(r"on disk(.|\n)*downloading: [2-9]"))
        counts.check("Ctrl-C while it installs", lambda: one.interrupted("installing: [2-9]"))
        counts.check("Ctrl-C while it builds", lambda: one.interrupted("building build: [2-9]"))
    one.clean()
    if counts.check("make run, and the line that it ends with", one.first_result):
        counts.check("in it", one.how_long)
        counts.check("the examples of the README", one.readme)
        counts.check("the page", one.page)
        counts.check("make run beside it", one.port_in_use)
        counts.check("Ctrl-C leaves nothing", one.interrupt_leaves_nothing)
        counts.check("make run again", one.second_time)
    shutil.rmtree(one.root, ignore_errors=True)


def main():
    build, *releases = sys.argv[1:]
    if os.geteuid() != 0:
        sys.exit("first_run.py makes roots and mounts, which takes root")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, counts = os.path.join(os.path.abspath(build), "first-run"), Counts()
    os.makedirs(folder, exist_ok=True)
    for release in releases or roots.RELEASES:
        for user in ("newcomer", "root"):
            live(counts, folder, release, user)
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
