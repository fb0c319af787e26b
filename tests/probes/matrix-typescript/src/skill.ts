//! Every function of the interface, one tool for each.

import { config, Failure, files, http, kv, log, model, outcome, progress, Refusal, s, secrets, skill, tool, tools, user } from "ringfence";

const echo = tool({
  name: "echo",
  description: "Gives the text back.",
  input: { text: s.string() },
  readOnly: true,
  run: ({ text }) => text,
});

const Point = s.object({ x: s.number(), y: s.number() });
const Shapes = {
  count: s.integer().describe("How many."),
  ratio: s.number(),
  flag: s.boolean(),
  words: s.array(s.string()),
  mode: s.enum(["fast", "slow"]),
  point: Point,
};

const shapes = tool({
  name: "shapes",
  description: "Gives values of every shape back.",
  input: { ...Shapes, note: s.string().optional() },
  output: s.object({ ...Shapes, note: s.string().nullable() }),
  run: ({ note, ...rest }) => ({ ...rest, note: note ?? null }),
});

const logs = tool({
  name: "logs",
  description: "Writes a line at each level.",
  run() {
    const levels = ["trace", "debug", "info", "warn", "error"] as const;
    levels.forEach((level, n) => log[level](`line at ${level}`, { n }));
    return "ok";
  },
});

const progressing = tool({
  name: "progress",
  description: "Reports progress and emits three pieces.",
  run() {
    progress.report(1, 3, "one");
    progress.report(2, 3);
    progress.report(3, 3);
    for (const piece of "abc") progress.emit(piece);
    return "abc";
  },
});

const setting = tool({
  name: "setting",
  description: "Reads a setting.",
  input: { key: s.string() },
  output: s.object({ value: s.any() }),
  run: ({ key }) => ({ value: config.get(key) ?? null }),
});

const state = tool({
  name: "state",
  description: "Does with a key what can be done.",
  input: { key: s.string() },
  output: s.object({
    missing: s.boolean(),
    first: s.integer(),
    conflict: s.integer().nullable(),
    second: s.integer(),
    value: s.string(),
    keys: s.array(s.string()),
    deleted: s.boolean(),
  }),
  run({ key }) {
    const missing = kv.get(key) === undefined;
    const first = kv.set(key, "one", { if: "absent" });
    const conflict = kv.set(key, "x", { if: "absent" });
    const second = kv.set(key, "two", { if: first.version ?? 0 });
    if (!first.written || conflict.written || !second.written) throw new Error("a condition did not hold");
    const value = kv.get(key, s.string()) ?? "";
    const keys = [...kv.keys(key)];
    kv.delete(key);
    return { missing, first: first.version, conflict: conflict.version ?? null, second: second.version, value, keys, deleted: kv.get(key) === undefined };
  },
});

const fetch = tool({
  name: "fetch",
  description: "Gets a URL.",
  input: { url: s.string(), header: s.string().optional() },
  output: s.object({ status: s.integer(), body: s.string() }),
  run({ url, header }) {
    const response = http.get(url, header === undefined ? {} : { headers: { authorization: header } });
    return { status: response.status, body: response.text() };
  },
});

const fetchMany = tool({
  name: "fetch_many",
  description: "Gets many URLs at once.",
  input: { urls: s.array(s.string()) },
  output: s.object({ bodies: s.array(s.string()) }),
  run: ({ urls }) => ({ bodies: Array.from(http.parallel(urls, urls.length), (response) => response.text()) }),
});

const sendUp = tool({
  name: "send_up",
  description: "Posts a body piece by piece.",
  input: { url: s.string(), chunks: s.array(s.string()) },
  output: s.object({ status: s.integer(), body: s.string() }),
  run({ url, chunks }) {
    const upload = http.begin("POST", url);
    for (const chunk of chunks) upload.write(chunk);
    const response = upload.finish();
    return { status: response.status, body: response.text() };
  },
});

const secret = tool({
  name: "secret",
  description: "Says whether a secret may be used.",
  input: { name: s.string() },
  output: s.object({ exists: s.boolean() }),
  run: ({ name }) => ({ exists: secrets.exists(name) }),
});

const ask = tool({
  name: "ask",
  description: "Asks a model.",
  input: { prompt: s.string(), model: s.string().optional() },
  output: s.object({ text: s.string(), model: s.string(), output_tokens: s.integer() }),
  run({ prompt, model: name = "default" }) {
    const answer = model.ask(prompt, { model: name });
    return { text: answer.text, model: answer.model, output_tokens: answer.usage.outputTokens };
  },
});

const stream = tool({
  name: "stream",
  description: "Shows an answer as it is written.",
  input: { prompt: s.string() },
  output: s.object({ text: s.string(), pieces: s.integer() }),
  run({ prompt }) {
    let pieces = 0;
    const answer = model.open(prompt).finish((piece) => {
      pieces += 1;
      progress.emit(piece);
    });
    return { text: answer.text, pieces };
  },
});

const parallel = tool({
  name: "parallel",
  description: "Asks many things at once.",
  input: { prompts: s.array(s.string()) },
  output: s.object({ texts: s.array(s.string()) }),
  run: ({ prompts }) => ({ texts: Array.from(model.parallel(prompts, { inFlight: prompts.length }), (answer) => answer.text) }),
});

const City = s.object({ city: s.string(), population: s.integer() });

const structured = tool({
  name: "structured",
  description: "Asks a model for a city.",
  input: { prompt: s.string() },
  output: City,
  run: ({ prompt }) => model.json(prompt, City),
});

