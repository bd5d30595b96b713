// How a run ended: outcome, error and traceback, result, files, and what it took.
import { artefacts, changed } from "./artefacts.js";
import { button, byId, make, save } from "./dom.js";
import { table, tabular } from "./table.js";
import { bytes, duration, visible } from "./text.js";
import { tree } from "./tree.js";
import { advice, outcomeText, refusalText } from "./words.js";

const TONES = { ok: "good", cancelled: "calm" };

function show(id, ...children) {
  byId(id).replaceChildren(...children);
  byId(id).closest("section").hidden = children.length === 0;
}

export function clearReport() {
  for (const id of ["problem", "result", "files-out", "usage"]) show(id);
  byId("outcome").textContent = "";
  byId("printed-lost").hidden = true;
  byId("outcome").dataset.tone = "";
}

export function showOutcome(text, tone) {
  byId("outcome").textContent = text;
  byId("outcome").dataset.tone = tone;
}

/** `goTo` leads to the line in the editor. */
function problem({ error, exception }, help, goTo) {
  const parts = [make("p", { className: "error" }, visible(error))];
  if (exception?.hint) parts.push(make("p", {}, visible(exception.hint)));
  if (help) parts.push(make("p", {}, help));
  if (exception?.line) parts.push(button(`Go to line ${exception.line}`, goTo, { className: "quiet" }));
  if (exception?.traceback) {
    const text = make("pre", { tabIndex: 0, role: "region", "aria-label": "Traceback" }, visible(exception.traceback));
    parts.push(make("details", { open: exception.frames.length > 1 }, make("summary", {}, "Traceback"), text));
  }
  return parts;
}

/** The views of a result, of which one is shown, and the buttons to choose. */
function views(value) {
  const rows = tabular(value);
  const made = { Tree: () => tree(value) };
  if (rows) made.Table = () => table(rows);
  const shown = make("div", {});
  const buttons = Object.keys(made).map((name) => button(name, () => choose(name), { className: "view" }));
  function choose(name) {
    for (const one of buttons) one.setAttribute("aria-pressed", String(one.textContent === name));
    shown.replaceChildren(made[name]());
  }
  choose(rows ? "Table" : "Tree");
  const saving = button("Save JSON", () => save(new Blob([JSON.stringify(value, null, 2), "\n"], { type: "application/json" }), "result.json"),
    { className: "quiet" });
  const group = make("div", { className: "views", role: "group", "aria-label": "Show the result as" }, ...(rows ? buttons : []), saving);
  return { group, shown };
}

function usageList({ usage, limits }) {
  const of = (value, limit) => `${value} of ${limit}`;
  const facts = {
    Time: of(duration(+usage.wall_ms), duration(limits.wall_ms)),
    CPU: of(duration(+usage.cpu_user_ms + +usage.cpu_system_ms), duration(limits.cpu_ms)),
    Memory: of((usage.memory_peak_kb / 1024).toFixed(1), `${limits.memory_mb} MiB`),
    Printed: bytes(usage.stdout_bytes + usage.stderr_bytes),
    Result: bytes(usage.result_bytes),
  };
  return Object.entries(facts).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

/** The data of the last event; `given` are the files that the script had. */
export function showResult(result, given, goTo) {
  showOutcome(outcomeText(result.outcome), TONES[result.outcome] ?? "bad");
  if (result.error !== undefined) show("problem", ...problem(result, result.outcome ? advice(result) : "", goTo));
  if ("result" in result) {
    const { group, shown } = views(result.result);
    byId("views").replaceChildren(group);
    show("result", shown);
  }
  const files = changed(result.outputs ?? [], given);
  if (files.length) show("files-out", artefacts(files));
  if (result.usage) show("usage", ...usageList(result));
  byId("printed-empty").textContent = "It printed nothing.";
  byId("printed-lost").hidden = !result.stdout_truncated && !result.stderr_truncated;
}

/** What came instead of a result. */
export function showRefusal(error) {
  const [title, text] = refusalText(error);
  showOutcome(title, "bad");
  show("problem", make("p", { className: "error" }, title), make("p", {}, visible(text)));
}
