#!/usr/bin/python3
"""What the linked programs have of the compiler's and the linker's hardening: hardening.py BUILD.

Prints what it finds of each program that is installed; the last line is `N passed, N failed`. Asks readelf, which comes
with the compiler. tests/security/test_hardening.py asks the same of the build and of a program without any of it.
"""
import functools
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What a jump may land on and where a return may go, as the objects' notes have it, by machine.
BRANCHES = {"X86-64": {"IBT", "SHSTK"}, "AArch64": {"BTI", "PAC"}}


def readelf(path, *options):
    return subprocess.run(["readelf", "-W", *options, path], stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


@functools.cache
def installed_programs(build):
    """As Meson installs them, so that a new one is looked at as well."""
    listing = subprocess.run(["meson", "introspect", "--installed", build], stdout=subprocess.PIPE, text=True, check=True).stdout
    paths = [path for path in json.loads(listing) if os.path.isfile(path)]
    return [path for path in paths if open(path, "rb").read(4) == b"\x7fELF"]


def objects(program):
    """The object files that are only this program's, and those of the layers, which lie beside it."""
    folder = os.path.dirname(program)
    return glob.glob(program + ".p/*.o") + glob.glob(os.path.join(folder, "src", "*.p", "*.o"))


def imports(program):
    return set(re.findall(r"UND (\w+)", readelf(program, "--dyn-syms")))


def segments(program):
    """[(type, flags)] of the program headers: ("LOAD", "R E")."""
    return re.findall(r"^ +([A-Z_]+) +(?:0x[0-9a-f]+ +){5}([RWE ]{3})", readelf(program, "-l"), re.M)


def branch_notes(path):
    found = re.findall(r"(?:x86|AArch64) feature: (.*)", readelf(path, "-n"))
    return {word for line in found for word in re.split(r"[ ,]+", line)}


def fortified(program):
    return {name for name in imports(program) if re.fullmatch(r"__\w+_chk", name) and name != "__stack_chk_fail"}


def dynamic(program):
    return readelf(program, "-d")


def machine(program):
    return re.search(r"Machine:.*?(X86-64|AArch64|$)", readelf(program, "-h"), re.M).group(1)


def branches(program):
    """Of the objects and not of the program: the linker drops the note where libc's own start files have none, as in Debian 12."""
    wanted = BRANCHES.get(machine(program), set())
    return all(wanted <= branch_notes(path) for path in objects(program) or [program])


CHECKS = {
    "PIE: its addresses are not known beforehand": lambda p: "Type:" in readelf(p, "-h") and " PIE" in dynamic(p),
    "RELRO: what was relocated is not writable": lambda p: "GNU_RELRO" in dict(segments(p)),
    "BIND_NOW: and that is all of it": lambda p: "BIND_NOW" in dynamic(p),
    "no stack can be run": lambda p: [flags for kind, flags in segments(p) if kind == "GNU_STACK"] == ["RW "],
    "no page is writable and can be run": lambda p: not any("W" in flags and "E" in flags for _, flags in segments(p)),
    "no text is relocated": lambda p: "TEXTREL" not in dynamic(p),
    "no library is looked for in other places": lambda p: not re.search(r"\((RPATH|RUNPATH)\)", dynamic(p)),
    "stack protector": lambda p: "__stack_chk_fail" in imports(p),
    "FORTIFY: libc's checked functions are called": lambda p: bool(fortified(p)),
    "branches: IBT and shadow stack, or BTI and PAC": branches,
}


def main():
    passed = failed = 0
    for program in installed_programs(sys.argv[1]):
        print(f"{os.path.relpath(program, sys.argv[1])} ({machine(program)}; checked: {', '.join(sorted(fortified(program)))})")
        for name, check in CHECKS.items():
            good = check(program)
            print(f"  {'yes' if good else 'NO '}  {name}")
            passed += good
            failed += not good
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
