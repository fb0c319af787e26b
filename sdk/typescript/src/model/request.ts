//! What is asked of a model.

import type * as wit from "../host/wit.js";
import { isSchema, type JsonSchema, jsonSchema, type Schema } from "../schema/standard.js";
import { Tool } from "../tool.js";
import { type Message, messageToWit } from "./message.js";

/** A question, or a conversation to go on with. */
export type Prompt = string | Message[];

/** A tool that the model may call: one made by `tool`, or its name, description and JSON Schema. */
export type ModelTool = Tool<any, any> | { name: string; description: string; inputSchema: JsonSchema };

export interface AskOptions {
  /** An alias (`default`, `fast`, `smart`, or one of the operator's), or a `provider/model` name that the grant lists. */
  model?: string;
  /** Instructions that stand above the conversation. */
  system?: string;
  /** Images for the model to see, in the last turn. */
  images?: { mediaType: string; data: Uint8Array }[];
  /** Tools that the model may call. `run` calls those of this skill; otherwise they come back as `toolCalls`. */
  tools?: readonly ModelTool[];
  /** Whether and which tool the model calls. */
  toolChoice?: "auto" | "none" | "required" | { name: string };
  /** The answer shall be JSON that matches this. */
  schema?: Schema | JsonSchema;
  /** At most this many tokens of answer. Without it the operator's default holds. */
  maxTokens?: number;
  /** How random the answer is; 0 is least. */
  temperature?: number;
  /** Nucleus sampling: only the likeliest tokens whose shares add up to this. */
  topP?: number;
  /** Ends the answer where the model writes one of these. */
  stop?: string[];
  /** How hard to think. Providers without such a setting ignore it. */
  effort?: wit.Effort;
  /** The first so many messages, `system` included, are the same in many calls and worth caching. */
  cacheMessages?: number;
  /** An object merged into the provider's request, for what has no common name. The operator's grant must allow it. */
  providerOptions?: Record<string, unknown>;
}

export function request(prompt: Prompt, options: AskOptions): wit.ModelRequest {
  const messages = typeof prompt === "string" ? [{ role: "user" as const, content: prompt }] : prompt;
  const raw = messages.map(messageToWit);
  if (options.system !== undefined) raw.unshift(messageToWit({ role: "system", content: options.system }));
  for (const { mediaType, data } of options.images ?? []) {
    let last = raw.at(-1);
    if (last === undefined) raw.push((last = { role: "user", parts: [] }));
    last.parts.push({ tag: "image", val: { mediaType, data } });
  }
  const { schema, cacheMessages = 0 } = options;
  return {
    model: options.model ?? "default",
    messages: raw,
    tools: (options.tools ?? []).map(toolToWit),
    toolChoice: choiceToWit(options.toolChoice ?? "auto"),
    outputSchema: schema === undefined ? null : JSON.stringify(isSchema(schema) ? jsonSchema(schema, "input") : schema),
    maxTokens: options.maxTokens ?? null,
    temperature: options.temperature ?? null,
    topP: options.topP ?? null,
    stop: options.stop ?? [],
    effort: options.effort ?? null,
    cacheUntil: cacheMessages > 0 ? Math.min(cacheMessages, raw.length) - 1 : null,
    providerOptions: options.providerOptions === undefined ? null : JSON.stringify(options.providerOptions),
  };
}

function toolToWit(tool: ModelTool): wit.ModelRequest["tools"][number] {
  const schema = tool instanceof Tool ? tool.inputSchema() : tool.inputSchema;
  return { name: tool.name, description: tool.description, inputSchema: JSON.stringify(schema) };
}

function choiceToWit(choice: NonNullable<AskOptions["toolChoice"]>): wit.ToolChoice {
  return typeof choice === "string" ? { tag: choice } : { tag: "named", val: choice.name };
}
