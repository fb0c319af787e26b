//! A personal tutor: builds a course from a topic or a document, asks, grades, explains, and brings back what is about to be forgotten.

import { Cancelled, Failure, model, outcome, progress, s, skill, text as texts, tool, user } from "ringfence";
import { added, type Card, type Course } from "./course.js";
import { grade } from "./grade.js";
import { answered, dueCards, mastered, newCards, next, nextDue } from "./learner.js";
import { inWords, isRight } from "./schedule.js";
import * as store from "./store.js";
import { write } from "./write.js";

const LEVELS = { beginner: 1, intermediate: 2.5, advanced: 3.5 };
const courseName = s.string().optional().describe("The course's name, as `courses` lists it. Not needed where there is only one.");
const level = s.enum(["beginner", "intermediate", "advanced"]).default("beginner").describe("What the learner knows already.");
const cardNumber = s.string().describe("The card's number, as `next` gave it.");

const Built = s.object({ course: s.string(), title: s.string(), lessons: s.array(s.string()), cards: s.integer() });

function built(course: Course) {
  const lessons = [...new Set(course.cards.map((card) => card.lesson).filter((lesson) => lesson !== ""))];
  const text = `# ${course.title}\n\n${course.cards.length} cards${lessons.length === 0 ? "" : `:\n${lessons.map((lesson) => `- ${lesson}`).join("\n")}`}\n\nCourse: ${course.id}`;
  return outcome(text).withStructured({ course: course.id, title: course.title, lessons, cards: course.cards.length });
}

export const course = tool({
  name: "course",
  title: "Begin a course",
  description: "Builds a course from a topic, a document, or a topic within a document, and keeps it. The course is then learned by `next` and `answer`, or by `study`.",
  input: {
    topic: s.string({ maxLength: 500 }).optional().describe("What to learn, for example \"the French Revolution\"."),
    text: s.string().optional().describe("The document to learn from: plain text or Markdown."),
    cards: s.integer({ minimum: 1, maximum: 60 }).default(12).describe("How many questions."),
    level,
    language: s.string().optional().describe("The language to ask in, for example \"German\". Without it the document's own."),
  },
  output: Built,
  run({ topic, text, cards, level, language }) {
    if ((topic ?? "").trim() === "" && (text ?? "").trim() === "") {
      throw Failure.invalidInput("neither `topic` nor `text` says what to learn", "give a topic, a document, or both");
    }
    const draft = write({ topic: blank(topic), text: blank(text), level, count: cards, language });
    return built(store.keep(draft.title.trim() || "Course", added([], draft.cards), LEVELS[level], Date.now()));
  },
});

export const extend = tool({
  name: "extend",
  title: "Extend a course",
  description: "Adds questions to a course, at the level that the learner has reached.",
  input: { course: courseName, text: s.string().optional().describe("More to learn from."), cards: s.integer({ minimum: 1, maximum: 60 }).default(6).describe("How many questions.") },
  output: Built,
  run({ course: name, text, cards }) {
    const old = store.course(name);
    const reached = store.learner(old.id).level;
    const level = reached < 2 ? "beginner" : reached < 3.2 ? "intermediate" : "advanced";
    const draft = write({ topic: old.title, text: blank(text), level, count: cards, language: undefined, known: old.cards.map((card) => card.question) });
    return built(store.change(old.id, (now) => ({ ...now, cards: added(now.cards, draft.cards) })));
  },
});

export const courses = tool({
  name: "courses",
  title: "List the courses",
  description: "Lists the courses with how many cards are due, new and mastered.",
  readOnly: true,
  output: s.object({
    courses: s.array(s.object({ course: s.string(), title: s.string(), cards: s.integer(), due: s.integer(), new: s.integer(), mastered: s.integer(), level: s.number(), right: s.number() })),
  }),
  run() {
    const all = store.courses().map((course) => {
      const learner = store.learner(course.id);
      const right = learner.answers === 0 ? 0 : Math.round((learner.right / learner.answers) * 100) / 100;
      const level = Math.round(learner.level * 10) / 10;
      return { course: course.id, title: course.title, cards: course.cards.length, due: dueCards(course, learner, Date.now()).length, new: newCards(course, learner).length, mastered: mastered(course, learner), level, right };
    });
    const lines = all.map((one) => `${one.course}: ${one.due} due, ${one.new} new, ${one.mastered} of ${one.cards} mastered (level ${one.level})`);
    return outcome(lines.join("\n") || "There is no course yet.").withStructured({ courses: all });
  },
});

export const nextCard = tool({
  name: "next",
  title: "Ask the next question",
  description: "Gives the next question of a course: what is about to be forgotten, or else something new that is just within reach. Answer it by `answer`.",
  readOnly: true,
  input: { course: courseName },
  output: s.object({ course: s.string(), card: s.string().nullable(), question: s.string().nullable(), kind: s.enum(["review", "new", "done"]), due: s.integer(), new: s.integer(), wait: s.string().nullable() }),
  run({ course: name }) {
    const course = store.course(name);
    const learner = store.learner(course.id);
    const now = Date.now();
    const found = next(course, learner, now);
    const counts = { due: dueCards(course, learner, now).length, new: newCards(course, learner).length };
    if (found !== undefined) {
      const { card, kind } = found;
      return outcome(`${card.question}\n\n(card ${card.id} of ${course.id}, ${kind})`).withStructured({ course: course.id, card: card.id, question: card.question, kind, ...counts, wait: null });
    }
    const wait = inWords((nextDue(course, learner) ?? now) - now);
    return outcome(`Nothing is due. The next card comes ${wait}.`).withStructured({ course: course.id, card: null, question: null, kind: "done", ...counts, wait });
  },
});