const toolLoop = tool({
  name: "tool_loop",
  description: "Lets a model add.",
  input: { prompt: s.string() },
  output: s.object({ text: s.string(), calls: s.integer() }),
  run({ prompt }, context) {
    let calls = 0;
    const add = tool({
      name: "add",
      description: "Adds two numbers.",
      input: { a: s.integer(), b: s.integer() },
      run({ a, b }) {
        calls += 1;
        return String(a + b);
      },
    });
    const { text } = model.run(prompt, { tools: [add], context });
    return { text, calls };
  },
});

const embed = tool({
  name: "embed",
  description: "Says how long the vectors of texts are.",
  input: { texts: s.array(s.string()) },
  output: s.object({ dimensions: s.array(s.integer()) }),
  run: ({ texts }) => ({ dimensions: model.embed("embed", texts).vectors.map((vector) => vector.length) }),
});

const Names = s.object({ names: s.array(s.string()) });

const models = tool({
  name: "models",
  description: "Names the models.",
  output: Names,
  run: () => ({ names: model.models().map((info) => info.name) }),
});

const listTools = tool({
  name: "list_tools",
  description: "Names the tools of others.",
  output: Names,
  run: () => ({ names: tools.list().map((listed) => listed.name) }),
});

const callTool = tool({
  name: "call_tool",
  description: "Calls another skill's tool.",
  input: { name: s.string(), input: s.record(s.any()) },
  output: s.object({ text: s.string(), structured: s.any() }),
  run({ name, input }) {
    const given = tools.call(name, input);
    return { text: given.text, structured: (given.structured ?? null) as null };
  },
});

const callMany = tool({
  name: "call_many",
  description: "Calls another skill's tool many times at once.",
  input: { name: s.string(), inputs: s.array(s.record(s.any())) },
  output: s.object({ texts: s.array(s.string()) }),
  run({ name, inputs }) {
    const pending = inputs.map((input) => tools.start(name, input));
    return { texts: pending.map((call) => call.wait().text) };
  },
});

const askPerson = tool({
  name: "ask_person",
  description: "Asks the person.",
  input: { question: s.string() },
  output: s.object({ answer: s.string() }),
  run: ({ question }) => ({ answer: user.ask(question) }),
});

const confirmPerson = tool({
  name: "confirm_person",
  description: "Asks the person for a yes or a no.",
  input: { question: s.string() },
  output: s.object({ answer: s.boolean() }),
  run: ({ question }) => ({ answer: user.confirm(question) }),
});

const readFile = tool({
  name: "read_file",
  description: "Reads a file.",
  input: { path: s.string() },
  run: ({ path }) => files.readText(path),
});

const writeFile = tool({
  name: "write_file",
  description: "Writes a file.",
  input: { path: s.string(), text: s.string() },
  run({ path, text }) {
    files.write(path, text);
    return "ok";
  },
});

const listFiles = tool({
  name: "list_files",
  description: "Names the files of a folder.",
  input: { path: s.string() },
  output: Names,
  run: ({ path }) => ({ names: files.list(path).map((entry) => entry.name) }),
});

const timeAndChance = tool({
  name: "time_and_chance",
  description: "Tells the time and a random number.",
  output: s.object({ now_ms: s.integer(), random: s.string() }),
  run() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return { now_ms: Date.now(), random: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  },
});

const giveUp = tool({
  name: "give_up",
  description: "Fails on purpose.",
  input: { message: s.string(), hint: s.string().optional() },
  run({ message, hint }) {
    throw Failure.invalidInput(message, hint);
  },
});

function deep(message: string): never {
  throw new Error(message);
}

const crash = tool({
  name: "crash",
  description: "Throws.",
  input: { message: s.string() },
  run: ({ message }) => deep(message),
});

const refusal = tool({
  name: "refusal",
  description: "Catches a refusal.",
  input: { prompt: s.string(), model: s.string() },
  output: s.object({ kind: s.string(), message: s.string(), hint: s.string().nullable() }),
  run({ prompt, model: name }) {
    try {
      model.ask(prompt, { model: name });
    } catch (error) {
      if (error instanceof Refusal) return { kind: error.kind, message: error.message, hint: error.hint ?? null };
      throw error;
    }
    throw Failure.failed("nothing was refused");
  },
});

const who = tool({
  name: "who",
  description: "Tells about the invocation.",
  output: s.object({ invocation: s.string(), caller: s.string(), deadline_ms: s.integer(), locale: s.string().nullable() }),
  run: (_, { invocation, caller, deadlineMs, locale }) => ({ invocation, caller, deadline_ms: deadlineMs, locale: locale ?? null }),
});

const media = tool({
  name: "media",
  description: "Gives a text, an image and a link.",
  run: () => outcome("here").withImage("image/png", new Uint8Array([1, 2, 3])).withLink("https://example.com/", "Example"),
});

const spin = tool({
  name: "spin",
  description: "Never ends.",
  run() {
    for (let n = 0; ; n += 1) if (n < 0) return "never";
  },
});

const big = tool({
  name: "big",
  description: "Gives a long text.",
  input: { bytes: s.integer() },
  run: ({ bytes }) => "x".repeat(bytes),
});

const unicode = tool({
  name: "unicode",
  description: "Gives characters of many kinds.",
  run: () => "Grüße, 世界 👋🏽 e\u0301",
});

export default skill(
  echo, shapes, logs, progressing, setting, state, fetch, fetchMany, sendUp, secret, ask, stream, parallel, structured, toolLoop, embed, models,
  listTools, callTool, callMany, askPerson, confirmPerson, readFile, writeFile, listFiles, timeAndChance, giveUp, crash, refusal, who, media,
  spin, big, unicode,
);
