// The page: puts its parts together. Who does what: run.js runs, report.js shows how it ended, the others one thing each.
import { byId, copy, make } from "./dom.js";
import { createEditor } from "./editor.js";
import { EXAMPLES } from "./examples.js";
import { Refused } from "./execute.js";
import { serviceFacts } from "./facts.js";
import { startFiles } from "./files.js";
import { showIsolation } from "./isolation.js";
import { askForKey, currentKey, keyIsNeeded, startKey } from "./key.js";
import { checkInput, orderKeys } from "./order.js";
import { startRuns } from "./run.js";
import { fromFragment, toFragment } from "./share.js";
import { snippet } from "./snippets.js";
import { startTheme } from "./theme.js";

const TEXTS = ["input", "stdin", "seed", "wall", "outputs"];
const SWITCHES = ["figures", "convert"];
const address = new URL("execute", document.baseURI).href;

/** Shows a line for a moment, and has it read out. */
let toastTimer;
function say(text) {
  byId("status").textContent = byId("toast").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (byId("toast").hidden = true), 4000);
}

const editor = await createEditor(byId("editor"), {
  text: EXAMPLES[0].script, onChange: () => {}, onRun: () => run(), label: "Python script",
});
byId("editor-hint").hidden = editor.kind === "plain"; // Tab leaves a text area by itself
const files = startFiles({ chips: byId("chips"), picker: byId("picker"), drop: byId("files-card"), note: byId("files-note"), say });
const runs = startRuns(editor);

// The form

function form() {
  const texts = TEXTS.map((id) => [id, byId(id).value]);
  const switches = SWITCHES.map((id) => [id, byId(id).checked]);
  return Object.fromEntries([...texts, ...switches]);
}

function fill(values) {
  for (const id of TEXTS) byId(id).value = values[id] ?? byId(id).defaultValue;
  for (const id of SWITCHES) byId(id).checked = values[id] ?? byId(id).defaultChecked;
  byId("input-card").open = byId("input").value !== "" || byId("stdin").value !== "";
  showInput();
  editor.setText(values.script);
}

/** Says what is wrong with the input; null where nothing is. */
function showInput() {
  let wrong = "";
  try {
    checkInput(byId("input").value);
  } catch (error) {
    wrong = error.message;
  }
  byId("input-error").textContent = wrong;
  byId("input").setAttribute("aria-invalid", String(wrong !== ""));
  byId("input-note").textContent = byId("input").value.trim() || byId("stdin").value ? "given" : "";
  return wrong === "";
}

async function run() {
  if (!showInput()) {
    byId("input-card").open = true;
    byId("input").focus();
    return;
  }
  if (keyIsNeeded() && !currentKey()) {
    askForKey(false);
    return;
  }
  const given = files.list();
  const error = await runs.run(editor.getText(), orderKeys({ ...form(), files: given }), given, currentKey());
  if (error instanceof Refused && error.status === 401) askForKey(currentKey() !== null);
}

// What the service tells of itself

function offerExamples(has) {
  const options = EXAMPLES.map((example, index) => make("option", { value: String(index), hidden: example.needs && !has(example.needs) }, example.name));
  for (const option of options) option.disabled = option.hidden;
  const { value } = byId("example");
  byId("example").replaceChildren(...options);
  byId("example").value = value || "0";
}

async function askService() {
  const names = ["numpy", "pandas", "matplotlib", "scipy"];
  try {
    const { python, modules, limits } = await serviceFacts(names, currentKey());
    runs.expect(limits);
    byId("wall").placeholder = String(limits.wall_ms);
    byId("facts").textContent = [`Python ${python}`, ...modules, `${limits.wall_ms / 1000} s`, `${limits.memory_mb} MiB`].join(" · ");
    offerExamples((name) => modules.includes(name));
    await showIsolation(currentKey());
  } catch (error) {
    if (error instanceof Refused && error.status === 401) askForKey(currentKey() !== null);
    else byId("isolation-summary").textContent = error.message;
  }
}

// Copy as, and share

let language = "curl";
function showSnippet() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  const keys = orderKeys({ ...form(), files: files.list() });
  const { text, note } = snippet(language, editor.getText(), keys, address, keyIsNeeded());
  byId("snippet-text").textContent = text;
  byId("snippet-note").textContent = note;
}

async function share() {
  const fragment = await toFragment({ script: editor.getText(), ...form() });
  history.replaceState(null, "", fragment);
  const copied = await copy(location.href);
  const left = files.list().length ? " Files are not in it." : "";
  say((copied ? "The link is copied: it holds the script and its input." : "The link is in the address bar.") + left);
}

async function openShared() {
  try {
    const shared = await fromFragment(location.hash);
    if (shared) fill(shared);
    return shared !== null;
  } catch {
    say("The link is damaged: there is no script in it.");
    return false;
  }
}

// Everything that can be clicked

for (const button of document.querySelectorAll("[data-language]")) {
  button.onclick = () => {
    language = button.dataset.language;
    showSnippet();
  };
}
for (const button of document.querySelectorAll("dialog .close")) button.onclick = () => button.closest("dialog").close();
byId("snippet-button").onclick = () => {
  showSnippet();
  byId("snippet-dialog").showModal();
};
byId("snippet-copy").onclick = async () => {
  const copied = await copy(byId("snippet-text").textContent);
  byId("snippet-note").textContent = byId("status").textContent = copied ? "Copied." : "The browser does not let this page copy: mark the text.";
};
byId("share-button").onclick = share;
byId("run").onclick = run;
byId("cancel").onclick = () => runs.cancel();
byId("order").onsubmit = (event) => event.preventDefault();
byId("example").onchange = () => fill(EXAMPLES[Number(byId("example").value)]);
byId("input").oninput = byId("stdin").oninput = showInput;
document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") runs.cancel();
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
  event.preventDefault();
  run();
});
addEventListener("hashchange", openShared);
if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("run-keys").textContent = "⌘ ↵";

startTheme(byId("theme-button"), (dark) => editor.setDark(dark));
startKey(askService);
offerExamples((name) => !name);
if (!(await openShared())) fill(EXAMPLES[0]);
document.documentElement.dataset.ready = editor.kind;
askService();
