"""Who is to be answered whatever others do: canary.py PORT SECONDS asks at a steady pace and prints what it saw, as JSON.

Each of its three voices asks when it is due, and counts from there: one slow answer makes those behind it late, as it does
to people. Anything but the right answer within PATIENCE is a failure.
"""
import http.client
import json
import socket
import sys
import threading
import time

PACE = 0.1  # seconds between two requests of one voice
PATIENCE = 8  # a run may take 5 s, and all workers may have been given to scripts of which that was not known
BODY = json.dumps({"script": "def main(): return 6 * 7"}).encode()
ANSWER = b'{"result": 42, "stdout": ""}'


def connect(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(connection, runs):
    """What is wrong with the answer, or None."""
    if runs:
        connection.request("POST", "/execute", BODY, {"Content-Type": "application/json"})
    else:
        connection.request("GET", "/healthz")
    answer = connection.getresponse()
    body = answer.read()
    right = answer.status == 200 and (body == ANSWER or not runs)
    return None if right else f"{answer.status} {body[:200]!r}"


class Voice(threading.Thread):
    """`keeps`: one connection for all; it is a failure if that ends."""

    def __init__(self, port, end, runs, keeps):
        super().__init__(daemon=True)
        self.port, self.end, self.runs, self.keeps = port, end, runs, keeps
        self.seconds, self.failures, self.kept = [], [], None

    def once(self):
        connection = self.kept or connect(self.port)
        self.kept = None
        try:
            wrong = ask(connection, self.runs)
            if self.keeps and not wrong:
                self.kept = connection
            return wrong
        finally:
            if not self.kept:
                connection.close()

    def run(self):
        due = time.monotonic()
        while due < self.end:
            time.sleep(max(0, due - time.monotonic()))
            try:
                wrong = self.once()
            except (OSError, http.client.HTTPException) as error:
                wrong = repr(error)
            self.seconds.append(time.monotonic() - due)
            if wrong:
                self.failures.append(wrong)
            due += PACE
            if time.monotonic() > self.end + PATIENCE:
                break  # hopelessly late, which its maximum says


def listen(port, seconds):
    end = time.monotonic() + seconds
    voices = [Voice(port, end, runs, keeps) for runs, keeps in ((True, False), (True, True), (False, False))]
    for one in voices:
        one.start()
    for one in voices:
        one.join()
    return {"seconds": sorted(s for one in voices for s in one.seconds), "failures": [f for one in voices for f in one.failures]}


if __name__ == "__main__":
    print(json.dumps(listen(int(sys.argv[1]), float(sys.argv[2]))))
