// One tour that both official TypeScript clients take. `open` gives a connected client in the words of its package;
// what each step saw is printed as one JSON object. A step that fails says so instead of ending the tour.

const LEVEL = "io.modelcontextprotocol/logLevel";
const said = (error) => `error: ${error?.message ?? error}`;
const text = (result) => result.content.map((block) => block.text).join("\n");

async function attempt(step) {
  try {
    return await step();
  } catch (error) {
    return said(error);
  }
}

async function lists(client) {
  const { tools } = await client.listTools();
  const { prompts } = await client.listPrompts();
  const { resources } = await client.listResources();
  const { resourceTemplates } = await client.listResourceTemplates();
  return [
    ...tools.map((one) => one.name),
    ...prompts.map((one) => one.name),
    ...resources.map((one) => one.uri),
    ...resourceTemplates.map((one) => one.uriTemplate),
  ];
}

// Changes the list of tools until it is heard of: a session's own stream opens some time after the session.
async function change({ client, call, changes, modern }) {
  const listening = modern ? await client.listen({ toolsListChanged: true }) : undefined;
  for (let at = 0; at < 50 && !changes.length; at++) {
    await call({ name: "test_trigger_tool_change", arguments: {} });
    await new Promise((done) => setTimeout(done, 100));
  }
  await listening?.close();
  return changes[0];
}

async function tour({ client, call, heard, changes, modern }) {
  const _meta = modern ? { [LEVEL]: "info" } : undefined;
  const progress = [];
  return {
    lists: await attempt(() => lists(client)),
    calls: await attempt(async () => text(await call({ name: "greet", arguments: { name: "Ada" } }))),
    reads: await attempt(async () => (await client.readResource({ uri: "test://template/7/data" })).contents[0].text),
    prompts: await attempt(async () => {
      const words = { arg1: "one", arg2: "two" };
      const prompt = await client.getPrompt({ name: "test_prompt_with_arguments", arguments: words });
      return prompt.messages[0].content.text;
    }),
    completes: await attempt(async () => {
      const ref = { type: "ref/prompt", name: "test_prompt_with_arguments" };
      return (await client.complete({ ref, argument: { name: "arg1", value: "par" } })).completion.values;
    }),
    progress: await attempt(async () => {
      await call({ name: "test_tool_with_progress", arguments: {} }, { onprogress: (one) => progress.push(one.progress) });
      return progress;
    }),
    logs: await attempt(async () => {
      if (!modern) await client.setLoggingLevel("info");
      await call({ name: "test_tool_with_logging", arguments: {}, ...(_meta && { _meta }) });
      return heard;
    }),
    elicits: await attempt(async () => text(await call({ name: "test_input_required_result_elicitation", arguments: {} }))),
    changes: await attempt(() => change({ client, call, changes, modern })),
  };
}

export async function main(open) {
  const [base, key, strictKey, era] = process.argv.slice(2);
  const guided = await open(`${base}/everything/mcp`, key, era);
  const seen = await tour(guided);
  await guided.client.close();
  seen.refused = await attempt(async () => {
    await open(`${base}/everything/mcp`, `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`, era);
    return "let in";
  });
  const strict = await open(`${base}/strict/mcp`, strictKey, era);
  for (let at = 0; at < 2; at++)
    seen.limited = await attempt(async () => text(await strict.call({ name: "greet", arguments: { name: "Ada" } })));
  await strict.client.close();
  console.log(JSON.stringify(seen));
}
