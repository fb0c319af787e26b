//! The imports of a component. The build keeps of these only what the bundle uses, so that a skill which makes no request cannot make
//! one either: keep to one constant for each interface, and to the notes that the calls are pure.

import config_ from "ringfence:skill/config@0.1.0";
import http_ from "ringfence:skill/http@0.1.0";
import kv_ from "ringfence:skill/kv@0.1.0";
import log_ from "ringfence:skill/log@0.1.0";
import model_ from "ringfence:skill/model@0.1.0";
import progress_ from "ringfence:skill/progress@0.1.0";
import secrets_ from "ringfence:skill/secrets@0.1.0";
import tools_ from "ringfence:skill/tools@0.1.0";
import user_ from "ringfence:skill/user@0.1.0";
import { guarded, muted } from "./running.js";
import type * as wit from "./wit.js";

export { wasiFiles as files } from "./wasi-files.js";
export { randomBytes, sleep } from "./wasi.js";

export const config: wit.Config = /* @__PURE__ */ guarded("config", config_);
export const http: wit.Http = /* @__PURE__ */ guarded("http", http_);
export const kv: wit.Kv = /* @__PURE__ */ guarded("kv", kv_);
export const log: wit.Log = /* @__PURE__ */ muted(log_);
export const model: wit.Model = /* @__PURE__ */ guarded("model", model_);
export const progress: wit.Progress = /* @__PURE__ */ muted(progress_);
export const secrets: wit.Secrets = /* @__PURE__ */ guarded("secrets", secrets_);
export const tools: wit.Tools = /* @__PURE__ */ guarded("tools", tools_);
export const user: wit.User = /* @__PURE__ */ guarded("user", user_);
