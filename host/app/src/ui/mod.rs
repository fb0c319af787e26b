//! What is shown to a person, and when: everything here asks first whether there is a terminal.

pub(crate) mod person;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod time;

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use ringfence_core::Error;

/// How results are printed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON value on stdout.
    Json,
}

/// When output is coloured.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes it so for everything that is printed from now on.
    pub(crate) fn apply(self) {
        match self {
            Self::Auto => {}
            Self::Always => anstream::ColorChoice::Always.write_global(),
            Self::Never => anstream::ColorChoice::Never.write_global(),
        }
    }
}

/// Whether a person can be asked: both ends of the conversation are a terminal.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Writes to stdout. A reader that went away (`| head`) is no error of ours, and ends the process as it does for others.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(crate::trouble::Trouble::unwritable(std::path::Path::new("stdout"), &error)),
    }
}

pub(crate) fn print_line(text: &str) -> Result<(), Error> {
    print(&format!("{text}\n"))
}

/// One JSON value, readable and with a line end.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| crate::trouble::Trouble::new("host-fault", format!("cannot write JSON: {error}"), ""))?;
    print_line(&text)
}

/// A remark for a person, beside the result.
pub(crate) fn note(text: &str) {
    let mut err = anstream::stderr();
    // A closed stderr loses remarks, nothing else.
    drop(writeln!(err, "{text}"));
}

/// The beginning of a line for a person, who goes on with it.
pub(crate) fn say(text: &str) {
    let mut err = anstream::stderr();
    drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
}

/// Text of others as it may reach a terminal: without control characters that could move the cursor, rename the window or
/// hide what stands before. Line ends and tabs stay; so do all letters of all scripts.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

fn is_harmful(c: char) -> bool {
    let bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
    bidi || (c.is_control() && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_a_terminal_is_taken_out() {
        assert_eq!(printable("a\x1b]0;owned\x07b\r\nc\td"), "a\u{fffd}]0;owned\u{fffd}b\u{fffd}\nc\td");
        assert_eq!(printable("x\u{202e}gnp.exe"), "x\u{fffd}gnp.exe");
        assert_eq!(printable("überall 日本"), "überall 日本");
    }
}
