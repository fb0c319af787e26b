//! A `Promise` whose reactions are done by the queue in `jobs.ts`, as the standard orders them.

import { later } from "./jobs.js";

type State = "pending" | "fulfilled" | "rejected";
interface Reaction {
  fulfilled: (value: any) => void;
  rejected: (reason: unknown) => void;
}

/** Rejections that nobody has handled. */
export const unhandled = new Set<QueuedPromise<any>>();

export class QueuedPromise<T> implements PromiseLike<T> {
  private state: State = "pending";
  private value: any;
  private reactions: Reaction[] = [];
  private handled = false;

  constructor(executor: (resolve: (value?: T | PromiseLike<T>) => void, reject: (reason?: unknown) => void) => void) {
    if (typeof executor !== "function") throw new TypeError("Promise resolver is not a function");
    const { resolve, reject } = this.functions();
    try {
      executor(resolve as (value?: T | PromiseLike<T>) => void, reject);
    } catch (error) {
      reject(error);
    }
  }

  get [Symbol.toStringTag](): string {
    return "Promise";
  }

  static get [Symbol.species](): typeof QueuedPromise {
    return QueuedPromise;
  }

  /** What was rejected with, for reports. */
  get reason(): unknown {
    return this.value;
  }

  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: any) => B | PromiseLike<B>) | null,
  ): QueuedPromise<A | B> {
    const Kind = this.constructor as typeof QueuedPromise;
    return new Kind<A | B>((resolve, reject) => {
      const through = (handler: ((value: any) => any) | null | undefined, pass: (value: any) => void) => (value: any) => {
        if (typeof handler !== "function") return pass(value);
        try {
          resolve(handler(value));
        } catch (error) {
          reject(error);
        }
      };
      this.react({ fulfilled: through(onFulfilled, resolve), rejected: through(onRejected, reject) });
    });
  }

  catch<B = never>(onRejected?: ((reason: any) => B | PromiseLike<B>) | null): QueuedPromise<T | B> {
    return this.then(undefined, onRejected);
  }

  finally(act?: (() => void) | null): QueuedPromise<T> {
    if (typeof act !== "function") return this.then();
    const Kind = this.constructor as typeof QueuedPromise;
    return this.then(
      (value) => Kind.resolve(act()).then(() => value),
      (reason) =>
        Kind.resolve(act()).then(() => {
          throw reason;
        }),
    ) as QueuedPromise<T>;
  }

  static resolve<T>(value?: T | PromiseLike<T>): QueuedPromise<T> {
    if (value instanceof QueuedPromise && value.constructor === this) return value;
    return new this<T>((resolve) => resolve(value));
  }

  static reject<T = never>(reason?: unknown): QueuedPromise<T> {
    return new this<T>((_, reject) => reject(reason));
  }

  static try<T>(act: (...args: any[]) => T | PromiseLike<T>, ...args: any[]): QueuedPromise<T> {
    return new this<T>((resolve) => resolve(act(...args)));
  }

  static withResolvers<T>(): { promise: QueuedPromise<T>; resolve: (value?: T | PromiseLike<T>) => void; reject: (reason?: unknown) => void } {
    let resolve!: (value?: T | PromiseLike<T>) => void;
    let reject!: (reason?: unknown) => void;
    const promise = new this<T>((yes, no) => ((resolve = yes), (reject = no)));
    return { promise, resolve, reject };
  }

  static all(values: Iterable<any>): QueuedPromise<any[]> {
    return this.gather(values, (item, at, results, done, reject) => item.then((value) => ((results[at] = value), done()), reject));
  }

  static allSettled(values: Iterable<any>): QueuedPromise<any[]> {
    return this.gather(values, (item, at, results, done) =>
      item.then(
        (value) => ((results[at] = { status: "fulfilled", value }), done()),
        (reason) => ((results[at] = { status: "rejected", reason }), done()),
      ),
    );
  }

  static any(values: Iterable<any>): QueuedPromise<any> {
    return new this((resolve, reject) => {
      const errors: unknown[] = [];
      let missing = 1;
      const done = (): void => {
        missing -= 1;
        if (missing === 0) reject(new AggregateError(errors, "All promises were rejected"));
      };
      let at = 0;
      for (const value of values) {
        const place = at;
        at += 1;
        missing += 1;
        this.resolve(value).then(resolve, (reason) => ((errors[place] = reason), done()));
      }
      done();
    });
  }

  static race(values: Iterable<any>): QueuedPromise<any> {
    return new this((resolve, reject) => {
      for (const value of values) this.resolve(value).then(resolve, reject);
    });
  }

  private static gather(
    values: Iterable<any>,
    watch: (item: QueuedPromise<any>, at: number, results: any[], done: () => void, reject: (reason?: unknown) => void) => void,
  ): QueuedPromise<any[]> {
    return new this<any[]>((resolve, reject) => {
      const results: any[] = [];
      // One is held back until all have been begun.
      let missing = 1;
      const done = (): void => {
        missing -= 1;
        if (missing === 0) resolve(results);
      };
      let at = 0;
      for (const value of values) {
        missing += 1;
        results[at] = undefined;
        watch(this.resolve(value), at, results, done, reject);
        at += 1;
      }
      done();
    });
  }

  /** The pair that settles it; only the first call of either counts. */
  private functions(): { resolve: (value: unknown) => void; reject: (reason?: unknown) => void } {
    let done = false;
    const once = (act: (value: any) => void) => (value?: unknown) => {
      if (done) return;
      done = true;
      act(value);
    };
    return { resolve: once((value) => this.follow(value)), reject: once((reason) => this.settle("rejected", reason)) };
  }

  private follow(value: unknown): void {
    if (value === this) return this.settle("rejected", new TypeError("a promise cannot wait for itself"));
    const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
    let then: unknown;
    try {
      then = isObject ? (value as { then?: unknown }).then : undefined;
    } catch (error) {
      return this.settle("rejected", error);
    }
    if (typeof then !== "function") return this.settle("fulfilled", value);
    later(() => {
      const { resolve, reject } = this.functions();
      try {
        (then as Function).call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  private settle(state: State, value: unknown): void {
    this.state = state;
    this.value = value;
    if (state === "rejected" && !this.handled) unhandled.add(this);
    const { reactions } = this;
    this.reactions = [];
    for (const reaction of reactions) this.queue(reaction);
  }

  private react(reaction: Reaction): void {
    this.handled = true;
    unhandled.delete(this);
    if (this.state === "pending") this.reactions.push(reaction);
    else this.queue(reaction);
  }

  private queue(reaction: Reaction): void {
    later(() => (this.state === "fulfilled" ? reaction.fulfilled(this.value) : reaction.rejected(this.value)));
  }
}
