"""Configuration: the file, under the environment, under flags; the command `config`; make install and uninstall."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from service import PROGRAM, ROOT

PLACE = "/etc/python-executor/python-executor.conf"
VARIABLES = {"PATH": "/usr/bin:/bin", "PYTHON_EXECUTOR_CONFIG": "/dev/null"}


def command(*arguments, environment=None, program=PROGRAM, **more):
    return subprocess.run(
        [program, *map(str, arguments)], env={**VARIABLES, **(environment or {})}, text=True, timeout=30,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )


def shown(*arguments, environment=None):
    done = command("config", "--json", *arguments, environment=environment)
    assert done.returncode == 0 and done.stderr == "", done
    return json.loads(done.stdout)


OPTIONS = shown()["options"]


def variable_of(name):
    return "PORT" if name == "port" else "PYTHON_EXECUTOR_" + name.upper().replace("-", "_")


def other_values(name):
    """Three values that the option takes, none of them what it is by itself."""
    value = OPTIONS[name]["value"]
    special = {
        "host": ["127.0.0.2", "127.0.0.3", "127.0.0.4"],
        "log": ["error", "warning", "debug"],
        "log-format": ["json", "text", "json"],
        "preload": ["json", "re,json", "decimal?"],
        "origins": ["https://a.example", "https://b.example:8443", "https://a.example,http://c"],
        "require": [f"seccomp,rlimits,identity{more}" for more in ("", ",filesystem", ",network")],
        "uid-base": [200000, 300000, 400000],
        "body-kb": [20000, 30000, 40000],
    }
    if name in special:
        return special[name]
    if value in ("on", "off"):
        return ["off", "on", "off"]
    if isinstance(value, int):
        step = 1 if value < 900 else -1
        return [value + step * (k + 1) for k in range(3)] if not name.startswith("max-") else [60000, 61000, 62000]
    return ["a", "b", "c"]


@pytest.fixture
def config_file():
    """Its path is short: of a long one an error message has the end."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:

        def write(text, name="x.conf"):
            path = pathlib.Path(folder, name)
            path.write_text(text)
            return path

        yield write


# --- Who wins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_flag_over_a_variable_over_the_file(name, config_file):
    low, middle, high = other_values(name)
    path = config_file(f"# a comment\n{name} = {low}\n")
    assert OPTIONS[name]["source"] in ("default", "automatic")
    assert shown("--config", path)["options"][name] == {"value": low, "source": "file", "line": 2}
    variables = {variable_of(name): str(middle), "PYTHON_EXECUTOR_CONFIG": str(path)}
    assert shown(environment=variables)["options"][name] == {"value": middle, "source": "environment", "variable": variable_of(name)}
    assert shown(f"--{name}={high}", environment=variables)["options"][name] == {"value": high, "source": "flag"}
    others = shown("--config", path)["options"]
    assert all(others[other] == OPTIONS[other] for other in OPTIONS if other != name and OPTIONS[other]["source"] == "default")


def test_the_flag_that_names_a_file_wins_over_the_variable(config_file):
    one, other = config_file("wall-ms = 1\n", "one"), config_file("wall-ms = 2\n", "other")
    found = shown(f"--config={one}", environment={"PYTHON_EXECUTOR_CONFIG": str(other)})
    assert found["file"] == str(one) and found["options"]["wall-ms"]["value"] == 1


def in_another_etc(folder, file_text, *arguments):
    """Runs the command where /etc is a copy with that file at its usual place."""
    etc = folder / "etc"
    (etc / "python-executor").mkdir(parents=True)
    (etc / "python-executor" / "python-executor.conf").write_text(file_text)
    script = 'mount --bind "$1" /etc && shift && exec "$@"'
    return subprocess.run(["unshare", "--mount", "/bin/sh", "-c", script, "sh", str(etc), *arguments], text=True, timeout=30,
                          capture_output=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


needs_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "/bin/sh", "-c", "mount --bind /etc /etc"], stderr=subprocess.DEVNULL).returncode != 0,
    reason="needs the right to mount",
)


