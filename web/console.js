// What the script prints, while it prints it. The page holds all of it for the download, and shows the end of it.
import { byId, make, save } from "./dom.js";
import { count, visible } from "./text.js";

const SHOWN = 200_000; // characters in the page at most
const PIECE = 20_000; // characters of one element, so that the oldest can go one by one

/** write(name, text) with the name of a stream, clear(), flush(); lines() so far. */
export function startConsole() {
  const [box, note, empty] = [byId("printed-text"), byId("printed-note"), byId("printed-empty")];
  let [all, waiting, shown, lines, timer] = [[], [], 0, 0, null];

  function clear() {
    clearTimeout(timer);
    [all, waiting, shown, lines, timer] = [[], [], 0, 0, null];
    box.replaceChildren();
    byId("printed-cut").hidden = true;
    byId("printed-save").hidden = true;
    empty.hidden = false;
    empty.textContent = "What the script prints comes here while it runs.";
    note.textContent = "";
  }

  function append({ name, text }) {
    const last = box.lastChild;
    if (last?.dataset.stream === name && last.textContent.length < PIECE) last.append(text);
    else box.append(make("span", { className: name }, text));
    box.lastChild.dataset.stream = name;
    shown += text.length;
  }

  /** Only the last of what waits has a chance to be seen. */
  function flush() {
    clearTimeout(timer);
    timer = null;
    if (!waiting.length) return;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    for (const { name, text } of waiting) {
      for (let begin = 0; begin < text.length; begin += PIECE) append({ name, text: text.slice(begin, begin + PIECE) });
      while (shown > SHOWN && box.childNodes.length > 1) {
        shown -= box.firstChild.textContent.length;
        box.firstChild.remove();
        byId("printed-cut").hidden = false;
      }
    }
    waiting = [];
    empty.hidden = true;
    byId("printed-save").hidden = false;
    note.textContent = count(lines, "line");
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  function write(name, text) {
    all.push(text);
    for (let at = -1; (at = text.indexOf("\n", at + 1)) >= 0; ) lines++;
    waiting.push({ name, text: visible(text) });
    timer ??= setTimeout(flush, 50);
  }

  byId("printed-save").onclick = () => save(new Blob(all, { type: "text/plain;charset=utf-8" }), "output.txt");
  return { clear, write, flush, lines: () => lines };
}
