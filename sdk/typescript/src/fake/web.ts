//! Servers, as the fake has them.

import type * as wit from "../host/wit.js";
import { Denied, Refusal } from "../refusal.js";
import { thrown } from "./refuse.js";

/** A request as a server of the fake sees it. */
export interface SentRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  /** The body as text. */
  body: string;
}

/** What a server answers: a text, or more. `json` is sent with its `content-type`. */
export type Page = string | Refusal | { status?: number; headers?: Record<string, string>; body?: string | Uint8Array; json?: unknown };

/** Answers requests, or leaves them to the next by giving undefined. */
export type Server = (request: SentRequest) => Page | undefined;

export class Web {
  readonly servers: Server[] = [];
  readonly sent: SentRequest[] = [];

  answer(request: wit.HttpRequest): wit.HttpResponse {
    const headers = Object.fromEntries(request.headers.map(([name, value]) => [name.toLowerCase(), value]));
    const seen = { method: request.method, url: request.url, headers, body: new TextDecoder().decode(request.body) };
    this.sent.push(seen);
    for (const server of this.servers) {
      const page = server(seen);
      if (page instanceof Refusal) throw thrown(page);
      if (page !== undefined) return response(request.url, page);
    }
    throw thrown(
      new Denied({
        capability: "http",
        subject: `http ${request.method} ${request.url}`,
        reason: "the fake has no answer for it",
        hint: 'script one with `.serve("https://...", "text")`',
      }),
    );
  }
}

function response(url: string, page: Exclude<Page, Refusal>): wit.HttpResponse {
  const { status = 200, headers = {}, body = "", json } = typeof page === "string" ? { body: page } : page;
  const all = Object.entries(headers).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  if (json !== undefined) all.push(["content-type", "application/json"]);
  const content = json === undefined ? body : JSON.stringify(json);
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  let at = 0;
  return {
    head: () => ({ status, url, headers: all }),
    read(max) {
      const piece = bytes.slice(at, at + (max === 0 ? 65536 : max));
      at += piece.length;
      return piece;
    },
  };
}
