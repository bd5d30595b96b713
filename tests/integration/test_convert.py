"""`"convert": true`: what becomes of results that are not JSON, and what still does not."""
import base64
import json

import pytest
from service import unsanitized

IMPORTS = """
import array, collections, dataclasses, datetime, decimal, enum, fractions, pathlib, sys, types, typing, uuid
import numpy as np, pandas as pd
from datetime import timezone, timedelta
class Color(enum.Enum):
    RED = 1
    DAYS = datetime.date(2020, 1, 2)
@dataclasses.dataclass
class Point:
    x: int
    y: object = None
    where: typing.ClassVar = 7
@dataclasses.dataclass(slots=True, frozen=True)
class Slim:
    x: float
class Liar: __dataclass_fields__ = {"x": 1}
Pair = collections.namedtuple("Pair", "a b")
"""


def converted(service, expression, before=""):
    return service.run(f"{IMPORTS}{before}\ndef main(): return {expression}", convert=True)


TABLE = [
    # numbers
    ("np.int64(3)", 3),
    ("np.uint64(2**64 - 1)", 2**64 - 1),
    ("np.float32(0.5)", 0.5),
    ("np.float64('nan')", None),
    ("np.longdouble(0.25)", 0.25),
    ("np.bool_(True)", True),
    ("float('inf')", None),
    ("[1.0, float('nan'), -float('inf')]", [1.0, None, None]),
    ("1 + 2j", {"real": 1.0, "imag": 2.0}),
    ("np.complex64(1j)", {"real": 0.0, "imag": 1.0}),
    ("np.clongdouble(1j)", {"real": 0.0, "imag": 1.0}),
    ("decimal.Decimal('1.10')", "1.10"),
    ("[decimal.Decimal('nan'), decimal.Decimal('-Infinity')]", [None, None]),
    ("fractions.Fraction(1, 3)", "1/3"),
    # text and bytes
    ("b'abc\\xff'", base64.b64encode(b"abc\xff").decode()),
    ("bytearray(b'')", ""),
    ("memoryview(b'abcdef')[::2]", base64.b64encode(b"ace").decode()),
    ("np.bytes_(b'a')", "YQ=="),
    ("np.str_('a')", "a"),
    ("uuid.UUID(int=1)", "00000000-0000-0000-0000-000000000001"),
    ("pathlib.Path('/tmp/x')", "/tmp/x"),
    ("pathlib.PureWindowsPath('a/b')", "a\\b"),
    # time
    ("datetime.datetime(2020, 1, 2, 3, 4, 5)", "2020-01-02T03:04:05"),
    ("datetime.datetime(2020, 1, 2, tzinfo=timezone.utc)", "2020-01-02T00:00:00+00:00"),
    ("datetime.date(2020, 1, 2)", "2020-01-02"),
    ("datetime.time(3, 4)", "03:04:00"),
    ("timedelta(days=1, milliseconds=500)", 86400.5),
    ("pd.Timestamp('2020-01-02T03:04:05.123456789')", "2020-01-02T03:04:05.123456789"),
    ("pd.Timestamp('2020-01-02', tz='Europe/Berlin')", "2020-01-02T00:00:00+01:00"),
    ("pd.Timedelta('1s')", 1.0),
    ("[pd.NaT, pd.NA, None]", [None, None, None]),
    ("pd.Period('2020-01')", "2020-01"),
    ("np.datetime64('2020-01-02')", "2020-01-02"),
    ("np.datetime64('2020-01-02T03:04:05.5', 'ms')", "2020-01-02T03:04:05.500000"),
    ("np.datetime64('NaT')", None),
    ("np.timedelta64(1500, 'ms')", 1.5),
    ("np.timedelta64('NaT', 's')", None),
    # containers
    ("{3, 1, 2}", [1, 2, 3]),
    ("{'b', 'a'}", ["a", "b"]),
    ("frozenset({2.5, True})", [True, 2.5]),
    ("{decimal.Decimal(10), decimal.Decimal(9)}", ["9", "10"]),
    ("{np.int64(2), np.int64(1)}", [1, 2]),
    ("{(2, 'b'), (1, 'z')}", [[1, "z"], [2, "b"]]),
    ("{datetime.date(2021, 1, 1), datetime.date(2020, 1, 1)}", ["2020-01-01", "2021-01-01"]),
    ("range(3)", [0, 1, 2]),
    ("collections.deque([1, {2}])", [1, [2]]),
    ("[{1: 2}.keys(), {1: 2}.values(), {1: 2}.items()]", [[1], [2], [[1, 2]]]),
    ("Color.RED", 1),
    ("[Color.DAYS]", ["2020-01-02"]),
    ("Point(1, Point(2, {3}))", {"x": 1, "y": {"x": 2, "y": [3]}}),
    ("Slim(1.5)", {"x": 1.5}),
    ("Pair(1, {2})", [1, [2]]),
    # keys
    ("{(1, 'a'): 1}", {"(1, 'a')": 1}),
    ("{np.int64(1): 1, datetime.date(2020, 1, 2): 2, Color.RED.name: 3}", {"1": 1, "2020-01-02": 2, "RED": 3}),
    ("{float('nan'): 1, float('inf'): 2}", {"NaN": 1, "Infinity": 2}),
    ("{Color.RED: 1, uuid.UUID(int=0): {}}", {"1": 1, "00000000-0000-0000-0000-000000000000": {}}),
    # numpy arrays
    ("np.arange(6).reshape(2, 3)", [[0, 1, 2], [3, 4, 5]]),
    ("np.array(5)", 5),
    ("np.array([])", []),
    ("np.zeros((0, 3))", []),
    ("np.array([[1.5, float('nan')], [float('inf'), 2]])", [[1.5, None], [None, 2.0]]),
    ("np.array([True, False])", [True, False]),
    ("np.array([1j])", [{"real": 0.0, "imag": 1.0}]),
    ("np.array(['a', 'bc'])", ["a", "bc"]),
    ("np.array([b'a'])", ["YQ=="]),
    ("np.array([1, {2}, None, np.int8(3)], dtype=object)", [1, [2], None, 3]),
    ("np.array(['2020-01-02', 'NaT'], dtype='M8[D]')", ["2020-01-02", None]),
    ("np.array([['2020-01-02T03:04:05.000000001']], dtype='M8[ns]')", [["2020-01-02T03:04:05.000000001"]]),
    ("np.array([1, 'NaT'], dtype='m8[s]')", [1.0, None]),
    ("np.array([1, 2], dtype=np.longdouble)", [1.0, 2.0]),
    ("np.array([(1, 2.5)], dtype=[('a', int), ('b', float)])", [[1, 2.5]]),
    ("np.ma.array([1, 2], mask=[True, False])", [None, 2]),
    ("np.matrix([[1, 2]])", [[1, 2]]),
    # pandas
    ("pd.Series([1, 2])", [1, 2]),
    ("pd.Series([1.5, None])", [1.5, None]),
    ("pd.Series([1, None], dtype='Int64')", [1, None]),
    ("pd.Series([1, 2], index=['a', 'b'])", {"a": 1, "b": 2}),
    ("pd.Series([1, 2, 3])[lambda s: s > 1]", {"1": 2, "2": 3}),
    ("pd.Series(['x'], index=pd.to_datetime(['2020-01-02']))", {"2020-01-02T00:00:00": "x"}),
    ("pd.Series(['x', 'y'], dtype='category')", ["x", "y"]),
    ("pd.Series([1], index=pd.MultiIndex.from_tuples([('a', 1)]))", {"('a', 1)": 1}),
    ("pd.Series(['a', 'a', 'b']).value_counts()", {"a": 2, "b": 1}),
    ("pd.Index([1, 2])", [1, 2]),
    ("pd.date_range('2020-01-02', periods=1)", ["2020-01-02T00:00:00"]),
    ("pd.date_range('2020-01-02', periods=1, tz='UTC')", ["2020-01-02T00:00:00+00:00"]),
    ("pd.MultiIndex.from_tuples([('a', 1)])", [["a", 1]]),
    ("pd.Categorical(['a'])", ["a"]),
    ("pd.array([1, None])", [1, None]),
    ("pd.interval_range(0, 1)", ["(0, 1]"]),
    ("pd.DataFrame({'a': [1, 2], 'b': ['x', None]})", [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
    ("pd.DataFrame({'a': [1.5]}, index=['r'])", [{"index": "r", "a": 1.5}]),
    ("pd.DataFrame({'k': ['a', 'b', 'a'], 'v': [1, 2, 3]}).groupby('k').sum()", [{"k": "a", "v": 4}, {"k": "b", "v": 2}]),
    ("pd.DataFrame([[1, 2]])", [{"0": 1, "1": 2}]),
    ("pd.DataFrame({'t': pd.to_datetime(['2020-01-02', None]), 'd': pd.to_timedelta([1, None], unit='s')})",
     [{"t": "2020-01-02T00:00:00", "d": 1.0}, {"t": None, "d": None}]),
    ("pd.DataFrame({'k': ['a'], 'v': [1]}).groupby('k').agg(['sum'])", [{"('k', '')": "a", "('v', 'sum')": 1}]),
    ("pd.DataFrame({'a': [{1}, pd.Series([2])]})", [{"a": [1]}, {"a": [2]}]),
    ("pd.DataFrame()", []),
    ("pd.DataFrame({'a': [1], 'b': pd.Categorical(['x'])}).dtypes", {"a": "int64", "b": "category"}),
    ("pd.DataFrame({'a': [1, 2]}).describe()['a']['mean']", 1.5),
    ("{'frame': pd.DataFrame({'a': [np.float32(0.5)]})}", {"frame": [{"a": 0.5}]}),
]


@pytest.mark.parametrize("expression, result", TABLE, ids=[row[0] for row in TABLE])
def test_the_table(service, expression, result):
    answer = converted(service, expression)
    assert answer.status == 200, answer
    assert answer.result == result and json.dumps(answer.result) == json.dumps(result)


STRICT = (
    "[None, True, 0, -1, 1.5, -0.0, 5e-324, 2**70, '', 'a\\ud800', (1, (2,)), {'a': {'b': []}}, {}, Pair(1, 2),"
    " {7: 'a', None: 3, True: 4, 1.5: 5, '7': 8}, collections.OrderedDict(a=1), collections.Counter('aa'), np.float64(0.1),"
    " Level.LOW, Text('t'), Number(5), Half(0.5), List([1]), Dict(a=1)]"
)
CLASSES = """
class Level(enum.IntEnum): LOW = 1
class Text(str): pass
class Number(int): pass
class Half(float): pass
class List(list): pass
class Dict(dict): pass
"""


def test_what_is_json_stays_as_it_is(service):
    script = f"{IMPORTS}{CLASSES}\ndef main():\n    moved = collections.OrderedDict(a=1, b=2)\n    moved.move_to_end('a')\n    return [moved, {STRICT}]"
    strict, other = service.run(script), service.run(script, convert=True)
    assert strict.status == 200 and strict.body == other.body


def test_without_it_nothing_is_converted(service):
    for keys in ({}, {"convert": False}):
        answer = service.run("def main(): return {'a': {1}}", **keys)
        assert answer.error == "Result is not JSON-serializable: set at result['a'] (use list())"


@pytest.mark.parametrize("value", [1, "true", None, [], {}])
def test_it_is_true_or_false(service, value):
    answer = service.run("def main(): return 1", convert=value)
    assert answer.status == 400 and answer.error == "Invalid input: 'convert' must be true or false."


def test_details_and_convert_go_together(service):
    body = service.run("def main(): return {1}", convert=True, details=True).json
    assert body["result"] == [1] and body["outcome"] == "ok"
    assert service.run("def main(): return 1 / 0", convert=True).error == "ZeroDivisionError: division by zero"


# --- What is still unknown --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression, said",
    [
        ("object()", "object at result ("),
        ("{'a': [1, {'k': object()}]}", "object at result['a'][1]['k'] ("),
        ("[Point(1, {'z': main})]", "function at result[0]['y']['z'] ("),
        ("np.array([1, object()], dtype=object)", "object at result[1] ("),
        ("pd.DataFrame({'a': [1, object()]})", "object at result[1]['a'] ("),
        ("Point", "type at result ("),
        ("(i for i in range(3))", "generator at result (use list())"),
        ("iter([1])", "list_iterator at result ("),
        ("{'outer': {object(): 1}}", "key of type object in result['outer'] (keys must be strings)"),
        ("{frozenset([1]): 1}", "key of type frozenset in result (keys must be strings)"),
        ("{Color.RED: 1, 1: 2}", "two keys that become 1 in result"),
        ("{'2020-01-02': 1, datetime.date(2020, 1, 2): 2}", "two keys that become '2020-01-02' in result"),
        ("[pd.DataFrame([[1, 2]], columns=['a', 'a'])]", "two columns named 'a' in result[0]"),
        ("pd.Series([1, 2], index=['a', 'a'])", "two entries named 'a' in result"),
        ("Liar()", "Liar at result (AttributeError: "),
        ("np.timedelta64(1, 'M')", "numpy.timedelta64 at result ("),
    ],
)
def test_what_is_unknown_is_named_with_its_type_and_place(service, expression, said):
    answer = converted(service, expression)
    assert (answer.status, answer.outcome) == (400, "not_serializable"), answer
    assert answer.error.startswith("Result is not JSON-serializable: " + said), answer.error


# --- Bounds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression, count",
    [
        pytest.param("list(range(10**6))", 10**6, marks=unsanitized),
        ("np.arange(10**6)", 10**6),
        pytest.param("np.arange(10**6, dtype=object)", 10**6, marks=unsanitized),
        ("[np.int64(1)] * 10**6", 10**6),
        pytest.param("set(range(10**6))", 10**6, marks=unsanitized),
        ("range(10**6)", 10**6),
        pytest.param("pd.Series(range(10**6))", 10**6, marks=unsanitized),
        ("pd.DataFrame({'a': range(10**5), 'b': 'x'})", 10**5),
    ],
)
def test_a_million(service, expression, count):
    answer = converted(service, expression)
    assert answer.status == 200 and len(answer.result) == count and answer.seconds < 5, answer


