"""What runs inside a worker around the script.

The zygote executes this file once, before any script exists, in a namespace with its own copy of the
builtins. Everything it needs later is bound to names here and now, so that a script that replaces
json.dumps, sys.stdout or builtins.len changes nothing but its own run. It is no boundary: the script
shares this process and may overwrite all of it. What the server believes is checked there.
"""

import _json
import builtins
import gc
import importlib.util
import io
import json.decoder
import linecache
import math
import os
import random
import sys
import types

import convert
import figures
import files
import order
from report import FILENAME, describe, report, utf8

# How a run ended: enum frame_kind in src/wire/frame.h.
RESULT, NO_MAIN, EXCEPTION, MEMORY, NOT_SERIALIZABLE, OUTPUT_LIMIT, EXITED = range(2, 9)

modules = sys.modules
line_cache = linecache.cache
get_recursion_limit = sys.getrecursionlimit
set_recursion_limit = sys.setrecursionlimit
get_digits_limit = sys.get_int_max_str_digits
set_digits_limit = sys.set_int_max_str_digits
make_encoder = _json.make_encoder
escape = _json.encode_basestring_ascii
isfinite = math.isfinite
scan_json = json.decoder.JSONDecoder().scan_once
seed_random = random.seed
Module = types.ModuleType
kept = []  # a result; to free it may take long, or run the script's code, before the answer is out
StringIO = io.StringIO
find_module = importlib.util.find_spec


# --- Standard streams -------------------------------------------------------------------------------


class Unbuffered(io.BufferedWriter):
    """Hands every write on at once, so that print, os.write and C code appear in their true order, and
    what was printed before a crash is not lost. Unlike a raw FileIO it never writes a part only."""

    def write(self, data, _write=io.BufferedWriter.write, _flush=io.BufferedWriter.flush):
        size = _write(self, data)
        _flush(self)
        return size


def open_streams():
    for name, fd, errors in (("stdout", 1, "surrogateescape"), ("stderr", 2, "backslashreplace")):
        stream = io.TextIOWrapper(
            Unbuffered(io.FileIO(fd, "w", closefd=False)),
            encoding="utf-8",
            errors=errors,
            newline="\n",
            write_through=True,
        )
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


class Ordered(Unbuffered):
    """The same for a streamed run: see order.py."""

    def write(self, data, _write=Unbuffered.write):
        self.other.wait()
        return _write(self, data)


def open_stdin():
    """Where a request has one. What the interpreter opened at its start took it for a file."""
    stream = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8", errors="surrogateescape"
    )
    stream.mode = "r"
    sys.stdin = sys.__stdin__ = stream


# --- Results ----------------------------------------------------------------------------------------

HINTS = {
    "ndarray": "use .tolist()",
    "DataFrame": "use .to_dict(orient='records')",
    "Series": "use .to_dict() or .tolist()",
    "Index": "use .tolist()",
    "Timestamp": "use .isoformat()",
    "datetime": "use .isoformat()",
    "date": "use .isoformat()",
    "time": "use .isoformat()",
    "Decimal": "use str() or float()",
    "Fraction": "use str() or float()",
    "set": "use list()",
    "frozenset": "use list()",
    "bytes": "use .decode() or base64",
    "bytearray": "use .decode() or base64",
    "complex": "JSON has no complex numbers",
    "coroutine": "main() must not be async; use asyncio.run()",
    "generator": "use list()",
}


class NotJson(Exception):
    """The encoder met a value that JSON has no word for."""


def refuse(value):
    raise NotJson


def hint_for(value):
    kind = type(value)
    if kind.__module__ == "numpy" and hasattr(value, "item") and kind.__name__ != "ndarray":
        return "use .item()"
    return HINTS.get(kind.__name__, "convert it to a JSON type")


