//! The end of a promise, waited for.

import { Failure } from "../failure.js";
import * as log from "../log.js";
import { trace } from "../stack.js";
import { step } from "./jobs.js";
import { unhandled } from "./promise.js";

/** Does what is queued until the promise is settled, and gives its value or throws its reason. */
export function settle<T>(promise: PromiseLike<T>): T {
  let end: { value: T } | { reason: unknown } | undefined;
  promise.then(
    (value) => (end = { value }),
    (reason) => (end = { reason }),
  );
  while (end === undefined) {
    if (!step()) throw new Failure("failed", "the tool waits for a promise that nothing can settle any more", "tell the author: a callback was lost");
  }
  for (const lost of unhandled) log.warn(`a promise was rejected and nobody saw it: ${String(lost.reason)}`, { stack: trace(lost.reason) });
  unhandled.clear();
  if ("reason" in end) throw end.reason;
  return (end as { value: T }).value;
}
