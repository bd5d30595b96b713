"""What main() returns: strictly JSON, byte for byte, or an error that says where and why."""
import json

import pytest


def returned(service, expression, imports=""):
    return service.run(f"{imports}\ndef main(): return {expression}")


def raw_result(answer):
    """The bytes of the result as they stand in the body."""
    assert answer.status == 200, answer
    assert answer.body.startswith(b'{"result": ') and answer.body.endswith(b', "stdout": ""}'), answer
    return answer.body[len(b'{"result": ') : -len(b', "stdout": ""}')]


@pytest.mark.parametrize(
    "expression",
    [
        "None", "True", "False", "0", "-0", "42", "-1", "1.5", "-0.0", "0.1", "1e308", "5e-324", "1e22", "1e16",
        "123456789.123456789", "2**53 + 1", "2**63", "2**64 - 1", "2**70", "-2**200", "10**4000", "''", "'hello'",
        "[]", "{}", "()", "[[], {}, ()]", "[0, False, 0.0]", "(1, 2, (3,))", "{'a': {'b': [1, {'c': None}]}}",
        "{1: 'a', 2: 'b'}", "{7: 'a', 'k': 2, None: 3, True: 4, 1.5: 5}", "{'b': 1, 'a': 2}", "{'': ''}",
        "'\\u2028\\u2029'", "'</script>\"\\\\/'", "''.join(map(chr, range(160)))", "'\\U0001f40d'", "{'k\\u00e9y': '\\u00fc'}",
        "{'result': 1, 'stdout': 'fake', 'error': None}", "['x'] * 3",
    ],
)
def test_the_result_is_written_as_json_does(service, expression):
    value = eval(expression)  # the table above
    assert raw_result(returned(service, expression)) == json.dumps(value).encode()


@pytest.mark.parametrize("size", [100_000, 2_000_000, 8_000_000])
def test_large_results_are_whole(service, size):
    assert returned(service, f"'x' * {size}").body == b'{"result": "' + b"x" * size + b'", "stdout": ""}'


def test_subclasses_are_what_they_inherit_from(service):
    imports = (
        "import collections, enum\nclass Level(enum.IntEnum): LOW = 1\nclass Text(str): pass\n"
        "Point = collections.namedtuple('Point', 'x y')"
    )
    expression = (
        "[Level.LOW, Text('t'), Point(1, 2), collections.OrderedDict(a=1), collections.Counter('aa'),"
        " collections.defaultdict(int, b=2)]"
    )
    assert raw_result(returned(service, expression, imports)) == (
        b'[1, "t", [1, 2], {"a": 1}, {"a": 2}, {"b": 2}]'
    )


def test_lone_surrogates_are_legal_escapes(service):
    assert raw_result(returned(service, r"'a\ud800b'")) == rb'"a\ud800b"'
    assert raw_result(returned(service, r"{'\udfff': '\ud83d\ude00'}")) == rb'{"\udfff": "\ud83d\ude00"}'


def test_int_keys_that_meet_are_both_written(service):
    assert raw_result(returned(service, "{1: 'a', '1': 'b'}")) == b'{"1": "a", "1": "b"}'


@pytest.mark.parametrize(
    "expression, type_and_path",
    [
        ("{1, 2}", "set at result"),
        ("frozenset()", "frozenset at result"),
        ("b'abc'", "bytes at result"),
        ("bytearray(2)", "bytearray at result"),
        ("1j", "complex at result"),
        ("object()", "object at result"),
        ("main", "function at result"),
        ("int", "type at result"),
        ("range(3)", "range at result"),
        ("...", "ellipsis at result"),
        ("{'a': [1, {2}]}", "set at result['a'][1]"),
        ("[0, 1, {'k': {'x': b''}}]", "bytes at result[2]['k']['x']"),
        ("{3: object()}", "object at result[3]"),
        ("[(1, (2, {3}))]", "set at result[0][1][1]"),
        ("datetime.datetime(2020, 1, 1)", "datetime at result"),
        ("[datetime.date(2020, 1, 1)]", "date at result[0]"),
        ("decimal.Decimal('1.5')", "Decimal at result"),
        ("fractions.Fraction(1, 3)", "Fraction at result"),
        ("uuid.UUID(int=1)", "UUID at result"),
        ("{'sum': np.int64(1)}", "int64 at result['sum']"),
        ("np.float32(1.5)", "float32 at result"),
        ("[np.bool_(True)]", "at result[0]"),
        ("np.arange(3)", "ndarray at result"),
        ("{'frame': pd.DataFrame({'a': [1]})}", "DataFrame at result['frame']"),
        ("pd.Series([1])", "Series at result"),
        ("pd.Timestamp(0)", "Timestamp at result"),
        ("pd.NaT", "NaTType at result"),
        ("float('nan')", "nan at result"),
        ("{'x': [1.0, float('inf')]}", "inf at result['x'][1]"),
        ("-float('inf')", "-inf at result"),
        ("np.float64('nan')", "nan at result"),
    ],
)
def test_what_is_not_json_is_named_with_its_type_and_place(service, expression, type_and_path):
    imports = "import datetime, decimal, fractions, uuid\nimport numpy as np, pandas as pd"
    answer = returned(service, expression, imports)
    assert (answer.status, answer.outcome) == (400, "not_serializable"), answer
    assert set(answer.json) == {"error"}
    head = "Result is not JSON-serializable: "
    assert answer.error.startswith(head)
    said = answer.error[len(head) :]
    assert said.split(" (")[0].endswith(type_and_path), said
    assert said.count("(") >= 1, f"does not say what to do: {said}"