def complaint(value, path):
    """Why this one value is not JSON, or None. Containers are looked into by the caller."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        if isfinite(value):
            return None
        return f"{value!r} at {path} (JSON has no NaN or Infinity; use None)"
    if isinstance(value, (list, tuple, dict)):
        return None
    return f"{type(value).__name__} at {path} ({hint_for(value)})"


def items_of(value, path):
    if isinstance(value, dict):
        for key, item in value.items():
            if key is not None and not isinstance(key, (str, int, float, bool)):
                raise NotJson(f"key of type {type(key).__name__} in {path} (keys must be strings)")
            yield item, f"{path}[{key!r:.80}]"
    else:
        for index, item in enumerate(value):
            yield item, f"{path}[{index}]"


def find_complaint(result):
    """Walks the result in order without recursion; names the first value that is not JSON."""
    stack = [(iter([(result, "result")]), None)]
    open_ids = set()
    while stack:
        pairs, container = stack[-1]
        for value, path in pairs:
            why = complaint(value, path)
            if why is not None:
                return why
            if isinstance(value, (list, tuple, dict)):
                if id(value) in open_ids:
                    return f"circular reference at {path}"
                open_ids.add(id(value))
                stack.append((items_of(value, path), value))
                break
        else:
            stack.pop()
            open_ids.discard(id(container))
    return None


def encode(result, limit):
    try:
        # Both the encoder and its limit of recursion are C; the script's own limit is not trusted.
        set_recursion_limit(1200)
        chunks = make_encoder({}, refuse, escape, None, ": ", ", ", False, False, False)(result, 0)
        text = "".join(chunks).encode("ascii")
    except MemoryError:
        return MEMORY, b"MemoryError", b""
    except RecursionError:
        return OUTPUT_LIMIT, b"Result is nested too deeply.", b""
    except BaseException as error:
        return NOT_SERIALIZABLE, why_not(result, error), b""
    if len(text) > limit:
        return OUTPUT_LIMIT, b"Result is too large: %d bytes of JSON, the limit is %d." % (len(text), limit), b""
    return RESULT, text, b""


def encode_converted(result, limit):
    try:
        set_recursion_limit(1200)
        result = convert.convert(result, limit)
    except MemoryError:
        return MEMORY, b"MemoryError", b""
    except RecursionError:
        return OUTPUT_LIMIT, b"Result is nested too deeply.", b""
    except convert.TooLarge:
        return OUTPUT_LIMIT, b"Result is too large: more than %d bytes of JSON, the limit." % limit, b""
    except convert.NotConverted as found:
        return NOT_SERIALIZABLE, why_not_converted(*found.args), b""
    except BaseException as error:
        return NOT_SERIALIZABLE, utf8("Result is not JSON-serializable: " + describe(error)), b""
    return encode(result, limit)


def why_not_converted(before, behind, path):
    if before is None:
        before, behind = f"{type(behind).__name__} at", f" ({hint_for(behind)})"
    return utf8(f"Result is not JSON-serializable: {before} {path}{behind}")


def why_not(result, error):
    try:
        why = find_complaint(result)
    except NotJson as found:
        why = found.args[0]
    except BaseException:
        why = None
    if why is None:
        why = describe(error)
    return utf8("Result is not JSON-serializable: " + why)


# --- A run ------------------------------------------------------------------------------------------


def split_lines(source):
    return StringIO(source).readlines()


# --- What a request hands in ------------------------------------------------------------------------


def arguments_of(texts):
    """(args, kwargs) for main(), out of the JSON of input, args and kwargs, and (files, patterns), None for each
    that there is not. The server has checked it, also its depth; integers have as many digits as they like."""
    input, args, kwargs, placed, patterns = texts
    texts.clear()  # they may be large, and are not needed again
    recursion, digits = get_recursion_limit(), get_digits_limit()
    try:
        set_recursion_limit(1200)
        set_digits_limit(0)
        more = [None if text is None else scan_json(text, 0)[0] for text in (placed, patterns)]
        if input is not None:
            return (scan_json(input, 0)[0],), {}, *more
        return (
            () if args is None else scan_json(args, 0)[0],
            {} if kwargs is None else scan_json(kwargs, 0)[0],
            *more,
        )
    finally:
        set_recursion_limit(recursion)
        set_digits_limit(digits)


def set_seed(seed):
    """The global generators; numpy's takes 32 bits."""
    seed_random(seed)
    numpy_random = modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(seed % 2**32)


# --- A run ------------------------------------------------------------------------------------------


def run(source, result_limit, wants_details, converts=False, texts=None, seed=None, has_stdin=False, outputs_limit=0,
        wants_figures=False, streams=False):
    """Executes the script, and returns (kind, text, details, outputs)."""
    texts = texts or [None] * 5
    if streams:
        order.keep(Ordered)
    wants_files = texts[4] is not None
    patterns = []
    answer = run_script(source, result_limit, wants_details, converts, texts, seed, has_stdin, patterns)
    if not wants_files and not wants_figures:
        return *answer, b""
    return *answer, outputs_of(patterns, wants_files, wants_figures, outputs_limit)


def outputs_of(patterns, wants_files, wants_figures, limit):
    """Whenever the script came to an end of its own."""
    try:
        set_recursion_limit(1200)
        outputs = files.Outputs(limit)
        if wants_files:
            files.collect(patterns[0], outputs)
        if wants_figures:
            figures.collect(outputs)
        return outputs.json()
    except BaseException:
        return files.NOTHING  # broken by the script, no memory left, no descriptor left


def run_script(source, result_limit, wants_details, converts, texts, seed, has_stdin, patterns):
    """Executes the script as one module, calls main(), and returns (kind, text, details). patterns is filled."""
    module = Module("__main__")
    modules["__main__"] = module
    namespace = module.__dict__
    namespace["__builtins__"] = builtins
    # Where inspect.getsource and tracebacks that the script prints look for its lines.
    line_cache[FILENAME] = (len(source), None, split_lines(source), FILENAME)
    code = None
    try:
        args, kwargs, placed, globs = arguments_of(texts)
        if globs is not None:
            patterns.append(files.Patterns(globs))
        if placed is not None:
            files.place(placed)
        if has_stdin:
            open_stdin()
        if seed is not None:
            set_seed(seed)
        code = compile(source, FILENAME, "exec", dont_inherit=True)
        exec(code, namespace)
        main = namespace.get("main")
        if not callable(main):
            return NO_MAIN, b"", b""
        result = main(*args, **kwargs)
    except SystemExit:
        return EXITED, b"", b""
    except BaseException as error:
        set_recursion_limit(1200)  # the script may have left less than the report takes
        kind = MEMORY if issubclass(type(error), MemoryError) else EXCEPTION
        return kind, *report(error, source, code, wants_details)
    finally:
        flush_replacements()
    kept.append(result)
    return encode_converted(result, result_limit) if converts else encode(result, result_limit)