@pytest.mark.parametrize(
    "expression",
    [
        "range(10**9)", "range(10**30)", "np.broadcast_to(np.int64(0), (10**6, 10**6))", "np.zeros(200 << 20, dtype=np.uint8)",
        "bytes(20 << 20)", "memoryview(bytes(20 << 20))", "pd.RangeIndex(10**9)", "pd.Series(np.zeros(10**7))",
        "pd.DataFrame(np.zeros((10**4, 10**3)))", "['x' * 10**6] * 10**6",
    ],
)
def test_too_much(service, expression):
    answer = converted(service, expression)
    assert (answer.status, answer.outcome) == (400, "output_limit"), answer
    assert answer.error.startswith("Result is too large") and answer.seconds < 4


def test_a_result_that_unfolds_without_end(start):
    answer = start("--result-kb=512").run("def main():\n    x = [1]\n    for _ in range(60): x = [x, x]\n    return x", convert=True)
    assert answer.outcome in ("output_limit", "memory") and answer.seconds < 5, answer


NESTED = "def main():\n    x = {{1}}\n    for _ in range({}): x = {}\n    return x"


@pytest.mark.parametrize("around", ["[x]", "{'a': x}", "(x,)", "np.array([x, None], dtype=object)", "pd.Series([x])", "Point(1, x)"])
def test_depth(service, around):
    assert service.run(IMPORTS + NESTED.format(400, around), convert=True).status == 200
    for depth in (1001, 20_000):
        answer = service.run(IMPORTS + NESTED.format(depth, around), convert=True)
        assert (answer.status, answer.outcome) == (400, "output_limit"), answer
        assert "deep" in answer.error


