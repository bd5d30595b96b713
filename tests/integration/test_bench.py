"""The benchmark runs, knows a wrong answer when it gets one, and leaves nothing behind. No figure is judged here."""
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from service import BUILD, ROOT, Service, read_proc, state_of, wait_until

BENCH = os.path.join(ROOT, "bench")
sys.path.append(BENCH)

import bench  # noqa: E402
import chart  # noqa: E402
import clients  # noqa: E402
import processes  # noqa: E402
import scripts  # noqa: E402
import size  # noqa: E402


def start(*arguments):
    return subprocess.Popen(["/usr/bin/python3", os.path.join(BENCH, "bench.py"), *map(str, arguments)], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def service():
    one = Service()
    yield one
    one.stop()


def test_a_build_beside_itself(tmp_path):
    running = start("quick", BUILD, BUILD, "--rounds", 1, "--scripts", "empty", "--connections", 2, "--out", tmp_path)
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output
    assert re.search(r"^wrong bodies and errors: 0; load before and after: [0-9.]+, [0-9.]+; [0-9]+ s$", output, re.M), output
    figures = json.loads((tmp_path / "quick.json").read_text())["scripts"]["empty"]
    assert list(figures) == ["paced, ms", "requests/s, 2 connections", "CPU ms, 2 connections"]
    for name, seen in figures.items():
        assert seen["old"] > 0 and seen["new"] > 0 and seen["least"] <= seen["ratio"] <= seen["most"], (name, seen)
        assert re.search(rf"^empty +{re.escape(name)} +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ … [0-9.]+$", output, re.M), output


@pytest.mark.parametrize("name", scripts.SCRIPTS)
def test_every_script_gets_its_answer(service, name):
    times, wrong = clients.paced(service.port, scripts.SCRIPTS[name].request(), 2, 0)
    assert len(times) == 2 and wrong == 0


def test_a_request_without_a_run_gets_its_answer(service):
    assert clients.paced(service.port, scripts.FLOOR, 2, 0)[1] == 0


def test_wrong_answers_are_counted(service):
    right = scripts.SCRIPTS["empty"].request()
    for other in (dataclasses.replace(right, answer=right.answer + b" "), dataclasses.replace(right, status=201)):
        assert clients.paced(service.port, other, 3, 0)[1] == 3
        load = clients.wrk(service.port, other, 2, 1)
        assert load.requests > 0 and load.wrong == load.requests, load
    load = clients.wrk(service.port, right, 2, 1)
    assert load.requests > 0 and load.wrong == load.errors == 0, load


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_one_leaves_nothing(tmp_path, sign):
    running = start("quick", BUILD, BUILD, "--rounds", 50, "--scripts", "empty", "--out", tmp_path)
    names = {}

    def has_begun():
        names.update((pid, read_proc(pid, "cmdline")) for pid in processes.tree(running.pid))
        return any(name.startswith(b"wrk\0") for name in names.values())

    assert wait_until(has_begun, 60), names
    assert any(name.startswith(b"python-executor-server\0") for name in names.values()), names
    running.send_signal(sign)
    running.wait(30)
    assert not any(tmp_path.iterdir())

    def left():
        return [pid for pid, name in names.items() if read_proc(pid, "cmdline") == name and state_of(pid) not in ("", "Z")]

    assert wait_until(lambda: not left(), 15), left()


def test_percentiles_and_lines():
    assert [clients.percentile(range(1, 101), share) for share in (50, 95, 99)] == [50, 95, 99]
    assert clients.percentile([7], 99) == 7
    slope, base = size.line([0, 1_000_000, 2_000_000], [1, 3, 5])
    assert (round(slope, 6), round(base, 6)) == (2, 1)
    straight = [0.5 + 2 * one / 1e6 for one in size.SIZES]
    assert size.verdict(size.exponent(size.SIZES, straight)) == "linear"
    assert size.verdict(size.exponent(size.SIZES, [one ** 2 for one in size.SIZES])) == "more than linear"
    assert size.verdict(size.exponent(size.SIZES, [1] * len(size.SIZES))) == "hidden by noise"


def test_the_chart_is_sound_xml_whatever_the_names(tmp_path):
    cell = {"paced": [{"ms": [1.0, 2.0], "wrong": 0, "cpu_ms": 1.0}], "loops": {16: []}}
    chart.write(tmp_path, {"peers": {"this": {"empty": cell}, "spawn": {"empty": cell}}})
    root = xml.etree.ElementTree.parse(tmp_path / "chart.svg").getroot()
    assert root.tag.endswith("svg") and len(root.findall("{*}rect")) == 6


def test_help_names_every_kind():
    for arguments in (["--help"], ["full", "--help"], ["quick", "--help"], ["size", "--help"], ["soak", "--help"]):
        running = start(*arguments)
        output, _ = running.communicate(timeout=30)
        assert running.returncode == 0 and output.startswith("usage: bench.py"), output
    assert all(kind in bench.__doc__ for kind in ("full", "quick", "size", "soak"))


def test_no_file_is_long():
    for name in os.listdir(BENCH):
        if name.endswith((".py", ".c")):
            with open(os.path.join(BENCH, name), encoding="utf-8") as file:
                assert len(file.read().splitlines()) <= 500, name
