"""Defence in depth: which layer stops an attack, which one is behind it, and where there is none.

Each attack is a script through POST /execute. It runs on the build that is tested, and then on one in which layers can
be switched off (`tools/build build-weak -Dlayers_off=true`): behind every layer that is left out the next one must
answer, in its own way, and with all of them left out the attack must get through, or it would show nothing. So nothing
here may do harm: an attack looks, or touches what `Targets` made.

docs/SECURITY.md has the table below for people; the two are held together.
"""
import ctypes
import glob
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest
from attack import PRELUDE
from service import BUILD, PROGRAM, ROOT, SANITIZED, Background, Service, read_proc, wait_until

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="there is no sanitized build with layers switched off"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64"),
]

WEAK = os.path.join(ROOT, "build-weak", "python-executor")
OPTIONS = (
    "--preload=json", "--workers=2", "--crew=2", "--require=seccomp,rlimits,identity", "--memory-mb=64", "--scratch-mb=8",
    "--scratch-files=64", "--open-files=32", "--threads=16",
)
ORDINARY_UID = 61000

# --- The attacks ------------------------------------------------------------------------------------

# What an attack is made of: every step has a name, and the answer is the step that failed and how, or "through".
STEPS = PRELUDE + """
import mmap, resource, socket, time
class Stopped(Exception): pass
def do(name, function, *arguments):
    try: return function(*arguments)
    except OSError as e: raise Stopped(f"{name} {errno.errorcode.get(e.errno, e)}")
def sys_(name, number, *arguments):
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if r < 0: raise Stopped(f"{name} {errno.errorcode.get(ctypes.get_errno())}")
    return r
# By the real name: where a view translates paths for a script's comfort (src/sandbox/view.c), this goes past it.
def open_(path, flags):
    return sys_("open", 257, -100, ctypes.c_char_p(path.encode()), flags, 0o600, 0, 0x7669657777656976)
def read_(path):
    assert os.read(open_(path, os.O_RDONLY), 99).decode() == T["mark"]
def connect_(kind, address, family=socket.AF_INET):
    s = do("socket", socket.socket, family, kind)
    do("connect", s.connect, address)
    do("send", s.send, b"x")
def main():
    try: attack()
    except Stopped as e: return str(e)
    return "through"
"""


def body(*lines):
    return "def attack():\n" + "".join(f"    {line}\n" for line in lines)


