// The official TypeScript client of the second line; the fourth argument is its era: legacy, auto, or a pinned revision.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

import { main } from "./tour.mjs";

await main(async (url, key, era) => {
  const mode = ["legacy", "auto"].includes(era) ? era : { pin: era };
  const capabilities = { elicitation: { form: {} } };
  const client = new Client({ name: "interop", version: "1.0.0" }, { capabilities, versionNegotiation: { mode } });
  const heard = [];
  client.setNotificationHandler("notifications/message", (note) => void heard.push(note.params.data));
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ada" } }));
  const headers = { Authorization: `Bearer ${key}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return { client, heard, modern: era !== "legacy", call: (params, options) => client.callTool(params, options) };
});
