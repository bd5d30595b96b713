"""GET /healthz and GET /readyz, and the command that asks for them where there is no other HTTP client."""
import http.client
import os
import signal
import socket
import subprocess
import sysconfig
import tempfile
import threading

import pytest
from exposition import scrape
from service import PROGRAM, Background, read_proc, wait_until

SLEEP = "import time\ndef main(): time.sleep({})"


def connect(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.connect()
    return connection


def read(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def ask(*arguments, **environment):
    return subprocess.run([PROGRAM, "health", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20,
                          env={"PATH": "/usr/bin:/bin", **environment})


def test_a_service_that_runs(service):
    service.wait_for_ready()
    assert service.ask("GET", "/healthz").body == b'{"status": "ok"}'
    assert service.ask("GET", "/readyz").body == b'{"status": "ready"}'


@pytest.fixture
def venv():
    """With modules that take their time, until there is a file, and one that cannot be imported."""
    with tempfile.TemporaryDirectory(prefix="python-executor-venv-", dir="/usr/local" if os.geteuid() == 0 else None) as folder:
        os.chmod(folder, 0o755)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", "--without-pip", folder], check=True)
        packages = os.path.join(folder, "lib", f"python{sysconfig.get_python_version()}", "site-packages")
        for name, text in (("slow", f"import os, time\nwhile not os.path.exists('{packages}/go'): time.sleep(0.01)\n"),
                           ("broken", "import slow\nraise ValueError('broken')\n")):
            with open(f"{packages}/{name}.py", "w", encoding="ascii") as file:
                file.write(text)
        yield folder, f"{packages}/go"


def test_while_it_imports(start, venv):
    """Scripts are run before all that is preloaded is there, but a balancer waits."""
    folder, go = venv
    one = start("--preload=slow", f"--venv={folder}")
    assert one.result("def main(): return 1") == 1
    answer = one.ask("GET", "/readyz")
    assert answer.status == 503 and answer.json == {"error": "Not all that is preloaded is there yet."}
    assert one.ask("GET", "/healthz").status == 200
    with open(go, "wb"):
        one.wait_for_ready()
    # Later on it is no reason to send everybody elsewhere: what needs the import waits.
    os.remove(go)
    os.kill(one.zygote_pid, signal.SIGKILL)

    def is_back_without_it():
        metrics = scrape(one)
        return (metrics.value("python_executor_zygote_starts_total", reason="restart") == 1 and
                metrics.value("python_executor_flavour_ready", flavour="slow") == 0)

    assert wait_until(is_back_without_it)
    assert one.ask("GET", "/readyz").status == 200
    waiting = Background(one.run, "import slow\ndef main(): return 2")
    with open(go, "wb"):
        assert waiting.get().result == 2


def test_what_cannot_be_imported_is_never_ready(start, venv):
    """Or a new version that is broken would take the place of one that is not."""
    folder, go = venv
    one = start("--preload=broken", f"--venv={folder}")
    for _ in range(5):
        assert one.ask("GET", "/readyz").status == 503
    with open(go, "wb"):
        assert one.process.wait(20) == 1
    assert "importing --preload modules: broken" in one.log


def test_busy_is_not_unready(start):
    """What waits is what the queue is for; a balancer that took it away would only move the crowd."""
    one = start("--workers=1", "--queue=1", "--preload=")
    running = Background(one.run, SLEEP.format(4))
    one.wait_for_busy(1)
    waiting = Background(one.run, "def main(): return 1")
    assert wait_until(lambda: b"python_executor_queue_depth 1\n" in one.ask("GET", "/metrics").body)
    assert one.run("def main(): return 1").status == 503
    assert one.ask("GET", "/readyz").status == 200
    assert running.get().status == waiting.get().status == 200


def test_while_there_is_no_zygote(start):
    one = start("--preload=")
    os.kill(one.manager_pid, signal.SIGSTOP)  # or it would start another
    try:
        os.kill(one.zygote_pid, signal.SIGKILL)
        assert wait_until(lambda: one.ask("GET", "/readyz").status == 503)
        answer = one.ask("GET", "/readyz")
        assert answer.json == {"error": "No worker is ready yet."} and answer.headers["retry-after"] == "1"
        assert one.ask("GET", "/healthz").status == 200
        refused = ask(f"--port={one.port}")
        assert refused.returncode == 1 and refused.stdout == b""
        assert refused.stderr == b'python-executor: health: /readyz answers 503: {"error": "No worker is ready yet."}\n'
        assert ask(f"--port={one.port}", "--live").returncode == 0
    finally:
        os.kill(one.manager_pid, signal.SIGCONT)
    assert wait_until(lambda: one.ask("GET", "/readyz").status == 200)
    one.assert_well()


def test_while_it_drains(start):
    """Asked over connections that stand: whether new ones are taken is another question."""
    one = start("--preload=", "--drain-ms=20000")
    one.wait_for_ready()
    ready, alive, numbers = [connect(one) for _ in range(3)]
    for connection in (ready, alive, numbers):
        assert read(connection, "/readyz")[0] == 200
    running = Background(one.run, SLEEP.format(4))
    one.wait_for_busy(1)
    one.process.send_signal(signal.SIGTERM)
    assert wait_until(lambda: is_unready(one))
    status, headers, body = read(ready, "/readyz")
    assert (status, headers["Retry-After"], body) == (503, "1", b'{"error": "Shutting down."}')
    assert read(alive, "/healthz")[0] == 200
    text = read(numbers, "/metrics")[2].decode()
    assert "\npython_executor_ready 0\n" in text and "\npython_executor_draining 1\n" in text
    assert running.get().status == 200
    assert one.process.wait(20) == 0


def is_unready(service):
    """To whoever comes anew, be it that nobody listens any more."""
    try:
        return service.ask("GET", "/readyz").status == 503
    except OSError:
        return True


# --- The command ------------------------------------------------------------------------------------


def test_it_finds_the_service(service):
    service.wait_for_ready()
    for answer in (ask(f"--port={service.port}"), ask("--port", str(service.port), "--host=0.0.0.0"),
                   ask(PORT=str(service.port)), ask(f"http://127.0.0.1:{service.port}"), ask(f"http://localhost:{service.port}/")):
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, b'{"status": "ready"}\n', b"")
    for answer in (ask("--live", f"--port={service.port}"), ask(f"http://127.0.0.1:{service.port}", "--live"),
                   ask(f"http://127.0.0.1:{service.port}/healthz")):
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, b'{"status": "ok"}\n', b"")


def test_nobody_is_there():
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        answer = ask(f"--port={taken.getsockname()[1]}")
    assert answer.returncode == 1 and b"Connection refused" in answer.stderr and answer.stdout == b""


@pytest.mark.parametrize("arguments", [["8080"], ["localhost:8080"], ["https://localhost"], ["--dead"], ["--port=x"], ["http://a", "http://b"]])
def test_wrong_usage(arguments):
    answer = ask(*arguments)
    assert answer.returncode == 2 and answer.stderr and answer.stdout == b""


def answering(data, closes=True):
    """The port of somebody who says this to whoever comes first, and the event that lets it end."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def work():
        with listener, listener.accept()[0] as client:
            client.recv(65536)
            client.sendall(data)
            if not closes:
                over.wait(20)

    threading.Thread(target=work, daemon=True).start()
    return listener.getsockname()[1], over


@pytest.mark.parametrize("data, status", [
    (b"HTTP/1.1 200 OK\r\n\r\n{}", 0), (b"HTTP/1.0 200\r\n\r\n", 0), (b"HTTP/1.1 204 No Content\r\n\r\n", 1), (b"HTTP/1.1 503 x\r\n\r\n", 1),
    (b"", 1), (b"200", 1), (b"HTTP/1.1 2000 OK\r\n\r\n", 1), (b"HTTP/2 200\r\n\r\n", 1), (b"SSH-2.0-OpenSSH\r\n", 1), (b"\0" * 100000, 1),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000, 0),
])
def test_what_it_believes(data, status):
    port, _ = answering(data)
    assert ask(f"http://127.0.0.1:{port}").returncode == status


def test_what_is_said_does_not_reach_the_terminal_as_it_is():
    port, _ = answering(b"HTTP/1.1 500 x\r\n\r\n\x1b[2Jgone\n")
    answer = ask(f"http://127.0.0.1:{port}")
    assert answer.returncode == 1 and answer.stderr.endswith(b"answers 500: ?[2Jgone?\n")


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 "])
def test_whoever_does_not_answer_is_not_waited_for(data):
    port, over = answering(data, closes=False)
    answer = ask(f"http://127.0.0.1:{port}")
    over.set()
    assert answer.returncode == 1 and b"timed out" in answer.stderr


def test_it_leaves_the_service_alone(service):
    """It is a process of its own, and none of the service's: asking starts no worker and ends none."""
    service.wait_for_ready()
    before = {pid: read_proc(pid, "stat").split()[21] for pid in service.ready_pids()}
    for _ in range(20):
        assert ask(f"--port={service.port}").returncode == 0
    assert {pid: read_proc(pid, "stat").split()[21] for pid in before} == before
