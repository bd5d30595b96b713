"""server/json against Python's json and against jansson, over texts that are generated, and then spoilt, and over the kinds
of texts that parsers are known to differ on (json_kinds.py).

Python is asked strictly, and told to forget three liberties of its own, the known differences:
- it takes NaN, Infinity and -Infinity: parse_constant raises here;
- it detects UTF-16, UTF-32 and a byte order mark in bytes: the bytes are decoded as UTF-8 here;
- it refuses integers of more than 4300 digits, and recursion of its own measure: integers are kept as
  text here, and no text is nested deeply enough to meet the other.
A nesting limit it does not have, and server/json reads no further than the first bracket beyond its own.
So the two are asked whether all before that bracket was in order.

jansson is strict as it is. What it has no value for it refuses in words of its own, which are the known differences: half of
a surrogate pair, a number beyond a double's range, U+0000 in a key.
"""
import ctypes
import json
import os
import random
import re
import struct
import subprocess

import json_kinds
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(os.environ.get("BUILD") or os.path.join(ROOT, "build"), "tests", "unit", "json_tool")
DEPTH = 4
CLOSING = {ord("["): ord("]"), ord("{"): ord("}")}
STRINGS = [
    b"", b"a", b"key", b"\xc3\xa9", b"\xe4\xb8\x96", b"\xf0\x9f\x98\x80", b"\xed\x9f\xbf", b"\xf4\x8f\xbf\xbf", b"\x7f",
    b"\\n", b"\\\"", b"\\\\", b"\\/", b"\\u0000", b"\\ud800", b"\\udFff", b"\\uD83D\\uDE00", b"{", b"]", b",", b":",
]
NUMBERS = [
    b"0", b"-0", b"1", b"-12", b"1.5", b"0.0e0", b"1E+400", b"-1e-400", b"2e5", b"9" * 40, b"1" * 5000, b"1." + b"3" * 50,
]
SCRAPS = [
    b"", b" ", b"\t", b"\n", b"\r", b"\x00", b"\x0b", b"\x0c", b"\x1f", b"\xa0", b"\xc2\xa0", b"\xef\xbb\xbf", b"\xe2\x80\xa8",
    b"\"", b"'", b"\\", b"\\x", b"\\u", b"\\u12", b"\\u00g0", b"\\U0041", b"{", b"}", b"[", b"]", b",", b":", b",,", b"-", b"+",
    b".", b"e", b"E+", b"0", b"00", b"01", b"1_0", b"0x1", b"1f", b"NaN", b"Infinity", b"-Infinity", b"nan", b"true", b"tru",
    b"True", b"null", b"nul", b"None", b"//", b"/**/", b"#", b"\xff", b"\xc0\x80", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\xe0\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xd9\xa1", b"\xef\xbc\x91",
]


def space(rng):
    return b"".join(rng.choice([b"", b"", b"", b" ", b"\t", b"\n", b"\r"]) for _ in range(2))


def string(rng):
    return b'"' + b"".join(rng.choice(STRINGS) for _ in range(rng.randrange(4))) + b'"'


def value(rng, levels):
    kind = rng.randrange(8 if levels > 0 else 4)
    if kind < 4:
        return [string(rng), rng.choice(NUMBERS), rng.choice([b"true", b"false", b"null"]), rng.choice(NUMBERS)][kind]
    items = [value(rng, levels - 1) for _ in range(rng.randrange(4))]
    if kind < 6:
        opening, closing = b"[", b"]"
    else:
        opening, closing = b"{", b"}"
        items = [string(rng) + space(rng) + b":" + space(rng) + item for item in items]
    inside = b",".join(space(rng) + item + space(rng) for item in items) or space(rng)
    return opening + inside + closing


def spoil(rng, text):
    at = rng.randrange(len(text) + 1)
    end = min(len(text), at + rng.choice([0, 1, 1, 2, 5]))
    kind = rng.randrange(5)
    if kind == 0:
        return text[:at]
    if kind == 1:
        return text[:at] + text[end:]
    if kind == 2:
        return text[:at] + text[at:end] * 2 + text[end:]
    if kind == 3:
        return text[:at] + bytes([rng.randrange(256)]) + text[end:]
    return text[:at] + rng.choice(SCRAPS) + text[end:]


