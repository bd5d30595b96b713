"""Request bodies: what is taken, what is refused, and with which words."""
import json

import pytest
from service import order

GOOD = "def main(): return 1"
ONE = b'{"result": 1, "stdout": ""}'


def refused(service, body, status=400):
    answer = service.post(body)
    assert answer.status == status, answer
    assert set(answer.json) == {"error"} and answer.outcome is None
    if status == 400:
        assert answer.error.startswith("Invalid input: "), answer
    return answer.error


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"this is not json",
        b'{"script": "def main(): return 1"',
        b'{"script": "def main(): return 1',
        b'{"script": "def main(): return 1"} x',
        b'{"script": "def main(): return 1"}{"script": ""}',
        b'{"script": "def main():\n    return 1"}',
        b'{"script": "tab\there"}',
        b'{"script": "nul\x00here"}',
        b"{'script': 'def main(): return 1'}",
        b'{script: "x"}',
        b'{"script": "x",}',
        b'{"script" "x"}',
        b'{"script": "\\x41"}',
        b'{"script": "\\u12"}',
        b'{"script": "x", "n": NaN}',
        b'{"script": "x", "n": Infinity}',
        b'{"script": "x", "n": 01}',
        b'{"script": "x", "n": 1.}',
        b'{"script": "x", "n": +1}',
        b'{"script": "x", "n": tru}',
        b'{"script": "x" /* note */}',
        b'{"script": "\xff"}',
        b'{"script": "\xc0\xaf"}',
        b'{"script": "\xed\xa0\x80"}',
        b'{"\xff": 1, "script": "x"}',
        b'\xef\xbb\xbf{"script": "def main(): return 1"}',
        '{"script": "def main(): return 1"}'.encode("utf-16"),
        b"\x00" * 100,
        b'{"script":"def main(): return {"hello": "world"}"}',
    ],
)
def test_what_is_not_json(service, body):
    refused(service, body)


@pytest.mark.parametrize("body", [b"123", b"null", b"true", b"[]", b'["script"]', b'"script"', b'[{"script": "x"}]'])
def test_what_is_not_an_object(service, body):
    assert "object" in refused(service, body)


@pytest.mark.parametrize("body", [b"{}", b'{"code": "x"}', b'{"Script": "x"}', b'{" script": "x"}', b'{"scripts": "x"}', b'{"": "x"}'])
def test_a_script_that_is_missing(service, body):
    assert "'script' is missing" in refused(service, body)


@pytest.mark.parametrize("value", ["123", "null", "true", "[]", '["def main(): return 1"]', '{"a": 1}', "1.5"])
def test_a_script_that_is_no_string(service, value):
    assert "'script' must be a string" in refused(service, b'{"script": %s}' % value.encode())


@pytest.mark.parametrize("value", ["1", "null", '"true"', "[]", "{}"])
def test_details_must_be_a_boolean(service, value):
    assert "details" in refused(service, b'{"script": "x = 1", "details": %s}' % value.encode())


@pytest.mark.parametrize("half", [r"\ud800", r"\udfff", r"\ud83dx", r"\ude00\ud83d"])
def test_half_a_surrogate_pair_is_no_text(service, half):
    refused(service, b'{"script": "def main(): return \'%s\'"}' % half.encode())


def test_the_last_of_duplicate_keys_wins(service):
    body = b'{"script": "def main(): return 1", "script": "def main(): return 2"}'
    assert service.post(body).result == 2
    assert service.post(b'{"script": 5, "script": "def main(): return 1"}').body == ONE
    refused(service, b'{"script": "def main(): return 1", "script": 5}')
    assert service.post(b'{"script": "def main(): return 1", "details": true, "details": false}').body == ONE


def test_unknown_keys_are_ignored(service):
    assert service.run(GOOD, timeout_ms=1, language="python", nested={"script": "x", "a": [[[]]]}).body == ONE
    assert service.post(b'{"script": "def main(): return 1", "n": [1e400, -0, 1E+2]}').body == ONE


def test_an_escaped_key_is_that_key(service):
    assert service.post(rb'{"\u0073cr\u0069pt": "def main(): return 1"}').body == ONE
    assert "outcome" in service.post(rb'{"script": "def main(): return 1", "d\u0065tails": true}').json


