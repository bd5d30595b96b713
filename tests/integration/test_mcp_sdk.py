"""POST /mcp with the official client of the Model Context Protocol, from npm: see tests/mcp/client.mjs."""
import os
import re

import npm
import pytest
from service import ROOT

SOURCE = os.path.join(ROOT, "tests", "mcp")
CLIENT = npm.text_of(os.path.join(SOURCE, "client.mjs"))
CHECKS = re.findall(r"^  async (\w+)\(\) \{$", CLIENT, re.M)


@pytest.fixture(scope="module")
def folder():
    return npm.install(SOURCE)


def test_the_lock_names_checksums_and_no_host():
    npm.assert_no_addresses(SOURCE, least=51)


def test_all_checks_are_found():
    assert {"handshake", "tool", "image"} <= set(CHECKS)
    assert len(CHECKS) == len(set(CHECKS)) == CLIENT.count("  async ")


@pytest.mark.parametrize("check", CHECKS)
def test_client(service, folder, check):
    npm.run("node", "client.mjs", f"http://127.0.0.1:{service.port}/mcp", check, folder=folder, seconds=60)
