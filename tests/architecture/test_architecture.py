"""Holds docs/ARCHITECTURE.md to the code: who may include and call whom, and how large things may be."""
import collections
import glob
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, "build")
FILES = sorted(glob.glob(os.path.join(ROOT, "src", "*", "*.[ch]")))
ONLY_IN = {
    "Python.h": "zygote/python.c",
    "microhttpd.h": "server/http.c",
    "seccomp.h": "sandbox/seccomp.c",
    "jansson.h": "server/request.c",
}


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def name_of(path):
    return os.path.relpath(path, os.path.join(ROOT, "src"))


def layer_of(path):
    return name_of(path).split("/")[0]


def allowed_edges():
    page = text_of(os.path.join(ROOT, "docs", "ARCHITECTURE.md"))
    block = re.search(r"## Allowed edges.*?```\n(.*?)```", page, re.S).group(1)
    return {
        line.split("→")[0].strip(): {name.strip() for name in line.split("→")[1].split(",") if name.strip()}
        for line in block.splitlines()
    }


EDGES = allowed_edges()


def includes(path):
    return re.findall(r'^#include "([^"]+)"', text_of(path), re.M)


def test_the_page_names_the_layers_there_are():
    assert set(EDGES) == set(os.listdir(os.path.join(ROOT, "src"))) - {"meson.build"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_includes_keep_to_the_edges(path):
    for include in includes(path):
        target = include.split("/")[0]
        assert target == layer_of(path) or target in EDGES[layer_of(path)], f"{name_of(path)} includes {include}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_library_has_one_file_that_knows_it(path):
    for header in re.findall(r"^#include <([^>]+)>", text_of(path), re.M):
        assert ONLY_IN.get(header, name_of(path)) == name_of(path), f"{name_of(path)} includes {header}"


def modules_needed():
    needed = collections.defaultdict(set)
    for path in FILES:
        module = os.path.splitext(name_of(path))[0]
        needed[module] |= {os.path.splitext(include)[0] for include in includes(path)} - {module}
    return needed


def test_no_two_modules_need_each_other():
    needed = modules_needed()
    done, open_ = set(), []

    def visit(module):
        assert module not in open_, " → ".join(open_[open_.index(module):] + [module])
        if module in done:
            return
        open_.append(module)
        for other in sorted(needed[module]):
            visit(other)
        open_.pop()
        done.add(module)

    for module in sorted(needed):
        visit(module)


def symbols(library, *flags):
    output = subprocess.run(["nm", *flags, library], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split()[-1] for line in output.splitlines() if line and not line.endswith(":")}


def test_calls_keep_to_the_edges():
    libraries = {layer: os.path.join(BUILD, "src", f"lib{layer}.a") for layer in EDGES}
    defined = {layer: symbols(path, "-g", "--defined-only") for layer, path in libraries.items()}
    for layer, path in libraries.items():
        wanted = symbols(path, "-u")
        for other in set(EDGES) - {layer} - EDGES[layer]:
            # Sanitizers define some of their own in every library.
            shared = {name for name in wanted & defined[other] if not re.match(r"_*(asan|ubsan|odr)", name)}
            assert not shared, f"{layer} calls {other}: {sorted(shared)}"


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".h")], ids=name_of)
def test_every_header_compiles_alone(path):
    subprocess.run(
        ["cc", "-fsyntax-only", "-D_GNU_SOURCE", "-std=gnu17", "-I", os.path.join(ROOT, "src"), "-x", "c", path], check=True
    )


def functions(path):
    """(first line, lines) of every function, as the formatting of this project shows them."""
    begun = None
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if re.match(r"^[A-Za-z_].*\)\s*\{$|^\s+[^;]*\)\s*\{$", line) and begun is None and not line.startswith("    "):
            begun = number
        elif line == "}" and begun is not None:
            yield begun, number - begun + 1
            begun = None


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_one_idea_of_readable_size(path):
    text = text_of(path)
    assert text.startswith("/* "), "a header comment says what it is and who runs it"
    assert len(text.splitlines()) <= 500
    for begun, length in functions(path):
        assert length <= 60, f"{name_of(path)}:{begun} has {length} lines"


def test_nothing_refers_to_places_outside():
    words = ("../" + "shared", "/" + "work/")
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], stdout=subprocess.PIPE, text=True).stdout.split("\n")
    for name in filter(None, tracked):
        path = os.path.join(ROOT, name)
        if os.path.isfile(path):
            text = text_of(path)
            assert not [word for word in words if word in text], name
