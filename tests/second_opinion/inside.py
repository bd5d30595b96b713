"""What runs in a worker: makes one system call after another by machine code of its own, with arguments drawn from a
seed, and says on a copy of its standard output which one comes now and what it gave. `T`, which sweep.py puts in
front, has the numbers, the seed, and what of the host may be aimed at.

Each argument set has a generator of its own, so that a call does the same wherever a run begins.
"""
import ctypes
import mmap
import os
import random
import signal
import struct

REPORT = 119  # the descriptor that is reported on; the arguments do not aim at it, whatever else they hit
TICK = 0.03  # seconds after which a signal comes to a call that waits
MASK = (1 << 64) - 1
# rax = rdi; rdi, rsi, rdx, r10, r8, r9 = six words at rsi; syscall; ret
SYSCALL = bytes.fromhex("4889f8 4989f3 498b3b 498b7308 498b5310 4d8b5318 4d8b4320 4d8b4b28 0f05 c3")
# eax = edi; ebx, ecx, edx, esi, edi, ebp = the same, halved; int 0x80; ret
INT80 = bytes.fromhex("53 55 89f8 4989f3 418b1b 418b4b08 418b5310 418b7318 418b7b20 418b6b28 cd80 5d 5b 4898 c3")

FLAGS = (0, 1, 2, 3, 0x10, 0x20, 0x40, 0x100, 0x200, 0x241, 0x400, 0x800, 0x1000, 0x2000, 0x80000, 0x10000, 0x200000, 0x410000,
         0x3d0f00, 0x11, 0x4111, 0x10000000, 0x20000000, 0x40000000, 0x7e020000, 0x10020000)
# ioctl and fcntl commands, prctl options, families, magic numbers: what a small number may mean
COMMANDS = (*range(48), 1024, 1025, 1026, 1030, 1031, 1032, 1033, 1034, 1036, 0x5401, 0x5402, 0x540E, 0x5412, 0x5413, 0x541B,
            0x541C, 0x5421, 0x5450, 0x5451, 0x5452, 0x8912, 0x8927, 0x89A0, 0x40086602, 0x80086601, 0xC0045877, 0x40049409,
            0x59616D61, 0x53564D41, 0x4201, 0x4206, 0x7FFFFFFF)
SIZES = (0, 1, 2, 4, 8, 16, 24, 64, 88, 128, 4095, 4096, 65536, 1 << 20, 1 << 31, (1 << 32) + 1, 1 << 47, (1 << 63) - 1, MASK)
WRONG = (0, 1, 4095, 0x10000, (1 << 47) - 1, 1 << 47, 0xFFFF800000000000, 0xFFFFFFFF81000000, 0xFFFFFFFFFF600000, MASK)
STRINGS = (b"", b".", b"..", b"x", b"none", b"tmpfs", b"proc", b"sysfs", b"cgroup2", b"bpf", b"user", b"keyring", b"security.x",
           b"/tmp", b"/tmp/own", b"/tmp/none", b"/proc/self/mem", b"/proc/1/environ", b"/proc/1/root/etc/passwd",
           b"/proc/sys/kernel/hostname", b"/dev/null", b"/dev/mem", b"/dev/shm/x", b"/dev/mqueue/x", b"/sys/kernel/uevent_helper",
           b"/", b"/etc", b"/etc/passwd", b"/etc/shadow", b"/root", b"/usr/lib", b"../../../../etc/shadow", b"A" * 4096)


class Arena:
    """Memory whose places are what pointers lead to."""

    def __init__(self, strings):
        self.memory = mmap.mmap(-1, 1 << 17)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.strings, place = [], 65536
        for text in strings:
            self.memory[place : place + len(text) + 1] = text + b"\0"
            self.strings.append(self.base + place)
            place += len(text) + 1
        self.at = 0

    def place(self, content):
        """The address of a structure; the first half of the arena is filled round and round."""
        if self.at + 4096 > 65536:
            self.at = 0
        start, self.at = self.at, self.at + 4096
        self.memory[start : start + 4096] = content[:4096].ljust(4096, b"\0")
        return self.base + start


