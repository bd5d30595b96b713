// JSON with the numbers as they were written: 1180591620717411303424 and 1.0 are what Python returned.

/** A number that JavaScript would write in another way. */
export class Exact {
  constructor(source) {
    this.source = source;
  }
  toString() {
    return this.source;
  }
  valueOf() {
    return Number(this.source);
  }
  toJSON() {
    return JSON.rawJSON ? JSON.rawJSON(this.source) : Number(this.source);
  }
}

const LARGE = 2_000_000; // characters: beyond it a call for each value takes longer than anybody waits

function keepNumber(key, value, context) {
  return typeof value === "number" && context && String(value) !== context.source ? new Exact(context.source) : value;
}

export const parse = (text) => (text.length > LARGE ? JSON.parse(text) : JSON.parse(text, keepNumber));

export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Exact);

export const isNumber = (value) => typeof value === "number" || value instanceof Exact;
