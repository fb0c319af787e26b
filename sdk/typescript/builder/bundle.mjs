//! One module of the skill, the SDK and the packages that they use.

import { builtinModules } from "node:module";
import { join, relative } from "node:path";

const BUILTIN = new RegExp(`^(?:node:.*|(?:${builtinModules.filter((name) => !name.startsWith("_")).join("|")})(?:/.*)?)$`);

const MOST = 6;

/** What an author may use in the place of a module of Node. */
const INSTEAD = {
  fs: "read and write granted folders by `files` of ringfence",
  "fs/promises": "read and write granted folders by `files` of ringfence",
  http: "make requests by `http` of ringfence",
  https: "make requests by `http` of ringfence",
  crypto: "use `crypto.randomUUID()` and `crypto.getRandomValues()`, which are global",
  url: "use `URL`, which is global",
  util: "use `TextEncoder`, `TextDecoder` and `structuredClone`, which are global",
  timers: "use `setTimeout`, which is global",
};

/** The code, its source map, and the interfaces that are left in it. Throws an error with `said: true` for what the author can put right. */
export async function bundle(esbuild, { folder, entry, sdk, engine }) {
  const main = `import "ringfence/shims";
import { exported } from "ringfence/export";
import author from ${JSON.stringify(`./${entry}`)};
export const skill = exported(author);
`;
  try {
    const result = await esbuild.build({
      stdin: { contents: main, resolveDir: folder, sourcefile: "ringfence-main.js", loader: "js" },
      absWorkingDir: folder,
      bundle: true,
      write: false,
      outfile: "skill.js",
      format: "esm",
      platform: "browser",
      conditions: ["ringfence", engine],
      target: "es2023",
      // The engine leaves promises undone when a synchronous call returns. As generators, async functions run on the SDK's own queue.
      supported: { "async-await": false, "async-generator": false, "for-await": false, using: false, decorators: false },
      keepNames: false,
      charset: "utf8",
      legalComments: "none",
      loader: { ".txt": "text", ".md": "text", ".html": "text" },
      define: {
        "process.env.NODE_ENV": '"production"',
        global: "globalThis",
        ...(engine === "spidermonkey" ? { __ringfence_bigint: "true" } : {}),
      },
      metafile: true,
      sourcemap: "external",
      sourcesContent: false,
      logLevel: "silent",
      plugins: [plugin(sdk)],
    });
    if (result.warnings.length > 0) console.error((await esbuild.formatMessages(result.warnings, look("warning"))).join("").trimEnd());
    const file = (end) => result.outputFiles.find((file) => file.path.endsWith(end)).text;
    const [output] = Object.values(result.metafile.outputs).filter((output) => output.entryPoint !== undefined || output.exports.length > 0);
    const imports = output.imports.filter((one) => one.external).map((one) => one.path);
    return { code: file("skill.js"), map: JSON.parse(file("skill.js.map")), imports: [...new Set(imports)].sort() };
  } catch (error) {
    if (!Array.isArray(error.errors)) throw error;
    const messages = error.errors.map((message) => (/^No matching export in .* for import "default"$/.test(message.text) ? noSkill(entry) : message));
    // A package for Node needs dozens of its modules; the first few say it all.
    const shown = messages.slice(0, MOST);
    if (messages.length > MOST) shown.push({ text: `and ${messages.length - MOST} errors more` });
    const text = (await esbuild.formatMessages(shown, look("error"))).join("").trimEnd();
    throw Object.assign(new Error(text), { said: true });
  }
}

function look(kind) {
  return { kind, color: process.stderr.isTTY === true, terminalWidth: process.stderr.columns ?? 120 };
}

function noSkill(entry) {
  return { text: `${entry} exports no skill: end it with \`export default skill(...)\`, with its tools in the brackets` };
}

function plugin(sdk) {
  const own = {
    ringfence: "src/index.ts",
    "ringfence/shims": "src/shims/install.ts",
    "ringfence/export": "src/export.ts",
  };
  return {
    name: "ringfence",
    setup(build) {
      build.onResolve({ filter: /^ringfence(\/|$)/ }, ({ path }) => {
        if (own[path] !== undefined) return { path: join(sdk, own[path]), sideEffects: path === "ringfence/shims" };
        const text = path === "ringfence/fake" ? "`ringfence/fake` is for tests: the skill itself cannot use it" : `the SDK has no \`${path}\``;
        return { errors: [{ text }] };
      });
      // Without effects, so that an interface of which nothing is used is not imported.
      build.onResolve({ filter: /^(ringfence:|wasi:)/ }, ({ path }) => ({ path, external: true, sideEffects: false }));
      build.onResolve({ filter: BUILTIN }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData?.again) return undefined;
        // Some packages have the name of a module of Node and stand in for it.
        const found = path.startsWith("node:") ? undefined : await build.resolve(path, { resolveDir, kind, importer, pluginData: { again: true } });
        if (found !== undefined && found.errors.length === 0 && !found.external) return found;
        const name = path.replace(/^node:/, "");
        const who = relative(build.initialOptions.absWorkingDir, importer);
        const owner = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(who)?.[1];
        const what = `\`${path}\` is a module of Node, and a skill runs without Node`;
        const advice = owner === undefined ? INSTEAD[name] : `the package \`${owner}\` needs it: choose one that runs in browsers as well, or call the tool of another skill`;
        return { errors: [{ text: advice === undefined ? what : `${what}: ${advice}` }] };
      });
    },
  };
}
