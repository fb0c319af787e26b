//! Why a call gave no outcome.

import { FileError } from "./file-error.js";
import type * as wit from "./host/wit.js";
import { Refusal } from "./refusal.js";
import { place } from "./stack.js";

export type FailureKind = wit.FailureKind;

/** Why a call gave no outcome. Throw one where you know what is wrong; every other error becomes one by itself. */
export class Failure extends Error {
  override readonly name: string = "Failure";
  /** What kind of failure, for programs. */
  readonly kind: FailureKind;
  /** One sentence saying what to do about it. */
  readonly hint: string | undefined;

  /** `message` is one sentence saying what happened, with the offending value. */
  constructor(kind: FailureKind, message: string, hint?: string) {
    super(message);
    this.kind = kind;
    this.hint = hint;
  }

  /** The input passes the schema and is wrong all the same. */
  static invalidInput(message: string, hint?: string): Failure {
    return new Failure("invalid-input", message, hint);
  }

  /** Something that the tool depends on does not work now. */
  static unavailable(message: string, hint?: string): Failure {
    return new Failure("unavailable", message, hint);
  }

  /** Anything else. */
  static failed(message: string, hint?: string): Failure {
    return new Failure("failed", message, hint);
  }
}

/** The failure of another skill's tool. Left uncaught it becomes this tool's own. */
export class CallFailed extends Failure {
  override readonly name = "CallFailed";
}

/** What a caller is told about anything that was thrown. */
export function asFailure(error: unknown): Failure {
  if (error instanceof CallFailed) {
    // That the other tool's input was wrong is no mistake of whoever called this one.
    const kind = error.kind === "invalid-input" || error.kind === "unknown-tool" ? "failed" : error.kind;
    return new Failure(kind, error.message, error.hint);
  }
  if (error instanceof Failure) return error;
  if (error instanceof Refusal) return refused(error);
  return new Failure("failed", `${withCauses(error)}${at(error)}`);
}

/** The refusal that a tool gave up on. */
function refused(refusal: Refusal): Failure {
  const kind = refusal.isTemporary ? "unavailable" : refusal.kind === "invalid" ? "failed" : "refused";
  const { hint } = refusal;
  // What to do is said once, in the hint.
  const said = hint !== undefined && refusal.message.endsWith(`; ${hint}`);
  const message = said ? refusal.message.slice(0, -hint.length - 2) : refusal.message;
  return new Failure(kind, message, hint);
}

function withCauses(error: unknown): string {
  let text = words(error);
  for (let cause = causeOf(error), depth = 0; cause !== undefined && depth < 8; cause = causeOf(cause), depth += 1) {
    const more = words(cause);
    // Many errors already say their cause.
    if (!text.includes(more)) text += `: ${more}`;
  }
  return text;
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? (error.cause ?? undefined) : undefined;
}

function words(error: unknown): string {
  if (!(error instanceof Error)) return `the tool threw ${describe(error)}`;
  const { name, message } = error;
  if (message === "") return name;
  return name === "Error" || error instanceof FileError ? message : `${name}: ${message}`;
}

function describe(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function at(error: unknown): string {
  const frame = place(error);
  if (frame === undefined) return "";
  return ` (${frame.file}:${frame.line}${frame.name === "" ? "" : `, in ${frame.name}`})`;
}