# attack: script; the stages, each {layer: its answer}; what is left behind them. The layers of one stage each stop it
# alone, in whatever order the kernel asks them. What is left is nothing, or what cannot be switched off: the zygote's own
# watch over its workers, and the limit that the manager gives its children.
THROUGH = ("gets through", "through")
KEEPER_MEMORY = ("the zygote's keeper", "outcome memory")
KEEPER_SCRATCH = ("the zygote's keeper", "outcome scratch_limit")
KEEPER_THREADS = ("the zygote's keeper", "outcome thread_limit")
MANAGER = ("the manager", "limit 0")
LD_SO = "ld = '/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'"
ATTACKS = {
    "read a host file": (
        body("read_(T['public'])"),
        [{"mount-namespace": "open ENOENT"}, {"landlock": "open EACCES"}, {"chroot": "open ENOENT"}], THROUGH),
    "read a host file that is root's alone": (
        body("read_(T['private'])"),
        [{"mount-namespace": "open ENOENT"}, {"landlock": "open EACCES"}, {"chroot": "open ENOENT"},
         {"identity": "open EACCES", "user-namespace": "open EACCES"}], THROUGH),
    "write a host file": (
        body("os.write(open_(T['writable'], os.O_WRONLY | os.O_APPEND), b'x')"),
        [{"mount-namespace": "open ENOENT"}, {"landlock": "open EACCES"}, {"chroot": "open ENOENT"}], THROUGH),
    "write the runtime's libraries": (
        body("os.write(open_(T['library'], os.O_WRONLY | os.O_APPEND), b'x')"),
        [{"mount-namespace": "open EROFS", "landlock": "open EACCES", "identity": "open EACCES",
          "user-namespace": "open EACCES"}], THROUGH),
    "read another worker's scratch": (
        body("for path in T['neighbour'], T['neighbour'].replace('/usr/', '/', 1):", "    try: return read_(path)",
             "    except Stopped as e: found = e", "    if not str(found).endswith('ENOENT'): break", "raise found"),
        [{"mount-namespace": "open ENOENT"}, {"landlock": "open EACCES"}, {"identity": "open EACCES", "user-namespace": "open EACCES"}],
        THROUGH),
    "make a device node": (
        body("sys_('mknod', 133, ctypes.c_char_p(b'node'), 0o20666, 0x105)", "os.read(do('open', os.open, 'node', os.O_RDONLY), 1)"),
        [{"seccomp": "mknod EPERM"}, {"landlock": "mknod EACCES"}, {"identity": "mknod EPERM", "user-namespace": "mknod EPERM"},
         {"mount-namespace": "open EACCES"}], THROUGH),
    "connect over TCP": (
        body("connect_(socket.SOCK_STREAM, ('127.0.0.1', T['tcp']))"),
        [{"seccomp": "socket EPERM"}, {"landlock": "connect EACCES"}, {"network-namespace": "connect ENETUNREACH"}], THROUGH),
    "send over UDP": (
        body("connect_(socket.SOCK_DGRAM, ('127.0.0.1', T['udp']))"),
        [{"seccomp": "socket EPERM"}, {"network-namespace": "connect ENETUNREACH"}], THROUGH),
    "connect to an abstract socket": (
        body("connect_(socket.SOCK_STREAM, chr(0) + T['abstract'], socket.AF_UNIX)"),
        [{"seccomp": "socket EPERM"}, {"network-namespace": "connect ECONNREFUSED"}, {"landlock": "connect EPERM"}], THROUGH),
    "connect to a socket in a folder": (
        body("connect_(socket.SOCK_STREAM, T['unix'], socket.AF_UNIX)"),
        [{"seccomp": "socket EPERM"}, {"mount-namespace": "connect ENOENT"}], THROUGH),
    "signal another process": (
        body("do('kill', os.kill, T['victim'], 28)"),  # SIGWINCH, which nobody minds
        [{"seccomp": "kill EPERM"}, {"pid-namespace": "kill ESRCH"},
         {"identity": "kill EPERM", "landlock": "kill EPERM", "user-namespace": "kill EPERM"}], THROUGH),
    "read another process's memory": (
        body("iov = lambda at: (ctypes.c_size_t * 2)(at, 4)", "buf = ctypes.create_string_buffer(4)",
             "sys_('read', 310, T['victim'], iov(ctypes.addressof(buf)), 1, iov(T['victim_at']), 1, 0)", "assert buf.raw == b'\\x7fELF'"),
        [{"seccomp": "read EPERM"}, {"pid-namespace": "read ESRCH"},
         {"identity": "read EPERM", "landlock": "read EPERM", "user-namespace": "read EPERM"}], THROUGH),
    "trace another process": (
        body("sys_('seize', 101, 0x4206, T['victim'], 0, 0)"),
        [{"seccomp": "seize EPERM"}, {"pid-namespace": "seize ESRCH"},
         {"identity": "seize EPERM", "landlock": "seize EPERM", "user-namespace": "seize EPERM"}], THROUGH),
    "open /proc/PID/mem of another process": (
        body("fd = open_(f\"/proc/{T['victim']}/mem\", os.O_RDONLY)", "assert do('read', os.pread, fd, 4, T['victim_at']) == b'\\x7fELF'"),
        [{"mount-namespace": "open ENOENT"}, {"landlock": "open EACCES"}, {"chroot": "open ENOENT"},
         {"identity": "open EACCES", "user-namespace": "open EACCES"}], THROUGH),
    "fork": (
        body("child = do('fork', os.fork)", "if child == 0: os._exit(0)", "os.waitpid(child, 0)"),
        [{"seccomp": "fork EPERM"}], THROUGH),
    "fork bomb": (
        body("out, into = os.pipe()", "children = []", "try:", "    for _ in range(24):", "        child = do('fork', os.fork)",
             "        if child == 0: os.close(into); os.read(out, 1); os._exit(0)", "        children.append(child)",
             "finally:", "    os.close(into)", "    for child in children: os.waitpid(child, 0)"),
        [{"seccomp": "fork EPERM"}, {"rlimits": "fork EAGAIN", "cgroup": "fork EAGAIN"}], THROUGH),
    "run a program": (
        body(LD_SO, "do('exec', os.execv, ld, [ld, '--version'])"),
        [{"seccomp": "exec EPERM"}, {"landlock": "exec EACCES"}], THROUGH),
    "run a program of its own making": (
        body(LD_SO, "open('own', 'wb').write(open(ld, 'rb').read())", "os.chmod('own', 0o700)",
             "do('exec', os.execv, 'own', ['own', '--version'])"),
        [{"seccomp": "exec EPERM"}, {"landlock": "exec EACCES", "mount-namespace": "exec EACCES"}], THROUGH),
    "become root": (
        body("sys_('setuid', 105, 0)", "assert os.getuid() == 0"),
        [{"seccomp": "setuid EPERM"}, {"user-namespace": "setuid EINVAL"}, {"identity": "setuid EPERM"}], THROUGH),
    "take capabilities": (
        body("some = 1 << 21", "sys_('capset', 126, (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(some, some))"),
        [{"seccomp": "capset EPERM"}, {"identity": "capset EPERM"}], THROUGH),
    "make a user namespace": (
        body("sys_('unshare', 272, 0x10000000)"),
        [{"seccomp": "unshare EPERM"}], THROUGH),
    "mount": (
        body("sys_('mount', 165, ctypes.c_char_p(b'none'), ctypes.c_char_p(b'/tmp'), ctypes.c_char_p(b'tmpfs'), 1, 0)"),
        [{"seccomp": "mount EPERM"}, {"identity": "mount EPERM", "landlock": "mount EPERM"}], THROUGH),
    "mount in a user namespace of its own": (
        body("sys_('unshare', 272, 0x10020000)",
             "sys_('mount', 165, ctypes.c_char_p(b'none'), ctypes.c_char_p(b'/tmp'), ctypes.c_char_p(b'tmpfs'), 1, 0)"),
        [{"seccomp": "unshare EPERM"}, {"landlock": "mount EPERM"}], THROUGH),
    "attach SysV shared memory": (
        body("at = sys_('shmget', 29, T['shm_key'], 4096, 0)", "at = sys_('shmat', 30, at, 0, 0)",
             "assert ctypes.string_at(at).decode() == T['mark']"),
        [{"seccomp": "shmget EPERM"}, {"ipc-namespace": "shmget ENOENT"}], THROUGH),
    "open a POSIX message queue": (
        body("sys_('open', 240, ctypes.c_char_p(T['queue'].encode()), 0, 0, 0)"),
        [{"seccomp": "open EPERM"}, {"ipc-namespace": "open ENOENT"}, {"landlock": "open EACCES"}], THROUGH),
    "open POSIX shared memory": (
        body("read_(T['posix_shm'])"),
        [{"mount-namespace": "open ENOENT"}, {"landlock": "open EACCES"}, {"chroot": "open ENOENT"}], THROUGH),
    "keyctl": (body("sys_('keyctl', 250, 0, -3, 0)"), [{"seccomp": "keyctl EPERM"}], THROUGH),
    "userfaultfd": (body("sys_('userfaultfd', 323, 1)"), [{"seccomp": "userfaultfd EPERM"}], THROUGH),
    "io_uring": (body("sys_('setup', 425, 1, ctypes.create_string_buffer(120))"), [{"seccomp": "setup EPERM"}, {"rlimits": "setup ENOMEM"}], THROUGH),
    "perf_event_open": (
        body("attr = (1).to_bytes(4, 'little') + (64).to_bytes(4, 'little') + bytes(32) + b'\\x61'",
             "attr = ctypes.create_string_buffer(attr, 64)", "sys_('open', 298, attr, 0, -1, -1, 0)"),
        [{"seccomp": "open EPERM"}], THROUGH),
    "bpf": (
        body("attr = (ctypes.c_uint32 * 20)(2, 4, 8, 1)", "sys_('map', 321, 0, attr, 80)"),
        [{"seccomp": "map EPERM"}, {"identity": "map EPERM", "user-namespace": "map EPERM"}], THROUGH),
    "memory bomb": (
        body("m = do('map', mmap.mmap, -1, 256 << 20)", "for at in range(0, 256 << 20, 4096):", "    m[at] = 1",
             "    if at % (1 << 20) == 0: time.sleep(0.002)", "time.sleep(0.3)"),
        [{"rlimits": "map ENOMEM"}], KEEPER_MEMORY),
    "thread bomb": (
        body("import threading", "threading.stack_size(65536)", "done = threading.Event()", "try:",
             "    for _ in range(40): threading.Thread(target=done.wait).start()", "    time.sleep(0.5)",
             "except RuntimeError: raise Stopped('thread refused')", "finally: done.set()"),
        [{"rlimits": "thread refused", "cgroup": "thread refused"}], KEEPER_THREADS),
    "file bomb, one large file": (
        body("fd = os.open('large', os.O_WRONLY | os.O_CREAT)", "for _ in range(12): do('write', os.write, fd, bytes(1 << 20))",
             "time.sleep(0.5)"),
        [{"rlimits": "write EFBIG"}, {"mount-namespace": "write ENOSPC"}], KEEPER_SCRATCH),
    "file bomb, many files": (
        body("for n in range(100): os.close(do('create', os.open, f'f{n}', os.O_WRONLY | os.O_CREAT))", "time.sleep(0.5)"),
        [{"mount-namespace": "create ENOSPC"}], KEEPER_SCRATCH),
    "open files": (body("for _ in range(64): do('dup', os.dup, 0)"), [{"rlimits": "dup EMFILE"}], THROUGH),
    "dump core": (
        body("if libc.prctl(3, 0, 0, 0, 0) == 0: raise Stopped('dumpable 0')",
             "if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0: raise Stopped('limit 0')"),
        [{"identity": "dumpable 0"}, {"rlimits": "limit 0"}], MANAGER),
    "learn the host's uptime": (
        body("if time.clock_gettime(time.CLOCK_BOOTTIME) + 5 < T['uptime']: raise Stopped('another clock')"),
        [{"time-namespace": "another clock"}], THROUGH),
    "learn the host's name": (
        body("if os.uname().nodename != T['host']: raise Stopped('another name')"), [{"uts-namespace": "another name"}], THROUGH),
}


