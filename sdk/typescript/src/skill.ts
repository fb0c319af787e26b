//! The skill: its tools, as the host calls them.

import { Failure } from "./failure.js";
import type { Outcome } from "./outcome.js";
import { type Context, Tool } from "./tool.js";

/** What a module exports by default: `export default skill(greet, count)`. */
export class Skill {
  readonly tools: readonly Tool[];

  constructor(tools: readonly Tool[]) {
    const names = new Set<string>();
    for (const one of tools) {
      if (!(one instanceof Tool)) throw new TypeError("`skill` takes tools: make each by `tool({ name, description, run })`");
      if (names.has(one.name)) throw new TypeError(`two tools have the name \`${one.name}\`: give one of them another`);
      names.add(one.name);
    }
    this.tools = tools;
  }

  call(name: string, input: unknown, context: Context): Outcome | Promise<Outcome> {
    const found = this.tools.find((one) => one.name === name);
    if (found === undefined) {
      const known = this.tools.map((one) => one.name).join(", ");
      throw new Failure("unknown-tool", `this skill has no tool \`${name}\``, `name one of: ${known}`);
    }
    return found.call(input, context);
  }
}

/** Makes a skill of its tools: `export default skill(greet, count)`. */
export function skill(...tools: Tool<any, any>[]): Skill {
  return new Skill(tools);
}
