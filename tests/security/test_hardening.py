"""The programs as they are linked: what a mistake in the C code is met with. tests/hardening.py looks."""
import platform
import subprocess

import pytest
from hardening import CHECKS, installed_programs
from service import BUILD, unsanitized

# FORTIFY and AddressSanitizer exclude each other.
pytestmark = unsanitized

WEAK = """
#include <string.h>
int main(int count, char **words) {
    char room[64];
    strcpy(room, words[count - 1]);
    return room[0];
}
"""
WEAKLY = "-O2 -no-pie -fno-pie -fno-stack-protector -U_FORTIFY_SOURCE -Wl,-z,norelro,-z,lazy,-z,execstack,-rpath,/tmp"
UNBRANCHED = {"x86_64": "-fcf-protection=none", "aarch64": "-mbranch-protection=none"}


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    """A program without any of it."""
    folder = tmp_path_factory.mktemp("weak")
    (folder / "weak.c").write_text(WEAK)
    subprocess.run(["cc", *WEAKLY.split(), UNBRANCHED[platform.machine()], "-o", folder / "weak", folder / "weak.c"], check=True)
    return str(folder / "weak")


def test_every_program_is_looked_at():
    assert {path.rsplit("/", 1)[1] for path in installed_programs(BUILD)} == {
        "python-executor", "python-executor-server", "python-executor-zygote"}


@pytest.mark.parametrize("name", CHECKS)
def test_a_program_is_hardened(name):
    lacking = [path for path in installed_programs(BUILD) if not CHECKS[name](path)]
    assert not lacking, f"{name}: not so in {lacking}"


# Text that is relocated is refused by today's linkers, and cannot be had so easily.
@pytest.mark.parametrize("name", [name for name in CHECKS if name != "no text is relocated"])
def test_a_program_that_is_not_is_told_from_one_that_is(name, weak):
    assert not CHECKS[name](weak)
