//! Files in the folders that the operator granted, which WASI calls preopens.

import preopens from "wasi:filesystem/preopens@0.2.12";
import { FileError, normal } from "../file-error.js";
import { mustRun } from "./running.js";
import type { FileKind, Files } from "./wit.js";

type Flags<Name extends string> = Record<Name, boolean>;
interface Stat {
  type: string;
  size: number;
  dataModificationTimestamp: { seconds: number; nanoseconds: number } | null;
}

export interface Descriptor {
  read(length: number, offset: number): [Uint8Array, boolean];
  write(buffer: Uint8Array, offset: number): number;
  readDirectory(): { readDirectoryEntry(): { type: string; name: string } | null; [Symbol.dispose]?(): void };
  createDirectoryAt(path: string): void;
  statAt(follow: Flags<"symlinkFollow">, path: string): Stat;
  openAt(
    follow: Flags<"symlinkFollow">,
    path: string,
    open: Flags<"create" | "directory" | "exclusive" | "truncate">,
    flags: Flags<"read" | "write" | "fileIntegritySync" | "dataIntegritySync" | "requestedWriteSync" | "mutateDirectory">,
  ): Descriptor;
  removeDirectoryAt(path: string): void;
  renameAt(from: string, folder: Descriptor, to: string): void;
  unlinkFileAt(path: string): void;
  [Symbol.dispose]?(): void;
}

const FOLLOW = { symlinkFollow: true };
const CHUNK = 256 * 1024;

export const wasiFiles: Files = {
  read(path) {
    return opened(path, { read: true }, {}, (file) => {
      const pieces: Uint8Array[] = [];
      let size = 0;
      for (;;) {
        const [piece, end] = file.read(CHUNK, size);
        if (piece.length > 0) pieces.push(piece);
        size += piece.length;
        if (end || piece.length === 0) return join(pieces, size);
      }
    });
  },
  write(path, data, how) {
    const open = { create: true, truncate: how === "replace", exclusive: how === "new" };
    const start = how === "append" && exists(path) ? wasiFiles.stat(path).size : 0;
    opened(path, { write: true }, open, (file) => {
      for (let at = 0; at < data.length; ) {
        const written = file.write(data.subarray(at, at + CHUNK), start + at);
        // A disk that takes nothing and says nothing would keep us here for ever.
        if (written === 0) throw "io";
        at += written;
      }
    });
  },
  list(path) {
    if (normal(path) === "/") return folders().map(([, name]) => ({ name: name.replace(/^\/+/, ""), kind: "folder" }));
    return opened(path, { read: true }, { directory: true }, (folder) => {
      const stream = folder.readDirectory();
      const entries: { name: string; kind: FileKind }[] = [];
      for (let entry = stream.readDirectoryEntry(); entry !== null; entry = stream.readDirectoryEntry()) {
        if (entry.name !== "." && entry.name !== "..") entries.push({ name: entry.name, kind: kind(entry.type) });
      }
      stream[Symbol.dispose]?.();
      return entries;
    });
  },
  stat(path) {
    return act("stat", path, (folder, rest) => {
      const stat = folder.statAt(FOLLOW, rest);
      const at = stat.dataModificationTimestamp;
      const modified = at === null || at === undefined ? undefined : new Date(Number(at.seconds) * 1000 + at.nanoseconds / 1e6);
      return { kind: kind(stat.type), size: Number(stat.size), modified };
    });
  },
  makeFolder: (path) => act("make the folder", path, (folder, rest) => folder.createDirectoryAt(rest)),
  remove: (path) => act("remove", path, (folder, rest) => folder.unlinkFileAt(rest)),
  removeFolder: (path) => act("remove the folder", path, (folder, rest) => folder.removeDirectoryAt(rest)),
  rename(from, to) {
    const target = place(to);
    act("rename", from, (folder, rest) => folder.renameAt(rest, target.folder, target.rest));
  },
};

function exists(path: string): boolean {
  try {
    wasiFiles.stat(path);
    return true;
  } catch (error) {
    if (error instanceof FileError && error.code === "no-entry") return false;
    throw error;
  }
}

function folders(): [Descriptor, string][] {
  mustRun("`files`");
  return preopens.getDirectories();
}

/** The granted folder that a path lies in, and the path below it. */
function place(path: string): { folder: Descriptor; rest: string } {
  const whole = normal(path);
  for (const [folder, name] of folders()) {
    const root = normal(name);
    if (whole === root) return { folder, rest: "." };
    if (whole.startsWith(`${root}/`)) return { folder, rest: whole.slice(root.length + 1) };
  }
  throw new FileError("open", path, "no-entry", "no folder of that name is granted to the skill");
}

function act<T>(what: string, path: string, run: (folder: Descriptor, rest: string) => T): T {
  const { folder, rest } = place(path);
  try {
    return run(folder, rest);
  } catch (error) {
    const code = (error as { payload?: unknown }).payload ?? error;
    throw typeof code === "string" ? new FileError(what, path, code) : error;
  }
}

function opened<T>(
  path: string,
  flags: { read?: true; write?: true },
  open: { create?: boolean; truncate?: boolean; exclusive?: boolean; directory?: true },
  use: (file: Descriptor) => T,
): T {
  return act(flags.write ? "write" : "read", path, (folder, rest) => {
    const all = { create: false, directory: false, exclusive: false, truncate: false, ...open };
    const file = folder.openAt(FOLLOW, rest, all, {
      read: flags.read ?? false,
      write: flags.write ?? false,
      fileIntegritySync: false,
      dataIntegritySync: false,
      requestedWriteSync: false,
      mutateDirectory: false,
    });
    try {
      return use(file);
    } finally {
      file[Symbol.dispose]?.();
    }
  });
}

function kind(type: string): FileKind {
  return type === "regular-file" ? "file" : type === "directory" ? "folder" : "other";
}

function join(pieces: Uint8Array[], size: number): Uint8Array {
  if (pieces.length === 1 && pieces[0]) return pieces[0];
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
