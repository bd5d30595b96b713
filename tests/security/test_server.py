"""The server, which is what the network reaches: what whoever takes it over through its HTTP parser finds.

Layers: an empty root, no capabilities, Landlock, and its own list of system calls (src/server/confine.c).
tests/unit/test_confine.c has the whole list of attempts; here it is the running service.
"""
import errno
import json
import os
import re
import signal
import socket

import pytest
from intruder import inside
from service import Background, order, read_proc, status_field, together, unsanitized, wait_until

AT_FDCWD = -100


def names_below(path):
    try:
        return os.listdir(path)
    except (FileNotFoundError, ProcessLookupError):  # the folder of a process that has ended
        return []


def seen(service):
    """Its process id, where the kernel lets us look behind it."""
    try:
        os.readlink(f"/proc/{service.server_pid}/root")
    except PermissionError:
        pytest.skip("to look into a server that is not dumpable takes CAP_SYS_PTRACE")
    return service.server_pid


def mappings(pid):
    """(range, rights, file) of every one."""
    return [(line.split()[0], line.split()[1], "".join(line.split()[5:6]))
            for line in read_proc(pid, "maps").decode().splitlines()]


def send(service, script):
    body = order(script)
    connection = socket.create_connection(("127.0.0.1", service.port))
    connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return connection


# --- What it is -------------------------------------------------------------------------------------


def test_it_says_what_it_has(service):
    said = re.search(r"^server: confined: (.*)$", service.log, re.M)
    assert said and {"seccomp", "identity"} <= set(said.group(1).split(", ")), service.log
    if os.geteuid() == 0:
        assert "chroot" in said.group(1).split(", "), service.log


def test_the_kernel_says_the_same(service):
    pid = service.server_pid
    assert status_field(pid, "Seccomp") == "2" and status_field(pid, "NoNewPrivs") == "1"
    assert status_field(pid, "Threads") == "1"
    sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"] + (["CapBnd"] if os.geteuid() == 0 else [])
    assert {name: int(status_field(pid, name), 16) for name in sets} == dict.fromkeys(sets, 0)
    assert status_field(pid, "Uid").split()[0] not in ("0", "65534")
    limits = read_proc(pid, "limits").decode()
    for name in ("Max core file size", "Max processes"):
        assert re.search(rf"^{name} +0 +0 ", limits, re.M), limits


def test_nobody_can_look_into_it(service):
    """Not dumpable: its folder in /proc is root's, though the process is not."""
    assert os.stat(f"/proc/{service.server_pid}/environ").st_uid == 0


def test_it_has_no_file_system(service):
    pid = seen(service)
    said = re.search(r"^server: confined: (.*)$", service.log, re.M).group(1).split(", ")
    if "chroot" in said:
        assert names_below(f"/proc/{pid}/root") == names_below(f"/proc/{pid}/cwd") == []
    assert "chroot" in said or "landlock" in said, said


def test_its_descriptors_lead_nowhere(service):
    pid = seen(service)
    service.assert_well()
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            continue
        if number == "2":
            assert target == service.log_path
        elif number in "01":
            assert target == "/dev/null"
        else:
            assert re.fullmatch(r"(socket|pipe):\[\d+\]|anon_inode:\[(eventpoll|eventfd)\]", target), (number, target)


@unsanitized
def test_no_page_is_both_written_and_run(service):
    service.assert_well()
    for place, rights, name in mappings(seen(service)):
        assert not ("w" in rights and "x" in rights), (place, rights, name)
        if "x" in rights:
            assert name.startswith("/") or name in ("[vdso]", "[vsyscall]"), (place, rights, name)


# --- What an intruder can do in it ------------------------------------------------------------------


