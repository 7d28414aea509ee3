// The official TypeScript client: lists the tools, calls one, prints both. Arguments: URL, key.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "interop", version: "1.0.0" });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: "add", arguments: { a: 2, b: 3 } });
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), result }));
await client.close();
