//! Why a file could not be read or changed.

const WORDS: Record<string, string> = {
  "no-entry": "no such file or folder",
  "not-permitted": "operation not permitted",
  access: "permission denied",
  "read-only": "operation not permitted: the folder may only be read",
  exist: "it is there already",
  quota: "quota exceeded",
  "insufficient-space": "no space left",
  "is-directory": "it is a folder",
  "not-directory": "it is no folder",
  "not-empty": "the folder is not empty",
  "name-too-long": "the name is too long",
};

/** Why a file could not be read or changed. `code` is WASI's word for it, such as `no-entry` or `not-permitted`. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly path: string;
  readonly code: string;

  constructor(what: string, path: string, code: string, why?: string) {
    super(`cannot ${what} \`${path}\`: ${why ?? WORDS[code] ?? code}`);
    this.path = path;
    this.code = code;
  }
}

/** A path without `.`, `..` and doubled slashes; what leads above the root stays there. */
export function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}
