"""What `"details": true` adds: outcome, usage, limits, the other streams, and where an exception was."""
import pytest

COMMON = {"stdout", "stderr", "stdout_truncated", "stderr_truncated", "outcome", "usage", "limits"}
USAGE = {"wall_ms", "cpu_user_ms", "cpu_system_ms", "memory_peak_kb", "stdout_bytes", "stderr_bytes", "result_bytes"}
LIMITS = {
    "wall_ms": 5000, "cpu_ms": 5000, "memory_mb": 256, "stdout_kb": 1024, "stderr_kb": 64, "result_kb": 8192,
    "scratch_mb": 64,
}


def detailed(service, script):
    answer = service.run(script, details=True)
    body = answer.json
    assert COMMON <= set(body), body
    assert body["outcome"] == answer.outcome
    assert set(body["usage"]) == USAGE
    for name, value in body["usage"].items():
        assert type(value) in (int, float) and value >= 0, (name, value)
    return body


def test_without_details_nothing_is_added(service):
    for keys in ({}, {"details": False}):
        assert set(service.run("def main(): return 1", **keys).json) == {"result", "stdout"}
        assert set(service.run("def main(): return 1 / 0", **keys).json) == {"error"}
        assert set(service.run("x = 1", **keys).json) == {"error"}


def test_keys_of_a_good_run(service):
    body = detailed(service, "import sys\ndef main():\n    print('out'); print('err', file=sys.stderr)\n    return [1]")
    assert set(body) == COMMON | {"result"}
    assert (body["result"], body["stdout"], body["stderr"], body["outcome"]) == ([1], "out\n", "err\n", "ok")
    assert body["stdout_truncated"] is False and body["stderr_truncated"] is False
    assert body["limits"] == LIMITS
    usage = body["usage"]
    assert (usage["stdout_bytes"], usage["stderr_bytes"], usage["result_bytes"]) == (4, 4, 3)
    assert 0 < usage["wall_ms"] < 5000


PRINTS = "import os, sys\nprint('module')\nsys.stderr.write('warning')\n"


@pytest.mark.parametrize(
    "rest, outcome",
    [
        ("", "no_main"),
        ("def main():\n    print('main')\n    1 / 0", "exception"),
        ("def main():\n    print('main')\n    return {1}", "not_serializable"),
        ("def main():\n    print('main')\n    sys.exit(1)", "exited"),
        ("def main():\n    print('main')\n    os._exit(1)", "exited"),
        ("def main():\n    print('main')\n    os.abort()", "killed"),
        ("def main():\n    print('main')\n    import ctypes; ctypes.string_at(0)", "killed"),
        ("def main():\n    print('main')\n    raise MemoryError", "memory"),
    ],
)
def test_a_failed_run_has_its_output_too(service, rest, outcome):
    body = detailed(service, PRINTS + rest)
    assert set(body) - {"exception"} == COMMON | {"error"}
    assert body["outcome"] == outcome
    assert body["stdout"] == "module\n" + ("main\n" if "main" in rest else "")
    assert body["stderr"].startswith("warning")


def test_a_run_that_is_killed_at_its_deadline_has_its_output(start):
    one = start("--wall-ms=500")
    body = detailed(one, "import time\ndef main():\n    print('before')\n    time.sleep(9)")
    assert (body["outcome"], body["stdout"], body["error"]) == ("timeout", "before\n", "Execution failed")
    assert 450 <= body["usage"]["wall_ms"] < 3000 and body["limits"]["wall_ms"] == 500


# --- Usage ------------------------------------------------------------------------------------------


def test_cpu_time_is_counted(service):
    body = detailed(service, "import time\ndef main():\n    while time.process_time() < 0.6: pass")
    # process_time() has the preparation of the worker in it, which is not the script's.
    assert 250 < body["usage"]["cpu_user_ms"] + body["usage"]["cpu_system_ms"] < 1500
    assert body["usage"]["wall_ms"] > 250


