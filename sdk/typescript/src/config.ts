//! The operator's settings for this skill, as its manifest's `[config]` describes them.

import { config as host } from "#host";
import { checked, type Json, type Schema } from "./schema/standard.js";

/**
 * The value of a top-level key; undefined where neither the operator nor the manifest's defaults set it.
 *
 * With a schema the value has its type, and `Invalid` is thrown where the manifest says something else than the code.
 */
export function get(key: string): Json | undefined;
export function get<T>(key: string, schema: Schema<T>): T | undefined;
export function get<T>(key: string, schema?: Schema<T>): T | undefined {
  const json = host.get(key);
  if (json === null || json === undefined) return undefined;
  return checked(schema, JSON.parse(json), `the setting \`${key}\``);
}
