//! One run as a picture: a line for each act, a bar for its time.

use std::fmt::Write as _;

use ringfence_core::budget::Amount;
use ringfence_core::journal::{Act, Record, Story};

use crate::ui::time;

/// Columns of the bars.
const BAR: i64 = 32;
/// Columns of what an act is about, its indentation included.
const WHAT: usize = 36;

/// How long a run took, in microseconds.
pub(super) fn took(run: &Record) -> i64 {
    run.ended.map_or(0, |ended| (ended.as_microsecond() - run.started.as_microsecond()).max(0))
}

/// Microseconds as people read them.
pub(super) fn length(micros: i64) -> String {
    match micros.max(0) {
        micros @ ..1_000 => format!("{micros} µs"),
        micros @ ..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros @ ..1_000_000 => format!("{} ms", micros / 1_000),
        micros => format!("{:.2} s", micros as f64 / 1e6),
    }
}

pub(super) fn tokens(used: &Amount) -> Option<String> {
    let any = used.input_tokens + used.output_tokens > 0;
    any.then(|| format!("{} in, {} out", used.input_tokens, used.output_tokens))
}

pub(super) fn money(used: &Amount) -> Option<String> {
    (used.micro_dollars > 0).then(|| format!("${:.6}", used.micro_dollars as f64 / 1e6))
}

/// The whole picture. May hold what skills say: to be made printable.
pub(super) fn draw(story: &Story) -> String {
    let run = &story.run;
    let started = run.started.as_microsecond();
    let scale = Scale { started, whole: end(story).unwrap_or(started).saturating_sub(started).max(1) };
    let mut text = format!("{}/{}  {}\n", run.skill, run.tool, result(run));
    let _ = writeln!(text, "{}  called by {}, run {}\n", time::exact(started), run.caller, run.invocation);
    let _ = writeln!(
        text,
        "{:<WHAT$}  {:>8}  {:>8}  0{:>width$}  RESULT",
        "WHAT",
        "START",
        "TOOK",
        length(scale.whole),
        width = BAR as usize - 1
    );
    scale.acts(&mut text, story, 0);
    if story.acts.is_empty() && story.calls.is_empty() {
        text.push_str("it asked for nothing\n");
    }
    text
}

/// When the last of it ended, as far as that is on record.
fn end(story: &Story) -> Option<i64> {
    let acts = story.acts.iter().map(|act| act.ended_us.unwrap_or(act.started_us));
    acts.chain(story.run.ended.map(|ended| ended.as_microsecond())).max()
}

/// How a run ended and what it used.
fn result(run: &Record) -> String {
    let mut parts = vec![run.kind.clone()];
    if run.ended.is_some() {
        parts.push(length(took(run)));
    }
    parts.extend(tokens(&run.usage).map(|tokens| format!("tokens {tokens}")));
    parts.extend(money(&run.usage));
    if !run.message.is_empty() {
        parts.push(line(&run.message));
    }
    parts.join(", ")
}

struct Scale {
    started: i64,
    whole: i64,
}

impl Scale {
    fn acts(&self, text: &mut String, story: &Story, depth: usize) {
        for act in &story.acts {
            self.row(text, depth, &act.subject, (act.started_us, act.ended_us), &came_of(act));
            if let Some(call) = &act.call {
                self.call(text, call, depth + 1);
            }
        }
        for call in &story.calls {
            self.call(text, call, depth);
        }
    }

    fn call(&self, text: &mut String, story: &Story, depth: usize) {
        let run = &story.run;
        let times = (run.started.as_microsecond(), run.ended.map(|ended| ended.as_microsecond()));
        self.row(text, depth, &format!("{}/{}", run.skill, run.tool), times, &result(run));
        self.acts(text, story, depth + 1);
    }

