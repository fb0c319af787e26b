//! State that lasts between invocations. Each skill has its own.
//!
//! Keys are 1 to 256 bytes of UTF-8 without control characters; values are at most 1 MiB. A value is JSON, or bytes where it is a
//! `Uint8Array`.

import { kv as host } from "#host";
import type * as wit from "./host/wit.js";
import { asked, Invalid, Unavailable } from "./refusal.js";
import { checked, type Schema } from "./schema/standard.js";

/** How often `update` tries when others write the same key. */
const ATTEMPTS = 32;

/** Write only where the key does not exist, or only where it has this version. */
export interface Condition {
  if: "absent" | number;
}

/** What a conditional write did: `version` is the one that is there now. */
export type Written = { written: true; version: number } | { written: false; version: number | undefined };

/** A value with its version, for a conditional write. */
export interface Entry<T> {
  value: T;
  version: number;
}

/** The value of a key; undefined where there is none. With a schema it has its type, and `Invalid` is thrown where it does not fit. */
export function get<T = unknown>(key: string, schema?: Schema<T>): T | undefined {
  return entry(key, schema)?.value;
}

/** The value of a key with its version. */
export function entry<T = unknown>(key: string, schema?: Schema<T>): Entry<T> | undefined {
  const found = asked(() => host.get(key));
  return found ? { value: decode(key, found.value, schema), version: Number(found.version) } : undefined;
}

/** The bytes of a key. */
export function getBytes(key: string): Uint8Array | undefined {
  return asked(() => host.get(key))?.value;
}

/** Writes a value whatever is there, and gives the new version; or writes it on a condition, and says whether that held. */
export function set(key: string, value: unknown): number;
export function set(key: string, value: unknown, condition: Condition): Written;
export function set(key: string, value: unknown, condition?: Condition): number | Written {
  const written = asked(() => host.set(key, encode(key, value), raw(condition)));
  if (condition !== undefined) return outcome(written);
  if (written.tag === "done") return Number(written.val);
  throw new Unavailable(`the host did not write \`${key}\`, though nothing was in the way`);
}

/** Deletes a key; one that is not there counts as deleted. */
function remove(key: string): void;
function remove(key: string, condition: Condition): Written;
function remove(key: string, condition?: Condition): void | Written {
  const written = asked(() => host.delete(key, raw(condition)));
  return condition === undefined ? undefined : outcome(written);
}
export { remove as delete };

/**
 * Changes a value so that no other invocation's change is lost, and gives the new value.
 *
 * `change` is called again where another invocation wrote in between, so that it should do nothing but compute.
 */
export function update<T>(key: string, change: (old: T | undefined) => T, schema?: Schema<T>): T {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const old = entry(key, schema);
    const value = change(old?.value);
    if (set(key, value, { if: old?.version ?? "absent" }).written) return value;
  }
  throw new Unavailable(`\`${key}\` was changed by others ${ATTEMPTS} times in a row`);
}

/** The keys that begin with `prefix`, in byte order, asked for page by page. */
export function* keys(prefix = ""): Generator<string, void, undefined> {
  let cursor: string | null = null;
  do {
    const page: { keys: string[]; cursor: string | null } = asked(() => host.list(prefix, cursor, 0));
    yield* page.keys;
    cursor = page.cursor ?? null;
  } while (cursor !== null);
}

function raw(condition: Condition | undefined): wit.Condition {
  if (condition === undefined) return { tag: "always" };
  return condition.if === "absent" ? { tag: "absent" } : { tag: "version", val: condition.if };
}

function outcome(written: wit.Written): Written {
  if (written.tag === "done") return { written: true, version: Number(written.val) };
  const { val } = written;
  return { written: false, version: val === null || val === undefined ? undefined : Number(val) };
}

function encode(key: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const text = JSON.stringify(value);
  if (text === undefined) throw new Invalid(`the value for \`${key}\` cannot be JSON: it is ${typeof value}`);
  return new TextEncoder().encode(text);
}

function decode<T>(key: string, bytes: Uint8Array, schema: Schema<T> | undefined): T {
  const what = `what is stored under \`${key}\``;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new Invalid(`${what} is not JSON: ${(error as Error).message}; read bytes by \`getBytes\``);
  }
  return checked(schema, value, what);
}
