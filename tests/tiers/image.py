#!/usr/bin/python3
"""Builds the container image and runs the corpora against it in every profile: image.py BUILD [PROFILE…].

Its base is made here, of the packages that this machine's apt has, and gets the name by which the Dockerfile knows it;
so nothing but Debian's archive is needed. The image is looked at (what is inside, how large, its labels), then each
profile (profiles.py) is run as the tiers of run.py are, whose options are here too. What was built before is not built
again: podman keeps its steps in the build folder.
"""
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile

import platforms
import prepare
import profiles
import run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLAIN, VARIANT = "localhost/python-executor:test", "localhost/python-executor:variant"
BASE = "docker.io/library/debian:trixie-slim"
SUITE = "trixie"
MOST_MB = 250
NOT_SENT = re.compile(r"\.git|build(-.*)?")  # at the top
OURS = {"python-executor", "python-executor-server", "python-executor-zygote"}
REQUIREMENTS = "requirements-of-the-test"
ADDED = ("--build-arg=PACKAGES=python3-yaml", "--build-arg=PRELOAD=numpy,yaml,wheeled",
         f"--build-arg=REQUIREMENTS={REQUIREMENTS}")
USES_WHAT_WAS_ADDED = b"""
import wheeled, yaml, numpy
def main():
    return [wheeled.answer(), wheeled.__file__, yaml.safe_load("{a: [1, 2]}")]
"""


