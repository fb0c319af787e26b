//! Requests to servers that the operator granted.
//!
//! ```ts
//! const page = http.get("https://example.com/").throwForStatus().text();
//! const made = http.post("https://api.example.com/notes", {
//!   headers: { authorization: secrets.bearer("NOTES_TOKEN") }, // the host puts the secret there; a skill never sees it
//!   json: { text: page },
//! }).json();
//! ```

import { http as host } from "#host";
import type * as wit from "./host/wit.js";
import { asked, Invalid, Refusal, Unavailable } from "./refusal.js";
import { checked, type Schema } from "./schema/standard.js";

export interface RequestOptions {
  /** A value may hold `{{secret:NAME}}`. */
  headers?: Record<string, string> | [string, string][];
  /** The whole body. */
  body?: string | Uint8Array;
  /** The whole body as JSON, with its `content-type`. */
  json?: unknown;
  /** Whether redirects are followed. They are, unless this says otherwise. */
  follow?: boolean;
  /** How long to wait for the response's head. */
  timeoutMs?: number;
}

/** A request that `parallel` sends: a URL to get, or more. */
export type Sendable = string | ({ url: string; method?: string } & RequestOptions);

/** Gets a URL and waits for the response's head. A status of 400 or above is a response: see `throwForStatus`. */
export function get(url: string, options: RequestOptions = {}): Response {
  return request("GET", url, options);
}

/** Posts to a URL and waits for the response's head. */
export function post(url: string, options: RequestOptions = {}): Response {
  return request("POST", url, options);
}

/** Sends a request with any method and waits for the response's head. */
export function request(method: string, url: string, options: RequestOptions = {}): Response {
  return new Response(asked(() => host.send(raw(method, url, options))));
}

/** Sends a request and returns at once, so that several run at the same time. */
export function start(method: string, url: string, options: RequestOptions = {}): Pending {
  return new Pending(asked(() => host.start(raw(method, url, options))));
}

/** Begins a request whose body is written piece by piece. Redirects are not followed. */
export function begin(method: string, url: string, options: Omit<RequestOptions, "body" | "json" | "follow"> = {}): Upload {
  return new Upload(asked(() => host.begin(raw(method, url, options))));
}

/**
 * Sends many requests with at most `inFlight` at once, and gives the responses in the order of the requests.
 *
 * Nothing is sent before the first response is wanted. The first refusal is thrown. Leaving the loop cancels what is under way.
 */
export function* parallel(requests: Iterable<Sendable>, inFlight = 8): Generator<Response, void, undefined> {
  const waiting = requests[Symbol.iterator]();
  const open: Pending[] = [];
  try {
    for (;;) {
      while (open.length < Math.max(1, inFlight)) {
        const next = waiting.next();
        if (next.done) break;
        const { url, method = "GET", ...options } = typeof next.value === "string" ? { url: next.value } : next.value;
        open.push(start(method, url, options));
      }
      const first = open.shift();
      if (first === undefined) return;
      yield first.wait();
    }
  } finally {
    for (const pending of open) pending.cancel();
  }
}

/** A response whose head is there. Its body is read as it comes; `using` or `close` closes the connection. */
export class Response {
  readonly status: number;
  /** Where it came from in the end. */
  readonly url: string;
  /** All headers, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  private readonly inner: wit.HttpResponse;

  constructor(inner: wit.HttpResponse) {
    const head = inner.head();
    this.inner = inner;
    this.status = head.status;
    this.url = head.url;
    this.headers = head.headers;
  }

  /** Whether the status is one of success: 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** The first value of a header. */
  header(name: string): string | undefined {
    return this.headers.find(([key]) => key === name.toLowerCase())?.[1];
  }

  /** Throws for a status of 400 or above: `Unavailable` where trying again later may help, otherwise `Invalid`. */
  throwForStatus(): this {
    if (this.status < 400) return this;
    const what = `\`${this.place}\` answered with status ${this.status}`;
    throw this.status >= 500 || [408, 425, 429].includes(this.status) ? new Unavailable(what) : new Invalid(what);
  }

  /** The next bytes of the body, at most `max` (0 means 64 KiB); empty at the end. Waits for them. */
  read(max = 0): Uint8Array {
    return asked(() => this.inner.read(max));
  }

  /** The rest of the body, piece by piece. */
  *chunks(): Generator<Uint8Array, void, undefined> {
    for (let piece = this.read(); piece.length > 0; piece = this.read()) yield piece;
  }

  /** The rest of the body. */
  bytes(): Uint8Array {
    const pieces = [...this.chunks()];
    const all = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    this.close();
    return all;
  }

  /** The rest of the body as text. What is no UTF-8 becomes the replacement character. */
  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  /** The rest of the body, read as JSON. With a schema it has its type. */
  json<T = unknown>(schema?: Schema<T>): T {
    const what = `what \`${this.place}\` answered`;
    let value: unknown;
    try {
      value = JSON.parse(this.text());
    } catch (error) {
      throw error instanceof Refusal ? error : new Invalid(`${what} is not JSON: ${(error as Error).message}`);
    }
    return checked(schema, value, what);
  }

  close(): void {
    this.inner[Symbol.dispose]?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Without the query, which may hold what no log should. */
  private get place(): string {
    return this.url.split("?")[0] ?? "";
  }
}

/** A request under way. `using` or `cancel` cancels it; it may have reached the server all the same. */
export class Pending {
  private readonly inner: wit.HttpPending;

  constructor(inner: wit.HttpPending) {
    this.inner = inner;
  }

  /** Waits for the response's head. */
  wait(): Response {
    return new Response(asked(() => this.inner.wait()));
  }

  cancel(): void {
    this.inner[Symbol.dispose]?.();
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}

/** A request whose body is being written. */
export class Upload {
  private readonly inner: wit.HttpUpload;

  constructor(inner: wit.HttpUpload) {
    this.inner = inner;
  }

  /** Gives bytes or text to the request. Waits while the server does not take them. */
  write(chunk: string | Uint8Array): void {
    asked(() => this.inner.write(bytes(chunk)));
  }

  /** Ends the body and waits for the response's head. */
  finish(): Response {
    return new Response(asked(() => this.inner.finish()));
  }

  /** Breaks the request off. */
  cancel(): void {
    this.inner[Symbol.dispose]?.();
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}

function raw(method: string, url: string, options: RequestOptions): wit.HttpRequest {
  const { headers = [], body, json, follow = true, timeoutMs } = options;
  const all = Array.isArray(headers) ? [...headers] : Object.entries(headers);
  if (json !== undefined && !all.some(([name]) => name.toLowerCase() === "content-type")) all.push(["content-type", "application/json"]);
  const content = json === undefined ? (body ?? "") : JSON.stringify(json);
  return { method: method.toUpperCase(), url, headers: all, body: bytes(content), follow, timeoutMs: timeoutMs ?? null };
}

function bytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}
