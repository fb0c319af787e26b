//! `json_in`: JSON of strangers, as a schema and as a value that is held against it.

use super::{MAX_DEPTH, MAX_VIOLATIONS, check, compile, deeper_than, parse, render};
use crate::capability::words;

/// A schema and a value, with a zero byte between them.
pub(crate) fn json_in(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (schema, value) = text.split_once('\0').unwrap_or(("true", text));
    for text in [schema, value] {
        // The count of brackets lets through what a parser would find to be shallow enough, and nothing else.
        let read = parse(text).ok();
        let tree = serde_json::from_str(text).ok().filter(|value| !deeper_than(value, MAX_DEPTH));
        assert_eq!(read, tree, "{text:?}");
        // What is handed on unread may hold a number that is too large to be read here.
        assert!(read.is_none() || words::check_json("it", text).is_ok(), "{text:?}");
    }
    let Ok(schema) = parse(schema) else { return };
    let Ok(validator) = compile(&schema) else { return };
    let Ok(value) = parse(value) else { return };
    let verdict = check(&validator, &value);
    if let Err(violations) = &verdict {
        assert!((1..=MAX_VIOLATIONS).contains(&violations.len()));
        for violation in violations {
            assert!(value.pointer(&violation.path).is_some(), "{} is nowhere in {value}", violation.path);
        }
        let text = render(violations);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    // A schema that went through a package says the same.
    if verdict.is_ok()
        && let Ok(again) = compile(&parse(&schema.to_string()).unwrap_or_default())
    {
        assert_eq!(check(&again, &value), Ok(()), "{schema} and {value}");
    }
}
