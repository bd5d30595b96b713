"""The first run as a newcomer meets it: what is told while it installs and builds, what goes wrong on the way, and what there
is to do at the end. `make first-run-test` does all of it on a fresh Debian."""
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest
from service import PROGRAM, ROOT

PACKAGES = os.path.join(ROOT, "tools", "packages")
BUILDER = os.path.join(ROOT, "tools", "build")
PROGRESS = os.path.join(ROOT, "tools", "progress")
BASE = 3_900_000_000 + os.getpid() % 10_000 * 10_000


def call(*command, environment=None, **keys):
    return subprocess.run(command, env={"PATH": "/usr/bin:/bin", **(environment or {})}, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **keys)


class Terminal:
    """A command on a terminal, and what it writes there."""

    def __init__(self, *command, environment=None, cwd=None):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd or ROOT)
                os.execve(command[0], command, {"PATH": "/usr/bin:/bin", "TERM": "xterm", **(environment or {})})
            finally:
                os._exit(127)

    def read(self, until=None, seconds=60):
        """Until that is there, or the command has ended."""
        end = time.monotonic() + seconds
        while until is None or until not in self.text:
            assert time.monotonic() < end, self.text
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.text

    def status(self):
        self.read()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


# --- Packages ---


@pytest.fixture
def tree(tmp_path):
    """The tools alone, whose log is then not that of this tree; everybody may go there."""
    shutil.copytree(os.path.dirname(PACKAGES), tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "build").mkdir()
    (tmp_path / "build").chmod(0o777)
    folder = tmp_path
    while folder != folder.parent and folder.owner() == tmp_path.owner() and str(folder) != "/tmp":
        folder.chmod(folder.stat().st_mode | 0o755)
        folder = folder.parent
    return tmp_path


@pytest.fixture
def nothing_installed(tmp_path):
    """The environment in which dpkg knows no package."""
    folder = tmp_path / "dpkg"
    folder.mkdir(mode=0o755)
    (folder / "status").touch()
    return {"DPKG_ADMINDIR": str(folder)}


@pytest.fixture
def bare_path(tmp_path):
    """A PATH with what tools/packages takes, and neither apt-get nor sudo."""
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    for name in "sh id dpkg-query sed grep tail cut date mkdir stty env".split():
        (folder / name).symlink_to(shutil.which(name))
    return folder


def test_where_everything_is_installed_nothing_is_said():
    done = call(PACKAGES, "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_apt_it_names_what_is_missing(tree, nothing_installed, bare_path):
    done = call(tree / "tools/packages", "run", environment={**nothing_installed, "PATH": str(bare_path)})
    assert done.returncode == 1
    for word in ("no apt-get", "libmicrohttpd-dev", "meson", "python3-pandas", "make build", "python-executor serve"):
        assert word in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")
def test_an_ordinary_user_without_sudo_is_told(tree, nothing_installed, bare_path):
    (bare_path / "apt-get").symlink_to("/usr/bin/apt-get")
    done = call(tree / "tools/packages", "run", environment={**nothing_installed, "PATH": str(bare_path)}, user=65534, group=65534)
    assert done.returncode == 1 and "root" in done.stderr and "sudo" in done.stderr and "gcc" in done.stderr, done.stderr


@pytest.fixture
def no_archive(tmp_path, nothing_installed):
    """The environment in which apt knows one archive, and nobody is there."""
    state = tmp_path / "apt"
    for name in ("lists/partial", "cache/archives/partial", "etc/sources.list.d", "log"):
        (state / name).mkdir(parents=True)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    (state / "sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{port}/debian bookworm main\n")
    lines = {"Dir::Etc::SourceList": state / "sources.list", "Dir::Etc::SourceParts": state / "etc/sources.list.d",
             "Dir::State": state, "Dir::State::Lists": state / "lists", "Dir::Cache": state / "cache", "Dir::Log": state / "log",
             "Dir::State::Status": tmp_path / "dpkg/status", "APT::Sandbox::User": "root", "Acquire::Retries": "0"}
    (state / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in lines.items()))
    return {**nothing_installed, "APT_CONFIG": str(state / "apt.conf")}


@pytest.mark.skipif(os.geteuid() != 0, reason="apt-get installs as root")
def test_without_a_network_it_says_what_failed_and_what_to_look_at(tree, no_archive):
    done = call(tree / "tools/packages", "run", environment=no_archive)
    log = (tree / "build/packages.log").read_text()
    assert done.returncode == 1
    assert "apt-get update failed" in done.stderr and "going on" in done.stderr
    assert "apt-get could not install gcc" in done.stderr and "is there a network" in done.stderr, done.stderr
    assert "build/packages.log" in done.stderr and "127.0.0.1" in log
    assert len(done.stderr.splitlines()) < 24, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="apt-get installs as root")
def test_what_is_not_essential_does_not_stop_it(tree, no_archive, tmp_path):
    rows = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\n"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    (tmp_path / "dpkg/status").write_text("".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n\n"
        for name in sorted(set(rows)) if name != "libopenblas0-serial"))
    done = call(tree / "tools/packages", "run", environment=no_archive)
    assert done.returncode == 0, done
    assert "could not install libopenblas0-serial, and it goes without" in done.stderr, done.stderr


def test_usage():
    done = call(PACKAGES, "everything")
    assert done.returncode == 2 and "usage" in done.stderr


