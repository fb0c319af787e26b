//! The same tools in plain JavaScript, async where that is allowed. What a language without types does no differently is taken from the probe in
//! TypeScript.

import { model, s, skill, tool } from "ringfence";
import typescript from "../../matrix-typescript/src/skill.ts";

const echo = tool({
  name: "echo",
  description: "Gives the text back.",
  input: { text: s.string() },
  readOnly: true,
  run: async ({ text }) => text,
});

const shapes = tool({
  name: "shapes",
  description: "Gives values of every shape back.",
  // A schema written by hand.
  input: s.json({
    type: "object",
    properties: {
      count: { type: "integer", description: "How many." },
      ratio: { type: "number" },
      flag: { type: "boolean" },
      words: { type: "array", items: { type: "string" } },
      note: { type: "string" },
      mode: { type: "string", enum: ["fast", "slow"] },
      point: { type: "object", properties: { x: { type: "number" }, y: { type: "number" } }, required: ["x", "y"] },
    },
    required: ["count", "ratio", "flag", "words", "mode", "point"],
    additionalProperties: false,
  }),
  output: s.json({
    type: "object",
    properties: { count: { type: "integer" }, note: { type: ["string", "null"] } },
    required: ["count", "ratio", "flag", "words", "note", "mode", "point"],
  }),
  run: async (input) => ({ note: null, ...input }),
});

const parallel = tool({
  name: "parallel",
  description: "Asks many things at once.",
  input: { prompts: s.array(s.string()) },
  output: s.object({ texts: s.array(s.string()) }),
  async run({ prompts }) {
    const texts = [];
    for await (const answer of model.parallel(prompts, { inFlight: prompts.length })) texts.push(answer.text);
    return { texts };
  },
});

function deep(message) {
  throw new Error(message);
}

const crash = tool({
  name: "crash",
  description: "Throws.",
  input: { message: s.string() },
  async run({ message }) {
    await Promise.resolve();
    deep(message);
  },
});

const own = [echo, shapes, parallel, crash];
const names = own.map((one) => one.name);

export default skill(...own, ...typescript.tools.filter((one) => !names.includes(one.name)));
