"""A product of two 500 x 500 matrices: in a worker, and in a plain python3 with each BLAS that is installed."""
import glob
import http.client
import json
import os
import statistics
import subprocess

import processes
from peers import PYTHON

ROUNDS = 5
SCRIPT = """
import time
import numpy as np
def main():
    a = np.random.default_rng(1).random((500, 500))
    times = []
    for _ in range(4):
        begun = time.perf_counter()
        b = a @ a
        times.append((time.perf_counter() - begun) * 1e3)
    assert abs(b[3, 7] - sum(x * y for x, y in zip(a[3], a[:, 7]))) < 1e-6
    return min(times)
"""
# Says beside its time which file the product came from.
PLAIN = SCRIPT + """
import re
print(main(), *sorted(set(re.findall(r"/(?:[^/\\s]+/)+([^/\\s]+/lib(?:open)?blas\\S*)", open("/proc/self/maps").read()))))
"""


def in_a_worker(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/execute", json.dumps({"script": SCRIPT}))
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["result"]


def folders():
    """Of the installed libraries, by Debian's alternatives; LAPACK's as well, which may bring another BLAS."""
    found = sorted(glob.glob("/usr/lib/*/*/libblas.so.3"))
    return {os.path.basename(os.path.dirname(path)): os.path.dirname(path) for path in found}


def plain(folder):
    lapack = os.path.join(os.path.dirname(folder), "lapack")
    output = subprocess.run(
        [PYTHON, "-c", PLAIN], stdout=subprocess.PIPE, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": f"{folder}:{lapack}", "OPENBLAS_NUM_THREADS": "1"}).stdout
    time, _, mapped = output.partition(" ")
    return float(time), mapped.strip()


def measure(service):
    """[(where, median ms, what was mapped)], in turns."""
    zygote, _ = service.crews()[-1]
    times, mapped = {"a worker": []}, {"a worker": " ".join(processes.blas(zygote))}
    for _ in range(ROUNDS):
        times["a worker"].append(in_a_worker(service.port))
        for name, folder in folders().items():
            ms, mapped[name] = plain(folder)
            times.setdefault(name, []).append(ms)
    return [(name, statistics.median(values), mapped[name]) for name, values in times.items()]
