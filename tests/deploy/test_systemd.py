"""The units, and what the Debian package says of itself, held to the program and to each other. `make deb-test` lives
with them on a machine of its own."""
import os
import re
import subprocess

import pytest
from service import ROOT, wait_until

UNITS = os.path.join(ROOT, "packaging", "systemd")
SERVICE = os.path.join(UNITS, "python-executor.service")


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def directives(name):
    """All (name, value) of a unit, in order."""
    return re.findall(r"^(\w+)=(.*)$", text_of("packaging", "systemd", name), re.M)


def value_of(name):
    return dict(directives("python-executor.service"))[name]


# --- What systemd makes of them ---


@pytest.fixture
def units(tmp_path):
    """As they are, but for the program and the user, which this machine need not have."""
    for name in os.listdir(UNITS):
        text = text_of("packaging", "systemd", name).replace("/usr/bin/python-executor", "/bin/true")
        (tmp_path / name).write_text(re.sub("^(User=|Documentation=).*\n", "", text, flags=re.M))
    return tmp_path


@pytest.mark.parametrize("name", ["python-executor.service", "python-executor.socket"])
def test_systemd_finds_no_fault(units, name):
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", str(units / name)], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    ours = [line for line in result.stdout.splitlines() if "python-executor" in line]
    assert result.returncode == 0 and not ours, result.stdout


def test_the_exposure_is_what_the_page_says():
    result = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", SERVICE], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", result.stdout)
    assert found, result.stdout
    page = re.search(r"exposure level is \*\*([0-9.]+)\*\*", text_of("docs", "deploy", "systemd.md"))
    assert found.group(1) == page.group(1), result.stdout


def test_the_page_names_each_line_of_hardening():
    page = text_of("docs", "deploy", "systemd.md")
    plain = ("Description", "Documentation", "After", "ExecStart", "WantedBy")
    lacking = [name for name, _ in directives("python-executor.service") if name not in plain and f"`{name}" not in page]
    assert not lacking, f"docs/deploy/systemd.md does not say what these are for: {lacking}"


# --- What they promise for the program ---


def test_it_gets_the_time_that_it_takes_to_stop():
    usual = re.search(r'"drain-ms", "PYTHON_EXECUTOR_DRAIN_MS", (\d+)', text_of("src", "base", "config.c"))
    assert int(value_of("TimeoutStopSec")) >= int(usual.group(1)) / 1000 + 2


def test_a_wrong_option_is_not_tried_again(program):
    status = subprocess.run([program, "serve", "--no-such-option"], stderr=subprocess.DEVNULL).returncode
    assert value_of("RestartPreventExitStatus") == str(status)


def test_a_hangup_is_a_reload(start):
    assert value_of("ExecReload") == "/bin/sh -c 'kill -HUP $MAINPID'"
    one = start()
    one.every_zygote()
    subprocess.run(["/bin/sh", "-c", "kill -HUP $MAINPID"], env={"MAINPID": str(one.manager_pid)}, check=True)
    assert wait_until(lambda: "a fresh zygote has taken over" in one.log, 30), one.log
    one.assert_well()


# What a service of this kind needs, and hardening for its own sake would take away; docs/deploy/systemd.md has what was seen.
@pytest.mark.parametrize("name, value", [
    ("ProtectProc", "invisible"), ("ProtectControlGroups", "yes"), ("ProtectHostname", "yes"), ("RestrictNamespaces", "yes"),
])
def test_what_would_take_a_layer_away_is_not_set(name, value):
    assert (name, value) not in directives("python-executor.service")


# --- The package ---


def packages_in(variable):
    return set(re.search(rf'^{variable}="([^"]*)"', text_of("tools", "packages"), re.M).group(1).split())


def test_it_is_built_with_what_make_builds_with():
    field = re.search(r"^Build-Depends:(.*?)^\S", text_of("packaging", "deb", "control"), re.M | re.S).group(1)
    declared = {re.match(r"[a-z0-9.+-]+", part.strip()).group() for part in field.split(",")}
    # In every build, or a need of meson's.
    given = {"gcc", "libc6-dev", "ninja-build", "meson"}
    assert packages_in("compile") - given == {name for name in declared if not name.startswith(("debhelper", "dh-sequence-"))} - given


def test_it_needs_what_make_run_installs():
    needs = re.search(r"^Depends: (.*)$", text_of("packaging", "deb", "control"), re.M).group(1).split(", ")
    run = re.search(r'^run="\$compile ([^"]*)"', text_of("tools", "packages"), re.M).group(1).split()
    assert set(run) == {name for name in needs if not name.startswith("${")}


def test_its_version_is_the_programs(program):
    version = re.match(r"python-executor \(([^)]+)\)", text_of("packaging", "deb", "changelog")).group(1)
    assert subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True).stdout == f"python-executor {version}\n"


def test_its_user_is_the_units():
    assert re.search(rf"^u {value_of('User')} ", text_of("packaging", "deb", "python-executor.sysusers"), re.M)
