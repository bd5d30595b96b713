"""The command: help, wrong usage, wrong places, wrong users."""
import os
import re
import shutil
import socket
import subprocess

import pytest
from service import BUILD, PROGRAM, Service, ask, order, wait_until


def command(*arguments, environment=None, timeout=20, **more):
    return subprocess.run(
        [PROGRAM, *arguments], env={"PATH": "/usr/bin:/bin", **(environment or {})}, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )


def options():
    """(flag, help, environment variable) of every option, from the help itself."""
    text = command("--help").stdout
    return re.findall(r"^  --([a-z-]+) +(.*(?:\n +.*)?)\n +default (?:.*); ([A-Z_]+)$", text, re.M)


OPTIONS = (
    "host port connections idle-s workers crew queue queue-ms drain-ms body-kb script-kb json-depth wall-ms cpu-ms "
    "memory-mb stdout-kb stderr-kb result-kb result-depth scratch-mb scratch-files open-files threads preload recycle "
    "uid-base log origins keys"
).split()


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag):
    done = command(flag)
    assert done.returncode == 0 and done.stderr == ""
    assert "usage: python-executor" in done.stdout
    for name in OPTIONS:
        assert re.search(rf"^  --{name} ", done.stdout, re.M), name
    for variable in ("PORT", "PYTHON_EXECUTOR_WORKERS", "PYTHON_EXECUTOR_WALL_MS"):
        assert re.search(rf"\b{variable}\b", done.stdout)


def test_every_option_says_its_variable_and_default():
    found = options()
    assert set(OPTIONS) <= {name for name, _, _ in found}
    for name, words, variable in found:
        assert words and variable in ("PORT", "PYTHON_EXECUTOR_" + name.upper().replace("-", "_"))


def test_version():
    done = command("--version")
    assert done.returncode == 0 and re.fullmatch(r"python-executor [0-9]+\.[0-9]+(\.[0-9]+)?\n", done.stdout)


def test_help_of_a_command():
    for name in ("serve", "run", "doctor"):
        done = command("help", name)
        assert done.returncode == 0 and done.stdout.startswith(f"usage: python-executor {name} "), done
        assert command(name, "--help").stdout == done.stdout and "Exit status" in done.stdout
    assert command("help").stdout == command("--help").stdout


def test_an_unknown_command_says_which_may_be_meant():
    assert_usage(command("doktor"), "'doktor'", "did you mean doctor?")
    assert_usage(command("help", "rum"), "'rum'", "did you mean run?")
    done = command("xyz")
    assert_usage(done, "'xyz'")
    assert "did you mean" not in done.stderr


def assert_usage(done, *words):
    assert done.returncode == 2 and done.stdout == "", done
    for word in words:
        assert word in done.stderr, done.stderr
    assert "--help" in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--nonsense"], ["--nonsense"]),
        (["--nonsense=1"], ["--nonsense"]),
        (["--por", "1"], ["--por"]),
        (["nonsense"], ["nonsense"]),
        (["serve", "nonsense"], ["nonsense"]),
        (["-p", "1"], ["-p"]),
        (["--port"], ["--port"]),
        (["--port="], ["--port", "0", "65535"]),
        (["--port", "65536"], ["--port", "65536", "65535"]),
        (["--port", "-1"], ["--port", "-1"]),
        (["--port", "80x"], ["--port", "80x"]),
        (["--port", " 80"], ["--port"]),
        (["--port", "99999999999999999999999999"], ["--port", "65535"]),
        (["--workers=0"], ["--workers", "1", "128"]),
        (["--workers=129"], ["--workers", "129", "128"]),
        (["--wall-ms", "1.5"], ["--wall-ms", "1.5", "whole number"]),
        (["--memory-mb=15"], ["--memory-mb", "16"]),
        (["--uid-base=0"], ["--uid-base", "1000"]),
        (["--log=loud"], ["--log", "loud", "debug"]),
        (["--log="], ["--log", "debug"]),
        (["--log=or"], ["--log", "or", "debug"]),
        (["--log-format=xml"], ["--log-format", "xml", "auto, json or text"]),
        (["--access-log=yes"], ["--access-log", "yes", "on or off"]),
        (["--log-scripts=a"], ["--log-scripts", "a", "on or off"]),
        (["--no-page=on"], ["--no-page"]),
        (["--no-port"], ["--no-port"]),
        (["--log-rate=0"], ["--log-rate", "0", "1000000"]),
        (["--log-project=a b"], ["--log-project", "a b"]),
        (["--host=example.com"], ["--host", "example.com"]),
        (["--preload=os;rm"], ["--preload", "os;rm"]),
        (["--script-kb=64", "--body-kb=32"], ["--script-kb", "--body-kb"]),
        (["--max-wall-ms=4999"], ["--max-wall-ms", "4999", "--wall-ms", "5000"]),
        (["--memory-mb=64", "--max-memory-mb=32"], ["--max-memory-mb", "32", "64"]),
    ],
)
def test_wrong_usage_names_the_flag_and_its_range(arguments, words):
    assert_usage(command(*arguments), *words)


