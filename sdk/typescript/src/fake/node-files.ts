//! The files of a test: the machine's own, by Node.

import { FileError } from "../file-error.js";
import type { FileKind, Files } from "../host/wit.js";

/** As much of `node:fs` as is used. Asked for at run time, so that a project needs no types of Node for the SDK's sake. */
interface NodeFs {
  readFileSync(path: string): Uint8Array;
  writeFileSync(path: string, data: Uint8Array, options: { flag: string }): void;
  readdirSync(path: string, options: { withFileTypes: true }): ({ name: string } & Kinds)[];
  statSync(path: string): Kinds & { size: number; mtime: Date };
  mkdirSync(path: string): void;
  unlinkSync(path: string): void;
  rmdirSync(path: string): void;
  renameSync(from: string, to: string): void;
}
interface Kinds {
  isFile(): boolean;
  isDirectory(): boolean;
}

const CODES: Record<string, string> = {
  ENOENT: "no-entry",
  EACCES: "access",
  EPERM: "not-permitted",
  EEXIST: "exist",
  EISDIR: "is-directory",
  ENOTDIR: "not-directory",
  ENOTEMPTY: "not-empty",
  EROFS: "read-only",
  ENOSPC: "insufficient-space",
};

/** Files whose paths lead through `place`, which puts the test's folders in the place of those that an operator grants. */
export function files(place: (path: string) => string): Files {
  const act = <T>(what: string, path: string, run: (fs: NodeFs, path: string) => T): T => {
    try {
      return run(node(), place(path));
    } catch (error) {
      const code = CODES[(error as { code?: string }).code ?? ""];
      throw code === undefined ? error : new FileError(what, path, code);
    }
  };
  return {
    read: (path) => act("read", path, (fs, real) => new Uint8Array(fs.readFileSync(real))),
    write: (path, data, how) => act("write", path, (fs, real) => fs.writeFileSync(real, data, { flag: { replace: "w", append: "a", new: "wx" }[how] })),
    list: (path) => act("read", path, (fs, real) => fs.readdirSync(real, { withFileTypes: true }).map((entry) => ({ name: entry.name, kind: kind(entry) }))),
    stat: (path) =>
      act("stat", path, (fs, real) => {
        const stat = fs.statSync(real);
        return { kind: kind(stat), size: stat.size, modified: stat.mtime };
      }),
    makeFolder: (path) => act("make the folder", path, (fs, real) => fs.mkdirSync(real)),
    remove: (path) => act("remove", path, (fs, real) => fs.unlinkSync(real)),
    removeFolder: (path) => act("remove the folder", path, (fs, real) => fs.rmdirSync(real)),
    rename: (from, to) => act("rename", from, (fs, real) => fs.renameSync(real, place(to))),
  };
}

function node(): NodeFs {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  const fs = process?.getBuiltinModule?.("node:fs");
  if (fs === undefined) throw new Error("files of tests need Node 20.16 or later");
  return fs as NodeFs;
}

function kind(entry: Kinds): FileKind {
  return entry.isFile() ? "file" : entry.isDirectory() ? "folder" : "other";
}
