//! From an error of the core to the words of a face: one table of kinds, with the exit code and the HTTP status of each.
//!
//! Exit codes: 0 it worked; 1 the skill failed, or the audit does not hold; 2 the command line, the input, the skill's file or the configuration is
//! wrong; 3 refused by policy or budget; 4 something that is needed is unavailable; 5 a limit was hit; 6 state or disk;
//! 70 the host itself failed; 130 cancelled.

use std::io::Write;
use std::process::ExitCode;

use ringfence_core::Error;
use serde_json::json;

use crate::ui::Format;

/// What a face does with one kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) exit: u8,
    /// For faces that speak HTTP.
    pub(crate) status: u16,
}

/// Every kind of error that can reach a face. A test fails when the core has one that is not here.
pub(crate) const TABLE: &[(&str, u8, u16)] = &[
    // The skill's own doing.
    ("failed", 1, 502),
    ("invalid-output", 1, 502),
    ("build-failed", 1, 422),
    // What was checked does not hold.
    ("audit-broken", 1, 500),
    // What the caller or the author wrote.
    ("usage", 2, 400),
    ("not-found", 2, 404),
    ("unreadable", 2, 422),
    ("unknown-tool", 2, 404),
    ("invalid-input", 2, 422),
    ("invalid", 2, 422),
    ("too-large", 2, 413),
    ("invalid-component", 2, 422),
    ("unsupported-import", 2, 422),
    ("missing-export", 2, 422),
    ("wit-version", 2, 422),
    ("manifest-invalid", 2, 422),
    ("config-invalid", 2, 500),
    ("invalid-schema", 2, 422),
    ("invalid-script", 2, 422),
    ("grant-invalid", 2, 422),
    ("secret-invalid", 2, 422),
    ("key-invalid", 2, 422),
    ("already-exists", 2, 409),
    ("reference-invalid", 2, 422),
    ("artifact-invalid", 2, 422),
    ("no-index", 2, 404),
    ("index-invalid", 2, 502),
    ("lock-invalid", 2, 422),
    ("conflict", 2, 409),
    ("method-not-allowed", 2, 405),
    ("unsupported-media-type", 2, 415),
    ("request-timeout", 2, 408),
    ("tls-required", 2, 400),
    ("tls-invalid", 2, 500),
    ("transcript-invalid", 2, 422),
    // Policy and budget.
    ("denied", 3, 403),
    ("refused", 3, 403),
    ("budget-exhausted", 3, 429),
    ("signature-invalid", 3, 403),
    ("unsigned", 3, 403),
    ("untrusted-publisher", 3, 403),
    ("publisher-changed", 3, 403),
    ("rollback-refused", 3, 409),
    ("address-denied", 3, 403),
    ("forbidden-host", 3, 403),
    ("forbidden-origin", 3, 403),
    ("too-many-tries", 3, 429),
    ("unauthorized", 3, 401),
    ("index-rollback", 3, 409),
    ("index-expired", 3, 409),
    ("lock-changed", 3, 409),
    ("frozen", 3, 409),
    ("permission-widened", 3, 403),
    ("withdrawn", 4, 503),
    ("self-test-failed", 2, 422),
    ("upgrade-failed", 2, 422),
    ("skill-state-newer", 3, 409),
    ("name-confusable", 3, 409),
    // What is needed and not there now.
    ("unavailable", 4, 503),
    ("no-model", 4, 503),
    ("busy", 4, 503),
    ("folder-unavailable", 4, 503),
    ("toolchain-missing", 4, 500),
    ("keyring-unavailable", 4, 503),
    ("address-in-use", 4, 503),
    ("address-unusable", 4, 503),
    // Limits.
    ("compile-limit", 5, 422),
    ("trap", 5, 502),
    ("deadline", 5, 504),
    ("too-many-steps", 5, 502),
    ("timeout", 5, 504),
    ("memory-limit", 5, 502),
    ("table-limit", 5, 502),
    ("handle-limit", 5, 502),
    ("stack-overflow", 5, 502),
    ("hostcall-too-large", 5, 502),
    // State and disk.
    ("state-in-use", 6, 503),
    ("state-unwritable", 6, 500),
    ("state-full", 6, 507),
    ("state-corrupt", 6, 500),
    ("state-closed", 6, 503),
    ("state-failed", 6, 500),
    ("state-newer", 6, 500),
    ("state-unsafe", 6, 500),
    ("secret-unreadable", 6, 500),
    ("secret-key-missing", 6, 500),
    ("secret-key-wrong", 6, 500),
    ("digest-mismatch", 6, 500),
    ("unwritable", 6, 500),
    ("token-unusable", 6, 500),
    // Ours, and nobody's.
    ("host-fault", 70, 500),
    ("cancelled", 130, 499),
];

