"""The clients of a long run: threads with a connection each, who send one request after the other and write down what became of it."""
import collections
import dataclasses
import random
import select
import socket
import struct
import threading
import time

from traffic import Reply

TIMEOUT = 90  # no answer in that time is a hang: the queue ends after 30 s, a run after 20
MOST = 64 << 20

# How a request ended.
ANSWERED, CUT, BROKEN, HUNG, REFUSED = "answered", "cut by its client", "broken", "hung", "connection refused"


@dataclasses.dataclass(slots=True)
class Record:
    """A request and its end. Times are of one clock, in seconds; `code` is HTTP's status, `status` what a stream says in its end."""

    id: str
    kind: str
    name: str
    key: str
    sent: float
    ended: float = 0.0
    end: str = ""
    code: int = 0
    status: int = 0
    outcome: str | None = None
    retry_after: str | None = None
    wrong: str = ""
    size: int = 0  # of its body


class Connection:
    """HTTP/1.1 by hand: it has to stop anywhere, and to see each byte that comes after an answer."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kept, self.end = bytearray(), time.monotonic() + TIMEOUT

    def more(self):
        left = self.end - time.monotonic()
        if left <= 0 or len(self.kept) > MOST:
            raise TimeoutError("the answer does not end")
        self.socket.settimeout(left)
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("closed")
        self.kept += data

    def send(self, data):
        self.end = time.monotonic() + TIMEOUT
        self.socket.settimeout(TIMEOUT)
        self.socket.sendall(data)

    def take(self, size):
        while len(self.kept) < size:
            self.more()
        taken = bytes(self.kept[:size])
        del self.kept[:size]
        return taken

    def take_until(self, mark):
        while (at := self.kept.find(mark)) < 0:
            self.more()
        return self.take(at + len(mark))[:-len(mark)]

    def read_answer(self):
        head = self.take_until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        code = int(first.split()[1])
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.take_until(b"\r\n"), 16):
                parts.append(self.take(size))
                self.take(2)
            self.take_until(b"\r\n")
            body = b"".join(parts)
        else:
            body = self.take(int(headers.get("content-length", 0)))
        return Reply(code, headers, body)

    def is_open(self):
        """Whether nothing has come behind the last answer: neither the end of the connection nor a byte of another answer."""
        readable, _, _ = select.select([self.socket], [], [], 0)
        if not readable and not self.kept:
            return True
        self.kept += self.socket.recv(4096) if readable else b""
        if self.kept:
            raise ValueError(f"behind an answer there is {bytes(self.kept[:100])!r}")
        return False

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Client(threading.Thread):
    """`key`: the name of its key; `over`: an event after which it begins no more requests; `done`: where records go."""

    def __init__(self, number, seed, port, key, secret, traffic, over, done):
        super().__init__(daemon=True)
        self.tag, self.port, self.key, self.secret = f"{seed}-{number}", port, key, secret
        self.traffic, self.over, self.done = traffic, over, done
        self.rng = random.Random(self.tag)
        self.connection, self.count, self.current = None, 0, None

    def run(self):
        while not self.over.is_set():
            self.count += 1
            request = self.traffic.next(self.rng, f"{self.tag}-{self.count}")
            self.current = record = Record(request.id, request.kind, request.name, self.key, time.monotonic(), size=len(request.body))
            self.ask(request, record)
            self.current = None
            self.done.append(record)
            if record.retry_after:
                self.over.wait(self.rng.random() * min(float(record.retry_after), 2))
            elif record.end in (BROKEN, REFUSED):
                self.over.wait(0.05)
        if self.connection:
            self.connection.close()

    def head(self, request, close):
        return (f"{request.method} {request.path} HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer {self.secret}\r\n"
                f"X-Request-Id: {request.id}\r\nContent-Length: {len(request.body)}\r\n"
                + ("Connection: close\r\n" if close else "") + "\r\n").encode()

    def ask(self, request, record):
        try:
            if self.connection and not self.connection.is_open():
                self.drop()
            if self.connection is None:
                self.connection = Connection(self.port)
            if request.cut:
                self.cut(request, record)
            else:
                self.exchange(request, record)
        except ConnectionRefusedError:
            record.end = REFUSED
        except TimeoutError:
            record.end = HUNG
        except OSError as error:
            record.end = BROKEN
            record.wrong = "" if isinstance(error, ConnectionError) else repr(error)
        except ValueError as error:  # what came is no HTTP, or one answer too many
            record.end, record.wrong = BROKEN, str(error)
        record.ended = time.monotonic()
        if record.end != ANSWERED:
            self.drop()

    def exchange(self, request, record):
        close = self.rng.random() < 0.1
        self.connection.send(self.head(request, close) + request.body)
        reply = self.connection.read_answer()
        record.end, record.ended = ANSWERED, time.monotonic()
        self.judge(request, record, reply)
        if close or reply.headers.get("connection", "").lower() == "close":
            self.see_end(record)

    def judge(self, request, record, reply):
        record.code, record.status, record.outcome = reply.code, reply.status, reply.outcome
        record.retry_after = reply.headers.get("retry-after")
        if reply.headers.get("x-request-id") != request.id:
            record.wrong = f"somebody else's answer: {reply.headers.get('x-request-id')}"
        elif reply.flaw:
            record.wrong = reply.flaw
        elif reply.status not in (429, 503) and reply.outcome != "lost":
            record.wrong = request.judge(reply)

    def see_end(self, record):
        """An answer that says it is the last one is."""
        try:
            self.connection.more()
            record.wrong = record.wrong or f"behind the last answer there is {bytes(self.connection.kept[:100])!r}"
        except ConnectionError:
            pass
        self.drop()

    def cut(self, request, record):
        """Goes away somewhere. It counts as cut only if it was there to be cut: not where a server died before."""
        whole = self.head(request, False) + request.body
        upto = {"headers": 60, "body": len(whole) - len(request.body) // 2}.get(request.cut, len(whole))
        self.connection.send(whole[:upto])
        if request.cut == "answer":
            self.connection.take(100)
        else:
            self.over.wait(request.patience)
        record.end = CUT
        self.connection.close(reset=request.cut == "reset" or self.rng.random() < 0.3)
        self.connection = None

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Load:
    """All clients, from begin() to end(); twice if need be, and their records go on."""

    def __init__(self, seed, port, keys, traffic):
        self.over, self.done, self.records, self.clients = threading.Event(), collections.deque(), [], []
        self.arguments = seed, port, keys, traffic

    def begin(self, block):
        seed, port, keys, traffic = self.arguments
        self.over.clear()
        self.clients = [Client(number, f"{seed}-{block}", port, key, secret, traffic, self.over, self.done)
                        for number, (key, secret) in enumerate(keys)]
        for client in self.clients:
            client.start()

    def collect(self):
        """What has ended since it was last called."""
        found = []
        while self.done:
            found.append(self.done.popleft())
        self.records += found
        return found

    def end(self):
        """Lets each finish what it has begun. Who does not hangs, and what it has begun is written down as that."""
        self.over.set()
        limit = time.monotonic() + TIMEOUT + 10
        for client in self.clients:
            client.join(max(0, limit - time.monotonic()))
            if client.is_alive() and (record := client.current):
                self.done.append(dataclasses.replace(record, end=HUNG, ended=time.monotonic()))
        self.clients = []
        return self.collect()
