// The official TypeScript client of the first line (revisions up to 2025-11-25).
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

import { main } from "./tour.mjs";

await main(async (url, key) => {
  const client = new Client({ name: "interop", version: "1.0.0" }, { capabilities: { elicitation: { form: {} } } });
  const heard = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, (note) => void heard.push(note.params.data));
  const changes = [];
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes.push("ToolsListChanged"));
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { name: "Ada" } }));
  const headers = { Authorization: `Bearer ${key}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  const call = (params, options) => client.callTool(params, undefined, options);
  return { client, call, heard, changes, modern: false };
});
