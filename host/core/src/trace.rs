//! What an invocation tells those who trace it: a span of its own, and one for each of its acts.
//!
//! Spans are those of `tracing`, so that this crate knows no exporter: a face brings a layer that listens to [`TARGET`], and where
//! none does, a span is one look at a flag. Names follow the semantic conventions of OpenTelemetry (general, HTTP and GenAI) where
//! they have one. What a skill works on, secrets and paths are in none of them: names of models, skills and servers, amounts and
//! kinds alone.

use std::sync::OnceLock;

use tracing::field::Empty;
use tracing::{Level, Span, info_span, record_all};

use crate::budget::Amount;

/// Where all spans and events of this module belong to.
pub const TARGET: &str = "ringfence::trace";

/// Headers (W3C Trace Context) that say to another program which span it works for. None where nobody listens.
pub type Carrier = fn(&Span) -> Vec<(&'static str, String)>;

static CARRIER: OnceLock<Carrier> = OnceLock::new();

/// Says how a span is told to providers of models. Like the listener itself it is one for the process; the first one counts.
pub fn carry_with(carrier: Carrier) {
    // A second face in the same process is content with the first one's.
    let _ = CARRIER.set(carrier);
}

/// What goes with a request to a provider, or with a call of a server's tool, that is made for the current span.
pub(crate) fn carried() -> Vec<(&'static str, String)> {
    let Some(carrier) = CARRIER.get() else { return Vec::new() };
    let span = Span::current();
    if span.is_disabled() { Vec::new() } else { carrier(&span) }
}

/// Who is called, for the span of an invocation.
pub(crate) struct Called<'a> {
    pub(crate) invocation: &'a str,
    /// The name in the manifest: an identity may be a path.
    pub(crate) skill: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) caller: &'static str,
}

/// An invocation, below the act that made it or, where no skill did, below what the face is doing.
pub(crate) fn invocation(above: Option<&Span>, called: &Called<'_>) -> Span {
    let current;
    let above = match above {
        Some(above) => above,
        None => {
            current = Span::current();
            &current
        }
    };
    info_span!(
        target: TARGET,
        parent: above,
        "invocation",
        otel.name = format!("execute_tool {}/{}", called.skill, called.tool),
        otel.status_code = Empty,
        "error.type" = Empty,
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = format!("{}/{}", called.skill, called.tool),
        ringfence.invocation = called.invocation,
        ringfence.caller = called.caller,
        ringfence.usage.input_tokens = Empty,
        ringfence.usage.output_tokens = Empty,
        ringfence.usage.micro_dollars = Empty,
        ringfence.usage.host_calls = Empty,
        ringfence.queued_us = Empty,
        ringfence.instantiate_us = Empty,
        ringfence.cpu_us = Empty,
        ringfence.memory_peak_bytes = Empty,
    )
}

/// A run of an agent, below what the face is doing.
pub(crate) fn agent(identity: &str, invocation: &str, caller: &'static str) -> Span {
    info_span!(
        target: TARGET,
        "agent",
        otel.name = format!("invoke_agent {identity}"),
        otel.status_code = Empty,
        "error.type" = Empty,
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = identity,
        ringfence.invocation = invocation,
        ringfence.caller = caller,
        ringfence.usage.input_tokens = Empty,
        ringfence.usage.output_tokens = Empty,
        ringfence.usage.micro_dollars = Empty,
        ringfence.usage.host_calls = Empty,
    )
}

/// A request to a model, for a skill. `operation` is `chat` or `embeddings`.
pub(crate) fn model(parent: &Span, operation: &'static str, name: &str) -> Span {
    info_span!(
        target: TARGET,
        parent: parent,
        "model",
        otel.name = format!("{operation} {name}"),
        otel.kind = "client",
        otel.status_code = Empty,
        "error.type" = Empty,
        gen_ai.operation.name = operation,
        gen_ai.request.model = name,
        gen_ai.provider.name = Empty,
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        ringfence.usage.micro_dollars = Empty,
    )
}

