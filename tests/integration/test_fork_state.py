"""Workers are forks of one process: nothing random may repeat, nothing of one run may reach the next."""
import pytest
from service import SECRET, SECRET_NAME, together, unsanitized

RANDOM = """
import hashlib, os, random, secrets, ssl, tempfile, uuid
import numpy as np
def main():
    return {
        "random": random.random(),
        "a new Random": random.Random().random(),
        "SystemRandom": random.SystemRandom().random(),
        "numpy's global": float(np.random.rand()),
        "numpy's global, integers": int(np.random.randint(1 << 60)),
        "default_rng": float(np.random.default_rng().random()),
        "RandomState": float(np.random.RandomState().rand()),
        "SeedSequence": str(np.random.SeedSequence().entropy),
        "uuid1": str(uuid.uuid1()),
        "uuid4": str(uuid.uuid4()),
        "secrets": secrets.token_hex(16),
        "urandom": os.urandom(16).hex(),
        "getrandom": os.getrandom(16).hex(),
        "tempfile": next(tempfile._get_candidate_names()),
        "mkdtemp": tempfile.mkdtemp(),
        "OpenSSL": ssl.RAND_bytes(16).hex(),
    }
"""


def test_nothing_random_repeats_between_runs(service):
    found = together(*[lambda: [service.result(RANDOM) for _ in range(10)] for _ in range(5)])
    runs = [run for many in found for run in many]
    for name in runs[0]:
        assert len({run[name] for run in runs}) == len(runs), f"{name} repeats"


def test_nothing_random_repeats_in_workers_that_were_not_rehearsed(start):
    one = start("--workers=6", "--crew=1")
    runs = together(*[lambda: one.result(RANDOM) for _ in range(40)])
    for name in runs[0]:
        assert len({run[name] for run in runs}) == len(runs), f"{name} repeats"


def test_seeds_are_obeyed(service):
    script = (
        "import random, numpy as np\ndef main():\n    random.seed(7); np.random.seed(7)\n"
        "    return [random.randint(0, 1000), int(np.random.randint(1000)), float(np.random.default_rng(7).random())]"
    )
    first = service.result(script)
    assert first == service.result(script) and first[0] == 331


def test_string_hashes_are_not_those_of_a_fixed_seed(service):
    assert service.result("import sys\ndef main(): return [sys.flags.hash_randomization, hash('probe')]")[0] == 1


# --- From one run to the next -----------------------------------------------------------------------

LEAKS = [
    ("builtins", "import builtins; builtins.leak = 1", "import builtins", "hasattr(builtins, 'leak')"),
    ("a builtin", "import builtins; builtins.len = lambda x: 99", "", "len([]) == 99"),
    ("a module", "import json; json.leak = 1; json.dumps = None", "import json", "hasattr(json, 'leak') or json.dumps is None"),
    ("sys.modules", "import sys, types; sys.modules['leak'] = types.ModuleType('leak')", "import sys", "'leak' in sys.modules"),
    ("__main__", "leak = 1", "import __main__", "hasattr(__main__, 'leak') or 'leak' in globals()"),
    ("sys.path", "import sys; sys.path.insert(0, '/tmp/leak')", "import sys", "'/tmp/leak' in sys.path"),
    ("environment", "import os; os.environ['LEAK'] = '1'; os.putenv('LEAK', '1')", "import os", "'LEAK' in os.environ"),
    ("files", "open('/tmp/leak', 'w').write('x')", "import os", "os.path.exists('/tmp/leak') or os.listdir('/tmp')"),
    ("a shadowing module", "open('/tmp/json.py', 'w').write('leak = 1')", "import sys; sys.modules.pop('json')\nimport json", "hasattr(json, 'leak')"),
    ("linecache", "import linecache; linecache.cache['leak'] = (1, None, ['x'], 'leak')", "import linecache", "'leak' in linecache.cache"),
    ("warnings", "import warnings; warnings.simplefilter('error')", "import warnings", "warnings.filters[0][0] == 'error'"),
    ("working directory", "import os; os.mkdir('/tmp/d'); os.chdir('/tmp/d')", "import os", "os.getcwd() != '/tmp'"),
    ("umask", "import os; os.umask(0o077)", "import os", "os.umask(0o022) != 0o022"),
    ("signals", "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)", "import signal", "signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL"),
    ("locale", "import locale; locale.setlocale(locale.LC_ALL, 'C')", "import locale", "locale.setlocale(locale.LC_CTYPE) == 'C'"),
    ("decimal", "import decimal; decimal.getcontext().prec = 3", "import decimal", "decimal.getcontext().prec == 3"),
    ("recursion limit", "import sys; sys.setrecursionlimit(5000)", "import sys", "sys.getrecursionlimit() != 1000"),
    ("pandas options", "import pandas as pd; pd.set_option('display.max_rows', 7)", "import pandas as pd", "pd.get_option('display.max_rows') == 7"),
    ("numpy state", "import numpy as np; np.seterr(all='raise'); np.random.seed(1)", "import numpy as np", "np.geterr()['divide'] == 'raise'"),
    ("a class", "import collections; collections.Counter.leak = 1", "import collections", "hasattr(collections.Counter, 'leak')"),
    ("gc", "import gc; gc.disable()", "import gc", "not gc.isenabled()"),
    ("audit hooks", "import sys; sys.addaudithook(lambda *a: 1/0 if a[0] == 'leak' else None)", "import sys", "sys.audit('leak')"),
    ("trace", "import sys, threading; threading.settrace(print); sys.setprofile(None)", "import threading", "threading.gettrace()"),
    ("codecs", "import codecs; codecs.register(lambda n: codecs.lookup('utf-8') if n == 'leak' else None)", "", "b'x'.decode('leak')"),
    ("shared memory", "open('/dev/shm/leak', 'w')", "import os", "os.path.exists('/dev/shm')"),
]


