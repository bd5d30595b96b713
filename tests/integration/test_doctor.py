"""python-executor doctor, and the floor that --require sets: what is said where a layer is not to be had."""
import json
import os
import re
import subprocess

import pytest
from service import PROGRAM, all_pids, needs_poverty, poorly, read_proc

LAYERS = (
    "seccomp rlimits identity landlock chroot mount-namespace user-namespace pid-namespace network-namespace "
    "ipc-namespace uts-namespace time-namespace cgroup-namespace cgroup"
).split()
FLOOR = "seccomp,rlimits,identity"
POOR_UID = 1_876_444_001
# What a platform without namespaces refuses, and with which words.
REFUSED = {
    "cgroup-namespace": ("unshare(NEWCGROUP)", "Operation not permitted"),
    "user-namespace": ("unshare(NEWUSER)", "No space left on device"),
    "pid-namespace": ("unshare(NEWPID)", "Operation not permitted"),
    "network-namespace": ("unshare(NEWNET)", "Operation not permitted"),
    "ipc-namespace": ("unshare(NEWIPC)", "Operation not permitted"),
    "uts-namespace": ("unshare(NEWUTS)", "Operation not permitted"),
    "time-namespace": ("unshare(NEWTIME)", "Operation not permitted"),
    "mount-namespace": ("unshare(NEWNS)", "Operation not permitted"),
    "chroot": ("chroot", "Operation not permitted"),
    "cgroup": ("", ""),  # for what depends on the version of control groups and where they are mounted
}


