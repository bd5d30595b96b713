"""A socket that is held by somebody else, as systemd does: connections wait in it while the service is away."""
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from service import PROGRAM, Background, Service, ask, inheriting, order, wait_until

BODY = order("def main(): return 42")


@pytest.fixture
def held():
    """Listens as long as the test takes, and accepts nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as one:
        yield one


def port_of(held):
    return held.getsockname()[1]


def test_it_serves_on_what_it_was_handed(start, held):
    one = start("--host=127.0.0.9", sockets=[held], port=1)  # neither of which is looked at
    assert one.port == port_of(held)
    one.assert_well()


def test_nobody_finds_it_by_the_environment_then(start, held):
    one = start(sockets=[held])
    assert one.result("import os\ndef main(): return sorted(n for n in os.environ if n.startswith('LISTEN'))") == []
    for pid in [one.server_pid, one.zygote_pid]:
        with open(f"/proc/{pid}/environ", "rb") as file:
            assert b"LISTEN" not in file.read()


def test_who_connects_while_it_is_away_waits_for_the_next(start, held):
    one = start(sockets=[held])
    one.assert_well()
    one.stop()
    early = Background(ask, port_of(held), "POST", "/execute", BODY)
    time.sleep(0.3)
    assert early.running
    start(sockets=[held])
    assert early.get().result == 42


def test_also_when_it_was_killed(start, held):
    one = start(sockets=[held])
    os.kill(one.manager_pid, signal.SIGKILL)
    one.process.wait(5)
    one.assert_gone(5)
    early = Background(ask, port_of(held), "POST", "/execute", BODY)
    time.sleep(0.3)
    assert early.running
    start(sockets=[held])
    assert early.get().result == 42


def test_while_it_finishes_what_runs_new_ones_wait(start, held):
    one = start("--workers=2", sockets=[held])
    running = Background(one.run, "import time\ndef main():\n    time.sleep(1.5)\n    return 'slept'")
    one.wait_for_busy(1)
    one.process.terminate()
    assert wait_until(lambda: "stopping" in one.log)
    time.sleep(0.3)
    early = Background(ask, port_of(held), "POST", "/execute", BODY)
    assert running.get().result == "slept"
    one.process.wait(5)
    assert one.process.returncode == 0 and early.running
    start(sockets=[held])
    assert early.get().result == 42


def test_no_request_fails_over_restarts_under_load(held):
    """Each on a connection of its own, as fast as four clients can; the service is started anew three times."""
    over = threading.Event()
    answers = []

    def work():
        while not over.is_set():
            answers.append(ask(port_of(held), "POST", "/execute", BODY, {"Connection": "close"}).status)

    one = Service(sockets=[held])
    try:
        clients = [Background(work) for _ in range(4)]
        for _ in range(3):
            before = len(answers)
            assert wait_until(lambda: len(answers) > before + 50 or not all(client.running for client in clients), 30)
            one.stop()
            one = Service(sockets=[held])
        before = len(answers)
        assert wait_until(lambda: len(answers) > before + 50, 30)
        over.set()
        for client in clients:
            client.get()
    finally:
        over.set()
        one.kill()
    assert len(answers) > 200 and set(answers) == {200}, {status: answers.count(status) for status in set(answers)}


# --- What cannot be served ---


def refused(*sockets):
    result = subprocess.run(
        inheriting(sockets, PROGRAM, "serve"), pass_fds=[one.fileno() for one in sockets], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20,
    )
    assert result.returncode == 1 and result.stdout == "", result
    return result.stderr


def test_more_than_one(held):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert "2 sockets were handed over" in refused(held, other)


def test_no_tcp():
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("")  # an abstract name of the kernel's choice
        one.listen()
        assert "no listening TCP socket" in refused(one)


def test_a_connection_in_place_of_a_socket_that_listens(held):
    with socket.create_connection(held.getsockname()) as one:  # as Accept=yes would hand it over
        assert "Accept=no" in refused(one)
