//! `console`, whose lines go to the operator's log.

import { log } from "#host";
import type { Level } from "../host/wit.js";
import { trace } from "../stack.js";

function line(level: Level) {
  return (...values: unknown[]): void => log.log(level, format(values), []);
}

export const console = {
  trace: line("trace"),
  debug: line("debug"),
  log: line("info"),
  info: line("info"),
  dir: line("info"),
  table: line("info"),
  warn: line("warn"),
  error: line("error"),
  assert(holds?: unknown, ...values: unknown[]): void {
    if (!holds) log.log("error", format(["assertion failed:", ...values]), []);
  },
  group(): void {},
  groupEnd(): void {},
  time(): void {},
  timeEnd(): void {},
};

/** The first text may hold `%s`, `%d`, `%i`, `%f`, `%j`, `%o`, `%O`. */
function format(values: unknown[]): string {
  const [first, ...rest] = values;
  if (typeof first !== "string") return values.map(show).join(" ");
  const text = first.replace(/%([sdifjoO%])/g, (whole, kind: string) => {
    if (kind === "%") return "%";
    if (rest.length === 0) return whole;
    const value = rest.shift();
    return kind === "d" || kind === "f" ? String(Number(value)) : kind === "i" ? String(Math.trunc(Number(value))) : show(value);
  });
  return [text, ...rest.map(show)].join(" ");
}

function show(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value}\n${trace(value)}`.trimEnd();
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return String(value);
  const seen = new Set<unknown>();
  try {
    return JSON.stringify(value, (_, part: unknown) => {
      if (typeof part === "bigint") return `${part}n`;
      if (part instanceof Map) return Object.fromEntries(part);
      if (part instanceof Set) return [...part];
      if (typeof part !== "object" || part === null) return part;
      if (seen.has(part)) return "[seen above]";
      seen.add(part);
      return part;
    });
  } catch {
    return String(value);
  }
}