def command(*arguments, environment=None, poor=None, timeout=60):
    """Runs the program; `poor`: the user id it has on a platform that grants no namespaces."""
    line = [PROGRAM, *arguments] if poor is None else poorly(poor, PROGRAM, *arguments)
    return subprocess.run(line, env={"PATH": "/usr/bin:/bin", **(environment or {})}, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def assert_how(text):
    """How to get a layer, wherever one runs."""
    for platform in ("it needs", "Docker", "Kubernetes", "Cloud Run", "systemd"):
        assert re.search(rf"^ +{platform} +\S", text, re.M), text


def leftovers():
    """Whatever a doctor might leave: the folders of its kind, its processes, its shared memory."""
    with open("/proc/sysvipc/shm", encoding="ascii") as file:
        shared = len(file.readlines())
    folders = [os.path.join(base, name) for base in ("/tmp", "/dev/shm", "/var/tmp", "/run") for name in os.listdir(base)
               if name.startswith("python-executor-doctor-")]
    processes = [pid for pid in all_pids() if b"doctor" in read_proc(pid, "cmdline").split(b"\0")]
    return shared, folders, processes


def test_text():
    done = command("doctor")
    assert done.returncode == 0 and done.stderr == "", done
    for layer in LAYERS:
        assert re.search(rf"^{layer} +(on|refused|unused) ", done.stdout, re.M), layer
    assert re.search(r"^tier +\S+$", done.stdout, re.M) and "all met" in done.stdout
    assert done.stdout.rstrip().endswith("no attempt got out") and "GOT OUT" not in done.stdout
    assert "NOT TESTED" not in done.stdout and "?" not in done.stdout


def test_json():
    done = command("doctor", "--json")
    assert done.returncode == 0 and done.stderr == "" and done.stdout.endswith("}\n"), done
    told = json.loads(done.stdout)
    assert told["missing"] is None and told["escaped"] == 0 and len(told["self_test"]) >= 15
    for attempt in told["self_test"]:
        assert attempt["stopped"] is True or attempt["fact"] is True, attempt
        assert attempt["together"] not in ("GOT OUT", "NOT TESTED") or attempt["fact"], attempt
    stopped = {attempt["attempt"]: attempt["alone"] for attempt in told["self_test"]}
    # The filter alone stops the network, the root of its own alone the files.
    assert stopped["connect over TCP"]["seccomp"] == "EPERM"
    active = {layer["name"] for layer in told["layers"] if layer["active"]}
    if "mount-namespace" in active:
        assert stopped["read a file of the host"]["mount-namespace"] == "ENOENT"
    if "landlock" in active:
        assert stopped["read a file of the host"]["landlock"] == "EACCES"


def test_the_self_test_can_fail():
    """By itself, without any layer, what is attacked can be reached: else nothing is shown by its being stopped."""
    told = json.loads(command("doctor", "--json").stdout)
    possible = {attempt["attempt"] for attempt in told["self_test"] if attempt["without"] == "possible"}
    assert possible >= {"read a file of the host", "write to the host's files", "look at other processes", "connect over TCP",
                        "connect to an abstract socket", "signal another process", "start a process"}, possible


def test_it_leaves_nothing():
    before = leftovers()
    command("doctor")
    assert leftovers() == before


@pytest.mark.parametrize("arguments, word", [
    (["--nonsense"], "--nonsense"), (["nonsense"], "nonsense"), (["--jso"], "--jso"),
    (["--require=nonsense"], "nonsense"), (["--json", "--require=seccomp"], "rlimits"), (["--port=x"], "--port"),
])
def test_wrong_usage(arguments, word):
    done = command("doctor", *arguments)
    assert done.returncode == 2 and done.stdout == "" and word in done.stderr and "--help" in done.stderr, done


def test_the_json_flag_may_stand_anywhere():
    done = command("doctor", f"--require={FLOOR}", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["required"] == FLOOR.split(",")


@needs_poverty
def test_an_ordinary_user_on_a_poor_platform():
    done = command("doctor", poor=POOR_UID)
    assert done.returncode == 0, done
    for layer, words in REFUSED.items():
        assert re.search(rf"^{layer} +refused +{re.escape(words[0])}.*: .*{words[1]} \(E[A-Z]+\)$", done.stdout, re.M), done.stdout
    assert re.search(r"^tier +landlock$", done.stdout, re.M) and "no attempt got out" in done.stdout


@needs_poverty
@pytest.mark.parametrize("layer", REFUSED)
def test_the_doctor_names_what_is_required_and_not_there(layer):
    done = command("doctor", f"--require={FLOOR},{layer}", poor=POOR_UID)
    assert done.returncode == 1, done
    assert f"{layer} is missing" in done.stdout and f"to get {layer}:" in done.stdout
    assert_how(done.stdout)
    told = command("doctor", "--json", f"--require={FLOOR},{layer}", poor=POOR_UID)
    assert told.returncode == 1 and json.loads(told.stdout)["missing"] == layer


@needs_poverty
def test_an_ordinary_user_of_this_machine():
    """Whether it may have user namespaces or not: what is granted is enough, and says the same as text and as JSON."""
    line = ["setpriv", f"--reuid={POOR_UID}", f"--regid={POOR_UID}", "--clear-groups", "--", PROGRAM, "doctor"]
    done = [subprocess.run([*line, *more], text=True, timeout=60, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE) for more in ([], ["--json"])]
    assert [one.returncode for one in done] == [0, 0], done
    told = json.loads(done[1].stdout)
    assert told["missing"] is None and told["escaped"] == 0
    for layer in told["layers"]:
        assert re.search(rf"^{layer['name']} +{layer['status']} ", done[0].stdout, re.M), layer


# --- Serving below the floor ---


@needs_poverty
@pytest.mark.parametrize("layer", REFUSED)
def test_nothing_is_served_below_the_floor(layer):
    done = command("serve", "--port=0", "--preload=", "--log-format=text", f"--require={FLOOR},{layer}", poor=POOR_UID)
    assert done.returncode == 1, done
    assert "listening" not in done.stdout
    call, error = REFUSED[layer]
    assert layer in done.stderr and call in done.stderr and error in done.stderr, done.stderr
    assert "doctor" in done.stderr
    assert_how(done.stderr)


@needs_poverty
def test_a_log_of_json_says_so_too():
    done = command("serve", "--port=0", "--preload=", f"--require={FLOOR},user-namespace", poor=POOR_UID)
    errors = [line["message"] for line in map(json.loads, done.stderr.splitlines()) if line["severity"] == "ERROR"]
    assert done.returncode == 1 and errors[0].startswith("user-namespace: "), done
    assert_how(errors[1])


@needs_poverty
def test_the_first_of_several_is_named():
    done = command("serve", "--port=0", "--preload=", f"--require=cgroup-namespace,{FLOOR},user-namespace", poor=POOR_UID)
    assert done.returncode == 1 and "user-namespace: " in done.stderr and "unshare(NEWUSER)" in done.stderr, done.stderr


@needs_poverty
def test_a_variable_sets_the_floor_too():
    done = command("serve", "--port=0", "--preload=", environment={"PYTHON_EXECUTOR_REQUIRE": FLOOR + ",pid-namespace"},
                   poor=POOR_UID)
    assert done.returncode == 1 and "pid-namespace" in done.stderr, done


@pytest.mark.parametrize("require, word", [
    ("", "seccomp"), ("rlimits,identity", "seccomp"), ("seccomp,identity", "rlimits"), ("seccomp,rlimits", "identity"),
    ("filesystem,network", "seccomp"), (f"{FLOOR},nonsense", "nonsense"), (f"{FLOOR},SECCOMP", "SECCOMP"),
    (f"{FLOOR}, landlock", "landlock"), (f"{FLOOR},,landlock", "--require"),
])
@pytest.mark.parametrize("verb", ["serve", "doctor"])
def test_a_wrong_floor(verb, require, word):
    done = command(verb, f"--require={require}")
    assert done.returncode == 2 and done.stdout == "", done
    assert "--require" in done.stderr and word in done.stderr and "--help" in done.stderr


def test_the_whole_floor_of_a_rich_platform(start):
    told = json.loads(command("doctor", "--json").stdout)
    granted = [layer["name"] for layer in told["layers"] if layer["active"]]
    start("--preload=", f"--require={','.join(granted)},filesystem,network").assert_well()
