/// <reference path="./globals.d.ts" />
/// <reference path="./host/modules.d.ts" />
//! Write skills for Ringfence in TypeScript and JavaScript: functions become tools, and the host brokers what they need.
//!
//! The modules have the names of the interfaces in `wit/`. Their functions are synchronous: they wait for the host and return what it gave.
//! A refusal is thrown.

export * as config from "./config.js";
export * as files from "./files.js";
export * as http from "./http.js";
export * as kv from "./kv.js";
export * as log from "./log.js";
export * as model from "./model/index.js";
export * as progress from "./progress.js";
export * as secrets from "./secrets.js";
export * as text from "./text/index.js";
export * as tools from "./tools.js";
export * as user from "./user.js";

export { CallFailed, Failure, type FailureKind } from "./failure.js";
export { FileError } from "./file-error.js";
export { type Content, Outcome, outcome, structured } from "./outcome.js";
export { Cancelled, Denied, Invalid, OverBudget, Refusal, type RefusalKind, TimedOut, TooLarge, Unavailable } from "./refusal.js";
export { type Fields, s, Type } from "./schema/build.js";
export type { Infer, Json, JsonSchema, Schema } from "./schema/standard.js";
export { Skill, skill } from "./skill.js";
export { type Caller, type Context, type Hints, type Input, Tool, tool, type ToolOptions } from "./tool.js";
