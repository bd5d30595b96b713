// How text of unknown origin is shown: nothing in it is invisible, or changes the order of what stands beside it.

const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

function escaped(character) {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Control characters, and what is invisible or turns the direction, as Python writes them: \x1b, \u202e. */
export const visible = (text) => text.replaceAll("\r\n", "\n").replace(HIDDEN, escaped);

export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

export function bytes(number) {
  if (number < 1000) return count(number, "byte");
  const [value, unit] = number < 1e6 ? [number / 1e3, "kB"] : [number / 1e6, "MB"];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
