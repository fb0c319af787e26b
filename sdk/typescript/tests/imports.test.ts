import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CallFailed, Cancelled, config, Denied, Failure, FileError, files, http, Invalid, kv, log, outcome, progress, s, secrets, TooLarge, tools, Unavailable, user } from "ringfence";
import { fakeHost } from "ringfence/fake";
import { describe, expect, test } from "vitest";

describe("kv", () => {
  test("keeps values with versions", () => {
    const host = fakeHost().store("old", { n: 1 });
    expect(kv.get("none")).toBeUndefined();
    expect(kv.get("old")).toEqual({ n: 1 });
    expect(kv.set("a", "one", { if: "absent" })).toEqual({ written: true, version: 2 });
    expect(kv.set("a", "x", { if: "absent" })).toEqual({ written: false, version: 2 });
    expect(kv.set("a", "two", { if: 2 })).toEqual({ written: true, version: 3 });
    expect(kv.entry("a")).toEqual({ value: "two", version: 3 });
    expect(kv.delete("a", { if: 2 })).toEqual({ written: false, version: 3 });
    kv.delete("a");
    expect(kv.set("a", "three")).toBe(4);
    expect(host.stored("a")).toBe("three");
    kv.set("bytes", new Uint8Array([255, 0]));
    expect(kv.getBytes("bytes")).toEqual(new Uint8Array([255, 0]));
    expect(() => kv.get("bytes")).toThrow(Invalid);
  });

  test("lists page by page", () => {
    const host = fakeHost();
    for (let n = 0; n < 250; n += 1) host.store(`k${String(n).padStart(3, "0")}`, n);
    expect([...kv.keys("k")]).toHaveLength(250);
    expect([...kv.keys("k24")]).toHaveLength(10);
  });

  test("updates what others change meanwhile", () => {
    const host = fakeHost().store("n", 1).race("n", 10);
    expect(kv.update<number>("n", (old = 0) => old + 1)).toBe(11);
    expect(host.stored("n")).toBe(11);
    for (let n = 0; n < 40; n += 1) host.race("n", n);
    expect(() => kv.update<number>("n", (old = 0) => old + 1)).toThrow("changed by others 32 times");
  });

  test("refuses what the host would", () => {
    const host = fakeHost();
    expect(() => kv.get("")).toThrow(Invalid);
    expect(() => kv.set("a", undefined)).toThrow("cannot be JSON");
    expect(() => kv.set("a", new Uint8Array(1024 * 1024 + 1))).toThrow(TooLarge);
    host.refuseKv(new Unavailable("the disk"));
    expect(() => kv.get("a")).toThrow(Unavailable);
    host.store("a", 1);
    expect(() => kv.get("a", s.string())).toThrow("what is stored under `a` is not what the skill expects");
  });
});

describe("http", () => {
  test("sends and reads", () => {
    const host = fakeHost().serve("https://example.com/a", { json: { a: 1 }, headers: { "X-Mark": "m" } });
    const response = http.post("https://example.com/a?q=1", { headers: { authorization: secrets.bearer("T") }, json: { b: 2 } });
    expect(response.header("x-mark")).toBe("m");
    expect(response.ok).toBe(true);
    expect(response.json(s.object({ a: s.integer() }))).toEqual({ a: 1 });
    expect(host.sent[0]).toMatchObject({ method: "POST", body: '{"b":2}', headers: { authorization: "Bearer {{secret:T}}", "content-type": "application/json" } });
  });

  test("knows bad statuses", () => {
    fakeHost().serve("https://a/404", { status: 404 }).serve("https://a/500", { status: 500 }).serve("https://a/text", "no json");
    expect(http.get("https://a/404").status).toBe(404);
    expect(() => http.get("https://a/404?key=k").throwForStatus()).toThrow(new Invalid("`https://a/404` answered with status 404"));
    expect(() => http.get("https://a/500").throwForStatus()).toThrow(Unavailable);
    expect(() => http.get("https://a/text").json()).toThrow("is not JSON");
    expect(() => http.get("https://b/")).toThrow(Denied);
  });

  test("sends many at once, in order, and no more than asked", () => {
    const host = fakeHost().serveWith(({ url }) => url);
    const texts = Array.from(http.parallel(["https://a/1", { url: "https://a/2", method: "POST" }, "https://a/3"], 2), (response) => response.text());
    expect(texts).toEqual(["https://a/1", "https://a/2", "https://a/3"]);
    expect(host.mostInFlight).toBe(2);
  });

  test("uploads piece by piece", () => {
    const host = fakeHost().serveWith(({ body }) => ({ status: 201, body }));
    const upload = http.begin("PUT", "https://a/");
    upload.write("a");
    upload.write(new Uint8Array([98]));
    const response = upload.finish();
    expect([response.status, response.text()]).toEqual([201, "ab"]);
    expect(() => upload.finish()).toThrow(Invalid);
    expect(host.sent).toHaveLength(1);
  });

  test("reads by pieces", () => {
    fakeHost().serve("https://a/", "abcdef");
    const response = http.get("https://a/");
    expect(response.read(4)).toHaveLength(4);
    expect(response.text()).toBe("ef");
  });
});

