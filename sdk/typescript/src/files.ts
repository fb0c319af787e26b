//! Files in the folders that the skill requests and the operator grants: the folder `docs` of the manifest is `/docs`.
//!
//! JavaScript has no file functions of its own, so they are here. A path that leads out of its folder, and a change in a folder that may
//! only be read, throw a `FileError`.

import { files } from "#host";
import { FileError } from "./file-error.js";
import type { FileKind } from "./host/wit.js";

export { FileError } from "./file-error.js";

/** A name in a folder. */
export interface FileEntry {
  name: string;
  kind: FileKind;
}

/** What is known of a file without reading it. */
export interface FileInfo {
  kind: FileKind;
  /** In bytes. */
  size: number;
  modified: Date | undefined;
}

/** The bytes of a file. */
export function read(path: string): Uint8Array {
  return files.read(path);
}

/** The text of a file. What is no UTF-8 becomes the replacement character. */
export function readText(path: string): string {
  return new TextDecoder().decode(files.read(path));
}

/** Writes a file, in place of an older one. */
export function write(path: string, data: string | Uint8Array): void {
  files.write(path, bytes(data), "replace");
}

/** Writes to the end of a file, and makes it where it is missing. */
export function append(path: string, data: string | Uint8Array): void {
  files.write(path, bytes(data), "append");
}

/** Writes a file that must not be there yet. */
export function writeNew(path: string, data: string | Uint8Array): void {
  files.write(path, bytes(data), "new");
}

/** The entries of a folder by name; of `/`, the folders that are granted. */
export function list(path: string): FileEntry[] {
  return files.list(path).sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0));
}

/** What is known of a file or folder; links are followed. */
export function stat(path: string): FileInfo {
  return files.stat(path);
}

/** Whether something is there. */
export function exists(path: string): boolean {
  try {
    files.stat(path);
    return true;
  } catch (error) {
    if (error instanceof FileError && error.code === "no-entry") return false;
    throw error;
  }
}

/** Makes a folder. The one above it must be there. */
export function makeFolder(path: string): void {
  files.makeFolder(path);
}

/** Removes a file. */
export function remove(path: string): void {
  files.remove(path);
}

/** Removes an empty folder. */
export function removeFolder(path: string): void {
  files.removeFolder(path);
}

/** Moves a file within one granted folder, in place of an older one. */
export function rename(from: string, to: string): void {
  files.rename(from, to);
}

function bytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}
