"""Which system calls fail, how, and at which of their occurrences: made of a census of what the service calls."""
import errno
import os
from dataclasses import dataclass

# What an operator or a machine can bring about, by call; the first is tried at more occurrences than the rest. `short` is a
# part of the bytes. `after` is for calls that have happened whatever they say. Left out, since they cannot fail in a way that
# anybody could bring about: what has no error but for wrong arguments (getpid, umask, rt_sigaction, lseek, umount2 that
# detaches, kill of a child of one's own, exit), brk (it answers with an address; memory is refused by mmap here),
# and what the C library does on its own account for a process that has just begun (arch_prctl, set_robust_list, rseq). recvfrom
# is not short: of a connection the kernel gives all that is there, and libmicrohttpd takes its word for it.
ERRORS = {
    "accept4": "EMFILE ENFILE ENOMEM EAGAIN ECONNABORTED EINTR",
    "access": "ENOMEM", "faccessat2": "ENOMEM EIO",
    "bind": "EADDRINUSE ENOMEM", "listen": "EADDRINUSE", "getsockname": "ENOBUFS", "setsockopt": "ENOMEM", "getsockopt": "ENOBUFS",
    "capset": "EPERM", "setgroups": "ENOMEM", "setresuid": "EAGAIN", "setresgid": "EPERM", "setpgid": "EPERM", "setsid": "EPERM",
    "chdir": "EIO", "fchdir": "EIO", "chroot": "ENOMEM", "pivot_root": "ENOMEM", "sethostname": "EPERM",
    "clone": "EAGAIN ENOMEM ENOSPC", "clone3": "EAGAIN ENOMEM", "execveat": "ENOMEM EAGAIN",
    "close": "after:EINTR after:EIO", "close_range": "ENOMEM",
    "dup2": "EMFILE EINTR", "dup3": "EMFILE", "fcntl": "EMFILE", "flock": "ENOLCK EINTR",
    "epoll_create1": "EMFILE ENFILE ENOMEM", "eventfd2": "EMFILE ENFILE ENOMEM", "signalfd4": "EMFILE ENFILE ENOMEM",
    "memfd_create": "EMFILE ENOMEM", "pipe2": "EMFILE ENFILE", "socket": "EMFILE ENFILE ENOMEM", "socketpair": "EMFILE ENFILE ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC", "epoll_wait": "EINTR", "poll": "EINTR ENOMEM", "ppoll": "EINTR ENOMEM",
    "fchmodat": "EIO", "fchownat": "EIO", "mkdirat": "ENOSPC ENOMEM", "mkdir": "ENOSPC", "mknodat": "ENOSPC ENOMEM",
    "symlinkat": "ENOSPC ENOMEM", "unlinkat": "EIO ENOMEM", "unlink": "EIO", "readlink": "ENOMEM", "readlinkat": "ENOMEM",
    "newfstatat": "ENOMEM", "statfs": "ENOMEM EINTR", "getdents64": "ENOMEM", "ioctl": "EINTR", "ftruncate": "EINTR",
    "futex": "EINTR", "getrandom": "EINTR",
    "landlock_create_ruleset": "ENOMEM EMFILE", "landlock_add_rule": "ENOMEM", "landlock_restrict_self": "ENOMEM", "seccomp": "ENOMEM",
    "madvise": "ENOMEM EAGAIN", "mmap": "ENOMEM", "mprotect": "ENOMEM", "mremap": "ENOMEM", "munmap": "ENOMEM",
    "mount": "ENOMEM ENOSPC EPERM", "unshare": "ENOMEM ENOSPC EPERM",
    "openat": "EMFILE ENFILE ENOMEM EINTR",
    "prctl": "EPERM", "prlimit64": "EPERM", "setpriority": "EACCES",
    "pread64": "EIO", "read": "EINTR EIO short", "readv": "EINTR", "write": "EINTR ENOSPC EPIPE short", "writev": "EINTR EPIPE short",
    "recvfrom": "EINTR ENOMEM ECONNRESET", "recvmsg": "EINTR ENOMEM", "shutdown": "ENOTCONN",
    "sendto": "EINTR ENOBUFS EPIPE EAGAIN short", "sendmsg": "EINTR ENOBUFS EPIPE EAGAIN",
    "wait4": "EINTR",
}
# Refused for as long as it is asked for.
LASTING = ["accept4 EMFILE", "clone EAGAIN", "memfd_create EMFILE", "mkdirat ENOSPC", "mmap ENOMEM", "mount ENOSPC", "openat EMFILE",
           "pipe2 EMFILE", "socketpair EMFILE", "unshare ENOSPC", "recvmsg ENOMEM"]
FOREVER = 1_000_000
# fcntl where it makes descriptors; elsewhere it sets flags of one that is there. wait4 where it blocks.
ONLY = {"fcntl": ("launch", "flavour"), "wait4": ("server", "zygote", "fork", "flavour")}
# Each step of a life can be its last one, or one that never ends.
DIES = {"start": ("server", "zygote", "fork", "worker"), "grow": ("flavour",), "serve": ("server", "zygote", "flavour", "fork", "worker"),
        "reload": ("launch", "zygote", "flavour", "fork"), "drain": ("server", "zygote")}
STOPS = {"serve": ("fork", "worker")}
PHASES = {
    "start": ("manager", "launch", "loader", "server", "zygote", "fork", "worker"),
    "grow": ("flavour",),  # a start with something to preload
    "serve": ("manager", "server", "zygote", "fork", "worker", "flavour"),
    "reload": ("manager", "launch", "server", "zygote", "fork", "flavour"),
    "drain": ("manager", "server", "zygote"),
}


@dataclass(frozen=True)
class Case:
    phase: str
    role: str
    call: str
    action: str  # as inject.c takes it
    nth: int = 1
    times: int = 1

    @property
    def fault(self):
        kind, _, number = self.action.partition(":")
        name = errno.errorcode[int(number)] if number else kind
        return f"after:{name}" if kind == "after" else name

    def __str__(self):
        return f"{self.phase}:{self.role}:{self.call}:{self.fault}@{'all' if self.times == FOREVER else self.nth}"


def action_of(word):
    """EINTR is error:4, after:EINTR is after:4."""
    kind, _, name = word.rpartition(":")
    return f"{kind or 'error'}:{getattr(errno, name)}" if name.startswith("E") else word


def spread(count, most):
    """Numbers of occurrences, the first and the last among them."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)}) if most > 1 else [1]


def cases_of(phase, census, most=5):
    """`census`: {(role, call): count} of that phase."""
    for (role, call), count in sorted(census.items()):
        if role not in PHASES[phase] or role not in ONLY.get(call, (role,)):
            continue
        for at, word in enumerate(ERRORS.get(call, "").split()):
            for nth in spread(count, most if at == 0 else min(most, 2)):
                yield Case(phase, role, call, action_of(word), nth)
        for word in (line.split()[1] for line in LASTING if line.split()[0] == call):
            yield Case(phase, role, call, action_of(word), 1, FOREVER)
        if role in DIES.get(phase, ()):
            yield from (Case(phase, role, call, "kill", nth) for nth in spread(count, min(most, 2)))
        if role in STOPS.get(phase, ()):
            yield Case(phase, role, call, "stop")


def chosen(cases, words):
    """Those whose names have one of the words in them; all, where there are none."""
    return [case for case in cases if not words or any(word in str(case) for word in words)]


def left_out(census):
    """Calls that nothing is tried of."""
    return sorted({call for _, call in census} - set(ERRORS))


WORDS = os.environ.get("FAULTS", "").split()
