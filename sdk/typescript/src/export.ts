//! The export: from a skill to the interface `skill`. The module that the build makes calls this.

import { asFailure, Failure } from "./failure.js";
import type * as wit from "./host/wit.js";
import * as log from "./log.js";
import { type Outcome, toWit } from "./outcome.js";
import { Refusal } from "./refusal.js";
import { begin } from "./shims/random.js";
import { settle } from "./shims/settle.js";
import { Skill } from "./skill.js";
import { trace } from "./stack.js";
import { type Context, isThenable } from "./tool.js";

/** What the component exports. */
export function exported(skill: unknown): { tools(): wit.Tool[]; call(name: string, input: string, context: wit.Context): wit.Outcome } {
  if (!(skill instanceof Skill)) {
    throw new TypeError("the module exports no skill: end it with `export default skill(...)`, with the tools in the brackets");
  }
  return {
    tools: () => skill.tools.map((tool) => tool.describe()),
    call(name, input, context) {
      begin();
      try {
        return toWit(run(skill, name, input, context));
      } catch (error) {
        throw raw(error);
      }
    },
  };
}

function run(skill: Skill, name: string, input: string, raw: wit.Context): Outcome {
  const context: Context = { ...raw, deadlineMs: Number(raw.deadlineMs), locale: raw.locale ?? undefined };
  const given = skill.call(name, JSON.parse(input), context);
  return isThenable(given) ? settle(given) : given;
}

/** What a caller is told, as a plain record: the engine gives an `Error` only as its text. */
function raw(error: unknown): wit.Failure {
  const { kind, message, hint } = asFailure(error);
  const expected = error instanceof Failure || error instanceof Refusal;
  if (!expected) log.error(`uncaught ${String(error)}\n${trace(error)}`);
  return { kind, message, hint: hint ?? null };
}