@pytest.mark.parametrize("what, do, imports, check", LEAKS, ids=[leak[0] for leak in LEAKS])
def test_nothing_reaches_the_next_run(service, what, do, imports, check):
    # An attempt that is refused is as good.
    service.run(f"{do}\ndef main(): pass")
    seen = f"{imports}\ndef main():\n    try: return bool({check})\n    except LookupError: return False"
    for _ in range(3):
        assert service.result(seen) is False, f"{what} reached the next run"


def test_memory_of_one_run_is_not_in_the_next(service):
    mark = "leftover-482915730164"
    service.run(f"def main(): return len(['{mark[:9]}' + '-482915730164' + str(i) for i in range(200000)])")
    script = (
        "import numpy as np\ndef main():\n    half = b'leftover'\n    return sum((half + b'-4829') in"
        " np.empty(1 << 20, dtype=np.uint8).tobytes() for _ in range(20))"
    )
    assert service.result(script) == 0


# --- What a worker holds ----------------------------------------------------------------------------


def test_exactly_four_descriptors_and_what_they_are(service):
    script = """
import os, stat
def kind(fd):
    s = os.fstat(fd)
    for name in ("CHR", "FIFO", "SOCK", "REG", "DIR"):
        if getattr(stat, "S_IS" + name)(s.st_mode): return [fd, name, os.major(s.st_rdev), os.minor(s.st_rdev)]
    return [fd, "?", 0, 0]
def main():
    found = []
    for fd in range(4096):
        try: found.append(kind(fd))
        except OSError: pass
    return found
"""
    assert service.result(script) == [[0, "CHR", 1, 3], [1, "FIFO", 0, 0], [2, "FIFO", 0, 0], [3, "SOCK", 0, 0]]


def test_stdin_is_the_null_device_and_no_way_to_others(service):
    script = (
        "import os\ndef main():\n    found = []\n    for fd in range(4):\n"
        "        try: os.stat('..', dir_fd=fd); found.append(fd)\n        except OSError: pass\n    return found"
    )
    assert service.result(script) == []


def test_the_environment_is_four_variables(service):
    expected = {"HOME": "/tmp", "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": "/tmp"}
    assert service.result("import os\ndef main(): return dict(os.environ)") == expected


def test_the_environment_that_c_sees_is_the_same(service):
    script = (
        "import ctypes\ndef main():\n    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\n"
        "    found = []\n    while environ[len(found)]: found.append(environ[len(found)].decode())\n    return sorted(found)"
    )
    assert [entry.split("=")[0] for entry in service.result(script)] == ["HOME", "LANG", "PATH", "TMPDIR"]


@unsanitized
def test_the_operators_environment_is_not_in_the_initial_stack(service):
    """The kernel puts arguments and environment at the top of the stack; read from there up to its end."""
    script = """
import ctypes
libc = ctypes.CDLL(None)
def main():
    environ = ctypes.POINTER(ctypes.c_void_p).in_dll(libc, "environ")
    page = ctypes.cast(ctypes.c_char_p.in_dll(libc, "program_invocation_name"), ctypes.c_void_p).value & ~4095
    text = b""
    vec = ctypes.create_string_buffer(1)
    address = page - 4096 * 8
    for i in range(400):
        if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(4096), vec) == 0: pass
        r, w = __import__("os").pipe()
        if libc.write(w, ctypes.c_void_p(address), ctypes.c_size_t(4096)) == 4096:
            text += __import__("os").read(r, 4096)
        __import__("os").close(r); __import__("os").close(w)
        address += 4096
    return [len(text) > 0, text.decode("latin-1")]
"""
    read, text = service.result(script)
    assert read and "python-executor-zygote" in text, "the probe does not read the stack"
    assert SECRET not in text and SECRET_NAME not in text


def test_modules_that_a_fresh_python_has_not(service):
    """What the service itself uses around the script is out of its reach by name."""
    assert service.result("import sys\ndef main(): return sorted(m for m in sys.modules if 'runner' in m.lower() and 'pandas' not in m and 'numpy' not in m)") == []


def test_threads_at_the_start(service):
    assert service.result("import threading\ndef main(): return [threading.active_count(), threading.current_thread() is threading.main_thread()]") == [1, True]
