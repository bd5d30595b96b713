// The editor: CodeMirror in a shadow root, where its styles are adopted style sheets, which a strict Content-Security-Policy allows.
// Bundled to /page/editor.js; web/editor-plain.js stands in for it where there is no npm.
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Prec, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration, drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers, WidgetType,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

// The page's colours reach in here as custom properties, and change with its scheme.
const look = {
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "var(--surface)", fontSize: "var(--code-size)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--accent)", padding: "12px 0" },
  ".cm-line": { padding: "0 16px 0 8px" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--faint)", border: "none", paddingLeft: "8px" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--line-tint)" },
  ".cm-activeLineGutter": { color: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--selection)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selection)", outline: "none" },
  ".cm-error-line": { backgroundColor: "var(--bad-tint)", boxShadow: "inset 3px 0 0 var(--bad)" },
  ".cm-error-mark": { textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "4px" },
  ".cm-error-note": { display: "block", padding: "2px 16px 4px 8px", color: "var(--bad)", whiteSpace: "pre-wrap", fontFamily: "var(--sans)" },
};

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
  { tag: [tags.function(tags.definition(tags.variableName)), tags.definition(tags.className)], color: "var(--code-name)", fontWeight: "600" },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: "var(--code-name)" },
  { tag: tags.meta, color: "var(--code-keyword)" },
]);

class ErrorNote extends WidgetType {
  constructor(message) {
    super();
    this.message = message;
  }
  eq(other) {
    return other.message === this.message;
  }
  toDOM() {
    const note = document.createElement("div");
    note.className = "cm-error-note";
    note.textContent = this.message;
    return note;
  }
}

// Chromium gives what is typed over a selection the style of that as a style attribute, which the policy of the page blocks and reports.
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    if (event.inputType !== "insertText" || !event.data || event.isComposing || view.state.selection.main.empty) return false;
    view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    return true;
  },
});

const setError = StateEffect.define();

function errorDecorations(state, error) {
  if (!error || error.line > state.doc.lines) return Decoration.none;
  const line = state.doc.line(error.line);
  const marks = [Decoration.line({ class: "cm-error-line" }).range(line.from)];
  const before = [...line.text].slice(0, (error.column ?? 1) - 1).join(""); // Python counts characters, JavaScript units of UTF-16
  const from = line.from + before.length;
  const word = /^(?:\w+|.)/u.exec(line.text.slice(from - line.from));
  if (word && from < line.to) marks.push(Decoration.mark({ class: "cm-error-mark" }).range(from, from + word[0].length));
  marks.push(Decoration.widget({ widget: new ErrorNote(error.message), block: true, side: 1 }).range(line.to));
  return Decoration.set(marks, true);
}

const errorField = StateField.define({
  create: () => Decoration.none,
  update(marks, change) {
    for (const effect of change.effects) if (effect.is(setError)) return errorDecorations(change.state, effect.value);
    return change.docChanged ? Decoration.none : marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export async function createEditor(parent, { text, onChange, onRun, label }) {
  const host = document.createElement("div");
  host.className = "editor-host";
  parent.append(host);
  const root = host.attachShadow({ mode: "open" });
  const theme = new Compartment();
  const themed = (dark) => EditorView.theme(look, { dark });
  const run = { key: "Mod-Enter", run: () => (onRun(), true) };
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        Prec.highest(keymap.of([run])),
        lineNumbers(), highlightActiveLine(), highlightActiveLineGutter(), drawSelection(), history(), bracketMatching(), indentOnInput(),
        indentUnit.of("    "), python(), syntaxHighlighting(colours), errorField, typeOver, theme.of(themed(false)),
        keymap.of([indentWithTab, ...historyKeymap, ...defaultKeymap]),
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
        EditorView.updateListener.of((update) => update.docChanged && onChange()),
      ],
    }),
  });
  return {
    getText: () => view.state.doc.toString(),
    setText: (value) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value }, selection: { anchor: 0 } }),
    focus: () => view.focus(),
    markError(error) {
      const effects = [setError.of(error)];
      if (error && error.line <= view.state.doc.lines) {
        effects.push(EditorView.scrollIntoView(view.state.doc.line(error.line).from, { y: "center" }));
      }
      view.dispatch({ effects });
    },
    setDark: (dark) => view.dispatch({ effects: theme.reconfigure(themed(dark)) }),
    kind: "codemirror",
  };
}
