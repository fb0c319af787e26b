//! Messages and answers.

import type * as wit from "../host/wit.js";
import { Invalid } from "../refusal.js";
import { checked, type Schema } from "../schema/standard.js";

export type Role = wit.Role;
export type StopReason = wit.StopReason;

/** A tool call that the model makes. */
export interface ToolCall {
  /** Unique in the conversation. */
  id: string;
  name: string;
  /** The arguments as JSON text; `args` reads them. */
  input: string;
  /** The provider's opaque proof of it, to be given back unchanged. */
  signature: string | undefined;
}

/** A part of a message. */
export type Part =
  | { type: "text"; text: string }
  | { type: "image"; mediaType: string; data: Uint8Array }
  | { type: "thinking"; text: string; signature: string | undefined }
  | ({ type: "tool-call" } & ToolCall)
  | { type: "tool-result"; id: string; content: string; isError: boolean };

/** One turn of a conversation. */
export interface Message {
  role: Role;
  /** A text, or parts. */
  content: string | Part[];
}

/** What was used, in tokens; the cost in millionths of a US dollar where the price is known. */
export interface Usage {
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  microDollars: number | undefined;
}

/** The answer of a model. */
export class Response {
  /** The answer as a turn: put it behind the conversation to go on with it. */
  readonly message: { role: Role; content: Part[] };
  readonly stopReason: StopReason;
  /** Who answered, as `provider/model`. */
  readonly model: string;
  readonly usage: Usage;

  constructor(raw: wit.ModelResponse) {
    this.message = { role: raw.message.role, content: raw.message.parts.map(partFromWit) };
    this.stopReason = raw.stopReason;
    this.model = raw.model;
    this.usage = usageFromWit(raw.usage);
  }

  /** The answer's text. */
  get text(): string {
    return textOf(this.message);
  }

  /** The tool calls that the model asks for. */
  get toolCalls(): ToolCall[] {
    return this.message.content.flatMap((part) => (part.type === "tool-call" ? [part] : []));
  }

  /** Whether the answer was cut at its largest length. */
  get isCut(): boolean {
    return this.stopReason === "max-tokens";
  }

  /** The answer's text as a value; asked for with `schema`. */
  json<T = unknown>(schema?: Schema<T>): T {
    const what = `the answer of ${this.model}`;
    let value: unknown;
    try {
      value = JSON.parse(this.text);
    } catch (error) {
      const why = this.isCut ? "it was cut at its largest length" : (error as Error).message;
      throw new Invalid(`${what} is not the JSON that was asked for: ${why}`);
    }
    return checked(schema, value, what);
  }
}

/** All text parts of a message, joined. */
export function textOf(message: Message): string {
  if (typeof message.content === "string") return message.content;
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** The arguments of a tool call as a value. They are JSON, but not checked against the tool's schema. */
export function args(call: ToolCall): unknown {
  return JSON.parse(call.input);
}

export function messageToWit(message: Message): wit.Message {
  const parts = typeof message.content === "string" ? [{ type: "text" as const, text: message.content }] : message.content;
  return { role: message.role, parts: parts.map(partToWit) };
}

function partToWit(part: Part): wit.Part {
  switch (part.type) {
    case "text":
      return { tag: "text", val: part.text };
    case "image":
      return { tag: "image", val: { mediaType: part.mediaType, data: part.data } };
    case "thinking":
      return { tag: "thinking", val: { text: part.text, signature: part.signature ?? null } };
    case "tool-call":
      return { tag: "tool-call", val: { id: part.id, name: part.name, input: part.input, signature: part.signature ?? null } };
    case "tool-result":
      return { tag: "tool-result", val: { id: part.id, content: part.content, isError: part.isError } };
  }
}

function partFromWit(part: wit.Part): Part {
  switch (part.tag) {
    case "text":
      return { type: "text", text: part.val };
    case "image":
      return { type: "image", ...part.val };
    case "thinking":
      return { type: "thinking", text: part.val.text, signature: part.val.signature ?? undefined };
    case "tool-call":
      return { type: "tool-call", ...callFromWit(part.val) };
    case "tool-result":
      return { type: "tool-result", ...part.val };
  }
}

export function callFromWit({ id, name, input, signature }: wit.ToolCall): ToolCall {
  return { id, name, input, signature: signature ?? undefined };
}

export function usageFromWit(usage: wit.Usage): Usage {
  const { microDollars } = usage;
  return {
    inputTokens: Number(usage.inputTokens),
    cachedInputTokens: Number(usage.cachedInputTokens),
    cacheWriteTokens: Number(usage.cacheWriteTokens),
    outputTokens: Number(usage.outputTokens),
    reasoningTokens: Number(usage.reasoningTokens),
    microDollars: microDollars === null || microDollars === undefined ? undefined : Number(microDollars),
  };
}
