"""What a long run gave: the tables of soak.md, soak.json with all figures, the picture, and the log without its requests."""
import collections
import json
import os
import xml.etree.ElementTree

import picture
from clients import percentile
from load import ANSWERED, CUT
from report import number, table
from traffic import KINDS

SHOWN = 20  # problems of one check


def times(records):
    return [(record.ended - record.sent) * 1000 for record in records if record.end == ANSWERED and record.outcome == "ok"]


def words(counted):
    return ", ".join(f"{key} {count}" for key, count in sorted(counted.items()) if count) or "none"


def requests(soak):
    under_way = {record.id for record in soak.account.under_way()}
    cut_short = {record.id for record in soak.account.cut_short()} - under_way
    rows = []
    for kind in [*KINDS, "all"]:
        records = [record for record in soak.load.records if kind in (record.kind, "all")]
        answered, cut = (sum(record.end == end for record in records) for end in (ANSWERED, CUT))
        taken, short = sum(record.id in under_way for record in records), sum(record.id in cut_short for record in records)
        ok = times(records)
        figures = " / ".join(number(percentile(ok, share)) for share in (50, 95, 99, 100)) if ok else "–"
        rows.append([kind, *map(str, (len(records), answered, cut, taken, short, len(records) - answered - cut - taken - short)), figures])
    return table(["requests", "sent", "answered", "cut by the client", "under way when a server was killed",
                  "429 and a reset while it sent more", "unaccounted",
                  "p50 / p95 / p99 / most of `ok`, ms"], rows)


def sent_away(soak):
    found = collections.Counter(f"{record.code} with Retry-After {record.retry_after}:" for record in soak.load.records if record.code in (429, 503))
    found["503 in a stream's end:"] = sum(record.code == 200 and record.status == 503 for record in soak.load.records)
    return found


def outcomes(soak):
    return collections.Counter(str(record.outcome or record.status) for record in soak.load.records if record.end == ANSWERED)


def kills(soak):
    return {what: soak.killer.count(what) for what in picture.MARKS}


def text(soak):
    rows = [[name, str(soak.before[what].get(name, "–")), str(soak.after[what].get(name, "–"))]
            for what in ("counts", "memory") for name in sorted({*soak.before[what], *soak.after[what]})]
    return "\n".join([
        f"{len(soak.load.records)} requests of {len(soak.people)} clients in {soak.lasted:.0f} s, {len(soak.load.records) / soak.lasted:.0f}/s, "
        f"seed {soak.seed}; load of the machine in the end {os.getloadavg()[0]:.1f}. Killed: {words(kills(soak))}.\n",
        requests(soak),
        f"Outcomes, or the status of what never ran: {words(outcomes(soak))}.\n",
        f"Sent away: {words(sent_away(soak))}.\n",
        f"Answers whose line in the log went with a server: {soak.account.lines_lost}.\n",
        table(["at rest; memory in kB", "before", "after"], rows),
        table(["", "it shows"], [["**failed**" if problems else "passed", name] for name, problems in soak.checks])])


def problems(soak):
    return {name: [*found[:SHOWN], *([f"… and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])] for name, found in soak.checks if found}


def windows(soak):
    return [{"requests": len(found), **({name: round(picture.figure(name, found), 2) for name in picture.LINES} if found else {})}
            for found in picture.windows(soak.load.records, soak.begun, soak.lasted)]


def write(soak, folder):
    os.makedirs(folder, exist_ok=True)
    svg = picture.draw(soak.load.records, soak.killer.kills, soak.begun, soak.lasted)
    xml.etree.ElementTree.fromstring(svg)
    said = text(soak)
    document = {"seed": soak.seed, "seconds": soak.lasted, "requests": len(soak.load.records), "outcomes": outcomes(soak),
                "sent_away": sent_away(soak), "before": soak.before, "after": soak.after,
                "ends": collections.Counter(record.end for record in soak.load.records), "under_way": len(soak.account.under_way()),
                "kills": [[kill.what, round(kill.began - soak.begun, 2), round(kill.gone - kill.began, 3)] for kill in soak.killer.kills],
                "windows_ms": windows(soak), "checks": {name: not found for name, found in soak.checks}, "problems": problems(soak)}
    for name, content in (("soak.md", said), ("soak.json", json.dumps(document, indent=1) + "\n"), ("soak.svg", svg),
                          ("soak.log", "".join(soak.account.told))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
    print("\n" + said)
    for name, found in problems(soak).items():
        print(f"FAILED: {name}\n  " + "\n  ".join(found))
    print(f"written: {os.path.join(folder, 'soak.md')}, soak.json, soak.svg, soak.log")
