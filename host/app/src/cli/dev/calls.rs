//! Calls that are made while somebody works on a skill, and how their output changes from version to version.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ringfence_core::{Call, Error};
use similar::{ChangeTag, TextDiff};
use tokio_util::sync::CancellationToken;

use super::Stage;
use super::project::Project;
use super::screen::Told;
use crate::cli::run::output;
use crate::trouble::Trouble;

/// A call as somebody typed it: `TOOL {"key": "value"}`, or `SKILL/TOOL ...`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) skill: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) input: String,
}

impl Wanted {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        // A skill with one tool needs no name.
        let (name, input) = match text.find(|c: char| c.is_whitespace() || c == '{') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let input = if input.trim().is_empty() { "{}" } else { input.trim() };
        if !matches!(serde_json::from_str(input), Ok(serde_json::Value::Object(_))) {
            return Err(Trouble::input(
                format!("`{}` is no JSON object", crate::ui::printable(input)),
                "write a call as `TOOL {\"key\": \"value\"}`",
            ));
        }
        let (skill, tool) = name.split_once('/').map_or((None, name), |(skill, tool)| (Some(skill.to_owned()), tool));
        Ok(Self { skill, tool: Some(tool.to_owned()).filter(|tool| !tool.is_empty()), input: input.to_owned() })
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(skill) = &self.skill {
            write!(f, "{skill}/")?;
        }
        write!(f, "{} {}", self.tool.as_deref().unwrap_or_default(), self.input)
    }
}

/// What each call gave the last time.
#[derive(Default)]
pub(super) struct Latest(Mutex<HashMap<Wanted, String>>);

impl Latest {
    /// Keeps what a call gave, and says how it differs from the time before.
    fn put(&self, wanted: &Wanted, text: &str) -> Change {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match latest.insert(wanted.clone(), text.to_owned()) {
            None => Change::First,
            Some(before) if before == text => Change::None,
            Some(before) => Change::Lines(difference(&before, text)),
        }
    }
}

/// How an output differs from the one before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    First,
    None,
    /// Lines with `-`, `+` or a blank before them.
    Lines(String),
}

/// Lines that stay the same are shown only beside those that do not.
const BESIDE: usize = 2;

fn difference(before: &str, now: &str) -> String {
    let lines = |text: &str| text.trim_end().to_owned() + "\n";
    let (before, now) = (lines(before), lines(now));
    let diff = TextDiff::from_lines(&before, &now);
    let mut text = String::new();
    for (number, group) in diff.grouped_ops(BESIDE).iter().enumerate() {
        if number > 0 {
            text += "  ...\n";
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            text += match change.tag() {
                ChangeTag::Delete => "- ",
                ChangeTag::Insert => "+ ",
                ChangeTag::Equal => "  ",
            };
            text += change.value();
        }
    }
    text
}

impl Project {
    /// Makes a call of the version that serves, and tells what came of it, until `cancel`.
    pub(super) async fn call(&self, stage: &Stage, wanted: &Wanted, cancel: &CancellationToken) {
        let Some(skill) = self.serving() else {
            return stage.screen.tell(&Told::failed(
                &self.label(),
                &Trouble::new("not-found", "nothing serves yet", "correct what is told above, and save"),
            ));
        };
        let (sender, events) = tokio::sync::mpsc::channel(256);
        let call = Call {
            tool: wanted.tool.clone(),
            events: Some(sender),
            cancel: cancel.clone(),
            person: stage.person.clone(),
            ..Call::new(skill.clone(), wanted.input.clone())
        };
        let version = skill.manifest().version.to_string();
        let (finished, ()) = tokio::join!(stage.host.invoke(call), stage.screen.follow(events));
        match finished {
            Ok(finished) => {
                let text = output::text(&finished);
                let change = self.latest.put(wanted, &text);
                stage.screen.called(wanted, &version, &finished, &text, change);
            }
            Err(error) => stage.screen.tell(&Told::failed(&wanted.to_string(), &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_people_write_them() {
        let of = |text: &str| {
            let call = Wanted::parse(text).unwrap();
            (call.skill.unwrap_or_default(), call.tool.unwrap_or_default(), call.input)
        };
        let words = |skill: &str, tool: &str, input: &str| (skill.to_owned(), tool.to_owned(), input.to_owned());
        assert_eq!(of(r#"echo {"text": "a b"}"#), words("", "echo", r#"{"text": "a b"}"#));
        assert_eq!(of(r#" {"text": "a"} "#), words("", "", r#"{"text": "a"}"#));
        assert_eq!(of("notes/list"), words("notes", "list", "{}"));
        for wrong in ["echo [1]", "echo {", "echo text"] {
            assert_eq!(Wanted::parse(wrong).unwrap_err().kind(), "invalid-input", "{wrong}");
        }
    }

    #[test]
    fn only_what_changed_is_shown() {
        let latest = Latest::default();
        let call = Wanted::parse("echo").unwrap();
        assert_eq!(latest.put(&call, "a\nb"), Change::First);
        assert_eq!(latest.put(&call, "a\nb"), Change::None);
        assert_eq!(latest.put(&call, "a\nc"), Change::Lines("  a\n- b\n+ c\n".into()));
        let long: String = (0..20).map(|n| format!("{n}\n")).collect();
        latest.put(&call, &long);
        let Change::Lines(lines) = latest.put(&call, &long.replace("9\n", "x\n")) else { panic!() };
        assert!(lines.starts_with("  7\n  8\n- 9\n+ x\n  10\n") && lines.contains("  ...\n"), "{lines}");
    }
}
