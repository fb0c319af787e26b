//! `structuredClone` for plain data, maps, sets, dates, errors and bytes.

export function structuredClone<T>(value: T): T {
  return copy(value, new Map()) as T;
}

function copy(value: unknown, seen: Map<unknown, unknown>): unknown {
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`${typeof value} could not be cloned`);
  if (typeof value !== "object" || value === null) return value;
  if (seen.has(value)) return seen.get(value);
  const keep = <O>(made: O): O => (seen.set(value, made), made);
  if (value instanceof Date) return keep(new Date(value));
  if (value instanceof RegExp) return keep(new RegExp(value));
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (ArrayBuffer.isView(value)) {
    const Kind = value.constructor as new (buffer: ArrayBuffer) => unknown;
    return keep(new Kind(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength) as ArrayBuffer));
  }
  if (value instanceof Map) {
    const made = keep(new Map());
    for (const [key, item] of value) made.set(copy(key, seen), copy(item, seen));
    return made;
  }
  if (value instanceof Set) {
    const made = keep(new Set());
    for (const item of value) made.add(copy(item, seen));
    return made;
  }
  if (value instanceof Error) {
    const made = keep(new Error(value.message));
    made.name = value.name;
    if (value.stack !== undefined) made.stack = value.stack;
    return made;
  }
  const made: any = keep(Array.isArray(value) ? new Array(value.length) : {});
  for (const [key, item] of Object.entries(value)) made[key] = copy(item, seen);
  return made;
}
