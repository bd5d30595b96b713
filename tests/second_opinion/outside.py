"""What must be as it was after an attack, looked at from outside: files, mounts, processes, IPC, keys, control groups,
sockets, the clock, names, sysctls, modules, interfaces. `outside.py PID [lay]` prints a look as JSON, by the pid of the
service's manager; `lay` puts out bait before. On the host it is called as a module; where the tier's processes are
not the host's (gVisor) it is run in there. Standard library only.
"""
import ctypes
import glob
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import time

import footprint

BAIT = "second-opinion"  # files that everybody may write to, in the folders that everybody may write to
BAIT_FOLDERS = ("tmp", "var/tmp", "dev/shm")
# Of the root file system: all below the first, two levels of the others.
WATCHED, GLANCED_AT = ("etc", "srv"), ("", "usr", "usr/lib", "usr/local/lib", "usr/bin", "boot")
UIDS = 2100  # the server's and the workers', from the lowest on
VOLATILE = re.compile(
    r"random/(uuid|boot_id|entropy_avail)|dentry-state|inode-(nr|state)|file-nr|ns_last_pid|pty/nr|aio-nr|conntrack_count|"
    r"usage|sched_domain|fs/(quota|epoll|binfmt_misc)|net/|perf_event_max_sample_rate|hung_task_detect_count|tainted_by")
STATUS = ("Name", "Umask", "Uid", "Gid", "Groups", "TracerPid", "PPid", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd",
          "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Cpus_allowed", "Mems_allowed", "CoreDumping")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20).decode(errors="replace")
    except OSError:
        return ""


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


# --- Files ------------------------------------------------------------------------------------------


def lay_bait(root):
    """In the tier's own folders, so that whatever happens to it was done from there."""
    for folder in BAIT_FOLDERS:
        top = os.path.join(root, folder, BAIT)
        try:
            os.makedirs(top, exist_ok=True)
            os.chmod(top, 0o777)
            for name, mode in (("public", 0o666), ("private", 0o600), ("program", 0o4755)):
                with open(os.path.join(top, name), "w", encoding="ascii") as file:
                    file.write(f"bait {name}\n")
                os.chmod(file.name, mode)
        except OSError:
            continue  # a read-only root has no such folder


def facts(path):
    """What changes with a file; of small ones the content as well. Not the time of access."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    found = [stat.filemode(info.st_mode), info.st_uid, info.st_gid, info.st_nlink, info.st_ino]
    if stat.S_ISLNK(info.st_mode):
        return [*found, link(path)]
    if stat.S_ISREG(info.st_mode):
        found += [info.st_size, info.st_mtime_ns, info.st_ctime_ns]
        if info.st_size < 1 << 16:
            found.append(hashlib.sha256(read(path).encode()).hexdigest()[:16])
    return found


def files(root):
    found = {}
    for top in WATCHED + tuple(os.path.join(folder, BAIT) for folder in BAIT_FOLDERS):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            for name in [".", *folders, *names]:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, root)] = facts(path)
    for top in GLANCED_AT:
        for path in glob.glob(os.path.join(glob.escape(os.path.join(root, top)), "*")):
            if not top or not os.path.isdir(path):
                found[os.path.relpath(path, root)] = None if not top else facts(path)
    for folder in footprint.FOLDERS:
        for path in glob.glob(os.path.join(glob.escape(os.path.join(root, folder)), "*")):
            found.setdefault(os.path.relpath(path, root), None)
    return found


# --- Processes --------------------------------------------------------------------------------------


def fixed(manager):
    """The manager, the server, the zygotes; what is named `worker`, or is about to, comes and goes."""
    return [pid for pid, state in footprint.tree(manager) if state != "Z" and read(f"/proc/{pid}/comm") not in ("", "worker\n")]


def namespaces(pid):
    """The kinds whose numbers can be relied on. gVisor gives the user namespace another one now and then, and the version
    of 2022, which knows no mount namespace here, all of them."""
    try:
        found = sorted(os.listdir(f"/proc/{pid}/ns"))
    except OSError:  # it was a worker that had not its name yet
        return []
    if os.uname().release != "4.4.0":
        return found
    return [name for name in found if name != "user"] if "mnt" in found else []


def process(pid):
    fields = dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    rest = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    found = {name: fields.get(name, "") for name in STATUS}
    if len(rest) > 38:  # nice, start, scheduling priority and policy
        found.update(nice=rest[16], began=rest[19], priority=rest[37], policy=rest[38])
    for name in ("oom_score_adj", "cgroup", "uid_map", "gid_map", "personality", "coredump_filter", "timerslack_ns", "cmdline"):
        found[name] = read(f"/proc/{pid}/{name}")
    for line in read(f"/proc/{pid}/limits").splitlines()[1:]:
        found[line[:26].strip()] = " ".join(line[26:].split())
    for name in ("cwd", "root", "exe"):
        found[name] = link(f"/proc/{pid}/{name}")
    for name in namespaces(pid):
        found[f"ns/{name}"] = link(f"/proc/{pid}/ns/{name}")
    return found


def uids(manager):
    """The range of ids that server and workers have; the ordinary user's that has them all."""
    found = {int(uid) for pid, _ in footprint.tree(manager) for uid in re.findall(r"^Uid:\t(\d+)", read(f"/proc/{pid}/status"), re.M)} - {0}
    return range(min(found), min(found) + (UIDS if len(found) > 1 else 1)) if found else range(0)


