"""The picture for the README: time of a request and requests per second, beside the usual services. Plain SVG."""
import os
import xml.etree.ElementTree
from xml.sax.saxutils import escape

from report import WORDS, middle, number, paced

WIDTH, ROW, BAR, LEFT, RIGHT = 760, 17, 12, 190, 80
SHOWN = ("empty", "numpy", "pandas")
NAMES = {"this": "python-executor", "spawn": "python3 per request", "bubblewrap": "the same in bubblewrap",
         "nsjail": "the same in nsjail", "gvisor": "the same in gVisor"}
# Legible on white and on black.
COLOURS = {"this": "#1f9d6b", "spawn": "#8a93a0", "bubblewrap": "#b3884a", "nsjail": "#7f7ad1", "gvisor": "#c06a8c"}
TEXT = "#768390"


def text(x, y, words, size=12, anchor="start", weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="{TEXT}">{escape(words)}</text>')


def panel(y, title, groups):
    """Groups of [(heading, [(peer, value)])], all to one scale from 0. Returns the SVG and where it ends."""
    most = max((value for _, bars in groups for _, value in bars if value), default=1)
    parts = [text(0, y + 14, title, 14, weight="bold")]
    y += 28
    for heading, bars in groups:
        parts.append(text(0, y + BAR - 1, heading))
        for peer, value in bars:
            length = max(1.5, (value or 0) / most * (WIDTH - LEFT - RIGHT - 70))
            parts.append(f'<rect x="{LEFT - 60}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" fill="{COLOURS[peer]}"/>')
            parts.append(text(LEFT - 60 + length + 6, y + BAR - 2, number(value), 11))
            y += ROW
        y += 9
    return parts, y


def groups(results, figure):
    scripts = [script for script in SHOWN if script in results["peers"]["this"]]
    return [(WORDS[script], [(peer, figure(cells[script])) for peer, cells in results["peers"].items()])
            for script in scripts]


def rate(cell):
    loops = cell["loops"]
    seen = middle(loops[max(loops, key=lambda connections: (connections == 16, connections))]) if loops else None
    return seen["rate"] if seen else 0


def draw(results):
    parts, y = [], 22
    x = 0
    for peer in results["peers"]:
        parts.append(f'<rect x="{x}" y="2" width="{BAR}" height="{BAR}" rx="2" fill="{COLOURS[peer]}"/>')
        parts.append(text(x + BAR + 6, BAR, NAMES[peer]))
        x += 40 + 7 * len(NAMES[peer])
    first, y = panel(y + 8, "Time of a request, ms (median, 30 ms apart; less is better)",
                     groups(results, lambda cell: paced(cell)["p50"]))
    second, y = panel(y + 10, "Requests per second (16 connections; more is better)", groups(results, rate))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -4 {WIDTH} {y + 8}" width="{WIDTH}" height="{y + 8}" '
            f'role="img" font-family="system-ui, sans-serif">\n<title>python-executor beside a python3 per request</title>\n'
            + "\n".join(parts + first + second) + "\n</svg>\n")


def write(folder, results):
    svg = draw(results)
    xml.etree.ElementTree.fromstring(svg)
    with open(os.path.join(folder, "chart.svg"), "w", encoding="utf-8") as file:
        file.write(svg)
