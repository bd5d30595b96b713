// The request that the form describes. It is kept as the texts that were typed: what a number has of digits is nobody's business here.

/** Throws where the input is no JSON. */
export function checkInput(text) {
  if (text.trim() === "") return;
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`The input is not JSON: ${error.message}`);
  }
}

/** What stands beside the script, each with its JSON text; what is not said is left out. */
export function orderKeys(form) {
  const keys = {};
  if (form.input.trim() !== "") keys.input = form.input.trim();
  if (form.stdin !== "") keys.stdin = JSON.stringify(form.stdin);
  if (form.files.length) {
    keys.files = JSON.stringify(Object.fromEntries(form.files.map(({ name, base64 }) => [name, { base64 }])));
  }
  if (form.seed.trim() !== "") keys.seed = form.seed.trim();
  if (form.wall.trim() !== "") keys.limits = JSON.stringify({ wall_ms: Number(form.wall) });
  const patterns = form.outputs.split(/[\s,]+/).filter(Boolean);
  if (patterns.length) keys.outputs = JSON.stringify(patterns);
  if (form.figures) keys.figures = "true";
  if (form.convert) keys.convert = "true";
  return keys;
}

export function orderText(script, keys) {
  const pairs = Object.entries({ script: JSON.stringify(script), ...keys });
  return `{${pairs.map(([key, text]) => `"${key}": ${text}`).join(", ")}}`;
}

export const streamed = (keys) => ({ ...keys, details: "true", stream: "true" });
