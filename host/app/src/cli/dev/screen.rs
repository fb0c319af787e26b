//! What a person or a program sees of the work: a line or a JSON value for each thing that happens, and on a terminal one that
//! says how it stands.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use owo_colors::OwoColorize;
use ringfence_core::{Error, Event, Finished, Missing, RunEnded, SkillRef, Successor};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::Receiver;

use super::calls::{Change, Wanted};
use crate::cli::run::output;
use crate::cli::{Context, consent};
use crate::ui::progress::Line;
use crate::ui::{self, printable};

/// Something that happened. As JSON it has its name in `event`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(super) enum Told {
    /// A version serves.
    Serving {
        skill: String,
        version: String,
        digest: String,
        tools: Vec<String>,
        built_ms: u64,
        loaded_ms: u64,
        #[serde(skip)]
        first: bool,
    },
    /// It serves, and asks for what nobody has granted.
    Ungranted { skill: String, missing: Vec<Missing> },
    /// A version asks for more than the one that serves.
    PendingConsent { skill: String, version: String, more: Vec<Missing> },
    /// Another configuration holds, but for what needs a new start.
    Configured { later: Vec<&'static str> },
    /// What serves is what served before.
    Failed { what: String, kind: &'static str, message: String, hint: String },
}

impl Told {
    pub(super) fn serving(skill: &SkillRef, built: Duration, loaded: Duration, first: bool) -> Self {
        let manifest = skill.manifest();
        Self::Serving {
            skill: manifest.name,
            version: manifest.version.to_string(),
            digest: skill.digest(),
            tools: skill.tools().into_iter().map(|tool| tool.name).collect(),
            built_ms: millis(built),
            loaded_ms: millis(loaded),
            first,
        }
    }

    pub(super) fn ungranted(skill: &SkillRef, missing: &[Missing]) -> Self {
        Self::Ungranted { skill: skill.manifest().name, missing: missing.to_vec() }
    }

    pub(super) fn pending(skill: &SkillRef, next: &Successor) -> Self {
        let (version, more) = (next.version().to_string(), next.more().to_vec());
        Self::PendingConsent { skill: skill.manifest().name, version, more }
    }

    pub(super) fn failed(what: &str, error: &Error) -> Self {
        let (message, hint) = (error.to_string(), error.hint());
        Self::Failed { what: what.to_owned(), kind: error.kind(), message, hint }
    }

    fn text(&self) -> String {
        match self {
            Self::Serving { skill, version, tools, built_ms, loaded_ms, first, .. } => {
                let how = if *first { "loaded" } else { "reloaded" };
                let tools = if *first { format!("; tools: {}", tools.join(", ")) } else { String::new() };
                let built = if *built_ms == 0 { String::new() } else { format!("built in {built_ms} ms, ") };
                format!("{} {skill} {version} serves ({built}{how} in {loaded_ms} ms{tools})", "ok".green())
            }
            Self::Ungranted { skill, missing } => {
                let words: Vec<_> = missing.iter().map(|one| format!("--allow {}", one.grant)).collect();
                format!(
                    "{} {skill} asks for what it has not been granted:\n{}end this and begin it again with `{}` or `--yes`, or grant it for good with `ringfence grant`",
                    "note".yellow(),
                    consent::list(missing),
                    words.join(" ")
                )
            }
            Self::PendingConsent { skill, version, more } => format!(
                "{} {skill} {version} waits, and the version before it serves: it asks for more:\n{}type `allow` to grant that, or save a version that does not ask",
                "wait".yellow(),
                consent::list(more)
            ),
            Self::Configured { later } => match later.as_slice() {
                [] => format!("{} the configuration is read anew", "ok".green()),
                later => format!(
                    "{} the configuration is read anew; {} only when this is started again",
                    "ok".green(),
                    later.join(", ")
                ),
            },
            Self::Failed { what, kind, message, hint } => {
                let hint = if hint.is_empty() { String::new() } else { format!("\n  {} {hint}", "help:".cyan()) };
                format!("{} {what}: {message}{hint}", format!("error[{kind}]").red())
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Status {
    /// The version of each skill, and how it stands with the one that was saved last.
    serving: BTreeMap<String, (String, Newest)>,
    reloads: u64,
    calls: u64,
    tokens: u64,
}

impl Status {
    fn text(&self) -> String {
        let name =
            |(name, (version, newest)): (&String, &(String, Newest))| format!("{name} {version}{}", newest.text());
        let serving: Vec<_> = self.serving.iter().map(name).collect();
        let count = |number, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        let (reloads, calls) = (count(self.reloads, "reload"), count(self.calls, "call"));
        format!("{} · {reloads} · {calls} · {}", serving.join(", "), count(self.tokens, "token"))
    }
}

/// The version that was saved last.
#[derive(Clone, Copy, Default)]
enum Newest {
    #[default]
    Serves,
    Failed,
    /// Until somebody allows what it asks for.
    Waits,
}

impl Newest {
    fn text(self) -> &'static str {
        match self {
            Self::Serves => "",
            Self::Failed => " (what was saved last failed)",
            Self::Waits => " (what was saved last waits for `allow`)",
        }
    }
}

/// Where it is shown.
pub(super) struct Screen {
    json: bool,
    verbose: bool,
    quiet: bool,
    status_line: Line,
    status: Mutex<Status>,
}

impl Screen {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            json: context.json(),
            verbose: context.verbose > 0,
            quiet: context.quiet,
            status_line: Line::new(context.quiet || context.json()),
            status: Mutex::default(),
        }
    }

    /// A line of progress.
    pub(super) fn line(&self) -> Line {
        self.status_line.rest("");
        Line::new(self.quiet || self.json)
    }

    pub(super) fn tell(&self, told: &Told) {
        if let Told::Serving { skill, version, first, .. } = told {
            let mut status = self.status();
            status.serving.insert(skill.clone(), (version.clone(), Newest::Serves));
            status.reloads += u64::from(!first);
        }
        if let Told::PendingConsent { skill, .. } = told {
            self.stands(skill, Newest::Waits);
        }
        match self.json {
            true => self.print(&format!("{}\n", json!(told))),
            // Compilers point at places by columns and colours of their own: only what could drive the terminal is taken out.
            false => self.print(&format!("{}\n", told.text().trim_end())),
        }
    }

    /// What serves is older than what was saved.
    pub(super) fn behind(&self, skill: Option<&SkillRef>) {
        if let Some(skill) = skill {
            self.stands(&skill.manifest().name, Newest::Failed);
        }
    }

    fn stands(&self, skill: &str, newest: Newest) {
        if let Some((_, stands)) = self.status().serving.get_mut(skill) {
            *stands = newest;
        }
    }

    /// A call that a client of another process made. What it gave is the client's.
    pub(super) fn called_by_client(&self, run: &RunEnded) {
        let tokens = run.usage.input_tokens + run.usage.output_tokens;
        self.count(tokens);
        let call = format!("{}/{}", run.skill, run.tool);
        if self.json {
            let (kind, took) = (run.kind, millis(run.took));
            let told = json!({ "event": "client-called", "call": call, "kind": kind, "ms": took, "usage": run.usage });
            return self.print(&format!("{told}\n"));
        }
        let ms = run.took.as_secs_f64() * 1000.0;
        let text = format!("> {} ({ms:.1} ms, {tokens} tokens)", printable(&call));
        match run.kind {
            "ok" => self.print(&format!("{} by a client\n", text.cyan())),
            kind => self.print(&format!("{} by a client: {}\n", text.cyan(), kind.red())),
        }
    }

    fn count(&self, tokens: u64) {
        let mut status = self.status();
        status.calls += 1;
        status.tokens += tokens;
    }

    /// What a call gave.
    pub(super) fn called(&self, call: &Wanted, version: &str, finished: &Finished, text: &str, change: Change) {
        let tokens = finished.usage.input_tokens + finished.usage.output_tokens;
        let ms = finished.timings.run_us as f64 / 1000.0;
        self.count(tokens);
        let changed = !matches!(change, Change::None);
        if self.json {
            let lines = if let Change::Lines(lines) = &change { Some(lines) } else { None };
            let told = json!({
                "event": "called", "call": call.to_string(), "version": version, "changed": changed,
                "diff": lines, "result": output::json(finished),
            });
            return self.print(&format!("{told}\n"));
        }
        let head = format!("{} ({version}, {ms:.1} ms, {tokens} tokens)", format!("> {call}").cyan());
        let body = match change {
            Change::First => text.to_owned(),
            Change::None => "the same output".dimmed().to_string(),
            Change::Lines(lines) => lines
                .lines()
                .map(|line| match line.as_bytes().first() {
                    Some(b'-') => format!("{}\n", printable(line).red()),
                    Some(b'+') => format!("{}\n", printable(line).green()),
                    _ => format!("{}\n", printable(line)),
                })
                .collect(),
        };
        self.print(&format!("{}\n{}\n", head, body.trim_end()));
    }

    /// Shows what a call tells while it goes on.
    pub(super) async fn follow(&self, mut events: Receiver<Event>) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Log(line) if self.json => self.print(&format!("{}\n", json!({ "event": "log", "line": line }))),
                Event::Log(line) if self.verbose || !self.quiet => self.print(&format!("  {}\n", output::log(&line))),
                Event::Progress { done, total, message } if !self.json => {
                    self.status_line.count(done, total, message.unwrap_or_default());
                }
                _ => {}
            }
        }
    }

    /// Says something beside.
    pub(super) fn say(&self, text: &str) {
        if !self.json {
            self.status_line.suspend(|| ui::note(text));
        }
    }

    fn print(&self, text: &str) {
        // Nobody who reads any more is no reason to stop serving.
        drop(self.status_line.suspend(|| ui::print(text)));
        self.rest();
    }

    /// How it stands, on the last line of a terminal.
    fn rest(&self) {
        let status = self.status();
        self.status_line.rest(&status.text());
    }

    pub(super) fn end(&self) {
        self.status_line.clear();
    }

    fn status(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_serves_and_what_does_not_yet() {
        let of = |newest| (("1.0.0".to_owned()), newest);
        let serving = BTreeMap::from([("a".into(), of(Newest::Serves)), ("b".into(), of(Newest::Waits))]);
        let mut status = Status { serving, reloads: 1, calls: 0, tokens: 12 };
        let waits = "a 1.0.0, b 1.0.0 (what was saved last waits for `allow`) · 1 reload · 0 calls · 12 tokens";
        assert_eq!(status.text(), waits);
        status.serving = BTreeMap::from([("a".into(), of(Newest::Failed))]);
        assert_eq!(status.text(), "a 1.0.0 (what was saved last failed) · 1 reload · 0 calls · 12 tokens");
    }
}
