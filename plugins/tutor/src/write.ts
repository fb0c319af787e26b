//! Writing the cards of a course.

import { Failure, Invalid, log, model, progress, text as texts, config, s, Unavailable } from "ringfence";
import { clozes } from "./cloze.js";
import { Draft, plain } from "./course.js";

export type Level = "beginner" | "intermediate" | "advanced";

/** What a course is made of. */
export interface Material {
  topic: string | undefined;
  text: string | undefined;
  level: Level;
  count: number;
  language: string | undefined;
  /** Questions that are there already. */
  known?: string[];
}

const SYSTEM = "You are an experienced teacher who writes questions for spaced repetition: each asks for one thing, is clear by itself, and has one right answer.";

/** A draft with about as many cards as asked for. */
export function write(material: Material): Draft {
  const draft = material.text === undefined ? ofTopic(material) : ofText(material, material.text);
  if (draft.cards.length > 0) return draft;
  throw Failure.unavailable("the model wrote no questions that can be used", "try another model, or give a document: `--file notes.md`");
}

function ofTopic(material: Material): Draft {
  const prompt = `Write ${material.count} questions that teach this topic from the ground up: ${material.topic}\n${wishes(material)}`;
  const draft = tried(() => model.json(prompt, Draft, { system: SYSTEM })) ?? { title: material.topic ?? "", cards: [] };
  return { ...draft, cards: usable(draft.cards) };
}

function ofText(material: Material, text: string): Draft {
  const parts = texts.split(text, config.get("part_tokens", s.integer()) ?? 3000);
  // Long documents give more than was asked for in the end; then each part keeps its share.
  const share = Math.max(1, Math.ceil(material.count / Math.max(1, parts.length)));
  const prompts = parts.slice(0, material.count).map(({ text, section }) => {
    const where = section.length === 0 ? "" : ` It stands under: ${section.join(" > ")}.`;
    const about = material.topic === undefined ? "" : ` Ask only about: ${material.topic}.`;
    return `Write ${share} questions about what this document teaches.${about}${where}\n${wishes(material)}\n\n${texts.document(text)}`;
  });
  const step = progress.steps(prompts.length, "reading");
  const drafts: Draft[] = [];
  for (const result of model.settled(prompts, { system: `${SYSTEM}\n${texts.DOCUMENT_IS_DATA}`, schema: Draft, inFlight: 4 })) {
    const draft = tried(() => {
      if (result.status === "rejected") throw result.reason;
      return result.value.json(Draft);
    });
    if (draft !== undefined) drafts.push({ ...draft, cards: usable(draft.cards, text).slice(0, share) });
    step(`${drafts.flatMap((one) => one.cards).length} questions`);
  }
  const cards = drafts.flatMap((draft) => draft.cards).slice(0, material.count);
  const title = material.topic ?? /^#\s+(.*?)\s*#*$/m.exec(text)?.[1] ?? drafts[0]?.title ?? "";
  if (cards.length > 0) return { title, cards };
  log.warn("the model wrote no questions that can be used: words of the text are left out instead");
  return { title, cards: clozes(text, material.count) };
}

/** The cards that ask something. Each stands for itself: one that is spoilt takes no other with it. */
function usable(cards: Draft["cards"], text = ""): Draft["cards"] {
  const document = plain(text);
  const kept = cards.filter(({ question, answer }) => {
    const asked = plain(question);
    if (asked === "" || answer.trim() === "" || asked === plain(answer)) return false;
    // Not every task has a question mark ("Explain why ..."). But a sentence of the document without one is a quote, and asks nothing.
    return /[?\uff1f\u061f\u037e\u055e\u2e2e]/u.test(question) || !document.includes(asked);
  });
  if (kept.length < cards.length) log.warn("cards are left out that ask nothing", { cards: cards.length - kept.length });
  return kept;
}

function wishes({ level, language, known = [] }: Material): string {
  const lines = [`The learner is ${level === "beginner" ? "a beginner" : level}; mix the difficulties around that.`];
  if (language !== undefined) lines.push(`Write in ${language}.`);
  if (known.length > 0) lines.push(`These are asked already; ask other things, and harder ones:\n${known.slice(-40).map((question) => `- ${question}`).join("\n")}`);
  return lines.join("\n");
}

/** What a weak model spoils or an ailing one withholds is undefined; that the skill may not ask at all is for the caller to know. */
export function tried<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Invalid) && !(error instanceof Unavailable)) throw error;
    log.warn("a model's answer cannot be used", { why: error.message });
    return undefined;
  }
}
