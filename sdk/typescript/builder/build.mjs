//! Builds a skill: `node build.mjs FOLDER --out skill.wasm --tools DIR`, where DIR has `node_modules` with esbuild and componentize-qjs.
//!
//! esbuild makes one module of the skill, the SDK and the packages they use; a world is written with the interfaces that are left in it, and
//! the engine is wrapped around both. What is wrong in the author's files is said on stderr with its place, and the exit code is 1.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { bundle } from "./bundle.mjs";
import { mapped, table } from "./lines.mjs";
import { writeWorld } from "./world.mjs";

const SDK = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const ENTRIES = ["src/skill.ts", "src/skill.mts", "src/skill.tsx", "src/skill.js", "src/skill.mjs", "src/skill.jsx"];

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: "string" }, tools: { type: "string" }, engine: { type: "string", default: "quickjs" } },
  });
  const folder = resolve(positionals[0] ?? ".");
  const out = resolve(values.out ?? join(folder, "target/skill.wasm"));
  const tools = createRequire(join(resolve(values.tools ?? SDK), "package.json"));
  const entry = ENTRIES.find((name) => existsSync(join(folder, name)));
  if (entry === undefined) throw new Wrong(`${folder} has no src/skill.ts and no src/skill.js`);

  const esbuild = await load(tools, "esbuild");
  const { code, map, imports } = await bundle(esbuild, { folder, entry, sdk: SDK, engine: values.engine });
  const lines = table({ code, map }, folder, SDK);
  // `var` is there, and undefined, before its line is reached: an error while the module is loaded finds no table instead of another error.
  const source = `${code}\nvar __ringfence_lines = ${JSON.stringify(lines)};\n`;

  const work = `${out}.work`;
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, "wit"), { recursive: true });
  const wit = await writeWorld(join(work, "wit"), imports, SDK);
  await writeFile(join(work, "skill.js"), source);
  const component = await wrap(tools, values.engine, { wit, source, path: join(work, "skill.js"), lines });
  // Moved into its place when it is whole: nobody finds half a component.
  await writeFile(join(work, "skill.wasm"), component);
  await rename(join(work, "skill.wasm"), out);
  await rm(work, { recursive: true, force: true });
  console.log(`${relative(process.cwd(), out)}: ${component.length} bytes; bundle ${code.length} bytes; uses ${imports.join(", ")}`);
}

/** What the author can put right. */
class Wrong extends Error {}

async function load(tools, name) {
  try {
    const file = await find(tools, name);
    return await import(pathToFileURL(file).href).then((module) => module.default ?? module);
  } catch (error) {
    console.error(`${name} cannot be loaded: ${error.message}`);
    process.exit(2);
  }
}

/** A package may be for `import` only, which `require.resolve` does not see. */
async function find(tools, name) {
  try {
    return tools.resolve(name);
  } catch (error) {
    const folder = tools.resolve.paths(name)?.map((path) => join(path, name)).find((path) => existsSync(join(path, "package.json")));
    const main = folder && JSON.parse(await readFile(join(folder, "package.json"), "utf8")).exports?.import;
    if (typeof main !== "string") throw error;
    return join(folder, main);
  }
}

async function wrap(tools, engine, { wit, source, path, lines }) {
  try {
    if (engine === "spidermonkey") {
      const { componentize } = await load(tools, "@bytecodealliance/componentize-js");
      const { component } = await componentize({ sourcePath: path, witPath: wit, worldName: "skill", disableFeatures: ["http", "fetch-event"] });
      return component;
    }
    const { componentize } = await load(tools, "componentize-qjs");
    const { component } = await componentize({ witPath: wit, jsSource: source, world: "skill", sync: true });
    return component;
  } catch (error) {
    const said = String(error.message ?? error).replace(/^(?::? ?Failed to [^:]*: )+/, "");
    throw new Wrong(`the skill cannot be loaded: ${mapped(said, lines).trimEnd()}`);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Wrong) && error.said !== true) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
