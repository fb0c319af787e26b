//! The world of one skill: the interfaces that its bundle uses, and no others. What a component does not import it can never reach.

import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Writes the WIT that the engine is to read into `folder`, and gives its path. */
export async function writeWorld(folder, imports, sdk) {
  await copyAll(join(sdk, "../../wit"), join(folder, "deps/ringfence-skill"));
  for (const name of ["wasi-random", "wasi-io", "wasi-clocks", "wasi-filesystem"]) {
    await mkdir(join(folder, "deps", name), { recursive: true });
    await copyFile(join(sdk, "wit", `${name}.wit`), join(folder, "deps", name, `${name}.wit`));
  }
  const lines = imports.map((name) => `  import ${name};\n`).join("");
  await writeFile(join(folder, "world.wit"), `package ringfence:javascript;\n\nworld skill {\n${lines}  export ringfence:skill/skill@0.1.0;\n}\n`);
  return folder;
}

async function copyAll(from, to) {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) if (name.endsWith(".wit")) await copyFile(join(from, name), join(to, name));
}
