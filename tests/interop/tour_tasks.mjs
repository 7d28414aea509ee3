// The official client of the tasks extension (SEP-2663): runs a task to its end, answers one, cancels one.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";

const [url, key] = process.argv.slice(2);
const protocolVersion = "2026-07-28";
const clientInfo = { name: "interop", version: "1.0.0" };
const clientCapabilities = { elicitation: { form: {} }, extensions: { "io.modelcontextprotocol/tasks": {} } };
const authorization = { Authorization: `Bearer ${key}` };

const client = new Client(clientInfo, { capabilities: clientCapabilities, versionNegotiation: { mode: { pin: protocolVersion } } });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: authorization } }));

let ids = 0;
// The SDK's codecs refuse the extension's results: the package asks its host for a way around them.
async function rawDispatch(request, options) {
  const { name, uri, taskId } = request.params ?? {};
  const target = name ?? uri ?? taskId;
  const headers = {
    ...authorization,
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": protocolVersion,
    "Mcp-Method": request.method,
    ...(target && { "Mcp-Name": target }),
    ...options?.context?.headers,
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: (ids += 1), ...request });
  const answer = await fetch(url, { method: "POST", headers, body, signal: options?.signal });
  const { result, error } = await answer.json();
  return error ? { kind: "error", error } : { kind: "result", result };
}

const session = createTaskSessionFromClient(client, {
  endpointId: "interop",
  rawDispatch,
  v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities },
  onInputRequest: async () => ({ action: "accept", content: { confirm: true } }),
});
const text = ({ outcome }) => resultFromTaskOutcome(outcome).content[0].text;
const seen = {};
const run = await session.callTool("slow_compute", { seconds: 1, label: "a task" });
seen.kind = run.kind;
seen.ran = text(await run.settle());
seen.answered = text(await (await session.callTool("confirm_delete", { filename: "a file" })).settle());
const long = await session.callTool("slow_compute", { seconds: 60, label: "too long" });
await long.cancel();
seen.cancelled = (await long.settle().catch((error) => ({ outcome: { kind: String(error) } }))).outcome;
console.log(JSON.stringify(seen));
await session.close();
await client.close();
