import { Failure, outcome, s, skill, structured, tool } from "ringfence";
import { fakeHost } from "ringfence/fake";
import { describe, expect, expectTypeOf, test } from "vitest";
import * as z from "zod";

const greet = tool({
  name: "greet",
  title: "Greet",
  description: "Greets someone.",
  readOnly: true,
  input: { name: s.string().describe("Whom."), times: s.integer().default(1), loud: s.boolean().optional() },
  run(input, context) {
    expectTypeOf(input).toEqualTypeOf<{ name: string; times: number; loud?: boolean | undefined }>();
    expectTypeOf(context.deadlineMs).toEqualTypeOf<number>();
    return `Hello, ${input.name}!`.repeat(input.times);
  },
});

describe("a tool", () => {
  test("says what it is", () => {
    const told = greet.describe();
    expect(told).toMatchObject({ name: "greet", title: "Greet", description: "Greets someone.", outputSchema: null });
    expect(told.hints).toEqual({ readOnly: true, destructive: false, idempotent: false, openWorld: false });
    expect(JSON.parse(told.inputSchema)).toMatchObject({ type: "object", required: ["name"] });
  });

  test("without input takes an object without properties", () => {
    const schema = JSON.parse(tool({ name: "a", description: "A.", run: () => "a" }).describe().inputSchema);
    expect(schema).toEqual({ type: "object", properties: {}, additionalProperties: false });
  });

  test("gives text, nothing, a value or an outcome", async () => {
    const host = fakeHost();
    expect((await host.call(greet, { name: "Ada", times: 2 })).text).toBe("Hello, Ada!Hello, Ada!");
    expect((await host.call(tool({ name: "a", description: "A.", run: () => {} }))).content).toEqual([]);
    const point = tool({ name: "p", description: "P.", output: s.object({ x: s.number() }), run: () => ({ x: 1 }) });
    expect(await host.call(point)).toMatchObject({ structured: { x: 1 }, content: [{ type: "text", text: '{\n  "x": 1\n}' }] });
    const media = tool({ name: "m", description: "M.", run: async () => outcome("here").withImage("image/png", new Uint8Array([1])).withLink("https://example.com/") });
    expect((await host.call(media)).content.map((piece) => piece.type)).toEqual(["text", "image", "link"]);
    expect(structured([1]).structured).toEqual([1]);
  });

  test("that gives a value and says nothing about it fails with advice", async () => {
    const silent = tool({ name: "silent", description: "S.", run: (() => ({ a: 1 })) as unknown as () => string });
    await expect(fakeHost().call(silent)).rejects.toThrow(/`silent` gave an object.*`output`/);
  });

  test("checks its input", async () => {
    await expect(fakeHost().call(greet, { name: 1 })).rejects.toMatchObject({ kind: "invalid-input", message: "the input is wrong: `name`: expected a text, found 1" });
  });

  test("takes the schemas of other libraries, also asynchronous ones", async () => {
    const input = z.object({ name: z.string().describe("Whom."), age: z.number().int().optional(), shout: z.string().transform((text) => text.toUpperCase()) });
    const zod = tool({
      name: "zod",
      description: "Z.",
      input: input.refine(async (value) => value.name !== "nobody", "nobody is nobody"),
      output: z.object({ shout: z.string() }),
      run(given) {
        expectTypeOf(given.age).toEqualTypeOf<number | undefined>();
        return { shout: given.shout };
      },
    });
    const schema = JSON.parse(zod.describe().inputSchema);
    expect(schema).toMatchObject({ type: "object", required: ["name", "shout"], properties: { name: { type: "string", description: "Whom." } } });
    expect(schema).not.toHaveProperty("$schema");
    expect((await fakeHost().call(zod, { name: "a", shout: "b" })).structured).toEqual({ shout: "B" });
    await expect(fakeHost().call(zod, { name: "nobody", shout: "b" })).rejects.toThrow("nobody is nobody");
  });

  test("takes fields of other libraries among its own", async () => {
    const mixed = tool({ name: "mixed", description: "M.", input: { a: z.string().optional(), b: s.string() }, run: ({ a = "none", b }) => a + b });
    expect(JSON.parse(mixed.describe().inputSchema).required).toEqual(["b"]);
    expect((await fakeHost().call(mixed, { b: "b" })).text).toBe("noneb");
  });
});

describe("what cannot be a tool", () => {
  const make = (options: object) => () => tool(options as Parameters<typeof tool>[0]);
  test.each([
    [{ name: "Bad Name", description: "x", run() {} }, "the tool `Bad Name` needs another name"],
    [{ name: "a", run() {} }, "the tool `a` has no description"],
    [{ name: "a", description: "x" }, "the tool `a` has no `run`"],
    [{ name: "a", description: "x", input: { text: "string" }, run() {} }, "the input `text` of the tool `a` has no type"],
    [{ name: "a", description: "x", input: s.string(), run() {} }, "the `input` of the tool `a` is no object"],
    [{ name: "a", description: "x", output: { type: "object" }, run() {} }, "the `output` of the tool `a` is no schema"],
  ])("%#", (options, message) => {
    expect(make(options)).toThrow(message);
  });

  test("two of one name", () => {
    expect(() => skill(greet, greet)).toThrow("two tools have the name `greet`");
  });

  test("is said when a wrong name is called", async () => {
    const failure = await fakeHost().callByName(skill(greet), "gree").catch((error) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({ kind: "unknown-tool", message: "this skill has no tool `gree`", hint: "name one of: greet" });
  });
});
