// The official TypeScript SDK (v1, stateless, plain JSON answers) on Express, with the locks its users put on it:
// a rate limiter (far too high to hit), a signed token checked by jose, arguments checked by zod.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import express from "express";
import { rateLimit } from "express-rate-limit";
import { jwtVerify } from "jose";
import { z } from "zod";

const port = Number(process.argv[2]);
const key = new TextEncoder().encode(process.env.BENCH_KEY);
const filler = [0, 1, 2, 3, 4, 5].map((number) => `line ${number}: 3 items at 19.90, shipped`).join(" ");
const shape = { a: z.number().int(), b: z.number().int(), text: z.string(), flag: z.boolean() };

function serverOfOneCall() {
  const server = new McpServer({ name: "bench", version: "1" });
  server.registerTool("add", { inputSchema: shape, outputSchema: { result: z.string() } }, async ({ a, b, text, flag }) => {
    const result = `${a} + ${b} = ${a + b}; ${text}; ${flag}; ${filler}`;
    return { content: [{ type: "text", text: result }], structuredContent: { result } };
  });
  return server;
}

async function requireToken(request, response, next) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  try {
    if (scheme !== "Bearer") throw new Error("no token");
    await jwtVerify(token, key, { issuer: "bench", audience: "bench" });
  } catch {
    response.status(401).set("WWW-Authenticate", "Bearer").end();
    return;
  }
  next();
}

const app = express();
app.use(rateLimit({ windowMs: 60_000, limit: 1_000_000_000, standardHeaders: "draft-8", legacyHeaders: false }));
app.post("/mcp", requireToken, express.json({ limit: "4mb" }), async (request, response) => {
  const server = serverOfOneCall();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on("close", () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});
const listening = app.listen(port, "127.0.0.1");
listening.keepAliveTimeout = 300_000;
