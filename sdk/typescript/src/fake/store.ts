//! State, as the fake keeps it: in memory, with versions.

import type * as wit from "../host/wit.js";
import { Invalid, type Refusal, TooLarge } from "../refusal.js";
import { thrown } from "./refuse.js";

const LARGEST_VALUE = 1024 * 1024;

export class Store implements wit.Kv {
  readonly entries = new Map<string, wit.Entry>();
  readonly refusals: Refusal[] = [];
  /** Writes of another invocation, each done just before a conditional write of its key. */
  readonly races: { key: string; value: Uint8Array }[] = [];
  /** Versions are never used again, also not after a delete. */
  private lastVersion = 0;

  get(key: string): wit.Entry | null {
    this.check(key);
    return this.entries.get(key) ?? null;
  }

  set(key: string, value: Uint8Array, condition: wit.Condition): wit.Written {
    if (value.length > LARGEST_VALUE) throw thrown(new TooLarge({ what: "kv value", limit: LARGEST_VALUE, actual: value.length }));
    this.check(key);
    if (condition.tag !== "always") this.race(key);
    const there = this.holds(key, condition);
    return there === true ? { tag: "done", val: this.write(key, value) } : { tag: "conflict", val: there };
  }

  delete(key: string, condition: wit.Condition): wit.Written {
    this.check(key);
    const there = this.holds(key, condition);
    if (there !== true) return { tag: "conflict", val: there };
    this.entries.delete(key);
    return { tag: "done", val: 0 };
  }

  list(prefix: string, cursor: string | null, limit: number): { keys: string[]; cursor: string | null } {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw thrown(refusal);
    const all = [...this.entries.keys()].filter((key) => key.startsWith(prefix) && (cursor === null || key > cursor)).sort();
    const keys = all.slice(0, limit === 0 ? 100 : Math.min(limit, 1000));
    return { keys, cursor: keys.length < all.length ? (keys.at(-1) ?? null) : null };
  }

  write(key: string, value: Uint8Array): number {
    this.lastVersion += 1;
    this.entries.set(key, { value: value.slice(), version: this.lastVersion });
    return this.lastVersion;
  }

  private race(key: string): void {
    const at = this.races.findIndex((race) => race.key === key);
    const race = this.races[at];
    if (race === undefined) return;
    this.races.splice(at, 1);
    this.write(key, race.value);
  }

  /** True, or the version that is there where the condition does not hold. */
  private holds(key: string, condition: wit.Condition): true | number | null {
    const version = this.entries.get(key)?.version ?? null;
    const holds = condition.tag === "always" || (condition.tag === "absent" ? version === null : version === condition.val);
    return holds || version;
  }

  private check(key: string): void {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw thrown(refusal);
    const length = new TextEncoder().encode(key).length;
    // biome-ignore lint: control characters are what is looked for.
    if (length === 0 || length > 256 || /[\0-\x1f\x7f-\x9f]/.test(key)) {
      throw thrown(new Invalid(`${JSON.stringify(key)} cannot be a key: 1 to 256 bytes without control characters`));
    }
  }
}
