//! What a person or a program gets to see of a run. A terminal gets text as it comes, a pipe the result alone; nothing is
//! printed twice.

use std::io::IsTerminal;
use std::sync::Arc;

use ringfence_core::events::{Level, LogLine};
use ringfence_core::{Content, Error, Event, Finished, Person};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use crate::cli::Context;
use crate::ui::person::{Terminal, Turn};
use crate::ui::progress::Line;

/// Shows events while a tool works.
pub(super) struct Screen {
    line: Line,
    /// Questions have the terminal for themselves.
    turn: Turn,
    /// Whether partial text is printed as it comes.
    streams: bool,
    verbose: bool,
    /// Whether warnings of the skill are shown in any case.
    warns: bool,
    /// The skill, where its lines are objects of the log and not a person's to read.
    logs: Option<String>,
}

/// What was already printed.
#[derive(Default)]
pub(super) struct Streamed(String);

impl Screen {
    pub(super) fn new(context: &Context, skill: &str) -> Self {
        Self {
            line: Line::new(context.quiet),
            turn: Turn::default(),
            streams: !context.json() && std::io::stdout().is_terminal(),
            verbose: context.verbose > 0,
            warns: !context.quiet,
            logs: crate::cli::log::is_json().then(|| skill.to_owned()),
        }
    }

    /// The person in front of it, where one can be asked.
    pub(super) fn person(&self, context: &Context) -> Option<Arc<dyn Person>> {
        let person = || Arc::new(Terminal::new(self.turn.clone(), self.line.clone())) as Arc<dyn Person>;
        (crate::ui::can_ask() && !context.json()).then(person)
    }

    /// Shows events until the last sender is gone.
    pub(super) async fn follow(self, mut events: Receiver<Event>) -> Streamed {
        let mut streamed = Streamed::default();
        while let Some(event) = events.recv().await {
            let _turn = self.turn.take().await;
            match event {
                Event::Progress { done, total, message } => {
                    // Below text that streams a moving line would only disturb.
                    if streamed.0.is_empty() {
                        self.line.count(done, total, message.unwrap_or_default());
                    }
                }
                Event::Text(text) if self.streams => {
                    self.line.clear();
                    // Where the terminal has gone the result still is printed, and says so.
                    drop(crate::ui::print(&crate::ui::printable(&text)));
                    streamed.0 += &text;
                }
                Event::Text(_) => {}
                Event::Log(line) => match &self.logs {
                    // The log has levels of its own.
                    Some(skill) => line.write(skill),
                    None if self.verbose || (self.warns && is_warning(&line)) => {
                        self.line.suspend(|| crate::ui::note(&log(&line)))
                    }
                    None => {}
                },
            }
        }
        self.line.clear();
        streamed
    }
}

impl Streamed {
    /// Leaves the cursor at the start of a line.
    pub(super) fn end_line(&self) -> Result<(), Error> {
        if self.0.is_empty() || self.0.ends_with('\n') { Ok(()) } else { crate::ui::print("\n") }
    }
}

fn is_warning(line: &LogLine) -> bool {
    matches!(line.level, Level::Warn | Level::Error)
}

pub(in crate::cli) fn log(line: &LogLine) -> String {
    let fields: String = line.fields.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    crate::ui::printable(&format!("{} {}{fields}", format!("{:?}", line.level).to_lowercase(), line.message))
}

/// Prints what is left to print.
pub(super) fn print(finished: &Finished, streamed: &Streamed, context: &Context) -> Result<(), Error> {
    if context.json() {
        return crate::ui::print_json(&json(finished));
    }
    let whole = text(finished);
    let shown = rest(&whole, &streamed.0);
    let shown = if std::io::stdout().is_terminal() { crate::ui::printable(&shown) } else { shown };
    crate::ui::print(&shown)?;
    // Said to people only, and beside the result: what came out is no model's work.
    let offline = finished.model.as_deref().is_some_and(|model| model.ends_with("extractive"));
    if offline && !context.quiet && std::io::stderr().is_terminal() {
        crate::ui::note(OFFLINE);
    }
    Ok(())
}

const OFFLINE: &str = "\n(picked out of the text by the built-in offline engine, which is no language model; `ringfence models` says how to use one)";

/// What of `whole` has not been printed. Where the streamed text is another one, the whole follows on a line of its own.
fn rest(whole: &str, streamed: &str) -> String {
    let (whole, seen) = (whole.trim_end(), streamed.trim_end());
    let line_end = if streamed.ends_with('\n') { "" } else { "\n" };
    if streamed.is_empty() {
        return if whole.is_empty() { String::new() } else { format!("{whole}\n") };
    }
    match whole.strip_prefix(seen) {
        Some("") => line_end.to_owned(),
        // What was printed may have had blanks at its end that the rest begins with.
        Some(rest) => format!("{}\n", rest.strip_prefix(&streamed[seen.len()..]).unwrap_or(rest)),
        None => format!("{line_end}\n{whole}\n"),
    }
}

/// The outcome as text. A structured outcome without any content is printed as JSON.
pub(in crate::cli) fn text(finished: &Finished) -> String {
    let outcome = &finished.outcome;
    if outcome.content.is_empty() {
        let structured = outcome.structured.as_ref().and_then(|value| serde_json::to_string_pretty(value).ok());
        return structured.unwrap_or_default();
    }
    let parts: Vec<_> = outcome.content.iter().map(part).collect();
    parts.join("\n")
}

fn part(content: &Content) -> String {
    let bytes = |kind: &str, media: &ringfence_core::Media| {
        format!("[{kind}: {}, {} bytes; --format json gives it]", media.media_type, media.data.len())
    };
    match content {
        Content::Text { text } => text.clone(),
        Content::Image(media) => bytes("image", media),
        Content::Audio(media) => bytes("audio", media),
        Content::Link(link) => match &link.title {
            Some(title) => format!("{title}: {}", link.uri),
            None => link.uri.clone(),
        },
    }
}

/// The shape that scripts rely on: what the host tells, with money apart. Bytes are base64.
pub(in crate::cli) fn json(finished: &Finished) -> Value {
    let mut whole = json!(finished);
    let cost = whole["usage"].as_object_mut().and_then(|usage| usage.remove("micro-dollars"));
    whole["cost"] = json!({ "micro-dollars": cost });
    whole
}

#[cfg(test)]
mod tests {
    use super::rest;

    #[test]
    fn nothing_is_printed_twice() {
        for (whole, streamed, left) in [
            ("a b", "", "a b\n"),
            ("", "", ""),
            ("a b", "a b", "\n"),
            ("a b", "a b\n", ""),
            ("a b\n", "a b", "\n"),
            ("a b c", "a b", " c\n"),
            ("a b c", "a b ", "c\n"),
            ("another", "a b", "\n\nanother\n"),
            ("", "a", "\n\n\n"),
        ] {
            assert_eq!(rest(whole, streamed), left, "{whole:?} after {streamed:?}");
        }
    }
}
