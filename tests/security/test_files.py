"""What a script can read and write. Layers: mount namespace with a read-only root and a private /tmp; the
identity 65534 under it; seccomp for the calls that would go round both."""
import pytest
from attack import assert_refused, attack
from service import SECRET, Background

DENIED = {"EPERM", "EACCES", "ENOSYS", "ENOENT", "EROFS", "ENOTDIR", "ELOOP", "ENXIO", "ENODEV", "EXDEV", "EBADF", "EINVAL", "ESRCH", "EMFILE"}


def test_secrets_of_the_machine_cannot_be_read(service):
    """Layer: the root file system, which has none of them."""
    paths = [
        "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh/ssh_host_rsa_key", "/etc/machine-id", "/etc/hostname", "/etc/resolv.conf",
        "/root", "/root/.ssh/id_rsa", "/root/.bash_history", "/home", "/var", "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "/run", "/run/secrets", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/.dockerenv", "/proc", "/proc/self/environ",
        "/proc/self/maps", "/proc/1/environ", "/proc/self/fd", "/proc/cmdline", "/proc/mounts", "/sys", "/sys/kernel", "/sys/fs/cgroup",
        "/dev/shm", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/ptmx", "/dev/pts", "/dev/fuse", "/dev/kvm", "/dev/tty", "/dev/console",
        "/dev/net/tun", "/dev/mqueue", "/boot", "/opt", "/srv", "/mnt", "/media", "/lost+found", "/usr/local/etc", "/usr/sbin",
    ]
    assert_refused(attack(service, f"def main(): return {{p: attempt(os.open, p, os.O_RDONLY) for p in {paths!r}}}"), DENIED)


def test_the_services_own_files_are_not_there(service):
    """Layer: the root file system. Its programs, its folder and its configuration stay outside."""
    script = (
        "import sys\ndef main():\n    found = []\n    for top in ('/', '/tmp', '/etc', '/usr', '/usr/bin', '/usr/lib', '/usr/share', '/dev'):\n"
        "        try: found += [top + '/' + n for n in os.listdir(top)]\n        except OSError: pass\n    return found"
    )
    found = attack(service, script)
    assert not [path for path in found if "executor" in path or service.folder.name.split("/")[-1] in path], found
    assert {path.split("/")[-1] for path in found if path.startswith("/dev/")} <= {"null", "zero", "full", "random", "urandom"}
    assert {path.split("/")[-1] for path in found if path.startswith("/etc/")} <= {
        "passwd", "group", "nsswitch.conf", "hosts", "ld.so.cache", "matplotlibrc", "alternatives", "python3", "python3.11", "python3.13", "localtime"
    }


def test_no_file_has_the_operators_secret(service):
    script = (
        f"def main():\n    mark = {SECRET[:8]!r} + {SECRET[8:]!r}\n    hits = []\n    for top in ('/etc', '/tmp', '/dev', '/usr/bin'):\n"
        "        for folder, _, names in os.walk(top):\n            for n in names:\n                p = os.path.join(folder, n)\n"
        "                if os.path.isfile(p) and mark.encode() in open(p, 'rb').read(): hits.append(p)\n    return hits"
    )
    assert attack(service, script) == []


def test_only_tmp_and_the_null_devices_are_writable(service):
    """Layer: read-only mounts."""
    script = """
import stat, sys
def main():
    written = {}
    tops = ["/", "/etc", "/usr", "/usr/bin", "/usr/lib", "/usr/share/zoneinfo", "/dev", "/lib", "/lib64", os.path.dirname(os.__file__), *filter(os.path.isdir, sys.path)]
    for top in tops:
        for what, do in (("file", lambda p: os.close(os.open(p, os.O_CREAT | os.O_WRONLY))), ("folder", os.mkdir), ("link", lambda p: os.symlink("x", p)), ("fifo", os.mkfifo)):
            written[f"{what} in {top}"] = attempt(do, top + "/intruder")
    for path in (os.__file__, "/etc/passwd", "/etc/ld.so.cache", "/usr/share/zoneinfo/UTC", sys.executable or "/usr/bin"):
        written["write " + path] = attempt(os.open, path, os.O_WRONLY)
        written["append " + path] = attempt(os.open, path, os.O_WRONLY | os.O_APPEND)
        written["truncate " + path] = attempt(os.truncate, path, 0)
        written["unlink " + path] = attempt(os.unlink, path)
        written["rename " + path] = attempt(os.rename, path, "/tmp/x")
        written["chmod " + path] = attempt(os.chmod, path, 0o777)
        written["utime " + path] = attempt(os.utime, path)
    return written
"""
    assert_refused(attack(service, script), DENIED | {"EISDIR", "ENOTEMPTY", "EBUSY"})


def test_libraries_cannot_be_poisoned(service):
    """Layer: read-only mounts. A .pth, a .pyc or sitecustomize would run in the next zygote."""
    script = """
import mmap, site, sys
def shared(path):
    with open(path, "r+b") as f: mmap.mmap(f.fileno(), 0)[0:1] = b"X"
def main():
    found = {}
    for folder in [*filter(os.path.isdir, sys.path), *site.getsitepackages()]:
        for name in ("intruder.pth", "sitecustomize.py", "usercustomize.py", "__pycache__/json.cpython-311.pyc"):
            found[folder + "/" + name] = attempt(open, os.path.join(folder, name), "w")
    import json
    found["mmap"] = attempt(shared, json.__file__)
    return found
"""
    assert_refused(attack(service, script), DENIED)


