//! Refusals as the host gives them, made of those that a skill catches.

import type * as wit from "../host/wit.js";
import { Cancelled, Denied, OverBudget, type Refusal, TooLarge } from "../refusal.js";

/** What the engine throws for an error result. */
export function thrown(refusal: Refusal): Error {
  return Object.assign(new Error("refused"), { payload: raw(refusal) });
}

function raw(refusal: Refusal): wit.Refusal {
  if (refusal instanceof Denied) {
    const { capability, subject, reason, hint = "" } = refusal;
    return { tag: "denied", val: { capability, subject, reason, hint } };
  }
  if (refusal instanceof OverBudget) {
    const { scope, unit, limit, used, needed } = refusal;
    return { tag: "over-budget", val: { scope, unit, limit, used, needed } };
  }
  if (refusal instanceof TooLarge) {
    const { what, limit, actual } = refusal;
    return { tag: "too-large", val: { what, limit, actual: actual ?? null } };
  }
  if (refusal instanceof Cancelled) return { tag: "cancelled" };
  return { tag: refusal.kind as "unavailable", val: refusal.message };
}
