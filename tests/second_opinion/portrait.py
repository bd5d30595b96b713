"""How a worker is confined, as /proc has it, in lines that are the same on every machine of a kind: portrait.py PID
prints it as JSON, by the pid of the service's manager. Looked at from outside, where a script cannot lie; where the
host does not see the tier's processes (gVisor) it runs in there, and has what is to be had. Standard library only.
"""
import json
import os
import re
import stat
import sys
import time

import footprint
import outside

PATIENCE = 10  # seconds until there is a worker that is ready


def read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def link(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def status(pid):
    return dict(line.split(":\t", 1) if ":\t" in line else (line, "") for line in read(pid, "status").splitlines())


def workers(manager):
    return [pid for pid, state in footprint.tree(manager) if state != "Z" and read(pid, "comm") == "worker\n"]


def is_ready(pid):
    """Idle, behind its last layer, and the rehearsal over: it sleeps, and has slept before."""
    return status(pid).get("Seccomp", "2") == "2" and status(pid).get("State", "").startswith("S") and link(pid, "fd/1") in ("", "/dev/null", "/null")


def ready_workers(manager):
    """Those that were ready twice, a moment apart."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        before = [pid for pid in workers(manager) if is_ready(pid)]
        time.sleep(0.5)
        found = [pid for pid in before if is_ready(pid)]
        if len(found) > 1:
            return sorted(found)
    return []


def plain(text):
    """Without what is another on each machine or in each run: versions, ids, random names."""
    text = re.sub(r"python3\.\d+", "python3.N", text)
    text = re.sub(r"/(x86_64|aarch64)-linux-gnu", "/MACHINE-linux-gnu", text)
    text = re.sub(r"python-executor-[A-Za-z0-9]+", "python-executor-X", text)
    text = re.sub(r"/[0-9]+-[0-9a-f]{16}", "/N-X", text)
    return re.sub(r"/tiers-[^/]+", "/X", text)


# --- The sections -----------------------------------------------------------------------------------


def mounts(pid, manager):
    """The mount table; one line where it is the service's own. Of what lies beneath a bind only its kind of place."""
    if link(pid, "ns/mnt") == link(manager, "ns/mnt"):
        return ["those of the service"]
    found = []
    for line in read(pid, "mountinfo").splitlines():
        before, behind = line.split(" - ")
        _, _, _, root, place, options = before.split()[:6]
        kind, source, more = behind.split(" ", 2)
        own = kind == "tmpfs" and root == "/"
        more = ",".join(word for word in more.split(",") if re.match("(size|nr_inodes|mode)=", word))
        what = f"tmpfs {source} {more}" if own else f"the host's {'' if root == place else root}"
        found.append(plain(f"{place} {options.replace(',relatime', '').replace(',noatime', '')}: {what}".strip()))
    return sorted(found)


def owner(number, ids):
    """An id in words: whose it is."""
    return ids.get(int(number), number if int(number) in (0, 65534) else "its own")


def identity(pid, manager):
    """Who it is, in which namespaces, with which switches."""
    fields, service = status(pid), status(manager)
    ids = {int(service["Uid"].split()[0]): "the service's", 0: "0"}
    found = [f"{name}: {' '.join(owner(number, ids) for number in fields.get(name, '').split()) or 'none'}" for name in ("Uid", "Gid", "Groups")]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Threads", "SigBlk", "CoreDumping"):
        found.append(f"{name}: {fields.get(name, 'not told')}")
    found.append(f"filters more than the service has: {int(fields.get('Seccomp_filters', 0)) - int(service.get('Seccomp_filters', 0))}")
    found.append(f"pid namespaces more than the service is in: {len(fields.get('NSpid', '').split()) - len(service.get('NSpid', '').split())}")
    for name in ("uid_map", "gid_map"):
        same = read(pid, name) == read(manager, name)
        rows = [line.split() for line in read(pid, name).splitlines()]
        found.append(f"{name}: " + ("that of the service" if same else ", ".join(f"{row[0]} is {owner(row[1], ids)}, {row[2]} long" for row in rows)))
    found.append(f"setgroups: {read(pid, 'setgroups').strip() or 'not told'}")
    found.append(f"its /proc belongs to: {owner(os.stat(f'/proc/{pid}/stat').st_uid, ids)}")
    found.append(f"oom_score_adj: {read(pid, 'oom_score_adj').strip()}")
    found.append(f"personality: {read(pid, 'personality').strip() or 'not told'}")
    found.append(f"root: {plain(link(pid, 'root')) or 'not told'}, in {plain(link(pid, 'cwd')) or 'not told'}")
    return found


def namespaces(pid, manager):
    found, others = [], [other for other in workers(manager) if other != pid]
    for name in outside.namespaces(pid):
        own = link(pid, f"ns/{name}")
        whose = "not told" if not own else "the service's" if own == link(manager, f"ns/{name}") else "the workers'" if any(
            own == link(other, f"ns/{name}") for other in others) else "its own"
        found.append(f"{name}: {whose}")
    for line in read(pid, "cgroup").splitlines():
        if "python-executor-" in line:
            number, names, path = line.split(":")
            found.append(plain(f"cgroup {names or 'version 2'}: .../{re.sub('worker-[0-9]+', 'worker-N', path[path.index('python-executor-'):])}"))
    return found


def limits(pid, manager):
    """Soft and hard; those that are as the service has them are the platform's."""
    mine, theirs = ({row[0]: row[1:3] for row in (re.split(r"\s{2,}", line) for line in read(one, "limits").splitlines()[1:])}
                    for one in (pid, manager))
    return [f"{name}: {'as the service' if value == theirs.get(name) else ' '.join(value)}" for name, value in mine.items()]


def descriptors(pid):
    found = []
    for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        target = link(pid, f"fd/{name}")
        mode = stat.S_IMODE(os.lstat(f"/proc/{pid}/fd/{name}").st_mode) >> 6
        found.append(f"{name}: {re.sub(r':.*', '', target)} {'r' if mode & 4 else ''}{'w' if mode & 2 else ''}")
    return found


def portrait(manager, pid):
    return {"mounts": mounts(pid, manager), "identity": identity(pid, manager), "namespaces": namespaces(pid, manager),
            "limits": limits(pid, manager), "descriptors": descriptors(pid)}


def look(manager):
    """The portrait of one ready worker, and that all of them look the same."""
    found = ready_workers(manager)
    if not found:
        return {"workers": ["none is ready"]}
    first, *others = [portrait(manager, pid) for pid in found]
    different = {name for other in others for name in first if other[name] != first[name]}
    return {"workers": [f"{name} is not the same for all of them" for name in sorted(different)] or ["all are the same"], **first}


if __name__ == "__main__":
    print(json.dumps(look(int(sys.argv[1]))))
