import { fakeHost } from "ringfence/fake";
import { expect, test } from "vitest";
import { actionItems, count } from "./skill.js";

test("action items are read by the model", async () => {
  const answer = { items: [{ task: "Book a room", owner: "Ada", due: null }] };
  const host = fakeHost().answer(answer);
  const outcome = await host.call(actionItems, { text: "Ada will book a room.", owner: "Ada" });
  expect(outcome.structured).toEqual(answer);
  expect(host.prompts[0]).toContain("action items of Ada");
  expect(host.prompts[0]).toContain("Ada will book a room.");
});

test("an empty text is refused before a model is asked", async () => {
  const host = fakeHost();
  await expect(host.call(actionItems, { text: " " })).rejects.toMatchObject({ kind: "invalid-input" });
  expect(host.requests).toEqual([]);
});

test("words and lines are counted", async () => {
  const outcome = await fakeHost().call(count, { text: "one two\nthree" });
  expect(outcome.structured).toEqual({ words: 3, lines: 2, minutes: 1 });
});
