"""The tiers: set-ups of a platform that the service has to work in, each with what it must and must not grant.

A tier starts commands under its conditions. `grants` is held against what tests/tiers/probe.py finds there, so
that a tier which is not what its name says is a failure, not a success on an easier platform.
"""
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys

import footprint
import prepare

HERE = os.path.dirname(os.path.abspath(__file__))
SRV = "/srv"  # where every tier finds the programs, the probe and the footprint
SECRET = {"SBX_TEST_SECRET": "sbx-secret-7741"}  # what no script may see
DOCKERS_CAPABILITIES = "a80425fb"
REFUSED = "refused"  # with whatever errno


class Tier:
    """What all have in common. `full`: the platform grants namespaces, so the service must use them."""

    full = False
    arguments = ()  # more options of the service
    looked_at = "after each"  # case, or in the "end", or "never": what the service occupies
    grants = {}
    patience = 2.0  # seconds an innocent request may take
    hostname = socket.gethostname()  # containers on the host's network have the host's

    def __init__(self, name):
        self.name = name
        self.folder = None

    def prepare(self, folder, cache):
        """`folder` is the tier's own, for as long as it runs."""
        del cache
        self.folder = folder

    def start(self, *command, **keys):
        """A process that runs `command` in the tier. Its own session: Ctrl-C is for us, who then stop it."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **SECRET}
        return subprocess.Popen(self.command(*command), env=environment, cwd="/", stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, start_new_session=True, **keys)

    def serve(self, **keys):
        return self.start(f"{SRV}/python-executor", "--host", "127.0.0.1", "--port", "0", "--log-format", "text",
                          *self.arguments, **keys)

    def also(self):
        """(name, what is wrong) of what else the running service must do."""
        return ()

    def probe(self):
        """What the platform grants, as `grants` has it."""
        return json.loads(self.output("/usr/bin/python3", f"{SRV}/probe.py"))

    def output(self, *command):
        process = self.start(*command, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            self.clean()
            out, err = process.communicate()
        if process.returncode or not out:
            said = (err or b"no output").decode(errors="replace").strip()
            raise prepare.Unavailable(f"status {process.returncode}: {said[-600:]}")
        return out.decode()

    def command(self, *command):
        raise NotImplementedError

    def manager(self, process):
        """The pid of the manager that `process` started; None where the host does not see it."""
        raise NotImplementedError

    def footprint(self, process):
        """What the service that `process` started occupies now."""
        pid = self.manager(process)
        return footprint.measure(pid) if pid else None

    def clean(self):
        """Ends what process.kill() does not."""


class Host(Tier):
    """Straight on this machine, as root or as an ordinary user."""

    def __init__(self, name, *options, **grants):
        super().__init__(name)
        self.options = [str(option) for option in options]
        self.grants = grants.pop("grants")
        self.full = grants.pop("full")
        self.arguments = grants.pop("arguments", ())

    def prepare(self, folder, cache):
        super().prepare(folder, cache)
        self.stage = cache("stage")

    def command(self, *command):
        return [sys.executable, os.path.join(HERE, "launch.py"), *self.options, self.stage, *command]

    def manager(self, process):
        return process.pid


class Container(Tier):
    """In a container that podman makes, with its state apart from that of the machine's other containers."""

    runtime = "/usr/sbin/runc"
    rootfs_option = ":O"  # what the container writes is thrown away
    options = ("--cap-add=AUDIT_WRITE,MKNOD,NET_RAW",)  # what Docker grants beside podman's own

    def prepare(self, folder, cache):
        super().prepare(folder, cache)
        self.contents = self.what_is_inside(cache)
        self.container = f"python-executor-{os.getpid()}-{self.name}"
        self.pid = None
        self.options = (*self.options, *self.security(cache))

    def security(self, cache):
        return [f"--security-opt=seccomp={cache('profile')}"]

    def what_is_inside(self, cache):
        return [f"--volume={cache('stage')}:{SRV}:ro", "--rootfs", cache("root") + self.rootfs_option]

    def state(self):
        """A short path: podman puts a socket below it."""
        return prepare.podman(self.folder)

    def podman(self, *arguments):
        return [*self.state(), f"--runtime={self.runtime}", *arguments]

    def command(self, *command):
        return self.podman(
            "run", "--rm", f"--name={self.container}", "--network=host", *limits(), *self.options,
            *(f"--env={key}={value}" for key, value in SECRET.items()), *self.contents, *command)

    def ask_podman(self, *arguments):
        return subprocess.run(self.podman(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=60, check=False).stdout.strip()

    def manager(self, process):
        del process  # that is podman
        if not self.pid:
            self.pid = int(self.ask_podman("inspect", "--format={{.State.Pid}}", self.container) or 0)
        return self.pid or None

    def clean(self):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.ask_podman("rm", "--force", "--time=0", self.container)


class DockerRoot(Container):
    """Root in a plain Docker container: Docker's capabilities and its profile, which refuses namespaces."""

    arguments = ("--uid-base=66000",)
    grants = {"uid": 0, "CapEff": DOCKERS_CAPABILITIES, "Seccomp": "2", "unshare(NEWUSER)": "EPERM",
              "unshare(NEWNS)": "EPERM", "mount": "EPERM", "chroot": "ok", "setresuid": "ok"}


class Kubernetes(Container):
    """A pod under the restricted standard: no user but one, no capability, nothing writable but /tmp."""

    options = ("--user=65532:65532", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only",
               "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,exec,size=320m,mode=1777", "--memory=2g", "--cpus=2")
    grants = {"uid": 65532, "CapEff": "0", "NoNewPrivs": "1", "Seccomp": "2", "unshare(NEWUSER)": "EPERM",
              "unshare(NEWNS)": "EPERM", "chroot": "EPERM", "setresuid": "EPERM", "write to /": "EROFS"}


class GVisor(Container):
    """gVisor, as Cloud Run (first generation) runs containers: root inside, another kernel."""

    full = True
    looked_at = "end"
    patience = 4.0
    flags = ("platform=systrap", "network=host", "ignore-cgroups")
    year = 2024
    grants = {"uid": 0, "kernel": "4.4.0", "landlock": "ENOSYS", "unshare(all)": "ok", "mount in it": "ok"}

    def prepare(self, folder, cache):
        self.runtime = cache("gvisor", self.year)
        super().prepare(folder, cache)

    def security(self, cache):
        return []  # gVisor does not put a profile on what runs inside

    def podman(self, *arguments):
        flags = [f"--runtime-flag={flag}" for flag in self.flags]
        return super().podman(*flags, *arguments)

    def manager(self, process):
        return None

    def inside(self, program, *arguments):
        """The output of one of our programs, run beside the service."""
        return self.ask_podman("exec", self.container, "/usr/bin/python3", f"{SRV}/{program}", *arguments)

    def footprint(self, process):
        """Its processes are not the host's: they are counted inside."""
        text = self.inside("footprint.py", "1")
        return json.loads(text) if text else None


class GVisor2022(GVisor):
    """The gVisor of Debian 12: every system call stops with ptrace, there are no mount namespaces to mount in,
    and a root on an overlay cannot be read."""

    full = False
    grants = {"uid": 0, "kernel": "4.4.0", "landlock": "ENOSYS", "clone3": "ENOSYS", "mount in it": "EPERM"}
    flags = ("platform=ptrace", "network=host", "ignore-cgroups", "overlay")
    year = 2022
    rootfs_option = ""


def limits():
    """A container may not raise a limit beyond ours."""
    words = []
    for name, kind, wanted in (("nofile", resource.RLIMIT_NOFILE, 20000), ("nproc", resource.RLIMIT_NPROC, 4096)):
        hard = resource.getrlimit(kind)[1]
        hard = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        words.append(f"--ulimit={name}={min(hard, 1024 if name == 'nofile' else wanted)}:{hard}")
    return words


def all_tiers():
    """Every tier, in the order of the table."""
    ordinary = {"CapEff": "0", "Seccomp": "0", "mount": "EPERM", "chroot": "EPERM", "setresuid": "EPERM"}
    return [
        Host("root", full=True, arguments=("--uid-base=100000",),
             grants={"uid": 0, "unshare(NEWUSER)": "ok", "unshare(NEWNS)": "ok", "mount": "ok", "setresuid": "ok"}),
        Host("user+userns", "--user", 61001, full=True,
             grants={"uid": 61001, **ordinary, "unshare(NEWUSER)": "ok", "mount in it": "ok"}),
        Host("user", "--user", 61002, "--refuse", full=False,
             grants={"uid": 61002, **ordinary, "unshare(NEWUSER)": REFUSED}),
        DockerRoot("docker-root"),
        Kubernetes("kubernetes"),
        GVisor("gvisor"),
        GVisor2022("gvisor-2022"),
    ]
