"""What runs in a worker to see what files it gets to: every operation on every path, by the kernel's own names for both,
past the view that translates some for a script's comfort. `T`, which judge.py puts in front, has the paths."""
import ctypes
import errno
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
HERE = -100  # AT_FDCWD
CREATE, WRITE, TRUNCATE, FOLDER, PATH_ONLY, NO_WAIT = 0o100, 1, 0o1000, 0o200000, 0o10000000, 0o4000
SPACE = ctypes.create_string_buffer(4096)  # what is told is of no interest
TIMES = ctypes.create_string_buffer(struct.pack("<4q", 1, 0, 1, 0))


def call(number, *arguments):
    """What it gives, or the name of its errno. The sixth argument is the mark with which a call goes past the view."""
    words = [ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_long(value) for value in arguments]
    words += [ctypes.c_long(0)] * (5 - len(words)) + [ctypes.c_long(T["mark"])]
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *words)
    return answer if answer >= 0 else errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))


def opened(path, flags):
    answer = call(257, HERE, path, flags | NO_WAIT, 0o600)
    if isinstance(answer, int):
        os.close(answer)
    return answer


def operations(path):
    """In this order: what looks, what changes, what takes away. What was made is not cleaned up: the worker's end does."""
    below = path.rstrip(b"/") + b"/second-opinion-own"
    space = ctypes.addressof(SPACE)
    return {
        "find": call(262, HERE, path, space, 0), "list": opened(path, FOLDER), "read": opened(path, 0), "write": opened(path, WRITE),
        "empty": opened(path, WRITE | TRUNCATE), "enter": call(80, path), "make in it": opened(below, CREATE | WRITE),
        "folder in it": call(258, HERE, below + b"-f", 0o700), "link in it": call(266, b"x", HERE, below + b"-l"),
        "socket in it": call(259, HERE, below + b"-s", 0o140600, 0), "device in it": call(259, HERE, below + b"-d", 0o20600, 0x103),
        "link to it": call(265, HERE, path, HERE, b"/tmp/second-opinion-hard", 0), "execute": call(59, path, 0, 0),
        "mode": call(268, HERE, path, 0o700), "times": call(280, HERE, path, ctypes.addressof(TIMES), 0),
        "owner": call(260, HERE, path, 65534, 65534, 0),
        "attribute": call(188, path, b"user.x", b"x", 1, 0), "watch": call(254, 3, path, 2),
        "mount": call(165, b"none", path, b"tmpfs", 0, 0), "root": call(161, path),
        "handle": call(303, HERE, path, space, space, 0), "tree": call(428, HERE, path, 1),
        "move": call(264, HERE, path, HERE, path + b"-moved"), "remove": call(263, HERE, path, 0), "remove folder": call(263, HERE, path, 0x200),
    }


def main():
    found = {}
    for path in T["paths"]:
        os.chdir("/")
        found[path] = {name: "yes" if isinstance(answer, int) else answer for name, answer in operations(path.encode()).items()}
    return found
