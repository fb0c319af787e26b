//! A host for unit tests: the test runner runs a skill's code as it is, and this stands in for the imports.
//!
//! ```ts
//! const host = fakeHost().answer("They hum.");
//! const outcome = await host.call(answer, { question: "What do bees do?", text: "Bees hum." });
//! expect(outcome.text).toBe("They hum.");
//! expect(host.prompts[0]).toContain("Bees hum.");
//! ```
//!
//! The fake that was made last is the one that is asked. An import that is used without one throws and says so.

import { use } from "./current.js";
import { Host } from "./host.js";

export { Host as FakeHost, type Rule, type SeenRequest } from "./host.js";
export type { OtherTool } from "./others.js";
export { type Answer, Reply } from "./reply.js";
export type { Page, SentRequest } from "./web.js";

/** Begins a host that grants everything, knows no answers, and has no settings and no stored keys. */
export function fakeHost(): Host {
  const host = new Host();
  use(host);
  return host;
}
