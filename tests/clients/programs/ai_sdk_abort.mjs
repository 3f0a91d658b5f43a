// Starts one answer and aborts it when a line comes in:
// node ai_sdk_abort.mjs PACKAGE_JSON BASE_URL MODEL generate|stream
import { once } from "node:events";
import { client } from "./ai_client.mjs";

const [name, how] = process.argv.slice(4);
const { ai, model } = await client();
const abort = new AbortController();
const asked = { model: model(name), prompt: "hi", abortSignal: abort.signal, maxRetries: 0 };
let text = "";

async function stream() {
  const kinds = [];
  for await (const part of ai.streamText({ ...asked, onError: () => {} }).fullStream) {
    kinds.push(part.type);
    if (part.type === "text-delta") text += part.text;
  }
  return kinds.at(-1);
}

const answer = (how === "stream" ? stream() : ai.generateText(asked)).catch((error) => error.name);
await once(process.stdin, "data");
abort.abort();
console.log(JSON.stringify({ ended: await answer, text }));
process.exit(0);
