"""New processes, other processes, and the process itself. Layers: seccomp (no fork, no exec, signals to
oneself only), the pid namespace under it, the identity under that."""
import os
import time

import pytest
from attack import assert_refused, attack
from service import Background

MAKERS = {
    "os.fork": "os.fork", "os.forkpty": "os.forkpty", "pty.fork": "__import__('pty').fork", "os.system": "lambda: os.system('exit 7')",
    "os.popen": "lambda: os.popen('echo hi').read() or 1/0", "subprocess": "lambda: __import__('subprocess').run(['/usr/bin/true'])",
    "a shell": "lambda: __import__('subprocess').check_output('id', shell=True)", "posix_spawn": "lambda: os.posix_spawn('/usr/bin/true', ['true'], {})",
    "spawnv": "lambda: (lambda s: s if s == 0 else 1/0)(os.spawnv(os.P_WAIT, '/usr/bin/true', ['true']))", "execv": "lambda: os.execv('/usr/bin/true', ['true'])",
    "execve of its own file": "lambda: os.execve('/tmp/x', ['x'], {})", "fexecve": "lambda: os.execve(os.open('/etc/passwd', 0), ['x'], {})",
    "multiprocessing": "lambda: (lambda p: (p.start(), p.join()))(__import__('multiprocessing').Process(target=print))",
    "a process pool": "lambda: list(__import__('concurrent.futures').futures.ProcessPoolExecutor(1).map(abs, [1]))",
    "libc.fork": "lambda: (lambda r: r if r >= 0 else 1/0)(libc.fork())", "libc.vfork": "lambda: (lambda r: r if r >= 0 else 1/0)(libc.vfork())",
    "libc.system": "lambda: (lambda r: r if r == 0 else 1/0)(libc.system(b'exit 0'))", "libc.popen": "lambda: libc.popen(b'true', b'r') or 1/0",
    "libc.daemon": "lambda: (lambda r: r if r == 0 else 1/0)(libc.daemon(0, 0))",
}


@pytest.mark.parametrize("how", MAKERS)
def test_no_process_can_be_made(service, how):
    """Layer: seccomp. RLIMIT_NPROC and the pid namespace are behind it."""
    script = f"def main():\n    r = attempt({MAKERS[how]})\n    return [r, os.getpid()]"
    found, _ = attack(service, script)
    if how == "os.system":  # it reports what became of the shell
        assert found != "reached: 1792"
    else:
        assert not found.startswith("reached"), found
    service.assert_well()


def test_a_fork_bomb_is_a_handful_of_errors(service):
    found = attack(service, "def main():\n    made = 0\n    for _ in range(10000):\n        try: os.fork(); made += 1\n        except OSError: pass\n    return made")
    assert found == 0


@pytest.mark.parametrize("sign", ["0", "SIGTERM", "SIGKILL", "SIGSTOP"])
def test_other_processes_cannot_be_signalled(start, sign):
    """Layer: seccomp, which knows the worker's own number; the pid namespace; separate user ids."""
    one = start()
    before = [one.server_pid, one.zygote_pid, one.manager_pid]
    pids = [0, -1, -2, 2, 3, os.getppid(), *before, *one.ready_pids()]
    script = (
        f"import signal\ndef main():\n    me = os.getpid()\n    found = {{}}\n    for p in [os.getppid(), *range(2, 400), *{pids!r}]:\n"
        f"        if p == me or -p == me: continue\n        found[str(p)] = attempt(os.kill, p, {'0' if sign == '0' else 'signal.' + sign})\n"
        f"        found[f'tgkill {{p}}'] = call(234, p, p, 9)\n        found[f'tkill {{p}}'] = call(200, p, 9)\n    return found"
    )
    found = attack(one, script)
    # 0, its own group and process 1 are the worker itself, where it is process 1 of a namespace.
    assert_refused({k: v for k, v in found.items() if k.split()[-1] not in ("0", "1")}, {"EPERM", "EACCES", "ESRCH", "EINVAL", "ENOSYS"})
    assert [one.server_pid, one.zygote_pid, one.manager_pid] == before
    one.assert_well()


def test_other_processes_cannot_be_read_or_changed(start):
    """Layer: seccomp (ptrace, process_vm_*, prlimit64 with a pid, priorities, affinity, pidfd)."""
    one = start()
    pids = [one.server_pid, one.zygote_pid, one.manager_pid, 2, one.ready_pids()[0]]
    script = f"""
def main():
    found = {{}}
    for p in {pids!r}:
        for request in (0, 2, 16, 0x4206): found[f"ptrace {{request}} {{p}}"] = call(101, request, p, 0, 0)
        found[f"process_vm_readv {{p}}"] = call(310, p, 0, 0, 0, 0, 0)
        found[f"prlimit {{p}}"] = call(302, p, 7, 0, ctypes.create_string_buffer(16))
        found[f"setpriority {{p}}"] = call(141, 0, p, 19)
        found[f"affinity {{p}}"] = call(203, p, 8, ctypes.create_string_buffer(b"\\1" + bytes(7)))
        found[f"scheduler {{p}}"] = call(144, p, 3, ctypes.create_string_buffer(4))
        found[f"pidfd_open {{p}}"] = call(434, p, 0)
        found[f"kcmp {{p}}"] = call(312, p, p, 0, 0, 0)
        found[f"setpgid {{p}}"] = call(109, p, 0)
    found["setpriority of the user"] = call(141, 2, 0, 19)
    found["nice"] = attempt(os.nice, -5)
    return found
"""
    found = attack(one, script)
    assert_refused(found)
    one.assert_well()


