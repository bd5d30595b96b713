"""What is kept of each tier: expected/TIER.txt, in sections of lines; one that is the same as another tier's says so.

A reviewer reads the diff of these files: a line that goes is something closed, a line that comes something opened.
"""
import glob
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected")
HEAD = "# A worker in the tier {}, as it was seen from outside and from inside. Written by `make second-opinion RENEW=1`.\n"


def path_of(tier):
    return os.path.join(FOLDER, tier + ".txt")


def load(tier):
    """{section: lines}; empty where nothing is kept."""
    found, section = {}, None
    if not os.path.exists(path_of(tier)):
        return found
    with open(path_of(tier), encoding="utf-8") as file:
        for line in file.read().splitlines():
            head = re.fullmatch(r"\[(.*?)\](?: as in (.*))?", line)
            if head:
                section = head[1]
                found[section] = load(head[2])[section] if head[2] else []
            elif line and not line.startswith("#"):
                found[section].append(line)
    return found


def save(found, order):
    """`found` is {tier: {section: lines}}; what is kept of other tiers stays. `order` is that of all tiers, in which one refers
    to those before it."""
    kept = {tier: found.get(tier) or load(tier) for tier in order}
    written = {}
    os.makedirs(FOLDER, exist_ok=True)
    for tier, sections in kept.items():
        if not sections:
            continue
        text = HEAD.format(tier)
        for name, lines in sections.items():
            same = next((other for other, theirs in written.items() if theirs.get(name) == lines and len(lines) > 1), None)
            text += f"\n[{name}]" + (f" as in {same}\n" if same else "\n" + "".join(f"{line}\n" for line in lines))
        written[tier] = sections
        with open(path_of(tier), "w", encoding="utf-8") as file:
            file.write(text)


def is_absent(line, root):
    """Whether a bind of the host's is not there since the host has no such folder."""
    path = line.split(" ")[0].replace("MACHINE", "*").replace("python3.N", "python3*")
    return ": the host's" in line and not glob.glob(os.path.join(root, path.lstrip("/")))


def difference(kept, found, root=None):
    """What is not as it is kept, as text. `root` is the file system that binds are from, where it is to be seen."""
    gone = [line for line in kept if line not in found and not (root and is_absent(line, root))]
    new = [line for line in found if line not in kept]
    return "; ".join([f"- {line}" for line in gone] + [f"+ {line}" for line in new])


# --- The calls --------------------------------------------------------------------------------------


def strongest(seen):
    """What a number is: `answered` where anything but a refusal was seen."""
    return next(word for word in ("answered", "ENOSYS", "ended", "EPERM") if word in seen)


def call_lines(words, names):
    """A line for each number that is not always refused in the same way as one that is not there."""
    return [f"{number:3} {names(number)}: {strongest(seen)}" for number, seen in sorted(words.items()) if seen != {"EPERM"}]


def conditional(lines):
    """The numbers that a kept filter lets through with some arguments, which what was drawn may never have been."""
    return {int(line.split()[0]) for line in lines if line.split(": ")[1] != "else" and line.count(": ") > 1}


def openings(kept, maybe, words, names):
    """What was seen and is not kept, where `maybe` are numbers that depend on their arguments. Less is no finding: what is
    drawn is another with each seed. Nor is the end of a worker whose call gets through at other times."""
    allowed, found = {number: "answered" for number in maybe}, []
    for line in kept:
        allowed.setdefault(int(line.split()[0]), line.split(": ")[1])
    for number, seen in sorted(words.items()):
        usual = allowed.get(number, "EPERM")
        if usual != "answered" and seen - {usual, "EPERM"}:
            found.append(f"{number} {names(number)}: {' '.join(sorted(seen))}")
    return found
