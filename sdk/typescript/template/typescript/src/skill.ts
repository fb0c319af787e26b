//! {{description}}

import { Failure, log, model, s, skill, text as texts, tool } from "ringfence";

/** The action items of a text. */
const ActionItems = s.object({
  items: s.array(
    s.object({
      task: s.string().describe("What is to be done."),
      owner: s.string().nullable().describe("Who does it, where the text says so."),
      due: s.string().nullable().describe("Until when, as the text says it."),
    }),
  ),
});

export const actionItems = tool({
  name: "action_items",
  description: "Finds what has to be done in notes, mails or minutes.",
  readOnly: true,
  input: {
    text: s.string().describe("The text to read."),
    owner: s.string().optional().describe("Only what this person has to do."),
  },
  output: ActionItems,
  run({ text, owner }) {
    if (text.trim() === "") throw Failure.invalidInput("`text` is empty", "give the text to read");
    const whose = owner === undefined ? "" : ` of ${owner}`;
    const prompt = `List the action items${whose} in this document.\n\n${texts.document(text)}`;
    const found = model.json(prompt, ActionItems, { system: texts.DOCUMENT_IS_DATA });
    log.info("found action items", { count: found.items.length });
    return found;
  },
});

/** How long a text is. */
const Counts = s.object({
  words: s.integer(),
  lines: s.integer(),
  minutes: s.integer().describe("Minutes that a person needs to read it, at 230 words a minute."),
});

export const count = tool({
  name: "count",
  description: "Counts the words and lines of a text, and says how long it takes to read. Needs no model.",
  readOnly: true,
  idempotent: true,
  input: { text: s.string().describe("The text to count.") },
  output: Counts,
  run({ text }) {
    const words = text.split(/\s+/).filter((word) => word !== "").length;
    const lines = text === "" ? 0 : text.replace(/\n$/, "").split("\n").length;
    return { words, lines, minutes: Math.ceil(words / 230) };
  },
});

export default skill(actionItems, count);
