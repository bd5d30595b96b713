"""What the figures were measured on."""
import os
import re
import subprocess

import processes
from peers import PYTHON

VERSIONS = "import platform, numpy, pandas; print(platform.python_version(), numpy.__version__, pandas.__version__)"


def first(pattern, path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(pattern, file.read(), re.M)
    except OSError:
        return "unknown"
    return found.group(1).strip().strip('"') if found else "unknown"


def describe(service):
    """{what: text}, in the order of a table. The service is one with its crew ready."""
    python, numpy, pandas = subprocess.run([PYTHON, "-c", VERSIONS], stdout=subprocess.PIPE, text=True,
                                           check=True).stdout.split()
    memory = int(first(r"^MemTotal:\s+(\d+) kB", "/proc/meminfo")) >> 20
    zygotes = [zygote for zygote, _ in service.crews()]
    return {
        "processor": first(r"^model name\s*:\s*(.*)", "/proc/cpuinfo")
                     + (", virtual" if re.search(r"\bhypervisor\b", first(r"^flags\s*:(.*)", "/proc/cpuinfo")) else ""),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory} GiB",
        "system": first(r"^PRETTY_NAME=(.*)", "/etc/os-release"),
        "kernel": os.uname().release,
        "Python": python,
        "numpy": numpy,
        "pandas": pandas,
        "BLAS": ", ".join(sorted({name for pid in zygotes for name in processes.blas(pid)})) or "unknown",
        "threads of the zygotes": ", ".join(str(processes.threads(pid)) for pid in zygotes),
    }


def load():
    return os.getloadavg()[0]
