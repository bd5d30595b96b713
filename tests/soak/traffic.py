"""What the clients of a long run send, and how each answer is judged.

Every request has an id of its own, sent as X-Request-Id; where its script can be given something it is given that id,
and has to bring it back. So nobody can have somebody else's answer, or an earlier one, without its being seen.
What is sent is that of other tests where they have it: innocent.py, test_metrics.py, test_neighbours.py, corpus/.
"""
import dataclasses
import json

import attacks
import corpus
import streaming
from client import Answer
from innocent import SCRIPTS
from service import order
from test_metrics import OTHERS, OUTCOMES, RUNS
from test_neighbours import MIXED

FORWARD = "def main(n):\n    print(n)\n"
# name: (a script that is given its id, what it returns for it)
ECHOES = {
    "plain": (FORWARD + "    return n", lambda n: n),
    "unicode": (FORWARD + "    return {n: ['\\u00e9\\U0001f600', None]}", lambda n: {n: ["\u00e9\U0001f600", None]}),
    "numpy": ("import numpy as np\n" + FORWARD + "    return int(np.frombuffer(n.encode(), np.uint8).astype(int).sum())", lambda n: sum(n.encode())),
    "pandas": ("import pandas as pd\n" + FORWARD + "    return pd.DataFrame({'n': [n], 'v': [len(n)]}).to_dict('records')", lambda n: [{"n": n, "v": len(n)}]),
    "sleeps": ("import time\n" + FORWARD + "    time.sleep(0.05)\n    return n", lambda n: n),
    "large": (FORWARD + "    return n * 5000", lambda n: n * 5000),
    "computes": (FORWARD + "    return [n, sum(i * i for i in range(200_000))]", lambda n: [n, 2666646666700000]),
    # Its /tmp has nobody else's files, and nothing of the run before.
    "files": ("import os\n" + FORWARD + "    open('/tmp/' + n, 'w').write(n * 100)\n    return os.listdir('/tmp')", lambda n: [n]),
    "threads": ("import threading\n" + FORWARD + "    found = []\n    many = [threading.Thread(target=found.append, args=(n,)) for _ in range(4)]\n"
                "    [one.start() for one in many]\n    [one.join() for one in many]\n    return found", lambda n: [n] * 4),
}
# What a busy machine lets come in another order is left to tests/integration.
INNOCENT = [case for case in SCRIPTS if case[0] != "more threads"]
WRAPPED = "\n_inner = main\ndef main(n):\n    print(n)\n    return [n, _inner()]\n"
FAILING = {**{name: case[:2] for name, case in RUNS.items() if OUTCOMES.get(name, name) != "ok"},
           "says its id": ("def main(n): raise ValueError(n)", {})}
HOSTILE_MS = 1500  # what a script that spins or sleeps gets, so that the others come to their turn

CUTS = ("headers", "body", "waiting", "answer", "reset")  # where a client that goes away does so
KINDS = {"innocent": 60, "failing": 14, "hostile": 12, "refused": 4, "aborting": 10}  # of a hundred


@dataclasses.dataclass
class Request:
    kind: str
    name: str
    id: str
    body: bytes
    method: str = "POST"
    path: str = "/execute"
    judge: callable = None  # what is wrong with an outcome of its own; called with the Outcome
    cut: str = ""
    patience: float = 0.0  # seconds until one that cuts while it waits does so


class Reply:
    """One answer as people understand it: of a stream, what its last event says. `flaw`: it is not even an answer."""

    def __init__(self, code, headers, body):
        self.code = self.status = code  # HTTP's, and the run's own
        self.headers, self.body, self.flaw = headers, body, ""
        self.outcome, self.keys, self.stdout = headers.get("execution-outcome"), {}, None
        try:
            if headers.get("content-type") == "text/event-stream":
                self.read_stream()
            elif headers.get("content-type", "").startswith("application/json") and body:
                self.keys = json.loads(body.decode(), parse_constant=Answer.refuse)
                self.stdout = self.keys.get("stdout") if isinstance(self.keys, dict) else None
        except (ValueError, AssertionError, AttributeError) as error:
            self.flaw = f"no sound answer: {type(error).__name__} {error} in {body[:200]!r}"

    def read_stream(self):
        *printed, (last, self.keys) = streaming.parse(self.body)
        assert last == "result", "no result"
        self.stdout = streaming.text_of([(name, data["text"]) for name, data in printed], "stdout")
        self.status, self.outcome = self.keys["status"], self.keys["outcome"]

    def __str__(self):
        return f"{self.status} {self.outcome} {self.body[:200]!r}"


