"""Holds docs/ARCHITECTURE.md to the code: who may include and call whom, and how large things may be."""
import collections
import fnmatch
import glob
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, "build")
FILES = sorted(glob.glob(os.path.join(ROOT, "src", "*", "*.[ch]")))
TESTS = sorted(path for folder in ("unit", "fuzz") for path in glob.glob(os.path.join(ROOT, "tests", folder, "*.[ch]")))
ONLY_IN = {
    "Python.h": ("zygote/python.c",),
    "microhttpd.h": ("server/daemon.h", "server/http.c"),
    "nettle/sha2.h": ("wire/key.c",),
    "seccomp.h": ("sandbox/seccomp.c",),
    "ini.h": ("cli/inifile.c",),
}

SERVER_MAY_INCLUDE = {f"sandbox/{name}.h" for name in ("credentials", "landlock", "seccomp", "seccomp_table")}


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def name_of(path):
    return os.path.relpath(path, os.path.join(ROOT, "src"))


def layer_of(path):
    return name_of(path).split("/")[0]


def allowed_edges():
    page = text_of(os.path.join(ROOT, "docs", "ARCHITECTURE.md"))
    block = re.search(r"## Allowed edges.*?```text\n(.*?)```", page, re.S).group(1)
    return {
        line.split("→")[0].strip(): {name.strip() for name in line.split("→")[1].split(",") if name.strip()}
        for line in block.splitlines()
    }


EDGES = allowed_edges()


def test_the_page_names_the_folders_there_are():
    page = text_of(os.path.join(ROOT, "docs", "ARCHITECTURE.md"))
    section = re.search(r"## Folders\n(.*?)\n## ", page, re.S).group(1)
    named = set(re.findall(r"^- .*", section, re.M))
    assert {name for line in named for name in re.findall(r"^- `src/(\w+)`", line)} == set(EDGES)
    for path in re.findall(r"`([\w/.]+)`(?=[,:])", "\n".join(named)):
        assert os.path.exists(os.path.join(ROOT, path)), f"docs/ARCHITECTURE.md names {path}, which is not there"


def test_no_file_lies_outside_the_layers():
    found = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(ROOT, "src")) for name in names]
    stray = set(found) - set(FILES) - {os.path.join(ROOT, "src", "meson.build")}
    assert not stray, f"these are in no layer: {sorted(stray)}"


def includes(path):
    return re.findall(r'^\s*#\s*include\s*"([^"]+)"', text_of(path), re.M)


def test_the_page_names_the_layers_there_are():
    assert set(EDGES) == set(os.listdir(os.path.join(ROOT, "src"))) - {"meson.build"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_includes_keep_to_the_edges(path):
    for include in includes(path):
        target = include.split("/")[0]
        assert target in EDGES, f'{name_of(path)}: "{include}" names no layer; write "layer/file.h"'
        assert target == layer_of(path) or target in EDGES[layer_of(path)], (
            f"{name_of(path)} includes {include}, but docs/ARCHITECTURE.md has no edge {layer_of(path)} → {target}"
        )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_library_has_few_files_that_know_it(path):
    for header in re.findall(r"^\s*#\s*include\s*<([^>]+)>", text_of(path), re.M):
        only = ONLY_IN.get(header, (name_of(path),))
        assert name_of(path) in only, f"{name_of(path)} includes {header}, which is for {only} alone"


def test_the_files_that_know_a_library_are_there():
    for header, names in ONLY_IN.items():
        for name in names:
            assert f"#include <{header}>" in text_of(os.path.join(ROOT, "src", name)), f"{name} does not include {header}"


def test_the_library_is_not_asked_how_many_connections_it_has():
    """When asked it frees those that have ended, and goes on with one of them if that was from within a request (0.9.75): a use
    after free that takes a timed-out connection with an event of its own to be seen, so it is looked for here."""
    for path in FILES:
        assert "MHD_DAEMON_INFO_CURRENT_CONNECTIONS" not in text_of(path), name_of(path)


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
        assert module not in open_, "a cycle: " + " → ".join(open_[open_.index(module):] + [module])
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
    # A library without symbols, as link-time optimisation makes it, would pass whatever it calls.
    assert all(defined.values()), f"no symbols in {[layer for layer in defined if not defined[layer]]}"
    for layer, path in libraries.items():
        wanted = symbols(path, "-u")
        for other in set(EDGES) - {layer} - EDGES[layer]:
            # Sanitizers define some of their own in every library.
            shared = {name for name in wanted & defined[other] if not re.match(r"_*(asan|ubsan|odr)", name)}
            assert not shared, f"{layer} calls {other}, which no edge allows: {sorted(shared)}"


def test_the_server_has_of_the_sandbox_only_what_confines_itself():
    """What reads hostile bytes holds neither Python nor what makes workers."""
    program = os.path.join(BUILD, "python-executor-server")
    linked = symbols(program, "-g", "--defined-only")
    assert {"confine_server", "confine_rules", "seccomp_enter", "landlock_enter"} <= linked
    assert not linked & symbols(os.path.join(BUILD, "src", "libzygote.a"), "-g", "--defined-only")
    assert not linked & {"seccomp_rules", "seccomp_rule_count", "sandbox_prepare", "sandbox_enter"}
    for header in {include for path in FILES if layer_of(path) == "server" for include in includes(path)}:
        assert not header.startswith("sandbox/") or header in SERVER_MAY_INCLUDE, header


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".h")], ids=name_of)
def test_every_header_compiles_alone(path):
    flags = subprocess.run(["pkg-config", "--cflags", "libuv"], stdout=subprocess.PIPE, text=True, check=True).stdout
    result = subprocess.run(
        ["cc", "-fsyntax-only", "-D_GNU_SOURCE", "-std=gnu17", "-I", os.path.join(ROOT, "src"), *flags.split(),
         "-x", "c", path],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    assert result.returncode == 0, f"{name_of(path)} needs something included before it:\n{result.stdout}"


def functions(text):
    """(first line, lines) of every function, as the formatting of this project shows them: a function begins
    in the first column, its signature may go on in further lines, and a lone brace in that column ends it."""
    begun = body = None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "}" and body is not None:
            yield begun, number - begun + 1
            begun = body = None
        elif body is None:
            if re.match(r"[A-Za-z_]", line):
                begun = number if "(" in line else None
            if begun is not None and line.endswith(("{", ";", ",")):
                body = number if line.endswith(") {") else None
                begun = None if line.endswith((";", "= {")) else begun


def test_functions_are_seen_however_their_signature_is_broken():
    text = "struct a {\n    int b;\n};\nint c(void);\nint d(int e,\n      int f) {\n    return 0;\n}\n" \
           "static int g(void) {\n    if (h()) {\n    }\n}\n"
    assert list(functions(text)) == [(5, 4), (9, 4)]


def test_functions_are_found_at_all():
    assert sum(len(list(functions(text_of(path)))) for path in FILES) > 100


@pytest.mark.parametrize("path", FILES + TESTS, ids=name_of)
def test_a_file_begins_with_a_comment(path):
    assert text_of(path).startswith("/* "), f"{name_of(path)}: say first what it is, and who runs it"


@pytest.mark.parametrize("path", FILES + TESTS, ids=name_of)
def test_a_file_is_one_idea_of_readable_size(path):
    length = len(text_of(path).splitlines())
    assert length <= 500, f"{name_of(path)} has {length} lines, and 500 is the most"


@pytest.mark.parametrize("path", [path for path in FILES + TESTS if path.endswith(".c")], ids=name_of)
def test_a_function_fits_a_screen(path):
    long = [f"{name_of(path)}:{begun} has {length}" for begun, length in functions(text_of(path)) if length > 60]
    assert not long, f"60 lines are the most: {long}"


def files_of_the_project():
    """What git tracks; without git, as in an unpacked archive, all but what a build leaves."""
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if listing.returncode == 0 and listing.stdout:
        return [os.path.join(ROOT, os.fsdecode(name)) for name in listing.stdout.split(b"\0") if name]
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name != ".git"
                      and not os.path.exists(os.path.join(folder, name, "build.ninja"))]
        found += [os.path.join(folder, name) for name in names]
    return found


