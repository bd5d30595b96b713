// Scripts to begin with. `needs` names a module without which an example is not offered; `input` is for main().

export const EXAMPLES = [
  {
    name: "Hello",
    script: `def main():
    """The service calls main() and answers with what it returns."""
    print("Hello, world!")
    return {"hello": "world", "answer": 6 * 7}
`,
  },
  {
    name: "With input",
    script: `def main(order):
    """The JSON under Input is what main() is called with."""
    name = order["name"]
    return {"greeting": f"Hello, {name}", "letters": len(name)}
`,
    input: '{"name": "Ada"}',
  },
  {
    name: "numpy: a walk",
    needs: "numpy",
    script: `import numpy as np


def main():
    steps = np.random.default_rng(7).normal(size=(1000, 2))
    path = steps.cumsum(axis=0)
    distance = np.hypot(*path.T)
    print("farthest after", distance.argmax(), "steps")
    return {"farthest": distance.max(), "end": path[-1], "mean step": np.hypot(*steps.T).mean()}
`,
  },
  {
    name: "pandas: a table",
    needs: "pandas",
    script: `import pandas as pd


def main():
    sales = pd.DataFrame({
        "city": ["Oslo", "Lima", "Oslo", "Pune", "Lima", "Oslo"],
        "units": [12, 7, 15, 22, 9, 11],
        "price": [4.5, 4.0, 4.5, 3.25, 4.0, 4.75],
    })
    sales["revenue"] = sales.units * sales.price
    by_city = sales.groupby("city")[["units", "revenue"]].sum()
    return by_city.sort_values("revenue", ascending=False)
`,
  },
  {
    name: "Printing live",
    script: `import sys
import time


def main():
    for step in range(1, 11):
        print(f"step {step} of 10")
        if step % 4 == 0:
            print("this one went to stderr", file=sys.stderr)
        time.sleep(0.3)
    return "done"
`,
  },
  {
    name: "matplotlib: a plot",
    needs: "matplotlib",
    script: `import matplotlib.pyplot as plt
import numpy as np


def main():
    x = np.linspace(0, 4 * np.pi, 400)
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for damping in (0.05, 0.15, 0.4):
        axes.plot(x, np.exp(-damping * x) * np.cos(x), label=f"damping {damping}")
    axes.set_title("What is open when main() returns comes back")
    axes.legend()
    axes.grid(alpha=0.3)
`,
  },
  {
    name: "Files in and out",
    script: `import pathlib


def main():
    """What you add is in /tmp, and what it writes there comes back."""
    names = sorted(path.name for path in pathlib.Path(".").iterdir() if path.is_file())
    with open("listing.csv", "w") as out:
        out.write("name,bytes\\n")
        for name in names:
            out.write(f"{name},{pathlib.Path(name).stat().st_size}\\n")
    return names
`,
  },
  {
    name: "An infinite loop",
    script: `def main():
    """The service ends it at its deadline; you may cancel it before."""
    print("counting to infinity")
    n = 0
    while True:
        n += 1
`,
  },
  {
    name: "An attempt to escape",
    script: `import os
import socket
import subprocess


def attempt(what, call):
    try:
        return {"attempt": what, "got": str(call())}
    except BaseException as error:
        return {"attempt": what, "got": f"{type(error).__name__}: {error}"}


def main():
    """The table at the bottom says what stops each of these."""
    return [
        attempt("read the passwords", lambda: open("/etc/shadow").read()),
        attempt("look at the home folders", lambda: os.listdir("/home")),
        attempt("start a shell", lambda: subprocess.run(["/bin/sh", "-c", "id"])),
        attempt("fork", os.fork),
        attempt("call out", lambda: socket.create_connection(("192.0.2.1", 80), 1)),
        attempt("become root", lambda: os.setuid(0)),
        attempt("write to the root", lambda: open("/escape", "w")),
        attempt("see other processes", lambda: os.listdir("/proc")),
        attempt("who it is", os.getuid),
    ]
`,
  },
];
