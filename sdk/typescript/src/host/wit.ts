//! The interfaces of `wit/` as the engine shows them: kebab-case names in camelCase, `option` as null, variants as `{ tag, val }`,
//! errors thrown. Only the SDK sees these; what a skill sees is in the modules beside this folder.

export type Variant<Tag extends string, Value> = { tag: Tag; val: Value };
export type Plain<Tag extends string> = { tag: Tag };

export type Refusal =
  | Variant<"denied", { capability: string; subject: string; reason: string; hint: string }>
  | Variant<"over-budget", { scope: string; unit: string; limit: number; used: number; needed: number }>
  | Variant<"unavailable" | "invalid" | "timed-out", string>
  | Variant<"too-large", { what: string; limit: number; actual: number | null }>
  | Plain<"cancelled">;

export type FailureKind = "invalid-input" | "unknown-tool" | "refused" | "unavailable" | "failed";
export interface Failure { kind: FailureKind; message: string; hint: string | null }

export interface Hints { readOnly: boolean; destructive: boolean; idempotent: boolean; openWorld: boolean }
export interface Tool {
  name: string;
  title: string | null;
  description: string;
  inputSchema: string;
  outputSchema: string | null;
  hints: Hints;
}

export interface Media { mediaType: string; data: Uint8Array }
export interface Link { uri: string; title: string | null; mediaType: string | null }
export type Content = Variant<"text", string> | Variant<"image" | "audio", Media> | Variant<"link", Link>;
export interface Outcome { content: Content[]; structured: string | null }

export type Caller = "user" | "client" | "model" | "skill";
export interface Context { invocation: string; caller: Caller; deadlineMs: number; locale: string | null }

/** What the engine gives a resource so that it can be dropped before the call ends. */
export interface Resource { [Symbol.dispose]?(): void }

export type Level = "trace" | "debug" | "info" | "warn" | "error";
export interface Log { log(level: Level, message: string, fields: [string, string][]): void }
export interface Progress { report(done: number, total: number | null, message: string | null): void; emit(text: string): void }
export interface Config { get(key: string): string | null }
export interface Secrets { exists(name: string): boolean }

export interface Entry { value: Uint8Array; version: number }
export type Condition = Plain<"always"> | Plain<"absent"> | Variant<"version", number>;
export type Written = Variant<"done", number> | Variant<"conflict", number | null>;
export interface Kv {
  get(key: string): Entry | null;
  set(key: string, value: Uint8Array, condition: Condition): Written;
  delete(key: string, condition: Condition): Written;
  list(prefix: string, cursor: string | null, limit: number): { keys: string[]; cursor: string | null };
}

export interface HttpRequest {
  method: string;
  url: string;
  headers: [string, string][];
  body: Uint8Array;
  follow: boolean;
  timeoutMs: number | null;
}
export interface Head { status: number; url: string; headers: [string, string][] }
export interface HttpResponse extends Resource { head(): Head; read(max: number): Uint8Array }
export interface HttpPending extends Resource { wait(): HttpResponse }
export interface HttpUpload extends Resource { write(chunk: Uint8Array): void; finish(): HttpResponse }
export interface Http {
  send(request: HttpRequest): HttpResponse;
  start(request: HttpRequest): HttpPending;
  begin(request: HttpRequest): HttpUpload;
}

export type Role = "system" | "user" | "assistant" | "tool";
export interface ToolCall { id: string; name: string; input: string; signature: string | null }
export interface ToolResult { id: string; content: string; isError: boolean }
export type Part =
  | Variant<"text", string>
  | Variant<"image", Media>
  | Variant<"thinking", { text: string; signature: string | null }>
  | Variant<"tool-call", ToolCall>
  | Variant<"tool-result", ToolResult>;
export interface Message { role: Role; parts: Part[] }
export type ToolChoice = Plain<"auto"> | Plain<"none"> | Plain<"required"> | Variant<"named", string>;
export type Effort = "none" | "low" | "medium" | "high";
export interface ModelRequest {
  model: string;
  messages: Message[];
  tools: { name: string; description: string; inputSchema: string }[];
  toolChoice: ToolChoice;
  outputSchema: string | null;
  maxTokens: number | null;
  temperature: number | null;
  topP: number | null;
  stop: string[];
  effort: Effort | null;
  cacheUntil: number | null;
  providerOptions: string | null;
}
export type StopReason = "end" | "max-tokens" | "tool-call" | "refused" | "stop-sequence";
export interface Usage {
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  microDollars: number | null;
}
export interface ModelResponse { message: Message; stopReason: StopReason; model: string; usage: Usage }
export type Event =
  | Variant<"text" | "thinking", string>
  | Variant<"tool-call-start" | "tool-call-delta", [string, string]>
  | Variant<"tool-call", ToolCall>
  | Variant<"done", ModelResponse>;
export interface Generation extends Resource { next(): Event[] }
export interface Embeddings { vectors: ArrayLike<number>[]; model: string; usage: Usage }
export interface ModelInfo { name: string; maxTokens: number; contextWindow: number | null; local: boolean }
export interface Model {
  generate(request: ModelRequest): ModelResponse;
  open(request: ModelRequest): Generation;
  embed(model: string, inputs: string[]): Embeddings;
  models(): ModelInfo[];
}

export type Answer = Variant<"outcome", Outcome> | Variant<"failure", Failure>;
export interface PendingCall extends Resource { wait(): Answer }
export interface Tools {
  list(): { name: string; tool: Tool }[];
  call(name: string, input: string): Answer;
  start(name: string, input: string): PendingCall;
}

export interface Question { text: string; schema: string | null; timeoutMs: number | null; remember: string | null }
export interface User { ask(question: Question): string }

/** Files by whole paths. The component has them from WASI's folders, a test from Node. Errors are `FileError`s. */
export interface Files {
  read(path: string): Uint8Array;
  write(path: string, data: Uint8Array, how: "replace" | "append" | "new"): void;
  list(path: string): { name: string; kind: FileKind }[];
  stat(path: string): { kind: FileKind; size: number; modified: Date | undefined };
  makeFolder(path: string): void;
  remove(path: string): void;
  removeFolder(path: string): void;
  rename(from: string, to: string): void;
}
export type FileKind = "file" | "folder" | "other";
