"""GET /isolation and doctor --json: what confines the workers, as JSON that says the same in both places."""
import json
import os

import pytest
from service import needs_poverty, wait_until
from test_doctor import command

LAYERS = (
    "seccomp rlimits identity landlock chroot mount-namespace user-namespace pid-namespace network-namespace "
    "ipc-namespace uts-namespace time-namespace cgroup-namespace cgroup"
).split()
ALWAYS = {"seccomp", "rlimits", "identity"}


def check(told):
    """The shape of it, whatever the platform; returns the layers by name."""
    assert set(told) >= {"tier", "kernel", "required", "layers"}
    system = os.uname()
    assert told["kernel"] == f"{system.sysname} {system.release} {system.machine}"
    assert set(told["required"]) <= set(LAYERS) | {"filesystem", "network"} and ALWAYS <= set(told["required"])
    assert [layer["name"] for layer in told["layers"]] == LAYERS
    for layer in told["layers"]:
        assert layer["status"] in ("on", "refused", "unused") and layer["active"] is (layer["status"] == "on")
        if layer["status"] == "refused":
            assert layer["errno"].startswith("E") and layer["call"] and layer["detail"], layer
        if layer["status"] != "refused":
            assert "errno" not in layer and "call" not in layer
    return {layer["name"]: layer for layer in told["layers"]}


def active(told):
    return {layer["name"] for layer in told["layers"] if layer["active"]}


def test_get(service):
    answer = service.ask("GET", "/isolation")
    assert answer.status == 200 and answer.headers["content-type"].startswith("application/json")
    layers = check(answer.json)
    assert all(layers[name]["active"] for name in ALWAYS)
    assert layers["mount-namespace"]["active"] or layers["chroot"]["active"] or layers["landlock"]["active"]


def test_it_says_what_the_start_said(service):
    layers = check(service.ask("GET", "/isolation").json)
    for name in LAYERS:
        line = next(line for line in service.out.splitlines() if line.split()[:2] == ["layer", name])
        assert line.split()[2] == layers[name]["status"]


def test_head(service):
    get, head = service.ask("GET", "/isolation"), service.ask("HEAD", "/isolation")
    assert head.status == 200 and head.body == b""
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods(service, method):
    answer = service.ask(method, "/isolation", b"{}")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS" and "GET" in answer.error


def test_options(service):
    answer = service.ask("OPTIONS", "/isolation")
    assert answer.status == 204 and answer.headers["allow"] == "GET, HEAD, OPTIONS" and answer.body == b""


@pytest.mark.parametrize("path", ["/isolation/", "/Isolation", "/isolation/x", "//isolation", "/isolatio"])
def test_paths_beside_it(service, path):
    assert service.ask("GET", path).status == 404


def test_a_query_is_not_looked_at(service):
    assert service.ask("GET", "/isolation?x=1").status in (200, 404)


def test_what_is_required_is_said(start):
    required = "seccomp,rlimits,identity,pid-namespace"
    one = start("--preload=", f"--require={required}")
    assert one.ask("GET", "/isolation").json["required"] == required.split(",")


def test_it_is_the_same_after_a_zygote_has_died(start):
    one = start("--preload=")
    before = one.ask("GET", "/isolation").json
    old = one.zygote_pid
    os.kill(old, 9)
    assert wait_until(lambda: one.zygote_pid not in (None, old) and one.run("x = 1").outcome != "lost", 10)
    one.assert_well()
    assert one.ask("GET", "/isolation").json == before


def test_the_doctor_says_the_same(service):
    done = command("doctor", "--json")
    assert done.returncode == 0 and done.stderr == "", done
    told = json.loads(done.stdout)
    check(told)
    served = service.ask("GET", "/isolation").json
    assert active(told) == active(served) and told["tier"] == served["tier"] and told["required"] == served["required"]


@needs_poverty
def test_the_doctor_says_the_same_on_a_poor_platform(start):
    one = start("--preload=", poor=True)
    served = one.ask("GET", "/isolation").json
    check(served)
    done = command("doctor", "--json", poor=one.uid_base)
    told = json.loads(done.stdout)
    check(told)
    assert active(told) == active(served) == {"seccomp", "rlimits", "identity", "landlock"}
    assert told["tier"] == served["tier"] == "landlock"