def test_sleeping_costs_no_cpu(service):
    usage = detailed(service, "import time\ndef main(): time.sleep(0.4)")["usage"]
    assert usage["wall_ms"] >= 400 and usage["cpu_user_ms"] + usage["cpu_system_ms"] < 200


def test_memory_is_counted(service):
    small = detailed(service, "def main(): return 1")["usage"]["memory_peak_kb"]
    large = detailed(service, "def main(): return len(bytearray(b'x') * (100 << 20))")["usage"]["memory_peak_kb"]
    assert small < 20_000 and 80_000 < large < 250_000


def test_memory_that_is_only_reserved_does_not_count(service):
    script = "import numpy as np\ndef main(): return np.zeros(200 << 20, dtype=np.uint8).nbytes"
    assert detailed(service, script)["usage"]["memory_peak_kb"] < 50_000


def test_printed_bytes_are_counted_beyond_what_is_kept(service):
    body = detailed(service, "def main(): print('x' * (3 << 20))")
    assert body["usage"]["stdout_bytes"] == (3 << 20) + 1
    assert len(body["stdout"]) == 1 << 20
    assert body["stdout_truncated"] is True and body["stderr_truncated"] is False


# --- Exceptions -------------------------------------------------------------------------------------


PLACE = {"line", "column", "end_line", "end_column", "source_line"}


def exception(service, script):
    body = detailed(service, script)
    assert set(body) == COMMON | {"error", "exception"}
    found = body["exception"]
    assert set(found) == PLACE | {"type", "message", "hint", "notes", "chain", "exceptions", "frames", "traceback"}
    assert found["traceback"].endswith(body["error"] + "\n")
    for frame in found["frames"]:
        assert set(frame) == PLACE | {"function"}
    return found


def underlined(place):
    """What the columns enclose, of one line."""
    assert place["line"] == place["end_line"], place
    return place["source_line"][place["column"] - 1 : place["end_column"] - 1]


def test_where_an_exception_was(service):
    found = exception(service, "def helper(x):\n    return 1 / x\n\ndef main():\n    return helper(0)\n")
    assert found == {
        "type": "ZeroDivisionError",
        "message": "division by zero",
        "line": 2,
        "column": 12,
        "end_line": 2,
        "end_column": 17,
        "source_line": "    return 1 / x",
        "hint": None,
        "notes": [],
        "chain": [],
        "exceptions": [],
        "frames": [
            {"function": "main", "line": 5, "column": 12, "end_line": 5, "end_column": 21,
             "source_line": "    return helper(0)"},
            {"function": "helper", "line": 2, "column": 12, "end_line": 2, "end_column": 17,
             "source_line": "    return 1 / x"},
        ],
        "traceback": (
            "Traceback (most recent call last):\n"
            '  File "<string>", line 5, in main\n    return helper(0)\n'
            '  File "<string>", line 2, in helper\n    return 1 / x\n'
            "ZeroDivisionError: division by zero\n"
        ),
    }


def test_an_exception_at_module_level(service):
    found = exception(service, "x = 1\nraise ValueError('top')")
    assert (found["line"], found["source_line"]) == (2, "raise ValueError('top')")
    assert '  File "<string>", line 2, in <module>\n' in found["traceback"]


def test_only_the_scripts_own_frames(service):
    found = exception(service, "import json\ndef main():\n    return json.loads('x')")
    assert found["type"] == "json.decoder.JSONDecodeError"
    assert (found["line"], found["source_line"]) == (3, "    return json.loads('x')")
    assert found["traceback"].count("  File ") == 1
    for word in ("runner", "json/decoder.py", "/usr/lib", "/home"):
        assert word not in found["traceback"]


def test_a_pandas_exception_shows_the_scripts_line(service):
    found = exception(service, "import pandas as pd\ndef main():\n    frame = pd.DataFrame({'a': [1]})\n    return frame['b']")
    assert (found["type"], found["line"]) == ("KeyError", 4)
    assert found["traceback"].count("  File ") == 1


