//! For the fuzzer in `tests/fuzz` and the test that runs its seeds: what reads bytes of strangers, one function each, with what
//! must hold of whatever comes. Only in builds that check assertions; nothing else calls it.
//!
//! Each function stands beside what it tries (`catalog/fuzz.rs`, `capability/kv/fuzz.rs` ...) and panics where something does
//! not hold. Faces that do not exist yet (a server, MCP, archives) have none.

/// One way in, and what to do with what comes.
#[derive(Clone, Copy)]
pub struct Target {
    /// As it is named on the command line, and the folder of its seeds.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "load", run: crate::catalog::fuzz::load },
    Target { name: "manifest", run: crate::policy::fuzz::manifest },
    Target { name: "policy_url", run: crate::capability::http::fuzz::policy_url },
    Target { name: "json_in", run: crate::schema::fuzz::json_in },
    Target { name: "sse", run: crate::capability::model::wire::fuzz::sse },
    Target { name: "kv_key", run: crate::capability::kv::fuzz::kv_key },
    Target { name: "audit_parse", run: crate::journal::audit::fuzz::audit_parse },
    Target { name: "signature", run: crate::catalog::signature::fuzz::signature },
    Target { name: "redact", run: crate::capability::secrets::fuzz::redact },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
