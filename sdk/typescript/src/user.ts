//! Questions to the person behind the call. Refused as `Unavailable` where nobody is there; `Cancelled` where the person declined.

import { user as host } from "#host";
import { asked } from "./refusal.js";
import { s } from "./schema/build.js";
import { checked, jsonSchema, type Schema } from "./schema/standard.js";

export interface QuestionOptions {
  /** Most milliseconds to wait. */
  timeoutMs?: number;
  /** The person may let the host keep the answer under this name: then the same question is answered without asking the next time. */
  remember?: string;
}

/** Asks for a text, or for what a schema says: a boolean, a text, a number, a list of choices, or a flat object of these. At most 2,000 bytes. */
export function ask(question: string, options?: QuestionOptions): string;
export function ask<T>(question: string, options: QuestionOptions & { schema: Schema<T> }): T;
export function ask(question: string, options: QuestionOptions & { schema?: Schema } = {}): unknown {
  const { schema, timeoutMs, remember } = options;
  const answer = asked(() =>
    host.ask({
      text: question,
      schema: schema === undefined ? null : JSON.stringify(jsonSchema(schema, "input")),
      timeoutMs: timeoutMs ?? null,
      remember: remember ?? null,
    }),
  );
  return checked(schema, JSON.parse(answer), "the answer");
}

/** Asks for a yes or a no. */
export function confirm(question: string, options: QuestionOptions = {}): boolean {
  return ask(question, { ...options, schema: s.boolean() });
}

/** Asks for a number. */
export function number(question: string, options: QuestionOptions = {}): number {
  return ask(question, { ...options, schema: s.number() });
}

/** A question that one of these texts answers. */
export function choose<const T extends readonly string[]>(question: string, choices: T, options: QuestionOptions = {}): T[number] {
  return ask(question, { ...options, schema: s.enum(choices) });
}