def strays(manager, ids):
    """Processes with an id of the service's that are not below its manager, which all of them are at birth."""
    ours, found = {pid for pid, _ in footprint.tree(manager)}, []
    for name in filter(str.isdigit, os.listdir("/proc")):
        uid = re.search(r"^Uid:\t(\d+)", read(f"/proc/{name}/status"), re.M)
        if uid and int(uid.group(1)) in ids and int(name) not in ours and int(name) not in {pid for pid, _ in footprint.tree(manager)}:
            found.append(f"{read(f'/proc/{name}/comm').strip()} of {uid.group(1)}")
    return sorted(found)


# --- The rest ---------------------------------------------------------------------------------------


def listeners(pid, ids):
    """Sockets that wait for others, of the service's ids; in a namespace of the workers' own whatever there is."""
    found = []
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite"):
        for line in read(f"/proc/{pid}/net/{name}").splitlines()[1:]:
            words = line.split()
            if len(words) > 7 and int(words[7]) in ids and (not name.startswith("tcp") or words[3] == "0A"):
                found.append(f"{name} {words[1]}")
    return sorted(found)


def in_there(pid):
    """A namespace that the workers have for themselves: all but unnamed pairs and the kernel's own ends."""
    rows = {name: [line.split() for line in read(f"/proc/{pid}/net/{name}").splitlines()[1:]]
            for name in ("dev", "route", "if_inet6", "tcp", "udp", "unix", "packet", "netlink")}
    rows["unix"] = [words[3:] for words in rows["unix"] if len(words) > 7 or words[3] != "00000000"]
    rows["netlink"] = [words[1:4] for words in rows["netlink"] if words[2] != "0"]
    return {name: len(found) if name in ("dev", "packet") else found for name, found in rows.items()}


def network(manager, ids):
    found = {"interfaces": sorted(line.split(":")[0].strip() for line in read("/proc/net/dev").splitlines()[2:]),
             "routes": read("/proc/net/route"), "listening": listeners(manager, ids)}
    for pid in fixed(manager):
        if link(f"/proc/{pid}/ns/net") not in ("", link(f"/proc/{manager}/ns/net")):
            found["in there"] = in_there(pid)
    return found


def control_groups(manager):
    """The groups of the service but the workers', and the bounds that are set there."""
    found = {}
    for pid in fixed(manager):
        for line in read(f"/proc/{pid}/cgroup").splitlines():
            _, names, path = line.split(":", 2)
            top = os.path.join("/sys/fs/cgroup", names.replace("name=", ""), path.strip("/"))
            found[top] = sorted(name for name in os.listdir(top) if os.path.isdir(os.path.join(top, name)) and not name.startswith("python-executor-")
                                ) if os.path.isdir(top) and path != "/" else []
            for setting in glob.glob(os.path.join(glob.escape(top), "*")):
                if re.search(r"(\.max|\.high|\.weight|limit_in_bytes|\.shares|quota_us|cpuset\.(cpus|mems)|freeze|\.type)$", setting):
                    found[setting] = read(setting)
    return found


