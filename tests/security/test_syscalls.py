"""System calls that no script needs. Layer: seccomp, which must answer before the kernel's own code does,
whatever the arguments; hence a senseless call that ends in EFAULT or EINVAL counts as let through. Those below are the ones
that must never get through, by name; test_second_opinion.py makes every call there is, by the other tables too."""
import platform

import pytest
from attack import PRELUDE, assert_refused, attack

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")

REFUSED_CALLS = {
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
    "kcmp": 312, "pidfd_open": 434, "pidfd_getfd": 438, "pidfd_send_signal": 424, "process_madvise": 440, "process_mrelease": 448,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "unshare": 272, "setns": 308, "clone3": 435,
    "bpf": 321, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "userfaultfd": 323, "perf_event_open": 298,
    "keyctl": 250, "add_key": 248, "request_key": 249, "name_to_handle_at": 303, "open_by_handle_at": 304, "fanotify_init": 300,
    "inotify_init1": 294, "kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176,
    "iopl": 172, "ioperm": 173, "syslog": 103, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "sethostname": 170, "setdomainname": 171,
    "personality": 135, "modify_ldt": 154, "set_mempolicy": 238, "mbind": 237, "migrate_pages": 256, "move_pages": 279,
    "vmsplice": 278, "tee": 276, "splice": 275, "memfd_create": 319, "memfd_secret": 447, "remap_file_pages": 216, "uselib": 134,
    "lookup_dcookie": 212, "vhangup": 153, "nfsservctl": 180, "_sysctl": 156, "ustat": 136, "sysfs": 139, "capset": 126,
    "seccomp": 317, "landlock_create_ruleset": 444, "landlock_restrict_self": 446, "setuid": 105, "setgid": 106, "setreuid": 113,
    "setresuid": 117, "setresgid": 119, "setgroups": 116, "setfsuid": 122, "setpgid": 109, "setsid": 112, "shmget": 29, "shmat": 30,
    "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66, "msgget": 68, "msgsnd": 69, "msgctl": 71, "mq_open": 240, "mq_unlink": 241,
    "sched_setaffinity": 203, "sched_setscheduler": 144, "sched_setparam": 142, "sched_setattr": 314, "setpriority": 141,
    "ioprio_set": 251, "mknod": 133, "mknodat": 259, "timer_create": 222, "timerfd_create": 283, "signalfd4": 289,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "tkill": 200, "sendmsg": 46, "sendmmsg": 307, "bind": 49, "listen": 50,
    "accept": 43, "accept4": 288, "connect": 42, "setsockopt": 54, "socket": 41, "quotactl_fd": 443, "pkey_mprotect": 329,
    "setxattr": 188, "fsetxattr": 190, "chown": 92, "lchown": 94, "fchownat": 260,
}


def test_every_call_is_answered_by_the_filter(service):
    found = attack(service, f"calls = {REFUSED_CALLS!r}\ndef main(): return {{n: call(k, -1, -1, -1, -1, -1, -1) for n, k in calls.items()}}")
    assert_refused(found)
    service.assert_well()


def test_clone_only_makes_threads(service):
    flags = {
        "SIGCHLD": 17, "VM|VFORK": 0x4111, "PARENT": 0x8011, "NEWUSER": 0x10000011, "NEWPID": 0x20000011, "NEWNS": 0x20011,
        "NEWNET": 0x40000011, "THREAD without SYSVSEM": 0x10F00 | 0x80000, "PIDFD": 0x1011, "UNTRACED thread": 0x3D0F00 | 0x800000,
        "thread in a new user namespace": 0x3D0F00 | 0x10000000,
    }
    found = attack(service, f"flags = {flags!r}\ndef main(): return {{n: call(56, f, 0, 0, 0, 0) for n, f in flags.items()}}")
    assert_refused(found)


def test_arguments_with_rubbish_in_the_upper_half(service):
    """A filter that compares 32 bits while the kernel takes 64, or the reverse (CVE-2019-10063)."""
    found = attack(
        service,
        "high = 1 << 32\ndef main(): return {\n"
        " 'socketpair inet': call(53, 2 | high, 1, 0, ctypes.create_string_buffer(8)), 'TIOCSTI': call(16, 0, 0x5412 | high, ctypes.c_char_p(b'x')),\n"
        " 'TIOCLINUX': call(16, 0, 0x541c | high, 0), 'SETOWN': call(72, 1, 8 | high, 1), 'prctl': call(157, 4 | high, 1, 0, 0, 0)}",
    )
    assert_refused(found)


def test_ioctls(service):
    """File system and terminal requests are kernel surface, and some outlive the run."""
    requests = {
        "FS_IOC_SETFLAGS": 0x40086602, "FIFREEZE": 0xC0045877, "FITRIM": 0xC0185879, "TIOCSTI": 0x5412, "TIOCSCTTY": 0x540E,
        "SIOCGIFCONF": 0x8912, "FIONREAD|high": 0x541B0000, "FS_IOC_GETFLAGS": 0x80086601, "FICLONE": 0x40049409, "FIBMAP": 1,
    }
    found = attack(
        service,
        f"requests = {requests!r}\nimport socket\ndef main():\n    f = os.open('/tmp/x', os.O_RDWR | os.O_CREAT)\n"
        "    a, b = socket.socketpair()\n    buf = ctypes.create_string_buffer(256)\n"
        "    return {n: call(16, a.fileno() if 'SIOC' in n else f, r, buf) for n, r in requests.items()}",
    )
    assert_refused(found)


def test_fcntl_commands_that_reach_others(service):
    """Leases delay other openers, owners aim signals, pipe sizes and seals use up shared kernel memory."""
    commands = {"SETLEASE": 1024, "NOTIFY": 1026, "SETOWN": 8, "SETSIG": 10, "SETPIPE_SZ": 1031, "ADD_SEALS": 1033, "SETOWN_EX": 15, "SET_RW_HINT": 1036}
    assert_refused(attack(service, f"commands = {commands!r}\ndef main(): return {{n: call(72, 1, c, 0) for n, c in commands.items()}}"))


def test_prctl(service):
    options = {"SET_PDEATHSIG": 1, "SET_DUMPABLE": 4, "SET_KEEPCAPS": 8, "SET_SECCOMP": 22, "CAPBSET_DROP": 24, "SET_SECUREBITS": 28,
               "SET_MM": 35, "SET_CHILD_SUBREAPER": 36, "SET_NO_NEW_PRIVS": 38, "CAP_AMBIENT": 47, "SET_PTRACER": 0x59616D61, "SET_TIMERSLACK": 29}
    assert_refused(attack(service, f"options = {options!r}\ndef main(): return {{n: call(157, o, 1, 0, 0, 0) for n, o in options.items()}}"))


def test_new_threads_have_the_filter_too(service):
    """A filter is a thread's; one that is installed late must reach them all."""
    script = (
        "import threading\ndef main():\n    found = {}\n    def work(n): found[n] = call(57)\n"
        "    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]\n"
        "    for t in threads: t.start()\n    for t in threads: t.join()\n    return found"
    )
    found = attack(service, script)
    assert len(found) == 4
    assert_refused(found)


def test_the_old_vsyscall_page(service):
    answer = service.run(PRELUDE + "def main(): return ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(0xffffffffff600000)(None) > 0")
    assert answer.status in (200, 500), answer
    service.assert_well()
