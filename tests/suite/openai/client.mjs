// What the official client for JavaScript makes of the interface. Arguments: the address and a token.

import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: process.argv[3], maxRetries: 0 });
const messages = [{ role: "user", content: "Hi" }];

const ids = [];
for await (const model of client.models.list()) ids.push(model.id);
assert(ids.includes("agent:a"));

const done = await client.chat.completions.create({ model: "agent:a", messages });
assert.equal(done.choices[0].message.content, "Hello there.");
assert.equal(done.usage.total_tokens, 12);

let said = "";
let usage;
const chunks = await client.chat.completions.create({
  model: "agent:a", messages, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of chunks) {
  said += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.deepEqual([said, usage.completion_tokens], ["Hello there.", 5]);

const response = await client.responses.create({ model: "agent:a", input: "Hi" });
assert.deepEqual([response.output_text, response.status], ["Hello there.", "completed"]);

let streamed = "";
let last;
for await (const event of await client.responses.create({ model: "agent:a", input: "Hi", stream: true })) {
  if (event.type === "response.output_text.delta") streamed += event.delta;
  last = event;
}
assert.deepEqual([streamed, last.type, last.response.usage.total_tokens], ["Hello there.", "response.completed", 12]);

await assert.rejects(
  client.chat.completions.create({ model: "gpt-6", messages }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
);
const echo = await client.responses.create({ model: "skill:probe/echo", input: "Hi" });
assert.equal(echo.output_text, "Hi");
console.log("as expected");
