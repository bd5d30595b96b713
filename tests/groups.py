"""Control groups as containers have them, made by tests where that is granted; of both versions."""
import os
import uuid

import pytest
from service import wait_until

MIB = 1 << 20
FILES = {  # what a version of control groups calls what we set and read: file, text
    1: {"memory": "memory.limit_in_bytes", "usage": "memory.usage_in_bytes", "peak": "memory.max_usage_in_bytes"},
    2: {"memory": "memory.max", "usage": "memory.current", "peak": "memory.peak"},
}


def own_folders():
    """{controller: (version, the folder of our group)} as far as it is to be had."""
    found = {}
    with open("/proc/self/mountinfo", encoding="ascii") as file:
        mounts = [line.split() for line in file]
    with open("/proc/self/cgroup", encoding="ascii") as file:
        groups = [line.rstrip("\n").split(":", 2) for line in file]
    for _, names, path in groups:
        for mount in mounts:
            kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
            folder = mount[4] + "/" + os.path.relpath(path, mount[3])
            for name in ("memory", "cpu"):
                if kind == "cgroup" and name in names.split(",") and name in options:
                    found[name] = (1, folder)
                if kind == "cgroup2" and not names:
                    with open(mount[4] + "/cgroup.controllers", encoding="ascii") as file:
                        if name in file.read().split():
                            found[name] = (2, folder)
    return found


class Group:
    """A control group of our own, as a container's: `memory` in MiB, `cpus`."""

    def __init__(self, memory=None, cpus=None):
        self.folders, self.name = {}, f"px-test-{uuid.uuid4().hex[:8]}"
        try:
            for controller, (version, above) in own_folders().items():
                folder = os.path.join(above, self.name)
                os.makedirs(folder, exist_ok=True)
                self.folders[controller] = (version, folder)
            if "memory" not in self.folders or "cpu" not in self.folders:
                raise OSError("no memory or cpu controller")
            if memory:
                self.limit_memory(memory)
            if cpus:
                quota = int(cpus * 100000)
                version = self.folders["cpu"][0]
                self.write("cpu", *(("cpu.cfs_quota_us", quota) if version == 1 else ("cpu.max", f"{quota} 100000")))
        except OSError as error:
            self.remove()
            pytest.skip(f"control groups cannot be made here: {error}")

    def write(self, controller, file, value):
        with open(os.path.join(self.folders[controller][1], file), "w", encoding="ascii") as to:
            to.write(str(value))

    def limit_memory(self, mib):
        self.write("memory", FILES[self.folders["memory"][0]]["memory"], mib * MIB)

    def read_mb(self, what):
        version, folder = self.folders["memory"]
        with open(os.path.join(folder, FILES[version][what]), encoding="ascii") as file:
            return int(file.read()) / MIB

    @property
    def behind(self):
        """A command that runs the rest of its arguments in the group."""
        into = "".join(f"echo 0 > {folder}/cgroup.procs; " for folder in {folder for _, folder in self.folders.values()})
        return ["sh", "-ec", f'{into}exec "$@"', "sh"]

    def remove(self):
        def gone(folder):
            for name in os.listdir(folder) if os.path.isdir(folder) else []:
                if os.path.isdir(os.path.join(folder, name)):
                    gone(os.path.join(folder, name))
            try:
                os.path.isdir(folder) and os.rmdir(folder)
            except OSError:
                return False
            return True

        for _, folder in self.folders.values():
            wait_until(lambda at=folder: gone(at), 5)
