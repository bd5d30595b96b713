"""Every limit is a clean answer with its own outcome, and the next request is fine."""
import pytest
from service import Service, unsanitized

FAILED = b'{"error": "Execution failed"}'


def assert_killed(answer, outcome):
    assert (answer.status, answer.outcome, answer.body) == (500, outcome, FAILED), answer


# --- Time -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brief():
    """A service whose runs may take 0.8 seconds."""
    one = Service("--wall-ms=800")
    yield one
    one.stop()


@pytest.mark.parametrize(
    "script",
    [
        "def main():\n    while True: pass",
        "while True: pass",
        "import time\ndef main(): time.sleep(60)",
        "import threading\ndef main(): threading.Event().wait()",
        "def main():\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "def main():\n    while True: pass",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ndef main():\n    while True: pass",
        "import sys\nsys.setswitchinterval(1000)\ndef main():\n    while True: pass",
        "import re\ndef main(): re.match('(a+)+$', 'a' * 60 + 'b')",
        pytest.param("def main(): return len(str(7 ** 10 ** 8))", marks=unsanitized),
        "import os\ndef main():\n    r, w = os.pipe()\n    os.read(r, 1)",
        "import threading\nlock = threading.Lock()\ndef main():\n    lock.acquire(); lock.acquire()",
        pytest.param("import sys\ndef main():\n    while True: sys.stdout.write('x' * 1000)", marks=unsanitized),
        "import ctypes\ndef main(): ctypes.PyDLL(None).pause()",
        "import os, struct\ndef main():\n    os.write(3, struct.pack('<II', 2, 100) + b'half'); import time; time.sleep(60)",
    ],
)
def test_the_wall_clock(brief, script):
    answer = brief.run(script)
    assert_killed(answer, "timeout")
    assert 0.7 < answer.seconds < 4, answer.seconds


def test_the_default_deadline(service):
    answer = service.run("import time\ndef main(): time.sleep(60)")
    assert_killed(answer, "timeout")
    assert 4.5 < answer.seconds < 9


def test_after_the_deadlines(brief):
    brief.assert_well()


@pytest.mark.parametrize(
    "script",
    [
        "import threading\ndef work():\n    while True: pass\ndef main():\n"
        "    for _ in range(6): threading.Thread(target=work, daemon=True).start()\n    work()",
        "import hashlib, threading\ndef work():\n    while True: hashlib.sha256(bytes(1 << 20))\ndef main():\n"
        "    for _ in range(4): threading.Thread(target=work, daemon=True).start()\n    work()",
        "def main():\n    while True: pass",
    ],
)
def test_cpu_time_over_all_threads(start, script):
    one = start("--cpu-ms=1000", "--wall-ms=20000")
    answer = one.run(script)
    assert_killed(answer, "timeout")
    assert answer.seconds < 8
    one.assert_well()


# --- Memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "def main(): return len(bytearray(64 << 30))",
        "def main(): return [0] * (1 << 40)",
        "import numpy as np\ndef main(): return np.zeros(10 ** 11).sum()",
        "def main():\n    kept = []\n    while True: kept.append(bytearray(50 << 20))",
        "def main(): return 'x' * (1 << 34)",
    ],
)
def test_more_address_space_than_allowed_is_a_memory_error(service, script):
    answer = service.run(script)
    assert answer.outcome == "memory", answer
    assert answer.status in (400, 500)
    if answer.status == 400:
        assert "MemoryError" in answer.error
    service.assert_well()


@pytest.mark.parametrize(
    "script",
    [
        "def main():\n    kept = []\n    while True: kept.append(b'x' * (1 << 20))",
        "def main():\n    kept = []\n    while True: kept.append(bytearray(b'x') * (8 << 20))",
        "import numpy as np\ndef main():\n    kept = []\n    while True: kept.append(np.ones(1 << 17))",
        "def main():\n    kept = {}\n    while True: kept[len(kept)] = str(len(kept))",
        "import mmap\ndef main():\n    m = mmap.mmap(-1, 450 << 20)\n    for i in range(0, 450 << 20, 4096): m[i] = 1\n"
        "    import time; time.sleep(1)",
        "import zlib\ndef main():\n    c = zlib.compressobj(1); zeros = bytes(1 << 20)\n"
        "    bomb = b''.join(c.compress(zeros) for _ in range(600)) + c.flush()\n    return len(zlib.decompress(bomb))",
        "import pandas as pd\ndef main():\n    a = pd.DataFrame({'k': 0, 'v': range(60000)})\n    return len(a.merge(a, on='k'))",
        "import os\ndef main():\n    for i in range(40):\n        open(f'/tmp/{i}', 'wb').write(bytes(1 << 20))\n"
        "    kept = []\n    while True: kept.append(b'x' * (1 << 20))",
    ],
)
def test_touching_more_memory_than_allowed(service, script):
    answer = service.run(script)
    assert answer.outcome == "memory", answer
    assert answer.status in (400, 500) and answer.seconds < 6
    service.assert_well()


