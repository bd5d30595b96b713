// The service as the page uses it: runs with their events as they come, and questions.
import { parse } from "./json.js";

const headers = (key) => (key ? { Authorization: `Bearer ${key}` } : {});

/** What the service refused before anything ran. */
export class Refused extends Error {
  constructor(status, text, retryAfter) {
    super(text);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The connection could not be made, or ended before the result. */
export class Lost extends Error {}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: "no-store", credentials: "omit" });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Lost("The service does not answer.");
  }
  if (response.ok) return response;
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  const body = await response.json().catch(() => null);
  throw new Refused(response.status, body?.error ?? `The answer was ${response.status}.`, retryAfter);
}

export async function ask(path, key) {
  return (await request(path, { headers: headers(key) })).json();
}

/** A small run of the page's own. */
export async function call(body, key) {
  const options = { method: "POST", headers: { ...headers(key), "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return (await request("execute", options)).json();
}

/** One server-sent event from its lines. */
function event(lines) {
  const fields = { event: "", data: "" };
  for (const line of lines.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return { name: fields.event, data: parse(fields.data) };
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      let begin = 0;
      let end = Math.max(rest.length - 1, 0); // what was looked through is not looked through again
      rest += value;
      while ((end = rest.indexOf("\n\n", end)) >= 0) {
        yield event(rest.slice(begin, end));
        begin = end += 2;
      }
      rest = rest.slice(begin);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Runs `body`, which is JSON text, and yields {name, data}; the last is named "result". Aborting `signal` cancels the run. */
export async function* run(body, key, signal) {
  const options = { method: "POST", headers: { ...headers(key), "Content-Type": "application/json" }, body, signal };
  const response = await request("execute", options);
  try {
    for await (const one of events(response.body)) {
      yield one;
      if (one.name === "result") return;
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!(error instanceof TypeError)) throw error;
  }
  throw new Lost("The connection was lost before the result came.");
}
