import { Cancelled, Denied, Failure, Invalid, model, OverBudget, Refusal, s, TimedOut, tool, TooLarge, Unavailable } from "ringfence";
import { fakeHost } from "ringfence/fake";
import { describe, expect, test } from "vitest";

const failing = (act: () => void) => fakeHost().call(tool({ name: "f", description: "F.", run: async () => act() })).catch((error) => error);
const refused = (refusal: Refusal) => fakeHost().refuse(refusal).call(tool({ name: "f", description: "F.", run: () => model.ask("a").text })).catch((error) => error);

describe("an uncaught refusal keeps its kind and its hint", () => {
  test.each([
    [new Denied({ capability: "model", subject: "model smart", reason: "not granted", hint: "grant it" }), "refused", "the host refused `model smart`: not granted", "grant it"],
    [new OverBudget({ scope: "skill-day", unit: "output-tokens", limit: 10, used: 8, needed: 4 }), "refused", /skill-day budget of 10 output-tokens/, /budget\.skill-day\.output-tokens/],
    [new Unavailable("it is down; wait a minute"), "unavailable", "it is down", "wait a minute"],
    [new Unavailable("it is down"), "unavailable", "it is down", undefined],
    [new TimedOut("too slow"), "unavailable", "too slow", undefined],
    [new Invalid("no such option"), "failed", "no such option", undefined],
    [new TooLarge({ what: "prompt", limit: 5, actual: 7 }), "refused", "the prompt is too large: at most 5, this has 7", "give at most 5 of prompt"],
    [new Cancelled(), "refused", "the call was cancelled", undefined],
  ])("%s", async (refusal, kind, message, hint) => {
    const failure = await refused(refusal);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure.kind).toBe(kind);
    expect(failure.message).toMatch(message);
    if (hint === undefined) expect(failure.hint).toBeUndefined();
    else expect(failure.hint).toMatch(hint);
  });
});

test("a refusal is caught by its class or by its kind", () => {
  fakeHost().refuse(new Denied({ capability: "model", subject: "model x", reason: "no", hint: "h" }));
  try {
    model.ask("a");
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(Denied);
    expect(error).toBeInstanceOf(Refusal);
    expect(error).toMatchObject({ kind: "denied", hint: "h", isTemporary: false });
  }
});

test("any other error says where it was thrown, and its causes", async () => {
  const deep = () => {
    throw new TypeError("broken", { cause: new Error("the disk is full") });
  };
  const failure = await failing(deep);
  expect(failure.kind).toBe("failed");
  expect(failure.message).toMatch(/^TypeError: broken: the disk is full \(failure\.test\.ts:\d+, in deep\)$/);
  expect((await failing(() => { throw "a text"; })).message).toBe("the tool threw a text");
});

test("a failure is what it is", async () => {
  const failure = await failing(() => {
    throw Failure.invalidInput("wrong", "do it right");
  });
  expect(failure).toMatchObject({ kind: "invalid-input", message: "wrong", hint: "do it right" });
});

test("an import without a host says what to do", async () => {
  const { use } = await import("../src/fake/current.js");
  use(undefined);
  expect(() => model.ask("a")).toThrow("begin the test with `const host = fakeHost();`");
  expect(s.string().json).toEqual({ type: "string" });
});
