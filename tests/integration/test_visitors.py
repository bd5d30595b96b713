"""Who keeps a connection when there are too many, or too many bytes in them; and that no client has the server for itself."""
import http.client
import socket
import threading

from service import Background, order, wait_until

GOOD = order("def main(): return 1")
HEAD = b"POST /execute HTTP/1.1\r\nHost: x\r\n"
SLEEP = "import time\ndef main():\n    time.sleep({})\n    return 'slept'"


def connect(service, timeout=20):
    return socket.create_connection(("127.0.0.1", service.port), timeout=timeout)


def ends(connection, seconds=10):
    """Whether the service closes it."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1000) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def metric(service, name):
    for line in service.ask("GET", "/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(name)


def test_who_comes_when_it_is_full_has_the_place_of_the_longest_on_turn(start):
    """Whatever they have sent: nothing, half a head, half a body."""
    one = start("--connections=3", "--preload=")
    before = []
    for sent in (b"", b"POST /exec", HEAD + b"Content-Length: 100\r\n\r\n{"):
        before.append(connect(one))
        before[-1].sendall(sent)
    after = []
    for connection in before:
        after.append(connect(one))
        assert ends(connection)
    assert one.result("def main(): return 1") == 1
    assert ends(after[0]) and not ends(after[2], 0.2)
    assert metric(one, 'python_executor_connections_cut_total{reason="place"}') >= 4


def test_who_does_not_read_its_answer_keeps_no_place(start):
    one = start("--connections=2", "--preload=")
    large = order("def main(): return 'x' * 8_000_000")
    slow = []
    for i in range(2):
        slow.append(socket.socket())
        slow[i].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow[i].connect(("127.0.0.1", one.port))
        slow[i].sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(large) + large)
        assert slow[i].recv(12) == b"HTTP/1.1 200"
    for _ in range(2):
        idle = connect(one)
        one.assert_well()
        idle.close()
    assert wait_until(lambda: metric(one, "python_executor_held_bytes") < 8_000_000, 10)


def test_who_had_a_run_keeps_its_connection_before_strangers(start):
    one = start("--connections=10", "--preload=")
    kept = http.client.HTTPConnection("127.0.0.1", one.port, timeout=20)
    strangers = []
    for i in range(30):
        kept.request("POST", "/execute", GOOD)
        assert kept.getresponse().read() == b'{"result": 1, "stdout": ""}', i
        strangers += [connect(one) for _ in range(3)]
        one.ask("GET", "/healthz")


def test_runs_keep_their_places_and_give_them_up_afterwards(start):
    """Beyond the last place nobody is let in whom somebody would have to be sent away for."""
    one = start("--connections=2", "--workers=4", "--preload=")
    kept = []

    def run():
        kept.append(http.client.HTTPConnection("127.0.0.1", one.port, timeout=20))
        kept[-1].request("POST", "/execute", order(SLEEP.format(2)))
        return kept[-1].getresponse().read()

    running = []
    for count in range(1, 4):
        running.append(Background(run))
        one.wait_for_busy(count)
    later = Background(one.run, "def main(): return 'later'")
    assert [call.get() for call in running] == [b'{"result": "slept", "stdout": ""}'] * 3
    assert later.get().result == "later"


def test_bodies_that_fill_the_memory_give_way_to_smaller_ones(start):
    """Sixteen times --body-kb is held at most."""
    one = start("--body-kb=64", "--script-kb=64", "--preload=")
    slow = []
    for _ in range(40):
        slow.append(connect(one))
        slow[-1].sendall(HEAD + b"Content-Length: 65000\r\n\r\n" + b" " * 60_000)
    for _ in range(20):
        one.assert_well()
    for connection in slow:
        connection.sendall(b" " * 5_000)
    statuses = [connection.makefile("rb").readline().split()[1] for connection in slow]
    assert set(statuses) == {b"400", b"503"}, statuses  # blanks are no JSON; and who gave way is told so
    assert metric(one, 'python_executor_connections_cut_total{reason="bytes"}') == 0


def test_answers_that_nobody_reads_give_way_to_bodies(start):
    one = start("--body-kb=64", "--script-kb=64", "--preload=")
    body = order("def main(): return 'x' * (6 << 20)")
    idle = [connect(one) for _ in range(2)]
    for connection in idle:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert wait_until(lambda: metric(one, "python_executor_held_bytes") > 8 << 20)
    one.assert_well()
    assert metric(one, 'python_executor_connections_cut_total{reason="bytes"}') == 2


def test_clients_that_send_all_the_time_do_not_keep_the_loop_for_themselves(start):
    """They send on until the runs of others are answered."""
    one = start("--body-kb=1048576", "--preload=")
    over = threading.Event()
    block = b" " * (1 << 20)

    def send():
        with connect(one) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (3 << 30))  # read and dropped, since it is too large
            for _ in range(3000):
                if over.is_set():
                    break
                connection.sendall(block)

    senders = [Background(send) for _ in range(12)]
    try:
        for i in range(5):
            assert one.result(f"def main(): return {i}") == i
        assert any(sender.running for sender in senders)
    finally:
        over.set()
    for sender in senders:
        sender.get()
