"""The entries for clients of the Model Context Protocol in examples/: as the page shows them, and good for its official client."""
import json
import os

import document
import npm
import pytest
from bearer import Keys
from service import ROOT

NAMES = ("mcp.json", "mcp-key.json")


@pytest.fixture(scope="module")
def folder():
    return npm.install(os.path.join(ROOT, "tests", "mcp"))


def entry(name, port):
    (server,) = json.loads(document.text_of(f"examples/{name}"))["mcpServers"].values()
    assert server["url"] == "http://127.0.0.1:8080/mcp"
    return {**server, "url": f"http://127.0.0.1:{port}/mcp"}


def ask(folder, server):
    return npm.run("node", "entry.mjs", json.dumps(server), folder=folder, seconds=60)


def test_the_page_shows_the_files():
    shown = [block.text for block in document.blocks_of("examples/README.md") if block.language == "json"]
    assert shown == [document.text_of(f"examples/{name}").rstrip("\n") for name in NAMES]


def test_an_entry_connects(service, folder):
    assert ask(folder, entry("mcp.json", service.port)) == "42\n"


def test_an_entry_with_a_key_connects_and_one_without_does_not(start, folder, tmp_path):
    keys = Keys(str(tmp_path))
    keys.add("model")
    one = start("--preload=", f"--keys={keys.path}")
    server = entry("mcp-key.json", one.port)
    assert server["headers"]["Authorization"] == "Bearer pxk_…"
    server["headers"] = keys.headers("model")
    assert ask(folder, server) == "42\n"
    with pytest.raises(AssertionError, match="401|Unauthorized"):
        ask(folder, entry("mcp.json", one.port))
