"""A service of which one system call can be made to fail: see inject.c, which does it."""
import os
import platform
import select
import socket
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from service import BUILD, Service, wait_until  # noqa: E402

INJECT = os.path.join(BUILD, "tests", "faults", "inject")
needs_injector = pytest.mark.skipif(platform.machine() != "x86_64", reason="the injector knows the registers of x86-64")


class Injector:
    """Gives orders to one `inject`, which is started as `behind` of a service."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="inject-", dir="/tmp")
        path = os.path.join(self.folder.name, "orders")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.behind = [INJECT, path]
        self.peer = None
        self.lines = []
        self.text = b""
        self.hits = []

    def accept(self):
        self.listener.settimeout(20)
        self.peer, _ = self.listener.accept()

    def read(self, seconds):
        """What it says within this time, hits put aside."""
        ready, _, _ = select.select([self.peer], [], [], seconds)
        if not ready:
            return False
        data = self.peer.recv(65536)
        self.text += data
        *lines, self.text = self.text.split(b"\n")
        for line in map(bytes.decode, lines):
            (self.hits if line.startswith("hit ") else self.lines).append(line)
        return bool(data)

    def order(self, line):
        """The lines of the answer; none where the service, and so the injector, is gone."""
        try:
            self.peer.sendall(line.encode() + b"\n")
            while "ok" not in self.lines:
                if not self.read(20):
                    return []
        except OSError:
            return []
        answer, self.lines = self.lines[:self.lines.index("ok")], self.lines[self.lines.index("ok") + 1:]
        return answer

    def arm(self, role, call, action, nth=1, times=1):
        self.hits.clear()
        self.order(f"arm {role} {call} {action} {nth} {times}")

    def disarm(self):
        self.order("disarm")

    def census(self):
        """{(role, call): count} since the last time."""
        return {(role, call): int(count) for role, call, count in (line.split() for line in self.order("census"))}

    def was_hit(self, seconds=0.0):
        while not self.hits and self.read(seconds):
            pass
        return bool(self.hits)

    def begin(self, *orders):
        """In a thread: the service waits for it before it begins."""
        def work():
            self.accept()
            for line in orders:
                self.order(line)
            self.order("go")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def close(self):
        if self.peer:
            self.peer.close()
        self.listener.close()
        self.folder.cleanup()


class Injected(Service):
    """A service behind an injector. `fault`: a case that is armed from its first call on; `orders`: given before that."""

    def __init__(self, *options, fault=None, orders=(), **keys):
        self.injector = Injector()
        armed = [] if fault is None else [f"arm {fault.role} {fault.call} {fault.action} {fault.nth} {fault.times}"]
        thread = self.injector.begin(*orders, *armed)
        try:
            # AddressSanitizer looks for leaks by tracing, and what is traced already it cannot trace.
            super().__init__(*options, behind=self.injector.behind, environment={"ASAN_OPTIONS": "detect_leaks=0"}, **keys)
        finally:
            thread.join(20)

    def kill(self):
        super().kill()
        self.injector.close()