/// How `kind` is told to the outside. A kind that the table lacks is our fault.
pub(crate) fn class(kind: &str) -> Class {
    let found = TABLE.iter().find(|(known, ..)| *known == kind);
    let &(_, exit, status) = found.unwrap_or(&("host-fault", 70, 500));
    Class { exit, status }
}

/// Prints `error` and gives the exit code of the process. Text goes to stderr. With `--format json` the error is one JSON
/// object on stdout, where the result would have been, so that a script parses one stream and looks at the exit code.
pub(crate) fn fail(error: &Error, format: Format) -> ExitCode {
    let class = class(error.kind());
    let written = match format {
        Format::Text if crate::cli::logs_as_json() => writeln!(anstream::stderr(), "{}", json(error, class)),
        Format::Text => writeln!(anstream::stderr(), "{}", text(error)),
        Format::Json => writeln!(anstream::stdout(), "{}", json(error, class)),
    };
    // Nobody reads: the exit code still tells.
    drop(written);
    ExitCode::from(class.exit)
}

fn text(error: &Error) -> String {
    use owo_colors::OwoColorize;
    let head = format!("error[{}]:", error.kind());
    let message = crate::ui::printable(&error.to_string());
    let hint = crate::ui::printable(&error.hint());
    if hint.is_empty() {
        return format!("{} {message}", head.red().bold());
    }
    format!("{} {message}\n  {} {hint}", head.red().bold(), "help:".cyan())
}

fn json(error: &Error, class: Class) -> serde_json::Value {
    json!({ "error": {
        "kind": error.kind(),
        "message": error.to_string(),
        "help": error.hint(),
        "exit": class.exit,
        "status": class.status,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The literals between `fn kind(` and the end of that function, in every file of the core.
    fn kinds_of(folder: &str) -> BTreeSet<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut kinds = BTreeSet::new();
        for entry in walkdir::WalkDir::new(root).into_iter().map(Result::unwrap) {
            if entry.path().extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let source = std::fs::read_to_string(entry.path()).unwrap();
            for (at, _) in source.match_indices("fn kind(&self) -> &'static str {") {
                // The function ends where its indentation closes.
                let indent = source[..at].rsplit('\n').next().map_or(0, |line| line.len() - line.trim_start().len());
                let close = format!("\n{}}}", " ".repeat(indent));
                let body = &source[at..][..source[at..].find(&close).unwrap()];
                kinds.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
            }
        }
        kinds
    }

    #[test]
    fn every_kind_of_the_core_is_in_the_table() {
        let kinds = kinds_of("../core/src");
        assert!(kinds.contains("denied"), "the walk found the core's kinds: {kinds:?}");
        let known: BTreeSet<_> = TABLE.iter().map(|(kind, ..)| (*kind).to_owned()).collect();
        let missing: Vec<_> = kinds.difference(&known).collect();
        assert!(missing.is_empty(), "give these kinds a line in render.rs: {missing:?}");
    }

    #[test]
    fn every_kind_is_there_once() {
        let names: BTreeSet<_> = TABLE.iter().map(|(kind, ..)| kind).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn exit_codes_keep_their_meaning() {
        for (kind, exit) in [("failed", 1), ("denied", 3), ("no-model", 4), ("deadline", 5), ("cancelled", 130)] {
            assert_eq!(class(kind).exit, exit, "{kind}");
        }
        assert_eq!(class("a kind of tomorrow").exit, 70);
    }

    #[test]
    fn an_error_says_its_kind_and_what_to_do() {
        let error = crate::trouble::Trouble::input("`--lines x` is no number", "give a whole number");
        let plain = anstream::adapter::strip_str(&text(&error)).to_string();
        assert_eq!(plain, "error[invalid-input]: `--lines x` is no number\n  help: give a whole number");
        assert_eq!(json(&error, class(error.kind()))["error"]["exit"], 2);
    }
}
