"""So many connections from one thread, to a service on this machine: what each does is a generator.

A behaviour yields bytes to send, seconds to wait, or one of the ends below; at its end the connection stays open and idle.
One that the service closes is counted and opened again, so a crowd is as large for as long as it is there.
"""
import errno
import heapq
import itertools
import select
import socket
import struct
import time

CLOSE, RESET, VANISH, HALF = object(), object(), object(), object()  # HALF: nothing more is sent, and it reads on

TCP_REPAIR = 19  # tcp(7): a socket that is closed under it says nothing to the other end
OPEN_AT_ONCE = 50
HEARD = 8192  # kept of what a connection has read


class Client:
    __slots__ = ("socket", "acts", "rest", "heard", "waits", "due")

    def __init__(self, socket_, acts):
        self.socket, self.acts = socket_, acts
        self.rest, self.heard, self.waits, self.due = memoryview(b""), bytearray(), 0, None


class Crowd:
    """`reads`: bytes that one reads at once, 0 for one that never does; `window`: its receive buffer; `judge` is asked about
    all that a connection has heard, when it ends, and gives what is wrong with it, or None."""

    def __init__(self, port, behave, count, reads=65536, window=None, judge=None):
        self.address, self.behave, self.count = ("127.0.0.1", port), behave, count
        self.reads, self.window, self.judge = reads, window, judge
        self.clients, self.due, self.order = {}, [], itertools.count()
        self.sources = itertools.cycle([f"127.0.0.{i}" for i in range(2, 250)])  # more ports than one address has
        self.epoll = select.epoll()
        self.said = {"opened": 0, "closed by it": 0, "answers": 0, "bytes sent": 0, "bytes read": 0, "most open": 0}
        self.wrong = []

    def open(self):
        one = socket.socket()
        one.setblocking(False)
        if self.window:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.window)
        one.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is chosen for the pair
        try:
            one.bind((next(self.sources), 0))
            one.connect_ex(self.address)
        except OSError:
            one.close()
            return False
        self.clients[one.fileno()] = Client(one, self.behave())
        self.said["opened"] += 1
        self.said["most open"] = max(self.said["most open"], len(self.clients))
        self.epoll.register(one.fileno(), select.EPOLLOUT | select.EPOLLRDHUP)
        return True

    def watch(self, client, out):
        client.waits = (select.EPOLLIN if self.reads else 0) | (select.EPOLLOUT if out else 0) | select.EPOLLRDHUP
        self.epoll.modify(client.socket.fileno(), client.waits)

    def forget(self, client, by_it=False):
        """Its socket is closed, the way that it is set to be."""
        self.said["closed by it"] += by_it
        self.clients.pop(client.socket.fileno(), None)
        client.due = None
        client.socket.close()
        wrong = self.judge(bytes(client.heard)) if self.judge else None
        if wrong:
            self.wrong.append(wrong)

    def end(self, client, how):
        if how is HALF:
            client.socket.shutdown(socket.SHUT_WR)
            return
        if how is RESET:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how is VANISH:
            client.socket.setsockopt(socket.SOL_TCP, TCP_REPAIR, 1)
        self.forget(client)

    def act(self, client):
        """Until it would block, waits, or has ended."""
        while client.socket.fileno() >= 0:
            if client.rest:
                try:
                    sent = client.socket.send(client.rest)
                except BlockingIOError:
                    return self.watch(client, True)
                self.said["bytes sent"] += sent
                client.rest = client.rest[sent:]
                continue
            step = next(client.acts, None)
            if step is None:
                return self.watch(client, False)
            if isinstance(step, bytes):
                client.rest = memoryview(step)
            elif isinstance(step, (int, float)):
                client.due = time.monotonic() + step
                heapq.heappush(self.due, (client.due, next(self.order), client))
                return self.watch(client, False)
            else:
                self.end(client, step)
        return None

    def read(self, client):
        piece = client.socket.recv(self.reads)
        self.said["bytes read"] += len(piece)
        self.said["answers"] += piece.count(b"HTTP/1.1 ")
        client.heard += piece[:HEARD - len(client.heard)]
        return piece

    def turn(self, client, events):
        try:
            if events & select.EPOLLIN and not self.read(client) or not self.reads and events & select.EPOLLRDHUP:
                return self.forget(client, True)
            if events & (select.EPOLLERR | select.EPOLLHUP):
                raise OSError(client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "it is gone")
            if events & select.EPOLLOUT and client.due is None:
                self.act(client)
        except BlockingIOError:
            pass
        except OSError as error:
            self.forget(client, error.errno in (errno.ECONNRESET, errno.EPIPE, 0))
        return None

    def run(self, end):
        """Until this time, of time.monotonic()."""
        while (now := time.monotonic()) < end:
            for _ in range(min(OPEN_AT_ONCE, self.count - len(self.clients))):
                if not self.open():
                    break
            while self.due and self.due[0][0] <= now:
                due, _, client = heapq.heappop(self.due)
                if client.due == due:
                    client.due = None
                    self.turn(client, select.EPOLLOUT)
            for number, events in self.epoll.poll(0.01, 4096):
                if number in self.clients:
                    self.turn(self.clients[number], events)

    def finish(self):
        for client in list(self.clients.values()):
            self.end(client, RESET)
        self.epoll.close()
        return {**self.said, "wrong": self.wrong[:5], "wrongs": len(self.wrong)}
