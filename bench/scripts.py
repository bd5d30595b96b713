"""What is run, and the one right answer to each."""
import dataclasses
import json

MB = 1_000_000


@dataclasses.dataclass(frozen=True)
class Request:
    """A request of HTTP and the answer that alone counts as right."""

    method: str
    path: str
    body: bytes
    status: int
    answer: bytes


@dataclasses.dataclass(frozen=True)
class Script:
    text: str
    result: str  # JSON
    stdout: str = ""

    def request(self, **keys):
        answer = '{"result": %s, "stdout": %s}' % (self.result, json.dumps(self.stdout))
        return Request("POST", "/execute", json.dumps({"script": self.text, **keys}).encode(), 200, answer.encode())


def printing(size):
    return Script(f"def main(): print('x' * {size - 1})", "null", "x" * (size - 1) + "\n")


def returning(size):
    return Script(f"def main(): return 'x' * {size - 2}", json.dumps("x" * (size - 2)))


def long(size):
    """A script with its data in it."""
    frame = "data = '%s'\ndef main(): return len(data)"
    data = "x" * (size - len(frame % ""))
    return Script(frame % data, str(len(data)))


SCRIPTS = {
    "empty": Script("def main(): return 1", "1"),
    "numpy": Script("import numpy as np\ndef main(): return int(np.arange(10).sum())", "45"),
    "pandas": Script("import pandas as pd\ndef main(): return int(pd.DataFrame({'a': [1, 2, 3]}).a.sum())", "6"),
    "cpu": Script("def main():\n total = 0\n for i in range(1_400_000): total += i & 3\n return total", "2100000"),
    "stdout": printing(MB),
    "result": returning(MB),
    "script": long(MB),
}

# One for each flavour of zygote: it keeps few workers until it has had a job.
EACH_FLAVOUR = [SCRIPTS["empty"], SCRIPTS["numpy"], SCRIPTS["pandas"],
                Script("try: import matplotlib.pyplot\nexcept ImportError: pass\ndef main(): return 1", "1")]

# Answered by the server without a run.
FLOOR = Request("OPTIONS", "/execute", b"", 204, b"")
