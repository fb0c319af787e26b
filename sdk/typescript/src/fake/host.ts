//! The fake itself: what it was told, and what it saw.

import { asFailure } from "../failure.js";
import type * as wit from "../host/wit.js";
import type { Level } from "../log.js";
import type { ModelInfo } from "../model/index.js";
import { fromWit, type Outcome, toWit } from "../outcome.js";
import { type Refusal, Unavailable } from "../refusal.js";
import { Skill } from "../skill.js";
import type { Context, Tool } from "../tool.js";
import { maybe, use } from "./current.js";
import { Others, type OtherTool } from "./others.js";
import { thrown } from "./refuse.js";
import { type Answer, Reply, text, usage } from "./reply.js";
import { Store } from "./store.js";
import { type Page, type SentRequest, type Server, Web } from "./web.js";

/** A request to a model as the fake saw it. */
export interface SeenRequest {
  model: string;
  /** The text of all messages, joined by blank lines. */
  prompt: string;
  messages: { role: string; text: string }[];
  tools: string[];
  schema: any;
  maxTokens: number | undefined;
  temperature: number | undefined;
}

/** Gives an answer, or leaves the call to the next rule by giving undefined. */
export type Rule = (request: SeenRequest) => Answer | undefined;

/**
 * A host for tests. It grants everything, knows no answers, and has no settings and no stored keys.
 *
 * Answers for model calls are found in this order: the first rule that has one (`answerWhen`, `answerWith`), then the next scripted one
 * (`answer`). Where there is none the test fails.
 */
export class Host {
  /** The requests to models, in order. */
  readonly requests: SeenRequest[] = [];
  /** The lines of the log. */
  readonly lines: { level: Level; message: string; fields: Record<string, string> }[] = [];
  /** The reports of progress. */
  readonly progress: { done: number; total: number | undefined; message: string | undefined }[] = [];
  /** What was emitted, joined. */
  output = "";
  /** The questions that the person was asked. */
  readonly questions: { text: string; schema: any; timeoutMs: number | undefined; remember: string | undefined }[] = [];
  /** The largest number of generations, requests or calls of tools that were open at once. */
  mostInFlight = 0;

  /** For the imports. */
  readonly settings = new Map<string, string>();
  readonly secrets = new Set<string>();
  readonly kv = new Store();
  readonly web = new Web();
  readonly others = new Others();
  readonly modelInfos: wit.ModelInfo[] = [];
  private readonly answers: Reply[] = [];
  private readonly rules: Rule[] = [];
  private readonly vectorsLeft: number[][] = [];
  private readonly person: (Refusal | { json: string })[] = [];
  private readonly folders = new Map<string, string>();
  private inFlight = 0;

  /** The text of each request to a model. */
  get prompts(): string[] {
    return this.requests.map((request) => request.prompt);
  }

  /** All requests to servers, in order. The body of an upload is there when it was finished. */
  get sent(): SentRequest[] {
    return this.web.sent;
  }

  /** The calls of other skills' tools. */
  get calls(): { name: string; input: any }[] {
    return this.others.calls;
  }

  /** The next answers to model calls: texts, values for structured output, refusals, or `Reply`s. */
  answer(...answers: Answer[]): this {
    this.answers.push(...answers.map(Reply.of));
    return this;
  }

  /** The answer to every model call whose messages contain `words`. */
  answerWhen(words: string, answer: Answer): this {
    return this.answerWith((request) => (request.prompt.includes(words) ? answer : undefined));
  }

  /** Answers model calls by a function; undefined leaves the call to the next rule. */
  answerWith(rule: Rule): this {
    this.rules.push(rule);
    return this;
  }

  /** The next model call is refused. */
  refuse(refusal: Refusal): this {
    return this.answer(refusal);
  }

  /** Vectors for the next embeddings, one per input. */
  vectors(...vectors: number[][]): this {
    this.vectorsLeft.push(...vectors);
    return this;
  }

  /** A model that the skill may use. */
  model(name: string, info: Partial<Omit<ModelInfo, "name">> = {}): this {
    const { maxTokens = 4096, contextWindow, local = true } = info;
    this.modelInfos.push({ name, maxTokens, contextWindow: contextWindow ?? null, local });
    return this;
  }

  /** Settings of the operator. */
  config(settings: Record<string, unknown>): this {
    for (const [key, value] of Object.entries(settings)) this.settings.set(key, JSON.stringify(value));
    return this;
  }

  /** A stored value, as JSON; bytes as they are. */
  store(key: string, value: unknown): this {
    this.kv.write(key, bytes(value));
    return this;
  }

  /** What is stored under a key, read as JSON. */
  stored<T = any>(key: string): T | undefined {
    const entry = this.kv.entries.get(key);
    return entry === undefined ? undefined : JSON.parse(new TextDecoder().decode(entry.value));
  }

  /** The next call of `kv` is refused. */
  refuseKv(refusal: Refusal): this {
    this.kv.refusals.push(refusal);
    return this;
  }