@pytest.mark.parametrize(
    "variable, value", [("PORT", "x"), ("PORT", "70000"), ("PYTHON_EXECUTOR_WORKERS", "0"), ("PYTHON_EXECUTOR_LOG", "loud")]
)
def test_a_wrong_variable_is_named(variable, value):
    assert_usage(command(environment={variable: value}), variable, value)


def test_every_number_has_its_range_checked():
    for name, _, variable in options():
        if name in ("host", "page", "preload", "require", "log", "log-format", "access-log", "log-project", "log-scripts", "origins", "keys", "venv"):
            continue
        assert_usage(command(f"--{name}=x"), f"--{name}", "whole number from")
        assert_usage(command(f"--{name}=99999999999"), f"--{name}", "whole number from")
        assert_usage(command(environment={variable: "x"}), variable, "whole number from")


def test_the_flag_wins_over_the_variable(start):
    one = start("--wall-ms=4000", environment={"PYTHON_EXECUTOR_WALL_MS": "3000", "PYTHON_EXECUTOR_CPU_MS": "2000"})
    limits = one.run("x = 1", details=True).json["limits"]
    assert (limits["wall_ms"], limits["cpu_ms"]) == (4000, 2000)


def test_an_empty_variable_is_no_value(start):
    assert start(environment={"PYTHON_EXECUTOR_WORKERS": ""}).result("def main(): return 1") == 1


def test_the_start_says_what_it_does(start):
    one = start("--workers=3", "--wall-ms=1234")
    for layer in ("user-namespace", "pid-namespace", "mount-namespace", "network-namespace", "landlock", "rlimits", "seccomp"):
        assert re.search(rf"^layer {layer} +on ", one.out, re.M), one.out
    assert "wall 1234 ms" in one.out and "3 running" in one.out and "numpy,pandas" in one.out


def test_the_port_that_is_asked_for(start):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert start(port=port).port == port


def test_the_serve_word_is_the_default(program):
    found = Service.__new__(Service)  # only its checks of processes are of use here
    found.uid_base, found.tag = 90_000_000, "--uid-base=90000000"
    process = subprocess.Popen([program, "serve", "--port", "0", "--uid-base=90000000"], stdout=subprocess.PIPE, text=True)
    assert any("listening on" in line for line in iter(process.stdout.readline, ""))
    process.terminate()
    assert process.wait(10) == 0
    found.assert_gone()


def test_a_second_instance_on_the_same_port(start):
    one = start()
    done = command("--port", str(one.port))
    assert done.returncode == 1
    assert str(one.port) in done.stderr and "in use" in done.stderr and "--port" in done.stderr
    one.assert_well()


def test_an_address_that_is_not_here():
    done = command("--port=0", "--host=192.0.2.1")
    assert done.returncode == 1 and "192.0.2.1" in done.stderr and "--host" in done.stderr


def test_other_addresses(program):
    for host, url in (("0.0.0.0", "http://0.0.0.0:"), ("::1", "http://[::1]:"), ("127.0.0.2", "http://127.0.0.2:")):
        process = subprocess.Popen([program, "--port=0", f"--host={host}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = []
        for line in iter(process.stdout.readline, ""):
            lines.append(line)
            if "listening on" in line:
                break
        process.terminate()
        process.communicate(timeout=10)
        if host == "::1" and process.returncode == 1:
            continue  # a machine without IPv6
        assert process.returncode == 0 and url in lines[-1], lines


def test_its_other_programs_are_missing(tmp_path):
    alone = tmp_path / "python-executor"
    shutil.copy(PROGRAM, alone)
    done = subprocess.run([alone, "--port=0"], text=True, timeout=10, capture_output=True)
    assert done.returncode == 1
    assert "python-executor-server" in done.stderr and str(tmp_path) in done.stderr


def test_a_module_that_cannot_be_preloaded():
    done = command("--port=0", "--preload=no_such_module_xyz")
    assert done.returncode == 1 and "no_such_module_xyz" in done.stderr


def test_preloading_nothing(start):
    one = start("--preload=")
    one.assert_well()
    assert one.result("import sys\ndef main(): return 'pandas' in sys.modules") is False
    assert one.result("import numpy as np\ndef main(): return int(np.arange(4).sum())") == 6


def test_preloading_something_else(start):
    one = start("--preload=json,decimal,sqlite3")
    assert one.result("import sys\ndef main(): return 'sqlite3' in sys.modules and 'numpy' not in sys.modules") is True


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_does_not_end_it(program, stream):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [program, f"--port={port}"], **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: write_end}
    )
    os.close(read_end)
    os.close(write_end)

    def listening():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    assert wait_until(listening, 10)
    assert ask(port, "POST", "/execute", order("def main(): return 1")).status == 200
    process.terminate()
    assert process.wait(10) == 0


def test_no_standard_streams_at_all(program):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(["/bin/sh", "-c", f'exec "$0" --port={port} <&- >&- 2>&-', program])
    def answer():
        try:
            return ask(port, "POST", "/execute", order("import os\ndef main():\n    print('x')\n    return 1"))
        except OSError:
            return None

    found = wait_until(answer, 10)
    process.terminate()
    assert process.wait(10) == 0
    assert found and found.body == b'{"result": 1, "stdout": "x\\n"}', found