describe("tools of other skills", () => {
  test("are called, one or many", () => {
    const host = fakeHost().tool("echo/echo", ({ text }) => text).tool("math/add", { sum: 3 });
    expect(tools.list().map((listed) => listed.name)).toEqual(["echo/echo", "math/add"]);
    expect(tools.call("echo/echo", { text: "a" }).text).toBe("a");
    expect(tools.callFor("math/add", {}, s.object({ sum: s.integer() }))).toEqual({ sum: 3 });
    const pending = ["x", "y"].map((text) => tools.start("echo/echo", { text }));
    expect(pending.map((call) => call.wait().text)).toEqual(["x", "y"]);
    expect(host.mostInFlight).toBe(2);
    expect(host.calls[0]).toEqual({ name: "echo/echo", input: { text: "a" } });
    expect(() => tools.callFor("echo/echo", { text: "a" })).toThrow("gave no value");
  });

  test("fail and are refused", () => {
    fakeHost().tool("a/bad", Failure.invalidInput("wrong", "hint")).tool("a/no", new Cancelled()).tool("a/media", outcome("t").withLink("u:v"));
    expect(() => tools.call("a/bad", {})).toThrow(CallFailed);
    expect(() => tools.call("a/no", {})).toThrow(Cancelled);
    expect(tools.call("a/media", {}).content).toHaveLength(2);
  });
});

describe("the person", () => {
  test("answers, declines, or is not there", () => {
    const host = fakeHost().personAnswers("Ada", true, "plain", 3, { a: "b" }).refuseQuestion(new Cancelled());
    expect(user.ask("Name?", { remember: "name" })).toBe("Ada");
    expect(user.confirm("Sure?")).toBe(true);
    expect(user.choose("Tone?", ["plain", "formal"])).toBe("plain");
    expect(user.number("How many?")).toBe(3);
    expect(user.ask("All?", { schema: s.object({ a: s.string() }) })).toEqual({ a: "b" });
    expect(() => user.ask("More?")).toThrow(Cancelled);
    expect(() => user.ask("More?")).toThrow(Unavailable);
    expect(host.questions[0]).toMatchObject({ text: "Name?", remember: "name", schema: undefined });
    expect(host.questions[2]?.schema).toEqual({ type: "string", enum: ["plain", "formal"] });
  });
});

test("settings, secrets, log and progress", () => {
  const host = fakeHost().config({ tone: "dry", n: 1 }).secret("TOKEN");
  expect(config.get("tone")).toBe("dry");
  expect(config.get("none", s.string()) ?? "else").toBe("else");
  expect(() => config.get("n", s.string())).toThrow("the setting `n` is not what the skill expects: expected a text, found 1");
  expect([secrets.exists("TOKEN"), secrets.exists("OTHER")]).toEqual([true, false]);
  log.info("read", { file: "a", n: 1, list: [1], error: new Error("e") });
  expect(host.lines).toEqual([{ level: "info", message: "read", fields: { file: "a", n: "1", list: "[1]", error: "Error: e" } }]);
  const step = progress.steps(2, "begin");
  step("one");
  progress.say("now");
  progress.emit("a");
  progress.emit("");
  progress.emit("b");
  expect(host.progress.map(({ done, total }) => [done, total])).toEqual([[0, 2], [1, 2], [0, undefined]]);
  expect(host.output).toBe("ab");
});

test("files of a folder that the test puts in place", () => {
  fakeHost().folder("docs", mkdtempSync(join(tmpdir(), "ringfence-")));
  files.write("/docs/b.txt", "bé");
  files.append("/docs/b.txt", "!");
  files.writeNew("/docs/a.bin", new Uint8Array([1, 2]));
  expect(() => files.writeNew("/docs/a.bin", "")).toThrow(FileError);
  expect(files.readText("/docs/b.txt")).toBe("bé!");
  expect(files.list("/docs")).toEqual([{ name: "a.bin", kind: "file" }, { name: "b.txt", kind: "file" }]);
  expect(files.stat("/docs/a.bin")).toMatchObject({ kind: "file", size: 2 });
  files.makeFolder("/docs/sub");
  files.rename("/docs/a.bin", "/docs/sub/a.bin");
  expect([files.exists("/docs/a.bin"), files.exists("/docs/sub/a.bin")]).toEqual([false, true]);
  files.remove("/docs/sub/a.bin");
  files.removeFolder("/docs/sub");
  expect(() => files.read("/docs/none")).toThrow("cannot read `/docs/none`: no such file or folder");
});
