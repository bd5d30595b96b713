"""What the service occupies: what must be the same after a long run as before it, and what must be left nowhere."""
import os
import re
import time

import footprint
from service import IDS_PER_SERVICE, descriptor_count, read_proc, resident_kb, state_of, wait_until

GROUPS = "/sys/fs/cgroup"
PATIENCE = 30  # seconds until it is at rest; the machine may be busy with other things
# Pages that a process keeps for the next time of need are no leak: a twentieth and a megabyte are.
SHARE, SLACK_KB = 1.05, 1024


def zygotes(service):
    """{name as ps shows it: pid}"""
    pids = service.zygote_pids() + service.flavour_pids()
    return {read_proc(pid, "comm").decode().strip(): pid for pid in pids}


def parts(service):
    return {"manager": service.manager_pid, "server": service.server_pid, **zygotes(service)}


def with_own(kind, pids):
    """Those in a namespace that is the service's own: in the machine's there is what others have."""
    ours = os.readlink(f"/proc/self/ns/{kind}")
    return [pid for pid in pids if os.readlink(f"/proc/{pid}/ns/{kind}") != ours]


def mounts(pids):
    return sum(read_proc(pid, "mountinfo").count(b"\n") for pid in with_own("mnt", pids))


def counts(service):
    """Workers come and go: they count for nothing here, nor do the two descriptors that a zygote has for each."""
    workers, named = service.worker_pids(), parts(service)
    pids = set(service.processes()) - set(workers)
    held = {name: descriptor_count(pid) for name, pid in named.items()}
    family = {pid for pid, _ in footprint.tree(service.manager_pid)}
    return {
        "processes": len(pids), "zombies": sum(state_of(pid) == "Z" for pid in family),
        "descriptors of the manager": held.pop("manager"), "descriptors of the server": held.pop("server"),
        "descriptors of the zygotes": sum(held.values()) - 2 * len(workers),
        "mounts": mounts(named.values()), "System V objects": footprint.system_v(with_own("ipc", named.values())),
        "files in its folder": len(os.listdir(service.folder.name)),
    }


def memory(service):
    return {name: resident_kb(pid) for name, pid in parts(service).items()}


def at_rest(service, flavours):
    """Whether nothing runs, all that is preloaded is there, and nothing is being made or ends."""
    before = service.worker_pids(), counts(service)
    time.sleep(0.5)
    return before == (service.worker_pids(), counts(service)) and not service.busy_pids() and len(parts(service)) == 2 + flavours


def look(service, flavours, before=None):
    """Once it is at rest, and what it was before or the time is over: what there is, and what it has in memory."""
    wait_until(lambda: at_rest(service, flavours) and not (before and differences(before["counts"], counts(service))), PATIENCE, 0.2)
    return {"counts": counts(service), "memory": memory(service)}


def differences(before, after):
    return {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}


def grown(before, after):
    """The processes that have more memory than before by more than what is no leak; and those that are gone."""
    return {name: (kb, after.get(name)) for name, kb in before.items() if name not in after or after[name] > kb * SHARE + SLACK_KB}


def left(service, pids):
    """Files and control groups of its workers, and of its zygotes (`pids`: all that it ever had) that are dead."""
    found = []
    for top in [os.path.join("/", folder) for folder in footprint.FOLDERS] + [GROUPS]:
        for folder, folders, files in os.walk(top):
            for path in (os.path.join(folder, name) for name in folders + files):
                if is_left(service, pids, path):
                    found.append(path)
    return found


def is_left(service, pids, path):
    number = re.fullmatch(r"python-executor-(\d+)", os.path.basename(path))
    if number and int(number.group(1)) in pids:
        return state_of(int(number.group(1))) in ("", "Z")
    try:
        return service.uid_base <= os.lstat(path).st_uid < service.uid_base + IDS_PER_SERVICE
    except OSError:
        return False
