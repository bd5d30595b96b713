"""Ordinary scripts that a sandbox drawn too tight would break: (name, script, result)."""
import pytest

SCRIPTS = [
    ("time zones", """
import datetime as d, zoneinfo
def main():
    t = d.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("America/New_York"))
    return [t.astimezone(zoneinfo.ZoneInfo("Europe/Paris")).isoformat(), len(zoneinfo.available_timezones()) > 300,
            str(d.date(2024, 2, 28) + d.timedelta(days=2)), d.datetime.now(d.timezone.utc).year >= 2024]
""", ["2024-07-01T18:00:00+02:00", True, "2024-03-01", True]),
    ("pandas time zones", """
import pandas as pd
def main():
    i = pd.date_range("2024-03-09", periods=3, freq="D", tz="UTC").tz_convert("US/Eastern")
    return [str(i[0]), int(pd.Series([1, 2, 3], index=i).resample("2D").sum().iloc[0]), str(pd.Timestamp("2024-07-01", tz="Asia/Tokyo"))]
""", ["2024-03-08 19:00:00-05:00", 3, "2024-07-01 00:00:00+09:00"]),
    ("text files that are not ASCII", """
import locale, os, sys
def main():
    with open("/tmp/n\u00efve.txt", "w") as f: f.write("h\u00e9llo \u4e16\u754c")
    return [os.listdir("/tmp"), open("/tmp/n\u00efve.txt").read(), locale.getpreferredencoding(), sys.getfilesystemencoding(), locale.setlocale(locale.LC_CTYPE)]
""", [["n\u00efve.txt"], "h\u00e9llo \u4e16\u754c", "UTF-8", "utf-8", "C.UTF-8"]),
    ("sqlite in memory", """
import sqlite3
def main():
    c = sqlite3.connect(":memory:")
    c.execute("create table t (a int, b text)")
    c.executemany("insert into t values (?, ?)", [(i, str(i)) for i in range(1000)])
    return c.execute("select count(*), sum(a), max(b) from t where a % 2").fetchone()
""", [500, 250000, "999"]),
    ("sqlite in a file", """
import sqlite3
def main():
    for mode in ("delete", "wal", "memory"):
        with sqlite3.connect(f"/tmp/{mode}.db") as c:
            c.execute(f"pragma journal_mode={mode}")
            c.execute("create table t (a int)")
            c.execute("insert into t values (1), (2)")
        c.close()
    return sqlite3.connect("/tmp/wal.db").execute("select sum(a) from t").fetchone()[0]
""", 3),
    ("asyncio", """
import asyncio
async def work(i):
    await asyncio.sleep(0.01)
    return i
async def all():
    r = await asyncio.gather(*map(work, range(5)))
    r.append(await asyncio.get_running_loop().run_in_executor(None, lambda: 42))
    try: await asyncio.wait_for(asyncio.sleep(5), 0.05)
    except asyncio.TimeoutError: r.append("timeout")
    q = asyncio.Queue(); await q.put(1)
    return r + [await q.get(), await asyncio.to_thread(sum, [1, 2])]
def main(): return asyncio.run(all())
""", [0, 1, 2, 3, 4, 42, "timeout", 1, 3]),
    ("threads", """
import queue, threading
def main():
    q, out = queue.Queue(), []
    def work():
        while (x := q.get()) is not None: out.append(x * 2)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads: t.start()
    for i in range(100): q.put(i)
    for t in threads: q.put(None)
    for t in threads: t.join()
    event = threading.Event(); threading.Timer(0.05, event.set).start()
    return [sum(out), event.wait(2), threading.get_native_id() > 0]
""", [9900, True, True]),
    ("executors", """
from concurrent.futures import ThreadPoolExecutor, as_completed
def main():
    with ThreadPoolExecutor(8) as pool:
        return [sum(pool.map(lambda x: x * x, range(100))), sorted(f.result() for f in as_completed([pool.submit(abs, -i) for i in range(4)]))]
""", [328350, [0, 1, 2, 3]]),
    ("compressors", """
import bz2, gzip, io, lzma, tarfile, zipfile, zlib
def main():
    b, z, t = b"abc" * 1000, io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(z, "w", zipfile.ZIP_DEFLATED) as f: f.writestr("a.txt", "hi")
    with tarfile.open(fileobj=t, mode="w:gz") as f: f.addfile(tarfile.TarInfo("x"))
    return [all(m.decompress(m.compress(b)) == b for m in (zlib, lzma, bz2, gzip)), zipfile.ZipFile(z).read("a.txt").decode(),
            tarfile.open(fileobj=io.BytesIO(t.getvalue())).getnames()]
""", [True, "hi", ["x"]]),
    ("numbers", """
import cmath, decimal, fractions, math, statistics
def main():
    decimal.getcontext().prec = 30
    return [str(decimal.Decimal(1) / 7), statistics.quantiles([1, 2, 3, 4, 5]), str(fractions.Fraction(3, 9)), math.comb(50, 25),
            abs(cmath.exp(1j * math.pi) + 1) < 1e-12, statistics.NormalDist().cdf(0)]
""", ["0.142857142857142857142857142857", [1.5, 3.0, 4.5], "1/3", 126410606437752, True, 0.5]),
    ("files", """
import glob, os, pathlib, shutil, tempfile
def main():
    d = tempfile.mkdtemp()
    p = pathlib.Path(d) / "a" / "b"
    p.mkdir(parents=True)
    (p / "f.txt").write_text("h\\u00e9llo", encoding="utf-8")
    shutil.copy2(p / "f.txt", pathlib.Path(d) / "g.txt")
    os.rename(d + "/g.txt", d + "/h.txt")
    with tempfile.NamedTemporaryFile("w+") as f: f.write("x" * 10); f.seek(0); n = len(f.read())
    with tempfile.TemporaryFile() as f: f.write(b"y")
    r = [sorted(os.path.basename(x) for x in glob.glob(d + "/*")), (p / "f.txt").stat().st_size, n, shutil.disk_usage("/tmp").total > 0]
    shutil.copytree(d, "/tmp/copy"); shutil.rmtree(d)
    return r + [os.path.exists(d), sorted(os.listdir("/tmp")), pathlib.Path.home().as_posix()]
""", [["a", "h.txt"], 6, 10, True, False, ["copy"], "/tmp"]),
    ("an importable file", """
import importlib, sys
def main():
    open("/tmp/mine.py", "w").write("value = 41")
    sys.path.insert(0, "/tmp")
    import mine
    return mine.value + 1
""", 42),
    ("mmap and file locks", """
import fcntl, mmap
def main():
    with open("/tmp/x", "w+b") as f:
        f.write(b"hello"); f.flush(); fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX)
        with mmap.mmap(f.fileno(), 0) as m: m[0:1] = b"J"
        f.seek(0); return f.read().decode()
""", "Jello"),
    ("inspect", """
import inspect
def helper(a, b=2):
    # a comment
    return a + b
def main():
    s = inspect.getsource(helper)
    return ["# a comment" in s, s.startswith("def helper"), str(inspect.signature(helper)), inspect.getsourcelines(helper)[1]]
""", [True, True, "(a, b=2)", 3]),
    ("tracebacks", """
import traceback
def f():
    x = 1
    return x / 0
def main():
    try: f()
    except ZeroDivisionError as e:
        t = traceback.extract_tb(e.__traceback__)[-1]
        return [t.lineno, t.name, t.line, "return x / 0" in traceback.format_exc()]
""", [5, "f", "return x / 0", True]),
    ("ctypes callbacks", """
import ctypes
def main():
    f = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda a, b: a[0] - b[0])
    a = (ctypes.c_int * 4)(3, 1, 4, 1)
    ctypes.CDLL(None).qsort(a, 4, 4, f)
    return list(a)
""", [1, 1, 3, 4]),
    ("signal handlers", """
import os, signal, time
def main():
    hits = []
    signal.signal(signal.SIGALRM, lambda *a: hits.append("alarm"))
    signal.signal(signal.SIGUSR1, lambda *a: hits.append("usr1"))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGUSR1); signal.raise_signal(signal.SIGUSR1)
    return hits
""", ["alarm", "usr1", "usr1"]),
    ("text formats", """
import ast, configparser, csv, html, io, json, struct, urllib.parse, xml.etree.ElementTree as ET, xml.dom.minidom
def main():
    c = configparser.ConfigParser(); c.read_string("[a]\\nb = 1")
    rows = list(csv.DictReader(io.StringIO("x,y\\n1,'2\\n")))
    return [json.loads('{"a": [1, 2.5, null]}'), rows, ET.fromstring("<r><a>1</a></r>").find("a").text, html.escape("<a>"),
            urllib.parse.quote("a b/\\u00e9"), ast.literal_eval("{1: (2, 3)}")[1][0], c["a"]["b"], struct.unpack("<I", b"\\1\\0\\0\\0")[0],
            xml.dom.minidom.parseString("<q/>").documentElement.tagName]
""", [{"a": [1, 2.5, None]}, [{"x": "1", "y": "'2"}], "1", "&lt;a&gt;", "a%20b/%C3%A9", 2, "1", 1, "q"]),
    ("classes", """
import abc, collections, contextlib, copy, dataclasses, enum, functools, itertools, operator, re, typing
@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0
    tags: list = dataclasses.field(default_factory=list)
class Colour(enum.Enum): RED = "r"
T = typing.TypeVar("T")
class Box(typing.Generic[T]): pass
@functools.lru_cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def main():
    match Point(1): 
        case Point(x=1): y = "matched"
    return [dataclasses.asdict(Point(1)), Colour("r").name, fib(80), typing.get_type_hints(Point)["x"] is int,
            list(itertools.accumulate([1, 2, 3], operator.mul)), re.sub(r"(\\w+) (\\w+)", r"\\2 \\1", "a b"), copy.deepcopy([[1]]), y]
""", [{"x": 1, "y": 0, "tags": []}, "RED", 23416728348467685, True, [1, 2, 6], "b a", [[1]], "matched"]),
    ("pickling one's own classes", """
import copy, pickle
class Mine:
    def __init__(self): self.x = [1]
def main(): return [pickle.loads(pickle.dumps(Mine())).x, pickle.loads(pickle.dumps({"a": {1, 2}}))["a"] == {1, 2}]
""", [[1], True]),
    ("imports that are never used", """
import concurrent.futures, ctypes, http.client, multiprocessing, multiprocessing.shared_memory, socket, ssl, subprocess, unittest, urllib.request
import curses, dbm, email, ftplib, imaplib, pdb, platform, pty, resource, select, selectors, smtplib, socketserver, tty, venv, webbrowser
def main(): return [multiprocessing.cpu_count() >= 1, platform.system(), platform.python_implementation()]
""", [True, "Linux", "CPython"]),
    ("unittest and logging", """
import io, logging, unittest
class Case(unittest.TestCase):
    def test_one(self): self.assertEqual(1, 1)
    def test_two(self): self.fail()
def main():
    out = io.StringIO()
    logging.basicConfig(stream=out, level=logging.INFO); logging.getLogger("x").info("hello %s", 1)
    result = unittest.TextTestRunner(io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(Case))
    return [result.testsRun, len(result.failures), out.getvalue()]
""", [2, 1, "INFO:x:hello 1\n"]),
    ("hashes and ids", """
import base64, hashlib, hmac, secrets, uuid, zlib
def main(): return [hashlib.sha256(b"").hexdigest()[:8], hashlib.md5(b"a").hexdigest()[:6], hashlib.blake2b(b"").hexdigest()[:4], hmac.new(b"k", b"m", "sha1").hexdigest()[:4],
                    uuid.uuid4().version, len(secrets.token_bytes(8)), zlib.crc32(b"x"), base64.b64encode(b"ab").decode(), len(hashlib.scrypt(b"p", salt=b"s", n=2, r=1, p=1))]
""", ["e3b0c442", "0cc175", "786a", "772b", 4, 8, 2363233923, "YWI=", 64]),
    ("clocks", """
import time
def main():
    a = time.monotonic(); time.sleep(0.05)
    return [0.04 < time.monotonic() - a < 2, time.time() > 1.7e9, time.perf_counter_ns() > 0, time.tzname[0], time.strftime("%Y", time.gmtime(0))]
""", [True, True, True, "UTC", "1970"]),
    ("collation and users", """
import getpass, grp, locale, os, pwd, socket, sys
def main(): return [pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name, os.path.expanduser("~"), sys.getfilesystemencoding(), len(os.uname()), os.cpu_count() > 0]
""", ["nobody", "nogroup", "/tmp", "utf-8", 5, True]),
    ("numpy", """
import numpy as np
def main():
    a = np.arange(360000, dtype=float).reshape(600, 600) % 7
    f = np.fft.fft(np.arange(8.0)); h, _ = np.histogram([1, 2, 2, 3], bins=3)
    m = np.array([[2.0, 1.0], [1.0, 3.0]])
    np.save("/tmp/a.npy", m)
    return [float((a @ a.T).trace()), round(float(abs(f[0])), 3), h.tolist(), str(np.datetime64("2024-02-28") + 2), np.allclose(np.linalg.inv(m) @ m, np.eye(2)),
            round(float(np.linalg.det(m)), 9), np.linalg.eigvalsh(m).shape[0], float(np.percentile(np.arange(101), 90)), np.load("/tmp/a.npy").tolist(),
            int(np.einsum("ij,ji", m, m)), np.random.default_rng(1).integers(10, size=3).shape[0], np.linalg.svd(m)[1].shape[0]]
""", [4679962.0, 28.0, [1, 2, 1], "2024-03-01", True, 5.0, 2, 90.0, [[2.0, 1.0], [1.0, 3.0]], 15, 3, 2]),
    ("pandas", """
import io, pandas as pd
def main():
    d = pd.DataFrame({"k": ["a", "b", "a", "c"], "v": [1, 2, 3, 4]})
    g = d.groupby("k")["v"].agg(["sum", "mean"])
    m = d.merge(pd.DataFrame({"k": ["a", "b"], "w": [10, 20]}), on="k", how="left")
    d.to_csv("/tmp/d.csv", index=False)
    r = pd.read_csv(io.StringIO("x,y\\n1,2\\n3,4"))
    return [g["sum"].to_dict(), [None if pd.isna(x) else int(x) for x in m["w"]], int(d.pivot_table(index="k", values="v", aggfunc="max").loc["a", "v"]),
            pd.read_csv("/tmp/d.csv").shape, int(r.y.sum()), pd.read_json(io.StringIO(d.to_json())).shape, int(d.v.rolling(2).sum().iloc[-1]),
            d.sort_values("v", ascending=False).k.tolist(), pd.concat([d, d]).drop_duplicates().shape[0], d.describe().shape[0], d.k.str.upper().tolist()]
""", [{"a": 4, "b": 2, "c": 4}, [10, 20, 10, None], 3, [4, 2], 6, [4, 2], 7, ["c", "a", "b", "a"], 4, 8, ["A", "B", "A", "C"]]),
    ("pandas query and eval", """
import numpy as np, pandas as pd
def main():
    d = pd.DataFrame({"a": np.arange(100000) % 13, "b": np.arange(100000.0)})
    return [len(d.query("a > 5 and b < 50000")), float(d["b"].quantile(0.5)), int(d.eval("a + 1").max()), str(d.dtypes["b"])]
""", [26922, 49999.5, 13, "float64"]),
    ("random", """
import random
def main():
    random.seed(7)
    return [random.randint(0, 1000), len(random.sample(range(100), 10)), random.choice(["x"]), 0 <= random.gauss(0, 1) ** 2]
""", [331, 10, "x", True]),
    ("subprocess is importable and fails as an ordinary error", """
import subprocess
def main():
    try: subprocess.run(["true"])
    except OSError as e: return type(e).__name__
""", "PermissionError"),
]


@pytest.mark.parametrize("script, result", [case[1:] for case in SCRIPTS], ids=[case[0] for case in SCRIPTS])
def test_it_just_works(service, script, result):
    answer = service.run(script)
    assert answer.status == 200, answer
    assert answer.json == {"result": result, "stdout": ""}


def test_a_main_thread_that_ends_before_its_daemons(service):
    script = "import threading\ndef work():\n    while True: pass\ndef main():\n    threading.Thread(target=work, daemon=True).start()\n    return 1"
    assert service.result(script) == 1


def test_breakpoints_and_help_do_not_hang(service):
    assert service.run("def main(): breakpoint()").seconds < 4
    assert service.run("def main(): help(len)").seconds < 4
