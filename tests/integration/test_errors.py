"""Scripts that raise, exit, crash or are killed."""
import pytest


@pytest.mark.parametrize(
    "script, error",
    [
        ("def main(): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def main(): return undefined_thing", "NameError: name 'undefined_thing' is not defined"),
        ("def main(): raise Exception()", "Exception"),
        ("def main(): raise KeyError('k')", "KeyError: 'k'"),
        ("def main(): raise ValueError('')", "ValueError"),
        ("def main(): raise ValueError('two\\nlines')", "ValueError: two\nlines"),
        ("def main(): raise ValueError('h\\u00e9llo \\U0001f40d')", "ValueError: h\u00e9llo \U0001f40d"),
        ("def main(): raise ValueError('a\\0b')", "ValueError: a\0b"),
        ("def main(): raise ValueError(1, 'two')", "ValueError: (1, 'two')"),
        ("def main(): raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def main(): raise BaseException('base')", "BaseException: base"),
        ("def main(): assert 1 > 2, 'no'", "AssertionError: no"),
        ("def main(): open('/nowhere')", "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'"),
        ("import no_such_module_xyz", "ModuleNotFoundError: No module named 'no_such_module_xyz'"),
        ("def main(x): return x", "TypeError: main() missing 1 required positional argument: 'x'"),
        ("class Mine(Exception): pass\ndef main(): raise Mine('here')", "Mine: here"),
        ("class Outer:\n    class Inner(Exception): pass\ndef main(): raise Outer.Inner(1)", "Outer.Inner: 1"),
        ("import json\ndef main(): json.loads('x')", "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        ("def main():\n    try: 1 / 0\n    except ZeroDivisionError: raise ValueError('second')", "ValueError: second"),
        ("def main(): raise 'text'", "TypeError: exceptions must derive from BaseException"),
        ("def main(:\n    return 1", "SyntaxError: invalid syntax"),
        ("def main():\nreturn 1", "IndentationError: expected an indented block after function definition on line 1"),
        ("def main(): return 1\0", "ValueError: source code string cannot contain null bytes"),
    ],
)
def test_the_error_is_the_last_line_of_a_traceback(service, script, error):
    answer = service.run(script)
    assert (answer.status, answer.outcome) == (400, "exception"), answer
    assert answer.json == {"error": error}


def test_endless_recursion_is_an_ordinary_exception(service):
    answer = service.run("def main(): return main()")
    assert (answer.status, answer.outcome) == (400, "exception")
    assert answer.error.startswith("RecursionError: maximum recursion depth exceeded")


def test_stdout_of_a_failed_run_is_not_in_the_plain_body(service):
    assert service.run("def main():\n    print('partial')\n    raise KeyError('k')").json == {"error": "KeyError: 'k'"}


@pytest.mark.parametrize(
    "body",
    [
        "def __str__(self): raise ValueError('no text')",
        "def __str__(self): return 5",
        "def __str__(self): return str(self)",
        "__module__ = None\n    __qualname__ = 'Hidden'",
        "def __init__(self): self.args = None if False else ({},) * 3",
        "def __getattribute__(self, name): raise RuntimeError(name)",
    ],
)
def test_exceptions_that_misbehave(service, body):
    answer = service.run(f"class Odd(Exception):\n    {body}\ndef main(): raise Odd()", details=True)
    assert answer.status in (400, 500), answer
    assert isinstance(answer.error, str) and answer.error
    service.assert_well()


def test_a_very_long_message_is_cut(service):
    answer = service.run("def main(): raise ValueError('x' * 5_000_000)")
    assert answer.status == 400 and answer.error.startswith("ValueError: xxxx")
    assert len(answer.body) < 1_000_000


def test_a_message_with_a_lone_surrogate(service):
    answer = service.run("def main(): raise ValueError('a\\ud800b')")
    assert answer.status == 400 and answer.error.startswith("ValueError: a") and answer.error.endswith("b")


def test_a_long_chain_of_exceptions(service):
    script = (
        "def main():\n    error = None\n    for i in range(100000):\n        new = ValueError(i)\n"
        "        new.__context__ = error\n        error = new\n    raise error"
    )
    answer = service.run(script, details=True)
    assert answer.status in (400, 500), answer
    service.assert_well()


@pytest.mark.parametrize(
    "script",
    [
        "import sys\ndef main(): sys.exit()",
        "import sys\ndef main(): sys.exit(0)",
        "import sys\ndef main(): sys.exit('message')",
        "import sys\ndef main(): return 1\nsys.exit(0)",
        "def main(): raise SystemExit",
        "def main(): exit()",
        "import os\ndef main(): os._exit(0)",
        "import os\ndef main(): os._exit(3)",
        "import os\nos._exit(0)",
        "import os, threading\ndef main():\n    threading.Thread(target=os._exit, args=(0,)).start()\n    import time; time.sleep(3)",
        "import ctypes\ndef main(): ctypes.CDLL(None).exit(0)",
        "import ctypes\ndef main(): ctypes.CDLL(None)._exit(0)",
    ],
)
def test_leaving_without_a_result(service, script):
    answer = service.run(script)
    assert (answer.status, answer.outcome) == (500, "exited"), answer
    assert answer.body == b'{"error": "Execution failed"}'


@pytest.mark.parametrize(
    "script",
    [
        "import ctypes\ndef main(): ctypes.string_at(0)",
        "import ctypes\ndef main(): ctypes.memset(1, 0, 1)",
        "import os\ndef main(): os.abort()",
        "import os, signal\ndef main(): os.kill(os.getpid(), signal.SIGKILL)",
        "import signal\ndef main(): signal.raise_signal(signal.SIGKILL)",
        "import ctypes\ndef main(): ctypes.CDLL(None).abort()",
        "import sys\nsys.setrecursionlimit(10**9)\ndef main():\n    f = lambda g: sorted([1], key=lambda x: g(g))\n    f(f)",
    ],
)
def test_crashes(service, script):
    answer = service.run(script)
    assert (answer.status, answer.outcome) == (500, "killed"), answer
    assert answer.body == b'{"error": "Execution failed"}'
    service.assert_well()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGALRM", "SIGINT", "SIGQUIT", "SIGPIPE", "SIGXCPU", "SIGSEGV"])
def test_a_signal_to_oneself_ends_the_run_at_most(service, name):
    """A worker that is process 1 of its namespace is not ended by a signal it has no handler for."""
    answer = service.run(f"import os, signal\ndef main():\n    os.kill(os.getpid(), signal.{name})\n    return 'alive'")
    assert answer.status in (200, 400, 500), answer
    service.assert_well()


def test_stopping_oneself_is_not_an_end(start):
    one = start("--wall-ms=600")
    answer = one.run("import os, signal\ndef main():\n    os.kill(os.getpid(), signal.SIGSTOP)\n    return 1")
    assert (answer.status, answer.outcome) in ((500, "timeout"), (200, "ok")), answer
    one.assert_well()


@pytest.mark.parametrize(
    "script",
    [
        "import atexit\ndef main():\n    atexit.register(lambda: [None for i in iter(int, 1)])\n    return 1",
        "import threading, time\ndef main():\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    return 1",
        "class D:\n    def __del__(self):\n        while True: pass\nd = D()\ndef main(): return 1",
        "import sys, time\nsys.exitfunc = lambda: time.sleep(9)\ndef main(): return 1",
    ],
)
def test_what_would_run_at_the_end_does_not_hold_the_answer(service, script):
    answer = service.run(script)
    assert answer.result == 1 and answer.seconds < 3


@pytest.mark.parametrize("nested", ["'(' * 3000", "'[' * 100000 + ']' * 100000", "'-' * 200000 + '1'", "'x' + '.y' * 100000"])
def test_source_that_is_nested_too_deeply(service, nested):
    answer = service.run(eval(nested) + "\ndef main(): return 1")  # the table above
    assert answer.status in (400, 500), answer
    service.assert_well()


def test_source_that_is_indented_too_deeply(service):
    script = "".join(" " * i + "if True:\n" for i in range(150)) + " " * 150 + "pass\ndef main(): return 1"
    assert service.run(script).error.startswith("IndentationError: too many levels of indentation")
