#!/usr/bin/python3
"""Runs a command as an ordinary user on a platform that grants no user namespaces: launch_poorly.py UID COMMAND ...

Root makes a user namespace in which every id means itself, and says in there that it may hold no further ones: the
sysctl is each namespace's own, so the machine stays as it is. The command keeps this process's id.
"""
import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_NO_NEW_PRIVS = 38


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def map_parent(go):
    """By a child that stays outside, where the right to map is."""
    parent = os.getppid()
    os.read(go, 1)
    for name in ("uid_map", "gid_map"):
        write(f"/proc/{parent}/{name}", "0 0 4294967295")
    os._exit(0)


def main():
    uid, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    go, begin = os.pipe()
    helper = os.fork()
    if helper == 0:
        map_parent(go)
    if libc.unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
    os.write(begin, b"x")
    if os.waitpid(helper, 0)[1] != 0:
        sys.exit("the ids could not be mapped")
    write("/proc/sys/user/max_user_namespaces", "0")
    os.setgroups([])
    os.setresgid(int(uid), int(uid), int(uid))
    os.setresuid(int(uid), int(uid), int(uid))
    os.chdir("/")
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execv(command[0], command)


main()
