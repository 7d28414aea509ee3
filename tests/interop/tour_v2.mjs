// The official TypeScript client of the second line; the fourth argument is its era: legacy, auto, or a pinned revision.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

import { main } from "./tour.mjs";

await main(async (url, key, era) => {
  const mode = ["legacy", "auto"].includes(era) ? era : { pin: era };
  const capabilities = { elicitation: { form: {} } };
  const client = new Client({ name: "interop", version: "1.0.0" }, { capabilities, versionNegotiation: { mode } });
  const heard = [];
  client.setNotificationHandler("notifications/message", (note) => void heard.push(note.params.data));
  const changes = [];
  client.setNotificationHandler("notifications/tools/list_changed", () => void changes.push("ToolsListChanged"));
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ada" } }));
  const headers = { Authorization: `Bearer ${key}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  const call = (params, options) => client.callTool(params, options);
  return { client, call, heard, changes, modern: era !== "legacy" };
});
