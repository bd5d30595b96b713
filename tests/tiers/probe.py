"""Says what the platform it runs on grants, as one line of JSON; run inside a tier, before the service.

Each call is made in a child of its own, since a granted one changes the process. Standard library only: in
the containers there is no more.
"""
import ctypes
import errno
import json
import os
import platform

LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
NR_SECCOMP, NR_PIDFD_OPEN, NR_CLONE3, NR_LANDLOCK_CREATE_RULESET = 317, 434, 435, 444


def called(function, *arguments):
    """The result of a libc function; -errno where it failed."""
    ctypes.set_errno(0)
    value = getattr(LIBC, function)(*arguments)
    return -ctypes.get_errno() if value == -1 else value


def unshare(flags):
    return called("unshare", flags)


def mount_tmpfs():
    return called("mount", b"none", b"/tmp", b"tmpfs", 0, None)


def mount_in_a_user_namespace():
    failed = unshare(NEWUSER | NEWNS)
    return failed or mount_tmpfs()


def write_to_the_root():
    try:
        os.mkdir("/written-by-the-probe")
        os.rmdir("/written-by-the-probe")
    except OSError as error:
        return -error.errno
    return 0


CALLS = {
    "unshare(NEWUSER)": lambda: unshare(NEWUSER),
    "unshare(all)": lambda: unshare(NEWUSER | NEWPID | NEWNS | NEWNET | NEWIPC | NEWUTS),
    "mount in it": mount_in_a_user_namespace,
    "unshare(NEWNS)": lambda: unshare(NEWNS),
    "unshare(NEWPID)": lambda: unshare(NEWPID),
    "unshare(NEWNET)": lambda: unshare(NEWNET),
    "mount": mount_tmpfs,
    "chroot": lambda: called("chroot", b"/"),
    "setresuid": lambda: called("setresuid", 65534, 65534, 65534),
    "write to /": write_to_the_root,
    # Of these the arguments are wrong: what looks at them is there.
    "clone3": lambda: called("syscall", NR_CLONE3, None, 0),
    "pidfd_open": lambda: called("syscall", NR_PIDFD_OPEN, os.getpid(), 0),
    "landlock": lambda: called("syscall", NR_LANDLOCK_CREATE_RULESET, None, 0, 1),
    # SECCOMP_SET_MODE_FILTER of nothing: EFAULT where filters are to be had.
    "seccomp filter": lambda: called("syscall", NR_SECCOMP, 1, 0, None),
}


ONLY_THERE = ("clone3", "pidfd_open", "landlock", "seccomp filter")


def word(name, value):
    if value >= 0 or name in ONLY_THERE and value in (-errno.EINVAL, -errno.EFAULT):
        return "ok"
    return errno.errorcode.get(-value, str(-value))


def in_a_child(name, call):
    """(word, value) of call() made in a child; Landlock's value is its ABI."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, str(call()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return (word(name, int(text)), int(text)) if text else ("killed", 0)


def status():
    with open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {key: lines.get(key, "?").lstrip("0") or "0" for key in ("CapEff", "NoNewPrivs", "Seccomp")}


def main():
    found = {"uid": os.getuid(), **status(), "kernel": platform.release(), "calls": {}}
    for name, call in CALLS.items():
        found["calls"][name], value = in_a_child(name, call)
        if name == "landlock":
            found["Landlock ABI"] = max(value, 0)
    print(json.dumps(found), flush=True)


main()
