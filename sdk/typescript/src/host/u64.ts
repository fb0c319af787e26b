//! 64-bit integers, as the engine takes them: QuickJS as numbers, SpiderMonkey as `BigInt`. What comes back goes through `Number`.

export function u64(value: number): number {
  return typeof __ringfence_bigint === "undefined" ? value : (BigInt(value) as unknown as number);
}
