"""Gets what the tiers need beside the packages of `tools/packages security`: a container's root file system,
gVisor in two versions, Docker's seccomp profile. All of it lies in one folder of the build and is made once.

Where packages come from is what apt on this machine is told; nothing of that is changed. gVisor's newer version
is in Debian's backports, which the machine need not use: it is looked up with lists of its own.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess

PROGRAMS = ("python-executor", "python-executor-server", "python-executor-zygote")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
GVISOR_SUITE = "bookworm"  # its package is of 2022, that of its backports of 2024; both are static programs
PROFILE = "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json"


class Unavailable(Exception):
    """A part of the platform that cannot be had here; the text is what refused it."""


def run(*command, **keys):
    """The output of a command; what it said as Unavailable where it fails."""
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, timeout=600, **keys)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if result.returncode:
        raise Unavailable(f"{command[0]}: {(result.stderr or result.stdout).strip()[-600:]}")
    return result.stdout


def podman(folder):
    """podman with its state in a folder, apart from that of the machine's other containers."""
    state = [f"--{key}={folder}/{key}" for key in ("root", "runroot", "tmpdir")]
    return ["podman", *state, "--log-level=error", "--cgroup-manager=cgroupfs", "--events-backend=none"]


def suite():
    """The code name of this machine's Debian."""
    with open("/etc/os-release", encoding="utf-8") as file:
        found = re.search(r"^VERSION_CODENAME=(\S+)$", file.read(), re.M)
    if not found:
        raise Unavailable("/etc/os-release names no Debian release")
    return found.group(1)


def sources():
    """(release, address) of what this machine gets from Debian."""
    text = run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)",
               "Created-By: Packages")
    rows = [line.split("|") for line in text.splitlines()]
    found = sorted({(row[1], row[3]) for row in rows if row[0] == "Debian" and row[2] == "main"})
    if not found:
        raise Unavailable("apt on this machine knows no Debian; `apt-get update` first")
    return found


# --- The root file system ---------------------------------------------------------------------------


def packages_of(programs):
    """The packages whose libraries the programs are linked to."""
    paths = set()
    for program in programs:
        for path in re.findall(r"=> (/\S+)", run("ldd", program)):
            paths |= {path, "/usr" + path, os.path.realpath(path)}
    # Of a file's names on a merged /usr dpkg knows one, and complains about the others.
    result = subprocess.run(["dpkg-query", "-S", *sorted(paths)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=False)
    return sorted({line.split(":")[0] for line in result.stdout.splitlines()})


def root_file_system(folder, build):
    """A minimal Debian, the same as this machine's, with what the programs are linked to, numpy and pandas."""
    names = packages_of(os.path.join(build, name) for name in PROGRAMS)
    names += ["python3", "python3-numpy", "python3-pandas"]
    lines = [f"deb {address} {release} main" for release, address in sources()]
    root, stamp = os.path.join(folder, "root"), os.path.join(folder, "root.stamp")
    key = hashlib.sha256(repr((suite(), names, lines)).encode()).hexdigest()
    if os.path.exists(stamp) and read(stamp) == key:
        return root
    shutil.rmtree(root, ignore_errors=True)
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(names), suite(), root, *lines)
    with open(stamp, "w", encoding="ascii") as file:
        file.write(key)
    return root


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# --- Packages that are unpacked, not installed ------------------------------------------------------


def apt_options(folder):
    """Has apt look at lists of its own: Debian 12 and its backports, from where this machine gets Debian."""
    address = dict(sources())[suite()]
    lists = os.path.join(folder, "apt")
    os.makedirs(os.path.join(lists, "lists", "partial"), exist_ok=True)
    with open(os.path.join(lists, "sources.list"), "w", encoding="utf-8") as file:
        for release in (GVISOR_SUITE, GVISOR_SUITE + "-backports"):
            file.write(f"deb [signed-by={KEYRING}] {address} {release} main\n")
    return ["-o", f"Dir::Etc::SourceList={lists}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null",
            "-o", f"Dir::State::Lists={lists}/lists", "-o", f"Dir::Cache={lists}", "-o", "APT::Sandbox::User=root"]


def unpack(folder, wanted, into, options=()):
    """The folder with a package's files: `wanted` is NAME or NAME=VERSION."""
    target = os.path.join(folder, into)
    if os.path.exists(target):
        return target
    temporary = target + ".new"
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary)
    run("apt-get", *options, "-q", "download", wanted, cwd=temporary)
    package = glob.glob(os.path.join(temporary, "*.deb"))[0]
    run("dpkg-deb", "-x", package, temporary)
    os.remove(package)
    os.rename(temporary, target)
    return target


def gvisor(folder, year):
    """The path of a runsc whose version is of that year."""
    into = f"runsc-{year}"
    if not os.path.exists(os.path.join(folder, into)):
        options = apt_options(folder)
        run("apt-get", *options, "-q", "update")
        versions = re.findall(r"\| *(\S+) *\|", run("apt-cache", *options, "madison", "runsc"))
        versions = [version for version in versions if re.search(rf"~{year}", version)]
        if not versions:
            raise Unavailable(f"Debian has no runsc of {year}")
        unpack(folder, f"runsc={versions[0]}", into, options)
    return os.path.join(folder, into, "usr", "bin", "runsc")


def docker_profile(folder):
    """Docker's own seccomp profile. Its package is source code that depends on fifty others: unpacked alone."""
    path = os.path.join(unpack(folder, "golang-github-docker-docker-dev", "docker"), PROFILE)
    if not os.path.exists(path):
        raise Unavailable(f"golang-github-docker-docker-dev has no {PROFILE}")
    return path
