// The AI SDK with @ai-sdk/openai-compatible: node ai_sdk.mjs PACKAGE_JSON BASE_URL
import { client, report } from "./ai_client.mjs";

const { ai, z, model } = await client();
const get_weather = ai.tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `22 degrees in ${city}`,
});
const person = z.object({ name: z.string(), age: z.number() });

async function generated() {
  const { text, finishReason, usage } = await ai.generateText({ model: model(), prompt: "hi" });
  return { text, finishReason, tokens: usage.outputTokens };
}

async function streamed() {
  const stream = ai.streamText({ model: model(), prompt: "hi", includeRawChunks: false });
  let text = "";
  for await (const part of stream.textStream) text += part;
  const usage = await stream.usage;
  return { text, finishReason: await stream.finishReason, tokens: usage.outputTokens };
}

async function tools() {
  const { text, steps } = await ai.generateText({
    model: model(),
    prompt: "weather-please",
    tools: { get_weather },
    stopWhen: ai.stepCountIs(3),
  });
  return { text, inputs: steps.flatMap((step) => step.toolCalls.map((call) => call.input)) };
}

async function streamedTools() {
  const stream = ai.streamText({
    model: model(),
    prompt: "weather-please",
    tools: { get_weather },
    stopWhen: ai.stepCountIs(3),
  });
  await stream.consumeStream();
  const steps = await stream.steps;
  return {
    text: await stream.text,
    inputs: steps.flatMap((step) => step.toolCalls.map((call) => call.input)),
  };
}

async function structured() {
  const { output } = await ai.generateText({
    model: model("fake", { supportsStructuredOutputs: true }),
    prompt: "person-please",
    output: ai.Output.object({ schema: person }),
  });
  return output;
}

async function tooLong() {
  try {
    await ai.generateText({ model: model(), prompt: "word ".repeat(5000), maxRetries: 0 });
  } catch (error) {
    return { status: error.statusCode, message: error.message, retryable: error.isRetryable };
  }
}

await report({ generated, streamed, tools, streamedTools, structured, tooLong });
