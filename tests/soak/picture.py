"""The time of innocent requests over the time of a long run, with the kills under it. Plain SVG, in the colours of bench/chart.py."""
import math

from chart import COLOURS, TEXT, text
from clients import percentile

WIDTH, LEFT, PLOT, HEIGHT, WINDOWS = 760, 56, 676, 220, 120
LINES = {"max": "#c06a8c", "p99": "#b3884a", "p95": "#7f7ad1", "p50": COLOURS["this"]}
MARKS = {"server": "#d1495b", "zygote": "#7f7ad1", "flavour": "#b3884a", "renewal": TEXT}
FROM, TO = 0.3, 30_000  # ms


def windows(records, begun, seconds):
    """The times of answered innocent requests in ms, in the window in which they were sent."""
    found = [[] for _ in range(WINDOWS)]
    for record in records:
        at = int((record.sent - begun) / seconds * WINDOWS)
        if record.kind == "innocent" and record.outcome == "ok" and 0 <= at < WINDOWS:
            found[at].append((record.ended - record.sent) * 1000)
    return found


def height(ms):
    return round(40 + HEIGHT * (1 - math.log(min(max(ms, FROM), TO) / FROM) / math.log(TO / FROM)), 1)


def across(share):
    return round(LEFT + PLOT * share, 1)


def figure(name, times):
    return max(times) if name == "max" else percentile(times, int(name[1:]))


def lines(found):
    parts = []
    for number, (name, colour) in enumerate(LINES.items()):
        points = [f"{across((i + 0.5) / WINDOWS)},{height(figure(name, times))}" for i, times in enumerate(found) if times]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts.append(f'<rect x="{LEFT + number * 60}" y="20" width="12" height="3" fill="{colour}"/>' + text(LEFT + number * 60 + 16, 25, name, 11))
    return parts


def scale(seconds):
    parts = []
    for ms in (1, 10, 100, 1000, 10_000):
        y = height(ms)
        parts.append(f'<path d="M{LEFT} {y}h{PLOT}" stroke="{TEXT}" stroke-opacity=".25"/>')
        parts.append(text(LEFT - 6, y + 4, f"{ms} ms" if ms < 1000 else f"{ms // 1000} s", 11, "end"))
    for fifth in range(6):
        parts.append(text(across(fifth / 5), HEIGHT + 96, f"{seconds * fifth / 5:.0f} s", 11, "middle"))
    return parts


def marks(kills, begun, seconds):
    parts = []
    for row, (what, colour) in enumerate(MARKS.items()):
        y = HEIGHT + 48 + row * 9
        at = [across((kill.began - begun) / seconds) for kill in kills if kill.what == what]
        parts.append(f'<path d="{"".join(f"M{x} {y}v7" for x in at) or "M0 0"}" stroke="{colour}" stroke-width="1.6"/>' + text(LEFT - 6, y + 7, what, 9, "end"))
    return parts


def draw(records, kills, begun, seconds):
    title = f"Time of innocent requests over {seconds:.0f} s at full load, with what was killed under it"
    parts = [text(0, 10, title, 13, weight="bold"), *scale(seconds), *lines(windows(records, begun, seconds)), *marks(kills, begun, seconds)]
    whole = HEIGHT + 106
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -6 {WIDTH} {whole}" width="{WIDTH}" height="{whole}" role="img" '
            f'font-family="system-ui, sans-serif">\n<title>{title}</title>\n' + "\n".join(parts) + "\n</svg>\n")