@pytest.mark.parametrize(
    "build",
    [
        "x = []; x.append({'a': x})",
        "x = np.array([None], dtype=object); x[0] = x",
        "x = Point(1); x.y = [x]",
        "x = collections.deque(); x.append(x)",
        "x = pd.Series([None], dtype=object); x[0] = x",
        "x = pd.DataFrame({'a': [None]}, dtype=object); x.at[0, 'a'] = [x]",
        "x = Color.RED; x._value_ = x",
        "x = Color.RED; x._value_ = [x]",
    ],
)
def test_what_holds_itself(service, build):
    answer = service.run(f"{IMPORTS}def main():\n    {build}\n    return {{'k': [x]}}", convert=True)
    assert (answer.status, answer.outcome) == (400, "not_serializable"), answer
    assert "at result['k'][0]" in answer.error and ("circular" in answer.error or "Color" in answer.error)


def test_the_same_object_twice_is_no_circle(service):
    assert converted(service, "(lambda x: [x, x, {'a': x}])(np.arange(2))").result == [[0, 1], [0, 1], {"a": [0, 1]}]


# --- Hostile results --------------------------------------------------------------------------------

SHOUT = """
def shout(*a, **k): sys.__stderr__.write('called '); raise RuntimeError
def endless(*a, **k):
    while True: yield 1
"""


