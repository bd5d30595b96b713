"""Documents are true: every session in them is run and compared, and what cannot be run is known by name."""
import json
import os
import re
import socket

import document
import pytest
from service import BUILD, ROOT, Service

PAGES = document.pages()

# Blocks of ```sh are not run here. Each is named by its page and its first line, with the reason.
NOT_RUN = {
    ("README.md", "make run"): "installs packages, and serves until it is ended",
    ("docs/DEPLOYMENT.md", "cd packaging/kubernetes/base && kustomize edit set image python-executor=REGISTRY/python-executor:0.1.0 && cd -"): "takes a cluster; tests/deploy holds the manifests to the schemas",
    ("docs/DEPLOYMENT.md", "python-executor key alice rate=10/s >>keys"): "takes a cluster; docs/KEYS.md has the command for the key",
    ("docs/DEPLOYMENT.md", "helm upgrade --install prometheus-adapter prometheus-community/prometheus-adapter \\"): "takes a cluster",
    ("docs/DEPLOYMENT.md", "ACCOUNT=python-executor@$PROJECT.iam.gserviceaccount.com"): "takes a project of Google Cloud",
    ("docs/DEPLOYMENT.md", "gcloud run deploy python-executor --image=\"$IMAGE\" --project=\"$PROJECT\" --region=\"$REGION\" --ingress=internal \\"): "takes a project of Google Cloud",
    ("docs/HACKING.md", "build/tests/unit/test_queue"): "runs tests, as this one does",
    ("docs/HACKING.md", "tools/build build && build/python-executor serve --log debug --preload="): "builds, which takes a minute, and serves until it is ended",
    ("docs/deploy/image.md", "docker build -t python-executor ."): "takes docker; make image-test builds and runs it",
    ("docs/deploy/image.md", "docker run --rm python-executor doctor                       # what this host grants to a container"): "takes docker; likewise",
    ("docs/deploy/image.md", 'docker build -t python-executor --build-arg PACKAGES="python3-matplotlib python3-scipy" \\'): "takes docker and Debian's mirror",
    ("docs/deploy/image.md", 'docker build -t python-executor --build-arg REQUIREMENTS=my-packages/ --build-arg PRELOAD="numpy,pandas,polars" .'): "takes docker and wheels",
    ("docs/deploy/image.md", "make image-test                                        # builds, looks inside, three profiles: N passed, N failed"): "is a test itself, of minutes",
    ("docs/deploy/systemd.md", "make deb                                          # build/deb/python-executor_VERSION_ARCHITECTURE.deb"): "installs the package; make deb-test does it in a root of its own",
    ("docs/deploy/systemd.md", "systemctl stop python-executor"): "takes systemd; likewise",
}


def blocks(language):
    return [block for page in PAGES for block in document.blocks_of(page) if block.language == language]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One for each page."""
    made = {}

    def folder_of(page):
        if page not in made:
            made[page] = str(tmp_path_factory.mktemp(re.sub(r"\W", "-", page)))
            os.symlink(BUILD, os.path.join(made[page], "build"))
            os.symlink(os.path.join(ROOT, "examples"), os.path.join(made[page], "examples"))
        return made[page]

    return folder_of


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


SESSIONS = blocks("console")


def test_sessions_are_found_at_all():
    assert {"README.md", "docs/API.md", "docs/CLI.md", "docs/KEYS.md"} <= {block.page for block in SESSIONS}


@pytest.mark.parametrize("block", SESSIONS, ids=repr)
def test_session(service, folders, block):
    serves = re.search(r"^\$ .*python-executor serve", block.text, re.M)
    service.wait_for_ready()
    environment = {"PYTHON_EXECUTOR_UID_BASE": str(Service.next_uid_base())} if serves else {}
    document.run_block(block, folders(block.page), free_port() if serves else service.port, environment)


def test_a_session_that_is_wrong_is_noticed(service, tmp_path):
    for shown in ("hallo", "hell…!", "hello\nhello", "…\nworld"):
        block = document.Block("x.md", "console", 1, ["$ echo hello", *shown.split("\n")])
        with pytest.raises(AssertionError, match="and it prints"):
            document.run_block(block, str(tmp_path), service.port, {})
    for shown in ("hello", "h…o", "…", "hello\n…", "…\nhello"):
        document.run_block(document.Block("x.md", "console", 1, ["$ echo hello", *shown.split("\n")]), str(tmp_path), service.port, {})


# --- What is not run -------------------------------------------------------------------------------


def test_what_is_not_run_is_known_with_its_reason():
    found = {(block.page, block.lines[0]) for block in blocks("sh")}
    assert found - set(NOT_RUN) == set(), "make a ```console block of it, or say why it cannot be run"
    assert set(NOT_RUN) - found == set(), "these are gone"


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_in_another_block(page):
    """In one of another language, or in one that is only indented."""
    for block in document.blocks_of(page):
        assert block.language in ("console", "sh", "json", "ini", "text"), f"{block}: of which language?"
        if block.language != "console":
            assert not re.search(r"^\$ ", block.text, re.M), f"{block} has commands: ```console is for them"
    outside = re.sub(r"^ *```.*?^ *```$", "", document.text_of(page), flags=re.M | re.S)
    assert not re.search(r"\n\n    \S", outside), f"{page} has an indented block: fence it, so that it is known what it is"


@pytest.mark.parametrize("block", blocks("json"), ids=repr)
def test_json_is_json(block):
    for text in re.split(r"\n\n+", block.text):
        json.loads(text)


# --- Links -----------------------------------------------------------------------------------------


def anchors_of(page):
    """As GitHub makes them of headings."""
    inside = re.sub(r"^ *```.*?^ *```$", "", document.text_of(page), flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ +(.+?) *$", inside, re.M)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    inside = re.sub(r"^ *```.*?^ *```$", "", document.text_of(page), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", inside)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        assert os.path.exists(os.path.join(ROOT, other)), f"{page} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors_of(other), f"{page} links to {target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page):
    """Of what is called by its path, as `src/base/config.c`."""
    for path in re.findall(r"`((?:src|docs|tests|tools|packaging|python|bench|openapi|web|examples)/[\w./-]*\w)`", document.text_of(page)):
        assert os.path.exists(os.path.join(ROOT, path)), f"{page} names {path}, which is not there"
