// Shows what a script prints while it runs: node stream.mjs [URL]; Node.js 18 or later.
const url = process.argv[2] ?? "http://127.0.0.1:8080";

// [name, data] of each server-sent event.
async function* events(script, keys = {}) {
  const answer = await fetch(`${url}/execute`, {
    method: "POST",
    body: JSON.stringify({ script, stream: true, ...keys }),
  });
  if (!answer.ok) throw new Error((await answer.json()).error);
  let text = "";
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const parts = (text + piece).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const [, name, data] = part.match(/^event: (.*)\ndata: (.*)$/);
      yield [name, JSON.parse(data)];
    }
  }
}

const script = `
import time
def main():
    for n in range(3):
        print("step", n)
        time.sleep(0.1)
    return "done"
`;
for await (const [name, data] of events(script)) {
  if (name === "stdout") process.stdout.write(data.text);
  else if (name === "stderr") process.stderr.write(data.text);
  else console.log(name, data);
}
