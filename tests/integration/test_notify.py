"""What a service manager is told, by the protocol of sd_notify(3), and when."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from service import PROGRAM, Background, wait_until


class Manager:
    """Stands where systemd does."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(0.05)
        self.heard = []

    def listen(self):
        try:
            while True:
                self.heard.append(self.socket.recv(4096).decode())
        except TimeoutError:
            pass
        return self.heard

    def hears(self, pattern, seconds=30, after=0):
        """The first message that has a line like that."""

        def look():
            return next((text for text in self.listen()[after:] if re.search(pattern, text, re.M)), None)

        return wait_until(look, seconds)


@pytest.fixture(params=["path", "abstract"])
def manager(request):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "notify")
        one = Manager(path if request.param == "path" else f"\0px-test-notify-{os.getpid()}")
        one.name = path if request.param == "path" else f"@px-test-notify-{os.getpid()}"
        yield one
        one.socket.close()


def test_a_life(start, manager):
    one = start(environment={"NOTIFY_SOCKET": manager.name})
    ready = manager.hears("^READY=1$")
    assert f"STATUS=Serving on http://127.0.0.1:{one.port}" in ready.split("\n")
    one.every_zygote()

    count = len(manager.listen())
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    one.process.send_signal(signal.SIGHUP)
    reloading = manager.hears("^RELOADING=1$", after=count)
    at = int(re.search(r"^MONOTONIC_USEC=(\d+)$", reloading, re.M).group(1))
    assert before <= at <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.hears("^READY=1$", after=count)
    assert "a fresh zygote has taken over" in one.log  # before it says that it has
    one.assert_well()

    running = Background(one.run, "import time\ndef main():\n    time.sleep(1)\n    return 1")
    one.wait_for_busy(1)
    one.process.terminate()
    stopping = manager.hears("^STOPPING=1$")
    assert re.search(r"^EXTEND_TIMEOUT_USEC=10000000$", stopping, re.M), stopping
    assert running.get().result == 1
    one.stop()
    assert sum("READY=1" in text for text in manager.listen()) == 2, manager.heard


def test_signs_of_life_come_as_often_as_wanted(start, manager):
    start(environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "400000"})
    assert manager.hears("^READY=1$")
    count = len(manager.listen())
    assert wait_until(lambda: manager.listen()[count:].count("WATCHDOG=1") >= 3, 10), manager.heard


def test_none_where_none_are_wanted(start, manager):
    one = start(environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"})
    one.every_zygote()
    time.sleep(0.6)
    assert "WATCHDOG=1" not in manager.listen()


def test_why_it_cannot_serve(manager):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run([PROGRAM, f"--port={port}"], env={"NOTIFY_SOCKET": manager.name}, capture_output=True, timeout=20)
    assert result.returncode == 1
    assert f"STATUS=Cannot serve: {port} is in use" in manager.hears("^STATUS=")
    assert not any("READY" in text for text in manager.listen())


def test_what_cannot_be_imported_is_never_ready(manager):
    """Though plain scripts were served for a moment."""
    result = subprocess.run([PROGRAM, "--port=0", "--preload=numpy,no_such_module_57", "--log-format=text"],
                            env={"NOTIFY_SOCKET": manager.name}, capture_output=True, timeout=60)
    assert result.returncode == 1, result
    assert manager.hears("^STATUS=Cannot serve: .*no_such_module_57")
    assert not any("READY" in text for text in manager.listen()), manager.heard


def test_nobody_else_hears_of_the_socket(start, manager):
    one = start(environment={"NOTIFY_SOCKET": manager.name})
    for pid in [one.server_pid, one.zygote_pid]:
        with open(f"/proc/{pid}/environ", "rb") as file:
            assert b"NOTIFY_SOCKET" not in file.read()


def test_a_service_manager_that_is_gone_hurts_nobody(start, manager):
    manager.socket.close()
    one = start(environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "100000"})
    time.sleep(0.3)
    one.process.send_signal(signal.SIGHUP)
    one.assert_well()
