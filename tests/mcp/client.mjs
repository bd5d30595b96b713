// The official client of the Model Context Protocol against a running service: node client.mjs URL CHECK.
// tests/integration/test_mcp_sdk.py runs each check, by the name of its function.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema, LATEST_PROTOCOL_VERSION } from "@modelcontextprotocol/sdk/types.js";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";

const [url, name] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(url));
const client = new Client({ name: "python-executor-tests", version: "1" });
const errors = [];
client.onerror = (error) => errors.push(error);

// Once the client has seen the outputSchema it validates the structuredContent of every result.
const call = (args, options) => client.callTool({ name: "run_python", arguments: args }, undefined, options);

const checks = {
  async handshake() {
    assert.equal(transport.protocolVersion, LATEST_PROTOCOL_VERSION);
    assert.equal(transport.sessionId, undefined);
    assert.equal(client.getServerVersion().name, "python-executor");
    assert.deepEqual(client.getServerCapabilities(), { tools: {} });
    assert.match(client.getInstructions(), /run_python/);
    assert.deepEqual(await client.ping(), {});
  },

  async tool() {
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name), ["run_python"]);
    assert.deepEqual(tools[0].inputSchema.required, ["script"]);
    assert.equal(tools[0].annotations.openWorldHint, false);
    assert.match(tools[0].description, /5000 ms of time/);
  },

  async validation() {
    const { tools } = await client.listTools();
    const validate = new AjvJsonSchemaValidator().getValidator(tools[0].outputSchema);
    const { structuredContent } = await call({ script: "def main(): return 1" });
    assert.equal(validate(structuredContent).valid, true);
    assert.equal(validate({ ...structuredContent, outcome: "well" }).valid, false);
    assert.equal(validate({ ...structuredContent, stdout: undefined }).valid, false);
    const good = new AjvJsonSchemaValidator().getValidator(tools[0].inputSchema);
    assert.equal(good({ script: "", files: { a: { text: "" } }, limits: { wall_ms: 1 }, outputs: ["*"] }).valid, true);
    assert.equal(good({ script: "", limits: { wall_s: 1 } }).valid, false);
    assert.equal(good({ files: {} }).valid, false);
  },

  async input() {
    const answer = await call({ script: "def main(order):\n print('hi')\n return order['n'] * 2", input: { n: 21 } });
    assert.equal(answer.isError, false);
    assert.deepEqual(answer.content, [{ type: "text", text: "Result: 42\n\nstdout:\nhi\n" }]);
    assert.equal(answer.structuredContent.result, 42);
    assert.equal(answer.structuredContent.stdout, "hi\n");
    const other = await call({ script: "def main(a, *, b): return [a, b, input()]", args: [1], kwargs: { b: "é" }, stdin: "x\n" });
    assert.deepEqual(other.structuredContent.result, [1, "é", "x"]);
  },

  async pandas() {
    const script = "import pandas as pd\ndef main(): return pd.DataFrame({'a': [1, 2], 'b': ['x', None]})";
    assert.deepEqual((await call({ script, convert: true })).structuredContent.result, [{ a: 1, b: "x" }, { a: 2, b: null }]);
    const { isError, structuredContent } = await call({ script });
    assert.deepEqual([isError, structuredContent.outcome], [true, "not_serializable"]);
  },

  async files() {
    const answer = await call({
      script: "def main(): open('out.txt', 'w').write(open('in/a.txt').read().upper())",
      files: { "in/a.txt": { text: "text" } },
      outputs: ["*.txt"],
    });
    assert.equal(answer.content.length, 1);
    const [{ name: file, base64 }] = answer.structuredContent.outputs;
    assert.deepEqual([file, atob(base64)], ["out.txt", "TEXT"]);
  },

  async limits() {
    const late = await call({ script: "def main():\n while True: pass", limits: { wall_ms: 200 } });
    assert.equal(late.isError, true);
    assert.equal(late.content[0].text, "Error: Execution failed (timeout)");
    assert.deepEqual([late.structuredContent.outcome, late.structuredContent.limits.wall_ms], ["timeout", 200]);
    const beyond = await call({ script: "def main(): return 1", limits: { wall_ms: 99999 } });
    assert.equal(beyond.isError, true);
    assert.match(beyond.content[0].text, /limits\.wall_ms is 99999, the most is 5000/);
  },

  async exception() {
    const answer = await call({ script: "def main():\n    total = 1\n    print('before')\n    return totl" });
    assert.equal(answer.isError, true);
    assert.match(answer.content[0].text, /^Traceback .*line 4, in main.*NameError.*\nHint: Did you mean: 'total'\?\n\nstdout:\nbefore\n$/s);
    assert.equal(answer.structuredContent.exception.line, 4);
    assert.equal((await call({})).content[0].text, "Invalid input: the key 'script' is missing.");
  },

  async image() {
    const script = `
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def main():
    pixels = b"".join(b"\\0" + b"\\xff\\0\\0" * 4 for _ in range(4))
    data = (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))
    open("red.png", "wb").write(data)
    return len(data)`;
    const answer = await call({ script, outputs: ["*.png"] });
    assert.deepEqual(answer.content.map((item) => item.type), ["text", "image"]);
    assert.equal(answer.content[1].mimeType, "image/png");
    const data = Buffer.from(answer.content[1].data, "base64");
    assert.equal(data.length, answer.structuredContent.result);
    assert.equal(data.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
    const output = { name: "red.png", size: data.length, media_type: "image/png", content: 1 };
    assert.deepEqual(answer.structuredContent.outputs, [output]);
  },

  async concurrency() {
    const numbers = [...Array(24).keys()];
    const answers = await Promise.all(numbers.map((n) => call({ script: "def main(n): return n * n", input: n })));
    assert.deepEqual(answers.map((answer) => answer.structuredContent.result), numbers.map((n) => n * n));
  },

  async protocol_errors() {
    const refused = (code) => (error) => error.code === code;
    await assert.rejects(client.callTool({ name: "run_ruby", arguments: {} }), refused(-32602));
    await assert.rejects(client.request({ method: "prompts/list" }, CallToolResultSchema), refused(-32601));
    await assert.rejects(client.request({ method: "tools/call", params: { name: "run_python", arguments: [] } }, CallToolResultSchema), refused(-32602));
  },

  async cancellation() {
    const aborted = new AbortController();
    const running = call({ script: "import time\ndef main(): time.sleep(4)" }, { signal: aborted.signal });
    setTimeout(() => aborted.abort("enough"), 200);
    await assert.rejects(running, /enough/);
    assert.equal((await call({ script: "def main(): return 1" })).structuredContent.result, 1);
  },

  async large_result() {
    const answer = await call({ script: "def main(): return 'é\"' * 1_000_000" });
    assert.equal(answer.structuredContent.result, 'é"'.repeat(1_000_000));
    assert.equal(answer.content[0].text, "Result: " + '"' + '\\u00e9\\"'.repeat(1_000_000) + '"');
  },
};

await client.connect(transport);
if (name !== "handshake") await client.listTools();
await checks[name]();
assert.deepEqual(errors, []);
await client.close();
