"""The key figures: what a script has drawn with matplotlib comes back as PNG; and what matplotlib and scipy find in a worker."""
import base64
import os
import re
import struct
import subprocess
import tempfile

import pytest
from service import PROGRAM, ROOT, Service, needs_poverty, unsanitized, wait_until

pytest.importorskip("matplotlib")

PLOT = "import matplotlib.pyplot as plt\ndef main():\n    plt.plot([1, 3, 2])\n    return 1\n"


def size_of(data):
    """Width and height in pixels of a whole PNG."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", data[16:24])


def figures(answer):
    """Their numbers, and the sizes in pixels, None for one that is left out."""
    found = {}
    for one in answer.json["outputs"]:
        assert one["name"] == f"figure-{one['figure']}.png" and one["media_type"] == "image/png"
        data = base64.b64decode(one["base64"], validate=True) if "base64" in one else None
        assert data is None and one["truncated"] is True or len(data) == one["size"]
        found[one["figure"]] = None if data is None else size_of(data)
    assert ("outputs_truncated" in answer.json) is (None in found.values())
    return found


@pytest.fixture(scope="module", params=[(), ("--preload=matplotlib.pyplot",)], ids=["default", "alone"])
def each(request):
    """However matplotlib comes to be imported."""
    one = Service(*request.param)
    yield one
    one.stop()


def test_one(each):
    answer = each.run(PLOT, figures=True, details=True)
    assert figures(answer) == {1: (640, 480)}
    assert answer.result == 1 and answer.json["stderr"] == answer.stdout == ""
    assert set(answer.json["outputs"][0]) == {"name", "figure", "size", "media_type", "base64"}


def test_several_and_closed_ones(each):
    script = (
        "import matplotlib.pyplot as plt\nfor n, size in (7, (2, 1)), (2, (1, 1)), (3, (1, 1)):\n    plt.figure(n, figsize=size, dpi=100).add_subplot().bar([1], [2])\n"
        "plt.figure('name', figsize=(3, 1), dpi=50)\nplt.close(3)\ndef main(): pass"
    )
    assert list(figures(each.run(script, figures=True)).items()) == [(2, (100, 100)), (7, (200, 100)), (8, (150, 50))]


def test_none(each):
    for script in ("def main(): return 1", PLOT.replace("return 1", "plt.close('all'); return 1"), "import matplotlib\ndef main(): return 1"):
        assert each.run(script, figures=True).body == b'{"result": 1, "stdout": "", "outputs": []}'


def test_nothing_without_the_key(each):
    assert each.run(PLOT).body == each.run(PLOT, figures=False).body == b'{"result": 1, "stdout": ""}'


def test_with_files(each):
    script = PLOT.replace("return 1", "plt.savefig('b.png'); plt.savefig('a.svg'); return 1")
    answer = each.run(script, figures=True, outputs=["**"])
    assert [one["name"] for one in answer.json["outputs"]] == ["a.svg", "b.png", "figure-1.png"]
    assert ["figure" in one for one in answer.json["outputs"]] == [False, False, True]
    assert [one["name"] for one in each.run(script, outputs=["*.png"]).json["outputs"]] == ["b.png"]


def test_what_matplotlib_finds(each):
    """No window system, its fonts, nothing else in the environment or in /tmp than it leaves itself."""
    script = (
        "import os, sys, matplotlib.pyplot as plt, matplotlib.font_manager as fonts\ndef main():\n    plt.plot([1]); plt.show(); plt.savefig('a.png')\n"
        "    list = fonts.fontManager.ttflist\n"
        "    return [plt.get_backend().lower(), sorted(os.environ), [f.fname for f in list if not os.path.exists(f.fname)], len(list) > 20,\n"
        "            [n for n in sys.modules if 'tkinter' in n or 'PyQt' in n or 'gi.' in n], type(fonts.__spec__.loader).__name__, type(fonts.__loader__).__name__,\n"
        "            [n for _, _, names in os.walk('/tmp') for n in names], plt.matplotlib.get_cachedir().startswith('/tmp/'), fonts._load_fontmanager(try_read_cache=False) is not None]"
    )
    answer = each.run(script, details=True)
    assert answer.result == ["agg", ["HOME", "LANG", "PATH", "TMPDIR"], [], True, [], "SourceFileLoader", "SourceFileLoader", ["a.png"], True, True]
    assert answer.json["stderr"] == ""


def test_no_list_of_fonts_is_made_in_a_run(service):
    """The class that makes one asks fc-list and says so after five seconds."""
    script = (
        "import subprocess, threading\ndef refuse(*a, **k): raise SystemExit\nsubprocess.check_output = threading.Timer = refuse\n" + PLOT
    )
    assert figures(service.run(script, figures=True)) == {1: (640, 480)}


def test_one_run_does_not_change_the_next(each):
    each.run("import matplotlib.pyplot as plt\nplt.rcParams['figure.figsize'] = (1, 1)\nplt.style.use('dark_background')\ndef main(): plt.plot([1])", figures=True)
    assert figures(each.run(PLOT, figures=True)) == {1: (640, 480)}


def test_settings_are_kept_to(each):
    script = "import matplotlib.pyplot as plt\nplt.rcParams['savefig.dpi'] = 50\ndef main(): plt.figure(figsize=(2, 2)).text(0, 0, 'ü ∑ Ж é')"
    answer = each.run(script, figures=True, details=True)
    assert figures(answer) == {1: (100, 100)} and "missing" not in answer.json["stderr"]


def test_a_window_is_refused(each):
    answer = each.run("import matplotlib.pyplot as plt\nplt.switch_backend('gtk4agg')\ndef main(): pass", figures=True)
    assert (answer.status, answer.outcome) == (400, "exception") and answer.error.startswith("ImportError")


def test_of_runs_that_failed(each):
    for end, outcome in ("1 / 0", "exception"), ("return {1}", "not_serializable"), ("raise MemoryError", "memory"):
        answer = each.run(PLOT.replace("return 1", end), figures=True)
        assert (answer.status, answer.outcome) == (400, outcome) and figures(answer) == {1: (640, 480)}
    assert figures(each.run("import matplotlib.pyplot as plt\nplt.figure()", figures=True)) == {1: (640, 480)}
    for script in ("def", "import nosuch"):
        assert each.run(script, figures=True).json["outputs"] == []
    assert each.run("import sys\nsys.exit()", figures=True).body == b'{"error": "Execution failed"}'


@pytest.mark.parametrize("error", ["ValueError", "SystemExit", "KeyboardInterrupt", "MemoryError", "BaseException", "RecursionError"])
def test_a_figure_that_cannot_be_drawn(each, error):
    script = (
        "import matplotlib.pyplot as plt\nfrom matplotlib.artist import Artist\nclass Bad(Artist):\n"
        f"    def draw(self, renderer): raise {error}\nplt.figure(figsize=(1, 1))\nplt.figure().add_artist(Bad())\nplt.figure(figsize=(1, 1))\ndef main(): return 1"
    )
    answer = each.run(script, figures=True)
    assert answer.result == 1 and figures(answer) == {1: (100, 100), 2: None, 3: (100, 100)}
    assert answer.json["outputs"][1]["size"] == 0


def test_a_script_that_breaks_what_draws(each):
    script = "import matplotlib.pyplot as plt\nfrom matplotlib._pylab_helpers import Gcf\nplt.figure()\n%s\ndef main(): return 1"
    for line in ("Gcf.figs = None", "Gcf.figs[2] = None", "Gcf.figs['x'] = 1", "Gcf.figs = {10**5000: 1}", "plt.Figure.savefig = None", "import sys; sys.modules.clear()"):
        answer = each.run(script % line, figures=True)
        assert answer.status in (200, 500), answer
        if answer.status == 200:
            assert isinstance(answer.json["outputs"], list)
    each.assert_well()


def test_drawing_is_part_of_the_run(each):
    script = (
        "import time, matplotlib.pyplot as plt\nfrom matplotlib.artist import Artist\nclass Slow(Artist):\n"
        "    def draw(self, renderer): time.sleep(60)\nplt.figure().add_artist(Slow())\ndef main(): return 1"
    )
    assert each.run(script, figures=True, limits={"wall_ms": 1500}).outcome == "timeout"
    each.assert_well()


@unsanitized
def test_huge_ones(each):
    for dpi in (6000, 10**7):
        answer = each.run(f"import matplotlib.pyplot as plt\nplt.figure(dpi={dpi}).add_subplot()\ndef main(): return 1", figures=True)
        if answer.status == 200:
            assert figures(answer) == {1: None}
        else:
            assert answer.outcome in ("memory", "timeout"), answer
    each.assert_well()


def test_a_thousand(start):
    one = start("--wall-ms=60000", "--cpu-ms=60000", "--memory-mb=1024")
    answer = one.run(
        "import matplotlib.pyplot as plt\ndef main():\n    for _ in range(1000): plt.figure(figsize=(0.1, 0.1))", figures=True, timeout=90)
    found = figures(answer)
    assert list(found) == list(range(1, 1001)) and [number for number in found if found[number]] == list(range(1, 101))


def test_what_fits(start):
    one = start("--outputs-kb=8")
    script = (
        "import matplotlib.pyplot as plt\nfor n in 1, 2: plt.figure(figsize=(1, 1))\nplt.figure().add_subplot().plot([1, 3, 2])\nplt.figure(figsize=(1, 1))\n"
        "def main(): open('f', 'w').write('x' * 4000)"
    )
    answer = one.run(script, figures=True)
    assert figures(answer) == {1: (100, 100), 2: (100, 100), 3: None, 4: (100, 100)} and answer.json["outputs"][2]["size"] > 8192
    answer = one.run(script.replace("4000", "8192"), figures=True, outputs=["f"])
    assert ["base64" in found for found in answer.json["outputs"]] == [True, False, False, False, False]


@pytest.mark.parametrize("value", ["null", "1", "0", '"true"', "[]", "{}"])
def test_the_key_is_true_or_false(service, value):
    answer = service.post(b'{"script": "def main(): pass", "figures": %s}' % value.encode())
    assert answer.status == 400 and answer.error == "Invalid input: 'figures' must be true or false."


def test_forged_figures(service):
    forge = "import os, struct\np = {!r}\nos.write(3, struct.pack('II', 2, len(p)) + p)\nos._exit(0)\ndef main(): pass"
    assert service.run(forge.format(b'1\0=[{"figure": 1}]'), figures=True).body == b'{"result": 1, "stdout": "", "outputs": [{"figure": 1}]}'
    for payload in (b"1", b"1\0={}", b"1\0=[[[]]]", b"1\0=[NaN]"):
        assert service.run(forge.format(payload), figures=True).status == 500


def test_scipy(service):
    pytest.importorskip("scipy")
    script = (
        "import numpy as np\nfrom scipy import integrate, interpolate, linalg, optimize, signal, sparse, stats\ndef main():\n"
        "    return [round(float(stats.norm.cdf(1.96)), 3), linalg.det(np.eye(3)), round(optimize.brentq(lambda x: x * x - 2, 0, 2), 6),\n"
        "            round(integrate.quad(lambda x: x, 0, 1)[0], 6), int(sparse.eye(4).sum()), len(signal.firwin(5, 0.5)), float(interpolate.interp1d([0, 1], [0, 2])(0.5))]"
    )
    assert service.result(script) == [0.975, 1.0, 1.414214, 0.5, 4, 5, 1.0]


# --- The zygote's side ------------------------------------------------------------------------------


def test_what_is_not_preloaded_is_imported(start):
    assert figures(start("--preload=numpy").run(PLOT, figures=True)) == {1: (640, 480)}


def test_nothing_is_left_on_the_host(start):
    before = set(os.listdir("/tmp"))
    one = start(environment={"DISPLAY": ":0"})
    assert figures(one.run(PLOT, figures=True)) == {1: (640, 480)}
    one.every_zygote()
    assert [name for name in set(os.listdir("/tmp")) - before if "matplotlib" in name or "fontlist" in name] == []
    assert not os.path.exists("/tmp/.config/matplotlib") and "font" not in one.log


WATCHED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import figures
seen = []
def watch(event, args):
    if event in ("subprocess.Popen", "_thread.start_new_thread", "os.exec", "os.fork", "os.posix_spawn"):
        seen.append(event)
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR) and not str(args[0]).startswith("%s"):
        seen.append(args[0])
sys.addaudithook(watch)
%s
print(seen)
"""


