//! The words that all interfaces share (`wit/types.wit`), as bindings, and the way from plain Rust to them and back.

use serde_json::Value;

use crate::error::{Excess, Explain as _, Refusal};
use crate::schema::Weight;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package ringfence:words;
            world words {
                import ringfence:skill/types@0.1.0;
            }
        ",
        world: "ringfence:words/words",
    });
}

pub use generated::ringfence::skill::types;

/// Bytes that JSON of a guest may take once it is read. Its text is capped by itself, and is a hundredth of this where its parts are small.
const HEAVIEST_JSON: usize = 128 << 20;

/// Deepest nesting of JSON that a guest may give.
pub const DEEPEST_JSON: usize = 64;

impl From<Refusal> for types::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(types::Denial {
                capability: denial.capability.into(),
                subject: denial.subject,
                reason: denial.reason,
                hint: denial.hint,
            }),
            Refusal::OverBudget(over) => Self::OverBudget(types::Overrun {
                scope: over.scope.into(),
                unit: over.unit.into(),
                limit: over.limit,
                used: over.used,
                needed: over.needed,
            }),
            Refusal::Unavailable(text) => Self::Unavailable(text),
            Refusal::Invalid(text) => Self::Invalid(text),
            Refusal::TooLarge(excess) => {
                Self::TooLarge(types::Excess { what: excess.what.into(), limit: excess.limit, actual: excess.actual })
            }
            Refusal::TimedOut(text) => Self::TimedOut(text),
            Refusal::Server(error) if error.kind() == "timeout" => Self::TimedOut(error.to_string()),
            // A guest has no other place for what would help.
            Refusal::Server(error) => Self::Unavailable(format!("{error}; {}", error.hint())),
            Refusal::Cancelled => Self::Cancelled,
        }
    }
}

/// Reads JSON from a guest. `what` names it in the refusal: `the output schema`.
pub fn json(what: &str, text: &str) -> Result<Value, Refusal> {
    check_depth(what, text)?;
    let weight = Weight::of(text.as_bytes());
    if weight > HEAVIEST_JSON {
        let (limit, actual) = (HEAVIEST_JSON as u64, Some(weight as u64));
        return Err(Refusal::TooLarge(Excess { what: "memory that the JSON takes with all its parts", limit, actual }));
    }
    serde_json::from_str(text).map_err(|error| Refusal::Invalid(format!("{what} is not JSON: {error}")))
}

/// Checks JSON from a guest that the host hands on unread.
pub fn check_json(what: &str, text: &str) -> Result<(), Refusal> {
    check_depth(what, text)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|error| Refusal::Invalid(format!("{what} is not JSON: {error}")))
}

/// Counts brackets outside of strings: before any parser has recursed, and without memory.
fn check_depth(what: &str, text: &str) -> Result<(), Refusal> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > DEEPEST_JSON {
                    return Err(Refusal::Invalid(format!("{what} is nested deeper than {DEEPEST_JSON} levels")));
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_limited_before_parsing() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(json("it", &nested(DEEPEST_JSON)).is_ok());
        assert!(
            matches!(json("it", &nested(DEEPEST_JSON + 1)), Err(Refusal::Invalid(text)) if text.contains("deeper"))
        );
        assert!(check_json("it", &"[".repeat(10_000_000)).is_err());
        let brackets = format!("\"{}\\\"{}\"", "[".repeat(500), "{".repeat(500));
        assert!(check_json("it", &brackets).is_ok(), "brackets in strings are text");
        assert!(check_json("it", "{\"a\":1}{").is_err());
        assert!(check_json("it", "").is_err());
    }

    #[test]
    fn what_takes_too_much_memory_is_refused_before_it_does() {
        let small = |count: usize| format!("[{}0]", r#"{"":0},"#.repeat(count));
        assert!(json("it", &small(10_000)).is_ok());
        let refused = json("it", &small(400_000));
        assert!(matches!(refused, Err(Refusal::TooLarge(excess)) if excess.limit == 128 << 20));
        // As long, of one part: it takes what it is long.
        assert!(json("it", &format!("\"{}\"", "x".repeat(2_800_000))).is_ok());
    }

    #[test]
    fn every_refusal_has_its_word() {
        assert!(matches!(types::Refusal::from(Refusal::Cancelled), types::Refusal::Cancelled));
        let large = Refusal::TooLarge(crate::error::Excess { what: "prompt", limit: 1, actual: Some(2) });
        assert!(matches!(types::Refusal::from(large), types::Refusal::TooLarge(excess) if excess.what == "prompt"));
    }
}
