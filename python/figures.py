"""Figures: what matplotlib needs to be told at its import, and how figures that a script leaves open become PNG.

At its import matplotlib looks for settings, and makes a list of all fonts unless it finds one that it has kept. The
zygote has a child make that list beside its own imports; a worker whose script imports matplotlib then shows it
as if it had been kept. Where the zygote itself imports matplotlib there is no need for that. Both happen with the
machine's files in sight, maybe as root: with a folder of its own for what is written, nothing is looked for
where others may have put it, no program is run and no thread started.
"""

import glob
import importlib.machinery
import io
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

from files import CONTENTS_MAX

PLACES = ("/tmp", "/dev/shm", "/var/tmp", "/run")
FONTS = "/usr/share/fonts/"  # with matplotlib's own data all that a worker sees: src/zygote/main.c
LIST_MAX = 16 << 20  # bytes
LIST_MS = 20_000
NUMBER_MAX = 2**63

modules = sys.modules
find_module = importlib.machinery.PathFinder.find_spec
Memory = io.BytesIO
held = {}


# --- Before any script ------------------------------------------------------------------------------


def own_folder():
    """Made once; not by tempfile, which would remember the place for the workers."""
    for place in PLACES:
        if "folder" in held:
            break
        path = f"{place}/python-executor-import-{os.urandom(8).hex()}"
        try:
            os.mkdir(path, 0o700)
            held["folder"] = path
        except OSError:
            pass
    if "folder" not in held:
        raise ModuleNotFoundError("there is no place for what its import writes", name="matplotlib")
    return held["folder"]


def no_program(*_, **__):
    raise FileNotFoundError


class NoTimer:
    """Says nothing after five seconds: they are ours, not a script's."""

    def __init__(self, *_):
        self.start = self.cancel = lambda: None


@contextmanager
def apart():
    """Around matplotlib's own files in the zygote."""
    home, program, timer = os.environ["HOME"], subprocess.check_output, threading.Timer
    try:
        os.environ["HOME"] = os.environ["MPLCONFIGDIR"] = own_folder()
        os.chdir("/")  # a file matplotlibrc would be looked for where we were started
        subprocess.check_output, threading.Timer = no_program, NoTimer  # fc-list, "building the font cache"
        with headless():
            yield
    finally:
        os.environ["HOME"], subprocess.check_output, threading.Timer = home, program, timer
        os.environ.pop("MPLCONFIGDIR", None)


@contextmanager
def headless():
    """matplotlib would try all window systems in turn."""
    os.environ["MPLBACKEND"] = "agg"
    try:
        yield
    finally:
        os.environ.pop("MPLBACKEND", None)


class Loader:
    """Of a module whose import is to find things prepared; the module gets its true loader."""

    def __init__(self, spec, around):
        self.loader, self.around = spec.loader, around

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        with self.around():
            self.loader.exec_module(module)


class Finder:
    """First of sys.meta_path; the names are of modules, the values context managers."""

    def __init__(self, around):
        self.around = around

    def find_spec(self, name, path=None, target=None):
        around = self.around.get(name)
        spec = find_module(name, path, target) if around is not None else None
        if spec is not None and spec.loader is not None:
            spec.loader = Loader(spec, around)
        return spec


@contextmanager
def importing():
    """Around the imports of the zygote."""
    finder = Finder({"matplotlib": apart, "matplotlib.font_manager": apart})
    sys.meta_path.insert(0, finder)
    try:
        yield
        settle()
    finally:
        sys.meta_path.remove(finder)
        if "folder" in held:
            shutil.rmtree(held.pop("folder"), ignore_errors=True)


def is_in_sight(path, data):
    return os.path.realpath(path).startswith((FONTS, os.path.realpath(data) + "/"))