def flush_replacements():
    """A script may have put buffered streams of its own in place; Python flushes them at its end."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except BaseException:
            pass


# --- Before the first script ------------------------------------------------------------------------

REHEARSAL = """
import sys
class Thing:
    def __init__(self, n): self.n = n
def helper(x, *args, **kwargs): return [i * x for i in range(3)]
def main():
    print("rehearsal", 1.5, helper(2))
    try: {}["k"]
    except KeyError as error: str(error)
    return {"a": [1, 2.5, "x", None, True], "n": Thing(1).n, "t": (1, 2)}
"""
REHEARSAL_NUMPY = """
import numpy as np
def main():
    return {"sum": int(np.arange(10).sum()), "mean": float(np.mean([1, 2, 3])), "l": np.eye(2).tolist()}
"""
REHEARSAL_PANDAS = """
import pandas as pd
def main():
    return int(pd.DataFrame({"a": [1, 2, 3]}).a.sum())
"""
# Too dear for every worker; done once in the zygote, which finishes lazy imports.
REHEARSAL_ONCE = """
import numpy as np
import pandas as pd
def main():
    d = pd.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, 3]})
    return [str(np.eye(2)), str(d), str(d.describe()), d.groupby("k").v.sum(), d, np.eye(2)]
"""
REHEARSAL_ERROR = "def main(): return 1 / 0"


# The same for what draws; scripts that do not draw shall not wait for it.
REHEARSAL_FIGURE = """
import io
import matplotlib.pyplot as plt
def main():
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3], [1.5, 2.5, 2], label="a")
    axes.bar([1, 2], [1, 2])
    axes.set_title("$x^2$")
    axes.legend()
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)
"""


def is_installed(name):
    """As far as that can be seen without importing anything."""
    return find_module(name.rstrip("?").partition(".")[0]) is not None


def wants(names):
    """Whether preload() would import any of them, or fail."""
    return any(not name.endswith("?") or is_installed(name) for name in names)


def preload(names, folder):
    """A name that ends in ? is left out where there is no such package."""
    with figures.importing(folder):
        for name in names:
            try:
                __import__(name.removesuffix("?"))
            except ModuleNotFoundError as error:
                if not name.endswith("?") or not f"{name[:-1]}.".startswith(f"{error.name}."):
                    raise
        # numpy 2 imports them when they are first used: too late for the seed, and each run would pay for it.
        if "numpy" in modules:
            for name in ("numpy.random", "numpy.linalg", "numpy.fft"):
                __import__(name)


def rehearse(once=False):
    """Runs small scripts through the whole path, so that lazy imports and first touches of memory are
    paid for before a job comes. Leaves nothing behind that a script could tell from a fresh start."""
    scripts = [REHEARSAL]
    if "numpy" in modules:
        scripts.append(REHEARSAL_NUMPY)
    if "pandas" in modules:
        scripts.append(REHEARSAL_PANDAS)
    if once:
        scripts.append(REHEARSAL_ERROR)
    if once and "pandas" in modules:
        scripts.append(REHEARSAL_ONCE)
    if once and "matplotlib.pyplot" in modules:
        scripts.append(REHEARSAL_FIGURE)
    limit = sys.getrecursionlimit()
    for script in scripts:
        run(script, 65536, True, once)
    set_recursion_limit(limit)
    kept.clear()
    modules.pop("__main__", None)
    line_cache.pop(FILENAME, None)


def prepare():
    """In the zygote, behind its imports. Everything that lives now lives for ever: the collector never touches, and so never copies, it."""
    forget_environment()
    rehearse(once=True)
    convert.learn()
    figures.learn()
    figures.forget_fonts()
    forget_machine()
    gc.collect()
    gc.freeze()


def reseed():
    """After a fork. Python's own generator is reseeded by os.register_at_fork; numpy's global one is not."""
    random = modules.get("numpy.random")
    if random is not None:
        random.seed()


def forget_environment():
    """What src/zygote/main.c set for the libraries' sake is no business of a script's."""
    for name in list(os.environ):
        if name not in ("HOME", "LANG", "PATH", "TMPDIR"):
            del os.environ[name]


def forget_machine():
    """Some import has asked platform for the host's name, which it keeps; the workers have another."""
    platform = modules.get("platform")
    if platform is not None:
        platform._uname_cache = None
        platform._platform_cache.clear()


open_streams()