@needs_mounts
def test_the_file_that_nobody_has_to_name(tmp_path):
    done = in_another_etc(tmp_path, "wall-ms = 123\n", PROGRAM, "config", "--json")
    found = json.loads(done.stdout)
    assert found["file"] == PLACE and found["options"]["wall-ms"] == {"value": 123, "source": "file", "line": 1}
    done = in_another_etc(tmp_path / "2", "wall-ms = x\n", PROGRAM, "config")
    assert done.returncode == 2 and f"{PLACE}:1: wall-ms: 'x'" in done.stderr
    done = in_another_etc(tmp_path / "3", "wall-ms = x\n", PROGRAM, "config", "--config=/dev/null")
    assert done.returncode == 0


def test_there_need_be_no_file():
    """And one that is there says nothing, as the sample does; else all services of these tests would follow it."""
    done = subprocess.run([PROGRAM, "config", "--json"], env={"PATH": "/usr/bin:/bin"}, text=True, capture_output=True, timeout=30)
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["file"] == (PLACE if os.path.exists(PLACE) else None)
    assert {name for name, option in found["options"].items() if option["source"] not in ("default", "automatic")} == set()


# --- What is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["serve"], ["config"], ["doctor"], ["run", "x.py"], []], ids=lambda words: words[0] if words else "none")
def test_file_line_option_and_range(words, config_file):
    path = config_file("log = info\nwall-ms = 0\n")
    for arguments, variables in (([f"--config={path}"], {}), ([], {"PYTHON_EXECUTOR_CONFIG": str(path)})):
        done = command(*words, *arguments, environment=variables)
        assert done.returncode == 2 and done.stdout == ""
        assert f"{path}:2: wall-ms: '0' is not allowed, it takes a whole number from 1 to 3600000" in done.stderr


def test_an_unknown_option_in_the_file(config_file):
    path = config_file("wal-ms = 5\n")
    done = command("--config", path)
    assert done.returncode == 2 and f"{path}:1: the line: unknown option 'wal-ms', did you mean wall-ms?" in done.stderr


def test_a_file_that_is_named_must_be_there(tmp_path):
    for arguments, variables in ((["--config", tmp_path / "x"], {}), ([], {"PYTHON_EXECUTOR_CONFIG": str(tmp_path / "x")})):
        done = command(*arguments, environment=variables)
        assert done.returncode == 2 and f"{tmp_path}/x: cannot open it: No such file" in done.stderr
    assert "--config: needs a value" in command("--config").stderr
    assert "Is a directory" in command("--config", tmp_path).stderr


def test_options_that_contradict_each_other_over_their_sources(config_file):
    path = config_file("script-kb = 64\n")
    done = command("config", "--config", path, environment={"PYTHON_EXECUTOR_BODY_KB": "32"})
    assert done.returncode == 2 and "--script-kb: 64 is more than --body-kb, which is 32" in done.stderr


def test_a_variable_that_is_a_slip_is_told():
    variables = {"PYTHON_EXECUTOR_WAL_MS": "secret-1", "PYTHON_EXECUTOR_XYZZYXYZZY": "2", "PYTHON_EXECUTOR_PORT": "9000"}
    done = command("config", environment=variables)
    assert done.returncode == 0
    assert "PYTHON_EXECUTOR_WAL_MS is no option and without effect, did you mean PYTHON_EXECUTOR_WALL_MS?" in done.stderr
    assert "PYTHON_EXECUTOR_PORT is no option and without effect, did you mean PORT?" in done.stderr
    assert re.search(r"PYTHON_EXECUTOR_XYZZYXYZZY is no option and without effect$", done.stderr, re.M)
    assert "secret-1" not in done.stderr


def test_variables_that_are_no_options_and_no_slips():
    done = command("config", environment={"PYTHON_EXECUTOR_KEY_LINES": "x"})
    assert done.returncode == 0 and done.stderr == ""


