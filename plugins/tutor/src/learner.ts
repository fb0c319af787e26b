//! A learner: what is known of one course, and what comes next.

import { s } from "ringfence";
import type { Card, Course } from "./course.js";
import { isRight, Memory, reviewed, type Score } from "./schedule.js";

export const Learner = s.object({
  /** The difficulty at which half of the answers would be right. */
  level: s.number(),
  answers: s.integer(),
  right: s.integer(),
  /** By card. */
  memories: s.record(Memory),
});
export type Learner = s.Infer<typeof Learner>;

export function beginner(level = 1): Learner {
  return { level, answers: 0, right: 0, memories: {} };
}

/** The learner after an answer. */
export function answered(old: Learner, card: Card, score: Score, now: number): Learner {
  // As Elo rates players: who beats a hard question rises more than who beats an easy one.
  const expected = 1 / (1 + Math.exp(card.difficulty - old.level));
  const level = Math.min(5.5, Math.max(0.5, old.level + 0.5 * (score / 5 - expected)));
  const memories = { ...old.memories, [card.id]: reviewed(old.memories[card.id], score, now) };
  return { level, answers: old.answers + 1, right: old.right + (isRight(score) ? 1 : 0), memories };
}

export interface Next {
  card: Card;
  kind: "review" | "new";
}

/** What is due longest; or else the new card that is just within reach. `skip` is what was asked a moment ago. */
export function next(course: Course, learner: Learner, now: number, skip?: string): Next | undefined {
  const due = dueCards(course, learner, now).filter((card) => card.id !== skip);
  if (due[0] !== undefined) return { card: due[0], kind: "review" };
  const reach = learner.level + 0.5;
  const fresh = newCards(course, learner).sort((one, other) => Math.abs(one.difficulty - reach) - Math.abs(other.difficulty - reach));
  return fresh[0] === undefined ? undefined : { card: fresh[0], kind: "new" };
}

export function dueCards(course: Course, { memories }: Learner, now: number): Card[] {
  const when = (card: Card): number => memories[card.id]?.due ?? Number.POSITIVE_INFINITY;
  return course.cards.filter((card) => when(card) <= now).sort((one, other) => when(one) - when(other));
}

export function newCards(course: Course, { memories }: Learner): Card[] {
  return course.cards.filter((card) => !Object.hasOwn(memories, card.id));
}

/** When the next card falls due; undefined where none will. */
export function nextDue(course: Course, { memories }: Learner): number | undefined {
  const times = course.cards.flatMap((card) => memories[card.id]?.due ?? []);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Cards that would still be known in three weeks. */
export function mastered(course: Course, { memories }: Learner): number {
  return course.cards.filter((card) => (memories[card.id]?.interval ?? 0) >= 21 * 24 * 3_600_000).length;
}