@pytest.mark.parametrize(
    "script, kind, line, column, source_line",
    [
        ("def main(:\n    return 1", "SyntaxError", 1, 10, "def main(:"),
        ("x = 1\nif x\n    pass", "SyntaxError", 2, 5, "if x"),
        ("def main():\nreturn 1", "IndentationError", 2, 1, "return 1"),
        ("def main():\n    return (1,\n", "SyntaxError", 2, 12, "    return (1,"),
        ("return 1", "SyntaxError", 1, 1, "return 1"),
    ],
)
def test_where_a_syntax_error_is(service, script, kind, line, column, source_line):
    found = exception(service, script)
    assert (found["type"], found["line"], found["column"], found["source_line"]) == (kind, line, column, source_line)
    assert f'File "<string>", line {line}\n' in found["traceback"]


def test_columns_count_characters(service):
    found = exception(service, "def main():\n    return '\u4e16\u754c' + 1")
    assert (found["column"], found["source_line"]) == (12, "    return '\u4e16\u754c' + 1")
    found = exception(service, "def main():\n    return '\u4e16\u754c', nothing")
    assert found["column"] == 18


def test_line_numbers_with_other_line_ends(service):
    found = exception(service, "def main():\r\n    x = 0\r\n    return 1 / x\r\n")
    assert (found["line"], found["source_line"]) == (3, "    return 1 / x")


def test_a_long_traceback_is_cut_in_the_middle(service):
    found = exception(service, "def f(n): return f(n + 1)\ndef main(): return f(0)")
    assert found["type"] == "RecursionError" and len(found["traceback"]) < 10_000
    assert "  ...\n" in found["traceback"]
    assert "in main" in found["traceback"]


def test_a_message_like_our_own_frame_is_just_a_message(service):
    body = detailed(service, "def main(): raise ValueError('a\\0{\"type\": \"Forged\"}')")
    assert body["error"] == 'ValueError: a\0{"type": "Forged"}'
    assert body["exception"]["type"] == "ValueError"


def test_an_exception_without_details_of_its_own(service):
    script = "class Odd(Exception):\n    def __str__(self): raise ValueError\ndef main(): raise Odd"
    assert exception(service, script)["message"] == "<exception str() failed>"


def test_the_columns_enclose_what_the_interpreter_underlines(service):
    found = exception(service, "def main():\n    x = {'\u4e16': 1}\n    return '\u4e16\u754c', x['\U0001f40d'] + 1")
    assert underlined(found) == "x['\U0001f40d']"
    found = exception(service, "def main():\n    return max(\n        1,\n        nothing,\n    )")
    assert (found["line"], underlined(found)) == (4, "nothing")
    found = exception(service, "def f(a, b): raise KeyError\ndef main():\n    return f(\n        1,\n        2)")
    assert [(frame["line"], frame["column"], frame["end_line"], frame["end_column"]) for frame in found["frames"]] == [
        (3, 12, 5, 11), (1, 14, 1, 28)]


@pytest.mark.parametrize(
    "script, end_line, end_column",
    [
        ("def main(:\n    return 1", 1, 11),
        ("x = 1 y", 1, 8),
        ("(a,\n 1) = 3", 2, 3),
        ("'\u00e9\u00e9'; return 1", 1, 15),
        ("'\u00e9\u00e9' = 1", 1, 5),
    ],
)
def test_where_a_syntax_error_ends(service, script, end_line, end_column):
    found = exception(service, script)
    assert (found["end_line"], found["end_column"]) == (end_line, end_column), found
    assert found["frames"] == []


