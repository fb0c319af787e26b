//! Randomness. A component is a snapshot: what was random while it was built would be the same in every instance for ever, so nothing may be
//! random before a call has begun.

import { randomBytes } from "#host";
import { mustRun, start } from "../host/running.js";

let state: Uint32Array | undefined;

/** From now on there is randomness, and `Math.random` begins anew. */
export function begin(): void {
  start();
  state = undefined;
}

function bytes(length: number): Uint8Array {
  mustRun("randomness");
  return randomBytes(length);
}

/** `Math.random` by sfc32, seeded from secure bytes in each instance. */
export function random(): number {
  if (state === undefined) {
    const seed = bytes(16);
    state = new Uint32Array(seed.slice().buffer, 0, 4);
  }
  let [a = 0, b = 0, c = 0, count = 0] = state;
  const sum = (((a + b) | 0) + count) | 0;
  count = (count + 1) | 0;
  a = b ^ (b >>> 9);
  b = (c + (c << 3)) | 0;
  c = (((c << 21) | (c >>> 11)) + sum) | 0;
  state.set([a, b, c, count]);
  return (sum >>> 0) / 4294967296;
}

type Integers = Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

export const crypto = {
  getRandomValues<T extends Integers>(array: T): T {
    const whole = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    whole.set(bytes(whole.length));
    return array;
  },
  randomUUID(): string {
    const sixteen = bytes(16);
    sixteen[6] = ((sixteen[6] ?? 0) & 0x0f) | 0x40;
    sixteen[8] = ((sixteen[8] ?? 0) & 0x3f) | 0x80;
    const hex = Array.from(sixteen, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
};