def in_namespaces(pid, *command):
    done = subprocess.run(["nsenter", f"--target={pid}", "--ipc", "--uts", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False)
    return done.stdout


def names_and_ipc(manager):
    """Of each pair of namespaces: host name, domain, SysV objects; and the message queues that can be seen."""
    found = {}
    for pid in fixed(manager):
        key = link(f"/proc/{pid}/ns/uts") + link(f"/proc/{pid}/ns/ipc")
        if key not in found:
            paths = ["/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", *[f"/proc/sysvipc/{kind}" for kind in ("shm", "sem", "msg")]]
            found[key] = re.sub(r" +", " ", in_namespaces(pid, "cat", *paths))
    return found


def sysctls():
    found = {}
    for folder, _, names in os.walk("/proc/sys"):
        for name in names:
            path = os.path.join(folder, name)
            if not VOLATILE.search(path):
                found[path] = read(path) if os.access(path, os.R_OK) else ""
    return found


def clock():
    """Whole seconds that the wall clock is ahead of the time since the start, and how fast it is told to go."""
    buffer = (ctypes.c_long * 32)()
    state = ctypes.CDLL(None).adjtimex(buffer)
    return {"ahead": time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), "tick": buffer[11] if state >= 0 else 0}


def machine(ids):
    keys = [line.split()[:3] for line in read("/proc/key-users").splitlines() if int(line.split(":")[0]) in ids]
    return {"modules": sorted(line.split()[0] for line in read("/proc/modules").splitlines()), "swaps": read("/proc/swaps"),
            "keys": keys, "clock": clock(), "hostname": os.uname().nodename}


def mounts(pids):
    """The tables of the service's fixed processes; a namespace once. Not the tiers' own, which come and go beside us."""
    return {link(f"/proc/{pid}/ns/mnt"): sorted(line.split(" ", 2)[2] for line in read(f"/proc/{pid}/mountinfo").splitlines()
                                                if not line.split()[4].startswith("/run/tiers-")) for pid in pids}


def host():
    """What of this machine must not change whatever its containers do."""
    return {"sysctls": sysctls(), "machine": machine(range(0))}


def look(manager):
    """Everything, as {what: its state}."""
    ids, pids = uids(manager), fixed(manager)
    return {"files": files(f"/proc/{manager}/root"), "mounts": mounts(pids), "processes": {str(pid): process(pid) for pid in pids},
            "strays": strays(manager, ids), "names and IPC": names_and_ipc(manager), "control groups": control_groups(manager),
            "network": network(manager, ids), "sysctls": sysctls(), "machine": machine(ids)}


# --- Before and after -------------------------------------------------------------------------------


def differences(before, now, path=""):
    """What is not as it was, as text; the clock may wander by what its own daemon does to it."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(set(before) | set(now)):
            if key not in before or key not in now:
                yield f"{path}{key} {'is new' if key in now else 'is gone'}"
            else:
                yield from differences(before[key], now[key], f"{path}{key}: ")
    elif isinstance(before, float):
        if abs(before - now) > 2:
            yield f"{path}moved by {now - before:.1f} s"
    elif isinstance(before, list) and isinstance(now, list) and all(isinstance(one, str) for one in before + now):
        yield from [f"{path}no more {one[:150]}" for one in before if one not in now]
        yield from [f"{path}now {one[:150]}" for one in now if one not in before]
    elif before != now:
        yield f"{path}{str(before)[:150]!r} -> {str(now)[:150]!r}"


def main():
    manager = int(sys.argv[1])
    if "lay" in sys.argv[2:]:
        lay_bait(f"/proc/{manager}/root")
    print(json.dumps(look(manager)))


if __name__ == "__main__":
    main()
