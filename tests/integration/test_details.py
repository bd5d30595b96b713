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


def exception(service, script):
    body = detailed(service, script)
    assert set(body) == COMMON | {"error", "exception"}
    assert set(body["exception"]) == {"type", "message", "line", "column", "source_line", "traceback"}
    assert body["exception"]["traceback"].endswith(body["error"] + "\n")
    return body["exception"]


def test_where_an_exception_was(service):
    found = exception(service, "def helper(x):\n    return 1 / x\n\ndef main():\n    return helper(0)\n")
    assert found == {
        "type": "ZeroDivisionError",
        "message": "division by zero",
        "line": 2,
        "column": 12,
        "source_line": "    return 1 / x",
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