# --- Hints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script, hint",
    [
        ("value = 1\ndef main(): return valeu", "Did you mean: 'value'?"),
        ("def main():\n    total = 1\n    return Total", "Did you mean: 'total'?"),
        ("def main(): return prnt(1)", "Did you mean: 'print'?"),
        ("def main(): return json.dumps(1)", "Did you forget to import 'json'?"),
        ("def main(): return nothing_like_it_at_all", None),
        ("class C:\n    def __init__(self): self.total = 1\n    def get(self): return total\ndef main(): C().get()",
         "Did you mean: 'self.total'?"),
        ("def main(): return [].appendd(1)", "Did you mean: 'append'?"),
        ("import math\ndef main(): return math.sqr(4)", "Did you mean: 'sqrt'?"),
        ("import pandas as pd\ndef main(): return pd.DataFrame().groupyb('a')", "Did you mean: 'groupby'?"),
        ("import numpy as np\ndef main(): return np.aranje(3)", "Did you mean: 'arange'?"),
        ("class C: pass\nc = C()\nc.colour = 1\ndef main(): return c.color", "Did you mean: 'colour'?"),
        ("class C:\n    def run(self): pass\ndef main(): return C.rum", "Did you mean: 'run'?"),
        ("from math import sqr", "Did you mean: 'sqrt'?"),
        ("from collections import OrderDict", "Did you mean: 'OrderedDict'?"),
        ("import no_such_module", None),
        ("x = [1 2]", "Perhaps you forgot a comma?"),
        ("if x = 3: pass", "Maybe you meant '==' or ':=' instead of '='?"),
        ("print 'x'", "Did you mean print(...)?"),
        ("def main(): return 1 / 0", None),
        ("def main(): return {}['k']", None),
    ],
)
def test_what_was_probably_meant(service, script, hint):
    assert exception(service, script)["hint"] == hint


# --- Chains, groups, notes --------------------------------------------------------------------------


def test_a_chain_of_exceptions(service):
    script = (
        "def main():\n    try:\n        try: 1 / 0\n        except ZeroDivisionError: {}['k']\n"
        "    except KeyError as error: raise ValueError('last') from error"
    )
    found = exception(service, script)
    assert found["line"] == 5
    assert found["chain"] == [
        {"type": "KeyError", "message": "'k'", "line": 4, "relation": "cause"},
        {"type": "ZeroDivisionError", "message": "division by zero", "line": 3, "relation": "context"},
    ]


def test_a_suppressed_context_is_not_told(service):
    script = "def main():\n    try: 1 / 0\n    except ZeroDivisionError: raise ValueError from None"
    assert exception(service, script)["chain"] == []


@pytest.mark.parametrize(
    "build",
    [
        "error = None\n    for i in range(10000):\n        new = ValueError(i)\n        new.__cause__ = error\n        error = new",
        "error, other = ValueError(1), KeyError(2)\n    error.__context__ = other\n    other.__context__ = error",
        "error = ValueError(1)\n    error.__cause__ = error",
    ],
)
def test_chains_have_an_end(service, build):
    found = exception(service, f"def main():\n    {build}\n    raise error")
    assert len(found["chain"]) <= 10
    if "range" in build:
        assert [link["message"] for link in found["chain"]] == [str(9998 - i) for i in range(10)]


def test_the_members_of_a_group(service):
    script = (
        "def bad(): return 1 / 0\ndef main():\n    try: bad()\n    except Exception as error: first = error\n"
        "    raise ExceptionGroup('all', [first, ExceptionGroup('inner', [KeyError('k')]), *map(ValueError, range(99))])"
    )
    found = exception(service, script)
    assert found["message"] == "all (101 sub-exceptions)"
    first, inner, *rest = found["exceptions"]
    assert first == {"type": "ZeroDivisionError", "message": "division by zero", "line": 1}
    assert inner["message"] == "inner (1 sub-exception)"
    assert inner["exceptions"] == [{"type": "KeyError", "message": "'k'", "line": None}]
    assert [member["message"] for member in rest] == [str(i) for i in range(17)]


def test_a_deep_group_ends(service):
    script = "def main():\n    g = KeyError(1)\n    for _ in range(10000): g = ExceptionGroup('g', [g])\n    raise g"
    found = exception(service, script)
    depth = 0
    while found.get("exceptions"):
        depth, found = depth + 1, found["exceptions"][0]
    assert depth == 3


