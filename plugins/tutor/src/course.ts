//! A course: what can be asked.

import { s } from "ringfence";

/** How hard a question is, from 1 (recall a word) to 5 (apply it to something new). */
export const Difficulty = s.integer({ minimum: 1, maximum: 5 });

export const Card = s.object({
  /** Unique in the course, and never used again. */
  id: s.string(),
  lesson: s.string(),
  question: s.string(),
  answer: s.string(),
  difficulty: Difficulty,
});
export type Card = s.Infer<typeof Card>;

export const Course = s.object({
  id: s.string(),
  title: s.string(),
  created: s.number(),
  cards: s.array(Card),
});
export type Course = s.Infer<typeof Course>;

/** What a model is asked for. */
export const Draft = s.object({
  title: s.string().describe("A title of a few words."),
  cards: s.array(
    s.object({
      lesson: s.string().describe("The part of the subject that it belongs to, in a few words."),
      question: s.string().describe("One question with one right answer, to be understood without the document."),
      answer: s.string().describe("The right answer, in one or two sentences."),
      difficulty: Difficulty.describe("1: recall a fact, 2: understand it, 3: explain it, 4: compare or combine, 5: apply it to something new."),
    }),
  ),
});
export type Draft = s.Infer<typeof Draft>;

/** At most so many cards: a course is one value of the store, and a learner has one life. */
export const MOST_CARDS = 200;

/** The cards of drafts that ask something, none twice, beside those that are there. */
export function added(cards: readonly Card[], drafts: readonly Draft["cards"][number][]): Card[] {
  const all = [...cards];
  const asked = new Set(all.map((card) => plain(card.question)));
  let last = all.reduce((highest, card) => Math.max(highest, Number(card.id)), 0);
  for (const { lesson, question, answer, difficulty } of drafts) {
    const key = plain(question);
    if (key === "" || answer.trim() === "" || asked.has(key) || all.length >= MOST_CARDS) continue;
    asked.add(key);
    last += 1;
    all.push({ id: String(last), lesson: lesson.trim(), question: question.trim(), answer: answer.trim(), difficulty });
  }
  return all;
}

/** A text by its letters and digits: two questions that differ in nothing else are one. */
export function plain(question: string): string {
  return question.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}

/** A name for keys and command lines: `on-bees`. */
export function slug(title: string): string {
  const words = title.normalize("NFKD").toLowerCase().replaceAll("ß", "ss").replace(/\p{M}+/gu, "").match(/[a-z0-9]+/g) ?? [];
  return words.join("-").slice(0, 40).replace(/-+$/, "") || "course";
}
