//! Tools of other skills, as the fake has them.

import { asFailure, Failure } from "../failure.js";
import type * as wit from "../host/wit.js";
import { Outcome, outcome, structured, toWit } from "../outcome.js";
import { Refusal } from "../refusal.js";
import { thrown } from "./refuse.js";

/** What another skill's tool gives: a text, an outcome, a value, a failure, or the host's refusal; or a function that gives one. */
export type OtherTool = Given | ((input: any) => Given);
type Given = string | Outcome | Failure | Refusal | object;

export class Others {
  readonly calls: { name: string; input: any }[] = [];
  private readonly tools = new Map<string, OtherTool>();

  add(name: string, tool: OtherTool): void {
    this.tools.set(name, tool);
  }

  list(): { name: string; tool: wit.Tool }[] {
    return [...this.tools.keys()].map((name) => ({
      name,
      tool: {
        name: name.split("/").at(-1) ?? name,
        title: null,
        description: "A tool of the test.",
        inputSchema: '{"type":"object"}',
        outputSchema: null,
        hints: { readOnly: false, destructive: false, idempotent: false, openWorld: false },
      },
    }));
  }

  call(name: string, json: string): wit.Answer {
    const input = JSON.parse(json);
    this.calls.push({ name, input });
    const tool = this.tools.get(name);
    if (tool === undefined) throw new Error(`the skill called \`${name}\` and the fake has no such tool: give it one with \`.tool("${name}", "...")\``);
    let given: Given;
    try {
      given = typeof tool === "function" ? (tool as (input: any) => Given)(input) : tool;
    } catch (error) {
      given = error instanceof Refusal ? error : asFailure(error);
    }
    if (given instanceof Refusal) throw thrown(given);
    if (given instanceof Failure) return { tag: "failure", val: { kind: given.kind, message: given.message, hint: given.hint ?? null } };
    if (given instanceof Outcome) return { tag: "outcome", val: toWit(given) };
    return { tag: "outcome", val: toWit(typeof given === "string" ? outcome(given) : structured(given)) };
  }
}
