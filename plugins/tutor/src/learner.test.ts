import { expect, test } from "vitest";
import { added, type Course, type Draft, MOST_CARDS, slug } from "./course.js";
import { clozes } from "./cloze.js";
import { alike } from "./grade.js";
import { answered, beginner, dueCards, mastered, newCards, next, nextDue } from "./learner.js";

const draft = (question: string, difficulty = 1): Draft["cards"][number] => ({ lesson: "l", question, answer: "a", difficulty });
const course: Course = { id: "c", title: "C", created: 0, cards: added([], [draft("Easy?", 1), draft("Middling?", 3), draft("Hard?", 5)]) };
const [easy, middling, hard] = course.cards as [Course["cards"][number], Course["cards"][number], Course["cards"][number]];

test("new questions are just within reach", () => {
  expect(next(course, beginner(0.5), 0)).toEqual({ card: easy, kind: "new" });
  expect(next(course, beginner(2.5), 0)?.card).toBe(middling);
  expect(next(course, beginner(5), 0)?.card).toBe(hard);
});

test("the level follows the answers, more where they surprise", () => {
  const start = beginner(2);
  const up = (difficulty: number, score: 0 | 5) => answered(start, { ...easy, difficulty }, score, 0).level - start.level;
  expect(up(5, 5)).toBeGreaterThan(up(1, 5));
  expect(up(1, 0)).toBeLessThan(up(5, 0));
  let learner = start;
  for (let n = 0; n < 300; n += 1) learner = answered(learner, hard, 5, 0);
  expect(learner.level).toBeLessThanOrEqual(5.5);
  expect(learner).toMatchObject({ answers: 300, right: 300 });
});

test("what is due comes before what is new, the longest due first, and not twice in a row", () => {
  let learner = answered(beginner(), easy, 1, 0);
  learner = answered(learner, middling, 1, 5_000);
  expect(next(course, learner, 1_000)?.card).toBe(hard);
  expect(next(course, learner, 700_000)).toEqual({ card: easy, kind: "review" });
  expect(next(course, learner, 700_000, easy.id)?.card).toBe(middling);
  expect(dueCards(course, learner, 602_000)).toEqual([easy]);
  expect(newCards(course, learner)).toEqual([hard]);
  expect(nextDue(course, learner)).toBe(600_000);
});

test("a course ends and masters", () => {
  let learner = beginner();
  for (const card of course.cards) for (let n = 0; n < 4; n += 1) learner = answered(learner, card, 5, 0);
  expect(next(course, learner, 1)).toBeUndefined();
  expect(mastered(course, learner)).toBe(3);
});

test("cards are added once, keep their numbers, and have an end", () => {
  const more = added(course.cards, [draft("easy"), draft(" "), draft("New?"), { ...draft("No answer?"), answer: " " }]);
  expect(more.map((card) => card.id)).toEqual(["1", "2", "3", "4"]);
  expect(added([], Array.from({ length: 500 }, (_, n) => draft(`Question ${n}?`)))).toHaveLength(MOST_CARDS);
});

test("names are plain", () => {
  expect([slug("On Bees & Honey"), slug("Größe"), slug("世界"), slug("x".repeat(99))]).toEqual(["on-bees-honey", "grosse", "course", "x".repeat(40)]);
});

test("gaps are torn into sentences", () => {
  const cards = clozes("# Bees\n\nA worker bee lives about six weeks in summer. It is so.\n\n## Honey\n\nHoneybees store honey for the winter!\n\n```\ncode is not asked about at all\n```\n", 5);
  expect(cards.map((card) => card.lesson)).toEqual(["Bees", "Honey"]);
  for (const card of cards) {
    expect(card.question).toContain("_____");
    expect(card.question).not.toMatch(new RegExp(`\\b${card.answer}\\b`));
  }
  expect(clozes("# Bees\nThe queen lays about two\nthousand eggs a day.\n- A list stays apart from all\n", 5).map((card) => card.question)).toEqual([
    "Which word is missing? The queen lays about two _____ eggs a day.",
    "Which word is missing? - A list _____ apart from all",
  ]);
  expect(clozes("", 5)).toEqual([]);
  expect(clozes("Nothing here (regular [expressions] matter) really.", 5)).toHaveLength(1);
});

test("words are compared", () => {
  expect(alike("Six weeks", "six WEEKS!")).toBe(1);
  expect(alike("six weeks", "six")).toBe(0.5);
  expect(alike("", "x")).toBe(0);
  // Words too many count, and those of the question do not.
  const question = "How long does a worker bee live in summer?";
  expect(alike("Six weeks", "Not six weeks, but about ten years", question)).toBeLessThan(0.5);
  expect(alike("Six weeks", "In summer a worker bee does live six weeks", question)).toBe(1);
  expect(alike("Six weeks", "six weeks, I think", question)).toBe(0.5);
});