    fn row(&self, text: &mut String, depth: usize, what: &str, (from, to): (i64, Option<i64>), result: &str) {
        let what = cut(&format!("{:depth$}{}", "", line(what), depth = 2 * depth));
        let begun = length(from - self.started);
        let took = to.map(|to| length(to - from)).unwrap_or_default();
        let bar = self.bar(from, to);
        let row = format!("{what:<WHAT$}  {begun:>8}  {took:>8}  {bar}  {result}");
        let _ = writeln!(text, "{}", row.trim_end());
    }

    /// At least one column; open to the right where no end is on record.
    fn bar(&self, from: i64, to: Option<i64>) -> String {
        let at = |time: i64| {
            let share = i128::from((time - self.started).clamp(0, self.whole)) * i128::from(BAR);
            usize::try_from(share / i128::from(self.whole)).unwrap_or_default()
        };
        let first = at(from).min(BAR as usize - 1);
        let last = to.map_or(BAR as usize, at).max(first + 1);
        let fill = if to.is_some() { '█' } else { '░' };
        (0..BAR as usize).map(|column| if (first..last).contains(&column) { fill } else { ' ' }).collect()
    }
}

fn came_of(act: &Act) -> String {
    match act.detail.is_empty() {
        true => act.kind.clone(),
        false => format!("{}: {}", act.kind, line(&act.detail)),
    }
}

/// In one line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WHAT {
        return text.to_owned();
    }
    text.chars().take(WHAT - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const BEGIN: i64 = 1_700_000_000_000_000;

    fn run(skill: &str, from: i64, to: Option<i64>, usage: Amount) -> Record {
        let at = |micros: i64| Timestamp::from_microsecond(BEGIN + micros).unwrap();
        Record {
            invocation: format!("id-of-{skill}"),
            skill: skill.into(),
            tool: "go".into(),
            digest: String::new(),
            caller: "user".into(),
            parent: None,
            started: at(from),
            ended: to.map(at),
            kind: if to.is_some() { "ok" } else { "unfinished" }.into(),
            message: String::new(),
            usage,
            log_dropped: 0,
        }
    }

    fn act(subject: &str, from: i64, to: Option<i64>, kind: &str, detail: &str) -> Act {
        Act {
            capability: subject.split(' ').next().unwrap_or_default().into(),
            subject: subject.into(),
            started_us: BEGIN + from,
            ended_us: to.map(|to| BEGIN + to),
            kind: kind.into(),
            detail: detail.into(),
            call: None,
        }
    }

    #[test]
    fn a_run_is_drawn_with_its_acts_and_those_of_the_skills_that_it_called() {
        let used = Amount { input_tokens: 120, output_tokens: 40, micro_dollars: 200, ..Amount::default() };
        let inner = Story {
            run: run("b", 510_000, Some(990_000), Amount::default()),
            acts: vec![act("http GET https://a.test/a/long/path/that/goes/on", 520_000, Some(760_000), "ok", "200")],
            calls: Vec::new(),
        };
        let calls = Act { call: Some(Box::new(inner)), ..act("tools b/go", 500_000, Some(1_000_000), "ok", "") };
        let story = Story {
            run: run("a", 0, Some(1_000_000), used),
            acts: vec![
                act("model default", 4_500, Some(254_500), "ok", "input-tokens=120 output-tokens=40"),
                act("kv get", 300_000, Some(300_120), "ok", ""),
                act("secrets key", 400_000, Some(400_000), "denied", "it was\nnot granted"),
                calls,
                act("user ask", 900_000, None, "unfinished", ""),
            ],
            calls: Vec::new(),
        };
        let wanted = include_str!("waterfall.txt");
        let drawn = draw(&story);
        assert_eq!(drawn, wanted, "\n{drawn}");
    }

    #[test]
    fn a_run_without_acts_and_one_without_an_end_are_drawn() {
        let none = Story { run: run("a", 0, None, Amount::default()), acts: Vec::new(), calls: Vec::new() };
        let drawn = draw(&none);
        assert!(drawn.starts_with("a/go  unfinished\n") && drawn.ends_with("it asked for nothing\n"), "{drawn}");
    }
}