@pytest.mark.parametrize(
    "before, expression, result",
    [
        ("class A(np.ndarray): tolist = view = __iter__ = __len__ = __array__ = __getitem__ = shout",
         "np.ndarray.__new__(A, 2, 'u1', b'ab')", [97, 98]),
        ("class L(list): __iter__ = endless; __len__ = lambda s: 10**9; copy = __getitem__ = shout", "L([1, {2}])", [1, [2]]),
        ("class D(dict): __iter__ = keys = items = values = endless; __len__ = lambda s: 10**9; copy = shout", "D(a={1})", {"a": [1]}),
        ("class T(tuple): __iter__ = __getitem__ = endless; __len__ = lambda s: 10**9", "T((1,))", [1]),
        ("class S(set): __iter__ = endless; __len__ = lambda s: 10**9; copy = shout", "S([2, 1])", [1, 2]),
        ("class F(frozenset): __iter__ = endless; union = copy = shout", "F([2, 1])", [1, 2]),
        ("class Q(collections.deque): __iter__ = endless; copy = shout", "Q([1])", [1]),
        ("class X(str): __str__ = __repr__ = __len__ = __format__ = __iter__ = shout", "[X('x'), {X('k'): 1}]", ["x", {"k": 1}]),
        ("class I(int): __int__ = __index__ = __str__ = __repr__ = __bool__ = shout", "I(7)", 7),
        ("class R(float): __float__ = __repr__ = __eq__ = shout; __hash__ = float.__hash__", "R('nan')", None),
        ("class B(bytes): __len__ = __iter__ = decode = shout", "B(b'abc')", "YWJj"),
        ("class C(decimal.Decimal): __str__ = is_finite = to_eng_string = shout", "C('1.5')", "1.5"),
        ("class W(datetime.datetime): isoformat = __str__ = strftime = shout", "W(2020, 1, 2)", "2020-01-02T00:00:00"),
        ("class N(datetime.timedelta): total_seconds = __str__ = shout", "N(seconds=2)", 2.0),
        ("class P(pd.DataFrame): to_dict = __iter__ = __len__ = items = iloc = columns = property(shout)",
         "P({'a': [1]})", [{"a": 1}]),
        ("class V(pd.Series): tolist = to_numpy = __iter__ = __len__ = astype = to_list = items = shout", "V([1])", [1]),
        ("class K:\n    __class__ = int\n    def __eq__(s, o): return True\n    __hash__ = __len__ = __iter__ = shout", "[K()]", None),
        ("class M(type):\n    __eq__ = __hash__ = __instancecheck__ = __subclasscheck__ = mro_ = shout\nclass K(metaclass=M): pass",
         "[K()]", None),
        ("class K:\n    __class__ = np.ndarray\n    dtype = np.dtype(int)\n    tolist = __iter__ = endless", "[K()]", None),
        ("class K:\n    def __getattribute__(self, name): shout()", "[K()]", None),
    ],
)
def test_types_that_lie(service, before, expression, result):
    script = f"{IMPORTS}{SHOUT}{before}\ndef main(): return {expression}"
    answer = service.run(script, convert=True, details=True)
    assert answer.seconds < 4 and "called" not in answer.json["stderr"], answer
    if expression == "[K()]":
        assert answer.error.startswith("Result is not JSON-serializable: K at result[0] ("), answer
    else:
        assert answer.result == result