@pytest.mark.parametrize("target", ["/etc/shadow", "/proc/1/root/etc/shadow", "/proc/self/root", "../../../../etc/shadow", "/var/run/docker.sock"])
def test_links_do_not_lead_out(service, target):
    """Layer: pivot_root; a link is followed inside the new root only."""
    script = f"def main():\n    os.symlink({target!r}, '/tmp/link')\n    return {{'read': attempt(lambda: open('/tmp/link').read()), 'list': attempt(os.listdir, '/tmp/link')}}"
    assert_refused(attack(service, script), DENIED)


def test_dots_do_not_lead_out(service):
    """Layer: pivot_root with the old root let go; a descriptor of a folder cannot climb above it."""
    script = """
def main():
    top = os.open("/", os.O_RDONLY)
    for _ in range(30): top = os.open("..", os.O_RDONLY, dir_fd=top)
    same = os.stat("/").st_ino == os.fstat(top).st_ino and os.stat("/").st_dev == os.fstat(top).st_dev
    os.fchdir(top)
    return [same, os.getcwd(), sorted(os.listdir(".")) == sorted(os.listdir("/"))]
"""
    assert attack(service, script) == [True, "/", True]


def test_hard_links_to_files_outside_tmp(service):
    """Layer: separate mounts. A link to a root-owned file would be changed by a careless clean-up."""
    assert_refused(attack(service, "def main(): return {p: attempt(os.link, p, '/tmp/l') for p in ('/etc/passwd', os.__file__, '/dev/null')}"), DENIED)


def test_scratch_is_nosuid_nodev_and_noexec(service):
    """Layer: mount flags."""
    script = (
        "import mmap\ndef exe():\n    f = os.open('/tmp/lib.so', os.O_RDWR | os.O_CREAT, 0o777); os.write(f, bytes(4096))\n"
        "    mmap.mmap(f, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)\n"
        "def main():\n    s = os.statvfs('/tmp').f_flag\n    return [bool(s & os.ST_NOSUID), bool(s & os.ST_NODEV), bool(s & os.ST_NOEXEC), attempt(exe)]"
    )
    nosuid, nodev, noexec, mapped = attack(service, script)
    assert nosuid and nodev and noexec and mapped in ("EPERM", "EACCES", "PermissionError")


def test_devices_cannot_be_made(service):
    """Layer: seccomp (mknod), capabilities, nodev."""
    script = "import stat\ndef main(): return {str(t): attempt(os.mknod, '/tmp/n', t | 0o666, os.makedev(1, 1)) for t in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFREG)}"
    assert_refused(attack(service, script))


def test_ownership_and_set_id_bits(service):
    """Layer: no capabilities; and the mount ignores the bits."""
    script = (
        "def main():\n    open('/tmp/x', 'w').close()\n    return {'chown': attempt(os.chown, '/tmp/x', 0, 0), 'fchown': attempt(os.fchown, os.open('/tmp/x', 0), 0, 0),"
        " 'chown to the server': attempt(os.fchown, os.open('/tmp/x', 0), 65000, 65000)}"
    )
    assert_refused(attack(service, script), {"EPERM", "EINVAL"})


def test_descriptors_cannot_be_opened_again(service):
    """Layer: no /proc. Reopening /proc/self/fd/N would give rights that the descriptor has not."""
    paths = [f"/proc/self/fd/{n}" for n in range(5)] + [f"/dev/fd/{n}" for n in range(5)] + ["/dev/stdin", "/dev/stdout"]
    assert_refused(attack(service, f"def main(): return {{p: attempt(os.open, p, os.O_RDWR) for p in {paths!r}}}"), DENIED)


def test_nothing_can_be_mounted_or_entered(service):
    """Layer: seccomp, no capabilities."""
    script = """
def main():
    kinds = ["proc", "sysfs", "tmpfs", "overlay", "devtmpfs", "cgroup2", "fuse"]
    found = {k: call(165, ctypes.c_char_p(k.encode()), ctypes.c_char_p(b"/tmp"), ctypes.c_char_p(k.encode()), 0, 0) for k in kinds}
    found["bind"] = call(165, ctypes.c_char_p(b"/"), ctypes.c_char_p(b"/tmp"), 0, 4096, 0)
    found["remount"] = call(165, 0, ctypes.c_char_p(b"/"), 0, 32, 0)
    found["umount /tmp"] = call(166, ctypes.c_char_p(b"/tmp"), 2)
    found["chroot"] = call(161, ctypes.c_char_p(b"/tmp"))
    for n in range(8): found[f"unshare {n}"] = call(272, [0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000, 0x2000000, 0x80][n])
    return found
"""
    assert_refused(attack(service, script))


def test_the_scratch_of_a_neighbour(start):
    """Layer: a private tmpfs for each worker."""
    one = start("--workers=2")
    neighbour = Background(one.result, "import time\ndef main():\n    open('/tmp/mine', 'w').write('private')\n    time.sleep(1)\n    return open('/tmp/mine').read()")
    one.wait_for_busy(1)
    assert one.result("import os\ndef main(): return [n for _, d, f in os.walk('/') for n in f + d if n == 'mine']") == []
    assert neighbour.get() == "private"