def test_all_escapes_of_a_string(service):
    text = 'a/b\tc"d\\e\b\f\n\ré\U0001f40d'
    body = rb'{"script": "def main(): return \"a\/b\\tc\\\"d\\\\e\\b\\f\\n\\r\u00e9\ud83d\udc0d\""}'
    assert service.post(body).result == text


def test_raw_and_escaped_utf8_are_the_same(service):
    script = "def main(): return 'h\u00e9llo \u4e16\u754c \U0001f40d'"
    raw = json.dumps({"script": script}, ensure_ascii=False).encode("utf-8")
    assert service.post(raw).body == service.run(script).body


def test_white_space_around(service):
    assert service.post(b' \r\n\t{ "script" :\n"def main(): return 1" , "x" : [ ] } \r\n').body == ONE


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded",
     "multipart/form-data; boundary=x", "nonsense"],
)
def test_the_content_type_is_not_looked_at(service, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    assert service.post(order(GOOD), headers).body == ONE


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
@pytest.mark.parametrize("depth", [65, 1025, 100_000])
def test_deep_nesting_is_refused(service, depth, opening, closing):
    refused(service, opening * depth + closing * depth)
    refused(service, b'{"script": "def main(): return 1", "x": ' + opening * depth + b"1" + closing * depth + b"}")
    refused(service, b'{"script": "def main(): return 1", "x": ' + opening * depth)


def test_nesting_up_to_the_limit_is_taken(service):
    inner = 63  # the object itself is a level
    assert service.post(b'{"script": "def main(): return 1", "x": ' + b"[" * inner + b"]" * inner + b"}").body == ONE
    refused(service, b'{"script": "def main(): return 1", "x": ' + b"[" * 64 + b"]" * 64 + b"}")


def test_nul_in_the_script(service):
    answer = service.run("def main(): return 'a\0b'")
    assert (answer.status, answer.outcome) == (400, "exception") and "null bytes" in answer.error


def test_an_encoding_cookie_changes_nothing(service):
    assert service.result("# -*- coding: utf-7 -*-\ndef main(): return '+AGEAYg-\u00e9'") == "+AGEAYg-\u00e9"
    assert service.result("#!/usr/bin/python3\n# coding: no-such-codec\ndef main(): return '\u00e9'") == "\u00e9"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(service, end):
    assert service.result(end.join(["def main():", "    x = 1", "    return x", ""])) == 1


# --- Sizes ------------------------------------------------------------------------------------------


def padded(size):
    """A script of so many bytes."""
    return "#" + "x" * (size - len(GOOD) - 2) + "\n" + GOOD


MIB = 1 << 20


def test_a_script_of_one_mebibyte_is_taken_and_no_byte_more(service):
    assert len(padded(MIB)) == MIB
    assert service.run(padded(MIB)).body == ONE
    error = refused(service, order(padded(MIB + 1)), 413)
    assert str(MIB) in error and str(MIB + 1) in error


def test_the_size_of_a_script_is_counted_in_utf8_bytes(service):
    assert service.run("#" + "\u4e16" * 340_000 + "\n" + GOOD).body == ONE
    refused(service, order("#" + "\u4e16" * 350_000 + "\n" + GOOD), 413)


def test_the_body_may_be_much_larger_than_the_script(service):
    assert service.run(GOOD, ignored="y" * (15 * MIB)).body == ONE


@pytest.mark.parametrize("size", [16 * MIB + 1, 17 * MIB, 40 * MIB])
def test_a_body_that_is_too_large(service, size):
    answer = service.post(b"[" + b" " * (size - 1))
    assert answer.status == 413, answer
    assert str(16 * MIB) in answer.error and answer.outcome is None
    service.assert_well()


def test_a_body_of_just_the_limit_is_read(service):
    body = order(GOOD)
    assert service.post(body + b" " * (16 * MIB - len(body))).body == ONE


def test_smaller_limits(start):
    one = start("--script-kb=1", "--body-kb=2", "--json-depth=3")
    assert one.run(padded(1024)).body == ONE
    refused(one, order(padded(1025)), 413)
    refused(one, order(GOOD) + b" " * 2048, 413)
    assert one.run(GOOD, x=[[]]).body == ONE
    refused(one, order(GOOD, x=[[[]]]))
