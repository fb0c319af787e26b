//! The imports in a test: what the fake that the test began last has to say.

import { files as nodeFiles } from "../fake/node-files.js";
import { current, maybe } from "../fake/current.js";
import type * as wit from "./wit.js";

// `log` and `progress` never fail, also not in a test that has no host because it needs none.
export const log: wit.Log = {
  log: (level, message, fields) => void maybe()?.lines.push({ level, message, fields: Object.fromEntries(fields) }),
};
export const progress: wit.Progress = {
  report: (done, total, message) => void maybe()?.progress.push({ done, total: total ?? undefined, message: message ?? undefined }),
  emit(text) {
    const host = maybe();
    if (host) host.output += text;
  },
};
export const config: wit.Config = { get: (key) => current("config").settings.get(key) ?? null };
export const secrets: wit.Secrets = { exists: (name) => current("secrets").secrets.has(name) };
export const kv: wit.Kv = {
  get: (key) => current("kv").kv.get(key),
  set: (key, value, condition) => current("kv").kv.set(key, value, condition),
  delete: (key, condition) => current("kv").kv.delete(key, condition),
  list: (prefix, cursor, limit) => current("kv").kv.list(prefix, cursor, limit),
};
export const http: wit.Http = {
  send: (request) => current("http").web.answer(request),
  start(request) {
    const host = current("http");
    const give = once(() => host.web.answer(request));
    const end = host.begin();
    return { wait: () => (end(), give()), [Symbol.dispose]: end };
  },
  begin(request) {
    const { web } = current("http");
    const chunks: number[] = [];
    return { write: (chunk) => void chunks.push(...chunk), finish: once(() => web.answer({ ...request, body: Uint8Array.from(chunks) })) };
  },
};
export const model: wit.Model = {
  generate: (request) => current("model").reply(request).response(request),
  open(request) {
    const host = current("model");
    const events = host.reply(request).events(request);
    const end = host.begin();
    return {
      next() {
        // One event at a time, so that a test sees every place where a reader can stop.
        const next = events.shift();
        if (next === undefined) end();
        return next === undefined ? [] : [next()];
      },
      [Symbol.dispose]: end,
    };
  },
  embed: (name, inputs) => current("model").embed(name, inputs),
  models: () => current("model").modelInfos,
};
export const tools: wit.Tools = {
  list: () => current("tools").others.list(),
  call: (name, input) => current("tools").others.call(name, input),
  start(name, input) {
    const host = current("tools");
    const give = once(() => host.others.call(name, input));
    const end = host.begin();
    return { wait: () => (end(), give()), [Symbol.dispose]: end };
  },
};
export const user: wit.User = { ask: (question) => current("user").ask(question) };

export const files: wit.Files = nodeFiles((path) => maybe()?.place(path) ?? path);

export function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

export function sleep(_milliseconds: number): void {}

/** A second call is a mistake of the skill's. */
function once<T>(act: () => T): () => T {
  let done = false;
  return () => {
    if (done) throw Object.assign(new Error("refused"), { payload: { tag: "invalid", val: "this was waited for already" } });
    done = true;
    return act();
  };
}