# --- The build ---

MESON = "project('small', 'c')\nexecutable('one', 'one.c')\nexecutable('two', 'two.c')\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "meson.build").write_text(MESON)
    for name in ("one", "two"):
        (tmp_path / f"{name}.c").write_text("int main(void) { return 0; }\n")
    return tmp_path


def test_a_build_says_how_far_it_is_and_nothing_where_nothing_is_to_do(project):
    done = call(BUILDER, "out", cwd=project)
    assert done.returncode == 0 and done.stderr == "", done
    lines = done.stdout.splitlines()
    assert lines[0].startswith("configuring out; ") and re.fullmatch(r"building out: done in \d+ s", lines[-1]), lines
    assert "building out: 50 %" in lines and len(lines) <= 8 and "\033" not in done.stdout
    done = call(BUILDER, "out", cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_on_a_terminal_it_is_one_line_that_changes(project):
    terminal = Terminal(BUILDER, "out", cwd=project)
    assert terminal.status() == 0
    assert "\r\033[Kbuilding out: 50 %" in terminal.text and terminal.text.count("\n") == 2, terminal.text
    assert re.search(r"\r\033\[Kbuilding out: done in \d+ s\r\n$", terminal.text), terminal.text


def test_what_the_compiler_says_is_shown_and_the_build_fails(project):
    (project / "two.c").write_text("int main(void) { return nobody_knows_it; }\n")
    done = call(BUILDER, "out", cwd=project)
    assert done.returncode == 1
    assert "two.c:1:" in done.stdout and "nobody_knows_it" in done.stdout and "done in" not in done.stdout, done
    assert "could not build out" in done.stderr


def test_what_meson_says_is_shown(project):
    (project / "meson.build").write_text("project('small', 'c')\ndependency('a-library-of-nobody')\n")
    done = call(BUILDER, "out", cwd=project)
    assert done.returncode == 1 and "a-library-of-nobody" in done.stderr and "out.log" in done.stderr
    assert "a-library-of-nobody" in (project / "out.log").read_text()


def test_without_meson_it_says_how_to_get_it(project, bare_path):
    done = call(BUILDER, "out", environment={"PATH": str(bare_path)}, cwd=project)
    assert done.returncode == 1 and "tools/packages compile" in done.stderr, done


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")
def test_a_build_folder_of_another_user_is_told(tree):
    (tree / "build").chmod(0o755)
    done = call(tree / "tools/build", "build", cwd=tree, user=65534, group=65534)
    assert done.returncode == 1 and "another user's" in done.stderr, done


@pytest.mark.parametrize("status", [0, 3])
def test_progress_ends_as_its_command_and_passes_on_what_it_says(status):
    steps = "pmstatus:gcc:12.5:Unpacking gcc:amd64\npmstatus:gcc:55.1:Setting up\na:b:c:d\nwarning: 100%% \\\\ sure\n"
    done = call(PROGRESS, "installing", "sh", "-c", f"printf '{steps}'; exit {status}")
    assert done.returncode == status
    lines = done.stdout.splitlines()
    assert lines[:4] == ["installing: 12 %", "installing: 55 %", "a:b:c:d", "warning: 100% \\ sure"]
    assert (len(lines) == 5) == (status == 0) and done.stderr == ""


# --- Ready ---


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def serve(*options, environment=None):
    port = free_port()
    options = [f"--port={port}", f"--uid-base={BASE}", "--preload=", *options]
    return port, Terminal(PROGRAM, "serve", *options, environment=environment)


@pytest.mark.parametrize("host, here", [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])
def test_on_a_terminal_it_ends_with_a_page_and_a_line_that_works(host, here):
    port, terminal = serve(f"--host={host}")
    text = terminal.read(until="Ctrl-C ends it.")
    line = re.search(r"^Try +(curl .*?)\r$", text, re.M).group(1)
    page = re.search(r"^Open +(\S+)\r$", text, re.M).group(1)
    assert page == f"http://{here}:{port}/"
    answer = subprocess.run(["sh", "-c", line.replace("curl ", "curl -sS ")], stdout=subprocess.PIPE, check=True).stdout
    assert json.loads(answer) == {"result": 42, "stdout": ""}
    assert b"<!doctype html" in subprocess.run(["curl", "-sSf", page], stdout=subprocess.PIPE, check=True).stdout.lower()
    os.write(terminal.fd, b"\x03")
    assert terminal.status() == 0


def test_without_the_page_and_with_keys_it_says_so(tmp_path):
    digest = "0" * 64
    keys = tmp_path / "keys"
    keys.write_text(f"one sha256:{digest}\n")
    _, terminal = serve("--no-page", f"--keys={keys}")
    text = terminal.read(until="Ctrl-C ends it.")
    assert "Authorization: Bearer YOUR-KEY" in text and not re.search("^Open ", text, re.M), text
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.status() == 0


def test_in_json_there_is_no_greeting():
    _, terminal = serve("--log-format=json")
    text = terminal.read(until="listening on")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.status() == 0
    assert "Ctrl-C" not in terminal.text and "curl" not in terminal.text, text


def test_the_port_of_another_is_told_with_what_to_do():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = call(PROGRAM, "serve", "--preload=", environment={"PORT": str(port)})
    assert done.returncode == 1 and f"{port} is in use" in done.stderr and "PORT" in done.stderr, done
