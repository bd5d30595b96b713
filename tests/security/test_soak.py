"""Many runs of every kind, and at the end the service is what it was near the beginning."""
from service import descriptor_count, resident_kb, together, unsanitized, wait_until
from test_neighbours import MIXED

FIRST, ALL, CLIENTS = 300, 1500, 4


def sizes(service):
    """The zygote has a descriptor for each idle worker, of which a burst leaves a few more than asked for."""
    pids = {"manager": service.manager_pid, "server": service.server_pid, "zygote": service.zygote_pid}
    found = {name: (resident_kb(pid), descriptor_count(pid)) for name, pid in pids.items()}
    memory, descriptors = found["zygote"]
    return {**found, "zygote": (memory, descriptors - len(service.worker_pids()))}


def run_mixed(service, count):
    def work(first):
        return [service.run(MIXED[i % len(MIXED)], details=i % 3 == 0).status for i in range(first, count, CLIENTS)]

    statuses = [status for many in together(*[lambda n=n: work(n) for n in range(CLIENTS)]) for status in many]
    assert len(statuses) == count and set(statuses) <= {200, 400, 500}


@unsanitized
def test_memory_and_descriptors_do_not_grow(start):
    one = start()
    crew = len(one.worker_pids()) or 1
    run_mixed(one, FIRST)
    wait_until(lambda: not one.busy_pids() and len(one.worker_pids()) >= crew, 5)
    before = sizes(one)
    pids = (one.server_pid, one.zygote_pid)
    run_mixed(one, ALL - FIRST)
    assert (one.server_pid, one.zygote_pid) == pids, "one of them died on the way"

    def settled():
        after = sizes(one)
        # A page here and there is noise in a process of a megabyte, hence the half megabyte; a worker that
        # is just ending is counted but has no descriptor, hence the two.
        return all(
            after[name][0] <= before[name][0] * 1.05 + 512 and after[name][1] <= before[name][1] + 2 for name in before
        )

    assert wait_until(settled, 5), (before, sizes(one))
    one.assert_well()
