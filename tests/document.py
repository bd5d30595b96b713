"""What documents show, taken apart and run.

A ```console block is a shell session. `$ ` begins a command, `> ` goes on with it, and what follows is what it prints,
on both streams. In that, `…` stands for what varies: for anything within a line, and alone for any number of lines. Two
commands are understood for more than they say:

- `cat NAME`, with a file that is not there: the file is what is shown. The reader has made it; the test makes it.
- `COMMAND &`: what is shown of it is waited for, as the reader does, before the next command is typed.

Each document has a folder of its own, in which its blocks run one after the other, each in a shell of its own. There
`build` is the build folder and python-executor is on the path. 127.0.0.1:8080 and localhost:8080 are the port of a running
service, or of the one that the block itself starts.
"""
import os
import re
import signal
import subprocess
import threading
import time

from service import BUILD, ROOT

SECONDS = 120
SERVED = re.compile(r"\b(127\.0\.0\.1|localhost):8080\b")
END = "end-of-command-93c1"


def pages():
    """Every Markdown document of the project, by its name from the root."""
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z", "*.md"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    names = [name for name in listing.split("\0") if name and os.path.exists(os.path.join(ROOT, name))]
    if not names:  # an unpacked archive
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if not name.startswith((".git", "build", "node_modules"))]
            names += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files if name.endswith(".md")]
    return sorted(names)


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class Block:
    """A fenced block: its language, the line it begins in, its text."""

    def __init__(self, page, language, line, lines):
        self.page, self.language, self.line, self.lines = page, language, line, lines
        self.text = "\n".join(lines)

    def __repr__(self):
        return f"{self.page}:{self.line}"


def blocks_of(page):
    found, begun = [], None
    for number, line in enumerate(text_of(page).splitlines(), 1):
        fence = re.match(r"( *)```(\S*)", line)
        if begun is None and fence:
            begun = (fence.group(1), Block(page, fence.group(2), number, []))
        elif begun is not None and fence:
            indent, block = begun
            found.append(Block(page, block.language, block.line, block.lines))
            begun = None
        elif begun is not None:
            begun[1].lines.append(line.removeprefix(begun[0]))
    assert begun is None, f"{begun[1]} does not end"
    return found


def session_of(block):
    """[(command, what it prints)]"""
    steps = []
    for line in block.lines:
        if line.startswith("$ "):
            steps.append(([line[2:]], []))
        elif line.startswith("> ") and steps and not steps[-1][1]:
            steps[-1][0].append(line[2:])
        else:
            assert steps, f"{block} shows output before a command"
            steps[-1][1].append(line)
    assert steps, f"{block} has no command"
    return [("\n".join(command), shown) for command, shown in steps]


def pattern_of(shown):
    """Of the lines that a document shows."""
    parts = []
    for line in shown:
        if line == "…":
            parts.append("(?:.*\n)*")
        else:
            parts.append(".*".join(re.escape(part) for part in line.split("…")) + "\n")
    return re.compile("".join(parts))


def agrees(shown, printed):
    """Whether this is what was shown. A last line without an end is shown like one that has it."""
    if printed and not printed.endswith("\n"):
        printed += "\n"
    return pattern_of(shown).fullmatch(printed) is not None


class Shell:
    """A bash that is told one command after the other."""

    def __init__(self, folder, port, environment):
        self.port = port
        self.output, self.lock = "", threading.Condition()
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, text=True, bufsize=1, encoding="utf-8", errors="replace",
            env={"PATH": f"{BUILD}:{os.environ.get('PATH', '/usr/bin:/bin')}", "HOME": folder, "LANG": "C.UTF-8",
                 "PORT": str(port), "PYTHON_EXECUTOR_LOG_FORMAT": "text", **environment})
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            some = os.read(self.process.stdout.fileno(), 65536)
            with self.lock:
                self.output += some.decode("utf-8", "replace")
                self.lock.notify_all()
            if not some:
                return

    def wait(self, condition):
        """Until it is true of the output since the last command, or the time is over; gives that output."""
        until = time.monotonic() + SECONDS
        with self.lock:
            while not condition(self.output) and time.monotonic() < until and self.reader.is_alive():
                self.lock.wait(0.2)
            return self.output

    def run(self, command, shown):
        """What it prints, as a document has it."""
        self.output = ""
        self.process.stdin.write(SERVED.sub(rf"\1:{self.port}", command) + f"\nprintf '%s\\n' {END}\n")
        self.process.stdin.flush()
        printed = self.wait(lambda text: f"{END}\n" in text)
        assert f"{END}\n" in printed, f"it does not end:\n$ {command}\n{printed}"
        if command.endswith("&"):
            printed = self.wait(lambda text: agrees(shown, self.said(text)))
        return self.said(printed)

    def said(self, text):
        return re.sub(rf"\b(127\.0\.0\.1|localhost):{self.port}\b", r"\1:8080", text.replace(f"{END}\n", ""))

    def end(self):
        """Of what it has started, too."""
        if self.process.poll() is None:
            self.process.stdin.write("kill $(jobs -p) 2>/dev/null; wait\n")
            self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()


def run_block(block, folder, port, environment):
    """Types it in and compares."""
    shell = Shell(folder, port, environment)
    try:
        for command, shown in session_of(block):
            named = re.fullmatch(r"cat ([\w./-]+)", command)
            if named and not os.path.exists(os.path.join(folder, named.group(1))):
                os.makedirs(os.path.dirname(os.path.join(folder, named.group(1))), exist_ok=True)
                with open(os.path.join(folder, named.group(1)), "w", encoding="utf-8") as file:
                    file.write("\n".join(shown) + "\n")
            printed = shell.run(command, shown)
            assert agrees(shown, printed), f"{block} shows\n" + "\n".join(["$ " + command, *shown, "", "and it prints", "", printed])
    finally:
        shell.end()