# Here the two layers are another user id, which only root can give to a worker.
BY_ANOTHER_ID = {
    "read a host file that is root's alone", "write the runtime's libraries", "read another worker's scratch", "signal another process",
    "read another process's memory", "trace another process", "open /proc/PID/mem of another process",
}

# --- What is attacked -------------------------------------------------------------------------------


class Targets:
    """Everything the attacks reach for; made here and removed again."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        # Not in /tmp, which means something else to a script.
        self.folder = tempfile.mkdtemp(prefix="px-depth-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.name = os.path.basename(self.folder)
        self.mark = "mark-" + self.name
        self.made = []
        self.facts = {"mark": self.mark, "host": socket.gethostname(), "uptime": time.clock_gettime(time.CLOCK_BOOTTIME)}
        for name, mode in ("public", 0o644), ("private", 0o600), ("writable", 0o666):
            self.facts[name] = self.make_file(os.path.join(self.folder, name), mode)
        self.facts["posix_shm"] = self.make_file("/dev/shm/" + self.name, 0o666)
        self.listen()
        self.share()
        # Without capabilities, since whoever has fewer may not look into one that has more.
        weaken = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
        self.victim = subprocess.Popen([*weaken, "/bin/sleep", "600"], stdin=subprocess.DEVNULL)
        at = wait_until(lambda: re.match(rb"([0-9a-f]+)-.* r--p 00000000 .*/sleep\n", read_proc(self.victim.pid, "maps")), 5)
        self.facts.update(victim=self.victim.pid, victim_at=int(at.group(1), 16))

    def make_file(self, path, mode):
        with open(path, "w") as file:
            file.write(self.mark)
        os.chmod(path, mode)
        self.made.append(path)
        return path

    def listen(self):
        self.sockets = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
        self.sockets[1].bind(("127.0.0.1", 0))
        self.facts.update(tcp=self.sockets[0].getsockname()[1], udp=self.sockets[1].getsockname()[1], abstract=self.name)
        self.facts["unix"] = os.path.join(self.folder, "socket")
        for address in "\0" + self.name, self.facts["unix"]:
            one = socket.socket(socket.AF_UNIX)
            one.bind(address)
            one.listen()
            self.sockets.append(one)
        os.chmod(self.facts["unix"], 0o777)

    def share(self):
        self.facts["shm_key"] = 0x50000000 + os.getpid()
        self.libc.shmat.restype = ctypes.c_void_p
        self.shm = self.libc.shmget(self.facts["shm_key"], 4096, 0o1666)
        at = self.libc.shmat(self.shm, None, 0)
        ctypes.memmove(at, self.mark.encode(), len(self.mark))
        self.libc.shmdt(ctypes.c_void_p(at))
        self.facts["queue"] = self.name
        mask = os.umask(0)
        self.queue = self.libc.mq_open(b"/" + self.name.encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
        os.umask(mask)

    def remove(self):
        self.victim.kill()
        self.victim.wait()
        self.libc.shmctl(self.shm, 0, None)
        self.libc.mq_unlink(b"/" + self.name.encode())
        for one in self.sockets:
            one.close()
        for path in self.made:
            os.unlink(path)
        shutil.rmtree(self.folder)

    def script(self, attack, **more):
        return f"{STEPS}T = {({**self.facts, **more})!r}\n{ATTACKS[attack][0]}"


@pytest.fixture(scope="module")
def targets():
    made = Targets()
    yield made
    made.remove()


class Crew:
    """The services, one at a time: cases come in the order of what is switched off."""

    def __init__(self):
        self.off = self.service = None

    def get(self, off):
        if off != self.off:
            self.stop()
            options = (f"--layers-off={','.join(off)}",) if off is not None and off != () else ()
            self.service = Service(*OPTIONS, *options, program=WEAK if off else PROGRAM)
            self.off = off
        return self.service

    def stop(self):
        if self.service is not None:
            self.service.stop()
        self.off = self.service = None


@pytest.fixture(scope="module")
def crew():
    made = Crew()
    yield made
    made.stop()


def state_of_layers(service):
    return {layer["name"]: layer for layer in service.ask("GET", "/isolation").json["layers"]}


def library_of(service, targets):
    """A file of ours in a folder that Python imports from, as everybody who installs a package makes one."""
    if "library" not in targets.facts:
        folders = service.result("import sys\ndef main(): return sys.path")
        folders = [path for path in folders if os.path.isdir(path) and os.access(path, os.W_OK)]
        if not folders:
            pytest.skip("no folder of Python's can be written to by who runs this test")
        targets.facts["library"] = targets.make_file(os.path.join(folders[-1], targets.name + ".txt"), 0o644)
    return {}


def neighbour_of(service, targets):
    """A worker that keeps a file in its scratch space for a while, and where that is, seen from outside."""
    script = f"import time\ndef main():\n    open('/tmp/{targets.name}', 'w').write({targets.mark!r})\n    time.sleep(1.5)"
    targets.neighbour = Background(service.run, script)
    bases = ("/tmp", "/dev/shm", "/var/tmp", "/run", "/usr/lib/python-executor")
    found = wait_until(lambda: [path for base in bases for path in glob.glob(f"{base}/python-executor-*/*/{targets.name}")], 0.5)
    return {"neighbour": found[0] if found else f"/tmp/python-executor-1/0/{targets.name}"}


PREPARE = {"write the runtime's libraries": library_of, "read another worker's scratch": neighbour_of}


def outcome_of(answer):
    """The script's own word; else how it ended. One that has become another program says nothing."""
    if answer.status == 200:
        return answer.json["result"]
    return "through" if answer.outcome == "exited" else f"outcome {answer.outcome}" if answer.status == 500 else answer.error


