"""tools/editor.py: the editor is bundled once, without network after that, and where npm is missing the page does without it."""
import os
import re
import shutil
import subprocess

import npm
import pytest
from service import BUILD, ROOT

SOURCE = os.path.join(ROOT, "web", "editor")
PLAIN = os.path.join(ROOT, "web", "editor-plain.js")
INSTALLED = os.path.join(os.path.abspath(BUILD), "web", "editor")


class Build:
    """A run of the tool in a folder of its own."""

    def __init__(self, folder, programs, source=SOURCE, packages=None, choice="npm"):
        self.folder = str(folder)
        self.packages = packages or os.path.join(self.folder, "packages")
        self.result = subprocess.run(
            ["/usr/bin/python3", os.path.join(ROOT, "tools", "editor.py"), choice, str(source), PLAIN, self.packages,
             *(os.path.join(self.folder, name) for name in ("editor.js", "licenses.txt", "editor.d"))],
            env={"PATH": str(programs)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)

    def text(self, name):
        return npm.text_of(os.path.join(self.folder, name))

    def missing(self):
        """Of what Ninja is told to look at."""
        target, needed = self.text("editor.d").split(": ")
        assert target.endswith("/editor.js")
        return [path for path in needed.split() if not os.path.exists(path)]


@pytest.fixture
def no_programs(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def test_the_lock_names_no_place():
    npm.assert_no_addresses(SOURCE, least=40)


def test_this_build_has_the_editor():
    text = npm.text_of(os.path.join(BUILD, "web", "editor.js"))
    assert text.startswith("/* CodeMirror") and re.search(r"export\{\w+ as createEditor\}", text) and 'kind:"codemirror"' in text
    assert not re.search(r"^import\b", text, re.M)


def test_it_has_the_licences_of_all_its_parts():
    text = npm.text_of(os.path.join(BUILD, "web", "licenses.txt"))
    parts = re.findall(r"^(@?[a-z][\w/-]+) \d+\.\d+\.\d+$", text, re.M)
    assert {"@codemirror/view", "@codemirror/state", "@lezer/python", "style-mod", "w3c-keyname"} <= set(parts)
    assert len(re.findall(r"Permission is hereby granted", text)) == len(re.findall(r"Copyright \(C\) 20", text)) == len(parts)


def test_to_build_again_takes_no_network(tmp_path, no_programs):
    again = Build(tmp_path, no_programs, packages=INSTALLED)
    assert again.result.returncode == 0 and again.result.stdout == ""
    for name in ("editor.js", "licenses.txt"):
        assert again.text(name) == npm.text_of(os.path.join(BUILD, "web", name))
    assert again.missing() == []


def test_without_npm_there_is_a_text_area(tmp_path, no_programs):
    for _ in range(2):
        plain = Build(tmp_path, no_programs)
        assert plain.result.returncode == 0
        assert plain.result.stdout == "editor: npm is missing, so the page has a plain text area; the next build tries again\n"
        assert plain.text("editor.js") == npm.text_of(PLAIN)
        assert plain.missing() == [os.path.join(plain.packages, "installed")]


def test_a_text_area_may_be_what_is_wanted(tmp_path, no_programs):
    plain = Build(tmp_path, no_programs, packages=INSTALLED, choice="plain")
    assert plain.result.returncode == 0 and plain.result.stdout == ""
    assert plain.text("editor.js") == npm.text_of(PLAIN) and plain.missing() == []
    assert plain.text("licenses.txt") == "/page/editor.js has no parts of others.\n"


def test_without_its_registry_as_well(tmp_path, no_programs):
    """npm itself, which is not let out."""
    program = no_programs / "npm"
    program.write_text(f'#!/bin/sh\nexport PATH={os.path.dirname(shutil.which("node"))}:/usr/bin:/bin HOME={tmp_path}\n'
                       f'exec {shutil.which("npm")} "$@" --registry=http://127.0.0.1:9/ --fetch-retries=0\n')
    program.chmod(0o755)
    plain = Build(tmp_path, no_programs)
    assert plain.result.returncode == 0
    begun, told = plain.result.stdout.splitlines()
    assert begun.startswith("editor: npm gets ")
    assert re.fullmatch(r"editor: npm did not get its packages \(.+\), so the page has a plain text area; the next build tries again", told)
    assert plain.text("editor.js") == npm.text_of(PLAIN)
    assert plain.missing() == [os.path.join(plain.packages, "installed")]


def test_what_is_wrong_with_the_editor_is_no_reason_for_a_text_area(tmp_path, no_programs):
    source = tmp_path / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("node_modules"))
    (source / "editor.js").write_text("export const a = ;\n")
    wrong = Build(tmp_path, no_programs, source=source, packages=INSTALLED)
    assert wrong.result.returncode == 1 and "editor.js:1:17" in wrong.result.stdout
