"""Which processes have threads: none of a service has, so nothing in it can race but by what processes share, which is
descriptors. `run` has some, that copy (src/cli/pump.c): make check-tsan looks at those."""
import os
import signal
import subprocess

from service import PROGRAM, status_field, together, wait_until

SCRIPT = "import time\ndef main():\n    time.sleep(0.05)\n    return 1"
ASLEEP = "import time\ndef main():\n    time.sleep(30)"


def threads_of(pids):
    """{pid: how many}, without those that have just ended."""
    counts = {pid: status_field(pid, "Threads") for pid in pids}
    return {pid: int(count) for pid, count in counts.items() if count}


def test_no_process_of_a_service_has_a_second_thread(start):
    service = start()
    zygotes = service.every_zygote()
    seen = []

    def load():
        for _ in range(5):
            assert service.run(SCRIPT).result == 1
            seen.append(threads_of(service.processes()))

    together(*[load] * 8)
    for counts in [*seen, threads_of(service.processes())]:
        assert {service.manager_pid, service.server_pid, *zygotes} <= set(counts)
        assert set(counts.values()) == {1}, counts


def test_a_run_has_threads_in_its_manager_alone(script):
    with subprocess.Popen([PROGRAM, "run", script(ASLEEP.encode())], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert wait_until(lambda: threads_of([run.pid]).get(run.pid, 0) > 1)
        children = [int(pid) for pid in open(f"/proc/{run.pid}/task/{run.pid}/children", encoding="ascii").read().split()]
        assert len(children) == 2 and set(threads_of(children).values()) == {1}, children
        run.send_signal(signal.SIGINT)
        run.stdin.close()
        assert run.wait(20) != 0
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]
