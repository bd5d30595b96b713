"""What is said about GET /metrics: the page, the dashboard and the alerts know it as it is."""
import collections
import json
import os
import re

import pytest
from bearer import Keys
from exposition import promtool, scrape
from service import ROOT


def documented():
    with open(os.path.join(ROOT, "docs", "METRICS.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", file.read(), re.M)
    assert len({name for name, _, _, _ in rows}) == len(rows)
    return {name: (kind, labels) for name, kind, labels, _ in rows}


def test_the_page_knows_them_all(service, start, tmp_path):
    """Some are there only where there are keys."""
    keys = Keys(str(tmp_path))
    keys.add("alice")
    one = start("--preload=", f"--keys={keys.path}")
    service.post(b"{}")
    metrics, with_keys = scrape(service), scrape(one, keys.headers("alice"))
    assert set(metrics.types) < set(with_keys.types)
    assert all("key" in name or "unauthorized" in name for name in set(with_keys.types) - set(metrics.types))
    metrics.update(with_keys)
    rows = documented()
    assert {name: kind for name, (kind, _) in rows.items()} == with_keys.types
    for name, (kind, labels) in rows.items():
        shown = collections.defaultdict(set)
        for (found, pairs), _ in metrics.items():
            if found in (name, f"{name}_bucket"):
                for label, value in pairs:
                    shown[label].add(value)
        told = re.findall(r"`(\w+)`(?:: ((?:`[\w-]+`(?:, )?)+))?", labels)
        assert {label for label, _ in told} == set(shown), name
        for label, values in told:
            if values:
                assert set(re.findall(r"`([\w-]+)`", values)) == shown[label], (name, label)


def expressions(dashboard):
    found = []

    def walk(node):
        if isinstance(node, dict):
            found.extend(value for key, value in node.items() if key in ("expr", "definition"))
            node = list(node.values())
        for item in node if isinstance(node, list) else ():
            walk(item)

    walk(dashboard)
    return found


@pytest.fixture(scope="module")
def dashboard():
    with open(os.path.join(ROOT, "packaging", "grafana", "python-executor.json"), encoding="utf-8") as file:
        return json.load(file)


def check_names(asked):
    """Of all expressions: the names are known, and so are the labels."""
    rows = documented()
    known = set(rows) | {f"{name}{suffix}" for name, (kind, _) in rows.items() if kind == "histogram" for suffix in ("_bucket", "_sum", "_count")}
    names = {name for text in asked for name in re.findall(r"\b(?:python_executor|process)_\w+", text)}
    assert names and names <= known, names - known
    for text in asked:
        for name, labels in re.findall(r"(\w+)\{([^}]*)\}", text):
            assert set(re.findall(r"(\w+)(?:=|!=)~?", labels)) <= {"job", "instance", *re.findall(r"`(\w+)`", rows.get(name, ("", ""))[1])}, text
    return names


def test_the_dashboard_asks_for_what_there_is(dashboard):
    names = check_names(expressions(dashboard))
    # And for most of it.
    assert len({re.sub("_(bucket|sum|count)$", "", name) for name in names}) > len(documented()) * 2 / 3


def test_the_dashboard_is_one(dashboard):
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    places = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24 and panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & places, f"{panel['title']} covers another"
        places |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"] and panel["description"]
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {"datasource", "job", "instance"}


def test_prometheus_understands_the_dashboard(dashboard, tmp_path):
    asked = [text for text in expressions(dashboard) if not text.startswith("label_values")]
    groups = [{"name": "dashboard", "rules": [
        {"record": f"panel:{i}", "expr": text.replace("$__rate_interval", "5m").replace("$__range", "1h")} for i, text in enumerate(asked)]}]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": groups}))  # which is YAML as well
    checked = promtool("check", "rules", str(path))
    assert checked.returncode == 0, checked.stdout.decode()


def test_prometheus_understands_the_alerts():
    path = os.path.join(ROOT, "packaging", "prometheus", "alerts.yml")
    checked = promtool("check", "rules", path)
    assert checked.returncode == 0 and b"rules found" in checked.stdout, checked.stdout.decode()
    with open(path, encoding="utf-8") as file:
        asked = [text.replace('up{job=~".*python-executor.*"} == 0', "") for text in re.findall("^        expr: (.+)$", file.read(), re.M)]
    assert len(asked) > 5
    check_names([text for text in asked if text])
