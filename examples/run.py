"""Runs a script, and reads its answer: python3 run.py [URL]"""
import json
import sys
import urllib.error
import urllib.request

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
SCRIPT = """
import pandas as pd

def main(rows):
    frame = pd.DataFrame(rows)
    print("rows:", len(frame))
    return frame.groupby("city").amount.sum().to_dict()
"""


def execute(script, **keys):
    """The answer as a dict, and how the run ended. A script that fails is an answer like any other."""
    body = json.dumps({"script": script, **keys}).encode()
    request = urllib.request.Request(f"{URL}/execute", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer), answer.headers["Execution-Outcome"]
    except urllib.error.HTTPError as error:
        return json.load(error), error.headers["Execution-Outcome"]


rows = [{"city": "Oslo", "amount": 3}, {"city": "Lima", "amount": 4}, {"city": "Oslo", "amount": 5}]
print(execute(SCRIPT, input=rows))
print(execute("def main(): return 1 / 0"))
print(execute("def main():\n while True: pass", limits={"wall_ms": 200}))