def test_an_uncaught_memory_error_is_400_and_memory(service):
    answer = service.run("def main(): raise MemoryError('mine')")
    assert (answer.status, answer.outcome, answer.json) == (400, "memory", {"error": "MemoryError: mine"})


def test_a_caught_memory_error_is_no_failure(service):
    script = "def main():\n    try: bytearray(64 << 30)\n    except MemoryError: return 'caught'"
    assert service.result(script) == "caught"


@pytest.mark.parametrize("mib", [100, 200])
def test_memory_within_the_limit_can_be_used(service, mib):
    script = f"def main():\n    x = bytearray(b'x') * ({mib} << 20)\n    return x.count(b'x')"
    assert service.result(script) == mib << 20


def test_reserving_much_and_touching_little_is_fine(service):
    script = "import numpy as np\ndef main():\n    a = np.zeros((40, 1 << 20))\n    a[:, 0] = 1\n    return int(a.sum())"
    assert service.result(script) == 40


def test_the_memory_option(start):
    one = start("--memory-mb=64")
    touch = "def main():\n    x = bytearray(b'x') * ({} << 20)\n    import time; time.sleep(0.3)\n    return len(x)"
    assert one.result(touch.format(40)) == 40 << 20
    for mib in (90, 400):
        answer = one.run(touch.format(mib))
        assert answer.outcome == "memory", answer
    one.assert_well()


@unsanitized
def test_no_pages_are_locked(service):
    script = "import ctypes\ndef main():\n    b = ctypes.create_string_buffer(4096)\n    return ctypes.CDLL(None).mlock(b, 4096)"
    assert service.result(script) == -1


# --- Output and result ------------------------------------------------------------------------------


@pytest.mark.parametrize("stream, kib", [("stdout", 1024), ("stderr", 64)])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 3_000_000])
def test_output_is_kept_up_to_its_limit_and_flagged(service, stream, kib, beyond):
    size = (kib << 10) + beyond
    answer = service.run(f"import sys\ndef main():\n    sys.{stream}.write('x' * {size})\n    return 1", details=True)
    assert (answer.status, answer.outcome, answer.result) == (200, "ok", 1)
    assert answer.json[stream] == "x" * min(size, kib << 10)
    assert answer.json[f"{stream}_truncated"] is (beyond > 0)
    assert answer.json["usage"][f"{stream}_bytes"] == size


