"""What a running service occupies: processes, zombies, descriptors, files, System V objects.

An attack must leave none of them behind. On the host it is looked at from outside, by the manager's pid; where
the tier's processes cannot be seen (gVisor) this file is run inside, for the same numbers.
"""
import glob
import json
import os
import subprocess
import sys
import time

FOLDERS = ("tmp", "var/tmp", "dev/shm", "dev/mqueue")
PATIENCE = 4  # seconds until what an attack left must be gone


def processes():
    """{parent: [(pid, state), …]} of all there are."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        children.setdefault(int(parent), []).append((int(text.split(" ", 1)[0]), state))
    return children


def tree(root):
    """[(pid, state), …] of a process and all below it."""
    children, found, todo = processes(), [], [(root, "?")]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one[0], [])
    return found


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def files(root):
    """Names at the top of the folders everybody may write to, and the number of files further down."""
    names, below = [], 0
    for folder in FOLDERS:
        top = os.path.join(root, folder)
        try:
            names += [f"/{folder}/{name}" for name in os.listdir(top)]
        except OSError:
            continue
        below += sum(len(inside) for path, _, inside in os.walk(top) if path != top)
    return names, below


def ipc_namespaces(pids):
    """One process of each IPC namespace that the given ones are in."""
    found = {}
    for pid in pids:
        try:
            found.setdefault(os.readlink(f"/proc/{pid}/ns/ipc"), pid)
        except OSError:
            continue
    return list(found.values())


def system_v(pids):
    """The System V objects in the IPC namespaces of the processes; /proc shows its reader's alone."""
    lists = [f"/proc/sysvipc/{kind}" for kind in ("shm", "sem", "msg")]
    count = 0
    for pid in ipc_namespaces(pids):
        shown = subprocess.run(["nsenter", f"--target={pid}", "--ipc", "cat", *lists], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, check=False).stdout
        count += sum("key" not in line for line in shown.splitlines())
    return count


def measure(pid):
    """The footprint of the service whose manager is `pid`; None where it is gone."""
    if not os.path.exists(f"/proc/{pid}"):
        return None
    everyone = tree(pid)
    parts = [pid] + [child for child, _ in processes().get(pid, [])]
    names, below = files(f"/proc/{pid}/root")
    return {"processes": len(everyone), "zombies": sum(state == "Z" for _, state in everyone),
            "descriptors": sum(map(descriptors, parts)), "names": names, "files": below, "system_v": system_v(parts)}


def grown(before, now):
    """What is there that was not, in words. Workers come and go: a few processes more or less are none."""
    if now is None:
        return "the manager is gone"
    why = []
    for key, slack in (("processes", 3), ("zombies", 1), ("descriptors", 12), ("files", 0), ("system_v", 0)):
        if now[key] > before[key] + slack:
            why.append(f"{key} {before[key]} -> {now[key]}")
    left = sorted(set(now["names"]) - set(before["names"]))
    if left:
        why.append("left: " + ", ".join(left[:4]))
    return "; ".join(why)


def settled(before, look):
    """grown() once it is over, or after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while True:
        why = grown(before, look())
        if not why or time.monotonic() > end:
            return why
        time.sleep(0.1)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
