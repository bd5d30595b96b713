// The key of a service that wants one: kept for this tab alone, and sent as Authorization to nobody but this service.
import { byId } from "./dom.js";

const KEY = "python-executor-key";
let key = null;
try {
  key = sessionStorage.getItem(KEY);
} catch {
  // a browser that keeps nothing
}
let needed = key !== null;

export const currentKey = () => key;
export const keyIsNeeded = () => needed;

function keep(value) {
  key = value || null;
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // it holds until the page is left
  }
}

function show(reason) {
  byId("key-button").hidden = !needed;
  byId("key-reason").textContent = reason;
  byId("key-dialog").showModal();
}

/** Asks for a key: `wrong` where there was one. */
export function askForKey(wrong) {
  needed = true;
  show(wrong ? "The service does not know this key." : "This service runs scripts for those who have a key.");
}

/** onKey() is called when there is another one. */
export function startKey(onKey) {
  const [dialog, field] = [byId("key-dialog"), byId("key-field")];
  byId("key-button").hidden = !needed;
  byId("key-button").onclick = () => show(key ? "A key is kept until this tab is closed." : "No key is kept.");
  byId("key-form").onsubmit = (event) => {
    event.preventDefault();
    keep(field.value.trim());
    field.value = "";
    dialog.close();
    onKey();
  };
  byId("key-forget").onclick = () => {
    keep(null);
    field.value = "";
    dialog.close();
  };
}