def test_output_is_not_cut_in_a_character(service):
    answer = service.run("def main():\n    print('a' + '\u4e16' * 400_000)", details=True)
    assert answer.json["stdout_truncated"] is True
    assert answer.stdout == "a" + "\u4e16" * (((1 << 20) - 1) // 3)


def test_a_flood_of_output_is_drained(service):
    script = "import os\ndef main():\n    block = b'x' * 1_000_000\n    for _ in range(200): os.write({}, block)\n    return 1"
    for fd in (1, 2):
        answer = service.run(script.format(fd))
        assert answer.result == 1 and len(answer.body) < 2 << 20
    service.assert_well()


def test_output_limits_are_options(start):
    one = start("--stdout-kb=1", "--stderr-kb=2", "--result-kb=1")
    body = one.run("import sys\ndef main():\n    print('x' * 5000); sys.stderr.write('y' * 5000)", details=True).json
    assert (len(body["stdout"]), len(body["stderr"])) == (1024, 2048)
    assert one.result("def main(): return 'x' * 1022") == "x" * 1022
    answer = one.run("def main(): return 'x' * 1023")
    assert (answer.status, answer.outcome) == (400, "output_limit")


@pytest.mark.parametrize(
    "script",
    ["def main(): return 'x' * (9 << 20)", pytest.param("def main(): return list(range(2_000_000))", marks=unsanitized)],
)
def test_a_result_that_is_too_large(service, script):
    answer = service.run(script)
    assert (answer.status, answer.outcome) == (400, "output_limit"), answer
    assert set(answer.json) == {"error"} and "too large" in answer.error
    service.assert_well()


def test_the_result_limit_is_exact(service):
    assert len(service.result(f"def main(): return 'x' * {(8 << 20) - 2}")) == (8 << 20) - 2
    assert service.run(f"def main(): return 'x' * {(8 << 20) - 1}").outcome == "output_limit"


def test_result_depth_is_an_option(start):
    one = start("--result-depth=5")
    assert one.result("def main(): return [[[[[1]]]]]") == [[[[[1]]]]]
    answer = one.run("def main(): return [[[[[[1]]]]]]")
    assert (answer.status, answer.outcome) == (400, "output_limit")


# --- Files ------------------------------------------------------------------------------------------


def test_the_size_of_the_scratch_space(service):
    script = (
        "import errno\ndef main():\n    try:\n        for i in range(100):\n"
        "            with open(f'/tmp/{i}', 'wb') as f: f.write(bytes(1 << 20))\n"
        "    except OSError as e: return [i, errno.errorcode[e.errno]]"
    )
    count, error = service.result(script)
    assert error == "ENOSPC" and 60 <= count <= 64
    service.assert_well()


def test_the_size_of_one_file(service):
    script = "def main():\n    with open('/tmp/x', 'wb') as f:\n        f.seek(65 << 20); f.write(b'x')"
    answer = service.run(script)
    assert (answer.status, answer.outcome) in ((400, "exception"), (500, "killed")), answer
    if answer.status == 400:
        assert "File too large" in answer.error
    service.assert_well()


def test_holes_do_not_go_round_the_scratch_size(service):
    script = (
        "import errno, os\ndef main():\n    f = os.open('/tmp/x', os.O_RDWR | os.O_CREAT)\n    try: os.posix_fallocate(f, 0, 1 << 30)\n"
        "    except OSError as e: return errno.errorcode[e.errno]"
    )
    assert service.result(script) in ("ENOSPC", "EFBIG")


@pytest.mark.parametrize("make", ["open(f'/tmp/{i}', 'w').close()", "os.mkdir(f'/tmp/{i}')", "os.symlink('x', f'/tmp/{i}')"])
def test_the_number_of_files(service, make):
    script = (
        f"import errno, os\ndef main():\n    try:\n        for i in range(5000): {make}\n"
        "    except OSError as e: return [i, errno.errorcode[e.errno]]"
    )
    count, error = service.result(script)
    assert error == "ENOSPC" and 1000 <= count <= 1024
    service.assert_well()


def test_open_files(service):
    script = (
        "import errno, os\ndef main():\n    try:\n        while True: last = os.dup(0)\n"
        "    except OSError as e: return [last, errno.errorcode[e.errno]]"
    )
    assert service.result(script) == [127, "EMFILE"]
    service.assert_well()


def test_files_are_options(start):
    one = start("--scratch-mb=2", "--scratch-files=20", "--open-files=32")
    fill = "import errno\ndef main():\n    try:\n        with open('/tmp/x', 'wb', 0) as f:\n            while True: f.write(bytes(4096))\n"
    assert one.result(fill + "    except OSError as e: return errno.errorcode[e.errno]") in ("ENOSPC", "EFBIG")
    assert one.result("import os\ndef main():\n    try:\n        while True: last = os.dup(0)\n    except OSError: return last") == 31
    assert 10 <= one.result("def main():\n    try:\n        for i in range(99): open(f'/tmp/{i}', 'w').close()\n    except OSError: return i") <= 20


# --- Threads ----------------------------------------------------------------------------------------

THREADS = (
    "import threading, time\nstop = threading.Event()\ndef main():\n    n = 0\n    try:\n"
    "        for _ in range(3000):\n            threading.Thread(target=stop.wait).start(); n += 1\n"
    "    except RuntimeError: pass\n    stop.set()\n    return n"
)


def test_threads_are_bounded(service):
    assert 55 <= service.result(THREADS) <= 64
    service.assert_well()


def test_threads_are_an_option(start):
    one = start("--threads=10")
    assert 7 <= one.result(THREADS) <= 10


# --- All of them ------------------------------------------------------------------------------------


def test_no_limit_can_be_raised_again(service):
    script = (
        "import resource\ndef main():\n    raised = []\n    for name in dir(resource):\n"
        "        if not name.startswith('RLIMIT_'): continue\n        which = getattr(resource, name)\n"
        "        soft, hard = resource.getrlimit(which)\n        if hard == resource.RLIM_INFINITY: continue\n"
        "        try:\n            resource.setrlimit(which, (soft, hard + 1)); raised.append(name)\n"
        "        except (ValueError, OSError): pass\n    return raised"
    )
    assert service.result(script) == []


def test_the_limits_that_matter_are_set(service):
    script = (
        "import resource as r\ndef main(): return {n: r.getrlimit(getattr(r, 'RLIMIT_' + n))[1]"
        " for n in 'CORE CPU AS FSIZE NOFILE NPROC STACK MEMLOCK'.split()}"
    )
    limits = service.result(script)
    assert all(value >= 0 for value in limits.values()), limits  # -1 is no limit
    assert limits["CORE"] == 0 and limits["NOFILE"] == 128 and 5 <= limits["CPU"] <= 7
