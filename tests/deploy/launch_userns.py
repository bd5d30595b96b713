"""launch_userns.py CAPABILITY,… COMMAND…: runs it as root of a user namespace of its own, as a container runtime starts a pod with
hostUsers: false: 65536 ids mapped, new namespaces, of capabilities the named ones alone, no_new_privs. Needs root."""
import ctypes
import os
import subprocess
import sys

NAMES = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST "
         "NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
         "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM "
         "BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
IDS = "0 300000 65536"

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def become(kept, command):
    """In the new namespaces, as process 1."""
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    for number, name in enumerate(NAMES):
        if name not in kept:
            call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execvp(command[0], command)


def main(kept, *command):
    unshared, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)
        os.write(unshared[1], b".")
        os.read(mapped[0], 1)
        os.setgid(0)
        os.setuid(0)
        first = os.fork()
        if first == 0:
            become(kept.split(","), command)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
    os.close(unshared[1])
    os.read(unshared[0], 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
            file.write(IDS)
    os.write(mapped[1], b".")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
