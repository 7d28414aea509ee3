// The official TypeScript client of the first line, which checks results against the published output schema.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const plan = JSON.parse(process.argv[2]);
const period = { from_date: "2026-03-01T00:00:00Z", to_date: "2026-03-31T00:00:00Z", limit: 2 };
const attempt = (step) => step().catch((error) => `error: ${error?.message ?? error}`);

async function open([url, key]) {
  const client = new Client({ name: "interop", version: "1.0.0" }, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { confirm: true } }));
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  const names = async () => (await client.listTools()).tools.map((tool) => tool.name); // and compiles their schemas
  const call = (name, args) =>
    attempt(async () => (await client.callTool({ name, arguments: args })).content.map((block) => block.text).join("\n"));
  return { client, names, call };
}

const seen = {};
const orders = await open(plan.orders);
seen.lists = await attempt(orders.names);
seen.times = await orders.call("query_orders", period);
const desk = await open(plan.desk);
await desk.names();
seen.unknown = [await desk.call("no_such_tool", {}), await desk.call("add", { a: 1, b: 2 })];
seen.confirm = await desk.call("forget", {});
seen.waived = await (await open(plan.waived)).call("forget", {});
const tight = await open(plan.tight);
await tight.names();
seen.limited = [
  await tight.call("add", { a: 1, b: 2 }),
  await tight.call("add", { a: 2, b: 2 }),
  await tight.call("note", { text: "still here" }),
];
seen.refused = await attempt(async () => (await open(plan.refused), "let in"));
console.log(JSON.stringify(seen));
process.exit(0);
