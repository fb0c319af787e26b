// What the engine offers to import. What it looks like is in `wit.ts`, and in the modules here that use it.
declare module "ringfence:skill/*";
declare module "wasi:random/*";
declare module "wasi:clocks/*";
declare module "wasi:filesystem/*";

// What the build writes into the bundle: where its lines come from, and that the engine wants 64-bit integers as `BigInt`.
declare const __ringfence_lines: { sources: string[]; names: Record<string, string>; lines: string } | undefined;
declare const __ringfence_bigint: true | undefined;
