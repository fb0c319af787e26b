//! Randomness and waiting, from WASI.

import clock from "wasi:clocks/monotonic-clock@0.2.12";
import random from "wasi:random/random@0.2.12";

/** Bytes that nobody can guess. */
export function randomBytes(length: number): Uint8Array {
  return random.getRandomBytes(length);
}

/** Lets the whole instance wait. */
export function sleep(milliseconds: number): void {
  const pollable = clock.subscribeDuration(Math.ceil(milliseconds * 1e6));
  pollable.block();
  pollable[Symbol.dispose]?.();
}
