//! `ringfence top`: what runs now, on every host of this state.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyModifiers};
use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ringfence_core::journal::{Running, Watch};
use ringfence_core::{Error, Host};

use super::Context;
use crate::trouble::Trouble;
use crate::ui::table;

/// How long one picture stands.
const REFRESH: Duration = Duration::from_millis(500);

/// Show what runs now, on every host of this state
///
/// On a terminal it goes on until `q` or Ctrl-C; in a pipe it is one look. Tokens and money are those of the requests to
/// models that are over, of a run and of all that it called.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One look, also on a terminal
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let (journal, _) = Host::read_records(&context.config.dirs.state).await?;
    let mut watch = Watch::new(&journal);
    if context.json() {
        return crate::ui::print_json(&watch.look().await?);
    }
    let is_live = !args.once && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if is_live {
        return live(&mut watch, context).await;
    }
    let running = watch.look().await?;
    if running.is_empty() {
        crate::ui::note("nothing runs");
        return Ok(());
    }
    crate::ui::print(&drawn(&running))
}

/// Draws until somebody ends it.
async fn live(watch: &mut Watch, context: &Context) -> Result<(), Error> {
    let unusable = |error: std::io::Error| Trouble::unwritable(std::path::Path::new("the terminal"), &error);
    let _screen = Screen::take().map_err(unusable)?;
    loop {
        let running = watch.look().await?;
        show(&running).map_err(unusable)?;
        let key = tokio::task::spawn_blocking(ends);
        tokio::select! {
            () = context.cancel.cancelled() => return Ok(()),
            ends = key => if ends.unwrap_or(true) { return Ok(()) },
        }
    }
}

/// Waits for the time of a picture. Whether a key says that it was the last one; any other key brings the next one sooner. A terminal
/// that has gone ends it.
fn ends() -> bool {
    let read = || match crossterm::event::poll(REFRESH)? {
        true => crossterm::event::read().map(Some),
        false => Ok(None),
    };
    match read() {
        Ok(Some(Event::Key(key))) => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        },
        Ok(_) => false,
        Err(_) => true,
    }
}

/// The terminal as long as it is drawn on: keys come one at a time, and what stood there before comes back.
struct Screen;

impl Screen {
    fn take() -> std::io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        let screen = Self;
        crossterm::execute!(std::io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where it has gone there is nothing to give back.
        drop(crossterm::execute!(std::io::stdout(), Show, LeaveAlternateScreen));
        drop(crossterm::terminal::disable_raw_mode());
    }
}

/// Draws over what stands there, line by line: clearing first would flicker.
fn show(running: &[Running]) -> std::io::Result<()> {
    let rows = crossterm::terminal::size().map_or(24, |(_, rows)| usize::from(rows));
    let head = format!("{}, q ends\n\n", counted(running.len()));
    let text = head + &drawn(running);
    let mut out = std::io::stdout().lock();
    crossterm::queue!(out, MoveTo(0, 0))?;
    for (row, line) in text.lines().take(rows).enumerate() {
        let begin = if row == 0 { "" } else { "\r\n" };
        write!(out, "{begin}{line}")?;
        crossterm::queue!(out, Clear(ClearType::UntilNewLine))?;
    }
    crossterm::queue!(out, Clear(ClearType::FromCursorDown))?;
    out.flush()
}

fn counted(running: usize) -> String {
    match running {
        0 => "nothing runs".to_owned(),
        1 => "1 run".to_owned(),
        many => format!("{many} runs"),
    }
}

fn drawn(running: &[Running]) -> String {
    if running.is_empty() {
        return String::new();
    }
    let mut table = table::table(["RUN", "SKILL/TOOL", "BY", "FOR", "TOKENS", "COST", "PROCESS"]);
    for run in running {
        let tokens = (run.input_tokens.max(run.output_tokens) > 0)
            .then(|| format!("{} in, {} out", run.input_tokens, run.output_tokens));
        let money = (run.micro_dollars > 0).then(|| format!("${:.6}", run.micro_dollars as f64 / 1e6));
        table.add_row([
            run.invocation.clone(),
            format!("{}/{}", run.skill, run.tool),
            run.caller.clone(),
            length(run.wall_ms),
            tokens.unwrap_or_default(),
            money.unwrap_or_default(),
            run.process.map(|process| process.to_string()).unwrap_or_default(),
        ]);
    }
    table::text(&table)
}

/// Milliseconds as people read them while they go on.
fn length(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ ..60 => format!("{seconds}.{} s", ms % 1_000 / 100),
        seconds @ ..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_they_matter() {
        for (ms, told) in [
            (0, "0.0 s"),
            (59_999, "59.9 s"),
            (61_000, "1 min 01 s"),
            (3_599_999, "59 min 59 s"),
            (7_260_000, "2 h 01 min"),
        ] {
            assert_eq!(length(ms), told);
        }
    }
}
