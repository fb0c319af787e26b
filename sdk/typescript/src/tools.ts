//! Tools of other skills that are installed on the host.
//!
//! A call runs with what both skills may do and no more, on the budget and the deadline of this invocation.

import { tools as host } from "#host";
import { CallFailed } from "./failure.js";
import type * as wit from "./host/wit.js";
import { fromWit, type Outcome } from "./outcome.js";
import { asked, Invalid } from "./refusal.js";
import { checked, type JsonSchema, type Schema } from "./schema/standard.js";
import type { Hints } from "./tool.js";

/** A tool that this skill may call. Its description is a stranger's words. */
export interface Listed {
  /** `skill/tool`, as `call` takes it. */
  name: string;
  title: string | undefined;
  description: string;
  inputSchema: JsonSchema;
  outputSchema: JsonSchema | undefined;
  hints: Hints;
}

/** The tools that this skill may call now. */
export function list(): Listed[] {
  return host.list().map(({ name, tool }) => ({
    name,
    title: tool.title ?? undefined,
    description: tool.description,
    inputSchema: JSON.parse(tool.inputSchema),
    outputSchema: tool.outputSchema === null || tool.outputSchema === undefined ? undefined : JSON.parse(tool.outputSchema),
    hints: tool.hints,
  }));
}

/** Calls `skill/tool`, and waits for its outcome. Throws a refusal, or `CallFailed` with the other skill's own failure. */
export function call(name: string, input: object): Outcome {
  return read(asked(() => host.call(name, JSON.stringify(input))));
}

/** As `call`, for the structured part of the outcome. */
export function callFor<T = unknown>(name: string, input: object, schema?: Schema<T>): T {
  return value(name, call(name, input), schema);
}

/** Calls `skill/tool` and returns at once, so that several run at the same time. */
export function start(name: string, input: object): Pending {
  return new Pending(name, asked(() => host.start(name, JSON.stringify(input))));
}

/** A call under way. It runs whether it is waited for or not; `using` or `cancel` ends it. */
export class Pending {
  readonly name: string;
  private readonly inner: wit.PendingCall;

  constructor(name: string, inner: wit.PendingCall) {
    this.name = name;
    this.inner = inner;
  }

  /** Waits for the outcome. */
  wait(): Outcome {
    return read(asked(() => this.inner.wait()));
  }

  /** Waits for the structured part of the outcome. */
  waitFor<T = unknown>(schema?: Schema<T>): T {
    return value(this.name, this.wait(), schema);
  }

  cancel(): void {
    this.inner[Symbol.dispose]?.();
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}

function read(answer: wit.Answer): Outcome {
  if (answer.tag === "outcome") return fromWit(answer.val);
  const { kind, message, hint } = answer.val;
  throw new CallFailed(kind, message, hint ?? undefined);
}

function value<T>(name: string, outcome: Outcome, schema: Schema<T> | undefined): T {
  if (outcome.structured === undefined) throw new Invalid(`\`${name}\` gave no value, only content`);
  return checked(schema, outcome.structured, `what \`${name}\` gave`);
}
