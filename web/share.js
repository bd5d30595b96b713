// A script in a link: behind the #, which browsers send to nobody.

const LONGEST = 2_000_000; // characters of a link's content; a small link may unfold to any size

async function through(stream, data) {
  const response = new Response(new Blob([data]).stream().pipeThrough(stream));
  return new Uint8Array(await response.arrayBuffer());
}

function base64url(data) {
  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const fromBase64url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

export async function toFragment(shared) {
  const data = new TextEncoder().encode(JSON.stringify(shared));
  return `#run=${base64url(await through(new CompressionStream("deflate-raw"), data))}`;
}

async function inflate(data) {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate-raw")).pipeThrough(new TextDecoderStream());
  const reader = stream.getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
    if (text.length > LONGEST) throw new Error("it is too long");
  }
}

/** What toFragment() was given, with strings where strings were; null where the fragment is none of ours. Throws where it is damaged. */
export async function fromFragment(fragment) {
  if (!fragment.startsWith("#run=")) return null;
  const found = JSON.parse(await inflate(fromBase64url(fragment.slice(5))));
  const text = (value) => (typeof value === "string" ? value : "");
  const { script, input, stdin, seed, wall, outputs, figures, convert } = found;
  return {
    script: text(script), input: text(input), stdin: text(stdin), seed: text(seed), wall: text(wall), outputs: text(outputs),
    figures: figures === true, convert: convert === true,
  };
}
