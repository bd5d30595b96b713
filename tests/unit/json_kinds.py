"""Kinds of texts that parsers of JSON are known to differ on, with examples of each: what everybody must take, what nobody
may, and what is left open (RFC 8259), for which it says what server/json does and why.
"""

TAKEN = {
    "blanks around and between": [b" [ ] ", b"[1\n]", b"\t{\r\n}\t", b"[[] ,[ ]]", b"1 ", b" \"x\"\n"],
    "values alone": [b"true", b"false", b"null", b"\"\"", b"7", b"-0.25", b"[]", b"{}"],
    "arrays": [b"[null]", b"[1,\"a\",{},[],true]", b"[[[]]]", b"[\"\"]", b"[1,null,null,2]"],
    "integers": [b"[0]", b"[-0]", b"[-1]", b"[10]", b"[-987]"],
    "fractions": [b"[0.5]", b"[-0.0]", b"[12.340]", b"[0." + b"0" * 70 + b"1]"],
    "exponents": [b"[1e5]", b"[1E5]", b"[1e+5]", b"[1E-5]", b"[0e0]", b"[0E+9]", b"[1.5e-07]", b"[2e00]"],
    "keys": [b'{"":0}', b'{"a":1,"b":2}', b'{"\\u0061":1}', b'{"a b":[]}', b'{ "k" : { } }'],
    "a key that is there twice": [b'{"a":1,"a":2}', b'{"a":1,"a":1}', b'{"a":[],"\\u0061":{}}'],
    "escapes": [b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', b'"\\u0000"', b'"\\u000a"', b'"\\u00e9\\uABCD"', b'"\\\\u0000"', b'"\\\\n"'],
    "pairs of surrogates": [b'"\\ud834\\udd1e"', b'"\\uD83D\\uDE00x"', b'"\\udbff\\udfff"', b'"\\ud800\\udc00"'],
    "UTF-8 of each length": [b'"\x7f"', b'"\xc2\x80"', b'"\xe0\xa0\x80"', b'"\xef\xbf\xbf"', b'"\xf0\x90\x80\x80"', b'"\xf4\x8f\xbf\xbf"'],
    "characters that are none": [b'"\xef\xbf\xbe"', b'"\xef\xb7\x90"', b'"\xf0\x9f\xbf\xbe"', b'"\\uFFFE\\uFDD0"'],
    "line ends of other languages": [b'"\xe2\x80\xa8\xe2\x80\xa9"', b'"\\u2028"', b'"\xc2\x85"'],
    "what looks like a comment": [b'"/* */ // #"', b'["a/*b*/"]'],
}

REFUSED = {
    "nothing": [b"", b" ", b"\n\t\r "],
    "commas": [b"[1,]", b"[,1]", b"[1,,2]", b"[,]", b"[1,,]", b'{"a":1,}', b'{,}', b'{"a":1,,"b":2}', b"1,", b",1"],
    "separators": [b"[1 2]", b"[1;2]", b"[\"a\":1]", b'{"a",1}', b'{"a" 1}', b'{"a"::1}', b'{"a"=1}', b'{"a":1 "b":2}', b"[1][2]"],
    "brackets": [b"[", b"]", b"{", b"}", b"[[]", b"[]]", b"[1}", b'{"a":1]', b"[{]}", b'{"a":1}}', b"[\"a\"", b'{"a":', b'{"a"'],
    "keys that are no strings": [b"{a:1}", b"{1:1}", b"{null:1}", b"{[]:1}", b"{'a':1}", b'{:1}', b'{"a":}', b'{"a"}', b"{9" + b"9" * 60 + b":1}"],
    "words": [b"tru", b"nul", b"fals", b"True", b"NULL", b"nulll", b"truefalse", b"undefined", b"[t]"],
    "numbers that are none": [b"NaN", b"-NaN", b"Infinity", b"-Infinity", b"Inf", b"-", b"+", b"--1", b"- 1", b"[+1]", b"[-]"],
    "zeros in front": [b"01", b"-01", b"00", b"-00.5", b"[012]", b"1e5.5"],
    "half a fraction": [b"1.", b".5", b"-.5", b"1.e5", b"-2.", b"0.1.2", b"1..2", b"[1.]"],
    "half an exponent": [b"1e", b"1e+", b"1E-", b"0e", b"e5", b"1eE2", b"1e+-2", b"0.3e", b"0.5E+"],
    "numbers of other languages": [b"0x1F", b"1_000", b"1 000", b"1,000", b"1f", b"1L", b"0b1", b"0o7", b"1+2", b"\xef\xbc\x91", b"\xd9\xa1", b"1a"],
    "quotation marks": [b"'a'", b'"', b'"a', b"a\"", b"`a`", b'\xe2\x80\x9ca\xe2\x80\x9d', b"[a]", b"\"a\"\"b\"", b"\xc3\xa9"],
    "escapes that are none": [b'"\\x41"', b'"\\U00000041"', b'"\\a"', b'"\\\'"', b'"\\0"', b'"\\ "', b'"\\\n"', b'"\\\xf0\x9f\x98\x80"', b'"\\\x00"'],
    "half an escape": [b'"\\', b'"\\"', b'"\\u"', b'"\\u1"', b'"\\u12"', b'"\\u123"', b'"\\u00g0"', b'"\\u 041"', b'"\\ud83d\\u"', b'"\\ud83d\\', b'"\\u+041"'],
    "control characters": [b'"\t"', b'"\n"', b'"\x00"', b'"\x1f"', b'{"\r":1}', b"[\x0b]", b"[\x0c]", b"[1]\x00", b"\x00", b"[\x01]"],
    "blanks that are none": [b"\xc2\xa0[]", b"\xe2\x81\xa0[]", b"[\xe3\x80\x80]", b"\xe2\x80\xa8[]", b"[]\x0c", b"\\u000a1", b"\xc2\x85[]"],
    "comments": [b"[1] // x", b"/* x */1", b"[1/**/]", b'{"a":1}#', b'{"a":/', b"[1]//", b"1 -- x"],
    "a second value": [b"1 2", b"[] []", b"{} x", b"null,", b"[1]x", b'"a" "b"', b"true false", b"{}#"],
    "stray UTF-8 between values": [b"[\xff]", b"[1\xe5]", b"\xe9", b"1e\xe5", b'{"a":1\xbf}', b"-\xc3\xa9", b"[\xf0\x9f\x98\x80]"],
    "marks of an order of bytes": [b"\xef\xbb\xbf", b"\xef\xbb\xbf{}", b"\xef\xbb", b"\xef\xbb\xbf1", b"\xfe\xff\x00[\x00]", b"\xff\xfe[\x00]\x00"],
    "UTF-16 and UTF-32": [b"\x00[\x00]", b"[\x00]\x00", b"\x00\x00\x00[\x00\x00\x00]", b'"\x00a\x00"\x00'],
    "bytes that are no UTF-8": [b'"\xff"', b'"\x80"', b'"\xc3"', b'"\xc3("', b'"\xe2\x82"', b'"\xf0\x9f\x98"', b'"\xe9"', b'{"\xbf":1}', b'"\\u\xe5"'],
    "overlong UTF-8": [b'"\xc0\xaf"', b'"\xc1\xbf"', b'"\xe0\x80\xaf"', b'"\xf0\x80\x80\xaf"', b'"\xfc\x83\xbf\xbf\xbf\xbf"', b'"\xc0\x80"'],
    "surrogates in UTF-8": [b'"\xed\xa0\x80"', b'"\xed\xbf\xbf"', b'"\xed\xa0\xbd\xed\xb8\x80"'],
    "beyond the last character": [b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xf8\x88\x80\x80\x80"'],
}

# Numbers are not converted here, so none is too large. Half of a surrogate pair is legal as an escape; who decodes a string
# that means something to the service refuses it there (json_text).
OPEN = {
    "integers of any size": [b"9" * 400, b"-" + b"9" * 30, b"[123123123123123123123123]", b"1" * 5000],
    "exponents of any size": [b"1e9999", b"-1e+9999", b"1e-9999", b"[0.4e0066999999999999999999999999]", b"1.5e" + b"9" * 50],
    "fractions of any length": [b"0." + b"3" * 3000, b"1." + b"0" * 500 + b"1e-500"],
    "half of a surrogate pair": [b'"\\ud800"', b'"\\udc00"', b'"\\ud800x"', b'"\\ud800\\n"', b'"\\ud83d\\u0041"', b'"\\udd1e\\ud834"', b'{"\\uDFAA":0}'],
}

# Levels have a bound, and nobody is to run out of stack before it.
DEEP = {
    "nested deeply": [b"[" * 500 + b"]" * 500, b'{"a":' * 500 + b"1" + b"}" * 500],
    "nested and never closed": [b"[" * 100000, b'{"a":' * 100000, b'[{"":' * 50000, b"[" * 500 + b"x"],
}


def all_kinds():
    """(kind, texts, the answer of json_tool)"""
    return [(kind, texts, answer) for kinds, answer in ((TAKEN, "ok"), (REFUSED, "invalid"), (OPEN, "ok"), (DEEP, "deep"))
            for kind, texts in kinds.items()]
