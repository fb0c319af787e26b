//! Randomness and waiting, from WASI.

import * as clock from "wasi:clocks/monotonic-clock@0.2.12";
import * as random from "wasi:random/random@0.2.12";
import { u64 } from "./u64.js";

/** Bytes that nobody can guess. */
export function randomBytes(length: number): Uint8Array {
  return random.getRandomBytes(u64(length));
}

/** Lets the whole instance wait. */
export function sleep(milliseconds: number): void {
  const pollable = clock.subscribeDuration(u64(Math.ceil(milliseconds * 1e6)));
  pollable.block();
  pollable[Symbol.dispose]?.();
}
