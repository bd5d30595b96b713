"""GET /metrics as a client reads it: the text format of Prometheus, version 0.0.4, by the letter and stricter.

Everything that the format forbids, and what it only advises against, is an AssertionError.
"""
import collections
import math
import os
import re
import shutil
import subprocess

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ([0-9]+(?:\.[0-9]+)?)")
TYPES = {"counter", "gauge", "histogram"}


class Metrics(dict):
    """{(name, ((label, value), …)): number}, with labels in the order of their names."""

    def __init__(self, text):
        super().__init__()
        self.types = {}
        self.helps = {}
        self.parse(text)
        self.check_histograms()

    def parse(self, text):
        assert text.endswith("\n") and "\r" not in text and "\t" not in text
        current = None
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                current, self.helps[line.split()[2]] = self.begin(line.split()[2]), line.split(" ", 3)[3]
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name == current and kind in TYPES and name not in self.types, line
                self.types[name] = kind
            else:
                self.sample(current, line)

    def begin(self, name):
        """Each metric is in one place."""
        assert re.fullmatch(NAME, name) and name not in self.helps, name
        return name

    def sample(self, current, line):
        found = SAMPLE.fullmatch(line)
        assert found, f"no sample: {line!r}"
        name, labels, value = found.groups()
        suffix = name[len(current):] if name.startswith(current) else None
        assert suffix in (("_bucket", "_sum", "_count") if self.types[current] == "histogram" else ("",)), line
        assert (self.types[current] == "counter") == current.endswith("_total"), current
        pairs = LABEL.findall(labels or "")
        assert ",".join(f'{label}="{text}"' for label, text in pairs) == (labels or ""), line
        key = (name, tuple(sorted(pairs)))
        assert len({label for label, _ in pairs}) == len(pairs) and key not in self, line
        self[key] = float(value) if "." in value else int(value)

    def check_histograms(self):
        for name in [name for name, kind in self.types.items() if kind == "histogram"]:
            buckets = self.buckets(name)
            bounds = list(buckets)
            assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, name
            assert list(buckets.values()) == sorted(buckets.values()), name
            assert buckets[math.inf] == self[(f"{name}_count", ())]

    def buckets(self, name):
        """{upper bound: how many are not above it}, in the order of the text."""
        return {float(dict(labels)["le"]): value for (found, labels), value in self.items() if found == f"{name}_bucket"}

    def value(self, name, **labels):
        return self.get((name, tuple(sorted(labels.items()))), 0)

    def by(self, name, label):
        """{value of the label: sum over all other labels}"""
        sums = collections.Counter()
        for (found, labels), value in self.items():
            if found == name:
                sums[dict(labels)[label]] += value
        return sums

    def total(self, name):
        return sum(value for (found, _), value in self.items() if found == name)


def scrape(service, headers=None):
    """The metrics, and of how many bytes they were."""
    answer = service.ask("GET", "/metrics", headers=headers)
    assert answer.status == 200 and answer.headers["content-type"] == CONTENT_TYPE, answer
    metrics = Metrics(answer.body.decode("ascii"))
    metrics.size = len(answer.body)
    return metrics


def promtool(*arguments, text=""):
    """What the makers of the format think of it. tools/packages brings it without installing it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    program = shutil.which("promtool") or os.path.join(cache, "python-executor", "promtool")
    assert os.access(program, os.X_OK), "there is no promtool: run tools/packages test"
    return subprocess.run([program, *arguments], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