@pytest.mark.parametrize(
    "tampering",
    [
        "pd.DataFrame = pd.Series = pd.NA = decimal.Decimal = None",
        "np.ndarray = np.generic = np.isfinite = np.datetime64 = None",
        "dataclasses.fields = lambda x: iter(int, 1)",
        "sys.modules.clear()",
        "sys.setrecursionlimit(70)",
        "import binascii; binascii.b2a_base64 = None",
        "import builtins; builtins.issubclass = builtins.type = builtins.sorted = builtins.list = None",
        "import builtins; vars(builtins).clear()",
    ],
)
def test_tampering_changes_nothing_of_the_answer(service, tampering):
    expression, result = "[np.arange(2), np.float32(1), decimal.Decimal('1.5'), Point(1), b'a', {2, 1}]", [
        [0, 1], 1.0, "1.5", {"x": 1, "y": None}, "YQ==", [1, 2]]
    # pandas itself does not get over all of it.
    if "builtins" not in tampering and "ndarray" not in tampering:
        expression, result = f"[{expression}, pd.DataFrame({{'a': [1]}})]", [result, [{"a": 1}]]
    script = f"{IMPORTS}x = {expression}\ndef main(): return x\n{tampering}"
    assert service.run(script, convert=True).result == result


def test_conversion_that_runs_the_scripts_code_is_under_the_limits(start):
    one = start("--wall-ms=700")
    zone = "class Z(datetime.tzinfo):\n    def utcoffset(self, t):\n        while True: pass\n"
    answer = one.run(f"{IMPORTS}{zone}def main(): return datetime.datetime(2020, 1, 2, tzinfo=Z())", convert=True)
    assert (answer.status, answer.outcome) == (500, "timeout") and answer.seconds < 6
    one.assert_well()


def test_conversion_that_raises_is_told(service):
    zone = "class Z(datetime.tzinfo):\n    def utcoffset(self, t): raise ValueError('no idea')\n"
    answer = service.run(f"{IMPORTS}{zone}def main(): return [datetime.datetime(2020, 1, 2, tzinfo=Z())]", convert=True)
    assert answer.error == "Result is not JSON-serializable: datetime.datetime at result[0] (ValueError: no idea)"


@pytest.mark.parametrize("preload", ["", "numpy"])
def test_nothing_is_imported_for_it(start, preload):
    one = start(f"--preload={preload}")
    script = "import sys\ndef main(): return sorted({'pandas', 'decimal', 'uuid'} & set(sys.modules)), {1}"
    assert one.run(script, convert=True).result == one.run(script.replace(", {1}", ", [1]")).result
    assert converted(one, "[np.arange(2), pd.Series([1]), decimal.Decimal(1), {2, 1}]").result == [[0, 1], [1], "1", [1, 2]]