/// One HTTP request of a skill, one hop: without path and query.
pub(crate) fn http(parent: &Span, method: &str, host: &str, port: u16) -> Span {
    info_span!(
        target: TARGET,
        parent: parent,
        "http",
        otel.name = method,
        otel.kind = "client",
        otel.status_code = Empty,
        "error.type" = Empty,
        http.request.method = method,
        http.response.status_code = Empty,
        server.address = host,
        server.port = i64::from(port),
    )
}

/// An act of any other capability.
pub(crate) fn act(parent: &Span, capability: &'static str) -> Span {
    info_span!(
        target: TARGET,
        parent: parent,
        "act",
        otel.name = capability,
        otel.status_code = Empty,
        "error.type" = Empty,
        ringfence.capability = capability,
    )
}

/// The model that answered, as `provider/model`.
pub(crate) fn answered(span: &Span, model: &str) {
    if let Some((provider, _)) = model.split_once('/') {
        span.record("gen_ai.provider.name", provider);
    }
    span.record("gen_ai.response.model", model);
}

/// Says nothing where there is nothing: most calls use no model, and each field costs.
fn some(amount: u64) -> Option<i64> {
    (amount > 0).then(|| number(amount))
}

/// As OpenTelemetry has numbers, which all have a sign: others would arrive as text.
fn number(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// What an act used.
pub(crate) fn used(span: &Span, used: &Amount) {
    if used.is_zero() {
        return;
    }
    record_all!(
        span,
        gen_ai.usage.input_tokens = some(used.input_tokens),
        gen_ai.usage.output_tokens = some(used.output_tokens),
        ringfence.usage.micro_dollars = some(used.micro_dollars),
    );
}

/// What an invocation took of the machine. Its processor time is that of all that it called as well.
pub(crate) struct Took {
    pub(crate) queued_us: u64,
    pub(crate) instantiate_us: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) memory_peak: u64,
}

/// What a run used, with all that it called. In fields of their own: a sum over `gen_ai.usage` must count nothing twice.
pub(crate) fn spent(span: &Span, used: &Amount) {
    record_all!(
        span,
        ringfence.usage.input_tokens = some(used.input_tokens),
        ringfence.usage.output_tokens = some(used.output_tokens),
        ringfence.usage.micro_dollars = some(used.micro_dollars),
        ringfence.usage.host_calls = some(used.host_calls),
    );
}

/// As [`spent`], of an invocation that came to its end. At once: to tell listeners twice costs twice.
pub(crate) fn finished(span: &Span, used: &Amount, took: &Took) {
    record_all!(
        span,
        ringfence.usage.input_tokens = some(used.input_tokens),
        ringfence.usage.output_tokens = some(used.output_tokens),
        ringfence.usage.micro_dollars = some(used.micro_dollars),
        ringfence.usage.host_calls = some(used.host_calls),
        ringfence.queued_us = number(took.queued_us),
        ringfence.instantiate_us = number(took.instantiate_us),
        ringfence.cpu_us = number(took.cpu_ns / 1_000),
        ringfence.memory_peak_bytes = number(took.memory_peak),
    );
}

/// How it ended: `ok`, or the kind of an error. The error's sentence may hold what a skill says, and stays out.
pub fn ended(span: &Span, kind: &str) {
    if kind != "ok" {
        span.record("error.type", kind);
        span.record("otel.status_code", "ERROR");
    }
}

/// Policy or a budget refused an act: an event of the invocation that wanted it.
pub(crate) fn refused(span: &Span, capability: &'static str, kind: &'static str) {
    tracing::event!(
        target: TARGET,
        parent: span,
        Level::INFO,
        { message = "refused", ringfence.capability = capability, ringfence.refusal = kind }
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_listens_there_is_no_span() {
        let nobody = Span::none();
        let spans = [model(&nobody, "chat", "m"), http(&nobody, "GET", "a.test", 443), act(&nobody, "kv")];
        for span in spans {
            assert!(span.is_disabled());
            ended(&span, "denied");
        }
        assert!(carried().is_empty());
    }
}
