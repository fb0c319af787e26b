//! What JavaScript programs expect and the engine lacks. The build puts this before the skill's own modules; where the engine has something
//! of its own it stays, except where its own is wrong for a component.

import { structuredClone } from "./clone.js";
import { console } from "./console.js";
import { clearTimer, later, setTimer } from "./jobs.js";
import { QueuedPromise } from "./promise.js";
import { crypto, random } from "./random.js";
import { TextDecoder, TextEncoder } from "./text.js";
import { URL, URLSearchParams } from "./url.js";

type Globals = Record<string, any>;
const globals: Globals = globalThis;

const call = (act: unknown, args: unknown[]) => () => (act as (...args: unknown[]) => void)(...args);

// The engine's own would never be done, or would be the same in each instance.
const instead: Globals = {
  Promise: QueuedPromise,
  queueMicrotask: later,
  setTimeout: (act: unknown, ms?: number, ...args: unknown[]) => setTimer(call(act, args), ms),
  setInterval: (act: unknown, ms?: number, ...args: unknown[]) => setTimer(call(act, args), ms, true),
  setImmediate: (act: unknown, ...args: unknown[]) => setTimer(call(act, args), 0),
  clearTimeout: clearTimer,
  clearInterval: clearTimer,
  clearImmediate: clearTimer,
  console,
  crypto,
};
const missing: Globals = { TextEncoder, TextDecoder, URL, URLSearchParams, structuredClone, self: globalThis };

for (const [name, value] of Object.entries(instead)) define(name, value);
for (const [name, value] of Object.entries(missing)) if (!(name in globals)) define(name, value);
Math.random = random;

// These two of the engine's make its own promises.
(Array as Globals)["fromAsync"] = async function fromAsync(items: any, map: (item: any, at: number) => unknown = (item) => item): Promise<any[]> {
  const all: unknown[] = [];
  for await (const item of items) all.push(await map(item, all.length));
  return all;
};
(Error as { stackTraceLimit?: number }).stackTraceLimit = 40;

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}
