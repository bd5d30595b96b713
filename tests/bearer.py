"""Bearer keys for tests: made by the program, kept in a file as an operator would."""
import os
import re
import signal
import subprocess

from service import PROGRAM, order, wait_until


def make_key(name, *options):
    """The key, and its line for the file."""
    made = subprocess.run([PROGRAM, "key", name, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
    return re.search(r"pxk_[0-9a-f]{48}", made.stderr).group(0), made.stdout


class Keys:
    """A file of keys in a folder; `secrets` has them by name."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "keys")
        self.secrets, self.lines = {}, {}
        self.write()

    def add(self, name, *options):
        self.secrets[name], self.lines[name] = make_key(name, *options)
        self.write()

    def remove(self, name):
        del self.lines[name]
        self.write()

    def write(self, more=""):
        """As a careful editor does: another file in its place, never half of one."""
        descriptor = os.open(self.path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("# who may call\n" + "".join(self.lines.values()) + more)
        os.rename(self.path + ".new", self.path)

    def headers(self, name):
        return {"Authorization": f"Bearer {self.secrets[name]}"}


def run(service, keys, name, script="def main(): return 1", **more):
    return service.post(order(script, **more), keys.headers(name))


def reload(service):
    """Has the keys read again, and waits until that has had its effect."""
    said = service.log.count("keys in force: ") + service.log.count("those from before stay")
    service.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: service.log.count("keys in force: ") + service.log.count("those from before stay") > said), service.log
