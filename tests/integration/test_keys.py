"""The optional keys of a request: input, args, kwargs, stdin, limits, seed. And that those who send none of them
are answered as ever."""
import hashlib
import json
import random
import time

import pytest
from service import SANITIZED, Service, needs_poverty, resident_kb, status_field, together, unsanitized, wait_until

ECHO = "def main(x): return x"
CALL = "def main(*args, **kwargs): return [args, kwargs]"
ONE = b'{"result": 1, "stdout": ""}'
MIB = 1 << 20


def refused(answer, *words):
    assert answer.status == 400 and answer.outcome is None and set(answer.json) == {"error"}, answer
    assert answer.error.startswith("Invalid input: ") and all(word in answer.error for word in words), answer
    return answer.error


def raw(service, script, members):
    """A body whose members are given as they are to stand in it."""
    return service.post(b'{"script": %s, %s}' % (json.dumps(script).encode(), members))


# --- input, args, kwargs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [0, -1, True, False, "", "x", [], {}, 1.5, -0.1e-7, 2**70, -(2**70), 10**4000, 0.1 + 0.2, 5e-324, 1.7976931348623157e308,
     [None], {"": None}, "\u00e9\u4e16\U0001f40d\0\n\"\\/", "\ud800", "\udfffx\ud800", {"\ud83d": "\ude00"}, [[[{"a": [1, {"b": 2}]}]]]],
)
def test_input_arrives_as_it_was_sent(service, value):
    answer = service.run(ECHO, input=value)
    assert answer.result == value and type(answer.result) is type(value)


@pytest.mark.parametrize(
    "text, value",
    [("1180591620717411303424", "1180591620717411303424"), ("-0", "0"), ("1E400", "inf"), ("1.0", "1.0"), ("100000000000000000000.0", "1e+20"),
     (r'"\u00e9\/\ud83d\udc0d"', "'é/🐍'"), (r'"\ud800"', r"'\ud800'"), (' [ 1 ,\n2 ] ', "[1, 2]"), ('{"a": 1, "b": 2, "a": 3}', "{'a': 3, 'b': 2}")],
)
def test_input_is_read_as_pythons_json_reads_it(service, text, value):
    assert raw(service, "def main(x): return repr(x)", b'"input": ' + text.encode()).result == value


def digits_of(number):
    """As many as there are; Python prints no more than 4300 at once."""
    pieces = []
    while number:
        number, rest = divmod(number, 10**4000)
        pieces.append(str(rest).zfill(4000))
    return "".join(reversed(pieces)).lstrip("0").encode()


def test_integers_have_as_many_digits_as_they_like(service):
    number = 3**20000
    script = "import sys\ndef main(x): return [x == 3**20000, sys.get_int_max_str_digits(), sys.getrecursionlimit()]"
    assert raw(service, script, b'"input": ' + digits_of(number)).result == [True, 4300, 1000]


def test_args_and_kwargs(service):
    assert service.run(CALL, args=[1, "é", 2**70]).result == [[1, "é", 2**70], {}]
    assert service.run(CALL, kwargs={"a": [1], "not a name": 2, "\ud800": 3}).result == [[], {"a": [1], "not a name": 2, "\ud800": 3}]
    assert service.run(CALL, args=[[]], kwargs={"a": None}).result == [[[]], {"a": None}]
    assert service.run(CALL, args=[], kwargs={}).result == [[], {}]
    assert service.run("def main(a, /, b=2, *, c): return [a, b, c]", args=[1], kwargs={"c": 3}).result == [1, 2, 3]


def test_input_is_one_positional_argument(service):
    assert service.run(CALL, input=[1, 2]).result == [[[1, 2]], {}]
    assert service.run(CALL, input={"a": 1}).result == [[{"a": 1}], {}]
    assert service.run(CALL, input=False).result == [[False], {}]


@pytest.mark.parametrize("keys", [{}, {"input": None}, {"args": None, "kwargs": None}, {"input": None, "stdin": None, "seed": None, "limits": None}])
def test_null_is_as_good_as_missing(service, keys):
    assert service.run("def main(*args, **kwargs): return len(args) + len(kwargs) + 1", **keys).body == ONE


