"""The ways the container image is run in: tiers that have nothing but the image, each with the layers of confinement
that the service must find there. `grants` is held against `python-executor doctor` in the same place."""
import json
import socket
import subprocess
import time

import prepare
from platforms import DockerRoot, GVisor, Kubernetes

HEALTHY = 30  # seconds, as long as the image's start period
INSIDE = {"on": "ok"}  # a word of the doctor's in that of tests/tiers/probe.py


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Image:
    """What these have in common: they run the image as it was built, by its own entry point, and tell it the port."""

    image = None  # its name, and the folder that podman has it in; the same for all
    storage = None

    def prepare(self, folder, cache):
        self.port = free_port()
        super().prepare(folder, cache)

    def state(self):
        return prepare.podman(self.storage)

    def what_is_inside(self, cache):
        return ["--no-healthcheck", f"--env=PORT={self.port}", self.image]

    def serve(self, **keys):
        return self.start("--log-format=text", *self.arguments, **keys)

    def also(self):
        """HEALTHCHECK's command is run by hand, until it is content: podman has systemd do it, which is not everywhere."""
        check = json.loads(self.ask_podman("image", "inspect", self.image))[0]["Healthcheck"]["Test"]
        end = time.monotonic() + HEALTHY
        while True:
            done = subprocess.run(self.podman("exec", self.container, *check[1:]), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
            if done.returncode == 0 or time.monotonic() > end:
                break
            time.sleep(0.5)
        yield "HEALTHCHECK", f"{check}: status {done.returncode}: {done.stdout[-200:]}" if done.returncode else ""

    def probe(self):
        found = json.loads(self.output("doctor", "--json"))
        layers = {layer["name"]: INSIDE.get(layer["status"], layer["status"]) for layer in found["layers"]}
        return {"calls": layers, "kernel": found["kernel"].split()[1], "escaped": found["escaped"]}


def are(status, *names):
    return {f"{name}-namespace": status for name in names}


class Docker(Image, DockerRoot):
    """`docker run`, nothing else: root, Docker's capabilities and profile."""

    arguments = ("--uid-base=70000",)
    grants = {"escaped": 0, "seccomp": "ok", "rlimits": "ok", "identity": "ok", "landlock": "ok", "chroot": "ok",
              **are("refused", "mount", "user", "pid")}


class Restricted(Image, Kubernetes):
    """An ordinary user, no capability, nothing writable but what every container has in /dev/shm."""

    options = ("--user=12345", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only",
               "--read-only-tmpfs=false")
    grants = {"escaped": 0, "seccomp": "ok", "rlimits": "ok", "identity": "ok", "landlock": "ok", "chroot": "refused",
              **are("refused", "mount", "user", "pid")}


class InGVisor(Image, GVisor):
    """Root in gVisor. Nothing in the image could count its processes."""

    looked_at = "never"
    grants = {"escaped": 0, "kernel": "4.4.0", "seccomp": "ok", "rlimits": "ok", "identity": "ok", "landlock": "refused",
              **are("ok", "mount", "user", "pid", "network", "ipc", "uts")}


class Commands(Image, DockerRoot):
    """For what else can be asked of an image than to serve."""

    options = (*DockerRoot.options, "--interactive")


class Lenient(Commands):
    """The same under podman's own profile, which lets user namespaces through."""

    def security(self, cache):
        return []


def all_profiles():
    return [Docker("docker"), Restricted("restricted"), InGVisor("gvisor")]
