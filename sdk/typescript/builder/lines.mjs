//! Where the lines of the bundle come from, in a form that a skill can read without knowing about source maps.
//!
//! `lines` has an entry for each line of the bundle, divided by `;`; an entry has `column source line` in base 36 for each stretch, divided by
//! `,`. Only what changes source or line is kept. `names` has what the bundler named otherwise than the author.

import { dirname, isAbsolute, relative, resolve, sep } from "node:path";

const DIGITS = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].map((digit, value) => [digit, value]));

export function table({ code, map }, folder, sdk) {
  const lines = [];
  const names = {};
  const text = code.split("\n");
  let [source, line, name] = [0, 0, 0];
  for (const group of map.mappings.split(";")) {
    const kept = [];
    let column = 0;
    let last = "";
    for (const segment of group.split(",")) {
      const values = numbers(segment);
      if (values.length < 4) continue;
      column += values[0];
      source += values[1];
      line += values[2];
      if (values.length > 4) {
        name += values[4];
        const now = /^[\w$]+/.exec((text[lines.length] ?? "").slice(column))?.[0];
        if (now !== undefined && now !== map.names[name]) names[now] = map.names[name];
      }
      const place = `${source.toString(36)} ${(line + 1).toString(36)}`;
      // The first stretch of a line begins where the line begins, also where it is indented.
      if (place !== last) kept.push(`${(kept.length === 0 ? 0 : column + 1).toString(36)} ${place}`);
      last = place;
    }
    lines.push(kept.join(","));
  }
  return { sources: map.sources.map((name) => shown(resolve(folder, name), folder, sdk)), names, lines: lines.join(";") };
}

/** The author's files relative to the skill; others as `~package/...`. */
function shown(path, folder, sdk) {
  const inPackage = path.split(`${sep}node_modules${sep}`);
  if (inPackage.length > 1) return `~${inPackage.at(-1)}`;
  const inSdk = relative(sdk, path);
  if (!inSdk.startsWith("..") && !isAbsolute(inSdk)) return `~ringfence/${inSdk}`;
  const own = relative(folder, path);
  return own.startsWith("..") ? `~${relative(dirname(folder), path)}` : own.split(sep).join("/");
}

function numbers(segment) {
  const values = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.get(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    values.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return values;
}

/** What the engine says, with the author's places in it. */
export function mapped(text, { sources, lines }) {
  const all = lines.split(";");
  return text.replace(/\([\w.:/-]+?:(\d+):(\d+)\)/g, (whole, line, column) => {
    const stretches = (all[Number(line) - 1] ?? "").split(",").map((stretch) => stretch.split(" ").map((digits) => Number.parseInt(digits, 36)));
    const found = stretches.findLast(([start]) => start <= Number(column)) ?? stretches[0];
    const source = sources[found?.[1]];
    return source === undefined ? whole : `(${source}:${found[2]})`;
  });
}
