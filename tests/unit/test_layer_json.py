"""base/layer against Python's own JSON: whatever is in the fields, what comes out is JSON, and says no more."""
import errno
import json
import os
import random
import struct
import subprocess

from service import BUILD

TOOL = os.path.join(BUILD, "tests", "unit", "layer_tool")
LAYERS = (
    "seccomp rlimits identity landlock chroot mount-namespace user-namespace pid-namespace network-namespace "
    "ipc-namespace uts-namespace time-namespace cgroup-namespace cgroup"
).split()
STATE = struct.Struct("=Ii24s136s")


def ask_tool(isolations):
    """What the tool says of lists of (status, error, call, detail), one for each layer."""
    data = b"".join(STATE.pack(*layer) for isolation in isolations for layer in isolation)
    done = subprocess.run([TOOL], input=data, stdout=subprocess.PIPE, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(isolations)
    return [json.loads(line.decode("ascii")) for line in lines]


def shown(text, size):
    """A field as it is to be told: up to its NUL or its end, with a ? for what needs escaping."""
    text = text[:size].split(b"\0")[0]
    return "".join(chr(c) if 32 <= c <= 126 and c not in b'"\\' else "?" for c in text)


def check(isolation, told):
    assert [layer["name"] for layer in told["layers"]] == LAYERS
    assert told["required"] == LAYERS + ["filesystem", "network"]
    for (status, error, call, detail), layer in zip(isolation, told["layers"], strict=True):
        assert layer["status"] == {1: "on", 2: "unused"}.get(status, "refused")
        assert layer["active"] is (status == 1)
        assert layer["detail"] == shown(detail, 136)
        if error:
            assert layer["errno"] == errno.errorcode.get(error, "unknown") or error in (errno.EWOULDBLOCK, errno.EDEADLOCK, 95)
            assert layer["call"] == shown(call, 24)
        else:
            assert "errno" not in layer and "call" not in layer


def test_random_fields():
    rng = random.Random(20)

    def text(size):
        length = rng.choice((0, 1, size - 1, size, rng.randrange(size)))
        return bytes(rng.choice((rng.randrange(256), rng.choice(b'"\\\n\0 a{}[],:'))) for _ in range(length))

    isolations = [
        [(rng.choice((0, 1, 2, 3, 2**32 - 1)), rng.choice((0, 1, 38, 95, -1, 41, 2**31 - 1, -(2**31))), text(24), text(136))
         for _ in LAYERS]
        for _ in range(500)
    ]
    for isolation, told in zip(isolations, ask_tool(isolations), strict=True):
        check(isolation, told)


def test_full_fields():
    for byte in (b'"', b"\\", b"\n", b"\x7f", b"\x80", b"\xff", b"a"):
        isolation = [(0, 1, byte * 24, byte * 136)] * len(LAYERS)
        check(isolation, ask_tool([isolation])[0])
