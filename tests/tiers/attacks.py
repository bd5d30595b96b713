"""The attack corpus and the innocent one (tests/corpus/hostile.jsonl, innocent.jsonl): what is sent, and judged.

A case fails when a script says that it escaped, when there is no answer, when its own expectation does not hold,
or when the innocent request behind it is answered wrongly or late. A system call that answers EFAULT, EBADF
or EINVAL was reached, and the script says `escaped`; EPERM, EACCES, ENOSYS or a kill is what it must get.
"""
import builtins
import itertools
import json
import threading
import time

from client import Answer, ask, execute

TIMEOUT = 15
LATE = 9  # seconds by which what a limit ends must be over
NUMBERS = itertools.count(1000)
SAFE = {name: getattr(builtins, name) for name in (
    "len", "all", "any", "set", "map", "str", "zip", "isinstance", "dict", "list", "int", "range", "enumerate",
    "sorted", "min", "max", "repr", "float", "bool", "abs", "sum")}


def body_of(step, port, hostname):
    if "raw_body" in step:
        return step["raw_body"].encode("latin-1" if step.get("raw_latin1") else "utf-8")
    script = step["script"].replace("{{PORT}}", str(port)).replace("{{PAD4M}}", "x" * (4 << 20))
    return json.dumps({"script": script.replace("{{SERVER_HOSTNAME}}", hostname), **step.get("keys", {})}).encode()


def send(case, port, hostname):
    """The answers to all steps of a case, one after another or at once."""
    steps = case.get("steps") or [case]
    answers = [Answer(error="the request did not end")] * len(steps)
    timeout = TIMEOUT * 3 if case.get("concurrent") else TIMEOUT

    def go(index, step):
        if case.get("concurrent"):
            time.sleep(step.get("delay", 0))
        answers[index] = ask(port, "POST", "/execute", body_of(step, port, hostname), timeout=timeout)

    if not case.get("concurrent"):
        for index, step in enumerate(steps):
            go(index, step)
        return answers
    threads = [threading.Thread(target=go, args=one, daemon=True) for one in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout + 5)
    return answers


def has_escaped(answer):
    return isinstance(answer.result, dict) and answer.result.get("escaped") is True


def check_holds(check, answers):
    """The case's own expression over its answers; the corpus is ours, not the server's."""
    last = answers[-1]
    names = dict(SAFE, R=answers, status=last.status, body=last.body, result=last.result, stdout=last.stdout,
                 secs=last.seconds, text=last.text, headers=last.headers, ok=last.ok, __builtins__={})
    try:
        return bool(eval(check, names))
    except Exception:  # e.g. the result has another shape
        return False


def judge(case, answers):
    """Why the case is not met; empty where it is."""
    last, kind, check = answers[-1], case["expect"]["kind"], case["expect"].get("check")
    for answer in answers:
        if has_escaped(answer):
            return f"ESCAPED: {json.dumps(answer.result)[:220]}"
    for answer in answers:
        if answer.status == 0:
            return f"no answer: {answer.error}"
    if len(answers) == 1 and kind in ("killed", "error") and last.ok:
        return f"should be {kind}: {last}"
    if len(answers) == 1 and kind == "killed" and last.seconds > LATE:
        return f"ended too late: {last}"
    if kind == "ok-and-result" and not all(answer.ok for answer in answers):
        return f"should succeed: {next(answer for answer in answers if not answer.ok)}"
    if check and not check_holds(check, answers):
        return f"not so: {check[:110]}: {' | '.join(map(str, answers[-3:]))}"
    return ""


def innocent(port, longest):
    """Sends an innocent request; what is wrong with its answer, empty where nothing is."""
    number = next(NUMBERS)
    answer = execute(port, f"def main():\n    print('well', {number})\n    return {{'n': {number} + 1}}\n")
    if answer.status == 0:
        return f"the service does not answer ({answer.error})"
    if not answer.ok or answer.result != {"n": number + 1} or answer.stdout != f"well {number}\n":
        return f"the next request is answered wrongly: {answer}"
    if answer.seconds > longest:
        return f"the next request waits {answer.seconds:.2f} s"
    return ""