def structure(draw, arena, targets):
    """The bytes of something that a call could expect behind a pointer."""
    kind = draw.randrange(10)
    words = lambda *values: struct.pack(f"<{len(values)}Q", *[value & MASK for value in values])
    if kind == 0:
        return b""
    if kind == 1:
        return draw.randbytes(256)
    if kind == 2:  # iovec, argv
        return words(*[value for _ in range(8) for value in (draw.choice(arena.strings), draw.choice((1, 8, 4096)))])
    if kind == 3:
        return words(*[draw.choice(arena.strings) for _ in range(4)], 0)
    if kind == 4:  # sockaddr: of a port of the host, abstract, in a folder
        return draw.choice((struct.pack("<HH4s", 2, 0x1F90, b"\x7f\0\0\1"), b"\1\0\0x", b"\1\0/run/docker.sock", struct.pack("<HHII", 16, 0, 0, 0)))
    if kind == 5:  # clone_args, open_how, attr
        return words(draw.choice(FLAGS), 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    if kind == 6:  # capabilities
        return struct.pack("<8I", 0x20080522, 0, *[0xFFFFFFFF] * 6)
    if kind == 7:  # BPF program that allows all
        return words(1, arena.base + 65536) + struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000)
    if kind == 8:  # rlimits, ids, descriptors
        return words(*[draw.choice((0, 1, 2, 3, MASK, *targets["ids"])) for _ in range(16)])
    return struct.pack("<32i", *[draw.choice((-1, 0, 1, 2, 3, 4)) for _ in range(32)])


class Values:
    """A value for each kind of argument."""

    def __init__(self, targets):
        self.targets = targets
        self.arena = Arena(list(STRINGS) + [path.encode() for path in targets["paths"]])
        self.pids = [0, -1, -2, 1, 2, 3, os.getpid(), -os.getpid(), os.getppid(), *targets["pids"]]

    def pointer(self, draw, strings):
        if draw.random() < 0.15:
            return draw.choice(WRONG)
        if strings:
            return draw.choice(self.arena.strings)
        return self.arena.place(structure(draw, self.arena, self.targets))

    def of(self, kind, draw):
        if kind in "pbt":
            if kind == "t" and draw.random() < 0.7:
                return self.arena.place(struct.pack("<qq", 0, draw.choice((0, 1000))))
            return self.pointer(draw, kind == "p")
        if kind == "f":
            return draw.choice((*range(21), 62, 63, 127, 128, 1023, 65536, 0x7FFFFFFF, -1, -100, -100))
        if kind == "g":
            return draw.choice(FLAGS) if draw.random() < 0.7 else draw.getrandbits(draw.choice((4, 16, 32, 64)))
        if kind == "a":
            return draw.choice((0, 4096, self.arena.base, self.arena.base + 65536, *WRONG))
        if kind == "i":
            return draw.choice(self.pids)
        if kind == "u":
            return draw.choice((0, 0, 1, 1000, 65534, -1, *self.targets["ids"]))
        if kind == "s":
            return draw.choice((0, 1, 2, 9, 9, 15, 17, 19, 31, 34, 64, 65))
        if kind == "m":
            return draw.choice((0, 0o600, 0o777, 0o4755, 0o20666, 0o60666, 0o140666, 0o10666))
        if kind == "n":
            return draw.choice(COMMANDS) | (draw.choice((1 << 32, 1 << 63)) if draw.random() < 0.05 else 0)
        if kind == "k":
            return draw.choice((0, 1, 2, 3, -1, -2, -3, -4, 0x105, 0x801, 0x5B5B, draw.getrandbits(32)))
        return draw.choice(SIZES)

    def arguments(self, kinds, draw):
        """Six: most as the call has them, one or another of a different kind; behind them what nobody should look at, or
        what an attacker may have read in the service's source."""
        found = []
        for index in range(6):
            kind = kinds[index] if index < len(kinds) and draw.random() > 0.1 else draw.choice(T["kinds"])
            found.append(self.of(kind, draw) & MASK)
        if draw.random() < 0.3:
            found[5] = T["mark"]
        return found


def load(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(page))), page


def put_right():
    """What the call before may have changed of how signals come."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)


def main():
    os.dup2(1, REPORT)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.dup2(1, 2)
    values = Values(T)
    call, page = load(INT80 if T["entry"] == "int80" else SYSCALL)
    words = (ctypes.c_uint64 * 6)()
    os.write(REPORT, b"!%d\n" % os.getpid())
    for number, kinds, part in T["calls"]:
        words[:] = values.arguments(kinds, random.Random(f"{T['seed']}/{number}/{part}"))
        put_right()
        os.write(REPORT, b"@%d %d " % (number, part) + b" ".join(b"%x" % word for word in words) + b"\n")
        answer = call(ctypes.c_long(number).value, words)
        os.write(REPORT, b"=%d\n" % answer)
    return "through"
