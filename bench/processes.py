"""What processes cost, by the kernel's word in /proc (proc(5))."""
import ctypes
import os
import re
import signal
import time

PR_SET_PDEATHSIG = 1
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def end_with_us():
    """In a child, before it executes: whatever becomes of this program, nothing that it has started stays."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def read(pid, name):
    """A file of /proc/PID; empty where the process has just ended or may not be looked at."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def fields(pid):
    """/proc/PID/stat from the state on, which is its third field."""
    return read(pid, "stat").rpartition(")")[2].split()


def tree(root):
    """A process and all that descend from it, as {pid: fields}."""
    everyone = {int(name): fields(name) for name in os.listdir("/proc") if name.isdigit()}
    children = {}
    for pid, stat in everyone.items():
        if stat:
            children.setdefault(int(stat[1]), []).append(pid)
    found, left = {}, [root]
    while left:
        pid = left.pop()
        if everyone.get(pid):
            found[pid] = everyone[pid]
            left += children.get(pid, [])
    return found


def cpu_ms(root):
    """CPU time of a process and all below it, with that of the children which they have waited for."""
    return sum(sum(map(int, stat[11:15])) for stat in tree(root).values()) * TICK_MS


def wait_for_calm(root, seconds=20, still=0.15):
    """Until nothing below it runs or wants to. Returns the CPU time so far."""
    end = time.monotonic() + seconds
    before, since = None, time.monotonic()
    while time.monotonic() < end:
        found = tree(root)
        cpu = sum(sum(map(int, stat[11:15])) for stat in found.values()) * TICK_MS
        if cpu != before or any(stat[0] in "RD" for stat in found.values()):
            before, since = cpu, time.monotonic()
        elif time.monotonic() - since > still:
            break
        time.sleep(0.03)
    return cpu_ms(root)


def command(pid):
    return read(pid, "cmdline").split("\0")[0].rpartition("/")[2]


def kb(pid, file, pattern):
    """The sum of all lines `NAME: N kB` whose name matches; None where there are none."""
    found = re.findall(rf"^(?:{pattern}):\s+(\d+) kB", read(pid, file), re.M)
    return sum(map(int, found)) if found else None


def private_kb(pid):
    return kb(pid, "smaps_rollup", "Private_Clean|Private_Dirty")


def proportional_kb(pid):
    return kb(pid, "smaps_rollup", "Pss")


def resident_kb(pid):
    return kb(pid, "status", "VmRSS")


def forget_peak(pid):
    """Peak resident memory counts from here on; whether that could be had."""
    try:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return False
    return True


def peak_kb(pid):
    return kb(pid, "status", "VmHWM")


def threads(pid):
    return int(re.search(r"^Threads:\s+(\d+)", read(pid, "status"), re.M).group(1))


def blas(pid):
    """Names of the BLAS libraries that a process has mapped."""
    return sorted({os.path.basename(path) for path in re.findall(r"(/\S*(?:blas|mkl|blis|atlas)\S*\.so\S*)", read(pid, "maps"))
                   if "/python3/" not in path})
