"""limits.scratch_mb: less or more room in /tmp for one request. A tmpfs is resized before the job is there, and the kernel
keeps to it; where there is none, or it cannot be resized, the keeper counts, while the script runs and in the end."""
import os
import sys

import pytest
from service import ROOT, Background, Service, needs_poverty, unsanitized

pytestmark = [needs_poverty, unsanitized]

USUAL, MOST, MIB = 4, 16, 1 << 20
LIMITS = (f"--scratch-mb={USUAL}", f"--max-scratch-mb={MOST}", "--preload=", "--workers=2", "--crew=2")
FSPICK = 433
SOMEBODY = 1876999003
PLATFORMS = {
    "root": {},
    "user": {"behind": ["/usr/bin/setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]},
    "no admin": {"behind": ["/usr/bin/setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]},
    "no mapping": {"behind": ["/usr/bin/setpriv", "--bounding-set=-sys_admin,-setfcap", "--inh-caps=-sys_admin,-setfcap"]},
    "no resizing": {"behind": [sys.executable, os.path.join(ROOT, "tests", "launch_lacking.py"), str(FSPICK)]},
    "poor": {"poor": True},
}
ONE = b'{"result": 1, "stdout": ""}'

# Files of a mebibyte each until one does not fit; then nothing for a while, or the end at once.
SPREAD = """
import errno, time
def main(count, wait):
    kept = 0
    try:
        for i in range(count):
            with open(f'{i}', 'wb', buffering=0) as file:
                for _ in range(16):
                    kept += file.write(b'x' * 65536)
    except OSError as error:
        return [kept / 2**20, errno.errorcode[error.errno]]
    time.sleep(wait)
    return [kept / 2**20, None]
"""
SINGLE = """
import errno
def main(size):
    with open('f', 'wb', buffering=0) as file:
        try:
            while file.tell() < size:
                file.write(b'x' * 65536)
        except OSError as error:
            return [file.tell() / 2**20, errno.errorcode[error.errno]]
        return [file.tell() / 2**20, None]
"""


@pytest.fixture(scope="module", params=PLATFORMS)
def place(request):
    """A service, and whether the kernel bounds its workers' files."""
    one = Service(*LIMITS, **PLATFORMS[request.param])
    one.exact = request.param in ("root", "user", "no admin")
    one.poor = request.param in ("no mapping", "poor")
    yield one
    one.assert_well()
    one.stop()


def spread(place, count, limit=None, wait=0.0, **keys):
    limits = {} if limit is None else {"limits": {"scratch_mb": limit}}
    return place.run(SPREAD, args=[count, wait], **limits, **keys)


def assert_bounded(place, limit, count, **keys):
    """What is asked for is had, and not more. The kernel sees to the most, which any tmpfs can be mounted with."""
    room = limit if not place.poor else limit - 1  # a folder takes some itself
    assert spread(place, room, limit, 0.2).result == [room, None]
    answer = spread(place, count, limit, **keys)
    if place.exact or limit == MOST and not place.poor:
        assert answer.result == [limit, "ENOSPC"]
    else:
        assert (answer.status, answer.outcome) == (500, "scratch_limit"), answer


@pytest.mark.parametrize("limit", [1, 3, 5, MOST])
@pytest.mark.parametrize("keys", [{"wait": 0}, {"wait": 1}, {"wait": 0, "details": True}], ids=str)
def test_less_and_more(place, limit, keys):
    assert_bounded(place, limit, limit + 2, **keys)


@pytest.mark.parametrize("limit", [1, USUAL, 9, MOST])
def test_a_single_file_ends_there_everywhere(place, limit):
    answer = place.run(SINGLE, input=(limit + 5) * MIB, limits={"scratch_mb": limit})
    assert answer.result == [limit, "EFBIG"]


def test_the_default_is_what_it_was(place):
    assert spread(place, USUAL - 1, None, 0.2).result == [USUAL - 1, None]
    assert spread(place, USUAL - 1, USUAL, 0.2).result == [USUAL - 1, None]
    for limit in (None, USUAL):
        answer = spread(place, USUAL + 3, limit, 1)
        if place.exact:
            assert answer.result == [USUAL, "ENOSPC"]
        else:
            assert answer.outcome == "scratch_limit"


def test_beside_others_and_behind_them(place):
    """The two workers are used over and over, each slot by jobs of all kinds."""
    for _ in range(3):
        beside = [Background(spread, place, 12, 14, 0.3), Background(spread, place, USUAL - 1, None, 0.3)]
        assert [one.get().result for one in beside] == [[12, None], [USUAL - 1, None]]
        beside = [Background(spread, place, 3, 1, 1), Background(spread, place, USUAL + 3, None, 1)]
        for one, limit in zip(beside, (1, USUAL)):
            answer = one.get()
            assert answer.result == [limit, "ENOSPC"] if place.exact else answer.outcome == "scratch_limit", answer


def test_a_single_slot(start):
    one = start(*LIMITS[:3], "--workers=1", "--crew=1")
    for limit in (1, None, MOST, None, 2, None):
        assert spread(one, MOST + 2, limit).result == [limit or USUAL, "ENOSPC"]


def test_beyond(place):
    for value, words in ((MOST + 1, f"{MOST + 1}, the most is {MOST}"), (0, "0, the least is 1"), (-1, "-1, the least is 1")):
        answer = spread(place, 1, value)
        assert answer.status == 400 and answer.error == f"Invalid input: limits.scratch_mb is {words}."
    assert spread(place, 1, "4").error == "Invalid input: limits.scratch_mb must be an integer."


def test_without_a_most_there_is_less_only(service):
    assert service.run(SPREAD, args=[1, 0], limits={"scratch_mb": 65}).error == (
        "Invalid input: limits.scratch_mb is 65, the most is 64.")
    assert service.run(SPREAD, args=[9, 0], limits={"scratch_mb": 2}).result == [2, "ENOSPC"]
    assert service.run(SPREAD, args=[70, 0]).result == [64, "ENOSPC"]


def test_many_small_files(place):
    script = """
import time
def main(count):
    try:
        for i in range(count):
            with open(f'{i}', 'w') as file:
                file.write('x')
    except OSError:
        return i
    return count
"""
    # A page each.
    assert place.run(script, input=200, limits={"scratch_mb": 1}).result == 200
    answer = place.run(script, input=600, limits={"scratch_mb": 1})
    assert answer.result == 256 if place.exact else answer.outcome == "scratch_limit", answer
    assert place.run(script, input=600, limits={"scratch_mb": 3}).result == 600


def test_the_limit_that_held(place):
    assert spread(place, 1, 7, details=True).json["limits"]["scratch_mb"] == 7
    assert spread(place, 1, 1, details=True).json["limits"]["scratch_mb"] == 1
    assert spread(place, 1, details=True).json["limits"]["scratch_mb"] == USUAL


def test_files_and_outputs_go_with_it(place):
    script = "import os\ndef main():\n    os.truncate('a', 3); return os.path.getsize('b')"
    files = {"a": {"text": "a" * 3 * MIB}, "b": {"text": "b" * 3 * MIB}}
    answer = place.run(script, files=files)
    assert answer.error == f"Invalid input: files has {6 * MIB} bytes, the limit is {USUAL * MIB}."
    answer = place.run(script, files=files, outputs=["a"], limits={"scratch_mb": 8})
    assert answer.json["result"] == 3 * MIB and [one["base64"] for one in answer.json["outputs"]] == ["YWFh"]
    answer = place.run(script, files={"a": {"text": "a" * 2 * MIB}}, limits={"scratch_mb": 1})
    assert answer.error == f"Invalid input: files has {2 * MIB} bytes, the limit is {MIB}."


def test_a_file_without_a_name(place):
    """On a tmpfs it counts like any other."""
    script = """
import os, time
def main():
    files = [open(f'{i}', 'wb') for i in range(5)]
    for i, file in enumerate(files):
        os.unlink(f'{i}')
        file.write(b'x' * 2**20)
        file.flush()
    time.sleep(1)
"""
    answer = place.run(script, limits={"scratch_mb": 2})
    if place.exact:
        assert answer.error == "OSError: [Errno 28] No space left on device"
    elif not place.poor:
        assert answer.outcome == "scratch_limit"
    assert place.run(script, limits={"scratch_mb": 8}).outcome == "ok"


def test_a_script_cannot_tell_nor_change_it(place):
    script = """
import ctypes, os
def main():
    libc = ctypes.CDLL(None, use_errno=True)
    fds = sorted(int(fd) for fd in range(64) if is_open(fd))
    calls = {}
    for name, number, args in (('fspick', 433, (-100, b'/tmp', 0)), ('fsconfig', 431, (3, 6, 0, 0, 0)), ('mount', 165, (b'x', b'/tmp', b'tmpfs', 32, b'size=1g'))):
        calls[name] = libc.syscall(number, *args)
    return [fds, list(calls.values())]
def is_open(fd):
    try: os.fstat(fd)
    except OSError: return False
    return True
"""
    for limits in ({}, {"scratch_mb": 1}, {"scratch_mb": MOST}):
        answer = place.run(script, limits=limits)
        assert answer.status == 500 or answer.result == [[0, 1, 2, 3], [-1, -1, -1]], answer
