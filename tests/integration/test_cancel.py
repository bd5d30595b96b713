"""A client that goes away: its run is ended soon, whether it runs or waits."""
import os
import signal
import socket
import time

import pytest
from exposition import scrape
from service import Background, order, wait_until

FOREVER = "import time\ndef main(): time.sleep(60)"
SPIN = "def main():\n    while True: pass"


def send(service, script):
    """A request of which nobody reads the answer."""
    connection = socket.create_connection(("127.0.0.1", service.port))
    body = order(script)
    connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def test_a_run_ends_when_its_client_goes(start):
    one = start("--wall-ms=30000", "--cpu-ms=30000")
    for script in (FOREVER, SPIN):
        connection = send(one, script)
        one.wait_for_busy(1)
        connection.close()
        assert wait_until(lambda: not one.busy_pids()), "the run goes on without its client"
    one.assert_well()


def test_a_reset_counts_as_gone(start):
    one = start("--wall-ms=30000")
    connection = send(one, FOREVER)
    one.wait_for_busy(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    assert wait_until(lambda: not one.busy_pids())
    one.assert_well()


def test_others_are_not_touched(start):
    one = start("--workers=2", "--wall-ms=30000")
    stays = Background(one.run, "import time\ndef main():\n    time.sleep(1.5)\n    return 'stayed'")
    one.wait_for_busy(1)
    leaves = send(one, FOREVER)
    one.wait_for_busy(2)
    leaves.close()
    assert wait_until(lambda: len(one.busy_pids()) == 1)
    assert stays.get().result == "stayed"


def test_a_client_that_goes_while_it_waits(start):
    one = start("--workers=1", "--wall-ms=30000", "--queue=2")
    running = send(one, FOREVER)
    one.wait_for_busy(1)
    waiting = [send(one, SPIN) for _ in range(2)]
    assert wait_until(lambda: one.run("def main(): return 1").status == 503)
    for connection in waiting:
        connection.close()
    # Their places are free again, and they never run.
    next_one = Background(one.run, "def main(): return 'next'")
    running.close()
    assert next_one.get().result == "next"


def test_many_clients_that_go(start):
    one = start("--workers=2", "--wall-ms=30000")
    for i in range(5):
        # Each another script: one that is known as long is kept from the second place.
        connections = [send(one, f"{SPIN}\n# {i}.{n}") for n in range(20)]
        one.wait_for_busy(2)
        for connection in connections:
            connection.close()
    assert wait_until(lambda: not one.busy_pids())
    one.assert_well()


def test_a_run_that_ends_as_its_client_goes(start):
    one = start()
    for i in range(60):
        connection = send(one, f"import time\ndef main(): time.sleep({i % 10 / 1000})")
        connection.settimeout(i % 7 / 1000 or 0.001)
        try:
            connection.recv(10)
        except TimeoutError:
            pass
        connection.close()
    one.assert_well()


# --- In the middle of a request ---------------------------------------------------------------------

HALVES = [b"P", b"POST /execute HTTP/1.1\r\nHost: x\r\n", b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
          b"POST /execute HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"]


def connections(service):
    """Without the one that asks."""
    return scrape(service).value("python_executor_connections") - 1


@pytest.mark.parametrize("half", HALVES, ids=["method", "headers", "body", "chunk"])
def test_half_a_request_and_its_end_at_once(start, half):
    """The end is read with the half, in one go, as it is of a server that has much to do: it is not told of it again."""
    one = start("--preload=")
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        assert wait_until(lambda: connections(one) == 1)
        os.kill(one.server_pid, signal.SIGSTOP)
        connection.sendall(half)
    os.kill(one.server_pid, signal.SIGCONT)
    assert wait_until(lambda: connections(one) == 0, 20), "its connection is open"


def test_who_has_said_all_gets_an_answer(start):
    """The server looks for clients that have gone each second: here before it has read what this one said."""
    one = start("--preload=")
    body = b"[" + b" " * 100_000
    with socket.create_connection(("127.0.0.1", one.port), timeout=20) as connection:
        assert wait_until(lambda: connections(one) == 1)
        os.kill(one.server_pid, signal.SIGSTOP)
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        connection.shutdown(socket.SHUT_WR)
        time.sleep(1.2)
        os.kill(one.server_pid, signal.SIGCONT)
        said = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert said.startswith(b"HTTP/1.1 400 ") and b"Invalid input" in said
