"""python/files.py: the patterns of `outputs` against a matcher that tries everything, over patterns and names of few signs, so
that they meet; and every pattern that the server lets pass can be compiled."""
import fnmatch
import os
import random
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "python"))
import files  # noqa: E402

PARTS = ["**", "*", "?", "a", "b", "ab", "*.a", "a*", "[ab]", "[!a]", "[b-a]", "[", "[]", "[!]", "]", "[a", "**a", "***", "\\", "a\\*",
         "[\\]", "[--a]", "[a-]", "[[:a:]]", "(", "a|b", "^", "$", "\n", "é", ".", "{a,b}", "+"]
NAMES = ["a", "b", "ab", "a.a", "aa", "ba", "[", "]", "\\", "a*", "-", "!", "(", "^a", "\n", "é", "*", "{a,b}"]


def naive(pattern, parts):
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(naive(pattern[1:], parts[at:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and naive(pattern[1:], parts[1:])


def test_patterns_against_a_naive_matcher():
    rng = random.Random(22)
    taken = 0
    for _ in range(6000):
        pattern = [rng.choice(PARTS + ["**", "*"] * 12) for _ in range(rng.randrange(1, 6))]
        name = tuple(rng.choice(NAMES) for _ in range(rng.randrange(1, 5)))
        matches = files.Patterns(["/".join(pattern)]).match(name)
        assert matches == naive(pattern, name), (pattern, name)
        taken += matches
    assert 300 < taken < 5700


def test_any_signs_make_a_pattern():
    rng = random.Random(23)
    signs = "[]!-^*?\\ab.()|+{}$#&~\n\t é\U0001f600\x01"
    for _ in range(6000):
        text = "".join(rng.choice(signs) for _ in range(rng.randrange(1, 12)))
        for part in text.split("/"):
            files.part_matcher(part)


def test_a_pattern_of_many_stars_ends():
    name = ("a" * 200,) * 30
    assert not files.Patterns(["**/" * 40 + "b"]).match(name)
    assert not files.Patterns(["/".join(["**", "a*"] * 16) + "/b"]).match(name)
