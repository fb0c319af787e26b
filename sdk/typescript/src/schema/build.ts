//! `s`: schemas that say what a value is, to TypeScript, to models and to the host at once.

import type { Checked, Infer, Issue, Json, JsonSchema, Schema } from "./standard.js";

type Path = readonly (string | number)[];
type Check<T> = (value: unknown, path: Path, issues: Issue[]) => T;

/** What stands for a value that is not there. */
type Absent = { kind: "error" } | { kind: "value"; value: unknown };

/** A schema made by `s`. Every method gives a new one. */
export class Type<T> implements Schema<T> {
  readonly "~standard": Schema<T>["~standard"];
  /** The JSON Schema. */
  readonly json: JsonSchema;
  private readonly check: Check<T>;
  private readonly absent: Absent;

  constructor(json: JsonSchema, check: Check<T>, absent: Absent = { kind: "error" }) {
    this.json = json;
    this.check = check;
    this.absent = absent;
    const give = (): JsonSchema => json;
    this["~standard"] = {
      version: 1,
      vendor: "ringfence",
      validate: (value) => this.validate(value),
      jsonSchema: { input: give, output: give },
    };
  }

  /** Says what it is for. Models and command lines show it. */
  describe(description: string): Type<T> {
    return new Type({ ...this.json, description }, this.check, this.absent);
  }

  /** Gives an example. */
  example(value: T): Type<T> {
    const examples = [...((this.json["examples"] as T[] | undefined) ?? []), value];
    return new Type({ ...this.json, examples }, this.check, this.absent);
  }

  /** It may be left out; then it is undefined. */
  optional(): Type<T | undefined> {
    return new Type<T | undefined>(this.json, this.check, { kind: "value", value: undefined });
  }

  /** It may be left out; then it is this. */
  default(value: T & {}): Type<Exclude<T, undefined>> {
    const check = this.check as Check<Exclude<T, undefined>>;
    return new Type({ ...this.json, default: value }, check, { kind: "value", value });
  }

  /** It may be null. */
  nullable(): Type<T | null> {
    const { description, default: standard, ...rest } = this.json;
    const type = typeof rest["type"] === "string" && !("enum" in rest) ? { ...rest, type: [rest["type"], "null"] } : { anyOf: [rest, { type: "null" }] };
    const outer = { ...type, ...(description === undefined ? {} : { description }), ...(standard === undefined ? {} : { default: standard }) };
    return new Type<T | null>(outer, (value, path, issues) => (value === null ? null : this.check(value, path, issues)), this.absent);
  }

  /** Adds words of JSON Schema that `s` has none for; the host checks them. */
  with(words: JsonSchema): Type<T> {
    return new Type({ ...this.json, ...words }, this.check, this.absent);
  }

  /** The value as the schema gives it, or what is wrong with it. */
  validate(value: unknown): Checked<T> {
    const issues: Issue[] = [];
    const given = this.read(value, [], issues);
    return issues.length === 0 ? { value: given } : { issues };
  }

  /** For schemas that hold this one. */
  read(value: unknown, path: Path, issues: Issue[]): T {
    if (value !== undefined) return this.check(value, path, issues);
    if (this.absent.kind === "error") issues.push({ message: "is missing", path });
    return (this.absent as { value?: unknown }).value as T;
  }
}

/** Fields by name: schemas of `s`, or of another library. */
export type Shape = Record<string, Schema>;
type OptionalKeys<S extends Shape> = { [K in keyof S]: undefined extends Infer<S[K]> ? K : never }[keyof S];
type Flat<T> = { [K in keyof T]: T[K] } & {};
/** The type of an object with these fields. */
export type Fields<S extends Shape> = Flat<
  { [K in Exclude<keyof S, OptionalKeys<S>>]: Infer<S[K]> } & { [K in OptionalKeys<S>]?: Infer<S[K]> }
>;

/** Bounds of a text. */
export interface StringRules {
  minLength?: number;
  maxLength?: number;
  /** A regular expression, without slashes. The host checks it. */
  pattern?: string;
  format?: "date" | "date-time" | "email" | "uri" | "uuid";
}

/** Bounds of a number. */
export interface NumberRules {
  minimum?: number;
  maximum?: number;
}

function typed<T>(name: string, is: (value: unknown) => boolean): Check<T> {
  return (value, path, issues) => {
    if (!is(value)) issues.push({ message: `expected ${name}, found ${found(value)}`, path });
    return value as T;
  };
}

function found(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function number(type: "number" | "integer", rules: NumberRules): Type<number> {
  const is = type === "number" ? Number.isFinite : Number.isSafeInteger;
  const kind = typed<number>(type === "number" ? "a number" : "a whole number", is);
  return new Type<number>({ type, ...rules }, (value, path, issues) => {
    const given = kind(value, path, issues);
    const { minimum = -Infinity, maximum = Infinity } = rules;
    if (given < minimum) issues.push({ message: `${given} is less than ${minimum}`, path });
    if (given > maximum) issues.push({ message: `${given} is more than ${maximum}`, path });
    return given;
  });
}

/** A value read by any library's schema as a part of ours. */
function readBy(schema: Schema, value: unknown, path: Path, issues: Issue[]): unknown {
  if (schema instanceof Type) return schema.read(value, path, issues);
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) throw new TypeError("a field cannot be checked asynchronously: give the whole input as one schema");
  if (result.issues === undefined) return result.value;
  for (const issue of result.issues) {
    const below = (issue.path ?? []).map((part) => (typeof part === "object" ? part.key : part));
    issues.push({ message: issue.message, path: [...path, ...below] as Path });
  }
  return undefined;
}