def settle():
    """matplotlib forgets its folder, and the fonts that workers do not have."""
    matplotlib, manager = modules.get("matplotlib"), modules.get("matplotlib.font_manager")
    if matplotlib is None:
        return
    for name in ("get_configdir", "get_cachedir"):
        function = getattr(matplotlib, name)
        setattr(matplotlib, name, getattr(function, "__wrapped__", function))
    if manager is None:
        return
    fonts, data = manager.fontManager, matplotlib.get_data_path()
    for name in ("ttflist", "afmlist"):
        setattr(fonts, name, [font for font in getattr(fonts, name) if is_in_sight(font.fname, data)])


def forget_fonts():
    """Opened ones cannot be used behind a fork; matplotlib would have every worker close them."""
    manager = modules.get("matplotlib.font_manager")
    if hasattr(manager, "_get_font"):
        manager._get_font.cache_clear()


# --- The list of fonts ------------------------------------------------------------------------------


def make_list():
    """In the child: the name of the file in which matplotlib keeps its list, a newline, and what is in it."""
    with importing():
        import matplotlib.font_manager as manager

        settle()
        (path,) = glob.glob(os.path.join(held["folder"], "fontlist-*.json"))
        manager.json_dump(manager.fontManager, path)
        with open(path, "rb") as file:
            return os.path.basename(path).encode() + b"\n" + file.read()


class FontList:
    """Being made by a child; not where there is no matplotlib. Nothing depends on it but time."""

    def __init__(self):
        self.child = None
        if find_module("matplotlib") is None:
            return
        self.end, end = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                os.dup2(end, 1)
                os.closerange(3, 1024)  # what the zygote has of the manager and the server
                left = memoryview(make_list())
                while left:
                    left = left[os.write(1, left) :]
            finally:
                os._exit(0)
        os.close(end)

    def take(self):
        """(name, text), or None."""
        if self.child is None:
            return None
        data, poll = bytearray(), select.poll()
        poll.register(self.end)
        while len(data) < LIST_MAX and poll.poll(LIST_MS):
            piece = os.read(self.end, 65536)
            if not piece:
                break
            data += piece
        os.close(self.end)
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        name, newline, text = bytes(data).partition(b"\n")
        return (name.decode(), text) if newline else None


@contextmanager
def kept_list():
    """Around matplotlib.font_manager, in a worker: it finds its list, of which nothing stays in /tmp."""
    name, text = held["fonts"]
    path = os.path.join(modules["matplotlib"].get_cachedir(), name)
    made = False
    try:
        with open(path, "xb") as file:
            made = True
            file.write(text)
    except OSError:
        pass  # then it makes one
    try:
        yield
    finally:
        if made:
            os.unlink(path)


def begin_list():
    held["making"] = FontList()


def keep_list():
    """Waits for it. For workers, where matplotlib is yet to be imported."""
    fonts = held.pop("making").take()
    if fonts is not None and "matplotlib.font_manager" not in modules:
        held["fonts"] = fonts
        sys.meta_path.insert(0, Finder({"matplotlib": headless, "matplotlib.font_manager": kept_list}))


def learn():
    """Takes hold of what draws, where it is imported."""
    if "matplotlib.pyplot" in modules:
        held["managers"] = modules["matplotlib._pylab_helpers"].Gcf
        held["save"] = modules["matplotlib.figure"].Figure.savefig


# --- Behind a script --------------------------------------------------------------------------------


def drawn(manager):
    """The bytes of a PNG, or None. Drawing runs what the script has put into the figure, which may raise anything."""
    try:
        memory = Memory()
        held["save"](manager.canvas.figure, memory, format="png")
        return memory.getbuffer()
    except BaseException:
        return None


def collect(outputs):
    """All that are open, by their numbers."""
    try:
        if "save" not in held:
            learn()
        managers = sorted(dict.items(held["managers"].figs)) if "save" in held else []
    except BaseException:
        outputs.cut = True
        return
    for number, manager in managers:
        if type(number) is not int or not -NUMBER_MAX < number < NUMBER_MAX:
            outputs.cut = True
            continue
        data = drawn(manager) if outputs.contents < CONTENTS_MAX and outputs.room > 0 else None
        if not outputs.add(f"figure-{number}.png", 0 if data is None else len(data), data, f', "figure": {number}'):
            break
