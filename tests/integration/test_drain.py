"""Draining: those who are connected when SIGTERM comes, or connect just then, lose no request."""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from service import Background, order, wait_until

SLEEP = "import time\ndef main():\n    time.sleep({})\n    return 'slept'"
ONE = order("def main(): return 1")


def finish(service, seconds=20):
    service.process.wait(seconds)
    assert service.process.returncode == 0, service.log
    service.assert_gone()


class Kept:
    """A connection that is kept open between its requests."""

    def __init__(self, service):
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
        self.connection.connect()
        self.socket = self.connection.sock.dup()  # its own is closed with an answer that is the last

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body)
        answer = self.connection.getresponse()
        return answer.status, answer.headers.get("Connection", ""), answer.read()


# --- Announcing -------------------------------------------------------------------------------------


def test_while_it_announces_its_end_everybody_is_served(start):
    one = start("--announce-ms=3000")
    one.wait_for_ready()
    kept = Kept(one)
    assert kept.ask("GET", "/readyz")[0] == 200
    one.process.terminate()
    assert wait_until(lambda: one.ask("GET", "/readyz").status == 503)
    assert one.ask("GET", "/healthz").status == 200
    assert one.result("def main(): return 1") == 1
    assert one.process.poll() is None
    # An answer is the last on its connection: so a balancer's connections go away without a race.
    assert kept.ask("POST", "/execute", ONE) == (200, "close", b'{"result": 1, "stdout": ""}')
    assert kept.socket.recv(1) == b""
    finish(one)
    assert "no more connections in 3000 ms" in one.log


def test_a_zygote_that_dies_while_announcing_is_replaced(start):
    one = start("--announce-ms=60000", "--preload=")
    one.wait_for_ready()
    before = one.zygote_pid
    one.process.terminate()
    assert wait_until(lambda: one.ask("GET", "/readyz").status == 503)
    os.kill(before, signal.SIGKILL)
    assert wait_until(lambda: one.zygote_pid not in (None, before))
    assert one.result("def main(): return 1") == 1
    one.process.terminate()
    finish(one)


def test_the_second_signal_ends_the_announcement(start):
    one = start("--announce-ms=60000")
    one.wait_for_ready()  # before that /readyz says 503 too, and two signals may come as one (signal(7))
    one.process.send_signal(signal.SIGINT)
    assert wait_until(lambda: one.ask("GET", "/readyz").status == 503)
    one.process.send_signal(signal.SIGINT)
    finish(one)


# --- The door ---------------------------------------------------------------------------------------


def test_whoever_has_connected_is_served_though_the_server_has_not_seen_it(start):
    """Connections that wait in the kernel, with their requests in them, when the signal comes."""
    one = start("--workers=2", "--drain-ms=60000")
    server = one.server_pid
    os.kill(server, signal.SIGSTOP)
    waiting = [socket.create_connection(("127.0.0.1", one.port), timeout=10) for _ in range(40)]
    for connection in waiting:
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(ONE), ONE))
    one.process.terminate()
    assert wait_until(lambda: "stopping" in one.log)
    os.kill(server, signal.SIGCONT)
    for connection in waiting:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 200 and json.loads(answer.read())["result"] == 1
        assert answer.headers["Connection"] == "close"
    finish(one)


def test_who_waits_beyond_the_limit_of_connections_is_served_as_well(start):
    one = start("--connections=4", "--workers=8", "--preload=", "--drain-ms=60000")
    kept = []
    for count in range(1, 6):  # one beyond, for whom nobody had to go
        kept.append(Background(Kept(one).ask, "POST", "/execute", order("import time\ndef main():\n    time.sleep(2)\n    return 1")))
        one.wait_for_busy(count)
    waiting = [Background(one.run, "def main(): return 1") for _ in range(6)]
    time.sleep(0.3)
    one.process.terminate()
    assert wait_until(lambda: "stopping" in one.log)
    for call in kept:  # each makes room by its last answer
        assert call.get()[:2] == (200, "close")
    assert [call.get().result for call in waiting] == [1] * 6
    finish(one)


def test_whoever_has_connected_may_take_a_moment(start):
    """A balancer that waits for a processor between connect() and its request."""
    one = start("--preload=", "--drain-ms=60000")
    one.wait_for_ready()
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as connection:
        time.sleep(0.1)  # the server has it
        one.process.terminate()
        assert wait_until(lambda: "stopping" in one.log)
        time.sleep(0.3)
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(ONE), ONE))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 200 and json.loads(answer.read())["result"] == 1
    finish(one)


