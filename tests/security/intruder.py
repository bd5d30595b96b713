"""Makes system calls inside a running process, as code of an intruder would: by ptrace, from outside.

Nothing in the program helps with that. It takes CAP_SYS_PTRACE, since the server is not dumpable, and knows
the registers of x86-64.
"""
import contextlib
import ctypes
import os
import platform
import signal

import pytest

ATTACH, DETACH, SINGLESTEP, GETREGS, SETREGS = 16, 17, 9, 12, 13
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
         "ds es fs gs").split()
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
BELOW_THE_STACK = 2048

CALLS = {
    "read": 0, "open": 2, "mmap": 9, "mprotect": 10, "ioctl": 16, "socket": 41, "connect": 42, "sendto": 44, "bind": 49,
    "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "fcntl": 72, "getdents64": 217,
    "mkdir": 83, "ptrace": 101, "getppid": 110, "prctl": 157, "chroot": 161, "tgkill": 234, "openat": 257, "unshare": 272,
    "memfd_create": 319, "process_vm_readv": 310, "io_uring_setup": 425, "clone3": 435,
}


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Intruder:
    """Sits in a process that waits in a system call, and makes others from that very instruction."""

    def __init__(self, pid):
        self.pid = pid
        self.before = Registers()
        ptrace(GETREGS, pid, ctypes.addressof(self.before))

    def write(self, address, data):
        with open(f"/proc/{self.pid}/mem", "r+b", 0) as memory:
            memory.seek(address)
            memory.write(data)

    def call(self, name, *arguments):
        """What the kernel answers: a number, or the name of the signal that it ended the process with."""
        registers = Registers.from_buffer_copy(self.before)
        place = self.before.rsp - BELOW_THE_STACK
        for register, argument in zip(ARGUMENTS, arguments):
            if isinstance(argument, bytes):
                self.write(place, argument + b"\0")
                argument, place = place, place - 256
            setattr(registers, register, argument & (1 << 64) - 1)
        registers.rax, registers.orig_rax, registers.rip = CALLS[name], -1 & (1 << 64) - 1, self.before.rip - 2
        ptrace(SETREGS, self.pid, ctypes.addressof(registers))
        ptrace(SINGLESTEP, self.pid)
        _, status = os.waitpid(self.pid, 0x40000000)
        if not os.WIFSTOPPED(status):
            return signal.Signals(os.WTERMSIG(status)).name
        if os.WSTOPSIG(status) != signal.SIGTRAP:
            ptrace(DETACH, self.pid, os.WSTOPSIG(status))
            return signal.Signals(os.WSTOPSIG(status)).name
        ptrace(GETREGS, self.pid, ctypes.addressof(registers))
        return ctypes.c_longlong(registers.rax).value


@contextlib.contextmanager
def inside(pid):
    """An Intruder in that process, which goes on afterwards as if it had been interrupted by a signal."""
    if platform.machine() != "x86_64":
        pytest.skip("the stand-in for an intruder knows x86-64 only")
    try:
        ptrace(ATTACH, pid)
    except PermissionError:
        pytest.skip("the stand-in for an intruder needs CAP_SYS_PTRACE")
    os.waitpid(pid, 0x40000000)
    intruder = Intruder(pid)
    try:
        yield intruder
    finally:
        with contextlib.suppress(OSError):  # it may be dead
            if ctypes.c_longlong(intruder.before.rax).value < 0:
                intruder.before.rax = -4 & (1 << 64) - 1  # EINTR
            intruder.before.orig_rax = -1 & (1 << 64) - 1
            ptrace(SETREGS, pid, ctypes.addressof(intruder.before))
            ptrace(DETACH, pid)