def run_attack(service, targets, attack):
    more = PREPARE.get(attack, lambda *_: {})(service, targets)
    return outcome_of(service.run(targets.script(attack, **more)))


def without_sandbox(targets, attack, off):
    """The same script with no sandbox at all: what the platform itself refuses to whom the attack is left to be."""
    command = [sys.executable, "-c", targets.script(attack, neighbour="/nowhere") + "\nimport json; print(json.dumps(main()))"]
    if os.geteuid() == 0 and "identity" not in off:
        command = ["setpriv", f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups", *command]
    done = subprocess.run(
        command, text=True, cwd=targets.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        return json.loads(done.stdout)
    except ValueError:
        return "through" if done.returncode == 0 else done.stdout


# --- The cases --------------------------------------------------------------------------------------


def cases():
    """(attack, layers off, the layer that must answer, its answer), in the order of what is off."""
    for attack, (_, stages, end) in ATTACKS.items():
        off = []
        for number, stage in enumerate(stages):
            for layer, answer in stage.items():
                beside = [other for other in stage if other != layer]
                if off or beside:
                    yield attack, tuple(sorted(off + beside)), layer, answer
            off += stage
        yield attack, tuple(sorted(off)), *end


CASES = sorted(cases(), key=lambda case: case[1])


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_stopped(crew, targets, attack):
    """By the first layer, in the build that is tested."""
    service = crew.get(())
    found = run_attack(service, targets, attack)
    layers = state_of_layers(service)
    first = {layer: answer for layer, answer in ATTACKS[attack][1][0].items() if layers[layer]["active"]}
    assert found != "through"
    if not first:
        refused = "; ".join(f"{name}: {layers[name]['detail']}" for name in ATTACKS[attack][1][0])
        pytest.skip(f"stopped ({found}); the platform refuses {refused}")
    assert found in first.values(), (found, first)


NAMES = [f"{layer} against {attack} without {'+'.join(off)}" for attack, off, layer, _ in CASES]


@pytest.mark.parametrize("attack, off, layer, answer", CASES, ids=NAMES)
def test_what_is_behind(crew, targets, attack, off, layer, answer):
    """With layers switched off; what stands behind them, or nothing."""
    assert os.path.exists(WEAK), "tools/build build-weak -Dlayers_off=true makes it, as `make test` does"
    service = crew.get(off)
    layers = state_of_layers(service)
    assert not [name for name in off if layers[name]["active"]], "the test build did not leave them out"
    if layer in layers and not layers[layer]["active"]:
        pytest.skip(f"the platform refuses {layer}: {layers[layer]['detail']}")
    if attack in BY_ANOTHER_ID and layer in ("identity", "user-namespace") and os.geteuid() != 0:
        pytest.skip(f"here workers have {layers['identity']['detail']}")
    found = run_attack(service, targets, attack)
    if answer == "through" != found == without_sandbox(targets, attack, off):
        pytest.skip(f"the platform itself refuses it: {found}")
    assert found == answer


def test_all_is_well_afterwards(crew, targets):
    """Nothing that was attacked has been harmed."""
    assert targets.victim.poll() is None
    with open(targets.facts["private"]) as private, open(targets.facts["public"]) as public:
        assert private.read() == public.read() == targets.mark
    crew.get(()).assert_well()


# --- What is said of it -----------------------------------------------------------------------------


def rows():
    for attack, (_, stages, end) in ATTACKS.items():
        words = [" or ".join(stage) for stage in stages] + ["-"] * (4 - len(stages))
        yield f"| {attack} | {' | '.join(words)} | {end[0]} |"


def test_the_page_has_this_table():
    with open(os.path.join(ROOT, "docs", "SECURITY.md"), encoding="utf-8") as file:
        page = file.read()
    table = re.search(r"<!-- depth -->\n(?:\|.*\n){2}((?:\|.*\n)*)<!-- /depth -->", page)
    assert table, "docs/SECURITY.md has no table between <!-- depth --> and <!-- /depth -->"
    assert table.group(1).splitlines() == list(rows()), "docs/SECURITY.md should have:\n" + "\n".join(rows())


def run(*command):
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_release_cannot_switch_layers_off():
    for name in "", "-server", "-zygote":
        with open(os.path.join(BUILD, "python-executor" + name), "rb") as file:
            program = file.read()
        assert b"layers-off" not in program and b"LAYERS_OFF" not in program, name
    done = run(PROGRAM, "--layers-off=seccomp")
    assert done.returncode == 2 and "layers-off" in done.stderr
    assert "layers-off" not in run(PROGRAM, "--help").stdout


def test_only_the_build_for_this_test_can():
    assert "layers-off" in run(WEAK, "--help").stdout
