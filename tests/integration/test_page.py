"""GET /: the page in Chromium, see tests/page. Each variant is one visit of all checks; its screenshots are in build/screenshots."""
import functools
import json
import os
import re

import npm
import pytest
from bearer import Keys
from service import BUILD, ROOT, Service

SOURCE = os.path.join(ROOT, "tests", "page")
CHROMIUM = "/usr/bin/chromium"
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

# Each scheme, size and editor once; all of them take two minutes more: PAGE_VARIANTS="light dark light-phone dark-phone plain".
CHOSEN = os.environ.get("PAGE_VARIANTS", "light dark-phone plain").split()


@pytest.fixture(scope="module")
def folder():
    assert os.access(CHROMIUM, os.X_OK), f"{CHROMIUM} is missing: tools/packages test installs it"
    return npm.install(SOURCE)


@pytest.fixture(scope="module")
def visit(folder, service, tmp_path_factory):
    """What became of each check, by variant: all of them in one browser, the first time that one is asked for."""
    keys = Keys(tmp_path_factory.mktemp("page"))
    for name, options in {"alice": (), **{f"slow-{variant}": ("rate=1/min", "burst=2") for variant in VARIANTS}}.items():
        keys.add(name, *options)
    keyed, busy = Service("--keys", keys.path), Service("--workers=1", "--queue=0")
    screenshots = os.path.join(os.path.abspath(BUILD), "screenshots")
    os.makedirs(screenshots, exist_ok=True)

    @functools.cache
    def all_checks(variant):
        setting = {
            **VARIANTS[variant], "variant": variant, "screenshots": screenshots, "url": f"http://127.0.0.1:{service.port}",
            "keyed": f"http://127.0.0.1:{keyed.port}", "key": keys.secrets["alice"], "slow": keys.secrets[f"slow-{variant}"],
            "busy": f"http://127.0.0.1:{busy.port}", "pid": busy.manager_pid,
        }
        said = npm.run("node", "run.mjs", json.dumps(setting), folder=folder, seconds=900)
        return {one["check"]: one for one in map(json.loads, said.splitlines())}

    yield all_checks
    keyed.stop()
    busy.stop()


def test_the_lock_names_checksums_and_no_host():
    npm.assert_no_addresses(SOURCE, least=2)


def test_all_checks_are_found():
    assert {"first_visit", "hostile_output", "keyboard"} <= set(CHECKS)
    assert len(CHECKS) == len(set(CHECKS)) >= 27


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("variant", CHOSEN)
def test_page(visit, variant, check):
    found = visit(variant)[check]
    assert "error" not in found, found["error"]
    print(found.get("note", ""))


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
