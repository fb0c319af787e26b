//! Where in the author's files an error was thrown.
//!
//! A component holds one bundle. The build writes a table of its lines beside it, and positions are looked up there when an error is
//! reported, never before. Under Node the test runner has mapped them already.

/** A place in the stack of an error. */
export interface Frame {
  /** The function's name; empty at the top of a module. */
  name: string;
  /** Relative to the skill's folder; `~name/...` for files of packages. */
  file: string;
  line: number;
}

/** The innermost place that lies in the author's own files, or else in a package, or else anywhere. */
export function place(error: unknown): Frame | undefined {
  const all = frames(error);
  return all.find(({ file }) => !file.startsWith("~")) ?? all.find(({ file }) => !file.startsWith("~ringfence/")) ?? all[0];
}

/** The whole stack, mapped, one place a line; empty where there is none. */
export function trace(error: unknown): string {
  const lines = frames(error).map(({ name, file, line }) => (name === "" ? `    at ${file}:${line}` : `    at ${name} (${file}:${line})`));
  return lines.join("\n");
}

/** QuickJS and V8 write the same form: `    at name (file:line:column)`. */
const FRAME = /^\s*at (?:async )?(?:(.*?) \()?(.+?):(\d+):(\d+)\)?$/;

function frames(error: unknown): Frame[] {
  const stack = error instanceof Error && typeof error.stack === "string" ? error.stack : "";
  const found: Frame[] = [];
  for (const text of stack.split("\n")) {
    const match = FRAME.exec(text);
    if (match === null) continue;
    const [, name = "", file = "", line = "0", column = "0"] = match;
    const place = lookUp(file, Number(line), Number(column));
    // The helpers that stand for `async` functions lie outside of any source.
    if (place !== undefined) found.push({ name: plain(name), ...place });
  }
  return found;
}

/** Names as the author wrote them: the bundler gives another to what is named twice. */
function plain(name: string): string {
  const short = name.replace(/^(?:Object|Module)\./, "");
  const names = typeof __ringfence_lines === "undefined" ? {} : __ringfence_lines.names;
  return short.startsWith("<") ? "" : ((Object.hasOwn(names, short) ? names[short] : undefined) ?? short);
}

function lookUp(file: string, line: number, column: number): { file: string; line: number } | undefined {
  if (typeof __ringfence_lines === "undefined") return { file: shortened(file), line };
  const segments = __ringfence_lines.lines.split(";")[line - 1]?.split(",") ?? [];
  let best: string[] | undefined;
  for (const segment of segments) {
    const parts = segment.split(" ");
    if (best !== undefined && Number.parseInt(parts[0] ?? "", 36) >= column) break;
    best = parts;
  }
  const source = __ringfence_lines.sources[Number.parseInt(best?.[1] ?? "", 36)];
  return source === undefined ? undefined : { file: source, line: Number.parseInt(best?.[2] ?? "", 36) };
}

/** What a test shows: the path from the folder of the project where that is known. */
function shortened(file: string): string {
  const path = file.replace(/^file:\/\//, "");
  const here = (globalThis as { process?: { cwd?(): string } }).process?.cwd?.() ?? "";
  if (here !== "" && path.startsWith(`${here}/`) && !path.includes("/node_modules/")) return path.slice(here.length + 1);
  return path.startsWith("/") ? `~${path}` : path;
}