def texts(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        text = space(rng) + value(rng, rng.randrange(DEPTH + 3)) + space(rng)
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            text = spoil(rng, text)
        yield text


def refuse(word):
    raise ValueError(word)


def python_takes(text):
    try:
        json.loads(text.decode("utf-8"), parse_constant=refuse, parse_int=str)
    except ValueError:
        return False
    return True


class JanssonError(ctypes.Structure):
    """json_error_t"""

    _fields_ = [("line", ctypes.c_int), ("column", ctypes.c_int), ("position", ctypes.c_int),
                ("source", ctypes.c_char * 80), ("text", ctypes.c_char * 160)]


JANSSON = ctypes.CDLL("libjansson.so.4")
JANSSON.json_loadb.restype = ctypes.c_void_p
JANSSON.json_loadb.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(JanssonError)]
JANSSON.json_delete.argtypes = [ctypes.c_void_p]
ANY_VALUE, INTEGERS_AS_REALS, NUL = 0x4, 0x8, 0x10
HAS_NO_VALUE = (b"invalid Unicode '\\u", b"real number overflow", b"NUL byte in object key")


def jansson_takes(text):
    """None where it has no value for what is in it, and so does not say. It takes a NUL behind a number or a word for nothing."""
    if re.search(rb"\w\x00", text):
        return None
    error = JanssonError()
    value = JANSSON.json_loadb(text, len(text), ANY_VALUE | INTEGERS_AS_REALS | NUL, error)
    if value is None:
        return None if error.text.startswith(HAS_NO_VALUE) else False
    JANSSON.json_delete(value)
    return True


def too_deep(text):
    """What stands before the first bracket beyond DEPTH, with a 0 in that bracket's place and all that is
    open closed; None where no bracket is beyond."""
    stack = []
    for at, sign in enumerate(re.sub(rb'"(?:[^"\\]|\\.)*"', lambda match: b" " * len(match[0]), text, flags=re.S)):
        if sign in CLOSING:
            if len(stack) == DEPTH:
                return text[:at] + b" 0" + bytes(reversed(stack))
            stack.append(CLOSING[sign])
        elif stack and sign == stack[-1]:
            stack.pop()
    return None


def expected(text, takes=python_takes):
    short = too_deep(text)
    taken = takes(text if short is None else short)
    return None if taken is None else "invalid" if not taken else "ok" if short is None else "deep"


def ask(sample, mode=str(DEPTH)):
    stream = b"".join(struct.pack("=I", len(text)) + text for text in sample)
    result = subprocess.run([TOOL, mode], input=stream, stdout=subprocess.PIPE, check=True, timeout=60)
    return result.stdout.decode().split("\n")[:-1]


def compare(sample):
    answers = ask(sample)
    assert len(answers) == len(sample)
    wrong = [(text, answer) for text, answer in zip(sample, answers) if answer != expected(text)]
    assert not wrong, wrong[:5]
    others = [expected(text, jansson_takes) for text in sample]
    wrong = [(text, answer, other) for text, answer, other in zip(sample, answers, others) if other not in (None, answer)]
    assert not wrong, wrong[:5]
    assert others.count(None) < len(sample) / 3 or len(sample) < 20
    return answers


def test_generated_and_spoilt_texts():
    answers = compare(list(texts(12000, seed=20)))
    # A generator that makes only one kind would agree on anything.
    for word in ("ok", "invalid", "deep"):
        assert answers.count(word) > 100, (word, answers.count(word))


def test_every_scrap_in_every_place():
    compare([text[:at] + scrap + text[at:]
             for text in (b'{"a": [1, {"b\\n": -2.5e3}], "c": null}', b'[[], {}, "\xc3\xa9", true]')
             for at in range(len(text) + 1) for scrap in SCRAPS])


def test_every_text_of_three_signs():
    signs = [bytes([sign]) for sign in b'[]{},:"01-.eE+\\n \x00\xc3']
    compare([a + b + c for a in signs + [b""] for b in signs + [b""] for c in signs])


@pytest.mark.parametrize("kind, texts, answer", json_kinds.all_kinds(), ids=lambda item: item if isinstance(item, str) else "")
def test_kinds_that_parsers_differ_on(kind, texts, answer):
    assert [(text, said) for text, said in zip(texts, compare(texts)) if said != answer] == []


def meaning(text):
    try:
        return json.loads(text).encode("utf-8").hex()
    except UnicodeEncodeError:
        return "half"


def test_what_strings_mean():
    rng = random.Random(21)
    units = [b"\\u%04x" % unit for unit in (0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF)]
    pieces = STRINGS[:17] + [b"\\" + bytes([letter]) for letter in b"bfrt"] + units + [unit.upper().replace(b"U", b"u") for unit in units]
    sample = [b'"' + b"".join(rng.choice(pieces) for _ in range(rng.randrange(6))) + b'"' for _ in range(12000)]
    answers = ask(sample, "strings")
    wrong = [(text, answer) for text, answer in zip(sample, answers) if answer != meaning(text)]
    assert len(answers) == len(sample) and not wrong, wrong[:5]
    assert 1000 < answers.count("half") < 11000
