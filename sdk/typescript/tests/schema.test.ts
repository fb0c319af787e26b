import { type Infer, s } from "ringfence";
import { describe, expect, expectTypeOf, test } from "vitest";

describe("types", () => {
  test("are inferred", () => {
    const Person = s.object({
      name: s.string(),
      age: s.integer().optional(),
      mode: s.enum(["fast", "slow"]).default("fast"),
      note: s.string().nullable(),
      tags: s.array(s.string()).default([]),
      any: s.any(),
    });
    type Person = s.Infer<typeof Person>;
    expectTypeOf<Person["name"]>().toEqualTypeOf<string>();
    expectTypeOf<Person["mode"]>().toEqualTypeOf<"fast" | "slow">();
    expectTypeOf<Person["note"]>().toEqualTypeOf<string | null>();
    expectTypeOf<{ name: string; mode: "slow"; note: null; tags: []; any: 1 }>().toExtend<Person>();
    const either = s.union(s.literal("a"), s.integer());
    expectTypeOf<Infer<typeof either>>().toEqualTypeOf<"a" | number>();
  });
});

describe("JSON Schema", () => {
  test("says everything", () => {
    const schema = s.object({
      count: s.integer({ minimum: 1 }).describe("How many."),
      note: s.string({ maxLength: 5 }).optional(),
      mode: s.enum(["fast", "slow"]).default("fast"),
      owner: s.string().nullable().describe("Who."),
      choice: s.enum(["a"]).nullable(),
    });
    expect(schema.json).toEqual({
      type: "object",
      properties: {
        count: { type: "integer", minimum: 1, description: "How many." },
        note: { type: "string", maxLength: 5 },
        mode: { type: "string", enum: ["fast", "slow"], default: "fast" },
        owner: { type: ["string", "null"], description: "Who." },
        choice: { anyOf: [{ type: "string", enum: ["a"] }, { type: "null" }] },
      },
      required: ["count", "owner", "choice"],
      additionalProperties: false,
    });
  });
});

describe("checking", () => {
  const schema = s.object({
    count: s.integer({ minimum: 1, maximum: 3 }),
    mode: s.enum(["fast", "slow"]).default("fast"),
    words: s.array(s.string(), { minItems: 1 }).optional(),
    map: s.record(s.number()).optional(),
    either: s.union(s.string(), s.number()).optional(),
  });
  const wrong = (value: unknown) => schema.validate(value).issues?.map((issue) => `${issue.path?.join(".")} ${issue.message}`);

  test("gives defaults and leaves out what is not there", () => {
    expect(schema.validate({ count: 2 })).toEqual({ value: { count: 2, mode: "fast" } });
  });

  test.each([
    [{}, ["count is missing"]],
    [{ count: 1.5 }, ["count expected a whole number, found 1.5"]],
    [{ count: 4 }, ["count 4 is more than 3"]],
    [{ count: 1, words: ["a", 2] }, ["words.1 expected a text, found 2"]],
    [{ count: 1, words: [] }, ["words has fewer than 1 entries"]],
    [{ count: 1, mode: "no" }, ['mode expected one of fast, slow, found "no"']],
    [{ count: 1, map: { a: null } }, ["map.a expected a number, found null"]],
    [{ count: 1, either: true }, ["either expected a text, found true"]],
    [{ count: 1, more: 1 }, ["more is not known"]],
    [[], [" expected an object, found a list"]],
  ])("%j", (value, issues) => {
    expect(wrong(value)).toEqual(issues);
  });

  test("counts characters, not halves of them", () => {
    expect(s.string({ maxLength: 1 }).validate("👋").issues).toBeUndefined();
  });

  test("does not take what every object inherits for a field", () => {
    expect(s.object({}).validate(JSON.parse('{"__proto__": 1}')).issues).toHaveLength(1);
  });
});
