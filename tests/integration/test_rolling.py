"""Two instances behind nginx, with the configuration that is shipped, restarted in turn under load: no request fails.

ROLLING_REQUESTS says how many there are to be at least.
"""
import collections
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from service import ROOT, order, wait_until

REQUESTS = int(os.environ.get("ROLLING_REQUESTS", "3000"))
CLIENTS, RESTARTS = 16, 2
SHIPPED = os.path.join(ROOT, "packaging", "nginx", "python-executor.conf")
FRAME = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {shipped}
}}
"""


def nginx_program():
    """tools/packages brings it without installing it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    program = shutil.which("nginx") or os.path.join(cache, "python-executor", "nginx")
    assert os.access(program, os.X_OK), "there is no nginx: run tools/packages test"
    return program


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def replaced(text, before, after):
    assert text.count(before) == 1, f"{SHIPPED} has not one '{before}'"
    return text.replace(before, after)


class Nginx:
    def __init__(self, ports):
        self.folder = tempfile.TemporaryDirectory(prefix="python-executor-nginx-")
        self.port = free_port()
        with open(SHIPPED, encoding="ascii") as file:
            shipped = replaced(file.read(), "listen 8080;", f"listen 127.0.0.1:{self.port};")
        for before, port in zip((8081, 8082), ports):
            shipped = replaced(shipped, f"server 127.0.0.1:{before} ", f"server 127.0.0.1:{port} ")
        path = os.path.join(self.folder.name, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(FRAME.format(folder=self.folder.name, shipped=shipped))
        self.process = subprocess.Popen([nginx_program(), "-p", self.folder.name, "-c", path], stdin=subprocess.DEVNULL)
        assert wait_until(self.answers, 10), self.read("error.log")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def read(self, name):
        with open(os.path.join(self.folder.name, name), encoding="utf-8") as file:
            return file.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()


class Clients:
    """Each sends one request after the other, with a number of its own that must come back."""

    def __init__(self, port):
        self.port, self.answers, self.failures = port, collections.Counter(), []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.over.is_set():
            number += CLIENTS
            body = order(f"def main(): return {number}") if number % 5 else order(
                f"import time\ndef main():\n    time.sleep(0.05)\n    return {number}")
            try:
                connection.request("POST", "/execute", body)
                answer = connection.getresponse()
                text = answer.read()
                self.answers[answer.status] += 1
                if answer.status != 200 or json.loads(text)["result"] != number:
                    self.failures.append((answer.status, text))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                connection.close()
        connection.close()

    @property
    def count(self):
        return sum(self.answers.values())

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(40)
        assert not any(thread.is_alive() for thread in self.threads), "a request hangs"


@pytest.fixture
def nginx():
    running = []

    def begin(ports):
        running.append(Nginx(ports))
        return running[-1]

    yield begin
    for one in running:
        one.stop()


def test_instances_are_restarted_behind_a_balancer_and_no_request_fails(start, nginx):
    announce_ms = int(re.search(r"--announce-ms (\d+)", open(SHIPPED, encoding="ascii").read()).group(1))
    options = (f"--announce-ms={announce_ms}", "--preload=")
    instances = [start(*options) for _ in range(2)]
    ports = [one.port for one in instances]
    balancer = nginx(ports)
    clients = Clients(balancer.port)
    began = time.monotonic()
    for restart in range(2 * RESTARTS):
        # The restarts are spread over all the requests.
        assert wait_until(lambda: clients.count >= REQUESTS * (restart + 1) // (2 * RESTARTS + 1), 600, 0.1), clients.answers
        which = restart % 2
        instances[which].process.terminate()
        instances[which].process.wait(30)
        assert instances[which].process.returncode == 0, instances[which].log
        instances[which] = start(*options, port=ports[which])
    assert wait_until(lambda: clients.count >= REQUESTS, 600, 0.1)
    clients.stop()
    seconds = time.monotonic() - began
    print(f"\n{clients.count} requests in {seconds:.1f} s, {len(clients.failures)} failed; nginx went on to the next instance for "
          f"{balancer.read('error.log').count('Connection refused')}")
    others = [line for line in balancer.read("error.log").splitlines() if "Connection refused" not in line]
    assert not clients.failures, f"{len(clients.failures)}: {clients.failures[:3]}\n" + "\n".join(others[-20:])
    assert clients.answers == {200: clients.count}
    # It is a test only if requests met an instance that was gone, and both had some to answer.
    assert "Connection refused" in balancer.read("error.log")
