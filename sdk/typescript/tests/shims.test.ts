//! The stand-ins for what the engine lacks, against what Node has.

import { afterEach, describe, expect, test, vi } from "vitest";
import { structuredClone as clone } from "../src/shims/clone.js";
import { console as shim } from "../src/shims/console.js";
import { clearTimer, later, setTimer, step } from "../src/shims/jobs.js";
import { QueuedPromise } from "../src/shims/promise.js";
import { begin, crypto as shimCrypto, random } from "../src/shims/random.js";
import { settle } from "../src/shims/settle.js";
import { TextDecoder as Decoder, TextEncoder as Encoder } from "../src/shims/text.js";
import { URL as Url, URLSearchParams as Params } from "../src/shims/url.js";
import { fakeHost } from "ringfence/fake";

afterEach(() => {
  vi.useRealTimers();
});

describe("text", () => {
  const texts = ["", "plain", "Grüße, 世界 👋🏽 e\u0301 \0", "\ud800 lone", "\ufeffmark", "é".repeat(20000)];
  test.each(texts.map((text) => [text.slice(0, 20), text]))("%j", (_, text) => {
    const bytes = new TextEncoder().encode(text);
    expect(new Encoder().encode(text)).toEqual(bytes);
    expect(new Decoder().decode(bytes)).toBe(new TextDecoder().decode(bytes));
  });

  test("broken bytes become the same replacement characters as in Node", () => {
    const first = [0x41, 0x80, 0xc0, 0xc2, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff];
    const second = [0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2];
    for (const a of first) for (const b of second) for (const c of second) {
      const bytes = Uint8Array.of(a, b, c, 0x42);
      expect(new Decoder().decode(bytes)).toBe(new TextDecoder().decode(bytes));
    }
    expect(() => new Decoder("utf-8", { fatal: true }).decode(Uint8Array.of(0xff))).toThrow(TypeError);
  });

  test("pieces end anywhere", () => {
    const bytes = new TextEncoder().encode("aé世👋z");
    for (let size = 1; size < 5; size += 1) {
      const decoder = new Decoder();
      let text = "";
      for (let at = 0; at < bytes.length; at += size) text += decoder.decode(bytes.subarray(at, at + size), { stream: true });
      expect(text + decoder.decode()).toBe("aé世👋z");
    }
  });
});

describe("promises", () => {
  const run = (act: (P: typeof Promise, log: (word: string) => void) => void): Promise<string[]> => {
    const words: string[] = [];
    act(Promise, (word) => words.push(word));
    return new Promise((resolve) => setTimeout(() => resolve(words), 5));
  };
  const shimmed = (act: (P: typeof Promise, log: (word: string) => void) => void): string[] => {
    const words: string[] = [];
    act(QueuedPromise as unknown as typeof Promise, (word) => words.push(word));
    while (step());
    return words;
  };
  test("react in the order of Node's", async () => {
    const act = (P: typeof Promise, log: (word: string) => void): void => {
      const thenable = { then: (yes: (value: string) => void) => yes("thenable") };
      P.resolve(1).then(() => log("a")).then(() => log("b")).finally(() => log("c"));
      P.resolve(thenable as unknown as Promise<string>).then(log);
      new P<string>((yes) => yes(P.resolve("inner"))).then(log);
      P.reject(new Error("x")).catch((error: Error) => log(error.message)).then(() => log("after"));
      P.all([1, P.resolve(2), thenable]).then((all) => log(JSON.stringify(all)));
      P.allSettled([P.reject(1), 2]).then((all) => log(JSON.stringify(all)));
      P.any([P.reject(1), P.resolve("any")]).then(log);
      P.any([P.reject(1)]).catch((error: AggregateError) => log(`${error.constructor.name} ${error.errors}`));
      P.race([new P<string>(() => {}), P.resolve("race")]).then(log);
      P.all([]).then(() => log("none"));
      const self: Promise<unknown> = P.resolve().then(() => self);
      self.catch((error: Error) => log(error.name));
      new P(() => { throw "thrown"; }).catch(log);
      P.reject("kept").finally(() => log("finally")).catch(log);
      log("now");
    };
    expect(shimmed(act)).toEqual(await run(act));
  });

  test("are waited for, with timers, and what is never settled is said", () => {
    fakeHost();
    const slow = (ms: number): QueuedPromise<number> => new QueuedPromise((yes) => setTimer(() => yes(ms), ms));
    expect(settle(QueuedPromise.all([slow(2), slow(1)]))).toEqual([2, 1]);
    expect(() => settle(QueuedPromise.reject(new RangeError("r")))).toThrow(RangeError);
    expect(() => settle(new QueuedPromise(() => {}))).toThrow("nothing can settle");
  });

  test("that are lost are logged", () => {
    const host = fakeHost();
    settle(QueuedPromise.resolve().then(() => void QueuedPromise.reject(new Error("lost"))));
    expect(host.lines[0]?.message).toContain("nobody saw it: Error: lost");
  });

  test("timers come in order and can be cleared", () => {
    const words: string[] = [];
    const word = (text: string) => () => void words.push(text);
    setTimer(word("late"), 3);
    setTimer(word("soon"), 1);
    clearTimer(setTimer(word("never"), 2));
    const every = setTimer(() => words.push("tick") === 4 && clearTimer(every), 1, true);
    later(word("first"));
    while (step()) if (words.length > 9) break;
    expect(words[0]).toBe("first");
    expect(words.filter((text) => text !== "tick")).toEqual(["first", "soon", "late"]);
  });
});

