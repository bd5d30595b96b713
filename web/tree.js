// JSON as a tree that unfolds: branches are made when they are opened, and not more of them at once than can be read.
import { button, make } from "./dom.js";
import { isNumber, isObject } from "./json.js";
import { count, visible } from "./text.js";

const AT_ONCE = 100; // members of a branch
const LONG = 2000; // characters of a string

const entriesOf = (value) => (Array.isArray(value) ? value.map((one, index) => [index, one]) : Object.entries(value));
const isBranch = (value) => Array.isArray(value) || isObject(value);

function scalar(value) {
  if (typeof value !== "string") {
    const kind = value === null ? "null" : isNumber(value) ? "number" : "boolean";
    return make("span", { className: `json-${kind}` }, String(value));
  }
  const text = JSON.stringify(value.slice(0, LONG));
  const shown = make("span", { className: "json-string" }, visible(text));
  if (value.length > LONG) shown.append(make("em", {}, ` and ${count(value.length - LONG, "more character")}`));
  return shown;
}

function summaryOf(value) {
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (!size) return Array.isArray(value) ? "[ ]" : "{ }";
  return Array.isArray(value) ? `[ ${count(size, "item")} ]` : `{ ${count(size, "key")} }`;
}

function label(key) {
  return make("span", { className: typeof key === "number" ? "json-index" : "json-key" }, typeof key === "number" ? `${key}` : visible(key));
}

/** Adds the next members to `list`, and a button for those behind them. */
function fill(list, entries, from) {
  const end = Math.min(from + AT_ONCE, entries.length);
  for (const [key, value] of entries.slice(from, end)) list.append(make("li", {}, node(key, value, false)));
  if (end === entries.length) return;
  const more = make("li", {}, button(`Show more (${count(entries.length - end, "item")} left)`, () => {
    more.remove();
    fill(list, entries, end);
    list.children[end].querySelector("summary")?.focus();
  }, { className: "quiet" }));
  list.append(more);
}

function node(key, value, open) {
  const name = key === null ? [] : [label(key), make("span", { className: "json-colon" }, ": ")];
  if (!isBranch(value) || !entriesOf(value).length) {
    return make("div", { className: "leaf" }, ...name, isBranch(value) ? summaryOf(value) : scalar(value));
  }
  const list = make("ul", {});
  const branch = make("details", {}, make("summary", {}, ...name, make("span", { className: "json-size" }, summaryOf(value))), list);
  const unfold = () => branch.open && !list.hasChildNodes() && fill(list, entriesOf(value), 0);
  branch.ontoggle = unfold;
  branch.open = open;
  unfold();
  return branch;
}

export const tree = (value) => make("div", { className: "tree" }, node(null, value, true));
