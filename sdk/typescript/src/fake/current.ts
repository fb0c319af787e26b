//! Which fake stands in for the host.

import type { Host } from "./host.js";

let host: Host | undefined;

export function use(next: Host | undefined): void {
  host = next;
}

export function maybe(): Host | undefined {
  return host;
}

export function current(what: string): Host {
  if (host !== undefined) return host;
  throw new Error(`\`${what}\` was used outside of a host: begin the test with \`const host = fakeHost();\``);
}