def expects(result, stdout):
    def judge(reply):
        right = reply.status == 200 and reply.outcome == "ok" and reply.keys.get("result") == result and reply.stdout == stdout
        return "" if right else f"not the answer: {reply}"
    return judge


def expects_outcome(outcome, id_):
    def judge(reply):
        said = reply.keys.get("error", "")
        if reply.outcome != outcome or (id_ and said != f"ValueError: {id_}"):
            return f"not {outcome}: {reply}"
        return ""
    return judge


def expects_refusal(reason):
    def judge(reply):
        wanted = {"invalid": (400,), "too_large": (413,)}.get(reason, (200, 202, 204, 400, 404, 405))
        # To /mcp what is wrong with a script is the tool's answer, and that is a 200.
        return "" if reply.code in wanted or (reply.code == 200 and b"jsonrpc" in reply.body) else f"not refused ({reason}): {reply}"
    return judge


def expects_no_escape(reply):
    if attacks.has_escaped(Answer(reply.code, reply.body)):
        return f"ESCAPED: {reply}"
    return "" if reply.status in (200, 400, 413, 500) else f"a status that no script has: {reply}"


class Traffic:
    """Makes requests; the same ones in the same order for the same seed, but for what depends on the port."""

    def __init__(self, port):
        whole = [case for case in corpus.load("hostile") if case["layers"] == "any" and "steps" not in case]
        self.hostile = [(case["id"], self.bounded(attacks.body_of(case, port, "nowhere.invalid"))) for case in whole]
        self.hostile += [(f"mixed {i}", order(script, limits={"wall_ms": HOSTILE_MS})) for i, script in enumerate(MIXED)]
        # Those that try whether a body is taken whole are tests/integration's: 17 MB cost the client more than the service.
        self.refused = [(f"{method} {path}", method, path, body, reason) for method, path, body, reason in OTHERS
                        if len(body or b"") < 1 << 20 and method != "HEAD"]

    @staticmethod
    def bounded(body):
        try:
            keys = json.loads(body)
        except (ValueError, RecursionError):  # an attack on the reader of JSON
            return body
        if isinstance(keys, dict) and "limits" not in keys:
            keys["limits"] = {"wall_ms": HOSTILE_MS}
        return json.dumps(keys).encode()

    def next(self, rng, id_):
        kind = rng.choices(list(KINDS), KINDS.values())[0]
        return getattr(self, f"make_{kind}")(rng, id_)

    def make_innocent(self, rng, id_):
        stdout = id_ + "\n"
        if rng.random() < 0.1:
            name, script, result = rng.choice(INNOCENT)
            return Request("innocent", name, id_, order(script + WRAPPED, input=id_), judge=expects([id_, result], stdout))
        name = rng.choice(list(ECHOES))
        script, result = ECHOES[name]
        how = rng.choices([{}, {"details": True}, {"stream": True}], [8, 1, 1])[0]
        return Request("innocent", name, id_, order(script, input=id_, **how), judge=expects(result(id_), stdout))

    def make_failing(self, rng, id_):
        name = rng.choice(list(FAILING))
        script, keys = FAILING[name]
        if name in RUNS:
            return Request("failing", name, id_, order(script, **keys), judge=expects_outcome(name, ""))
        return Request("failing", name, id_, order(script, input=id_), judge=expects_outcome("exception", id_))

    def make_hostile(self, rng, id_):
        name, body = rng.choice(self.hostile)
        return Request("hostile", name, id_, body, judge=expects_no_escape)

    def make_refused(self, rng, id_):
        name, method, path, body, reason = rng.choice(self.refused)
        return Request("refused", name, id_, body or b"", method, path, judge=expects_refusal(reason))

    def make_aborting(self, rng, id_):
        cut = rng.choice(CUTS)
        script = FORWARD + ("    return n * 50_000" if cut == "answer" else "    import time; time.sleep(0.3)\n    return n")
        keys = {"stream": True} if rng.random() < 0.2 else {}
        return Request("aborting", cut, id_, order(script, input=id_, **keys), cut=cut, patience=rng.random() * 0.3)
