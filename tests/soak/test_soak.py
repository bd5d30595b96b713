"""A short `make soak`, ended by Ctrl-C: all that it checks of a long one holds at any moment. And its checks can fail."""
import json
import os
import re
import signal
import subprocess
import xml.etree.ElementTree

import pytest
import soak  # noqa: F401  finds the modules of other folders
from account import Account
from exposition import Metrics
from kills import Kill, Scrape, plan
from load import ANSWERED, BROKEN, CUT, HUNG, Record
from service import BUILD, ROOT, unsanitized


@unsanitized
@pytest.mark.alone
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as which alone the service's processes can be looked at")
def test_nobody_is_forgotten_and_nothing_is_left(tmp_path):
    running = subprocess.Popen(
        ["/usr/bin/python3", os.path.join(ROOT, "tests", "soak", "soak.py"), BUILD], text=True, start_new_session=True,
        env={**os.environ, "SOAK_SECONDS": "40", "SOAK_SEED": "test", "SOAK_OUT": str(tmp_path)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=lambda: os.nice(10))  # other tests run beside it
    said = []
    for line in running.stdout:
        said.append(line)
        if re.search(r"; [3-9] kills$", line):
            os.killpg(running.pid, signal.SIGINT)  # as a terminal does
            break
    said += running.communicate(timeout=200)[0].splitlines(True)
    assert re.fullmatch(r"\d+ passed, 0 failed\n", said[-1]) and running.returncode == 0, "".join(said)
    found = json.loads((tmp_path / "soak.json").read_text())
    assert {"zygote", "server"} <= {what for what, _, _ in found["kills"]} and all(found["checks"].values())
    assert {"ok", "exception", "lost"} <= set(found["outcomes"]) and found["ends"][CUT] > 0 and found["under_way"] > 0, found
    assert xml.etree.ElementTree.parse(tmp_path / "soak.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "soak.md").read_text() in "".join(said)


def test_a_seed_makes_the_same_plan_again():
    assert plan("a", 600) == plan("a", 600) != plan("b", 600)
    for seconds in (15, 60, 1800):
        made = plan("a", seconds)
        assert {"zygote", "server"} <= {what for _, what in made} and all(at <= 0.8 * seconds for at, _ in made)


# --- The account ------------------------------------------------------------------------------------

SERVER, ZYGOTE = Kill("server", 1, 10.0, 10.1), Kill("zygote", 2, 20.0, 20.5)


def record(number, sent, ended, end=ANSWERED, outcome="ok", code=200, **more):
    return Record(f"s-{number}", "innocent", "plain", "alice", sent, ended, end, code, code, outcome, **more)


def line(number, status=200):
    return {"component": "server", "severity": "INFO", "request_id": f"s-{number}", "httpRequest": {"status": status}, "outcome": "ok"}


def manager(text, severity="WARNING"):
    return {"component": "python-executor", "severity": severity, "message": text}


@pytest.fixture
def account(tmp_path):
    def make(records, lines=(), scrapes=()):
        log = tmp_path / "log"
        log.write_text("".join(json.dumps(one) + "\n" for one in lines))
        return Account(records, [SERVER, ZYGOTE], scrapes, log, "s-")

    return make


def test_who_was_under_way_when_a_server_was_killed(account):
    made = account([record(1, 9, 10.2, BROKEN), record(2, 10.2, 11, BROKEN), record(3, 8, 9.9, BROKEN), record(4, 19, 21, BROKEN),
                    record(5, 1, 2, CUT), record(6, 1, 91, HUNG), record(7, 9, 10.05, BROKEN)])
    assert [one.id for one in made.under_way()] == ["s-1", "s-7"]
    assert [text.split()[0] for text in made.unaccounted()] == ["s-2", "s-3", "s-4", "s-6"]
    assert [text.split()[0] for text in made.hung()] == ["s-6"]


def test_who_was_refused_while_it_still_sent(account):
    made = account([record(1, 1, 2, BROKEN, size=1 << 20), record(2, 1, 2, BROKEN, size=1 << 20), record(3, 1, 2, BROKEN, size=1)],
                   [line(1, 429), line(2, 200), line(3, 429)])
    assert [one.id for one in made.cut_short()] == ["s-1"]
    assert [text.split()[0] for text in made.unaccounted()] == ["s-2", "s-3"]


def test_who_was_lost_and_why(account):
    made = account([record(1, 19, 20.1, outcome="lost"), record(2, 20.4, 21, outcome="lost"), record(3, 21, 22, outcome="lost"),
                    record(4, 9, 10.2, outcome="lost")])
    assert [text.split()[0] for text in made.lost_without_reason()] == ["s-3", "s-4"]


def test_an_answer_has_one_line(account):
    made = account([record(1, 1, 2), record(2, 1, 2), record(3, 1, 2), record(4, 1, 2), record(5, 9, 10.05), record(6, 1, 2, CUT)],
                   [line(1), line(2), line(2), line(3, 500)])
    assert [text.split(":")[0] for text in made.not_in_the_log()] == ["s-2", "s-3", "s-4"] and made.lines_lost == 1


def test_who_is_sent_away_is_told_when_to_come_again(account):
    made = account([record(1, 1, 2, code=503, retry_after="3"), record(2, 1, 2, code=503), record(3, 1, 2, code=429, retry_after="")])
    assert made.without_retry_after() == ["s-2", "s-3"]


def test_deaths_that_nobody_planned(account):
    told = [manager("the server was killed by signal 9"), manager("the zygote was killed by signal 9"), manager("the zygote ended with status 0")]
    assert account([], told).unplanned_deaths() == []
    assert account([], [*told, told[0]]).unplanned_deaths() == ["2 of server, 1 at most were to be"]
    stalled = "the zygote (flavour 0) has not been heard of for 10 s and is killed"
    assert account([], [manager(stalled, "ERROR")]).unplanned_deaths() == [stalled]


def scrape(at, runs, answers):
    def text(name, label, numbers):
        return f"# HELP {name} x\n# TYPE {name} counter\n" + "".join(f'{name}{{{label}="{key}"}} {value}\n' for key, value in numbers.items())

    return Scrape(Metrics(text("python_executor_runs_total", "outcome", runs)
                          + text("python_executor_http_responses_total", "code", answers)), at, at + 0.1)


@pytest.mark.parametrize("first, last, wrong", [
    ((1, 1), (2, 2), []),
    ((2, 2), (2, 2), []),  # s-2 was not over for sure, nor not begun, when it was asked
    ((0, 1), (2, 2), ["server 1, runs"]),
    ((3, 2), (2, 2), ["server 1, runs"]),
    ((1, 1), (2, 1), ["server 2, answers"]),
    ((1, 1), (3, 3), []),  # s-5 went away, and may have been run and answered before
    ((1, 1), (4, 3), ["server 2, runs"]),
])
def test_metrics_of_each_server(account, first, last, wrong):
    records = [record(1, 1, 2), record(2, 9.05, 9.95), record(3, 11, 12), record(4, 9, 12), record(5, 12, 13, CUT)]
    scrapes = [scrape(9, {"ok": first[0]}, {"200": first[1]}), scrape(30, {"ok": last[0]}, {"200": last[1]})]
    assert [text.split(":")[0] for text in account(records, scrapes=scrapes).not_in_the_metrics()] == wrong
