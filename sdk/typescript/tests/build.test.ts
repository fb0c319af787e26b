//! What the build makes of a skill, and what it says where it cannot: the part before the engine.

import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import * as esbuild from "esbuild";
import { expect, test } from "vitest";
// @ts-expect-error: the build is plain JavaScript.
import { bundle } from "../builder/bundle.mjs";
// @ts-expect-error: the build is plain JavaScript.
import { mapped, table } from "../builder/lines.mjs";

const sdk = resolve(import.meta.dirname, "..");

function build(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), "ringfence-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return bundle(esbuild, { folder, entry: "src/skill.ts", sdk, engine: "quickjs" }).then((made: { code: string; map: object; imports: string[] }) => ({ ...made, folder }));
}

const skill = (run: string, more = "") => `import { kv, model, skill, tool } from "ringfence";\n${more}\nexport default skill(tool({ name: "a", description: "A.", run: ${run} }));\n`;

test("only what is used is imported", async () => {
  const always = ["ringfence:skill/log@0.1.0", "wasi:clocks/monotonic-clock@0.2.12", "wasi:random/random@0.2.12"];
  expect((await build({ "src/skill.ts": skill('() => "a"') })).imports).toEqual(always);
  expect((await build({ "src/skill.ts": skill('() => String(kv.get("a"))') })).imports).toEqual(["ringfence:skill/kv@0.1.0", ...always]);
});

test("async functions are compiled away", async () => {
  const { code } = await build({ "src/skill.ts": skill('async () => { for await (const a of [1]) await a; return "a"; }') });
  expect(code).not.toMatch(/\basync\s*(function|\()|\bawait\s/);
});

test("lines and names are the author's", async () => {
  const { code, map, folder } = await build({
    "src/skill.ts": skill('() => deep()', 'import { deep as other } from "./other.js";\ninterface Gone {\n  a: number;\n}\nfunction deep(): string {\n  throw new Error(other());\n}'),
    "src/other.ts": "export function deep(): string {\n  return String(1);\n}\n",
  });
  const lines = table({ code, map }, folder, sdk);
  const at = (words: string) => {
    const line = code.split("\n").findIndex((text: string) => text.includes(words));
    return mapped(`(skill.js:${line + 1}:${(code.split("\n")[line] ?? "").indexOf(words) + 1})`, lines);
  };
  expect(at("throw new Error(deep")).toBe("(src/skill.ts:7)");
  expect(at("return String(1)")).toBe("(src/other.ts:2)");
  expect(Object.values(lines.names)).toContain("deep");
  expect(lines.sources.filter((name: string) => !name.startsWith("~"))).toEqual(expect.arrayContaining(["src/skill.ts", "src/other.ts"]));
});

test.each([
  ["a module of Node", skill("() => fs", 'import fs from "node:fs";'), /`node:fs` is a module of Node.*`files` of ringfence.*src\/skill\.ts:2/s],
  ["no skill", "export const a = 1;\n", /src\/skill\.ts exports no skill/],
  ["the fake", 'export { fakeHost as default } from "ringfence/fake";\n', /`ringfence\/fake` is for tests/],
  ["top-level await", skill('() => "a"', "await 1;"), /Top-level await/],
])("%s is refused", async (_, source, message) => {
  await expect(build({ "src/skill.ts": source })).rejects.toThrow(message);
});

test("a package that needs Node is named, and one that stands in for a module of Node is taken", async () => {
  const uses = (name: string) => skill("() => it", `import it from "${name}";`);
  await expect(build({ "src/skill.ts": uses("needy"), "node_modules/needy/index.js": 'module.exports = require("zlib");' })).rejects.toThrow(/`zlib` is a module of Node.*the package `needy` needs it/);
  expect((await build({ "src/skill.ts": uses("events"), "node_modules/events/index.js": 'module.exports = "stand-in";' })).code).toContain("stand-in");
});
