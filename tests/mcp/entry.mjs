// The official client of the Model Context Protocol, told where the server is as the configuration of a client tells it:
// node entry.mjs ENTRY; tests/documents/test_mcp_entries.py runs it. Prints what a script returned.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const { type, url, headers } = JSON.parse(process.argv[2]);
if (type !== "http") throw new Error(`there is no transport for ${type}`);
const client = new Client({ name: "python-executor-tests", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const answer = await client.callTool({ name: "run_python", arguments: { script: "def main(n): return n * 2", input: 21 } });
console.log(answer.structuredContent.result);
await client.close();
