//! Model calls. The host chooses the provider, holds the keys, counts tokens and money, and refuses when a budget is used up.
//!
//! ```ts
//! const answer = model.ask("Why is the sky blue?", { system: "Answer in one sentence.", maxTokens: 80 }).text;
//! const verdict = model.json("Is this friendly? Hello!", s.object({ friendly: s.boolean() }), { model: "fast" });
//! for (const piece of model.open("Tell a story.").text()) progress.emit(piece);
//! for (const answer of model.parallel(parts.map((part) => `Summarise: ${part}`))) log.info(answer.text);
//! ```

import { model as host } from "#host";
import { asked } from "../refusal.js";
import type { Schema } from "../schema/standard.js";
import { Response, type Usage, usageFromWit } from "./message.js";
import { type AskOptions, type Prompt, request } from "./request.js";

export { type Event, Generation, open, parallel, type Question, settled } from "./generation.js";
export { args, type Message, type Part, Response, type Role, type StopReason, textOf, type ToolCall, type Usage } from "./message.js";
export type { AskOptions, ModelTool, Prompt } from "./request.js";
export { run, runAsync, type RunOptions } from "./run.js";

/** Asks, and waits for the whole answer. */
export function ask(prompt: Prompt, options: AskOptions = {}): Response {
  return new Response(asked(() => host.generate(request(prompt, options))));
}

/** Asks for a value: the schema goes to the model, the host validates the answer and has it repaired once. */
export function json<T>(prompt: Prompt, schema: Schema<T, any>, options: AskOptions = {}): T {
  return ask(prompt, { ...options, schema }).json(schema as Schema<T>);
}

/** Vectors for texts. */
export interface Embeddings {
  /** One per input, in order. */
  vectors: number[][];
  model: string;
  usage: Usage;
}

/** Vectors for at most 256 texts, by a model such as `embed`. */
export function embed(model: string, inputs: readonly string[]): Embeddings {
  const raw = asked(() => host.embed(model, [...inputs]));
  return { vectors: raw.vectors.map((vector) => Array.from(vector)), model: raw.model, usage: usageFromWit(raw.usage) };
}

/** A model that this skill may use. */
export interface ModelInfo {
  /** What to put in `model`. */
  name: string;
  /** Largest answer in tokens that this skill may ask for. */
  maxTokens: number;
  /** Tokens of input and output together, where that is known. */
  contextWindow: number | undefined;
  /** Whether it answers without leaving this machine. */
  local: boolean;
}

/** The models that this skill may use now; empty where it has been granted none. */
export function models(): ModelInfo[] {
  return host.models().map((info) => ({ ...info, contextWindow: info.contextWindow ?? undefined }));
}
