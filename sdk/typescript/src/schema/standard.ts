//! The common form of schemas: Standard Schema with JSON Schema (https://standardschema.dev). The builder `s` makes such schemas, and so
//! do zod 4.2 and later, ArkType 2.1.28 and later, and Valibot by `toStandardJsonSchema`.

import { Invalid } from "../refusal.js";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonSchema = Record<string, unknown>;

export interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
export type Checked<T> = { readonly value: T; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

/** Anything that can check a value and say as JSON Schema what it takes. */
export interface Schema<T = any, In = T> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly types?: { readonly input: In; readonly output: T } | undefined;
    readonly validate: (value: unknown) => Checked<T> | Promise<Checked<T>>;
    readonly jsonSchema: {
      readonly input: (options: { readonly target: "draft-2020-12" }) => JsonSchema;
      readonly output: (options: { readonly target: "draft-2020-12" }) => JsonSchema;
    };
  };
}

/** The type of the values that a schema gives. */
export type Infer<S extends Schema> = NonNullable<S["~standard"]["types"]>["output"];

export function isSchema(value: unknown): value is Schema {
  const standard = (value as { "~standard"?: { jsonSchema?: unknown } } | null)?.["~standard"];
  return typeof standard === "object" && standard !== null && typeof standard.jsonSchema === "object";
}

/** The JSON Schema of what is put in, or of what comes out. */
export function jsonSchema(schema: Schema, side: "input" | "output"): JsonSchema {
  const json = { ...schema["~standard"].jsonSchema[side]({ target: "draft-2020-12" }) };
  // The host reads every schema as 2020-12; the name of the draft costs tokens in each model call.
  delete json["$schema"];
  return json;
}

/** `items[2].name: expected a string` for each thing that is wrong. */
export function complaints(issues: readonly Issue[]): string {
  const texts = issues.map(({ path = [], message }) => {
    const keys = path.map((part) => (typeof part === "object" ? part.key : part));
    const place = keys.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("").replace(/^\./, "");
    return place === "" ? message : `\`${place}\`: ${message}`;
  });
  return texts.join("; ");
}

/** The value as the schema gives it; `Invalid` where it does not fit. `what` begins the sentence. */
export function checked<T>(schema: Schema<T> | undefined, value: unknown, what: string): T {
  if (schema === undefined) return value as T;
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) throw new TypeError("a schema that checks asynchronously can be used for a tool's input only");
  if (result.issues !== undefined) throw new Invalid(`${what} is not what the skill expects: ${complaints(result.issues)}`);
  return result.value;
}
