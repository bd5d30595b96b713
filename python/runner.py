"""What runs inside a worker around the script.

The zygote executes this file once, before any script exists, in a namespace with its own copy of the
builtins. Everything it needs later is bound to names here and now, so that a script that replaces
json.dumps, sys.stdout or builtins.len changes nothing but its own run. It is no boundary: the script
shares this process and may overwrite all of it. What the server believes is checked there.
"""

import _json
import builtins
import gc
import io
import json.decoder
import linecache
import math
import os
import random
import sys
import types

# How a run ended: enum frame_kind in src/wire/frame.h.
RESULT, NO_MAIN, EXCEPTION, MEMORY, NOT_SERIALIZABLE, OUTPUT_LIMIT, EXITED = range(2, 9)

FILENAME = "<string>"
MESSAGE_MAX = 65536  # characters of an exception's message that are passed on
FRAMES_MAX = 20  # of a traceback, at either end

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
StringIO = io.StringIO


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


# --- Exceptions -------------------------------------------------------------------------------------


def utf8(text):
    if len(text) > MESSAGE_MAX:
        text = text[:MESSAGE_MAX] + "…"
    return text.encode("utf-8", "backslashreplace")


def message_of(error):
    try:
        if isinstance(error, SyntaxError) and type(error).__str__ is SyntaxError.__str__:
            return str(error.msg)
        return str(error)
    except BaseException:
        return "<exception str() failed>"


def name_of(kind):
    name = type.__getattribute__(kind, "__qualname__")
    module = type.__getattribute__(kind, "__module__")
    return name if module in ("builtins", "__main__") else f"{module}.{name}"


def describe(error):
    """As the last line of a traceback."""
    text = message_of(error)
    return f"{name_of(type(error))}: {text}" if text else name_of(type(error))


def own_frames(error):
    """(code, line, instruction) of the script's frames, outermost first; the middle of a long list is
    left out."""
    first, last = [], []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            frame = (trace.tb_frame.f_code, trace.tb_lineno, trace.tb_lasti)
            if len(first) < FRAMES_MAX:
                first.append(frame)
            else:
                last.append(frame)
                if len(last) > FRAMES_MAX:
                    last[0] = None
                    del last[1]
        trace = trace.tb_next
    return first + last


def split_lines(source):
    return StringIO(source).readlines()


def source_line(source, line):
    lines = source.split("\n", line) if line is not None and line > 0 else []
    return lines[line - 1].rstrip("\r") if line is not None and len(lines) >= line > 0 else None


def column_of(code, instruction, text):
    """1-based, in characters. CPython counts bytes (code.co_positions, Python 3.11)."""
    for index, (_, _, column, _) in enumerate(code.co_positions()):
        if index == instruction // 2:
            if column is None or text is None:
                return None
            return len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore")) + 1
    return None


def place_of(error, frames, source):
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        text = error.text if isinstance(error.text, str) else None
        return error.lineno, error.offset, text.rstrip("\n") if text else source_line(source, error.lineno)
    if not frames:
        return None, None, None
    code, line, instruction = frames[-1]
    text = source_line(source, line)
    return line, column_of(code, instruction, text), text


def trace_text(frames, place, summary, source):
    lines = ["Traceback (most recent call last):"]
    for frame in frames:
        if frame is None:
            lines.append("  ...")
            continue
        code, line, _ = frame
        lines.append(f'  File "{FILENAME}", line {line}, in {code.co_name}')
        text = source_line(source, line)
        if text is not None and text.strip():
            lines.append("    " + text.strip())
    if not frames and place[0] is not None:
        lines.append(f'  File "{FILENAME}", line {place[0]}')
        if place[2]:
            lines.append("    " + place[2].strip())
    lines.append(summary)
    return "\n".join(lines) + "\n"


def details_of(error, summary, source):
    frames = own_frames(error)
    place = place_of(error, [frame for frame in frames if frame is not None], source)
    return {
        "type": name_of(type(error)),
        "message": message_of(error)[:MESSAGE_MAX],
        "line": place[0],
        "column": place[1],
        "source_line": place[2],
        "traceback": trace_text(frames, place, summary[:MESSAGE_MAX], source),
    }


def report(error, source, wants_details):
    kind = MEMORY if isinstance(error, MemoryError) else EXCEPTION
    try:
        summary = describe(error)
        details = b""
        if wants_details:
            details = encode(details_of(error, summary, source), sys.maxsize)
            details = details[1] if details[0] == RESULT else b""
        return kind, utf8(summary), details
    except BaseException:
        # An exception that cannot even be described, or no memory left to do it.
        return kind, b"MemoryError" if kind == MEMORY else b"Exception", b""


# --- What a request hands in ------------------------------------------------------------------------


def arguments_of(texts):
    """(args, kwargs) for main(), out of the JSON of input, args and kwargs, None for each that there is not.
    The server has checked it, also its depth; integers have as many digits as they like."""
    input, args, kwargs = texts
    texts.clear()  # they may be large, and are not needed again
    recursion, digits = get_recursion_limit(), get_digits_limit()
    try:
        set_recursion_limit(1200)
        set_digits_limit(0)
        if input is not None:
            return (scan_json(input, 0)[0],), {}
        return (
            () if args is None else scan_json(args, 0)[0],
            {} if kwargs is None else scan_json(kwargs, 0)[0],
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


def run(source, result_limit, wants_details, texts=None, seed=None, has_stdin=False):
    """Executes the script as one module, calls main(), and returns (kind, text, details)."""
    module = Module("__main__")
    modules["__main__"] = module
    namespace = module.__dict__
    namespace["__builtins__"] = builtins
    # Where inspect.getsource and tracebacks that the script prints look for its lines.
    line_cache[FILENAME] = (len(source), None, split_lines(source), FILENAME)
    try:
        args, kwargs = arguments_of(texts or [None, None, None])
        if has_stdin:
            open_stdin()
        if seed is not None:
            set_seed(seed)
        exec(compile(source, FILENAME, "exec", dont_inherit=True), namespace)
        main = namespace.get("main")
        if not callable(main):
            return NO_MAIN, b"", b""
        result = main(*args, **kwargs)
    except SystemExit:
        return EXITED, b"", b""
    except BaseException as error:
        return report(error, source, wants_details)
    finally:
        flush_replacements()
    return encode(result, result_limit)


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
    return [str(np.eye(2)), str(d), str(d.describe()), d.groupby("k").v.sum().to_dict()]
"""
REHEARSAL_ERROR = "def main(): return 1 / 0"


def preload(names):
    for name in names:
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
    limit = sys.getrecursionlimit()
    for script in scripts:
        run(script, 65536, True)
    set_recursion_limit(limit)
    modules.pop("__main__", None)
    line_cache.pop(FILENAME, None)


def prepare():
    """In the zygote, behind the imports. Everything that lives now lives for ever: the collector never touches, and so never copies, it."""
    rehearse(once=True)
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
