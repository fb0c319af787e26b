import { Invalid, log, model, progress, s, tool, Unavailable } from "ringfence";
import { fakeHost, Reply } from "ringfence/fake";
import { describe, expect, expectTypeOf, test } from "vitest";

test("a question, its options, its answer", () => {
  const host = fakeHost().answer("Blue.");
  const answer = model.ask("Why?", { model: "fast", system: "Be brief.", maxTokens: 9, temperature: 0, cacheMessages: 1 });
  expect(answer).toMatchObject({ text: "Blue.", model: "fake/fast", stopReason: "end", isCut: false });
  expect(answer.usage.outputTokens).toBe(2);
  expect(host.requests[0]).toMatchObject({ model: "fast", maxTokens: 9, messages: [{ role: "system" }, { role: "user", text: "Why?" }] });
});

test("a conversation goes on", () => {
  const host = fakeHost().answer("One.", "Two.");
  const messages: model.Message[] = [{ role: "user", content: "Count." }];
  messages.push(model.ask(messages).message, { role: "user", content: "On." });
  expect(model.ask(messages).text).toBe("Two.");
  expect(host.prompts[1]).toBe("Count.\n\nOne.\n\nOn.");
});

test("a value of a type", () => {
  const host = fakeHost().answer({ name: "Bern" }, "no json", { name: 1 }, Reply.text('{"na').stopped("max-tokens"));
  const City = s.object({ name: s.string() });
  const city = model.json("A city.", City);
  expectTypeOf(city).toEqualTypeOf<{ name: string }>();
  expect(city.name).toBe("Bern");
  expect(host.requests[0]?.schema).toMatchObject({ type: "object", required: ["name"] });
  expect(() => model.json("A city.", City)).toThrow(Invalid);
  expect(() => model.json("A city.", City)).toThrow("`name`: expected a text, found 1");
  expect(() => model.json("A city.", City)).toThrow("it was cut at its largest length");
});

describe("streams", () => {
  test("give text, events, and the answer", () => {
    const host = fakeHost().answer("a b", Reply.text("a").thinking("hm"), "one two");
    expect([...model.open("q").text()]).toEqual(["a ", "b"]);
    expect(Array.from(model.open("q"), (event) => event.type)).toEqual(["thinking", "text", "done"]);
    expect(model.open("q").emit().text).toBe("one two");
    expect(host.output).toBe("one two");
  });

  test("break", () => {
    fakeHost().answer(Reply.text("a b").thenBreaks(new Unavailable("gone")));
    const seen: string[] = [];
    expect(() => {
      for (const piece of model.open("q").text()) seen.push(piece);
    }).toThrow(Unavailable);
    expect(seen).toEqual(["a ", "b"]);
  });
});

describe("many at once", () => {
  test("in order, no more than asked, and with options of their own", () => {
    const host = fakeHost().answerWith(({ prompt, model }) => `${model}:${prompt}`);
    const texts = Array.from(model.parallel(["a", { prompt: "b", model: "fast" }, "c"], { inFlight: 2, model: "smart" }), (answer) => answer.text);
    expect(texts).toEqual(["smart:a", "fast:b", "smart:c"]);
    expect(host.mostInFlight).toBe(2);
  });

  test("nothing is asked before it is wanted, and leaving the loop asks no more", () => {
    const host = fakeHost().answerWith(() => "x");
    const answers = model.parallel(["a", "b", "c", "d"], { inFlight: 2 });
    expect(host.requests).toHaveLength(0);
    for (const _ of answers) break;
    expect(host.requests).toHaveLength(2);
  });

  test("refusals are thrown, or given in their place", () => {
    const script = () => fakeHost().answer("a", new Unavailable("down"), "c");
    script();
    expect(() => [...model.parallel(["1", "2", "3"])]).toThrow(Unavailable);
    script();
    expect(Array.from(model.settled(["1", "2", "3"]), (result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });
});

describe("tool loops", () => {
  const add = tool({ name: "add", description: "Adds.", input: { a: s.integer(), b: s.integer() }, run: ({ a, b }) => String(a + b) });

  test("run tools until there is an answer", () => {
    const host = fakeHost().answer(Reply.toolCall("add", { a: 2, b: 3 }).andToolCall("add", { a: 1, b: "x" }), Reply.toolCall("none", {}), "5");
    expect(model.run("2+3?", { tools: [add], toolChoice: "required" }).text).toBe("5");
    expect(host.requests[0]?.tools).toEqual(["add"]);
    expect(host.prompts[1]).toContain("5the input is wrong: `b`: expected a whole number");
    expect(host.prompts[2]).toContain("there is no tool `none`");
  });

  test("end", () => {
    const host = fakeHost().answerWith(({ tools }) => (host.requests.length > 2 ? "enough" : Reply.toolCall(tools[0] ?? "", { a: 1, b: 1 })));
    expect(model.run("q", { tools: [add], rounds: 2 }).text).toBe("enough");
  });

  test("know async tools", async () => {
    const slow = tool({ name: "slow", description: "S.", run: async () => "done" });
    const host = fakeHost().answer(Reply.toolCall("slow", {}), "a", Reply.toolCall("slow", {}), "b");
    model.run("q", { tools: [slow] });
    expect(host.prompts[1]).toContain("use `await model.runAsync`");
    expect((await model.runAsync("q", { tools: [slow] })).text).toBe("b");
    expect(host.prompts[3]).toContain("done");
  });

  test("run tools that are only described", () => {
    fakeHost().answer(Reply.toolCall("look", { at: "x" }), "seen");
    const look = { name: "look", description: "Looks.", inputSchema: { type: "object" } };
    expect(model.run("q", { tools: [look], call: (call) => JSON.stringify(model.args(call)) }).text).toBe("seen");
  });
});

test("embeddings and models", () => {
  fakeHost().vectors([1, 2], [3, 4]).model("default", { contextWindow: 8000 });
  expect(model.embed("embed", ["a", "b"]).vectors).toEqual([[1, 2], [3, 4]]);
  expect(model.models()).toEqual([{ name: "default", maxTokens: 4096, contextWindow: 8000, local: true }]);
});

test("a call without an answer says what to script", () => {
  fakeHost();
  log.info("no host is needed for this");
  progress.emit("nor for this");
  expect(() => model.ask("the question")).toThrow(/script one with `\.answer\("\.\.\."\)`. It asked:\nthe question/);
});
