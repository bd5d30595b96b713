// The editor where the service was built without npm: a text area with the interface of editor/editor.js.
import { make } from "./dom.js";

export async function createEditor(parent, { text, onChange, onRun, label }) {
  const area = make("textarea", {
    className: "plain-editor", value: text, spellcheck: false, autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": label,
  });
  const note = make("p", { className: "plain-note", hidden: true });
  parent.append(area, note);

  function markError(error) {
    note.hidden = !error;
    area.setAttribute("aria-invalid", String(Boolean(error)));
    if (!error) return;
    note.textContent = `Line ${error.line}: ${error.message}`;
    const lines = area.value.split("\n");
    const begin = lines.slice(0, error.line - 1).join("\n").length + (error.line > 1 ? 1 : 0);
    area.setSelectionRange(begin, begin + (lines[error.line - 1]?.length ?? 0));
  }

  area.addEventListener("input", onChange);
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    onRun();
  });
  return {
    getText: () => area.value,
    setText(value) {
      area.value = value;
      area.setSelectionRange(0, 0);
      onChange();
    },
    focus: () => area.focus(),
    markError,
    setDark() {}, // it has the colours of the page
    kind: "plain",
  };
}