def test_nothing_refers_to_places_outside():
    words = (b"../" + b"shared", b"/" + b"work/")
    paths = [path for path in files_of_the_project() if os.path.isfile(path)]
    assert paths
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        found = [word.decode() for word in words if word in content]
        assert not found, f"{os.path.relpath(path, ROOT)} mentions {found}, which only its author has"


COMMANDS = subprocess.run([os.path.join(BUILD, "reference"), "commands"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
MADE = {"CONFIGURATION.md": ["page"], "python-executor.conf": ["sample"], "man/python-executor.1": ["man"],
        **{f"man/python-executor-{command}.1": ["man", command] for command in COMMANDS}}


@pytest.mark.parametrize("name", MADE)
def test_pages_that_are_made_of_tables_say_what_the_tables_say(name):
    made = subprocess.run([os.path.join(BUILD, "reference"), *MADE[name]], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert text_of(os.path.join(ROOT, "docs", name)) == made, f"docs/{name} is stale: run make docs"


def test_every_command_has_a_manual_page_that_is_installed():
    pages = {name for name in MADE if name.startswith("man/")}
    assert {f"man/{name}" for name in os.listdir(os.path.join(ROOT, "docs", "man"))} == pages
    names = re.search(r"foreach command : \[(.*)\]\n  install_man", text_of(os.path.join(ROOT, "meson.build"))).group(1)
    assert sorted(f"man/python-executor{name}.1" for name in re.findall(r"'([^']*)'", names)) == sorted(pages)


def test_the_image_is_built_of_all_that_meson_reads():
    """Of .dockerignore the last line counts that a folder, or one above it, is matched by."""
    lines = [line for line in text_of(os.path.join(ROOT, ".dockerignore")).splitlines() if line and not line.startswith("#")]
    folders = re.findall(r"^\s*subdir\('([^']+)'\)", text_of(os.path.join(ROOT, "meson.build")), re.M)
    assert "tests/unit" in folders
    for folder in folders:
        parts = folder.split("/")
        above = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
        matching = [line for line in lines if any(fnmatch.fnmatch(path, line.lstrip("!")) for path in above)]
        assert not matching or matching[-1].startswith("!"), f"{folder} is left out by {matching[-1]}"


def test_what_pages_have_one_make_is_there():
    targets = set(re.findall(r"^([a-z][a-z-]*):", text_of(os.path.join(ROOT, "Makefile")), re.M))
    pages = [os.path.join(ROOT, "README.md"), *glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True)]
    named = {(os.path.relpath(page, ROOT), word) for page in pages for word in re.findall(r"`make ([a-z][a-z-]*)", text_of(page))}
    assert len(named) > 20
    assert not [(page, word) for page, word in named if word not in targets]