export const answer = tool({
  name: "answer",
  title: "Grade an answer",
  description: "Grades the learner's answer to a card, says what was missing, and decides when the card comes back.",
  input: { course: courseName, card: cardNumber, answer: s.string({ maxLength: 4000 }).describe("The learner's answer; empty where nothing is known.") },
  output: s.object({ right: s.boolean(), score: s.integer(), feedback: s.string(), expected: s.string(), again: s.string(), level: s.number() }),
  run({ course: name, card: number, answer }) {
    const course = store.course(name);
    const card = cardOf(course, number);
    const { score, feedback, again, level } = take(course, card, answer);
    const right = isRight(score);
    const text = `${right ? "Right" : "Not yet"} (${score} of 5). ${feedback}\n\nIt comes back ${again}.`;
    return outcome(text).withStructured({ right, score, feedback, expected: card.answer, again, level: Math.round(level * 10) / 10 });
  },
});

export const explain = tool({
  name: "explain",
  title: "Explain a card",
  description: "Explains the answer to a card at the learner's level, or answers a question about it.",
  readOnly: true,
  input: { course: courseName, card: cardNumber, question: s.string({ maxLength: 2000 }).optional().describe("What is not clear.") },
  run({ course: name, card: number, question }) {
    const course = store.course(name);
    const card = cardOf(course, number);
    const { level } = store.learner(course.id);
    const who = level < 2 ? "a beginner: simple words, one example" : level < 3.2 ? "someone who knows the basics" : "someone advanced: precise, with the reasons";
    const system = `You are a patient teacher. Explain to ${who}. At most 150 words. ${texts.DOCUMENT_IS_DATA}`;
    const material = texts.document(`Course: ${course.title}\nQuestion: ${card.question}\nAnswer: ${card.answer}`);
    const wish = question === undefined ? "Explain why this is the answer, and how to remember it." : `Answer the learner's question about it: ${question}`;
    const said = model.open(`${wish}\n\n${material}`, { system }).emit().text.trim();
    return said === "" ? card.answer : said;
  },
});

export const study = tool({
  name: "study",
  title: "Study at the terminal",
  description: "Holds a lesson with the person at the terminal: asks, grades, explains, until the questions are answered or the person stops.",
  input: { course: courseName, questions: s.integer({ minimum: 1, maximum: 15 }).default(5).describe("How many questions.") },
  output: s.object({ course: s.string(), asked: s.integer(), right: s.integer() }),
  run({ course: name, questions }) {
    const course = store.course(name);
    const lines: string[] = [];
    let [asked, right] = [0, 0];
    let last: string | undefined;
    while (asked < questions) {
      const found = next(course, store.learner(course.id), Date.now(), last);
      if (found === undefined) break;
      const { card } = found;
      let given: string;
      try {
        given = user.ask(shortened(`${asked + 1} of ${questions}. ${card.question}`));
      } catch (error) {
        // An empty answer declines: the lesson ends, and what was learned is kept.
        if (error instanceof Cancelled) break;
        throw error;
      }
      const { score, feedback, again } = take(course, card, given);
      asked += 1;
      if (isRight(score)) right += 1;
      last = card.id;
      const line = `${card.question}\n${isRight(score) ? "Right" : "Not yet"} (${score} of 5). ${feedback} It comes back ${again}.\n\n`;
      progress.emit(line);
      lines.push(line);
    }
    const end = asked === 0 ? "Nothing was asked." : `${right} of ${asked} right.`;
    progress.emit(end);
    return outcome(lines.join("") + end).withStructured({ course: course.id, asked, right });
  },
});

export const forget = tool({
  name: "forget",
  title: "Remove a course",
  description: "Removes a course and all that is remembered of it.",
  destructive: true,
  input: { course: s.string().describe("The course's name, as `courses` lists it.") },
  run({ course: name }) {
    const { id, title } = store.course(name);
    store.forget(id);
    return `"${title}" is forgotten.`;
  },
});

export default skill(course, study, nextCard, answer, explain, courses, extend, forget);

/** Grades an answer and remembers it. */
function take(course: Course, card: Card, given: string) {
  const { score, feedback } = grade(card, given);
  const now = Date.now();
  const learner = store.learned(course.id, (old) => answered(old, card, score, now));
  return { score, feedback, again: inWords((learner.memories[card.id]?.due ?? now) - now), level: learner.level };
}

function cardOf(course: Course, number: string): Card {
  const found = course.cards.find((card) => card.id === number.trim());
  if (found !== undefined) return found;
  throw Failure.invalidInput(`the course \`${course.id}\` has no card \`${number}\``, "give the number that `next` gave");
}

function blank(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === "" ? undefined : text;
}

/** A question to the person has at most 2,000 bytes. */
function shortened(text: string): string {
  return text.length > 480 ? `${text.slice(0, 480)}...` : text;
}