def test_it_cannot_make_itself_more_important(service):
    """Layer: seccomp, RLIMIT_RTPRIO and RLIMIT_NICE."""
    script = """
def main():
    return {"real time": attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)), "nice": attempt(os.setpriority, os.PRIO_PROCESS, 0, -10),
            "affinity": attempt(os.sched_setaffinity, 0, [0]), "oom": attempt(open, "/proc/self/oom_score_adj", "w"), "ioprio": call(251, 1, 0, 0)}
"""
    assert_refused(attack(service, script), {"EPERM", "EACCES", "ENOSYS", "ENOENT"})


def test_the_kernel_is_told_to_choose_workers_first(start):
    """Layer: oom_score_adj, set from outside."""
    one = start()
    for pid in one.ready_pids():
        with open(f"/proc/{pid}/oom_score_adj") as file:
            assert int(file.read()) > 0


def test_tracing_oneself_does_not_confuse_the_judge(service):
    """Layer: seccomp. A traced child stops instead of dying, and a careless waitpid() takes that for an end."""
    assert_refused({"traceme": attack(service, "def main(): return call(101, 0, 0, 0, 0)")})


def test_a_worker_is_used_once(service):
    """What a run leaves in its process is of no use to it the next time."""
    stamp = "import os, ctypes\nmine = ctypes.create_string_buffer(b'stamp')\ndef main(): return [ctypes.addressof(mine), ctypes.string_at(ctypes.addressof(mine))[:5].decode()]"
    address, _ = service.result(stamp)
    answer = service.run(f"import ctypes\ndef main(): return ctypes.string_at({address}, 5) == b'stamp' and False")
    assert answer.status in (200, 500)


def test_a_worker_that_left_its_session_still_ends(start):
    """The deadline is a SIGKILL to the process, not to a group or a session it could leave."""
    one = start("--wall-ms=700")
    answer = one.run("import os, time\ndef main():\n    for f in (os.setsid, os.setpgrp):\n        try: f()\n        except OSError: pass\n    time.sleep(9)")
    assert answer.outcome == "timeout"
    time.sleep(0.2)
    assert not one.busy_pids()


def test_a_forged_frame_is_checked(service):
    """Layer: the server, which believes nothing a worker writes. Descriptor 3 leads to it."""
    head = "import os, struct\ndef frame(kind, body): os.write(3, struct.pack('<II', kind, len(body)) + body)\n"
    cases = {
        "not JSON": "frame(2, b'{nonsense')", "NaN": "frame(2, b'NaN')", "two values": "frame(2, b'1 2')", "a forged envelope": "frame(2, b'1, \"stdout\": \"x\"')",
        "not UTF-8": "frame(2, b'\"\\xff\"')", "4 GiB": "os.write(3, struct.pack('<II', 2, 0xffffffff))", "unknown kind": "frame(99, b'1')",
        "a job": "frame(1, b'x' * 100)", "rubbish": "os.write(3, os.urandom(1000))", "half a head": "os.write(3, b'\\2')", "deep": "frame(2, b'[' * 100000 + b']' * 100000)",
    }
    for what, write in cases.items():
        answer = service.run(head + f"def main():\n    {write}\n    os._exit(0)")
        assert answer.status in (400, 500), (what, answer)
        assert set(answer.json) == {"error"}, (what, answer)
        service.assert_well()
    # A frame of the right shape is the script's own answer, sent early; it harms nobody.
    assert service.run(head + "def main():\n    frame(2, b'5')\n    os._exit(0)").status in (200, 500)
    flood = service.run(head + "def main():\n    frame(2, b'1')\n    while True: frame(2, b'2' * 60000)")
    assert flood.status in (200, 500) and flood.seconds < 9
    service.assert_well()


def test_closing_every_descriptor(service):
    answer = service.run("import os\ndef main():\n    os.closerange(0, 256)\n    return 1")
    assert (answer.status, answer.outcome) == (500, "exited")
    service.assert_well()


def test_the_answer_socket_put_over_the_output(service):
    answer = service.run("import os\ndef main():\n    os.dup2(3, 1); print('into the frames' * 100); os.dup2(1, 3)\n    return 1")
    assert answer.status in (200, 400, 500)
    service.assert_well()


def test_stopped_workers_do_not_pile_up(start):
    one = start("--workers=2", "--wall-ms=800")
    calls = [Background(one.run, "import os, signal\ndef main():\n    os.kill(os.getpid(), signal.SIGSTOP)\n    import time; time.sleep(9)") for _ in range(6)]
    assert {call.get().outcome for call in calls} == {"timeout"}
    assert not one.busy_pids()
