//! When a card comes back: SM-2 (Wozniak 1990), with a step of ten minutes for what was forgotten.

import { s } from "ringfence";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Below this a card would come back so often that nothing else could be learned. */
const LOWEST_EASE = 1.3;
const LONGEST = 365 * DAY;

/** What is remembered of one card. Times are Unix milliseconds. */
export const Memory = s.object({
  /** Right answers in a row. */
  streak: s.integer(),
  /** How fast the interval grows. */
  ease: s.number(),
  interval: s.number(),
  due: s.number(),
  lapses: s.integer(),
});
export type Memory = s.Infer<typeof Memory>;

/** From 0, nothing was known, to 5, all was; from 3 on an answer is right. */
export type Score = 0 | 1 | 2 | 3 | 4 | 5;

export function isRight(score: number): boolean {
  return score >= 3;
}

/** The memory of a card after an answer; `old` is undefined for a card that was never asked. */
export function reviewed(old: Memory | undefined, score: Score, now: number): Memory {
  const { streak, ease, interval, lapses } = old ?? { streak: 0, ease: 2.5, interval: 0, lapses: 0 };
  const miss = 5 - score;
  const next = Math.max(LOWEST_EASE, ease + 0.1 - miss * (0.08 + miss * 0.02));
  if (!isRight(score)) {
    const forgotten = streak > 0 ? 1 : 0;
    return { streak: 0, ease: next, interval: 10 * MINUTE, due: now + 10 * MINUTE, lapses: lapses + forgotten };
  }
  const grown = streak === 0 ? DAY : streak === 1 ? 6 * DAY : Math.max(interval, DAY) * next;
  const wait = Math.min(LONGEST, grown);
  return { streak: streak + 1, ease: next, interval: wait, due: now + wait, lapses };
}

/** `in 6 days`, for people. */
export function inWords(wait: number): string {
  if (wait <= 0) return "now";
  const units: [number, string][] = [[DAY, "day"], [60 * MINUTE, "hour"], [MINUTE, "minute"]];
  for (const [size, name] of units) {
    const count = Math.round(wait / size);
    if (count >= 1) return `in ${count} ${name}${count === 1 ? "" : "s"}`;
  }
  return "in a minute";
}
