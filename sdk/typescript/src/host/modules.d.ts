// What the engine offers to import. The types are in `wit.ts`.
declare module "ringfence:skill/config@0.1.0" { const config: import("./wit.js").Config; export default config; }
declare module "ringfence:skill/http@0.1.0" { const http: import("./wit.js").Http; export default http; }
declare module "ringfence:skill/kv@0.1.0" { const kv: import("./wit.js").Kv; export default kv; }
declare module "ringfence:skill/log@0.1.0" { const log: import("./wit.js").Log; export default log; }
declare module "ringfence:skill/model@0.1.0" { const model: import("./wit.js").Model; export default model; }
declare module "ringfence:skill/progress@0.1.0" { const progress: import("./wit.js").Progress; export default progress; }
declare module "ringfence:skill/secrets@0.1.0" { const secrets: import("./wit.js").Secrets; export default secrets; }
declare module "ringfence:skill/tools@0.1.0" { const tools: import("./wit.js").Tools; export default tools; }
declare module "ringfence:skill/user@0.1.0" { const user: import("./wit.js").User; export default user; }
declare module "wasi:random/random@0.2.12" {
  const random: { getRandomBytes(length: number): Uint8Array };
  export default random;
}
declare module "wasi:clocks/monotonic-clock@0.2.12" {
  const clock: { subscribeDuration(nanoseconds: number): { block(): void; [Symbol.dispose]?(): void } };
  export default clock;
}
declare module "wasi:filesystem/preopens@0.2.12" {
  const preopens: { getDirectories(): [import("./wasi-files.js").Descriptor, string][] };
  export default preopens;
}
// The source that a build writes: where the lines of the bundle come from.
declare const __ringfence_lines: { sources: string[]; names: Record<string, string>; lines: string } | undefined;
