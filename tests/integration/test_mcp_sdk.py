"""POST /mcp with the official client of the Model Context Protocol, from npm: see tests/mcp/client.mjs.

What npm installs goes into the build folder, by the lock file's checksums, once for as long as that is the same.
"""
import os
import re
import shutil
import subprocess

import pytest
from service import BUILD, ROOT

SOURCE = os.path.join(ROOT, "tests", "mcp")
FOLDER = os.path.join(os.path.abspath(BUILD), "mcp")
LOCK = os.path.join(SOURCE, "package-lock.json")


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


CHECKS = re.findall(r"^  async (\w+)\(\) \{$", text_of(os.path.join(SOURCE, "client.mjs")), re.M)


def run(*command, seconds):
    """Its output where it ends well."""
    result = subprocess.run(command, cwd=FOLDER, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=seconds)
    assert result.returncode == 0, f"{' '.join(command)} failed:\n{result.stdout[-4000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def client():
    for program in ("node", "npm"):
        assert shutil.which(program), f"{program} is missing: tools/packages test installs it"
    installed = os.path.join(FOLDER, "installed")  # written last, so what was cut off is done again
    os.makedirs(FOLDER, exist_ok=True)
    if not os.path.exists(installed) or text_of(installed) != text_of(LOCK):
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(os.path.join(SOURCE, name), os.path.join(FOLDER, name))
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", seconds=300)
        shutil.copyfile(LOCK, installed)
    # Modules are looked for beside the program that imports them.
    return shutil.copyfile(os.path.join(SOURCE, "client.mjs"), os.path.join(FOLDER, "client.mjs"))


def test_the_lock_names_checksums_and_no_host():
    lock = text_of(LOCK)
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/') > 50
    assert '"resolved"' not in lock and "://" not in lock


def test_all_checks_are_found():
    assert {"handshake", "tool", "image"} <= set(CHECKS)
    assert len(CHECKS) == len(set(CHECKS)) == text_of(os.path.join(SOURCE, "client.mjs")).count("  async ")


@pytest.mark.parametrize("check", CHECKS)
def test_client(service, client, check):
    run("node", client, f"http://127.0.0.1:{service.port}/mcp", check, seconds=60)
