//! What the caller may be shown while the tool works. Never fails; faces that cannot show it drop it.

import { progress as host } from "#host";

/** Says how much is done, out of `total` where that is known, in a unit of the tool's choice. */
export function report(done: number, total?: number, message?: string): void {
  host.report(whole(done), total === undefined ? null : whole(total), message ?? null);
}

/** Says what is going on where no amount is known. */
export function say(message: string): void {
  report(0, undefined, message);
}

/** Gives a part of the answer that is ready now. The outcome must hold the whole text again. At most 4 MiB per invocation. */
export function emit(text: string): void {
  if (text !== "") host.emit(text);
}

/** Counts steps of a known number and reports each: `const step = progress.steps(3, "reading"); step("one");` */
export function steps(total: number, message: string): (message: string) => void {
  let done = 0;
  report(0, total, message);
  return (now) => {
    done = Math.min(done + 1, total);
    report(done, total, now);
  };
}

function whole(value: number): number {
  return Math.max(0, Math.floor(value)) || 0;
}
