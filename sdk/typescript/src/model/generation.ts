//! Answers being made, one or many at once.

import { model as host } from "#host";
import type * as wit from "../host/wit.js";
import * as progress from "../progress.js";
import { asked, Unavailable } from "../refusal.js";
import { callFromWit, Response, type ToolCall } from "./message.js";
import { type AskOptions, type Prompt, request } from "./request.js";

/** What happens while an answer is made. `done` is the last event of an answer that worked. */
export type Event =
  | { type: "text"; text: string }
  | { type: "thinking"; text: string }
  | { type: "tool-call-start"; id: string; name: string }
  | { type: "tool-call-delta"; id: string; delta: string }
  | { type: "tool-call"; call: ToolCall }
  | { type: "done"; response: Response };

/** A question with options of its own, for `parallel`. */
export type Question = Prompt | ({ prompt: Prompt } & AskOptions);

/** An answer being made. Iterating gives its events. `using` or `cancel` stops it. */
export class Generation implements Iterable<Event> {
  private readonly inner: wit.Generation;

  constructor(inner: wit.Generation) {
    this.inner = inner;
  }

  /** The events. A refusal is thrown; what was given before stays valid, but is incomplete. */
  *[Symbol.iterator](): Generator<Event, void, undefined> {
    try {
      for (;;) {
        const events = asked(() => this.inner.next());
        if (events.length === 0) return;
        for (const event of events) yield eventFromWit(event);
      }
    } finally {
      this.cancel();
    }
  }

  /** Only the text, piece by piece. */
  *text(): Generator<string, void, undefined> {
    for (const event of this) if (event.type === "text") yield event.text;
  }

  /** Waits for the whole answer, and gives each piece of its text to `show`. */
  finish(show: (text: string) => void = () => {}): Response {
    for (const event of this) {
      if (event.type === "text") show(event.text);
      if (event.type === "done") return event.response;
    }
    throw new Unavailable("the answer ended before it was complete");
  }

  /** Shows the text to the caller as it is written, and gives the whole answer. */
  emit(): Response {
    return this.finish(progress.emit);
  }

  cancel(): void {
    this.inner[Symbol.dispose]?.();
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}

/** Asks, and returns at once: the answer is made whether it is read or not. */
export function open(prompt: Prompt, options: AskOptions = {}): Generation {
  return new Generation(asked(() => host.open(request(prompt, options))));
}

/**
 * Asks many things with at most `inFlight` at once (8 unless said), and gives the answers in the order of the questions.
 *
 * Nothing is asked before the first answer is wanted. The first refusal is thrown. Leaving the loop cancels what is still being made.
 */
export function* parallel(questions: Iterable<Question>, options: AskOptions & { inFlight?: number } = {}): Generator<Response, void, undefined> {
  for (const result of settled(questions, options)) {
    if (result.status === "rejected") throw result.reason;
    yield result.value;
  }
}

/** As `parallel`, but a refusal is given in the place of its answer, as by `Promise.allSettled`. */
export function* settled(
  questions: Iterable<Question>,
  options: AskOptions & { inFlight?: number } = {},
): Generator<PromiseSettledResult<Response>, void, undefined> {
  const { inFlight = 8, ...common } = options;
  const waiting = questions[Symbol.iterator]();
  const opened: (() => Generation)[] = [];
  try {
    for (;;) {
      while (opened.length < Math.max(1, inFlight)) {
        const next = waiting.next();
        if (next.done) break;
        opened.push(begin(next.value, common));
      }
      const first = opened.shift();
      if (first === undefined) return;
      yield attempt(() => first().finish());
    }
  } finally {
    for (const generation of opened) attempt(() => generation().cancel());
  }
}

/** Opens one now, and gives it, or throws what opening threw, when it is wanted. */
function begin(question: Question, common: AskOptions): () => Generation {
  const isPrompt = typeof question === "string" || Array.isArray(question);
  const { prompt, ...own } = isPrompt ? { prompt: question } : question;
  const result = attempt(() => open(prompt, { ...common, ...own }));
  return () => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  };
}

function attempt<T>(act: () => T): PromiseSettledResult<T> {
  try {
    return { status: "fulfilled", value: act() };
  } catch (reason) {
    return { status: "rejected", reason };
  }
}

function eventFromWit(event: wit.Event): Event {
  switch (event.tag) {
    case "text":
    case "thinking":
      return { type: event.tag, text: event.val };
    case "tool-call-start":
      return { type: event.tag, id: event.val[0], name: event.val[1] };
    case "tool-call-delta":
      return { type: event.tag, id: event.val[0], delta: event.val[1] };
    case "tool-call":
      return { type: event.tag, call: callFromWit(event.val) };
    case "done":
      return { type: event.tag, response: new Response(event.val) };
  }
}
