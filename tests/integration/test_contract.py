"""The rows of the contract: what happened, the status, the body to the byte, and the outcome."""
import re

import pytest

NO_MAIN = "Function 'main()' not found in script."


def test_result_and_stdout_are_the_whole_body(service):
    answer = service.run('def main():\n    print("hi")\n    return {"msg": "done"}')
    assert answer.status == 200
    assert answer.body == b'{"result": {"msg": "done"}, "stdout": "hi\\n"}'
    assert answer.outcome == "ok"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("script", ["def main(): return 1", "def main(): return 1 / 0", "x = 1"])
def test_a_run_tells_its_timing(service, script):
    timing = service.run(script).headers["server-timing"]
    found = re.fullmatch(r"queue;dur=(\d+\.\d+), run;dur=(\d+\.\d+), total;dur=(\d+\.\d+)", timing)
    assert found, timing
    queue, run, total = map(float, found.groups())
    assert 0 <= queue <= total and 0 < run <= total < 10_000


def test_what_did_not_run_has_no_outcome(service):
    for answer in (service.post(b"[]"), service.ask("GET", "/execute"), service.ask("GET", "/nowhere")):
        assert "execution-outcome" not in answer.headers
        assert "server-timing" not in answer.headers


@pytest.mark.parametrize(
    "script",
    [
        "",
        "  \n\t\n",
        "x = 1",
        "# def main(): return 1\n",
        's = "def main(): return 1"\n',
        "def foo():\n    return 1",
        "def main2(): return 1",
        "class A:\n    def main(self): return 1\n",
        "def outer():\n    def main(): return 1\n",
        "if False:\n    def main(): return 1\n",
        "def main(): return 1\ndel main",
        "main = 5",
        "main = None",
        "main = 'main'",
    ],
)
def test_no_main(service, script):
    answer = service.run(script)
    assert answer.status == 400
    assert answer.body == b'{"error": "%s"}' % NO_MAIN.encode()
    assert answer.outcome == "no_main"


@pytest.mark.parametrize(
    "script, result",
    [
        ("def   main ( ) :\n    return 7\n", 7),
        ("def main():\n\treturn 'tab'\n", "tab"),
        ("def main():\r\n    x = 1\r\n    return x\r\n", 1),
        ("if True:\n    def main():\n        return 1\n", 1),
        ("try:\n    import no_such_module\nexcept ImportError:\n    def main(): return 'fallback'", "fallback"),
        ("main = lambda: 3", 3),
        ("class C:\n    def __call__(self):\n        return 'called'\nmain = C()\n", "called"),
        ("class main:\n    def __new__(cls): return [4]", [4]),
        ("import functools\nmain = functools.partial(sum, [1, 2])", 3),
        ("main = dict", {}),
        ("from os import getcwd as main", "/tmp"),
        ("def main(a=1, *rest, b=2, **more): return [a, b, rest, more]", [1, 2, [], {}]),
        ("def main(): return 1\ndef main(): return 2\n", 2),
        ("def main(): return helper()\ndef helper(): return 'below'", "below"),
        ("globals()['main'] = lambda: 'made'", "made"),
        ("exec('def main(): return 8')", 8),
        ("n = 0\ndef up():\n    global n\n    n += 1\n    return n\ndef main():\n    up(); up()\n    return n", 2),
        ("def main():\n    x = 1", None),
        ("def main(): return main.__module__", "__main__"),
        ("def main():\n    return '''one\n  two\n'''", "one\n  two\n"),
        ("def main(): return __name__", "__main__"),
        ("def main(): return main.__code__.co_filename", "<string>"),
        ("import sys\ndef main(): return sys.modules['__main__'].main is main", True),
        ("import __main__\ndef main(): return __main__.main is main", True),
        ("from __future__ import annotations\ndef main(x: nothing = 1): return main.__annotations__['x']", "nothing"),
        ("def main():\n    def f(n): return 0 if n == 0 else 1 + f(n - 1)\n    return f(900)", 900),
    ],
)
def test_main_is_any_callable_of_that_name(service, script, result):
    answer = service.run(script)
    assert (answer.status, answer.json) == (200, {"result": result, "stdout": ""}), answer


def test_the_script_is_executed_once_and_then_main_is_called(service):
    answer = service.run(
        "print('top')\nif __name__ == '__main__':\n    print('as main')\n"
        "def main():\n    print('main')\n    return 1\nprint('bottom')"
    )
    assert answer.json == {"result": 1, "stdout": "top\nas main\nbottom\nmain\n"}


def test_main_is_not_called_again_when_the_script_calls_it(service):
    answer = service.run("calls = []\ndef main():\n    calls.append(1)\n    return len(calls)\nmain()")
    assert answer.result == 2


def test_what_the_script_sees_of_its_start(service):
    assert service.result(
        "import os, sys\n"
        "def main(): return [sys.argv, os.getcwd(), __doc__, '__file__' in globals(), sys.stdin.read(), __spec__]"
    ) == [[""], "/tmp", None, False, "", None]


def test_docstring_of_the_script(service):
    assert service.result("'''What it does.'''\ndef main(): return __doc__") == "What it does."


def test_two_runs_share_nothing_and_have_the_same_start(service):
    script = "def main(): return sorted(k for k in globals())"
    assert service.result(script) == service.result(script)


def test_readme_examples(service):
    assert service.run("import pandas as pd\ndef main(): return {'sum': int(pd.DataFrame({'a':[1,2,3]}).a.sum())}").body == (
        b'{"result": {"sum": 6}, "stdout": ""}'
    )
    assert service.run("def main(): return {'hello': 'world'}").body == b'{"result": {"hello": "world"}, "stdout": ""}'
    files = service.result("import os\ndef main(): return {'files': os.listdir('/')}")["files"]
    assert {"usr", "tmp", "dev", "etc"} <= set(files)
    assert not {"proc", "sys", "root", "home", "var", "run"} & set(files)
