"""Figures: what matplotlib needs to be told at its import, and how figures that a script leaves open become PNG.

At its import matplotlib looks for settings and makes a list of all fonts, which takes longer than the rest. The zygote
of its flavour does both, maybe as root: with a folder of its own for what is written, nothing is looked for where others may
have put it, no program is run and no thread started.
"""

import importlib.machinery
import io
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

from files import CONTENTS_MAX

FONTS = "/usr/share/fonts/"  # with matplotlib's own data all that a worker sees: src/zygote/main.c
NUMBER_MAX = 2**63

modules = sys.modules
find_module = importlib.machinery.PathFinder.find_spec
Memory = io.BytesIO
held = {}


# --- Before any script ------------------------------------------------------------------------------


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
        os.environ["HOME"] = os.environ["MPLCONFIGDIR"] = held["folder"]
        os.environ["MPLBACKEND"] = "agg"  # it would try all window systems in turn
        os.chdir("/")  # a file matplotlibrc would be looked for where we were started
        subprocess.check_output, threading.Timer = no_program, NoTimer  # fc-list, "building the font cache"
        yield
    finally:
        os.environ["HOME"], subprocess.check_output, threading.Timer = home, program, timer
        for name in ("MPLCONFIGDIR", "MPLBACKEND"):
            os.environ.pop(name, None)


class Loader:
    """Of a module of matplotlib; it gets its true loader."""

    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        with apart():
            self.loader.exec_module(module)


class Finder:
    """First of sys.meta_path."""

    def find_spec(self, name, path=None, target=None):
        spec = find_module(name, path, target) if name in ("matplotlib", "matplotlib.font_manager") else None
        if spec is not None and spec.loader is not None:
            spec.loader = Loader(spec.loader)
        return spec


@contextmanager
def importing(folder):
    """Around the imports of the zygote, which may write to this folder."""
    held["folder"] = folder
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
        settle()
    finally:
        sys.meta_path.remove(finder)
        del held["folder"]


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