def test_what_making_the_list_does():
    """No program, no thread, nothing written but in its own folder; matplotlib by itself does all three."""

    def watched(code, folder):
        return subprocess.run(["/usr/bin/python3", "-B", "-c", WATCHED % (lent, code), os.path.join(ROOT, "python")], stdout=subprocess.PIPE, text=True, check=True,
                              env={"HOME": folder, "PATH": "/usr/bin:/bin"}, cwd=folder, timeout=60).stdout

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as lent:
        with open(os.path.join(folder, "matplotlibrc"), "w") as file:
            file.write("backend: nonsense\n")
        code = f"with figures.importing({lent!r}):\n    import matplotlib.font_manager\nassert os.environ['HOME'] == {folder!r}"
        assert watched(code, folder) == "[]\n"
        os.unlink(os.path.join(folder, "matplotlibrc"))
        plain = watched("import matplotlib.font_manager", folder)
        assert "subprocess.Popen" in plain and "fontlist" in plain


def test_names_that_may_be_missing(start):
    one = start("--preload=nosuch?,json,nosuch.below?,numpy?")
    assert one.result("import sys\ndef main(): return ['numpy' in sys.modules, 'nosuch' in sys.modules]") == [True, False]
    for name in ("nosuch", "json.nosuch", "nosuch?,nosuch"):
        failed = subprocess.run([PROGRAM, "--port=0", f"--preload={name}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert failed.returncode != 0 and re.search("No module named '" + name.split(",")[-1], failed.stdout), failed.stdout


@needs_poverty
def test_where_no_namespaces_are_granted():
    one = Service(poor=True)
    try:
        test_one(one)
        test_with_files(one)
        test_what_matplotlib_finds(one)
        one.assert_well()
    finally:
        one.stop()