def test_notes(service):
    script = "def main():\n    e = ValueError('x')\n    e.add_note('first')\n    e.add_note('n' * 10000)\n    raise e"
    first, long = exception(service, script)["notes"]
    assert first == "first" and 1000 < len(long) < 3000
    many = "def main():\n    e = ValueError('x')\n    for i in range(1000): e.add_note(str(i))\n    raise e"
    assert exception(service, many)["notes"] == [str(i) for i in range(10)]


@pytest.mark.parametrize("notes", ["5", "None", "[1, object(), 'x', Evil()]", "Evil()", "(x for x in iter(int, 1))"])
def test_notes_that_are_none(service, notes):
    script = f"class Evil(str):\n    def __str__(self): 1 / 0\ndef main():\n    e = ValueError()\n    e.__notes__ = {notes}\n    raise e"
    assert exception(service, script)["notes"] in ([], ["x"])


# --- Hostile exceptions -----------------------------------------------------------------------------

EVIL = """
import sys
def shout(*a, **k): sys.__stderr__.write('called '); raise RuntimeError
class Evil:
    __str__ = __repr__ = __eq__ = __hash__ = __len__ = __iter__ = __getattr__ = __format__ = __bool__ = __dir__ = shout
    __class__ = property(shout)
"""
QUIET = [
    "class E(Exception): __traceback__ = __cause__ = __context__ = __suppress_context__ = __notes__ = args = property(shout)\n"
    "def main(): raise E('text')",
    "class E(SyntaxError): lineno = offset = text = end_lineno = end_offset = filename = property(shout)\n"
    "def main(): raise E('text')",
    "class E(NameError): name = property(shout)\ndef main(): raise E('text')",
    "class E(AttributeError): name = obj = property(shout)\ndef main(): raise E('text')",
    "class E(AttributeError): pass\ndef main(): raise E('text', name='nothing', obj=Evil())",
    "class E(ImportError):\n    name = msg = path = property(shout)\n    __str__ = lambda self: 'text'\ndef main(): raise E('text')",
    "def main(): raise ValueError('text') from KeyError(Evil())",
    "def main(): raise ValueError('text') from OSError(1, Evil(), Evil())",
    "class E(Exception): __str__ = __repr__ = shout\ndef main(): raise ValueError('text') from E()",
    "class E(Exception):\n    __str__ = object.__str__\n    __repr__ = shout\ndef main(): raise ValueError('text') from E()",
    "def main():\n    e = ValueError('text')\n    e.__notes__ = [Evil(), Evil]\n    raise e",
    "class N(str): __len__ = __getitem__ = __str__ = __eq__ = __add__ = shout; __hash__ = str.__hash__\n"
    "def main():\n    e = ValueError('text')\n    e.__notes__ = [N('x')]\n    raise e",
    "class K:\n    __eq__ = shout\n    def __hash__(self): return hash('__notes__')\n"
    "def main():\n    e = ValueError('text')\n    e.__dict__[K()] = 1\n    raise e",
    "def main(): raise ExceptionGroup('text', [KeyError(Evil()), ValueError(1)])",
    "class M(type):\n    __getattribute__ = shout\nclass E(Exception, metaclass=M): pass\n"
    "def main(): raise ValueError('text') from BaseException.__new__(E)",
]


@pytest.mark.parametrize("script", QUIET)
def test_nothing_of_the_scripts_is_called_for_the_details(service, script):
    body = detailed(service, EVIL + script)
    assert body["outcome"] == "exception" and "text" in body["error"], body
    assert "called" not in body["stderr"]
    assert body["exception"]["message"].startswith("text") and body["exception"]["line"] is not None


def test_str_is_called_once(service):
    script = "class E(Exception):\n    def __str__(self): print('str'); return 'text'\ndef main(): raise E"
    for details in (False, True):
        answer = service.run(script, details=details)
        assert answer.error == "E: text"
    assert answer.stdout == "str\n"


@pytest.mark.parametrize(
    "message", ["'x' * 5_000_000", "'\\U0001f40d' * 1_000_000", "'\\0' * 1_000_000", "'\\ud800' * 1_000_000"])
