"""SIGHUP: a fresh zygote, with the packages as they are on disk now, takes over; one that cannot is in nobody's way."""
import http.client
import os
import signal
import subprocess
import sysconfig
import tempfile
import threading
import time

import pytest
from service import Background, needs_poverty, unsanitized, wait_until
from test_faults import answers_again

SLEEP = "import time\ndef main():\n    time.sleep({})\n    return 'slept'"
VERSION = "import changing\ndef main(): return changing.VERSION"


class Package:
    """A module of a virtual environment, that is installed anew as often as one likes."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "lib", f"python{sysconfig.get_python_version()}", "site-packages", "changing.py")
        self.folder, self.count = folder, 0
        self.install("VERSION = 1")

    def install(self, text):
        self.count += 1  # of another length each time: Python looks at that, and at the second of the change
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(text + "\n" + "#" * self.count)
        os.rename(self.path + ".new", self.path)


@pytest.fixture
def package():
    """Below /usr, where a container's would be: see src/sandbox/chroot.h."""
    with tempfile.TemporaryDirectory(prefix="python-executor-fresh-", dir="/usr/local" if os.geteuid() == 0 else None) as folder:
        os.chmod(folder, 0o755)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", "--without-pip", folder], check=True)
        yield Package(folder)


@pytest.fixture
def served(start, package):
    """A service that has the package preloaded."""
    def begin(*options, preload="changing"):
        one = start(f"--venv={package.folder}", f"--preload={preload}", *options)
        one.every_zygote()
        return one

    return begin


def renew(service):
    service.process.send_signal(signal.SIGHUP)


def taken_over(service):
    return service.log.count("a fresh zygote has taken over")


class Load:
    """Clients that ask for the package's version all the time, until one is answered wrongly."""

    def __init__(self, service, threads=4):
        self.service, self.versions, self.broken = service, [], []
        self.over = threading.Event()
        self.calls = [Background(self.work) for _ in range(threads)]

    def work(self):
        while not self.over.is_set() and not self.broken:
            try:
                self.versions.append(self.service.result(VERSION))
            except (OSError, AssertionError, http.client.HTTPException) as error:
                self.broken.append(error)

    def stop(self):
        self.over.set()
        for call in self.calls:
            call.get(40)
        assert not self.broken, (len(self.broken), len(self.versions), self.broken[:3])
        return self.versions


# --- Taking over ------------------------------------------------------------------------------------


@unsanitized
@pytest.mark.parametrize("preload", ["changing", "numpy,changing"])
def test_a_package_is_changed_under_load_and_no_request_fails(served, package, preload):
    one = served(preload=preload)
    load = Load(one)
    for version in (2, 3):
        package.install(f"VERSION = {version}")
        renew(one)
        assert wait_until(lambda: version in load.versions[-20:] or load.broken, 30), one.log
        assert wait_until(lambda: len(one.zygote_pids()) == 1, 10), one.zygote_pids()
    assert wait_until(lambda: set(load.versions[-20:]) == {3} or load.broken, 10)
    versions = load.stop()
    assert set(versions) == {1, 2, 3}
    assert taken_over(one) == 2 and "error" not in one.log


@unsanitized
def test_what_runs_is_finished_by_the_one_that_has_it(served, package):
    one = served("--wall-ms=20000")
    before = one.zygote_pid
    running = Background(one.run, SLEEP.format(8))
    one.wait_for_busy(1)
    package.install("VERSION = 2")
    renew(one)
    assert wait_until(lambda: taken_over(one) == 1, 20)
    assert one.result(VERSION) == 2
    # What is wanted now waits for the place of the one that has still something to do.
    package.install("VERSION = 3")
    renew(one)
    assert one.result(VERSION) == 2 and before in one.zygote_pids()
    assert running.get().result == "slept"
    assert wait_until(lambda: taken_over(one) == 2, 20)
    assert one.result(VERSION) == 3


@unsanitized
def test_asked_many_times_it_begins_no_crowd(served, package):
    one = served()
    package.install("VERSION = 2")
    most = 0
    for _ in range(50):
        renew(one)
        most = max(most, len(one.zygote_pids()))
        assert one.result(VERSION) in (1, 2)
    assert wait_until(lambda: one.result(VERSION) == 2, 20)
    assert most <= 2
    one.assert_well()


