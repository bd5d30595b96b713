"""Shows what a script prints while it runs: python3 stream.py [URL]"""
import json
import sys
import urllib.request

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
SCRIPT = """
import time

def main():
    for n in range(3):
        print("step", n)
        time.sleep(0.1)
    return "done"
"""


def events(script, **keys):
    """(name, data) of each server-sent event. Each is a line `event:`, a line `data:` and an empty one."""
    body = json.dumps({"script": script, "stream": True, **keys}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/execute", body), timeout=60) as answer:
        name = None
        for line in answer:
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


for name, data in events(SCRIPT):
    if name == "stdout":
        print(data["text"], end="", flush=True)
    elif name == "stderr":
        print(data["text"], end="", flush=True, file=sys.stderr)
    else:
        print(name, data)
