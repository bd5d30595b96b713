#!/usr/bin/python3
"""Copies what runs, and nothing else, out of the stage that everything was installed in: pick.py TARGET PACKAGE…

Runs in the Dockerfile's stage `runtime`. Taken are the files of the named Debian packages and of those that they
depend on, without what no running program reads; the bytecode and the links that their installation made; of
/usr/local the programs and the virtual environment. So there is no shell, no package manager and no interpreter that could be started: what serves is
linked to libpython.

/var/lib/dpkg/status of the target lists the packages, for whoever looks for known holes in an image.
"""
import os
import re
import shutil
import subprocess
import sys

# Installing and asking questions at installation: what depends on these does so for its maintainer scripts.
LEFT_OUT = {"debconf", "dpkg", "perl-base", "sensible-utils", "ucf", "init-system-helpers"}
LOCAL = ("/usr/local/bin", "/usr/local/libexec", "/usr/local/venv")
# Of packages that nobody depends on: the folders of a Debian system, its name, and the locale C.UTF-8.
ALWAYS = ("base-files", "libc-bin", "tzdata")

PYTHON = r"/usr/lib/python3(\.\d+)?/"
UNUSED = re.compile("|".join((
    r"/usr/s?bin/.",
    r"/usr/include/|.*\.(a|c|h|pyi|pyx|pxd)$",
    r"/usr/share/doc/(?!.*/copyright$).",  # the licences ask to stay with what they license
    r"/usr/share/(man|info|locale|lintian|bug|doc-base|pixmaps|applications|perl5|debconf|readline|numpy3)/",
    r"/usr/share/(python3|gcc|gdb|base-files|libc-bin)/",
    r"/usr/lib/(mime|valgrind|sysusers\.d|tmpfiles\.d|systemd)/|/usr/src/",
    r"/usr/lib/[^/]*-linux-gnu[^/]*/gconv/",  # Python has its own
    r"/usr/share/zoneinfo/(posix|right)/",
    r"/etc/(?!os-release|debian_version|matplotlibrc|fonts/|ld\.so\.conf|localtime|mime\.types|protocols|services).",
    r"/var/.",
    PYTHON + r"(ensurepip|idlelib|turtledemo|pydoc_data|lib2to3|test|config-[^/]*)/",
    PYTHON + r"sitecustomize\.py$",  # leads to a file of /etc
    r"/usr/lib/python3/dist-packages/(.*/)?tests/(?!_[a-z_]+\.py$)",  # numpy.testing imports one of the latter
)))


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def closure(wanted):
    """The installed packages that the wanted ones need, themselves included."""
    needs, providers = {}, {}
    for line in output("dpkg-query", "-W", "-f", "${Package}|${Pre-Depends}, ${Depends}|${Provides}\n").splitlines():
        # An alternative is written with `|` as well: name is the first, what it provides is the last.
        name, _, rest = line.partition("|")
        depends, _, provides = rest.rpartition("|")
        needs[name] = re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", depends)
        for provided in re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9+.-]*)", provides):
            providers.setdefault(provided, []).append(name)
    found, todo = set(), list(wanted)
    while todo:
        name = todo.pop()
        if name in found or name in LEFT_OUT:
            continue
        if name in needs:
            found.add(name)
            todo += needs[name]
        else:
            todo += providers.get(name, [])
    return sorted(found)


def files_of(packages):
    """Their files, by names without links in between, and what their installation made beside them."""
    found = set()
    for path in output("dpkg-query", "-L", *packages).splitlines():
        if not path.startswith("/") or path == "/.":
            continue
        folder, name = os.path.split(path)
        path = os.path.join(os.path.realpath(folder), name)
        if UNUSED.match(path) or not os.path.lexists(path) or os.path.isdir(path) and not os.path.islink(path):
            continue
        found.add(path)
        if path.endswith(".py"):
            found |= bytecode_of(path)
    return found


def bytecode_of(path):
    folder, name = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if not os.path.isdir(cache):
        return set()
    return {os.path.join(cache, other) for other in os.listdir(cache) if other.split(".")[0] == name.removesuffix(".py")}


def link_alternatives(files, target):
    """What the installation chose by links through /etc/alternatives, as links straight there: a worker whose root is
    /usr has no /etc like that."""
    for folder, _, names in os.walk("/usr/lib"):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.islink(path) and os.readlink(path).startswith("/etc/alternatives/"):
                if os.path.realpath(path) in files:
                    os.symlink(os.path.relpath(os.path.realpath(path), folder), target + path)


def copy(files, target):
    names = "\0".join(sorted(path.lstrip("/") for path in files))
    with subprocess.Popen(["tar", "--create", "--directory=/", "--no-recursion", "--null", "--files-from=-"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        with subprocess.Popen(["tar", "--extract", "--directory", target], stdin=reader.stdout) as writer:
            reader.stdin.write(names.encode())
            reader.stdin.close()
    if reader.returncode or writer.returncode:
        sys.exit("the files cannot be copied")


def drop_broken_links(target):
    """Those to what was left out; they are looked up as the image will have them."""
    for folder, folders, names in os.walk(target):
        for path in (os.path.join(folder, name) for name in folders + names):
            if os.path.islink(path) and not os.path.lexists(end_of(path, target)):
                os.remove(path)


def end_of(path, target):
    for _ in range(40):
        if not os.path.islink(path):
            break
        link = os.readlink(path)
        path = os.path.normpath(target + link if link.startswith("/") else os.path.join(os.path.dirname(path), link))
    return path


def add_folders(target):
    """Where the kernel's file systems and what may be written to are mounted."""
    for name, mode in (("dev", 0o755), ("proc", 0o555), ("sys", 0o555), ("run", 0o755), ("tmp", 0o1777),
                       ("var/tmp", 0o1777), ("root", 0o700), ("usr/lib/python-executor", 0o755)):
        os.makedirs(os.path.join(target, name), exist_ok=True)
        os.chmod(os.path.join(target, name), mode)


def add_small_files(target, packages):
    def write(path, text):
        path = os.path.join(target, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    write("etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n")
    write("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    write("var/lib/dpkg/status", output("dpkg-query", "--status", *packages))
    # Without mounts a worker's root is /usr (src/sandbox/chroot.h), with this link in it and a folder for scripts.
    os.symlink(".", os.path.join(target, "usr/usr"))
    drop_broken_links(target)
    subprocess.run(["ldconfig", "-r", target], check=True)
    shutil.rmtree(os.path.join(target, "var/cache/ldconfig"), ignore_errors=True)


def main():
    target, *wanted = sys.argv[1:]
    packages = closure([*ALWAYS, *wanted])
    os.makedirs(target)
    files = files_of(packages)
    copy(files, target)
    link_alternatives(files, target)
    for name in filter(os.path.exists, LOCAL):
        shutil.copytree(name, target + name, symlinks=True)
    add_folders(target)
    add_small_files(target, packages)
    print("taken from", len(packages), "packages:", *packages)


main()
