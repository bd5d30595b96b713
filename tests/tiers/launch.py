"""Runs a program on the host under the conditions of a tier: launch.py [--user UID] [--refuse] FOLDER PROGRAM…

Started as root. The program gets a mount namespace of its own with an empty /tmp, /var/tmp and /dev/shm, and
an empty IPC namespace, so that whatever it leaves there is its own; and FOLDER as /srv, since an ordinary user
may be kept out of the folder that this clone lies in. `--user` makes it an ordinary user without capabilities.
`--refuse` has the kernel refuse it user namespaces: the limit is per user namespace, so it is set in one that
maps every id to itself, and the rest of the machine keeps its own.
"""
import argparse
import ctypes
import os
import signal
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWIPC, NEWUSER = 0x20000, 0x8000000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
ALL_IDS = "0 0 4294967295"


def check(value, what):
    if value == -1:
        error = ctypes.get_errno()
        sys.exit(f"launch: {what}: {os.strerror(error)}")


def mount(source, target, kind, flags, options=None):
    check(LIBC.mount(source.encode(), target.encode(), kind, flags, options), f"mount on {target}")


def map_all_ids(pid, unshared):
    """Runs in a child that stayed outside, whose capabilities count for the maps."""
    os.read(unshared, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
            file.write(ALL_IDS)


def enter_user_namespace():
    reader, writer = os.pipe()
    parent, child = os.getpid(), os.fork()
    if child == 0:
        try:
            map_all_ids(parent, reader)
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    check(LIBC.unshare(NEWUSER), "unshare(CLONE_NEWUSER)")
    os.write(writer, b"x")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        sys.exit(f"launch: the id map: {os.strerror(code)}")


def refuse_user_namespaces():
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
        file.write("0")


def private_folders(folder):
    check(LIBC.unshare(NEWNS | NEWIPC), "unshare(CLONE_NEWNS | CLONE_NEWIPC)")
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount(folder, "/srv", None, MS_BIND)
    for path in ("/tmp", "/var/tmp", "/dev/shm"):
        mount("tmpfs", path, b"tmpfs", 0, b"mode=1777")


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", type=int)
    parser.add_argument("--refuse", action="store_true")
    parser.add_argument("folder")
    parser.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.refuse:
        enter_user_namespace()
        refuse_user_namespaces()
    private_folders(options.folder)
    os.chdir("/")
    if options.user:
        become(options.user)
    check(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl(PR_SET_PDEATHSIG)")
    os.execv(options.program[0], options.program)


main()
