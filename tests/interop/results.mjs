// Calls tools through the official TypeScript client of the first line, which checks each result against the published
// output schema; and checks it once more with every format, in the dialect that the specification names.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const Ajv2020 = require("ajv/dist/2020.js").default;
const addFormats = require("ajv-formats").default;

const [url, key, calls] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const warnings = [];
console.warn = (...words) => void warnings.push(words.join(" "));

const ajv = new Ajv2020({ strict: false, validateFormats: true, allErrors: true });
addFormats(ajv, { mode: "full" });
const known = new Set(Object.keys(ajv.formats));
const formats = (schema) =>
  schema === null || typeof schema !== "object"
    ? []
    : [...(typeof schema.format === "string" ? [schema.format] : []), ...Object.values(schema).flatMap(formats)];

const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };
const client = new Client({ name: "results", version: "1.0.0" }, { capabilities });
const answered = (fields) => Object.fromEntries(Object.entries(fields).flatMap(([name, field]) =>
  field.type === "boolean" ? [[name, true]] : field.type === "string" && !field.enum && !field.oneOf ? [[name, "a"]] : []));
client.setRequestHandler(ElicitRequestSchema, (request) => ({
  action: "accept",
  content: answered(request.params.requestedSchema.properties),
}));
client.setRequestHandler(CreateMessageRequestSchema, () => ({
  role: "assistant",
  model: "none",
  content: { type: "text", text: "a verse" },
}));
client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///a" }] }));
const requestInit = key ? { headers: { Authorization: `Bearer ${key}` } } : {};
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));

const { tools } = await client.listTools();
const seen = {};
for (const { name, outputSchema } of tools) {
  if (!(name in calls)) continue;
  const one = (seen[name] = { schema: outputSchema ?? null });
  try {
    const result = await client.callTool({ name, arguments: calls[name] });
    Object.assign(one, {
      isError: result.isError ?? false,
      structured: result.structuredContent ?? null,
      text: result.content.map((block) => block.text ?? "").join("\n"),
    });
    if (!outputSchema || result.isError) continue;
    const unknown = formats(outputSchema).filter((format) => !known.has(format));
    const fits = ajv.compile(outputSchema);
    const problems = fits(result.structuredContent) ? [] : fits.errors.map((error) => `${error.instancePath} ${error.message}`);
    one.problems = [...problems, ...unknown.map((format) => `format ${format}`)];
  } catch (error) {
    one.error = String(error?.message ?? error);
  }
}
const resources = {};
for (const { uri } of (await client.listResources().catch(() => ({ resources: [] }))).resources)
  try {
    resources[uri] = (await client.readResource({ uri })).contents[0].text;
  } catch (error) {
    resources[uri] = `error: ${error?.message ?? error}`;
  }
console.log(JSON.stringify({ listed: tools.map((tool) => tool.name), seen, resources, warnings }));
process.exit(0);
