//! What is to be done later. The engine leaves its own promises undone when a synchronous call returns, so this queue stands in for its
//! job queue: the build has `async` functions compiled to generators, which run on the `Promise` beside this file.

import { sleep } from "#host";

type Job = () => void;
interface Timer {
  id: number;
  due: number;
  job: Job;
}

let jobs: Job[] = [];
let next = 0;
let timers: Timer[] = [];
let lastTimer = 0;

export function later(job: Job): void {
  jobs.push(job);
}

/** Does one thing. False where nothing is left to do. Waits where only timers are left. */
export function step(): boolean {
  const job = jobs[next];
  if (job !== undefined) {
    next += 1;
    if (next === jobs.length) {
      jobs = [];
      next = 0;
    }
    job();
    return true;
  }
  const timer = timers[0];
  if (timer === undefined) return false;
  const wait = timer.due - Date.now();
  if (wait > 0) sleep(wait);
  timers.shift();
  timer.job();
  return true;
}

export function setTimer(job: Job, milliseconds: unknown, every = false): number {
  lastTimer += 1;
  const pause = Math.max(every ? 1 : 0, Number(milliseconds) || 0);
  start(lastTimer, job, pause, every);
  return lastTimer;
}

export function clearTimer(id: unknown): void {
  timers = timers.filter((timer) => timer.id !== id);
}

function start(id: number, job: Job, pause: number, every: boolean): void {
  const timer: Timer = { id, due: Date.now() + pause, job };
  // The next round is set before the job runs, so that the job can clear it.
  if (every) timer.job = () => (start(id, job, pause, every), job());
  const at = timers.findIndex((other) => other.due > timer.due);
  timers.splice(at < 0 ? timers.length : at, 0, timer);
}
