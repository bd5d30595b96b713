"""Tables of one run: report.md, as it is pasted into docs/PERFORMANCE.md, and results.json with all that was seen."""
import json
import os
import statistics

from clients import percentile

WORDS = {
    "empty": "returns 1", "numpy": "numpy, small", "pandas": "pandas, small", "cpu": "a loop", "stdout": "prints 1 MB",
    "result": "returns 1 MB", "script": "1 MB long",
}


def number(value):
    """Three digits that say something."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def ratio(value, other):
    return f"{number(value / other)}×" if value and other else "–"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def paced(cell):
    """All rounds of a paced script together: p50, p95, p99, CPU ms per request."""
    times = [ms for part in cell["paced"] for ms in part["ms"]]
    cpu = statistics.median(part["cpu_ms"] for part in cell["paced"])
    return {"p50": percentile(times, 50), "p95": percentile(times, 95), "p99": percentile(times, 99), "cpu_ms": cpu}


def middle(loads):
    """The median over rounds of each figure; None where no request was answered."""
    loads = [load for load in loads if load.get("requests", 1)]
    keys = [key for key in ("p50", "p95", "p99", "rate", "cpu_ms") if loads and key in loads[0]]
    return {key: statistics.median(load[key] for load in loads) for key in keys} if loads else None


def three(figures):
    return " / ".join(number(figures[key]) for key in ("p50", "p95", "p99")) if figures else "–"


def paced_table(results):
    names = list(results["peers"])
    rows = []
    for script in results["peers"]["this"]:
        seen = {name: paced(results["peers"][name][script]) for name in names}
        row = [WORDS[script], three(seen["this"])]
        for name in names[1:]:
            row += [number(seen[name]["p50"]), ratio(seen[name]["p50"], seen["this"]["p50"])]
        rows.append(row)
    head = ["script", "this: p50 / p95 / p99 ms"]
    for name in names[1:]:
        head += [f"{name}: p50 ms", "to this"]
    return table(head, rows)


def loop_table(results):
    names = list(results["peers"])
    rows = []
    for script, cell in results["peers"]["this"].items():
        for connections in cell["loops"]:
            seen = {name: middle(results["peers"][name][script]["loops"].get(connections, [])) for name in names}
            row = [WORDS[script], str(connections)]
            for name in names:
                row += [number(seen[name] and seen[name]["rate"]), three(seen[name])]
                if name != "this":
                    row.append(ratio(seen["this"] and seen["this"]["rate"], seen[name] and seen[name]["rate"]))
            rows.append(row)
    head = ["script", "connections"]
    for name in names:
        head += [f"{name}: requests/s", "p50 / p95 / p99 ms"] + (["this to it"] if name != "this" else [])
    return table(head, rows)


def cost_table(results):
    names = list(results["peers"])
    rows = []
    for script, cell in results["peers"]["this"].items():
        busiest = max(cell["loops"], key=lambda connections: (connections == 16, connections))
        seen = {name: middle(results["peers"][name][script]["loops"].get(busiest, [])) for name in names}
        bare, ours = middle(results["bare"][script]), seen["this"] or {"cpu_ms": None, "rate": None}
        row = [WORDS[script], number(bare["cpu_ms"]), number(ours["cpu_ms"]), ratio(ours["cpu_ms"], bare["cpu_ms"])]
        for name in names[1:]:
            other = seen[name] or {"cpu_ms": None}
            row += [number(other["cpu_ms"]), ratio(other["cpu_ms"], ours["cpu_ms"])]
        rows.append(row + [number(bare["rate"]), ratio(ours["rate"], bare["rate"])])
    head = ["script", "bare: CPU ms", "this: CPU ms", "to bare"]
    for name in names[1:]:
        head += [f"{name}: CPU ms", "to this"]
    return table(head + ["bare: runs/s", "this to bare"], rows)


def floor_table(results):
    seen = paced(results["floor"])
    rows = [["1, 30 ms apart", "–", three(seen), number(seen["cpu_ms"])]]
    for connections, loads in results["floor"]["loops"].items():
        seen = middle(loads)
        rows.append([str(connections), number(seen["rate"]), three(seen), number(seen["cpu_ms"])])
    return table(["connections", "requests/s", "p50 / p95 / p99 ms", "CPU ms"], rows)


def memory_table(results):
    rows = [[row["flavour"], number(row["worker_mb"]), number(row["crew_mb"]), number(row["zygote_mb"])]
            for row in results["memory"]["flavours"]]
    return table(["flavour", "one idle worker, MB", "a crew of 100, MB", "its zygote, resident, MB"], rows)


def blas_table(results):
    rows = [[name if name == "a worker" else f"a plain python3, {name}", number(ms), mapped]
            for name, ms, mapped in results["blas"]]
    return table(["500 × 500 product in", "ms", "library"], rows)


def markdown(results):
    wrong = results["wrong"]
    parts = [
        table(["", ""], [[key, value] for key, value in results["machine"].items()]),
        f"One run of {results['seconds']:.0f} s, {results['rounds']} rounds, "
        + ("no wrong body and no error in any." if not wrong else f"**{wrong} wrong bodies or errors.**"),
        *(f"Without {name}: {why}." for name, why in results["refused"].items()),
        "Requests 30 ms apart on one connection:", paced_table(results),
        "Requests back to back:", loop_table(results),
        "CPU of one request, over all processes, and the limit that forking sets (at 16 connections):", cost_table(results),
        "A request that runs nothing (`OPTIONS /execute`):", floor_table(results),
        "Memory that is a worker's alone"
        + (f"; the whole service with these crews has {number(results['memory']['whole_mb'])} MB:"
           if results["memory"]["whole_mb"] else ":"),
        memory_table(results),
        "The BLAS:", blas_table(results),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def write(folder, results):
    os.makedirs(folder, exist_ok=True)
    text = markdown(results)
    for name, content in (("report.md", text), ("results.json", json.dumps(results, indent=1) + "\n")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
    print("\n" + text + f"\nwritten: {os.path.join(folder, 'report.md')}, results.json, chart.svg")
