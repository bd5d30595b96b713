"""SIGTERM and SIGINT: what runs is answered, nothing new begins, nothing stays."""
import http.client
import signal
import socket
import subprocess
import time

import pytest
from service import Background, wait_until

SLEEP = "import time\ndef main():\n    time.sleep({})\n    return 'slept'"


def refuses(service):
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        return False
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it was in the backlog just then
        return True


def finish(service, seconds=20):
    service.process.wait(seconds)
    assert service.process.returncode == 0, service.log
    service.assert_gone()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_ends_at_once(start, sign):
    one = start("--drain-ms=60000")
    one.process.send_signal(sign)
    finish(one)


def test_what_runs_is_answered_and_nothing_new_is_taken(start):
    one = start("--workers=3", "--drain-ms=60000")
    calls = [Background(one.run, SLEEP.format(1.5)) for _ in range(3)]
    one.wait_for_busy(3)
    one.process.terminate()
    assert wait_until(lambda: refuses(one), 1)
    answers = [call.get() for call in calls]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert all(answer.headers.get("connection", "").lower() == "close" for answer in answers)
    finish(one)


def test_what_waits_is_answered_as_well(start):
    one = start("--workers=1")
    running = Background(one.run, SLEEP.format(0.8))
    one.wait_for_busy(1)
    waiting = [Background(one.run, "def main(): return 1") for _ in range(5)]
    time.sleep(0.3)
    one.process.terminate()
    assert running.get().status == 200
    assert {call.get().status for call in waiting} <= {200, 503}
    finish(one)


def test_a_kept_connection_is_served_and_closed_while_draining(start):
    one = start("--workers=2", "--drain-ms=60000")
    kept = http.client.HTTPConnection("127.0.0.1", one.port, timeout=10)
    kept.request("GET", "/execute")
    kept.getresponse().read()
    running = Background(one.run, SLEEP.format(2))
    one.wait_for_busy(1)
    one.process.terminate()
    assert wait_until(lambda: refuses(one), 1)
    kept.request("POST", "/execute", b'{"script": "def main(): return 1"}')
    answer = kept.getresponse()
    assert answer.read() == b'{"result": 1, "stdout": ""}'
    assert answer.status == 200 and answer.headers["Connection"] == "close"
    assert running.get().status == 200
    finish(one)


def test_an_idle_connection_does_not_hold_the_end(start):
    one = start("--drain-ms=60000")
    idle = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(5)]
    idle[0].sendall(b"POST /execute HTTP/1.1\r\nHo")
    time.sleep(0.2)
    one.process.terminate()
    finish(one)
    for connection in idle:
        connection.close()


def test_half_a_body_does_not_hold_the_end_for_ever(start):
    one = start("--drain-ms=800")
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.2)
        one.process.terminate()
        finish(one)


def test_the_drain_is_bounded(start):
    one = start("--drain-ms=700", "--wall-ms=30000")
    call = Background(one.run, SLEEP.format(20))
    one.wait_for_busy(1)
    begin = time.monotonic()
    one.process.terminate()
    finish(one, 15)  # and not when the run is over
    assert time.monotonic() - begin > 0.5
    answer = call.get()
    assert (answer.status, answer.outcome) == (500, "lost") and answer.error == "Execution failed"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(start, sign):
    one = start("--drain-ms=60000", "--wall-ms=60000")
    call = Background(one.run, SLEEP.format(40))
    one.wait_for_busy(1)
    one.process.terminate()
    time.sleep(0.5)
    assert one.process.poll() is None
    one.process.send_signal(sign)
    finish(one)
    with pytest.raises((OSError, http.client.HTTPException)):
        call.get()


def test_the_port_is_free_again(start):
    one = start()
    one.assert_well()
    one.stop()
    again = start(port=one.port)
    again.assert_well()


def test_shutdown_under_load(start):
    one = start()

    def work():
        statuses = set()
        while True:
            try:
                statuses.add(one.run("def main(): return 1", timeout=10).status)
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException):
                return statuses

    calls = [Background(work) for _ in range(4)]
    time.sleep(1)
    one.process.terminate()
    finish(one)
    for call in calls:
        assert call.get(15) <= {200, 503}


def test_a_signal_before_it_is_ready(program):
    for delay in (0.0, 0.05, 0.3):
        process = subprocess.Popen([program, "--port=0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.terminate()
        assert process.wait(10) in (0, -signal.SIGTERM)
