//! Questions without a model: sentences of the text with a word left out. Poor ones, but true: for when the model writes none that can be used.

import type { Draft } from "./course.js";

const COMMON = new Set("about after also because been before being between could every first from have into itself many more most only other over said same should some such than that their them then there these they this those through under very were what when where which while will with would your".split(" "));

export function clozes(text: string, count: number): Draft["cards"] {
  const often = new Map<string, number>();
  for (const word of words(text)) often.set(word.toLowerCase(), (often.get(word.toLowerCase()) ?? 0) + 1);
  const found: (Draft["cards"][number] & { weight: number })[] = [];
  let lesson = "";
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1.*$/gm, "");
  // Paragraphs are often broken into lines; headings and lists stay apart.
  for (const line of prose.replace(/(?<=\S)[ \t]*\r?\n(?!\s*\n|\s*#|\s*[-*+>|]\s|\s*\d+[.)]\s)(?<!^#.*\n)/gm, " ").split(/\n+/)) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line);
    if (heading !== null) {
      lesson = heading[1] ?? "";
      continue;
    }
    for (const sentence of line.split(/(?<=[.!?])\s+/)) {
      const all = words(sentence);
      if (all.length < 4 || sentence.length > 300) continue;
      // The word that tells most: what the text speaks of often, and long words before short ones.
      const weigh = (word: string): number => Math.min(4, often.get(word.toLowerCase()) ?? 0) * 2 + word.length;
      const [key] = all.filter((word) => word.length > 3 && !COMMON.has(word.toLowerCase())).sort((one, other) => weigh(other) - weigh(one));
      if (key === undefined) continue;
      const gap = sentence.trim().replace(new RegExp(`(?<!\\p{L})${key}(?!\\p{L})`, "u"), "_____");
      found.push({ lesson, question: `Which word is missing? ${gap}`, answer: key, difficulty: 1, weight: weigh(key) });
    }
  }
  const best = [...found].sort((one, other) => other.weight - one.weight).slice(0, count);
  // In the order of the text, so that a lesson follows it.
  return found.filter((card) => best.includes(card)).map(({ weight: _, ...card }) => card);
}

function words(text: string): string[] {
  return text.match(/\p{L}[\p{L}\p{N}'-]*\p{L}|\p{L}/gu) ?? [];
}