@pytest.mark.parametrize(
    "script, keys, error",
    [
        ("def main(): pass", {"input": 1}, "TypeError: main() takes 0 positional arguments but 1 was given"),
        ("def main(x): pass", {}, "TypeError: main() missing 1 required positional argument: 'x'"),
        ("def main(x): pass", {"args": [1, 2]}, "TypeError: main() takes 1 positional argument but 2 were given"),
        ("def main(x): pass", {"kwargs": {"y": 1}}, "TypeError: main() got an unexpected keyword argument 'y'"),
        ("def main(x): pass", {"args": [1], "kwargs": {"x": 1}}, "TypeError: main() got multiple values for argument 'x'"),
    ],
)
def test_a_main_that_does_not_take_what_it_is_given(service, script, keys, error):
    answer = service.run(script, **keys)
    assert (answer.status, answer.outcome, answer.json) == (400, "exception", {"error": error})
    details = service.run(script, details=True, **keys).json["exception"]
    assert (details["type"], details["line"]) == ("TypeError", None)


def test_a_script_without_main_or_with_an_error_is_that_first(service):
    assert service.run("x = 1", input=1).outcome == "no_main"
    assert service.run("def main(:", input=1).error.startswith("SyntaxError")
    assert service.run("main = lambda x: x + 1", input=1).result == 2


@pytest.mark.parametrize("keys", [{"args": []}, {"kwargs": {}}, {"args": [1], "kwargs": {"a": 1}}])
def test_input_excludes_args_and_kwargs(service, keys):
    refused(service.run(CALL, input=1, **keys), "'input'", "'args'", "'kwargs'")


def test_ten_megabytes_of_input(start):
    """One copy beside the body, for as long as it takes to hand it over, and nothing is left of it."""
    one = start("--workers=1")
    one.assert_well()
    before = resident_kb(one.server_pid)
    text = "0123456789" * MIB
    answer = one.run("def main(x): return [len(x), x[:3], x == '0123456789' * (len(x) // 10)]", input=text, details=True)
    assert answer.result == [10 * MIB, "012", True]
    peak = int(status_field(one.server_pid, "VmHWM").split()[0])
    print(f"the server had {before} KiB, {peak} KiB at most, {resident_kb(one.server_pid)} KiB in the end;",
          f"the worker {answer.json['usage']['memory_peak_kb']} KiB at most")
    assert peak - before < 25 * 1024 or SANITIZED
    assert answer.json["usage"]["memory_peak_kb"] < 45 * 1024 or SANITIZED
    assert wait_until(lambda: resident_kb(one.server_pid) < before + 4096, 2) or SANITIZED


def test_what_decoding_takes_is_the_runs_own(service):
    """Five million lists are 300 MiB, of whatever size their text is."""
    answer = raw(service, "def main(x): return len(x)", b'"input": [' + b"[]," * 5_000_000 + b"0]")
    assert (answer.outcome, answer.status) in [("memory", 400), ("memory", 500)], answer
    wide = b'"input": "\xf0\x9f\x90\x8d' + b"a" * 12_000_000 + b'", "limits": {"memory_mb": 16}'  # four bytes a character
    assert raw(service, ECHO, wide).outcome == "memory"
    begin = time.monotonic()
    assert raw(service, ECHO, b'"input": ' + b"9" * 3_000_000 + b', "limits": {"wall_ms": 400}').outcome == "timeout"
    assert time.monotonic() - begin < 3
    service.assert_well()


# --- stdin ------------------------------------------------------------------------------------------

READERS = [
    "import sys\ndef main(): return sys.stdin.read()",
    "import sys\ndef main(): return sys.stdin.buffer.read().decode()",
    "import sys\ndef main(): return ''.join(sys.stdin)",
    "import sys\ndef main(): return sys.__stdin__.read()",
    "def main(): return open(0, newline='').read()",
    "import os\ndef main():\n    all = b''\n    while (some := os.read(0, 1000000)): all += some\n    return all.decode()",
    "def main():\n    lines = []\n    try:\n        while True: lines.append(input())\n    except EOFError: return '\\n'.join(lines)",
]