def test_what_kubernetes_sets_for_a_service_of_this_name_is_no_slip():
    variables = {
        "PYTHON_EXECUTOR_SERVICE_HOST": "10.0.0.1", "PYTHON_EXECUTOR_SERVICE_PORT": "80", "PYTHON_EXECUTOR_SERVICE_PORT_HTTP": "80",
        "PYTHON_EXECUTOR_PORT": "tcp://10.0.0.1:80", "PYTHON_EXECUTOR_PORT_80_TCP": "tcp://10.0.0.1:80",
        "PYTHON_EXECUTOR_PORT_80_TCP_PROTO": "tcp", "PYTHON_EXECUTOR_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    done = command("config", environment=variables)
    assert done.returncode == 0 and done.stderr == ""


def test_a_service_tells_of_the_slip_too(start):
    one = start(environment={"PYTHON_EXECUTOR_WAL_MS": "1"})
    assert "did you mean PYTHON_EXECUTOR_WALL_MS?" in one.log


# --- The command `config` ---------------------------------------------------------------------------


def test_what_it_prints_is_a_file_that_says_the_same(config_file):
    origins = ",".join(f"https://a-rather-long-name-{k}.example" for k in range(6))
    arguments = ["--wall-ms=77", f"--origins={origins}", "--preload=", "--workers=3"]
    before = shown(*arguments)["options"]
    path = config_file(command("config", *arguments).stdout)
    after = shown("--config", path)["options"]
    assert {name: option["value"] for name, option in after.items()} == {name: option["value"] for name, option in before.items()}
    assert {option["source"] for option in after.values()} == {"file"}
    lines = path.read_text().splitlines()
    for name, option in after.items():
        assert lines[option["line"] - 1].startswith(f"{name} = "), (name, option)


def test_it_says_behind_each_value_who_said_so(config_file):
    path = config_file("port = 81\n")
    text = command("config", "--config", path, "--cpu-ms=9", environment={"PYTHON_EXECUTOR_WALL_MS": "8"}).stdout
    for line in (f"# file: {path}", "port = 81  ; file, line 1", "wall-ms = 8  ; environment PYTHON_EXECUTOR_WALL_MS",
                 "cpu-ms = 9  ; flag", "memory-mb = 256  ; default", "# Listening"):
        assert line in text.splitlines(), text
    assert re.search(r"^workers = [1-9][0-9]*  ; automatic$", text, re.M)


def test_check(config_file):
    good, bad, torn = config_file("port = 81\n", "good"), config_file("port = x\n", "bad"), config_file("script-kb=64\nbody-kb=32", "torn")
    # The environment is not the file's fault.
    done = command("config", "--check", good, environment={"PORT": "x"})
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{good} can be used\n", "")
    for path, words in ((bad, f"{bad}:1: port: 'x'"), (torn, "--script-kb"), ("/no/such", "/no/such: cannot open it")):
        done = command("config", f"--check={path}")
        assert done.returncode == 2 and done.stdout == "" and words in done.stderr, done
    for arguments in (["--check"], ["--check", good, "--json"], ["--check", good, "--port=1"]):
        assert command("config", *arguments).returncode == 2


def test_a_path_that_is_no_text(tmp_path):
    path = os.fsencode(tmp_path) + b'/"\xff\n\xc3\xa9.conf'
    with open(path, "w") as file:
        file.write("port = 81\n")
    done = subprocess.run([PROGRAM, "config", "--json", b"--config", path], capture_output=True, timeout=30, env=VARIABLES)
    assert json.loads(done.stdout)["file"] == str(tmp_path) + '/"\ufffd\n\u00e9.conf'


def test_it_tells_the_truth_about_a_service(start, config_file):
    """What it says for the same file, environment and flags is what a service with them does."""
    path = config_file("wall-ms = 1500\nworkers = 3\npreload =\nmax-memory-mb = 300\n")
    environment = {"PYTHON_EXECUTOR_CONFIG": str(path), "PYTHON_EXECUTOR_CPU_MS": "2500", "PYTHON_EXECUTOR_STDOUT_KB": "7"}
    said = {name: option["value"] for name, option in shown("--memory-mb=100", environment=environment)["options"].items()}
    one = start("--memory-mb=100", environment=environment)
    limits = one.run("x = 1", details=True).json["limits"]
    for key, name in (("wall_ms", "wall-ms"), ("cpu_ms", "cpu-ms"), ("memory_mb", "memory-mb"), ("stdout_kb", "stdout-kb"),
                      ("stderr_kb", "stderr-kb"), ("result_kb", "result-kb"), ("scratch_mb", "scratch-mb")):
        assert limits[key] == said[name], (key, limits)
    assert (limits["wall_ms"], limits["cpu_ms"], limits["memory_mb"], limits["stdout_kb"]) == (1500, 2500, 100, 7)
    assert f"{said['workers']} running, {said['crew']} kept ready, {said['queue']} waiting; preloaded: nothing" in one.out
    assert len(one.run("def main(): print('x' * 9000)").stdout) == said["stdout-kb"] * 1024
    assert one.run("x = 1", limits={"memory_mb": said["max-memory-mb"]}, details=True).json["limits"]["memory_mb"] == 300
    assert one.run("x = 1", limits={"memory_mb": said["max-memory-mb"] + 1}).status == 400


def test_a_run_of_ones_own_follows_the_file(config_file, tmp_path):
    path = config_file("wall-ms = 300\npreload =\nmax-wall-ms = 400\n")
    script = tmp_path / "script.py"
    script.write_text("def main(): return 1")
    done = command("run", script, "--json", "--config", path)
    assert json.loads(done.stdout)["limits"]["wall_ms"] == 300, done
    done = command("run", "--limit", "wall_ms=900", script, "--json", environment={"PYTHON_EXECUTOR_CONFIG": str(path)})
    assert json.loads(done.stdout)["limits"]["wall_ms"] == 900


# --- Pages that are made of the tables --------------------------------------------------------------

# tests/architecture holds them to the tables.
MADE = {"page": "CONFIGURATION.md", "man": "man/python-executor.1", "sample": "python-executor.conf"}


def made(name):
    """As it is committed."""
    return pathlib.Path(ROOT, "docs", MADE[name]).read_text()


def test_every_option_is_on_every_page():
    for name, option in OPTIONS.items():
        assert f"| `--{name}` | `{variable_of(name)}` |" in made("page")
        assert "\\fB\\-\\-" + name.replace("-", "\\-") + "\\fR " in made("man")
        assert f"\\fB{variable_of(name)}\\fR" in made("man").replace("\n", " ")
        assert re.search(rf"^#{name} =", made("sample"), re.M)


def test_every_command_is_in_the_manual_and_in_the_help():
    text = command("--help").stdout
    names = re.findall(r"^(?:usage:|      ) python-executor ([a-z]+) ", text, re.M)
    assert {"serve", "run", "doctor", "config"} <= set(names)
    for name in set(names) - {"help"}:
        assert f"\\fBpython\\-executor {name}\\fR " in made("man")
        page = pathlib.Path(ROOT, "docs", "man", f"python-executor-{name}.1").read_text()
        assert f"\\fBpython\\-executor {name}\\fR " in page
        for option in set(re.findall(r"^  --([a-z-]+) ", command(name, "--help").stdout, re.M)) - set(OPTIONS):
            assert f"\\fB\\-\\-{option}\\fR" in page


def test_the_sample_says_what_goes_without_it(config_file):
    sample = made("sample")
    assert command("config", "--check", config_file(sample)).returncode == 0
    assert {option["source"] for option in shown("--config", config_file(sample))["options"].values()} <= {"default", "automatic"}
    all_set = re.sub(r"^#([a-z][a-z-]* =)", r"\1", sample, flags=re.M)
    for name, option in shown("--config", config_file(all_set))["options"].items():
        assert option["source"] == "file" and (OPTIONS[name]["source"] == "automatic" or option["value"] == OPTIONS[name]["value"])


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="needs mandoc")
@pytest.mark.parametrize("name", os.listdir(os.path.join(ROOT, "docs", "man")))
def test_the_manual_page_is_sound(name):
    done = subprocess.run(["mandoc", "-T", "lint", os.path.join(ROOT, "docs", "man", name)], text=True, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- make install -----------------------------------------------------------------------------------


USER = 61234  # an ordinary one, who is nobody else
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
PROGRAMS = {"bin/python-executor", "libexec/python-executor/python-executor-server", "libexec/python-executor/python-executor-zygote"}
PAGES = {*(f"share/man/man1/{name}" for name in os.listdir(os.path.join(ROOT, "docs", "man"))),
         "share/doc/python-executor/python-executor.conf", "share/doc/python-executor/licenses.txt"}


class Tree:
    """The sources in a folder of an ordinary user, who builds and installs from there, beside a home of his."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        def is_no_source(above, names):
            return {name for name in names if name in (".git", "__pycache__", "node_modules")
                    or (above == ROOT and name.startswith("build"))}

        shutil.copytree(ROOT, self.folder / "source", ignore=is_no_source)
        (self.folder / "home").mkdir()
        if AS_USER:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, USER, USER, follow_symlinks=False)
        self.folder.chmod(0o755)

    def make(self, *arguments):
        done = subprocess.run(
            [*AS_USER, "make", "-C", self.folder / "source", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=500, env={"PATH": os.environ["PATH"], "HOME": str(self.folder / "home")},
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def tree():
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="python-executor-install-") as folder:
        yield Tree(folder)


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def serve_from(program, start):
    one = start("--preload=", program=str(program), behind=AS_USER)
    one.assert_well()
    one.stop()


def test_an_ordinary_user_installs_below_a_prefix_of_his_own(tree, start):
    prefix = tree.folder / "home" / "opt"
    tree.make("install", f"PREFIX={prefix}")
    assert files_below(prefix) == PROGRAMS | PAGES
    program = prefix / "bin" / "python-executor"
    serve_from(program, start)
    script = tree.folder / "home" / "script.py"
    script.write_text("def main(): return 6 * 7")
    done = subprocess.run([*AS_USER, program, "run", script, "--preload="], capture_output=True, timeout=60, env={"PATH": "/usr/bin:/bin"})
    assert done.stdout == b"42\n", done
    # From where it is moved to as a whole, and by a name for it elsewhere.
    moved = tree.folder / "home" / "moved"
    prefix.rename(moved)
    link = tree.folder / "home" / "link"
    link.symlink_to(moved / "bin" / "python-executor")
    serve_from(link, start)
    moved.rename(prefix)
    tree.make("install", f"PREFIX={prefix}")  # over the present one
    tree.make("uninstall", f"PREFIX={prefix}")
    assert list(prefix.iterdir()) == []


def test_into_a_folder_for_a_package(tree, start):
    stage = tree.folder / "home" / "stage"
    for variables, below in ((["PREFIX=/usr"], "usr"), ([], "usr/local")):
        tree.make("install", f"DESTDIR={stage}", *variables)
        top = stage / below
        assert files_below(stage) == {f"{below}/{name}" for name in PROGRAMS | PAGES}
        serve_from(top / "bin" / "python-executor", start)
        (top / "bin" / "neighbour").write_text("of somebody else")
        tree.make("uninstall", f"DESTDIR={stage}", *variables)
        assert files_below(stage) == {f"{below}/bin/neighbour"}
        assert not list(stage.rglob("*python-executor*"))
        shutil.rmtree(stage)


def test_the_build_folder_still_works_by_itself(tree, start):
    serve_from(tree.folder / "source" / "build" / "python-executor", start)
