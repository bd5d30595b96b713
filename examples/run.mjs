// Runs a script, and reads its answer: node run.mjs [URL]; Node.js 18 or later.
const url = process.argv[2] ?? "http://127.0.0.1:8080";

// The answer, and how the run ended. A script that fails is an answer like any other.
async function execute(script, keys = {}) {
  const answer = await fetch(`${url}/execute`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ script, ...keys }),
    signal: AbortSignal.timeout(60_000), // a client that goes away cancels its run
  });
  return { ...(await answer.json()), outcome: answer.headers.get("Execution-Outcome") };
}

const script = `
def main(words):
    print("words:", len(words))
    return sorted(words, key=len)
`;
console.log(await execute(script, { input: ["three", "a", "to"] }));
console.log(await execute("def main(): return {}['x']"));
