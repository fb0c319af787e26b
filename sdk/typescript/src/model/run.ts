//! Conversations in which the model calls tools and the skill runs them.

import { model as host } from "#host";
import { asFailure } from "../failure.js";
import type * as wit from "../host/wit.js";
import type { Outcome } from "../outcome.js";
import { asked } from "../refusal.js";
import { type Context, isThenable, Tool } from "../tool.js";
import { args, callFromWit, Response, type ToolCall } from "./message.js";
import { type AskOptions, type Prompt, request } from "./request.js";

export interface RunOptions extends AskOptions {
  /** In how many turns the model may call tools; after them it must answer without. 8 unless said. */
  rounds?: number;
  /** Runs the calls of tools that are not made by `tool`, and gives the text for the model. */
  call?: (call: ToolCall) => string;
  /** What the tools are told about the invocation: hand on the context of your own. */
  context?: Context;
}

/**
 * Asks, runs the tools that the model calls, and goes on until it answers without calling one.
 *
 * What a tool gives goes back to the model as text, and so does its failure: models often correct themselves. For async tools
 * see `runAsync`.
 */
export function run(prompt: Prompt, options: RunOptions): Response {
  const steps = loop(prompt, options);
  for (let step = steps.next(); ; ) {
    if (step.done) return step.value;
    const { call, act } = step.value;
    step = steps.next(result(call, act, (given) => {
      if (isThenable(given)) throw new TypeError(`the tool \`${call.name}\` is async: use \`await model.runAsync\``);
      return text(given);
    }));
  }
}

/** As `run`, with tools that may be async. */
export async function runAsync(prompt: Prompt, options: RunOptions): Promise<Response> {
  const steps = loop(prompt, options);
  for (let step = steps.next(); ; ) {
    if (step.done) return step.value;
    const { call, act } = step.value;
    let given: string | Outcome;
    try {
      given = await act();
      step = steps.next(result(call, () => given, text));
    } catch (error) {
      step = steps.next(result(call, () => { throw error; }, text));
    }
  }
}

interface Step {
  call: ToolCall;
  act: () => string | Outcome | Promise<Outcome>;
}

function* loop(prompt: Prompt, options: RunOptions): Generator<Step, Response, wit.ToolResult> {
  const asking = request(prompt, options);
  for (let round = 0; round < (options.rounds ?? 8); round += 1) {
    const raw = asked(() => host.generate(asking));
    if (raw.stopReason !== "tool-call") return new Response(raw);
    const parts: wit.Part[] = [];
    for (const part of raw.message.parts) {
      if (part.tag !== "tool-call") continue;
      const call = callFromWit(part.val);
      parts.push({ tag: "tool-result", val: yield { call, act: () => act(call, options) } });
    }
    // Given back unchanged: some providers insist on their thinking and signatures.
    asking.messages.push(raw.message, { role: "tool", parts });
    // Otherwise the model could never answer.
    if (asking.toolChoice.tag === "required" || asking.toolChoice.tag === "named") asking.toolChoice = { tag: "auto" };
  }
  asking.toolChoice = { tag: "none" };
  return new Response(asked(() => host.generate(asking)));
}

const NOBODY: Context = { invocation: "", caller: "model", deadlineMs: 0, locale: undefined };

function act(call: ToolCall, options: RunOptions): string | Outcome | Promise<Outcome> {
  const tool = options.tools?.find((one) => one.name === call.name);
  if (tool instanceof Tool) return tool.call(args(call), { ...(options.context ?? NOBODY), caller: "model" });
  if (options.call !== undefined) return options.call(call);
  throw new TypeError(`there is no tool \`${call.name}\``);
}

function result<T>(call: ToolCall, act: () => T, read: (given: T) => string): wit.ToolResult {
  try {
    return { id: call.id, content: read(act()), isError: false };
  } catch (error) {
    const { message, hint } = asFailure(error);
    return { id: call.id, content: hint === undefined ? message : `${message}\n${hint}`, isError: true };
  }
}

function text(given: unknown): string {
  return typeof given === "string" ? given : (given as Outcome).text;
}
