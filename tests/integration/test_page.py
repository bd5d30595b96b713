"""GET /: the page in Chromium, see tests/page. Each variant is one visit of all checks; its screenshots are in
build/screenshots."""
import concurrent.futures
import json
import os
import re

import npm
import pytest
from bearer import Keys
from service import BUILD, ROOT, Service

SOURCE = os.path.join(ROOT, "tests", "page")
CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = os.path.join(os.path.abspath(BUILD), "screenshots")
CHECKS = [name for file in ("running", "showing", "using")
          for name in re.findall(r"^export async function (\w+)\(scene\)", npm.text_of(os.path.join(SOURCE, f"{file}.mjs")), re.M)]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
VARIANTS = {
    "light": {"scheme": "light", "editor": "codemirror", **DESKTOP},
    "dark": {"scheme": "dark", "editor": "codemirror", **DESKTOP},
    "light-phone": {"scheme": "light", "editor": "codemirror", **PHONE},
    "dark-phone": {"scheme": "dark", "editor": "codemirror", **PHONE},
    # As it is built where there is no npm.
    "plain": {"scheme": "light", "editor": "plain", "plain": os.path.join(ROOT, "web", "editor-plain.js"), **DESKTOP},
}

# Each scheme, size and editor once; more take longer: PAGE_VARIANTS="light dark light-phone dark-phone plain".
CHOSEN = os.environ.get("PAGE_VARIANTS", "light dark-phone plain").split()


@pytest.fixture(scope="module")
def folder():
    assert os.access(CHROMIUM, os.X_OK), f"{CHROMIUM} is missing: tools/packages test installs it"
    return npm.install(SOURCE)


class Visit:
    """All checks of a variant, in one browser. What some of them do to a service is no other visit's concern."""

    def __init__(self, folder, service, variant, keys_folder):
        self.folder = folder
        keys = Keys(keys_folder)
        keys.add("alice")
        keys.add("slow", "rate=1/min", "burst=2")
        self.services = keyed, busy = Service("--keys", keys.path), Service("--workers=1", "--queue=0")
        self.setting = {
            **VARIANTS[variant], "variant": variant, "screenshots": SCREENSHOTS, "url": f"http://127.0.0.1:{service.port}",
            "keyed": f"http://127.0.0.1:{keyed.port}", "key": keys.secrets["alice"], "slow": keys.secrets["slow"],
            "busy": f"http://127.0.0.1:{busy.port}", "pid": busy.manager_pid,
        }

    def go(self):
        said = npm.run("node", "run.mjs", json.dumps(self.setting), folder=self.folder, seconds=900)
        return {one["check"]: one for one in map(json.loads, said.splitlines())}


@pytest.fixture(scope="module")
def found(folder, service, tmp_path_factory):
    """What became of each check, by variant. Three visits are made at the same time: they wait more than they work. Of five on
    two cores the browsers are too slow for a megabyte of output, whose script has ended at its deadline then."""
    os.makedirs(SCREENSHOTS, exist_ok=True)
    visits = {variant: Visit(folder, service, variant, tmp_path_factory.mktemp("page")) for variant in CHOSEN}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        yield {variant: pool.submit(visit.go) for variant, visit in visits.items()}
    for visit in visits.values():
        for one in visit.services:
            one.stop()


def test_the_lock_names_checksums_and_no_host():
    npm.assert_no_addresses(SOURCE, least=2)


def test_all_checks_are_found():
    assert {"first_visit", "hostile_output", "keyboard"} <= set(CHECKS)
    assert len(CHECKS) == len(set(CHECKS)) >= 27


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("variant", CHOSEN)
def test_page(found, variant, check):
    seen = found[variant].result()[check]
    assert "error" not in seen, seen["error"]
    print(seen.get("note", ""))


def test_it_can_be_left_out(start):
    service = start("--no-page")
    for path in ("/", "/page/main.js", "/page/editor.js"):
        answer = service.ask("GET", path)
        assert answer.status == 404 and answer.error.startswith("Not found"), answer
    service.assert_well()


def test_it_needs_no_key(start, tmp_path):
    keys = Keys(tmp_path)
    keys.add("alice")
    service = start("--keys", keys.path)
    assert service.ask("GET", "/").status == service.ask("GET", "/page/main.js").status == 200
    assert service.ask("GET", "/isolation").status == 401