class Builder:
    """The images, in a podman storage of their own."""

    def __init__(self, folder):
        self.folder = folder
        # podman keeps what is running at a short path, and remembers which one.
        name = hashlib.sha256(folder.encode()).hexdigest()[:12]
        self.storage = f"/run/python-executor-image-{name}"
        os.makedirs(self.storage, exist_ok=True)
        os.makedirs(os.path.join(folder, "storage"), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.symlink(os.path.join(folder, "storage"), os.path.join(self.storage, "root"))

    def podman(self, *arguments):
        return prepare.run(*prepare.podman(self.storage), *arguments)

    def base(self):
        """Debian's minimal system under the name of the official image."""
        lines = [f"deb {address} {SUITE} main" for address in [dict(prepare.sources())[prepare.suite()]]]
        options = [line for line in prepare.run("apt-config", "dump").splitlines()
                   if re.match(r'(Acquire::(https?|Check-|Retries)).* ".+";$', line)]
        key = hashlib.sha256(repr((SUITE, lines, options)).encode()).hexdigest()
        stamp = os.path.join(self.folder, "base.stamp")
        if os.path.exists(stamp) and prepare.read(stamp) == key and self.podman("images", "--quiet", BASE).strip():
            return
        target = os.path.join(self.folder, "base.tar")
        prepare.run("mmdebstrap", "--quiet", "--variant=minbase", *(f"--aptopt={line.rstrip(';')}" for line in options),
                    *(["--include=ca-certificates"] if "https:" in repr(lines) else []), SUITE, target, *lines)
        self.podman("import", target, BASE)
        os.remove(target)
        with open(stamp, "w", encoding="ascii") as file:
            file.write(key)

    def build(self, name, context, *arguments):
        """The seconds it took."""
        begin = time.monotonic()
        self.podman("build", "--format=docker", "--isolation=chroot", "--network=host", *platforms.limits(), "--tag", name,
                    *arguments, context)
        return time.monotonic() - begin

    def inspect(self, name):
        return json.loads(self.podman("image", "inspect", name))[0]

    @contextlib.contextmanager
    def mounted(self, name):
        yield self.podman("image", "mount", name).strip()
        self.podman("image", "unmount", name)


# --- What is sent to the builder --------------------------------------------------------------------


def write_wheel(folder):
    """A wheel by hand: PyPI is not at hand. Its name is nobody's."""
    files = {"wheeled/__init__.py": b"import numpy\ndef answer():\n    return int(numpy.arange(7).sum()) * 2\n",
             "wheeled-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: wheeled\nVersion: 1.0\nRequires-Dist: numpy\n",
             "wheeled-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = ""
    with zipfile.ZipFile(os.path.join(folder, "wheeled-1.0-py3-none-any.whl"), "w") as wheel:
        for name, data in files.items():
            wheel.writestr(zipfile.ZipInfo(name), data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(data)}\n"
        wheel.writestr(zipfile.ZipInfo("wheeled-1.0.dist-info/RECORD"), record + "wheeled-1.0.dist-info/RECORD,,\n")


@contextlib.contextmanager
def context():
    """A clean copy of the tree, with what the variant asks for; the image that has no variant ignores it."""
    with tempfile.TemporaryDirectory(prefix="python-executor-image-") as folder:
        target = os.path.join(folder, "context")
        os.mkdir(target)
        for name in filter(lambda name: not NOT_SENT.fullmatch(name), os.listdir(ROOT)):
            copy = shutil.copytree if os.path.isdir(os.path.join(ROOT, name)) else shutil.copy
            copy(os.path.join(ROOT, name), os.path.join(target, name))
        os.mkdir(os.path.join(target, REQUIREMENTS))
        write_wheel(os.path.join(target, REQUIREMENTS))
        with open(os.path.join(target, REQUIREMENTS, "requirements.txt"), "w", encoding="ascii") as file:
            file.write("--no-index\n--find-links .\nwheeled == 1.0\npandas\n")
        yield target


# --- What the image is held against -----------------------------------------------------------------


def files_of(root):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            yield path[len(root):], os.lstat(path)


def wrong_inside(root):
    """(what is looked at, what is wrong with it)"""
    found = list(files_of(root))
    executable = sorted(path for path, status in found if stat.S_ISREG(status.st_mode) and status.st_mode & 0o111
                        and ".so" not in os.path.basename(path) and is_program(root, path))
    yield "programs", ", ".join(path for path in executable if os.path.basename(path) not in OURS)
    yield "set-user-id", ", ".join(path for path, status in found if status.st_mode & 0o6000)
    yield "links", ", ".join(path for path, status in found if stat.S_ISLNK(status.st_mode) and not leads_somewhere(root, path))
    yield "tests, headers, documents", ", ".join(path for path, _ in found if re.search(
        r"/dist-packages/.*/tests/(?!_|$)|\.[hca]$|/man/|/var/lib/apt/|/var/cache/.", path))
    bytecode = {path for path, _ in found if path.endswith(".pyc")}
    sources = {path for path, _ in found if path.endswith(".py")}
    lost = [path for path in bytecode if re.sub(r"__pycache__/([^/.]*)\..*", r"\1.py", path) not in sources]
    yield "bytecode", ", ".join(sorted(lost)) or ("" if bytecode else "there is none")


def is_program(root, path):
    """A script is one only where its interpreter is."""
    with open(root + path, "rb") as file:
        begin = file.read(128)
    interpreter = re.match(rb"#! *(/\S+)", begin)
    return begin.startswith(b"\x7fELF") or bool(interpreter) and os.path.exists(root + interpreter.group(1).decode())


def leads_somewhere(root, path):
    """Whether a link has its target in the image; links are looked up as the image has them."""
    for _ in range(40):
        whole = root + path
        if not os.path.islink(whole):
            return os.path.exists(whole)
        target = os.readlink(whole)
        path = os.path.normpath(target if target.startswith("/") else os.path.join(os.path.dirname(path), target))
    return False


def size_of(root):
    return sum(status.st_blocks * 512 for _, status in files_of(root))


def version():
    return re.search(r"^  version: '(.*)',$", prepare.read(os.path.join(ROOT, "meson.build")), re.M).group(1)


def wrong_labels(image):
    config = image["Config"]
    labels = config.get("Labels") or {}
    prefix = "org.opencontainers.image."
    for key, wanted in (("title", "python-executor"), ("licenses", "MIT"), ("version", version())):
        yield key, "" if labels.get(prefix + key) == wanted else f"label {labels.get(prefix + key)!r}"
    yield "entry point", "" if config.get("Entrypoint") == ["/usr/local/bin/python-executor"] else repr(config.get("Entrypoint"))
    yield "stop signal", "" if config.get("StopSignal") == "SIGTERM" else repr(config.get("StopSignal"))
    yield "user", "" if config.get("User", "") in ("", "0", "root") else repr(config["User"])
    yield "port", "" if config.get("ExposedPorts") == {"8080/tcp": {}} else repr(config.get("ExposedPorts"))


def commands(tier):
    """What `docker run IMAGE …` answers beside serving: (name, what is wrong)."""
    said = tier.output("--version").strip()
    yield "--version", "" if said == f"python-executor {version()}" else said
    result = run_script(tier, b"import numpy.testing, pandas.testing, sqlite3, ssl, lzma, bz2, unittest, xml.dom\n"
                        b"def main(): return {'rows': len(pandas.DataFrame({'a': [1, 2]}))}")
    yield "run -", "" if result == {"rows": 2} else repr(result)
    # Imported by the worker itself, which may have no more than /usr.
    result = run_script(tier, b"def main(): return __import__('num' + 'py').linalg.inv([[2.0]]).tolist()")
    yield "an import that nobody saw coming", "" if result == [[0.5]] else repr(result)


def added(tier):
    """The same of an image that was built with PACKAGES, PRELOAD and REQUIREMENTS."""
    result = run_script(tier, USES_WHAT_WAS_ADDED)
    right = isinstance(result, list) and result[0] == 42 and result[2] == {"a": [1, 2]} and "/venv/" in result[1]
    yield "what was added", "" if right else repr(result)


def namespaces(tier):
    """Where they are granted to root, though it has no CAP_SYS_ADMIN, they are used."""
    found = tier.probe()["calls"]
    missing = [name for name in profiles.are("ok", "mount", "user", "pid", "network", "ipc") if found[name] != "ok"]
    yield "namespaces under podman's profile", f"granted, but not used: {', '.join(missing)}" if missing else ""


def run_script(tier, script, *options):
    done = subprocess.run(tier.command("run", "-", *options), input=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return f"{done.stdout!r} {done.stderr[-300:]!r}"


class Look:
    """The checks that need no corpus."""

    def __init__(self, the_run, builder):
        self.run, self.builder = the_run, builder
        self.tier = profiles.Commands("image")  # the column of the table

    def add(self, pairs):
        for name, why in pairs:
            self.run.report.add(self.tier, "image", name, why)

    def __call__(self):
        with self.builder.mounted(PLAIN) as root:
            size = size_of(root) / 1e6
            self.run.report.say(f"{PLAIN}: {size:.0f} MB unpacked")
            self.add([("size", f"{size:.0f} MB, {MOST_MB} are allowed" if size > MOST_MB else "")])
            self.add(wrong_inside(root))
        self.add(wrong_labels(self.builder.inspect(PLAIN)))
        self.use(self.tier, PLAIN, commands)
        self.use(self.tier, VARIANT, added)
        self.use(profiles.Lenient("lenient"), PLAIN, namespaces)

    def use(self, tier, name, ask):
        folder = tempfile.mkdtemp(prefix="look-", dir=self.run.folder)
        tier.image = name
        try:
            tier.prepare(folder, self.run.cache)
            self.add(ask(tier))
        except prepare.Unavailable as error:
            self.add([(name, str(error))])


def build_images(builder, say):
    builder.base()
    with context() as where:
        say(f"{PLAIN}: built in {builder.build(PLAIN, where):.0f} s")
        say(f"{VARIANT}: built in {builder.build(VARIANT, where, *ADDED):.0f} s")


def main():
    options, tiers = run.arguments(profiles.all_profiles())
    the_run = run.Run(options.build, options.only, options.serve)
    builder = Builder(os.path.join(the_run.build, "image"))
    try:
        build_images(builder, the_run.report.say)
    except prepare.Unavailable as error:
        the_run.clean()
        print(f"FAIL the image is not built: {error}\n0 passed, 1 failed")
        return 1
    profiles.Image.image, profiles.Image.storage = PLAIN, builder.storage
    return run.run_all(the_run, tiers, Look(the_run, builder))


if __name__ == "__main__":
    sys.exit(main())
