// What confines the scripts of this very service, as it says itself.
import { byId, make } from "./dom.js";
import { ask } from "./execute.js";
import { count } from "./text.js";

const STATES = { on: "on", unused: "not needed" };

function row(layer) {
  const state = STATES[layer.status] ?? layer.status;
  return make("tr", {}, make("th", { scope: "row" }, layer.name), make("td", { className: layer.active ? "on" : "off" }, state),
    make("td", {}, layer.detail ?? ""));
}

export async function showIsolation(key) {
  const { tier, kernel, layers } = await ask("isolation", key);
  const active = layers.filter((layer) => layer.active).length;
  byId("isolation-summary").textContent = `${tier}, ${count(active, "layer")} on`;
  byId("isolation-kernel").textContent = `Kernel: ${kernel}. These are the facts of the workers that run now.`;
  byId("isolation-rows").replaceChildren(...layers.map(row));
  byId("isolation-table").hidden = false;
}
