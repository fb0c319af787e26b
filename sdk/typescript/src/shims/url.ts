//! `URL` and `URLSearchParams`, as far as skills need them: absolute and relative URLs, their parts, their query.
//!
//! Names of hosts are taken as they are, in lower case: there is no IDNA here. What a request may reach is decided by the host, which reads the
//! URL itself.

const PORTS: Record<string, string> = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21" };
const isSpecial = (protocol: string): boolean => protocol in PORTS || protocol === "file:";

export class URLSearchParams {
  private list: [string, string][] = [];
  /** Tells the URL that it belongs to. */
  changed: () => void = () => {};

  constructor(init: string | Iterable<[string, string]> | Record<string, string> = "") {
    if (typeof init === "string") this.list = parse(init);
    else this.list = [...(Symbol.iterator in init ? (init as Iterable<[string, string]>) : Object.entries(init))].map(([key, value]) => [String(key), String(value)]);
  }

  get size(): number {
    return this.list.length;
  }
  get(name: string): string | null {
    return this.list.find(([key]) => key === name)?.[1] ?? null;
  }
  getAll(name: string): string[] {
    return this.list.filter(([key]) => key === name).map(([, value]) => value);
  }
  has(name: string): boolean {
    return this.list.some(([key]) => key === name);
  }
  append(name: string, value: unknown): void {
    this.list.push([name, String(value)]);
    this.changed();
  }
  set(name: string, value: unknown): void {
    const first = this.list.findIndex(([key]) => key === name);
    this.list = this.list.filter(([key], at) => key !== name || at === first);
    if (first < 0) this.list.push([name, String(value)]);
    else this.list[first] = [name, String(value)];
    this.changed();
  }
  delete(name: string): void {
    this.list = this.list.filter(([key]) => key !== name);
    this.changed();
  }
  sort(): void {
    this.list.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
    this.changed();
  }
  forEach(act: (value: string, key: string) => void): void {
    for (const [key, value] of this.list) act(value, key);
  }
  *keys(): IterableIterator<string> {
    for (const [key] of this.list) yield key;
  }
  *values(): IterableIterator<string> {
    for (const [, value] of this.list) yield value;
  }
  *entries(): IterableIterator<[string, string]> {
    for (const [key, value] of this.list) yield [key, value];
  }
  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
  toString(): string {
    return this.list.map(([key, value]) => `${encode(key)}=${encode(value)}`).join("&");
  }
}

function parse(query: string): [string, string][] {
  const pairs = query.replace(/^\?/, "").split("&").filter((pair) => pair !== "");
  return pairs.map((pair) => {
    const at = pair.indexOf("=");
    return at < 0 ? [decode(pair), ""] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
  });
}

