"""A server that was taken over says to its zygote whatever a message can say, with whatever descriptors. The zygote hands out no
more than its operator lets anybody have, serves on, and ends in order when it is told what is no message."""
import contextlib
import os
import random
import socket
import struct
import subprocess
import time

import pytest
from service import BUILD, Service

SIZE = 256  # struct message
CANCEL, ANSWERED, RUN, VERDICT, READY = 6, 7, 5, 8, 10
RESULT, JOB = 2, 1
ENDING_EXIT, ENDING_DEADLINE, ENDING_CPU, ENDING_NO_WORKER = 1, 3, 4, 10
EDGES = [0, 1, 2, 255, 256, 5000, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
OPTIONS = ["--preload=", "--workers=2", "--crew=2", "--wall-ms=1000", "--cpu-ms=1000", "--log=error"]


class Zygote:
    """One without a manager, and without a server but for the test."""

    def __init__(self):
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        (self.control, theirs), (self.channel, other) = pairs
        program = os.path.join(BUILD, "python-executor-zygote")
        options = " ".join([*OPTIONS, f"--uid-base={Service.next_uid_base()}"])
        command = f"exec {program} 0 alone {options} 3<&{theirs.fileno()} 4<&{other.fileno()} </dev/null"
        self.process = subprocess.Popen(["bash", "-c", command], pass_fds=[theirs.fileno(), other.fileno()], stderr=subprocess.PIPE,
                                        text=True, env={"HOME": "/tmp", "LANG": "C.UTF-8", "PATH": os.environ["PATH"], "TMPDIR": "/tmp"})
        theirs.close()
        other.close()
        self.control.settimeout(60)
        self.channel.settimeout(60)

    def wait_until_ready(self):
        while struct.unpack_from("=I", self.control.recv(SIZE))[0] != READY:
            pass

    def say(self, kind, job, body, descriptors=()):
        socket.send_fds(self.channel, [struct.pack("=IIQ", kind, 0, job) + body.ljust(SIZE - 16, b"\0")], descriptors)

    def verdict_of(self, job):
        """(ending, code); those of other jobs are passed over."""
        while True:
            message = self.channel.recv(SIZE)
            assert len(message) == SIZE, "the zygote has gone"
            kind, _, number, ending, code = struct.unpack_from("=IIQII", message)
            if kind == VERDICT and number == job:
                return ending, code

    def forget_answers(self):
        self.channel.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.channel.recv(SIZE):
                pass
        self.channel.settimeout(60)

    def end(self):
        self.control.close()
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        if self.process.returncode is None:
            self.process.kill()
        return self.process.wait(), self.process.stderr.read()


@pytest.fixture
def zygote():
    one = Zygote()
    one.wait_until_ready()
    yield one
    if one.process.returncode is None:
        one.end()


def order(script):
    """A frame for a worker: struct job_order and the script."""
    payload = struct.pack("=13Q", 2000, 64 << 20, 1 << 20, 1 << 20, 0, 0, len(script), 0, 0, 0, 0, 0, 1 << 20) + script
    return struct.pack("=II", JOB, len(payload)) + payload


def run(zygote, job, script, limits=(5000, 2000, 64 << 20, 1 << 20)):
    """What the worker answers, and the verdict."""
    ours, theirs = socket.socketpair()
    with ours, theirs, open(os.devnull, "wb") as null:
        ours.sendall(order(script))
        zygote.say(RUN, job, struct.pack("=4Q", *limits), [theirs.fileno(), null.fileno(), null.fileno()])
        theirs.close()
        verdict = zygote.verdict_of(job)
        ours.settimeout(10)
        answer = b""
        while piece := ours.recv(65536):
            answer += piece
        return answer, verdict


def some_descriptors(rng, stack):
    """What a server might have: pipes, sockets, files, folders; one twice."""
    found = []
    for _ in range(rng.randrange(5)):
        kind = rng.randrange(4)
        if kind == 0:
            reading, writing = os.pipe()
            stack.callback(os.close, reading)
            stack.callback(os.close, writing)
            found.append(rng.choice([reading, writing]))
        elif kind == 1:
            pair = socket.socketpair()
            stack.enter_context(pair[0])
            stack.enter_context(pair[1])
            pair[0].send(rng.randbytes(rng.choice([0, 1, 8, 120])))
            found.append(pair[1].fileno())
        else:
            found.append(os.open(rng.choice(["/dev/null", "/dev/zero", "/", "/etc/passwd"]), os.O_RDONLY))
            stack.callback(os.close, found[-1])
    return found


def test_it_serves_on_whatever_is_said(zygote):
    rng = random.Random(24)
    assert run(zygote, 1, b"def main(): return 7")[0] == struct.pack("=II", RESULT, 1) + b"7"
    jobs = [rng.choice(EDGES[1:]) for _ in range(6)]
    for _ in range(1500):
        kind = rng.choice([RUN, RUN, CANCEL, ANSWERED, rng.randrange(24), rng.randrange(2**32)])
        body = struct.pack("=4Q", *(rng.choice(EDGES) for _ in range(4))) if rng.randrange(4) else rng.randbytes(SIZE - 16)
        with contextlib.ExitStack() as stack:
            zygote.say(kind, rng.choice(jobs), body, some_descriptors(rng, stack))
        assert zygote.process.poll() is None
        zygote.forget_answers()
    for job in jobs * 300:  # as often as it may have been given out
        zygote.say(CANCEL, job, b"")
        zygote.forget_answers()
    for _ in range(20):  # those before it may still be waiting for workers
        answer, verdict = run(zygote, 77, b"def main(): return 8")
        if verdict[0] != ENDING_NO_WORKER:
            break
        time.sleep(0.5)
    assert answer == struct.pack("=II", RESULT, 1) + b"8"
    assert verdict == (ENDING_EXIT, 0)
    status, said = zygote.end()
    assert status == 0, said


@pytest.mark.parametrize("size", [1, SIZE - 1, SIZE + 1])
def test_what_is_no_message_ends_it(zygote, size):
    with open(os.devnull, "rb") as null:
        socket.send_fds(zygote.channel, [b"\xff" * size], [null.fileno()])
    assert zygote.process.wait(30) == 1  # a trouble, and no end that was wished


def test_no_order_goes_beyond_the_operators_limits(zygote):
    ending = run(zygote, 3, b"while True: pass", limits=(2**64 - 1,) * 4)[1]
    assert ending[0] in (ENDING_DEADLINE, ENDING_CPU)
