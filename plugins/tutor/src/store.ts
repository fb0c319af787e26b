//! Where courses and learners are kept.

import { Failure, kv } from "ringfence";
import { Course, slug } from "./course.js";
import { beginner, Learner } from "./learner.js";

export function courses(): Course[] {
  return Array.from(kv.keys("course/"), (key) => kv.get(key, Course)).filter((course) => course !== undefined);
}

/** The course of that name; without a name, the only one. */
export function course(id: string | undefined): Course {
  if (id !== undefined) {
    const found = kv.get(`course/${slug(id)}`, Course);
    if (found !== undefined) return found;
  }
  const names = Array.from(kv.keys("course/"), (key) => key.slice("course/".length));
  const [only] = names;
  if (id === undefined && names.length === 1 && only !== undefined) return course(only);
  const hint = names.length === 0 ? "begin one with the tool `course`" : `name one of: ${names.join(", ")}`;
  throw Failure.invalidInput(id === undefined ? (names.length === 0 ? "there is no course yet" : "there are several courses") : `there is no course \`${id}\``, hint);
}

/** Keeps a new course under a name that no other has. */
export function keep(title: string, cards: Course["cards"], level: number, now: number): Course {
  const base = slug(title);
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? base : `${base}-${number}`;
    const made: Course = { id, title, created: now, cards };
    if (kv.set(`course/${id}`, made, { if: "absent" }).written) {
      kv.set(`learner/${id}`, beginner(level));
      return made;
    }
  }
}

export function change(id: string, act: (course: Course) => Course): Course {
  return kv.update(`course/${id}`, (old: Course | undefined) => {
    if (old === undefined) throw Failure.invalidInput(`the course \`${id}\` was removed meanwhile`);
    return act(old);
  }, Course);
}

export function learner(id: string): Learner {
  return kv.get(`learner/${id}`, Learner) ?? beginner();
}

export function learned(id: string, act: (learner: Learner) => Learner): Learner {
  return kv.update(`learner/${id}`, (old: Learner | undefined) => act(old ?? beginner()), Learner);
}

export function forget(id: string): void {
  kv.delete(`course/${id}`);
  kv.delete(`learner/${id}`);
}