function decode(text: string): string {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll("%20", "+").replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

export class URL {
  protocol = "";
  username = "";
  password = "";
  hostname = "";
  port = "";
  pathname = "";
  hash = "";
  readonly searchParams: URLSearchParams;
  private query = "";

  constructor(url: string | URL, base?: string | URL) {
    const text = String(url).trim().replace(/[\t\r\n]/g, "");
    const found = /^([a-z][a-z0-9+.-]*:)(.*)$/is.exec(text);
    if (found) this.absolute((found[1] ?? "").toLowerCase(), found[2] ?? "", text);
    else if (base !== undefined) this.relative(text, new URL(base));
    else throw new TypeError(`Invalid URL: ${text}`);
    this.searchParams = new URLSearchParams(this.query);
    this.searchParams.changed = () => {
      const query = this.searchParams.toString();
      this.query = query === "" ? "" : `?${query}`;
    };
  }

  static canParse(url: string | URL, base?: string | URL): boolean {
    return URL.parse(url, base) !== null;
  }
  static parse(url: string | URL, base?: string | URL): URL | null {
    try {
      return new URL(url, base);
    } catch {
      return null;
    }
  }

  get search(): string {
    return this.query === "?" ? "" : this.query;
  }
  set search(text: string) {
    const query = text.replace(/^\?/, "");
    this.query = query === "" ? "" : `?${this.escapedQuery(query)}`;
    (this as { searchParams: URLSearchParams }).searchParams = new URLSearchParams(this.query);
  }
  get host(): string {
    return this.port === "" ? this.hostname : `${this.hostname}:${this.port}`;
  }
  get origin(): string {
    return this.protocol in PORTS ? `${this.protocol}//${this.host}` : "null";
  }
  get href(): string {
    const credentials = this.username === "" ? "" : `${this.username}${this.password === "" ? "" : `:${this.password}`}@`;
    const authority = isSpecial(this.protocol) || this.hostname !== "" ? `//${credentials}${this.host}` : "";
    return `${this.protocol}${authority}${this.pathname}${this.query}${this.hash}`;
  }
  toString(): string {
    return this.href;
  }
  toJSON(): string {
    return this.href;
  }

  private absolute(protocol: string, rest: string, text: string): void {
    this.protocol = protocol;
    const special = isSpecial(protocol);
    const after = special ? rest.replace(/^[^?#]*/, (path) => path.replaceAll("\\", "/")) : rest;
    const parts = special ? /^\/*([^/?#]*)(.*)$/s.exec(after) : /^\/\/([^/?#]*)(.*)$/s.exec(after);
    if (parts === null) return this.tail(after, false);
    if (protocol === "file:") {
      const path = /^(?:\/\/([^/?#]*))?(.*)$/s.exec(after);
      this.hostname = path?.[1] === "localhost" ? "" : (path?.[1] ?? "");
      return this.tail(path?.[2] ?? "", true);
    }
    this.authority(parts[1] ?? "", text);
    this.tail(parts[2] ?? "", true);
  }

  private authority(authority: string, text: string): void {
    const at = authority.lastIndexOf("@");
    if (at >= 0) {
      const [username = "", ...password] = authority.slice(0, at).split(":");
      this.username = escaped(username, /[^\w.~!$&'()*+,;=%-]/gu);
      this.password = escaped(password.join(":"), /[^\w.~!$&'()*+,;=%-]/gu);
    }
    const host = /^(\[[0-9a-f:.]+\]|[^:[\]]*)(?::(\d*))?$/i.exec(authority.slice(at + 1));
    const name = (host?.[1] ?? "").toLowerCase();
    const port = host?.[2] ?? "";
    if (host === null || (name === "" && isSpecial(this.protocol)) || /[\s<>^|%#?@\\]/.test(name) || Number(port) > 65535) {
      throw new TypeError(`Invalid URL: ${text}`);
    }
    this.hostname = name;
    this.port = port === "" || String(Number(port)) === PORTS[this.protocol] ? "" : String(Number(port));
  }

  private relative(text: string, base: URL): void {
    const special = isSpecial(base.protocol);
    if (!base.pathname.startsWith("/")) throw new TypeError(`Invalid URL: ${text}`);
    const path = special ? text.replace(/^[^?#]*/, (path) => path.replaceAll("\\", "/")) : text;
    if (path.startsWith("//")) return this.absolute(base.protocol, path, text);
    for (const key of ["protocol", "username", "password", "hostname", "port"] as const) this[key] = base[key];
    if (path === "" || path.startsWith("#")) return this.tail(`${base.pathname}${base.search}${path}`, true);
    if (path.startsWith("?")) return this.tail(`${base.pathname}${path}`, true);
    this.tail(path.startsWith("/") ? path : `${base.pathname.replace(/[^/]*$/, "")}${path}`, true);
  }

  private escapedQuery(query: string): string {
    return escaped(query, isSpecial(this.protocol) ? /[^\x21\x24-\x26\x28-\x3b\x3d\x3f-\x7e]/gu : /[^\x21\x24-\x3b\x3d\x3f-\x7e]/gu);
  }

  private tail(text: string, hasPath: boolean): void {
    const [, path = "", query = "", hash = ""] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(text) ?? [];
    this.pathname = hasPath ? dots(escaped(path, /[^\x21\x24-\x3b\x3d\x40-\x5f\x61-\x7a\x7c\x7e]/gu)) : path;
    this.query = this.escapedQuery(query);
    this.hash = escaped(hash, /[^\x21\x23-\x3b\x3d\x3f-\x5f\x61-\x7e]/gu);
  }
}

function escaped(text: string, what: RegExp): string {
  return text.replace(what, (character) => encodeURIComponent(character.toWellFormed()).replace(/^.$/, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`));
}

/** Without `.` and `..`. */
function dots(path: string): string {
  const parts = path.split("/").slice(path.startsWith("/") ? 1 : 0);
  const kept: string[] = [];
  parts.forEach((part, at) => {
    const plain = part.replace(/%2e/gi, ".");
    const last = at === parts.length - 1;
    if (plain === "..") kept.pop();
    else if (plain !== ".") return void kept.push(part);
    if (last) kept.push("");
  });
  return `/${kept.join("/")}`;
}
