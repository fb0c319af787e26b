import { expect, test } from "vitest";
import { inWords, isRight, type Memory, reviewed, type Score } from "./schedule.js";

const DAY = 86_400_000;

test("right answers come back after 1 day, 6 days, and then ever later", () => {
  let memory: Memory | undefined;
  const waits: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    memory = reviewed(memory, 4, 1000);
    waits.push(memory.interval / DAY);
  }
  expect(waits).toEqual([1, 6, 15, 37.5, 93.75]);
  expect(memory).toMatchObject({ streak: 5, ease: 2.5, lapses: 0, due: 1000 + 93.75 * DAY });
});

test("a better answer waits longer than a worse one", () => {
  const known = reviewed(reviewed(undefined, 4, 0), 4, 0);
  const waits = ([3, 4, 5] as const).map((score) => reviewed(known, score, 0).interval);
  expect(waits).toEqual([...waits].sort((one, other) => one - other));
  expect(new Set(waits).size).toBe(3);
});

test("what was forgotten comes back in ten minutes, begins anew, and is harder from then on", () => {
  const known = reviewed(reviewed(reviewed(undefined, 5, 0), 5, 0), 5, 0);
  const lost = reviewed(known, 1, 0);
  expect(lost).toMatchObject({ streak: 0, lapses: 1, due: 600_000 });
  expect(lost.ease).toBeLessThan(known.ease);
  expect(reviewed(lost, 4, 0).interval).toBe(DAY);
  // What was never known was not forgotten.
  expect(reviewed(undefined, 0, 0).lapses).toBe(0);
});

test("no history leads out of bounds", () => {
  for (const score of [0, 3, 5] as Score[]) {
    let memory: Memory | undefined;
    for (let round = 0; round < 200; round += 1) memory = reviewed(memory, score, 0);
    expect(memory?.ease).toBeGreaterThanOrEqual(1.3);
    expect(memory?.interval).toBeLessThanOrEqual(365 * DAY);
  }
  expect([2, 3].map(isRight)).toEqual([false, true]);
});

test("waits are said in words", () => {
  expect([0, 20_000, 600_000, 3 * 3_600_000, DAY, 6 * DAY].map(inWords)).toEqual(["now", "in a minute", "in 10 minutes", "in 3 hours", "in 1 day", "in 6 days"]);
});