@pytest.mark.parametrize("script", READERS)
@pytest.mark.parametrize("text", ["", "x", "héllo\n世界 \U0001f40d\0", "a\n\nb"])
def test_stdin_is_this_text_and_then_ends(service, script, text):
    assert service.run(script, stdin=text).result == text


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 7 * MIB])
@pytest.mark.parametrize("read", ["sys.stdin.buffer.read()", "sys.stdin.read().encode()", "b''.join(iter(lambda: os.read(0, 777777), b''))"])
def test_stdin_of_any_size(service, size, read):
    text = ("0123456789abcde\n" * (size // 16 + 1))[:size]
    script = f"import hashlib, os, sys\ndef main():\n    all = {read}\n    return [len(all), hashlib.md5(all).hexdigest(), len(os.read(0, 1))]"
    assert service.run(script, stdin=text).result == [size, hashlib.md5(text.encode()).hexdigest(), 0]


def test_stdin_comes_whatever_the_script_does_with_it(service):
    big = "x" * (8 * MIB)
    assert service.run("def main(): return 1", stdin=big).body == ONE
    assert service.run("import os\ndef main(): os.close(0); return 1", stdin=big).body == ONE
    assert service.run("import os\ndef main(): return len(os.read(0, 5)) - 4", stdin=big).body == ONE
    assert service.run("import os, time\ndef main(): os.close(0); time.sleep(0.2); return 1", stdin=big).body == ONE
    assert service.run("while True: pass", stdin=big, limits={"wall_ms": 300}).outcome == "timeout"
    assert service.run("import sys\nfor line in sys.stdin: pass\ndef main(): return input()", stdin=big).error == "EOFError: EOF when reading a line"
    answer = service.run("import sys\ndef main():\n    for line in sys.stdin: print(line, end='')", stdin="0123456789abcde\n" * 60_000)
    assert answer.stdout == "0123456789abcde\n" * 60_000
    assert service.run("def main(): return [input('a? '), input('b? ')]", stdin="1\n2").body == b'{"result": ["1", "2"], "stdout": "a? b? "}'
    service.assert_well()


def test_a_slow_reader_holds_up_nobody(start):
    one = start("--workers=2")
    slow = "import os, time\ndef main():\n    n = 0\n    while (some := os.read(0, 65536)): n += len(some); time.sleep(0.002)\n    return n"
    answers = together(lambda: one.run(slow, stdin="x" * (4 * MIB)), *[lambda: one.run("def main(): return 1")] * 20)
    assert answers[0].result == 4 * MIB and all(answer.body == ONE for answer in answers[1:])


def test_stdin_is_empty_without_it(service):
    for keys in ({}, {"stdin": ""}, {"input": None}):
        script = "import os, sys\ndef main(*x): return [sys.stdin.read(), os.read(0, 9).decode(), sys.stdin.isatty()]"
        assert service.run(script, **keys).result == ["", "", False]
    assert service.run("def main(): return input()").error == "EOFError: EOF when reading a line"


@pytest.mark.parametrize("half", [rb"\ud800", rb"\udc00x", rb"a\ud83d\u0041"])
def test_half_of_a_surrogate_pair_has_no_bytes(service, half):
    refused(raw(service, ECHO, b'"stdin": "' + half + b'"'), "stdin", "surrogate")


# --- seed -------------------------------------------------------------------------------------------

DRAW = (
    "import random\nimport numpy as np\nimport pandas as pd\ndef main():\n"
    "    return [random.random(), random.gauss(0, 1), random.sample(range(1000), 5), np.random.rand(3).tolist(), float(np.random.normal()),\n"
    "            pd.Series(range(100)).sample(5).tolist()]"
)


def test_a_seed_makes_runs_the_same(service):
    for seed in (0, 1, 2**32, 2**63 - 1):
        assert service.run(DRAW, seed=seed).body == service.run(DRAW, seed=seed).body
    assert service.run(DRAW, seed=1).body != service.run(DRAW, seed=2).body
    assert service.run(DRAW).body != service.run(DRAW).body


def test_a_seed_is_the_one_of_these_functions(service):
    script = "import random, numpy as np\ndef main(): return [random.random(), int(np.random.get_state()[1][0])]"
    for seed in (7, 2**32 + 7, 2**63 - 1):
        assert service.run(script, seed=seed).result == [random.Random(seed).random(), seed % 2**32]


def test_what_a_seed_does_not_make_the_same(service):
    script = "import numpy as np, secrets, uuid\ndef main(): return [secrets.token_hex(), str(uuid.uuid4()), float(np.random.default_rng().random())]"
    once, again = service.run(script, seed=1).result, service.run(script, seed=1).result
    assert all(one != other for one, other in zip(once, again))


def test_a_seed_without_numpy(start):
    one = start("--preload=")
    script = "import random\ndef main(): return random.random()"
    assert one.run(script, seed=5).body == one.run(script, seed=5).body != one.run(script).body


@pytest.mark.parametrize("seed", ["-1", "1.0", "1e2", '"1"', "true", "[]", "{}", "9223372036854775808", "1" * 50])
def test_seeds_that_are_none(service, seed):
    refused(raw(service, ECHO, b'"seed": ' + seed.encode()), "'seed' must be an integer from 0 to 9223372036854775807")


# --- limits -----------------------------------------------------------------------------------------


def shown(answer):
    limits = answer.json["limits"]
    return [limits[key] for key in ("wall_ms", "cpu_ms", "memory_mb", "stdout_kb")]


@pytest.fixture(scope="module")
def generous():
    one = Service("--wall-ms=500", "--cpu-ms=1000", "--memory-mb=64", "--stdout-kb=2", "--max-wall-ms=9000", "--max-cpu-ms=3000",
                  "--max-memory-mb=256", "--max-output-kb=4")
    yield one
    one.stop()


def test_limits_are_shown_as_they_hold(service, generous):
    assert shown(service.run("def main(): pass", details=True)) == [5000, 5000, 256, 1024]
    assert shown(service.run("def main(): pass", details=True, limits={})) == [5000, 5000, 256, 1024]
    every = {"wall_ms": 1000, "cpu_ms": 2000, "memory_mb": 32, "output_kb": 1}
    assert shown(service.run("def main(): pass", details=True, limits=every)) == [1000, 2000, 32, 1]
    assert shown(generous.run("def main(): pass", details=True)) == [500, 1000, 64, 2]
    assert shown(generous.run("def main(): pass", details=True, limits={"wall_ms": 9000, "output_kb": 4})) == [9000, 1000, 64, 4]


def test_less_time(service):
    answer = service.run("import time\ndef main(): time.sleep(60)", limits={"wall_ms": 300})
    assert (answer.status, answer.outcome, answer.body) == (500, "timeout", b'{"error": "Execution failed"}')
    assert 0.25 < answer.seconds < 4.5
    answer = service.run("def main():\n    while True: pass", limits={"cpu_ms": 1000}, details=True)
    assert answer.outcome == "timeout" and 700 < answer.json["usage"]["cpu_user_ms"] + answer.json["usage"]["cpu_system_ms"] < 2500


@unsanitized
def test_less_memory(service):
    script = "def main():\n    all = []\n    while len(all) < 200: all.append(bytearray(b'x' * 1048576))\n    return 1"
    assert service.run(script).body == ONE
    assert service.run(script, limits={"memory_mb": 32}).outcome == "memory"
    service.assert_well()


def test_less_output(service):
    answer = service.run("def main(): print('x' * 5000)", limits={"output_kb": 1}, details=True).json
    assert answer["stdout"] == "x" * 1024 and answer["stdout_truncated"] is True


@unsanitized
def test_more_where_the_operator_lets_them(generous):
    nap = "import time\ndef main(): time.sleep(1); return 1"
    assert generous.run(nap).outcome == "timeout"
    assert generous.run(nap, limits={"wall_ms": 9000}).body == ONE
    spin = "import time\ndef main():\n    while time.process_time() < 1.3: pass\n    return 1"
    assert generous.run(spin, limits={"wall_ms": 9000, "cpu_ms": 3000}).body == ONE
    fill = "def main():\n    all = bytearray(b'x' * (100 << 20)); return 1"
    assert generous.run(fill, limits={"wall_ms": 9000}).outcome == "memory"
    assert generous.run(fill, limits={"wall_ms": 9000, "memory_mb": 256}).body == ONE
    assert len(generous.run("def main(): print('x' * 9999)", limits={"output_kb": 4}).stdout) == 4096
    assert len(generous.run("def main(): print('x' * 9999)").stdout) == 2048


@pytest.mark.parametrize(
    "key, least, most, most_of_generous", [("wall_ms", 1, 5000, 9000), ("cpu_ms", 1, 5000, 3000), ("memory_mb", 16, 256, 256), ("output_kb", 1, 1024, 4), ("scratch_mb", 1, 64, 64)]
)
def test_the_bounds_of_limits(service, generous, key, least, most, most_of_generous):
    for one, bound in ((service, most), (generous, most_of_generous)):
        error = refused(one.run(ECHO, limits={key: bound + 1}))
        assert error == f"Invalid input: limits.{key} is {bound + 1}, the most is {bound}."
        error = refused(one.run(ECHO, limits={key: least - 1}))
        assert error == f"Invalid input: limits.{key} is {least - 1}, the least is {least}."
        assert one.run("def main(): return 1", limits={"wall_ms": 5000, key: bound}).body == ONE


@pytest.mark.parametrize("value", [1.5, "1", True, [], {}, [1]])
def test_limits_are_integers(service, value):
    refused(service.run(ECHO, limits={"wall_ms": value}), "limits.wall_ms must be an integer")


@pytest.mark.parametrize("key", ["wal_ms", "WALL_MS", "wall_ms ", "wall-ms", "", "scratch_kb", "stdout_kb", "result_kb", "é\"\\", "x" * 5000])
def test_a_misspelt_limit_does_not_pass_for_one(service, key):
    refused(service.run("def main(): return 1", limits={"wall_ms": 100, key: 1}), "limits has no ", "wall_ms")


# --- Types, and the plain contract ------------------------------------------------------------------


@pytest.mark.parametrize(
    "key, good, words", [("args", list, "an array"), ("kwargs", dict, "an object"), ("stdin", str, "a string"), ("limits", dict, "an object")]
)
@pytest.mark.parametrize("value", [1, 1.5, True, False, "x", [1], {"a": 1}])
def test_wrong_types(service, key, good, words, value):
    if not isinstance(value, good):
        assert refused(service.run(CALL, **{key: value})) == f"Invalid input: '{key}' must be {words}."


@pytest.mark.parametrize(
    "script",
    ["def main(): return {'a': [1, 2.5, None]}", "def main(): print('hi'); return 1", "x = 1", "def main(): return 1 / 0", "def main(): return {1}",
     "import sys\ndef main(): sys.exit()", "def main(x): return x", "import sys\ndef main(): return sys.stdin.read()", "def main(:"],
)
def test_the_plain_contract_is_what_it_was(service, script):
    """Byte for byte, with keys that nobody knows, that are not there, or that ask for what is anyway."""
    plain = service.run(script)
    for keys in ({"Input": 1, "arg": 2, "seeds": 3, "limit": {"wall_ms": 1}, "x": {"input": 1}}, {"args": []}, {"kwargs": {}}, {"stdin": ""},
                 {"limits": {}}, {"seed": 5}, {"input": None}, {"limits": {"wall_ms": 5000}}):
        answer = service.run(script, **keys)
        assert (answer.status, answer.outcome, answer.body) == (plain.status, plain.outcome, plain.body), keys
        assert set(answer.headers) == set(plain.headers)


# --- Hostile ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")])
def test_input_as_deep_as_it_may_be(service, start, opening, closing):
    script = "def main(x):\n    n = 0\n    while x: x = x[0] if type(x) is list else x['a']; n += 1\n    return n"
    assert raw(service, script, b'"input": ' + opening * 63 + b"0" + closing * 63).result == 63
    refused(raw(service, script, b'"input": ' + opening * 64 + b"0" + closing * 64), "nested too deeply")
    one = start("--json-depth=1000")
    assert raw(one, script, b'"input": ' + opening * 999 + b"0" + closing * 999).result == 999
    refused(raw(one, script, b'"input": ' + opening * 1000 + b"0" + closing * 1000), "nested too deeply")


def test_keys_repeated_without_end(service):
    many = b'"\\u0061rgs": {}, ' * 600_000
    assert raw(service, CALL, many + b'"args": [1]').result == [[1], {}]
    assert raw(service, ECHO, b'"input": {' + b'"k": 1,' * 1_000_000 + b'"k": 2}').result == {"k": 2}
    assert raw(service, "def main(): return 1", b'"limits": {' + b'"wall_ms": "x", ' * 600_000 + b'"wall_ms": 2000}').body == ONE
    service.assert_well()


def test_fd_0_and_the_channel_hold_nothing_else(service):
    """Of the request a script finds what its stdin is, and nothing behind its job on the channel."""
    script = (
        "import os, select, fcntl, stat\nMARK = 'needle'\ndef main(x=None):\n    found = {}\n"
        "    for fd in range(64):\n        try: mode = os.fstat(fd).st_mode\n        except OSError: continue\n"
        "        poll = select.poll(); poll.register(fd, select.POLLIN)\n"
        "        data = os.read(fd, 1 << 20) if fd in (0, 3) and poll.poll(1000) else b''\n"
        "        found[fd] = [stat.S_ISFIFO(mode), data.decode()]\n"
        "    try: os.write(0, b'x'); found['wrote'] = True\n    except OSError: pass\n    return found"
    )
    answer = service.run(script, stdin="needed", input=["needle"]).result
    assert answer["0"] == [True, "needed"] and answer["3"][1] == "" and set(answer) == {"0", "1", "2", "3"}, answer
    answer = service.run(script, input=["needle"]).result
    assert answer["0"] == [False, ""] and answer["3"][1] == "" and set(answer) <= {"0", "1", "2", "3", "wrote"}, answer


def test_a_script_that_breaks_json_breaks_only_itself(service):
    script = (
        "import builtins, json, sys\njson.loads = json.JSONDecoder = json.decoder.JSONDecoder = json.decoder.scanstring = None\n"
        "builtins.len = builtins.tuple = None\nsys.setrecursionlimit(50)\ndef main(x): return x"
    )
    assert service.run(script, input={"a": [1, 2**70]}).result == {"a": [1, 2**70]}
    service.assert_well()


def test_many_large_requests_wait_within_bounds(start):
    """What waits is counted among the bytes that are held: beyond sixteen bodies the answer is 503."""
    one = start("--workers=1", "--body-kb=1024", "--queue=100")
    answers = together(*[lambda: one.run("import time\ndef main(x): time.sleep(0.05); return len(x)", input="x" * 900_000)] * 40)
    assert {answer.status for answer in answers} <= {200, 503}
    assert sum(answer.status == 200 for answer in answers) >= 10
    assert any("large" in answer.error for answer in answers if answer.status == 503)
    one.assert_well()


@needs_poverty
def test_where_no_namespaces_are_granted(start):
    one = start("--scratch-mb=1", poor=True)
    script = "import os, sys\ndef main(x): return [x, len(sys.stdin.buffer.read()), os.listdir('/tmp')]"
    assert one.run(script, input=2**70, stdin="x" * (8 * MIB), seed=1, limits={"memory_mb": 128}).result == [2**70, 8 * MIB, []]
    one.assert_well()
