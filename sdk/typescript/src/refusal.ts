//! Why the host did not do what it was asked: one family of errors for all capabilities.

import type * as wit from "./host/wit.js";

export type RefusalKind = wit.Refusal["tag"];

/** Why the host did not do what it was asked. Catch the class that you can do something about; what you do not catch becomes a failure. */
export abstract class Refusal extends Error {
  /** The WIT's word for it: `denied`, `over-budget`, `unavailable`, `invalid`, `too-large`, `timed-out` or `cancelled`. */
  abstract readonly kind: RefusalKind;
  /** One sentence saying what to do about it, where there is something to do. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint || undefined;
  }

  /** Whether waiting may help. */
  get isTemporary(): boolean {
    return this.kind === "unavailable" || this.kind === "timed-out";
  }
}

/** Policy does not allow it. */
export class Denied extends Refusal {
  override readonly name = "Denied";
  override readonly kind = "denied";
  readonly capability: string;
  readonly subject: string;
  readonly reason: string;

  constructor(denial: { capability: string; subject: string; reason: string; hint?: string }) {
    super(`the host refused \`${denial.subject}\`: ${denial.reason}`, denial.hint);
    this.capability = denial.capability;
    this.subject = denial.subject;
    this.reason = denial.reason;
  }
}

/** A budget (tokens, money, host calls, bytes) would be exceeded. */
export class OverBudget extends Refusal {
  override readonly name = "OverBudget";
  override readonly kind = "over-budget";
  readonly scope: string;
  readonly unit: string;
  readonly limit: number;
  readonly used: number;
  readonly needed: number;

  constructor(over: { scope: string; unit: string; limit: number; used: number; needed: number }) {
    super(
      `the ${over.scope} budget of ${over.limit} ${over.unit} is used up: ${over.used} used or reserved, ${over.needed} needed`,
      `raise \`budget.${over.scope}.${over.unit}\` of the host, or give the tool less to do`,
    );
    this.scope = over.scope;
    this.unit = over.unit;
    this.limit = over.limit;
    this.used = over.used;
    this.needed = over.needed;
  }
}

/** The thing behind the capability does not work now; later it may. */
export class Unavailable extends Refusal {
  override readonly name = "Unavailable";
  override readonly kind = "unavailable";
  constructor(why: string) {
    super(why, advice(why));
  }
}

/** The request is wrong and would be wrong again, or the answer does not have the form that was asked for. */
export class Invalid extends Refusal {
  override readonly name = "Invalid";
  override readonly kind = "invalid";
}

/** A value is larger than its limit. */
export class TooLarge extends Refusal {
  override readonly name = "TooLarge";
  override readonly kind = "too-large";
  readonly what: string;
  readonly limit: number;
  readonly actual: number | undefined;

  constructor(excess: { what: string; limit: number; actual?: number | null | undefined }) {
    const size = excess.actual === null || excess.actual === undefined ? "" : `, this has ${excess.actual}`;
    super(`the ${excess.what} is too large: at most ${excess.limit}${size}`, `give at most ${excess.limit} of ${excess.what}`);
    this.what = excess.what;
    this.limit = excess.limit;
    this.actual = excess.actual ?? undefined;
  }
}

/** It took longer than it may, or the invocation's deadline has come. */
export class TimedOut extends Refusal {
  override readonly name = "TimedOut";
  override readonly kind = "timed-out";
  constructor(why: string) {
    super(why, advice(why));
  }
}

/** The person or program behind the call has cancelled it. */
export class Cancelled extends Refusal {
  override readonly name = "Cancelled";
  override readonly kind = "cancelled";
  constructor() {
    super("the call was cancelled");
  }
}

/** The host says what happened and, behind the last semicolon, what to do. */
function advice(why: string): string | undefined {
  const at = why.lastIndexOf("; ");
  return at < 0 ? undefined : why.slice(at + 2);
}

/** Calls the host, and throws its refusal as an error of this module. */
export function asked<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asRefusal(error) ?? error;
  }
}

/** The engine wraps an error result into an `Error` whose `payload` is the WIT's value. */
function asRefusal(error: unknown): Refusal | undefined {
  const payload = (error as { payload?: unknown } | null)?.payload;
  const refusal = payload as wit.Refusal | undefined;
  switch (refusal?.tag) {
    case "denied":
      return new Denied(refusal.val);
    case "over-budget": {
      const { scope, unit, limit, used, needed } = refusal.val;
      return new OverBudget({ scope, unit, limit: Number(limit), used: Number(used), needed: Number(needed) });
    }
    case "unavailable":
      return new Unavailable(refusal.val);
    case "invalid":
      return new Invalid(refusal.val);
    case "too-large": {
      const { what, limit, actual } = refusal.val;
      return new TooLarge({ what, limit: Number(limit), actual: actual === null || actual === undefined ? undefined : Number(actual) });
    }
    case "timed-out":
      return new TimedOut(refusal.val);
    case "cancelled":
      return new Cancelled();
    default:
      return undefined;
  }
}
