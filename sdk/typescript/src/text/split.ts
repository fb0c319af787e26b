//! Splitting at the largest structure that fits: headings and paragraphs, then lines, sentences, words.

import { estimateTokens } from "./tokens.js";

/** A stretch of a text. */
export interface TextPart {
  /** The text, without blank ends; a piece of a long code block has its fences again. */
  text: string;
  /** The headings above its beginning, outermost first. */
  section: string[];
}

interface Block {
  text: string;
  size: number;
  heading?: { level: number; title: string };
  fence?: string;
}

/**
 * Splits a text or Markdown into parts of at most `tokens` (by estimate) that follow each other.
 *
 * A part ends at a heading where one is near, otherwise between paragraphs; a paragraph is divided only where it alone is too large. Code
 * between fences is divided only where it alone is too large, between lines, and each piece is fenced. A blank text has no parts.
 */
export function split(text: string, tokens: number): TextPart[] {
  const limit = Math.max(1, Math.floor(tokens));
  const total = estimateTokens(text);
  if (total <= limit) return text.trim() === "" ? [] : [{ text: trimmed(text), section: [] }];
  // Parts of about one size: the last one would otherwise often be a crumb.
  const even = Math.ceil(total / Math.ceil(total / limit));
  const packer = new Packer(Math.min(limit, even + Math.floor(even / 8)));
  for (const block of blocks(text)) {
    if (block.size <= limit) packer.add(block);
    else if (block.fence !== undefined) for (const piece of fenced(block, limit)) packer.add(piece);
    else for (const piece of divide(block.text, limit)) packer.add({ text: piece, size: estimateTokens(piece) });
  }
  packer.flush();
  return packer.parts;
}

class Packer {
  readonly parts: TextPart[] = [];
  private readonly target: number;
  private open: (Block & { section: string[] })[] = [];
  private size = 0;
  private section: { level: number; title: string }[] = [];

  constructor(target: number) {
    this.target = target;
  }

  add(block: Block): void {
    if (block.heading !== undefined) {
      const { level } = block.heading;
      this.section = this.section.filter((above) => above.level < level);
      if (this.size > this.target / 2) this.flush();
    }
    if (this.open.length > 0 && this.size + block.size > this.target) this.flushBeforeHeadings();
    this.open.push({ ...block, section: this.section.map((above) => above.title) });
    this.size += block.size;
    // Pushed after the heading was added: a part that begins with it needs no mention of it.
    if (block.heading !== undefined) this.section.push(block.heading);
  }

  flush(): void {
    const text = trimmed(this.open.map((block) => block.text).join(""));
    if (text.trim() !== "") this.parts.push({ text, section: this.open[0]?.section ?? [] });
    this.open = [];
    this.size = 0;
  }

  /** Ends the part, but lets headings at its end begin the next one. */
  private flushBeforeHeadings(): void {
    const body = this.open.findLastIndex((block) => block.heading === undefined) + 1;
    if (body === 0 && this.size < this.target) return;
    const headings = body === 0 ? [] : this.open.splice(body);
    this.flush();
    this.open = headings;
    this.size = headings.reduce((size, block) => size + block.size, 0);
  }
}

/** The blocks of a text, each with the blank lines after it. */
function* blocks(text: string): Generator<Block, void, undefined> {
  let lines: string[] = [];
  let fence: string | undefined;
  let isCode = false;
  let blank = false;
  const take = function* (heading?: { level: number; title: string }): Generator<Block, void, undefined> {
    if (lines.length === 0) return;
    const joined = lines.join("");
    const block: Block = { text: joined, size: estimateTokens(joined) };
    if (heading !== undefined) block.heading = heading;
    if (isCode) block.fence = /^\s*(`{3,}|~{3,})/.exec(joined)?.[1] ?? "```";
    yield block;
    lines = [];
    isCode = false;
    blank = false;
  };
  let heading: { level: number; title: string } | undefined;
  for (const line of text.split(/(?<=\n)/)) {
    if (fence !== undefined) {
      lines.push(line);
      if (line.trim().startsWith(fence) && line.trim().replaceAll(fence[0] ?? "`", "") === "") {
        fence = undefined;
        blank = true;
      }
      continue;
    }
    if (line.trim() === "") {
      lines.push(line);
      blank = true;
      continue;
    }
    const opens = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/.exec(line)?.[1];
    const title = /^(#{1,6})[ \t\r\n]+(.*?)\s*#*\s*$/.exec(line);
    if (blank || heading !== undefined || opens !== undefined || title !== null) {
      yield* take(heading);
      heading = undefined;
    }
    lines.push(line);
    if (opens !== undefined) {
      fence = opens;
      isCode = true;
    } else if (title !== null) {
      heading = { level: title[1]?.length ?? 1, title: title[2] ?? "" };
    }
  }
  yield* take(heading);
}

/** Pieces of whole lines, each between fences of its own. */
function fenced(block: Block, limit: number): Block[] {
  const lines = block.text.trimEnd().split("\n");
  const open = lines.shift() ?? "";
  const close = block.fence ?? "```";
  if (lines.at(-1)?.trim().startsWith(close)) lines.pop();
  const room = Math.max(1, limit - estimateTokens(open) - estimateTokens(close) - 2);
  return divide(lines.join("\n"), room).map((piece) => {
    const text = `${open}\n${piece.replace(/^\n+|\n+$/g, "")}\n${close}\n\n`;
    return { text, size: estimateTokens(text) };
  });
}

/** Between lines where they fit, otherwise between sentences, words, and at last characters. */
const LEVELS: ((text: string) => string[])[] = [
  (text) => text.split(/(?<=\n)/),
  (text) => text.split(/(?<=[.!?\u2026\u3002\uff01\uff1f]["'\u201d\u2019)]*\s+)|(?<=[\u3002\uff01\uff1f])/u),
  (text) => text.split(/(?<=\s)(?=\S)/),
  // A mark, a joiner and what it joins stay with the character before.
  (text) => text.match(/\P{M}(?:[\p{M}\u200d\ufe0f\u{1f3fb}-\u{1f3ff}]|(?<=\u200d)\P{M})*|\p{M}/gsu) ?? [],
];

function divide(text: string, limit: number): string[] {
  const pieces: string[] = [];
  let size = 0;
  for (const piece of refine(text, limit, 0)) {
    const more = estimateTokens(piece);
    const last = pieces.length - 1;
    if (last >= 0 && size + more <= limit) {
      pieces[last] += piece;
      size += more;
    } else {
      pieces.push(piece);
      size = more;
    }
  }
  return pieces;
}

function refine(text: string, limit: number, level: number): string[] {
  const cut = LEVELS[level];
  if (cut === undefined || estimateTokens(text) <= limit) return [text];
  return cut(text).flatMap((piece) => refine(piece, limit, level + 1));
}

/** Without blank lines before and blank space behind; the indentation of the first line stays. */
function trimmed(text: string): string {
  return text.replace(/^[\r\n]+/, "").trimEnd();
}
