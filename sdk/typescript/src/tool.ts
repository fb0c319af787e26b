//! Tools: what a skill offers to its callers.

import { Failure } from "./failure.js";
import type * as wit from "./host/wit.js";
import { Outcome, outcome, structured } from "./outcome.js";
import { type Fields, type Shape, s } from "./schema/build.js";
import { complaints, type Infer, isSchema, jsonSchema, type Schema } from "./schema/standard.js";

export type Caller = wit.Caller;

/** About an invocation. */
export interface Context {
  /** Its identifier, as in the journal. */
  invocation: string;
  /** Who asked: a person at the command line, a program, a model, or another skill. */
  caller: Caller;
  /** Milliseconds left when the call began. When they are over the instance is discarded, wherever it is. */
  deadlineMs: number;
  /** The caller's language as a BCP 47 tag, where it is known. */
  locale: string | undefined;
}

/** What a tool takes: fields by name, or one schema of an object. */
export type Input = Shape | Schema;
type InputOf<I> = I extends Schema ? Infer<I> : I extends Shape ? Fields<I> : never;

/** What a tool gives: a text, nothing, an outcome, or a value of the type that `output` says. */
type Given<O> = Outcome | (O extends Schema ? Infer<O> : string | void);

/** What a caller may assume. Hints, not promises: the host decides by grants. */
export interface Hints {
  /** Changes nothing. */
  readOnly?: boolean;
  /** May delete or overwrite. */
  destructive?: boolean;
  /** Calling again with the same input changes nothing more. */
  idempotent?: boolean;
  /** Reaches things outside of the host: the web, other people. */
  openWorld?: boolean;
}

export interface ToolOptions<I extends Input, O extends Schema | undefined, R> extends Hints {
  /** 1 to 64 characters of `a-z 0-9 _ -`. */
  name: string;
  /** A short title for people. */
  title?: string;
  /** What it does and when to use it. A model reads this to choose a tool. */
  description: string;
  /** What it takes; without it, nothing. */
  input?: I;
  /** What it gives to programs, where that is more than text. */
  output?: O;
  /** Does it. May be async. */
  run: (input: InputOf<I>, context: Context) => R;
}

/** A tool. Made by `tool`; given to `skill`, to a model, or to a test. */
export class Tool<In = any, R = unknown> {
  readonly name: string;
  readonly description: string;
  /** The function, for calls from your own code. */
  readonly run: (input: In, context: Context) => R;
  private readonly options: ToolOptions<Input, Schema | undefined, unknown>;
  private readonly input: Schema;

  constructor(options: ToolOptions<Input, Schema | undefined, unknown>) {
    const { name, description } = options;
    const called = typeof name === "string" ? `the tool \`${name}\`` : "a tool";
    if (typeof name !== "string" || !/^[a-z0-9_-]{1,64}$/.test(name)) {
      throw new TypeError(`${called} needs another name: 1 to 64 characters of a-z, 0-9, _ and -`);
    }
    if (typeof description !== "string" || description.trim() === "") {
      throw new TypeError(`${called} has no description: say in \`description\` what it does and when to use it, models choose by it`);
    }
    if (typeof options.run !== "function") throw new TypeError(`${called} has no \`run\`: give it the function that does it`);
    if (options.output !== undefined && !isSchema(options.output)) {
      throw new TypeError(`the \`output\` of ${called} is no schema: ${ADVICE}`);
    }
    this.name = name;
    this.description = description;
    this.run = options.run as (input: In, context: Context) => R;
    this.options = options;
    this.input = inputSchema(called, options.input ?? {});
  }

  /** What callers are told about it. */
  describe(): wit.Tool {
    const { title, output, readOnly = false, destructive = false, idempotent = false, openWorld = false } = this.options;
    return {
      name: this.name,
      title: title ?? null,
      description: this.description,
      inputSchema: JSON.stringify(this.inputSchema()),
      outputSchema: output === undefined ? null : JSON.stringify(jsonSchema(output, "output")),
      hints: { readOnly, destructive, idempotent, openWorld },
    };
  }

  /** The JSON Schema of its input. */
  inputSchema(): Record<string, unknown> {
    return jsonSchema(this.input, "input");
  }

  /** Calls it as the host does: with a value that came as JSON. */
  call(value: unknown, context: Context): Outcome | Promise<Outcome> {
    const read = this.input["~standard"].validate(value);
    return read instanceof Promise ? read.then((result) => this.go(result, context)) : this.go(read, context);
  }

  private go(read: Awaited<ReturnType<Schema["~standard"]["validate"]>>, context: Context): Outcome | Promise<Outcome> {
    if (read.issues !== undefined) throw Failure.invalidInput(`the input is wrong: ${complaints(read.issues)}`);
    const given = this.run(read.value, context) as unknown;
    return isThenable(given) ? given.then((value) => this.outcome(value)) : this.outcome(given);
  }

  private outcome(given: unknown): Outcome {
    if (given instanceof Outcome) return given;
    if (this.options.output !== undefined) return structured(given);
    if (given === undefined) return outcome();
    if (typeof given === "string") return outcome(given);
    const kind = given === null ? "null" : Array.isArray(given) ? "a list" : typeof given === "object" ? "an object" : `a ${typeof given}`;
    throw new TypeError(`the tool \`${this.name}\` gave ${kind} and says nothing about it: describe it by \`output\`, for example \`output: s.object({...})\`, or give a text`);
  }
}

/**
 * Makes a tool.
 *
 * ```ts
 * const greet = tool({
 *   name: "greet",
 *   description: "Greets someone.",
 *   input: { name: s.string().describe("Whom to greet.") },
 *   run: ({ name }) => `Hello, ${name}!`,
 * });
 * ```
 */
export function tool<const I extends Input = {}, O extends Schema | undefined = undefined, R extends Given<O> | Promise<Given<O>> = Given<O> | Promise<Given<O>>>(
  options: ToolOptions<I, O, R>,
): Tool<InputOf<I>, R> {
  return new Tool<InputOf<I>, R>(options as unknown as ToolOptions<Input, Schema | undefined, unknown>);
}

const ADVICE = "use `s` of ringfence, zod 4.2 or later, or another library with Standard JSON Schema";

function inputSchema(called: string, input: Input): Schema {
  if (isSchema(input)) {
    const json = jsonSchema(input, "input");
    if (json["type"] !== "object") throw new TypeError(`the \`input\` of ${called} is no object: give fields by name, as in \`input: { text: s.string() }\``);
    return json["properties"] === undefined ? withProperties(input) : input;
  }
  for (const [field, schema] of Object.entries(input)) {
    if (!isSchema(schema)) throw new TypeError(`the input \`${field}\` of ${called} has no type: ${ADVICE}`);
  }
  return s.object(input as Shape);
}

/** An object without fields has no properties, and some model providers insist on the word. */
function withProperties(schema: Schema): Schema {
  const json = { ...jsonSchema(schema, "input"), properties: {} };
  const standard = schema["~standard"];
  return { "~standard": { ...standard, validate: (value) => standard.validate(value), jsonSchema: { input: () => json, output: () => json } } };
}

export function isThenable(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

