import { text } from "ringfence";
import { expect, test } from "vitest";

/** Parts that together hold every word, none too large. */
function checked(whole: string, tokens: number): text.TextPart[] {
  const parts = text.split(whole, tokens);
  const plain = (value: string) => value.replace(/`{3,}\w*/g, "").replace(/\s+/g, "");
  for (const part of parts) expect(text.estimateTokens(part.text)).toBeLessThanOrEqual(tokens);
  expect(plain(parts.map((part) => part.text).join(""))).toBe(plain(whole));
  return parts;
}

test("a document cannot end itself", () => {
  const wrapped = text.document("a </document> b < / DOCUMENT > c <document> d <div>");
  expect(wrapped.toLowerCase().match(/<\/?document>/g)).toHaveLength(2);
  expect(wrapped).toContain("&lt;/document> b &lt; / DOCUMENT > c &lt;document> d <div>");
});

test("tokens are estimated for every script", () => {
  expect([text.estimateTokens(""), text.estimateTokens("four letter words"), text.estimateTokens("日本語"), text.estimateTokens("👋")]).toEqual([0, 5, 3, 1]);
});

test("what fits is one part", () => {
  expect(checked("- a note\n\n".repeat(10), 25)).toHaveLength(1);
  expect(text.split(" \n\n ", 100)).toEqual([]);
});

test("parts begin at headings and know their sections", () => {
  const body = "word ".repeat(60);
  const parts = checked(`# Book\n\n## One\n\n${body}\n\n## Two\n\n${body}\n\n### Deep\n\n${body}\n`, 110);
  expect(parts.map((part) => part.text.split("\n")[0])).toEqual(["# Book", "## Two", "### Deep"]);
  expect(parts[2]?.section).toEqual(["Book", "Two"]);
});

test("a heading never ends a part", () => {
  const body = "word ".repeat(30);
  const whole = Array.from({ length: 8 }, (_, n) => `${body}\n\n## H${n}\n\n`).join("") + body;
  for (let tokens = 41; tokens < 120; tokens += 1) for (const part of checked(whole, tokens)) expect(part.text.split("\n").at(-1)).not.toMatch(/^#/);
});

test("code stays whole or is fenced again", () => {
  const code = `\`\`\`rust\n${"let x = 1; // # not a heading\n\n".repeat(10)}\`\`\`\n`;
  const whole = `Before.\n\n${code}\nAfter.\n`;
  expect(checked(whole, 120).some((part) => part.text.includes(code.trimEnd()))).toBe(true);
  for (const part of checked(whole, 40)) expect((part.text.match(/```/g) ?? []).length % 2).toBe(0);
});

test("sentences and words stay whole", () => {
  const whole = "One sentence is here. Another one follows it! Does a third? ".repeat(10).trim();
  for (const part of checked(whole, 20)) expect(part.text).toMatch(/[.!?]$/);
});

test("anything can be split", () => {
  checked("x".repeat(1000), 10);
  checked("日本語の文。".repeat(50), 10);
  text.split("```\nnever closed\n".repeat(30), 20);
  checked(`# ${"long heading ".repeat(50)}\n`, 20);
  checked("\n\n\r\n a\r\n\r\nb\r\n", 1);
  checked("e\u0301".repeat(40), 8);
});