def test_asked_before_it_is_ready(program):
    process = subprocess.Popen([program, "--port=0", "--preload="], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    time.sleep(0.1)  # its signals are set up, and Python is still starting
    process.send_signal(signal.SIGHUP)
    assert any("ready in" in line for line in process.stdout)
    process.terminate()
    assert process.wait(10) == 0


@pytest.mark.parametrize("poor", [False, pytest.param(True, marks=needs_poverty)])
def test_layout_and_hash_seed_are_new(start, poor):
    one = start("--preload=", poor=poor)
    one.every_zygote()
    probe = "import sys\ndef main(): return [hash('x'), id(sys)]"
    before = one.result(probe)
    renew(one)
    assert wait_until(lambda: taken_over(one) == 1, 20)
    after = one.result(probe)
    assert before[0] != after[0] and before[1] != after[1]


# --- One that cannot --------------------------------------------------------------------------------


@unsanitized
def test_a_broken_package_is_in_nobodys_way_and_is_tried_again(served, package):
    one = served()
    before = one.zygote_pid
    load = Load(one, threads=2)
    package.install("raise RuntimeError('this package is broken')")
    renew(one)
    assert wait_until(lambda: "the one before serves on" in one.log, 20), one.log
    assert "this package is broken" in one.log and "error" in one.log
    assert before in one.zygote_pids() and one.result(VERSION) == 1 and taken_over(one) == 0
    package.install("VERSION = 2")  # nobody has to ask again
    assert wait_until(lambda: 2 in load.versions or load.broken, 30), one.log
    assert set(load.stop()) == {1, 2}


@unsanitized
def test_an_import_that_hangs_is_bounded(served, package):
    one = served("--import-s=2")
    before = one.zygote_pid
    package.install("import time; time.sleep(3600)")
    renew(one)
    assert wait_until(lambda: "not everything was imported within 2 s" in one.log, 20), one.log
    assert wait_until(lambda: one.zygote_pids() == [before], 10)
    assert one.result(VERSION) == 1 and taken_over(one) == 0


@unsanitized
def test_an_import_that_hangs_at_the_start_ends_it(package, program):
    package.install("import time; time.sleep(3600)")
    done = subprocess.run([program, "--port=0", f"--venv={package.folder}", "--preload=changing", "--import-s=2"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 1
    assert "not everything was imported within 2 s, see --import-s" in done.stdout


@unsanitized
def test_the_server_dies_while_something_is_imported(start, package):
    """The tree that it had goes at once, not when it is through, or has been silent for too long."""
    package.install("import time; time.sleep(3600)")
    one = start(f"--venv={package.folder}", "--preload=changing", "--stall-s=600")
    before = one.zygote_pid
    os.kill(one.server_pid, signal.SIGKILL)
    assert wait_until(lambda: one.zygote_pid not in (None, before), 10) and answers_again(one), one.log


@unsanitized
def test_one_that_dies_while_it_imports(served, package):
    one = served()
    before = one.zygote_pid
    package.install("import time; time.sleep(3600)")
    renew(one)
    assert wait_until(lambda: len(one.zygote_pids()) == 2, 10)
    os.kill(max(pid for pid in one.zygote_pids() if pid != before), signal.SIGKILL)
    assert wait_until(lambda: "the one before serves on" in one.log, 10)
    assert one.result(VERSION) == 1 and before in one.zygote_pids()


@unsanitized
def test_the_one_before_dies_while_the_next_imports(served, package):
    """Then the next serves what it can as soon as it can."""
    one = served()
    before = one.zygote_pid
    package.install("import time; time.sleep(2); VERSION = 2")
    renew(one)
    assert wait_until(lambda: len(one.zygote_pids()) == 2, 10)
    os.kill(before, signal.SIGKILL)
    # One that is sent before the server has heard of the death is lost with it.
    assert wait_until(lambda: one.run("def main(): return 1").status == 200, 10, 0.1)
    assert one.result(VERSION) == 2
    assert len(one.zygote_pids()) == 1