test("nothing is random before a call", async () => {
  expect(() => shimCrypto.getRandomValues(new Uint8Array(4))).toThrow("cannot be used while the skill is being built");
  expect(() => random()).toThrow("cannot be used while the skill is being built");
  begin();
  expect(shimCrypto.randomUUID()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const drawn = Array.from({ length: 1000 }, random);
  expect(new Set(drawn).size).toBeGreaterThan(990);
  expect(drawn.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(Math.abs(drawn.reduce((sum, value) => sum + value) / 1000 - 0.5)).toBeLessThan(0.06);
});

describe("URL", () => {
  const urls: [string, string?][] = [
    ["https://example.com"], ["HTTP://User:Pass@EXAMPLE.com:80/a/../b/./c?x=1 2#f g"], ["https://example.com:8443/%7Efoo/ü?q=ü&r=a+b#ü"],
    ["../d?y", "https://example.com/a/b/c?x#h"], ["//other.org/x", "https://example.com/a"], ["?q=2", "https://example.com/a/b?x"], ["#h", "https://example.com/a?x"],
    ["/abs", "http://h:81/x/y"], ["", "https://e.com/a?b#c"], ["https://e.com\\a\\b"], ["http://[::1]:3000/x"], ["mailto:ada@example.com?subject=x"], ["data:text/plain,hi"],
    ["file:///a/b"], ["https://e.com/a/.."], ["https://e.com/%2e%2e/x"], ["ftp://f.org:21/x"], ["https://e.com/?"], ["https://e.com/a?'\"<>`{}|"],
  ];
  test.each(urls)("%s on %s", (url, base) => {
    const [ours, theirs] = [new Url(url, base), new URL(url, base)];
    for (const part of ["href", "protocol", "username", "password", "hostname", "host", "port", "pathname", "search", "hash", "origin"] as const) {
      expect([part, ours[part]]).toEqual([part, theirs[part]]);
    }
    expect([...ours.searchParams]).toEqual([...theirs.searchParams]);
  });
  test.each([["no"], ["/rel"], ["https://"], ["http://a:99999/"], ["http://a b/"]])("%s is none", (url) => {
    expect(Url.canParse(url)).toBe(false);
    expect(() => new Url(url)).toThrow(TypeError);
  });
  test("its query changes with it", () => {
    const url = new Url("https://e.com/?a=1");
    url.searchParams.append("b", "x y&z");
    expect(url.href).toBe("https://e.com/?a=1&b=x+y%26z");
    url.search = "?c=3";
    expect(url.searchParams.get("c")).toBe("3");
    expect(new Params({ a: "1", b: "~*'" }).toString()).toBe(new URLSearchParams({ a: "1", b: "~*'" }).toString());
  });
});

test("a clone is one", () => {
  const value: Record<string, unknown> = { a: [1, { b: new Date(5) }], m: new Map([[1, new Set(["x"])]]), u: new Uint8Array([1, 2]) };
  value["self"] = value;
  const copy = clone(value);
  expect(copy).toEqual(value);
  expect(copy).not.toBe(value);
  expect(copy["self"]).toBe(copy);
  expect(() => clone(() => {})).toThrow(TypeError);
});

test("console goes to the log", () => {
  const host = fakeHost();
  const ring: Record<string, unknown> = { a: 1 };
  ring["ring"] = ring;
  shim.log("%s has %d%%", "a", 5, { b: [1] }, 2n);
  shim.warn(ring);
  shim.error(new Error("e"));
  shim.assert(true, "no");
  expect(host.lines.map(({ level, message }) => [level, message.split("\n")[0]])).toEqual([
    ["info", 'a has 5% {"b":[1]} 2n'],
    ["warn", '{"a":1,"ring":"[seen above]"}'],
    ["error", "Error: e"],
  ]);
});
