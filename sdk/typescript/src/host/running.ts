//! Whether a call has begun. Before that the skill is being built: the engine runs what stands outside of functions and takes a snapshot, and
//! there is no host that could be asked.

let running = false;

export function start(): void {
  running = true;
}

export function isRunning(): boolean {
  return running;
}

/** Throws while the skill is being built. */
export function mustRun(what: string): void {
  if (!running) throw new Error(`${what} cannot be used while the skill is being built: move it into a tool`);
}

/** An interface that says so instead of ending the build with a trap. */
export function guarded<T extends object>(name: string, host: T): T {
  const functions = Object.entries(host).filter(([, value]) => typeof value === "function" && value.prototype === undefined);
  const entries = functions.map(([key, act]) => [key, (...args: unknown[]) => (mustRun(`\`${name}.${key}\``), act(...args))]);
  return Object.fromEntries(entries) as T;
}

/** An interface that drops what is said while the skill is being built: packages may greet when they are loaded. */
export function muted<T extends object>(host: T): T {
  const entries = Object.entries(host).map(([key, act]) => [key, (...args: unknown[]) => (running ? act(...args) : undefined)]);
  return Object.fromEntries(entries) as T;
}
