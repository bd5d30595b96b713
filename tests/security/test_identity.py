"""Who a script is, and what it may learn of the machine. Layers: user namespace and dropped capabilities;
what is visible of the host: UTS namespace, no /proc, no /sys."""
import os
import re
import socket

from attack import PRELUDE, assert_refused, attack
from service import SECRET, SECRET_NAME, read_proc, status_field, unsanitized, wait_until


def test_uid_and_gid(service):
    assert service.result("import os\ndef main(): return [os.getresuid(), os.getresgid(), os.getgroups()]") == [[65534] * 3, [65534] * 3, []]


def test_nobody_else_can_be_become(service):
    """Layer: no capabilities, seccomp."""
    script = """
def main():
    found = {}
    for n in (0, 1, 1000, 65000, 65534):
        for f in (os.setuid, os.setgid, os.seteuid, os.setegid, os.setgroups):
            found[f"{f.__name__} {n}"] = attempt(f, [n] if f is os.setgroups else n)
        found[f"setresuid {n}"] = attempt(os.setresuid, n, n, n)
    return found
"""
    assert_refused(attack(service, script))


def test_no_capability_in_any_set_and_the_switches_are_on(service):
    """Looked at from outside, where a script cannot lie."""
    for pid in service.ready_pids():
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status_field(pid, name), 16) == 0, (name, status_field(pid, name))
        assert status_field(pid, "NoNewPrivs") == "1"
        assert status_field(pid, "Seccomp") == "2"
        assert status_field(pid, "Threads") == "1"
        assert status_field(pid, "Groups").strip() in ("", "65534")


def test_capabilities_as_the_script_sees_them(service):
    script = """
def main():
    head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    got = call(125, head, data)
    bounding = [n for n in range(41) if libc.prctl(23, n, 0, 0, 0) == 1]
    return [got if not got.startswith("reached") else list(data), bounding, libc.prctl(39, 0, 0, 0, 0)]
"""
    got, bounding, no_new_privileges = attack(service, script)
    assert got == [0] * 6 or got == "EPERM"
    assert bounding == [] and no_new_privileges == 1


def test_each_worker_is_a_user_of_its_own(service):
    """RLIMIT_NPROC counts by user, and signals go between processes of one user."""
    assert wait_until(lambda: len(service.ready_pids()) >= 2, 10)
    uids = [status_field(pid, "Uid").split()[0] for pid in service.ready_pids()]
    assert len(uids) >= 2 and len(set(uids)) == len(uids)
    server = status_field(service.server_pid, "Uid").split()
    assert "0" not in uids and server[0] not in uids


def test_the_server_is_nobody_special(service):
    """It holds clients' scripts and reads hostile bytes: an own user without capabilities, not 65534."""
    pid = service.server_pid
    assert status_field(pid, "Uid").split() == [str(service.uid_base)] * 4
    assert status_field(pid, "Gid").split() == [str(service.uid_base)] * 4
    assert int(status_field(pid, "CapEff"), 16) == int(status_field(pid, "CapPrm"), 16) == int(status_field(pid, "CapBnd"), 16) == 0
    assert status_field(pid, "NoNewPrivs") == "1"
    assert status_field(pid, "Groups").strip() == ""


def test_the_children_have_nothing_of_the_operators_environment(service):
    for pid in [service.server_pid, service.zygote_pid, *service.ready_pids()]:
        environment = read_proc(pid, "environ")
        assert SECRET.encode() not in environment and SECRET_NAME.encode() not in environment
    assert SECRET.encode() in read_proc(service.manager_pid, "environ"), "the test itself is broken"


@unsanitized
def test_the_secret_is_in_no_memory_of_a_worker(service):
    """Read from outside, every readable page: a script could find what is there."""
    pid = service.ready_pids()[0]
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if "r" not in line.split()[1] or "[v" in line:
                continue
            try:
                memory.seek(low)
                assert SECRET.encode() not in memory.read(high - low), line
            except (OSError, ValueError):
                continue


def test_descriptors_of_workers_from_outside(service):
    for pid in service.ready_pids():
        open_ones = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        assert open_ones == {0, 1, 2, 3}, open_ones


def test_the_name_of_the_machine(service):
    """Layer: UTS namespace."""
    names = service.result("import os, platform, socket\ndef main(): return [os.uname().nodename, socket.gethostname(), platform.node()]")
    assert len(set(names)) == 1
    assert names[0] != socket.gethostname(), "the host's name is visible"


def test_no_way_to_the_kernels_tables(service):
    paths = ["/proc", "/sys", "/proc/self/status", "/proc/meminfo", "/proc/cpuinfo", "/proc/net/tcp", "/sys/class/net", "/proc/kallsyms", "/dev/mem"]
    found = attack(service, f"def main(): return {{p: attempt(os.stat, p) for p in {paths!r}}}")
    assert_refused(found, {"ENOENT", "EACCES", "EPERM"})


def test_the_arguments_say_nothing_secret(service):
    script = PRELUDE + "import sys\ndef main(): return [sys.argv, sys.orig_argv, sys.executable, sys.prefix]"
    text = str(service.result(script))
    assert SECRET not in text and not re.search(r"/(home|root|build)", text), text


def test_manager_and_zygote_hold_what_making_workers_takes(service):
    """chown, dac_override, fowner, kill, setgid, setuid, setpcap, sys_chroot, sys_admin, sys_nice, sys_time, mknod, setfcap."""
    kept = 0x8AA401EB
    for pid in [service.manager_pid, *service.zygote_pids()]:
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status_field(pid, name), 16) & ~kept == 0, (pid, name, status_field(pid, name))
        assert status_field(pid, "NoNewPrivs") == "1"
