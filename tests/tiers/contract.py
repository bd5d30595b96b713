"""The contract corpus: one request a case, and what its answer must be (tests/corpus/contract.jsonl).

A key of `expect` counts where it is there; `"result": null` is an assertion like any other.
"""
import base64

from client import ask

TIMEOUT = 40


def same(one, other):
    """Equality as JSON has it: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def has(one, wanted):
    """Equality, but an object may have other keys too."""
    if isinstance(one, dict) and isinstance(wanted, dict):
        return all(key in one and has(one[key], wanted[key]) for key in wanted)
    if isinstance(one, list) and isinstance(wanted, list):
        return len(one) == len(wanted) and all(map(has, one, wanted))
    return same(one, wanted)


def is_error(answer):
    return isinstance(answer.keys.get("error"), str) and "result" not in answer.keys


def has_shape(answer):
    names = answer.result.get("files") if isinstance(answer.result, dict) else None
    return isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names)


def error_mentions(wanted, expect, answer):
    return any(text in str(answer.keys.get("error", "")) for text in [wanted, *expect.get("alt_error_contains", [])])


# Of each key: whether it holds, from its value, the whole expectation and the answer.
CHECKS = {
    "any_of": lambda v, e, a: any(not problems(one, a) for one in v),
    "status_in": lambda v, e, a: a.status in v,
    "json": lambda v, e, a: same(a.body, v),
    "has": lambda v, e, a: has(a.body, v),
    "outcome": lambda v, e, a: a.headers.get("execution-outcome") == v,
    "has_error": lambda v, e, a: is_error(a),
    "error_contains": error_mentions,
    "error_equals": lambda v, e, a: a.keys.get("error") == v,
    "result_in": lambda v, e, a: a.result in v,
    "stdout_in": lambda v, e, a: a.keys.get("stdout") in v,
    "result_shape": lambda v, e, a: has_shape(a),
    "raw_contains": lambda v, e, a: all(text in a.text for text in v),
    "max_seconds": lambda v, e, a: a.seconds <= v,
}
# Of these null is an assertion too.
EVEN_NULL = {
    "result": lambda v, e, a: "result" in a.keys and same(a.result, v),
    "result_not": lambda v, e, a: not same(a.result, v),
    "stdout": lambda v, e, a: a.keys.get("stdout") == v,
}
WITH_200 = {
    "result_if_200": lambda v, e, a: same(a.result, v),
    "stdout_if_200": lambda v, e, a: a.keys.get("stdout") == v,
    "result_len_if_200": lambda v, e, a: len(a.result or "") == v,
    "keys_exact": lambda v, e, a: sorted(a.keys) == v,
}
OTHERS = ("alt_error_contains",)


def problems(expect, answer):
    """The keys of the expectation that do not hold."""
    wrong = [key for key in expect if key not in (*CHECKS, *EVEN_NULL, *WITH_200, *OTHERS)]
    for table in (CHECKS, EVEN_NULL) + ((WITH_200,) if answer.status == 200 else ()):
        for key, holds in table.items():
            if key not in expect or table is CHECKS and not expect[key]:
                continue
            if not holds(expect[key], expect, answer):
                wrong.append(key)
    return wrong


def request_of(case):
    if case.get("request_b64"):
        return base64.b64decode(case["request_b64"])
    body = (case["request"] or "").encode("utf-8", "surrogatepass")
    pad = case.get("request_pad")
    return body.replace(pad["token"].encode(), pad["char"].encode() * pad["count"]) if pad else body


def run(case, port):
    """Why the case is not met; empty where it is."""
    answer = ask(port, case["method"], case["path"], request_of(case), case["content_type"], TIMEOUT)
    wrong = problems(case["expect"], answer)
    if answer.status == 200 and not answer.strict:
        wrong.append("the body is not strict JSON")
    if answer.status == 200 and not answer.headers.get("content-type", "").startswith("application/json"):
        wrong.append("content-type")
    return f"{', '.join(wrong)}: {answer}" if wrong else ""