def test_gigantic_messages_do_not_cost_the_details(start_small, message):
    script = f"def main():\n    m = {message}\n    e = ValueError(m)\n    for i in range(99): e.add_note(m)\n    raise e from KeyError(m)"
    answer = start_small.run(script, details=True)
    assert answer.outcome == "exception" and answer.error.startswith("ValueError: "), answer
    found = answer.json["exception"]
    assert found["type"] == "ValueError" and found["line"] == 5 and len(found["notes"]) == 10
    assert len(answer.body) < 3_000_000


@pytest.fixture(scope="module")
def start_small(program):
    """The smallest result is what makes the smallest frame."""
    from service import Service
    one = Service("--result-kb=1")
    yield one
    one.stop()


@pytest.mark.parametrize("tail", ["x = [1 2]", "f(", "return 1", "1 / 0", "nothing"])
@pytest.mark.parametrize("letter", ["x", "\u4e16"], ids=["ascii", "wide"])
def test_an_error_in_one_very_long_line(start_small, tail, letter):
    head = f"x = '{letter * (((1 << 20) - 30) // len(letter.encode()))}'; "
    answer = start_small.run(head + tail, details=True)
    assert answer.outcome == "exception", answer
    found = answer.json["exception"]
    assert found["line"] == 1 and len(found["source_line"]) <= 1001 and found["column"] > 300_000
    assert len(answer.body) < 100_000


def test_recursion_in_one_very_long_line(start_small):
    script = "def f(n): return (" + "n + 1, " * 20_000 + ") if n == 0 else f(n)\ndef main(): f(1)"
    answer = start_small.run(script, details=True)
    assert answer.json["exception"]["type"] == "RecursionError" and len(answer.json["exception"]["frames"]) <= 40


@pytest.mark.parametrize(
    "tampering",
    [
        "import sys; sys.excepthook = sys.unraisablehook = None",
        "import traceback; traceback.TracebackException = traceback.format_exc = traceback.walk_tb = None",
        "import linecache; linecache.cache = {}; linecache.getline = linecache.checkcache = lambda *a: 1/0",
        "import sys; sys.modules.clear()",
        "import itertools; itertools.islice = None",
        "import sys; sys.setrecursionlimit(10)",
        "import builtins; builtins.issubclass = builtins.type = builtins.len = builtins.str = builtins.compile = None",
        "import builtins; vars(builtins).clear()",
    ],
)
def test_tampering_changes_nothing_of_the_details(service, tampering):
    found = exception(service, f"def main():\n    value = 1\n    return valeu\n{tampering}")
    assert (found["type"], found["line"], underlined(found), found["hint"]) == (
        "NameError", 3, "valeu", "Did you mean: 'value'?")


@pytest.mark.parametrize(
    "made", ["exec('1\\n2\\n1/0')", "exec(compile('1/0', 'other.py', 'exec'))", "eval('1/0')", "exec('def f(): 1/0\\nf()')",
             "exec('x = = 1')", "eval('f(')"])
def test_code_that_the_script_made_is_not_the_scripts(service, made):
    found = exception(service, f"# one\n# two\n# three\ndef main():\n    {made}")
    assert found["line"] == 5 and underlined(found) == made
    assert [frame["function"] for frame in found["frames"]] == ["main"]
    assert found["traceback"].count("  File ") == 1


def test_the_methods_of_a_dataclass_are_not_the_scripts(service):
    script = (
        "import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int\n"
        "    def __post_init__(self): self.x / 0\ndef main(): return D(1)"
    )
    assert [frame["function"] for frame in exception(service, script)["frames"]] == ["main", "__post_init__"]


def test_a_traceback_that_the_script_made(service):
    script = (
        "import types\ndef main():\n    try: 1 / 0\n    except Exception as e:\n        t = e.__traceback__\n"
        "        for line, at in ((10**6, 2), (-5, 10**6), (3, -1), (0, 0)):\n"
        "            t = types.TracebackType(t, t.tb_frame, at, line)\n        raise e.with_traceback(t)"
    )
    assert exception(service, script)["type"] == "ZeroDivisionError"
