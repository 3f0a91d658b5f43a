// What the programs on the AI SDK share. The packages lie where the package.json does that is the
// first argument, not beside the programs; the second is the gateway's address, with /v1.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

export async function client() {
  const require = createRequire(process.argv[2]);
  const load = (name) => import(pathToFileURL(require.resolve(name)));
  const [ai, { z }, { createOpenAICompatible }] = await Promise.all(
    ["ai", "zod", "@ai-sdk/openai-compatible"].map(load),
  );
  const settings = { name: "swarm", baseURL: process.argv[3], apiKey: "none", includeUsage: true };
  const model = (id = "fake", more = {}) => createOpenAICompatible({ ...settings, ...more })(id);
  return { ai, z, model };
}

// Prints one line of JSON with what each case saw.
export async function report(cases) {
  const seen = {};
  for (const [name, run] of Object.entries(cases)) {
    try {
      seen[name] = await run();
    } catch (error) {
      seen[name] = { failed: `${error.stack}` };
    }
  }
  console.log(JSON.stringify(seen));
}