function jsonOf(schema: Schema): JsonSchema {
  const json = { ...schema["~standard"].jsonSchema.input({ target: "draft-2020-12" }) };
  delete json["$schema"];
  return json;
}

function mayBeAbsent(schema: Schema): boolean {
  const result = schema["~standard"].validate(undefined);
  return !(result instanceof Promise) && result.issues === undefined;
}

/** A text. */
function string(rules: StringRules = {}): Type<string> {
  const kind = typed<string>("a text", (value) => typeof value === "string");
  return new Type<string>({ type: "string", ...rules }, (value, path, issues) => {
    const given = kind(value, path, issues);
    // JSON Schema counts characters, not UTF-16 units.
    const length = rules.minLength === undefined && rules.maxLength === undefined ? 0 : [...String(given)].length;
    if (length < (rules.minLength ?? 0)) issues.push({ message: `is shorter than ${rules.minLength}`, path });
    if (length > (rules.maxLength ?? Infinity)) issues.push({ message: `is longer than ${rules.maxLength}`, path });
    return given;
  });
}

/** One of these texts. */
function oneOf<const T extends readonly string[]>(values: T): Type<T[number]> {
  const check = typed<T[number]>(`one of ${values.join(", ")}`, (value) => values.includes(value as string));
  return new Type({ type: "string", enum: [...values] }, check);
}

/** A list. */
function array<S extends Schema>(items: S, rules: { minItems?: number; maxItems?: number } = {}): Type<Infer<S>[]> {
  return new Type<Infer<S>[]>({ type: "array", items: jsonOf(items), ...rules }, (value, path, issues) => {
    if (!Array.isArray(value)) {
      issues.push({ message: `expected a list, found ${found(value)}`, path });
      return [];
    }
    if (value.length < (rules.minItems ?? 0)) issues.push({ message: `has fewer than ${rules.minItems} entries`, path });
    if (value.length > (rules.maxItems ?? Infinity)) issues.push({ message: `has more than ${rules.maxItems} entries`, path });
    return value.map((item, at) => readBy(items, item, [...path, at], issues));
  });
}

/** An object with these fields and no others. */
function object<S extends Shape>(fields: S): Type<Fields<S>> {
  const entries = Object.entries(fields);
  const required = entries.filter(([, schema]) => !mayBeAbsent(schema)).map(([name]) => name);
  const properties = Object.fromEntries(entries.map(([name, schema]) => [name, jsonOf(schema)]));
  const json = { type: "object", properties, ...(required.length === 0 ? {} : { required }), additionalProperties: false };
  return new Type<Fields<S>>(json, (value, path, issues) => {
    if (!isObject(value)) {
      issues.push({ message: `expected an object, found ${found(value)}`, path });
      return {} as Fields<S>;
    }
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name)) issues.push({ message: "is not known", path: [...path, name] });
    }
    const read: Record<string, unknown> = {};
    for (const [name, schema] of entries) {
      const given = readBy(schema, value[name], [...path, name], issues);
      if (given !== undefined) read[name] = given;
    }
    return read as Fields<S>;
  });
}

/** An object with any names and values of one kind. */
function record<S extends Schema>(values: S): Type<Record<string, Infer<S>>> {
  return new Type({ type: "object", additionalProperties: jsonOf(values) }, (value, path, issues) => {
    if (!isObject(value)) {
      issues.push({ message: `expected an object, found ${found(value)}`, path });
      return {};
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readBy(values, item, [...path, key], issues)]));
  });
}

/** What any of these is. */
function union<const S extends readonly Schema[]>(...types: S): Type<Infer<S[number]>> {
  return new Type<Infer<S[number]>>({ anyOf: types.map(jsonOf) }, (value, path, issues) => {
    let first: Issue[] | undefined;
    for (const type of types) {
      const own: Issue[] = [];
      const given = readBy(type, value, path, own);
      if (own.length === 0) return given as Infer<S[number]>;
      first ??= own;
    }
    issues.push(...(first ?? []));
    return value as Infer<S[number]>;
  });
}

/** A JSON Schema of your own. TypeScript takes your word for the type; the host checks the value. */
function json<T = Json>(schema: JsonSchema): Type<T> {
  return new Type<T>(schema, (value) => value as T);
}

export const s = {
  string,
  number: (rules: NumberRules = {}): Type<number> => number("number", rules),
  /** A whole number. */
  integer: (rules: NumberRules = {}): Type<number> => number("integer", rules),
  boolean: (): Type<boolean> => new Type({ type: "boolean" }, typed<boolean>("true or false", (value) => typeof value === "boolean")),
  enum: oneOf,
  array,
  object,
  record,
  union,
  /** Exactly this value. */
  literal: <const T extends string | number | boolean>(value: T): Type<T> =>
    new Type({ const: value }, typed<T>(JSON.stringify(value), (given) => given === value)),
  /** Any JSON value. */
  any: (): Type<Json> => json({}),
  json,
};

export declare namespace s {
  /** The type of the values that a schema gives: `type City = s.Infer<typeof City>`. */
  export type Infer<S extends Schema> = import("./standard.js").Infer<S>;
}
