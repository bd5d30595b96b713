"""The Debian roots in which the package is built and tried, made once in a folder of the build.

Packages come from where apt on this machine gets Debian; both releases lie at the same address.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "tiers"))
from prepare import run, sources, suite  # noqa: E402

RELEASES = ("bookworm", "trixie")
# A minimal Debian that starts, as debootstrap and the installer leave it.
SYSTEM = ["systemd", "systemd-sysv", "init-system-helpers", "libnss-systemd"]
# What somebody has who can clone the tree and type make.
NEWCOMER = ["ca-certificates", "curl", "git", "make", "sudo"]


def address():
    """Of Debian's archive, without its security updates, which lie elsewhere."""
    found = [address for release, address in sources() if release == suite()]
    if not found:
        raise RuntimeError(f"apt on this machine has no sources for {suite()}")
    return found[0]


def build_depends():
    """The names in Build-Depends, and what is there for every build."""
    with open(os.path.join(TOP, "packaging", "deb", "control"), encoding="utf-8") as file:
        field = re.search(r"^Build-Depends:(.*?)^\S", file.read(), re.M | re.S).group(1)
    return ["build-essential", "lintian", *(re.match(r"[a-z0-9.+-]+", part.strip()).group() for part in field.split(","))]


def make(folder, release, name, packages):
    """A root with these packages, made anew only where the list or the address is another."""
    root, stamp = os.path.join(folder, f"{release}-{name}"), os.path.join(folder, f"{release}-{name}.stamp")
    packages = ["debhelper" if package == "debhelper-compat" else package for package in packages
                if not package.startswith("dh-sequence-")]
    line = f"deb {address()} {release} main"
    key = hashlib.sha256(repr((packages, line)).encode()).hexdigest()
    if os.path.exists(stamp) and open(stamp, encoding="ascii").read() == key:
        return root
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(folder, exist_ok=True)
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(packages), release, root, line)
    with open(stamp, "w", encoding="ascii") as file:
        file.write(key)
    return root


def system_root(folder, release):
    return make(folder, release, "system", SYSTEM)


def newcomer_root(folder, release):
    return make(folder, release, "newcomer", NEWCOMER)


def build_root(folder, release):
    return make(folder, release, "build", build_depends())


def copy(root, target):
    """For one use."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", root, target], check=True)
    return target


def inside(root, *command, **keys):
    """Runs a command in a root that is not started, as its builder does."""
    return run("chroot", root, *command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root",
                                              "DEBIAN_FRONTEND": "noninteractive"}, **keys)
