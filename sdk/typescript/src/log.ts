//! Lines for the operator's log. Never fails; the host takes at most 1,000 lines of 4 KiB per invocation.

import { log as host } from "#host";
import type { Level } from "./host/wit.js";

export type { Level } from "./host/wit.js";

/** Names and values that stand beside the message: `log.info("read the parts", { file: name, bytes: 1024 })`. */
export type LogFields = Record<string, unknown>;

/** Writes one line. The functions named after the levels are shorter. */
export function write(level: Level, message: string, fields: LogFields = {}): void {
  host.log(level, message, Object.entries(fields).map(([key, value]) => [key, text(value)]));
}

export const trace = (message: string, fields?: LogFields): void => write("trace", message, fields);
export const debug = (message: string, fields?: LogFields): void => write("debug", message, fields);
export const info = (message: string, fields?: LogFields): void => write("info", message, fields);
export const warn = (message: string, fields?: LogFields): void => write("warn", message, fields);
export const error = (message: string, fields?: LogFields): void => write("error", message, fields);

function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
