// A result as a table, where it is one: a list of objects, a list of lists, an object of lists.
import { button, make } from "./dom.js";
import { isNumber, isObject } from "./json.js";
import { count, visible } from "./text.js";

const MOST_COLUMNS = 60;
const AT_ONCE = 100; // rows
const LONG = 200; // characters of a cell

/** Columns in the order in which they first come. */
function columnsOf(rows) {
  const names = new Set();
  for (const row of rows) for (const name of Object.keys(row)) names.add(name);
  return [...names];
}

/** {columns, rows}, each row a list of its cells, or null. */
export function tabular(value) {
  let found = null;
  if (Array.isArray(value) && value.length && value.every(isObject)) {
    const columns = columnsOf(value);
    found = { columns, rows: value.map((row) => columns.map((name) => (Object.hasOwn(row, name) ? row[name] : undefined))) };
  } else if (Array.isArray(value) && value.length && value.every(Array.isArray)) {
    const width = value.reduce((most, row) => Math.max(most, row.length), 0);
    found = { columns: Array.from({ length: width }, (_, index) => String(index)), rows: value };
  } else if (isObject(value)) {
    const columns = Object.keys(value);
    const height = value[columns[0]]?.length;
    if (!columns.every((name) => Array.isArray(value[name]) && value[name].length === height)) return null;
    found = { columns, rows: Array.from({ length: height ?? 0 }, (_, index) => columns.map((name) => value[name][index])) };
  }
  return found && found.rows.length && found.columns.length && found.columns.length <= MOST_COLUMNS ? found : null;
}

function cell(value) {
  if (value === undefined) return make("td", {});
  if (value === null) return make("td", { className: "json-null" }, "null");
  if (isNumber(value)) return make("td", { className: "json-number" }, String(value));
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return make("td", {}, visible(text.length > LONG ? `${text.slice(0, LONG)}…` : text));
}

export function table({ columns, rows }) {
  const numeric = columns.map((_, index) => rows.every((row) => row[index] === null || isNumber(row[index])));
  const head = columns.map((name, index) => make("th", { scope: "col", className: numeric[index] ? "numeric" : "" }, visible(name)));
  const body = make("tbody", {});
  const more = button("", () => fill(body.children.length), { className: "quiet" });
  function fill(from) {
    const end = Math.min(from + AT_ONCE, rows.length);
    for (let at = from; at < end; at++) {
      body.append(make("tr", {}, make("th", { scope: "row" }, String(at)), ...columns.map((_, index) => cell(rows[at][index]))));
    }
    more.hidden = end === rows.length;
    more.textContent = `Show more (${count(rows.length - end, "row")} left)`;
  }
  fill(0);
  const caption = make("caption", {}, `${count(rows.length, "row")}, ${count(columns.length, "column")}`);
  const whole = make("table", {}, caption, make("thead", {}, make("tr", {}, make("td", {}), ...head)), body);
  return make("div", {}, make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Result as a table" }, whole), more);
}