def test_a_house_full_of_idle_connections_does_not_hold_the_end(start):
    one = start("--connections=4")
    kept = [Kept(one) for _ in range(4)]
    for connection in kept:
        assert connection.ask("GET", "/healthz")[0] == 200
    one.process.terminate()
    finish(one)
    assert "grace" not in one.log


@pytest.mark.parametrize("kept_open", [False, True])
def test_no_request_is_lost_by_the_end_under_load(start, kept_open):
    """Every client that got a connection gets its answers on it, until one says that it is the last."""
    one = start("--workers=4", "--crew=16", "--preload=")
    lost, answers = [], []

    def work():
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", one.port), timeout=10)
            except (ConnectionRefusedError, ConnectionResetError):
                return
            with connection:
                last = False
                while not last:
                    try:
                        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s"
                                           % (b"" if kept_open else b"Connection: close\r\n", len(ONE), ONE))
                        answer = http.client.HTTPResponse(connection)
                        answer.begin()
                        answers.append((answer.status, answer.read()))
                        last = answer.headers.get("Connection", "").lower() == "close"
                    except (OSError, http.client.HTTPException) as error:
                        lost.append(error)
                        last = True

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    one.process.terminate()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    finish(one)
    assert not lost, (len(lost), len(answers), lost[:3])
    assert len(answers) > 50 and set(answers) == {(200, b'{"result": 1, "stdout": ""}')}


# --- The grace --------------------------------------------------------------------------------------


def test_what_cannot_finish_is_told_so(start):
    """Both are answered: what runs as lost, and what waits as something that was never begun."""
    one = start("--workers=1", "--drain-ms=600", "--wall-ms=30000")
    running = Background(one.run, SLEEP.format(20))
    one.wait_for_busy(1)
    waiting = Background(one.run, "def main(): return 1")
    time.sleep(0.2)
    one.process.terminate()
    answer = running.get()
    assert (answer.status, answer.outcome, answer.error) == (500, "lost", "Execution failed")
    answer = waiting.get()
    assert (answer.status, answer.error) == (503, "Shutting down.") and int(answer.headers["retry-after"]) >= 1
    finish(one)
    assert "2 runs were ended by the end of the grace period" in one.log


def test_a_stream_is_told_so_as_well(start):
    one = start("--drain-ms=500", "--wall-ms=30000")

    def stream():
        return one.post(order(SLEEP.format(20)), {"Accept": "text/event-stream"})

    running = Background(stream)
    one.wait_for_busy(1)
    one.process.terminate()
    answer = running.get()
    assert answer.status == 200 and b'"outcome": "lost"' in answer.body
    finish(one)


def test_a_client_that_does_not_read_does_not_hold_the_end(start):
    one = start("--drain-ms=500")
    script = order("def main(): return 'x' * 6000000")
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(script), script))
        assert connection.recv(1) == b"H"
        one.process.terminate()
        finish(one)
        assert "1 requests were cut off" in one.log


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_all_of_them_is_one_to_the_service(start, sign):
    """As from systemd's KillMode=control-group, or pkill; workers apart."""
    one = start("--preload=")
    one.every_zygote()
    running = Background(one.run, SLEEP.format(1.5))
    one.wait_for_busy(1)
    everybody = [one.server_pid, *one.zygote_pids(), one.manager_pid]
    for pid in everybody:
        os.kill(pid, sign)
    assert running.get().result == "slept"
    if sign == signal.SIGHUP:
        assert wait_until(lambda: "a fresh zygote has taken over" in one.log, 10)
        one.assert_well()
        one.process.terminate()
    finish(one)


def test_a_terminal_that_goes_away_ends_it(program):
    """Its hangup is no order to begin anew, though it is the same signal."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", program, "--port=0", "--preload=", "--log-format=text"], stdin=theirs,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    os.close(theirs)
    assert any("ready in" in line for line in process.stdout)
    os.close(ours)
    process.wait(15)
    assert "stopping" in process.stdout.read()


# --- The port ---------------------------------------------------------------------------------------


def test_the_port_is_taken_at_once_by_the_next(start):
    one = start("--preload=")
    for _ in range(3):
        one.assert_well()
        one.process.terminate()
        one.process.wait(10)
        one = start("--preload=", port=one.port)