def test_the_hint_of_a_numpy_scalar_works(service):
    assert ".item()" in returned(service, "np.int64(3)", "import numpy as np").error
    assert returned(service, "np.int64(3).item()", "import numpy as np").result == 3


@pytest.mark.parametrize("key, type_name", [("(1, 2)", "tuple"), ("b'k'", "bytes"), ("frozenset()", "frozenset")])
def test_keys_that_are_not_json(service, key, type_name):
    answer = returned(service, f"{{'outer': {{{key}: 1}}}}")
    assert (answer.status, answer.outcome) == (400, "not_serializable")
    assert type_name in answer.error and "result['outer']" in answer.error


@pytest.mark.parametrize("key", ["float('nan')", "float('inf')"])
def test_no_bare_nan_as_a_key(service, key):
    answer = returned(service, f"{{{key}: 1}}")
    assert answer.status in (200, 400)
    assert answer.json is not None  # strict JSON


@pytest.mark.parametrize(
    "script",
    [
        "async def main(): return 1",
        "def main():\n    yield 1",
        "async def main():\n    yield 1",
        "def main(): return (i for i in range(3))",
        "def main(): return iter([1])",
        "def main(): return map(str, [1])",
        "def main(): return {1: 2}.keys()",
    ],
)
def test_coroutines_generators_and_views_are_not_json(service, script):
    answer = service.run(script)
    assert (answer.status, answer.outcome) == (400, "not_serializable"), answer
    assert answer.error.startswith("Result is not JSON-serializable: ")


def test_circular_results(service):
    for build in ("x = []; x.append(x)", "x = {}; x['a'] = [x]"):
        answer = service.run(f"def main():\n    {build}\n    return x")
        assert (answer.status, answer.outcome) == (400, "not_serializable"), answer
        assert "ircular" in answer.error


def test_the_same_object_twice_is_no_circle(service):
    assert service.result("def main():\n    x = [1]\n    return [x, x, {'a': x}]") == [[1], [1], {"a": [1]}]


NESTED = "def main():\n    x = 'x'\n    for _ in range({}): x = {}\n    return x"


@pytest.mark.parametrize("around, opening, closing", [("[x]", b"[", b"]"), ("{'a': x}", b'{"a": ', b"}")])
@pytest.mark.parametrize("depth", [1, 500, 900])
def test_deep_results(service, depth, around, opening, closing):
    assert raw_result(service.run(NESTED.format(depth, around))) == opening * depth + b'"x"' + closing * depth


@pytest.mark.parametrize("around", ["[x]", "{'a': x}", "(x,)", "[{'k': (x,)}]"])
@pytest.mark.parametrize("depth", [1001, 3000, 200_000])
def test_too_deep_results_are_an_error(service, depth, around):
    answer = service.run(NESTED.format(depth, around))
    assert (answer.status, answer.outcome) == (400, "output_limit"), answer
    assert "deep" in answer.error
    service.assert_well()


def test_a_deep_result_that_is_not_json_ends_cleanly(service):
    answer = service.run("def main():\n    x = {1}\n    for _ in range(200000): x = [x]\n    return x")
    assert answer.status == 400 and answer.outcome in ("not_serializable", "output_limit"), answer


def test_a_raised_recursion_limit_does_not_raise_the_results(service):
    answer = service.run("import sys\nsys.setrecursionlimit(10**6)\n" + NESTED.format(100_000, "[x]"))
    assert answer.status == 400 and answer.outcome == "output_limit", answer


@pytest.mark.parametrize(
    "tampering",
    [
        "import json; json.dumps = lambda *a, **k: '{}'",
        "import json; json.encoder.JSONEncoder.encode = lambda *a: '[]'; json.JSONEncoder = None",
        "import json; json.encoder.c_make_encoder = json.encoder.encode_basestring_ascii = None",
        "import _json; _json.make_encoder = _json.encode_basestring_ascii = None",
        "import sys; sys.stdout = sys.stderr = None",
        "import sys; sys.modules.clear()",
        "import sys; sys.excepthook = sys.displayhook = lambda *a: 1/0",
        "import sys; sys.settrace(lambda *a: 1/0) if False else sys.setrecursionlimit(60)",
        "import builtins; builtins.len = builtins.isinstance = builtins.callable = builtins.type = lambda *a: 1/0",
        "import builtins; builtins.exec = builtins.compile = builtins.getattr = builtins.BaseException = None",
        "import os; os._exit = os.write = os.close = lambda *a: None",
        "import math; math.isfinite = lambda x: False",
        "import gc; gc.disable()",
        "__builtins__ = {}",
        "import types; types.ModuleType = None",
        "import linecache; linecache.cache = None",
    ],
)
def test_tampering_changes_nothing_of_the_answer(service, tampering):
    answer = service.run(f"{tampering}\ndef main(): return {{'a': [1, 2.5, None, True]}}")
    assert answer.body == b'{"result": {"a": [1, 2.5, null, true]}, "stdout": ""}', answer
    service.assert_well()


def test_deleting_all_builtins_is_survived(service):
    script = "import builtins\ndef main():\n    for k in list(vars(builtins)): delattr(builtins, k)\n    return 1"
    answer = service.run(script)
    assert answer.status in (200, 400, 500)
    service.assert_well()


def test_code_that_runs_while_the_result_is_written_is_under_the_limits(start):
    one = start("--wall-ms=700")
    script = "class D(dict):\n    def items(self):\n        while True: pass\ndef main(): return D(a=1)"
    answer = one.run(script)
    assert answer.status in (200, 500) and answer.seconds < 6, answer
    one.assert_well()