def test_an_intruder_gets_no_answer_but_refusal(service):
    """The running server, with the code of an intruder in it."""
    before = service.server_pid
    with inside(before) as intruder:
        assert intruder.call("getppid") == -errno.EPERM  # not on the list: the list is on
        for name, *arguments in (
            ("open", b"/etc/passwd", os.O_RDONLY), ("open", b"/", os.O_RDONLY | os.O_DIRECTORY),
            ("openat", AT_FDCWD, b"/proc/self/environ", os.O_RDONLY), ("openat", 3, b"x", os.O_RDONLY),
            ("open", b"/tmp/intruder", os.O_WRONLY | os.O_CREAT, 0o600), ("mkdir", b"/tmp/intruder", 0o700), ("chroot", b"."),
            ("fork",), ("vfork",), ("clone", signal.SIGCHLD, 0, 0, 0, 0), ("clone3", 0, 64),
            ("kill", service.manager_pid, 0), ("kill", service.zygote_pid, signal.SIGKILL), ("kill", -1, 0),
            ("tgkill", service.manager_pid, service.manager_pid, signal.SIGABRT),
            ("socketpair", socket.AF_UNIX, socket.SOCK_DGRAM, 0, b"12345678"), ("memfd_create", b"x", 0),
            ("sendto", 4, b"x", 1, 0x20000000, b"\2\0\0\1\x7f\0\0\1", 16), ("prctl", 4, 1, 0, 0, 0), ("io_uring_setup", 8, b"\0" * 120),
        ):
            assert intruder.call(name, *arguments) in (-errno.EPERM, -errno.ENOSYS), (name, arguments)
    assert service.server_pid == before and not os.path.exists("/tmp/intruder")
    service.assert_well()


@unsanitized
@pytest.mark.parametrize("call", [
    ("execve", b"/bin/sh", 0, 0), ("socket", socket.AF_INET, socket.SOCK_STREAM, 0), ("connect", 4, b"\2\0\0\1\x7f\0\0\1", 16),
    ("ptrace", 0, 0, 0, 0), ("mmap", 0, 4096, 7, 0x22, -1, 0), ("unshare", 0x10000000),
], ids=lambda call: call[0])
def test_what_gives_an_intruder_away_ends_the_server(start, call):
    one = start()
    before = one.server_pid
    with inside(before) as intruder:
        assert intruder.call(*call) == "SIGSYS"
    assert wait_until(lambda: one.server_pid not in (None, before), 10)
    assert wait_until(lambda: "the server was killed by signal 31" in one.log, 5), one.log
    one.assert_well()
    assert one.log.count("server: confined: ") == 2


# --- What it needs for its work ---------------------------------------------------------------------


def test_it_lives_through_all_that_clients_do(start):
    """A call that the list forgot would show as a dead server or a wrong answer."""
    one = start("--workers=2", "--connections=64", "--log=debug")
    before = seen(one)
    executable = {entry for entry in mappings(before) if "x" in entry[1]}
    large = json.dumps({"script": "def main(): return 1", "x": "a" * (16 << 20)}).encode()[: 16 << 20]
    for _ in range(3):
        gone = [send(one, "import time\ndef main(): time.sleep(30)") for _ in range(3)]
        for connection in gone:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        assert one.post(large).status == 400  # cut off in the middle of a text, hence not JSON
        assert one.post(large + b"a").status == 413
        assert one.run(f"def main(): return 'x' * {4 << 20}", details=True).status == 200
        assert one.ask("GET", "/nowhere").status == 404
        statuses = together(*[lambda: one.run("def main():\n    print('x')\n    return 1").status for _ in range(20)])
        assert set(statuses) == {200}
    os.kill(one.zygote_pid, signal.SIGKILL)
    assert wait_until(lambda: one.run("def main(): return 1").status == 200, 10)
    crowd = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(80)]
    for connection in crowd:
        connection.close()
    one.assert_well()
    assert one.server_pid == before and "the server was" not in one.log, one.log
    assert {entry for entry in mappings(before) if "x" in entry[1]} == executable
    last = Background(one.run, "import time\ndef main():\n    time.sleep(1)\n    return 'drained'")
    one.wait_for_busy(1)
    one.process.send_signal(signal.SIGTERM)
    assert last.get().result == "drained"
    assert one.process.wait(10) == 0
    assert "the server was" not in one.log and "the server ended" not in one.log, one.log


def test_a_log_that_is_a_file_goes_on(start):
    """RLIMIT_FSIZE is 0 only where the log is none; a file here, as in every test."""
    one = start("--log=debug", "--connections=2", "--workers=1")
    crowd = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(8)]
    assert wait_until(lambda: re.search(r"^server: debug: .*limit", one.log, re.M), 5), one.log
    for connection in crowd:
        connection.close()
    one.assert_well()
