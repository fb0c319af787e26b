//! What the fake answers to a model call.

import type * as wit from "../host/wit.js";
import type { StopReason } from "../model/message.js";
import { Refusal } from "../refusal.js";
import { thrown } from "./refuse.js";

/** What may stand for an answer: a text, a value whose JSON is the text, a refusal, or a `Reply`. */
export type Answer = string | Refusal | Reply | object;

/** A scripted answer. */
export class Reply {
  private readonly parts: wit.Part[];
  private readonly stopReason: StopReason;
  private readonly refusal: Refusal | undefined;

  private constructor(parts: wit.Part[], stopReason: StopReason, refusal?: Refusal) {
    this.parts = parts;
    this.stopReason = stopReason;
    this.refusal = refusal;
  }

  static of(answer: Answer): Reply {
    if (answer instanceof Reply) return answer;
    if (answer instanceof Refusal) return new Reply([], "end", answer);
    return Reply.text(typeof answer === "string" ? answer : JSON.stringify(answer));
  }

  static text(text: string): Reply {
    return new Reply([{ tag: "text", val: text }], "end");
  }

  /** An answer that calls a tool; `andToolCall` adds more. The ids are `call-1`, `call-2`, and so on. */
  static toolCall(name: string, input: object): Reply {
    return new Reply([], "tool-call").andToolCall(name, input);
  }

  andToolCall(name: string, input: object): Reply {
    const id = `call-${this.parts.filter((part) => part.tag === "tool-call").length + 1}`;
    const call: wit.Part = { tag: "tool-call", val: { id, name, input: JSON.stringify(input), signature: null } };
    return new Reply([...this.parts, call], "tool-call", this.refusal);
  }

  /** Thinks before it answers. */
  thinking(text: string): Reply {
    return new Reply([{ tag: "thinking", val: { text, signature: null } }, ...this.parts], this.stopReason, this.refusal);
  }

  /** The text comes, and then the generation breaks. */
  thenBreaks(refusal: Refusal): Reply {
    return new Reply(this.parts, this.stopReason, refusal);
  }

  /** Stops for this reason, for example because the answer is cut. */
  stopped(reason: StopReason): Reply {
    return new Reply(this.parts, reason, this.refusal);
  }

  /** The whole answer at once. */
  response(request: wit.ModelRequest): wit.ModelResponse {
    if (this.refusal !== undefined) throw thrown(this.refusal);
    const prompt = request.messages.map(text).join("");
    const message: wit.Message = { role: "assistant", parts: this.parts };
    return { message, stopReason: this.stopReason, model: `fake/${request.model}`, usage: usage(prompt, text(message)) };
  }

  /** What happens while the answer is made: text comes word by word. */
  events(request: wit.ModelRequest): (() => wit.Event)[] {
    const events = this.parts.flatMap((part): wit.Event[] => {
      switch (part.tag) {
        case "text":
          return part.val.split(/(?<= )/).map((word) => ({ tag: "text", val: word }));
        case "thinking":
          return [{ tag: "thinking", val: part.val.text }];
        case "tool-call": {
          const { id, name, input } = part.val;
          return [{ tag: "tool-call-start", val: [id, name] }, { tag: "tool-call-delta", val: [id, input] }, { tag: "tool-call", val: part.val }];
        }
        default:
          return [];
      }
    });
    return [...events.map((event) => () => event), () => ({ tag: "done", val: this.response(request) })];
  }
}

/** All text of a message. */
export function text(message: wit.Message): string {
  return message.parts.map((part) => (part.tag === "text" ? part.val : part.tag === "tool-result" ? part.val.content : "")).join("");
}

/** A rough count, as tests need no better one: four characters to a token. */
export function usage(input: string, output: string): wit.Usage {
  const tokens = (text: string): number => Math.ceil(text.length / 4);
  return { inputTokens: tokens(input), cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: tokens(output), reasoningTokens: 0, microDollars: null };
}