  /** Another invocation writes this just before the skill's next conditional write of the key. */
  race(key: string, value: unknown): this {
    this.kv.races.push({ key, value: bytes(value) });
    return this;
  }

  /** A secret that the skill may use. */
  secret(name: string): this {
    this.secrets.add(name);
    return this;
  }

  /** Answers every request for this URL, whatever its method. A URL without a query answers every query. */
  serve(url: string, page: Page): this {
    return this.serveWith((request) => (request.url === url || request.url.split("?")[0] === url ? page : undefined));
  }

  /** Answers requests by a function. What nobody answers is denied, as by a host that granted nothing. */
  serveWith(server: Server): this {
    this.web.servers.push(server);
    return this;
  }

  /** A tool of another skill, `skill/tool`. */
  tool(name: string, tool: OtherTool): this {
    this.others.add(name, tool);
    return this;
  }

  /** What the person answers next. Where no answer is left, nobody is there. */
  personAnswers(...answers: unknown[]): this {
    this.person.push(...answers.map((answer) => ({ json: JSON.stringify(answer) })));
    return this;
  }

  /** The next question is refused, for example because the person declines. */
  refuseQuestion(refusal: Refusal): this {
    this.person.push(refusal);
    return this;
  }

  /** Puts a folder of this machine in the place of one that the operator grants: `folder("docs", directory)`. */
  folder(name: string, directory: string): this {
    this.folders.set(name.replace(/^\/+|\/+$/g, ""), directory);
    return this;
  }

  /** Calls a tool as the host does: with a value that went through JSON. Rejects with a `Failure`. */
  async call(called: Tool<any, any>, input: object = {}, context: Partial<Context> = {}): Promise<Outcome> {
    const before = maybe();
    use(this);
    try {
      const given = await called.call(JSON.parse(JSON.stringify(input)), { ...CONTEXT, ...context });
      // Through the WIT's form and back, so that a test sees what a caller sees.
      return fromWit(toWit(given));
    } catch (error) {
      throw asFailure(error);
    } finally {
      use(before);
    }
  }

  /** Calls a tool of a skill by its name. */
  async callByName(skill: Skill, name: string, input: object = {}, context: Partial<Context> = {}): Promise<Outcome> {
    const found = skill.tools.find((tool) => tool.name === name);
    if (found !== undefined) return this.call(found, input, context);
    return skill.call(name, input, { ...CONTEXT, ...context });
  }

  reply(raw: wit.ModelRequest): Reply {
    const seen = see(raw);
    this.requests.push(seen);
    for (const rule of this.rules) {
      const answer = rule(seen);
      if (answer !== undefined) return Reply.of(answer);
    }
    const next = this.answers.shift();
    if (next !== undefined) return next;
    throw new Error(`the skill asked a model and the fake has no answer for it: script one with \`.answer("...")\`. It asked:\n${seen.prompt}`);
  }

  embed(model: string, inputs: string[]): wit.Embeddings {
    if (this.vectorsLeft.length < inputs.length) {
      throw new Error(`the skill embedded ${inputs.length} texts and the fake has ${this.vectorsLeft.length} vectors left: give it more with \`.vectors(...)\``);
    }
    return { vectors: this.vectorsLeft.splice(0, inputs.length), model: `fake/${model}`, usage: usage(inputs.join(""), "") };
  }

  ask({ text, schema, timeoutMs, remember }: wit.Question): string {
    this.questions.push({ text, schema: schema === null ? undefined : JSON.parse(schema), timeoutMs: timeoutMs ?? undefined, remember: remember ?? undefined });
    const answer = this.person.shift() ?? new Unavailable("nobody is there who could answer a question");
    if ("json" in answer) return answer.json;
    throw thrown(answer);
  }

  /** One more is under way, until what is given back is called. */
  begin(): () => void {
    let open = true;
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    return () => {
      if (open) this.inFlight -= 1;
      open = false;
    };
  }

  place(path: string): string {
    const [, name = "", rest = ""] = /^\/*([^/]*)(.*)$/s.exec(path) ?? [];
    const folder = this.folders.get(name);
    return folder === undefined ? path : `${folder}${rest}`;
  }
}

const CONTEXT: Context = { invocation: "test", caller: "user", deadlineMs: 60_000, locale: undefined };

function see(raw: wit.ModelRequest): SeenRequest {
  return {
    model: raw.model,
    prompt: raw.messages.map(text).join("\n\n"),
    messages: raw.messages.map((message) => ({ role: message.role, text: text(message) })),
    tools: raw.tools.map((tool) => tool.name),
    schema: raw.outputSchema === null ? undefined : JSON.parse(raw.outputSchema),
    maxTokens: raw.maxTokens ?? undefined,
    temperature: raw.temperature ?? undefined,
  };
}

function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new TextEncoder().encode(JSON.stringify(value));
}
