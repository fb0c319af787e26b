//! What somebody types meanwhile: calls, consent, and answers to what a skill asks.

use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _};
use ringfence_core::{Error, Person, Question};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Stage;
use super::calls::Wanted;
use super::screen::{Screen, Told};
use crate::cli::Context;
use crate::trouble::Trouble;
use crate::ui;
use crate::ui::person;

const HELP: &str = "\
TOOL {\"key\": \"value\"}   call a tool; SKILL/TOOL where there are several skills
(an empty line)         the last call again
allow                   grant what a version that waits asks for, and let it serve
help                    this
quit                    end; Ctrl-C does too";

/// The lines that somebody types.
pub(super) struct Commands {
    lines: UnboundedReceiver<String>,
    desk: Arc<Desk>,
    can_ask: bool,
}

/// Where a line goes: to a question that stands, or else it is a command.
#[derive(Default)]
struct Desk {
    question: Mutex<Option<std::sync::mpsc::Sender<String>>>,
    /// One question at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Commands {
    /// Reads lines from now on.
    pub(super) fn listen(screen: Arc<Screen>, context: &Context) -> Self {
        let desk = Arc::new(Desk::default());
        let (send, lines) = unbounded_channel();
        let mine = Arc::clone(&desk);
        // A thread of its own: it ends with the input, or with the process.
        let read = move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                let asked = mine.question.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let left = match asked {
                    Some(question) => question.send(line).err().map(|unread| unread.0),
                    None => Some(line),
                };
                if left.is_some_and(|line| send.send(line).is_err()) {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("lines".into()).spawn(read) {
            screen.say(&format!("nothing can be typed: {error}"));
        }
        Self { lines, desk, can_ask: ui::can_ask() && !context.json() }
    }

    /// Whom a skill can ask.
    pub(super) fn person(&self) -> Option<Arc<dyn Person>> {
        self.can_ask.then(|| Arc::new(Asked(Arc::clone(&self.desk))) as Arc<dyn Person>)
    }

    /// Does what is typed, until `quit`. At the end of the input it goes on without.
    ///
    /// Calls are made one after the other, and nothing else waits for them. A script that ends with `quit` has its calls made before.
    pub(super) async fn obey(mut self, stage: &Arc<Stage>) -> Result<(), Error> {
        let mut last: Option<Wanted> = None;
        let mut wanted: VecDeque<Wanted> = VecDeque::new();
        let mut calling: Option<BoxFuture<'_, ()>> = None;
        let mut reads = true;
        let mut ends = false;
        loop {
            if calling.is_none() {
                calling = wanted.pop_front().map(|call| call_it(stage, call).boxed());
            }
            if ends && calling.is_none() {
                return Ok(());
            }
            let line = tokio::select! {
                () = async { if let Some(calling) = calling.as_mut() { calling.await } }, if calling.is_some() => {
                    calling = None;
                    continue;
                }
                line = self.lines.recv(), if reads && !ends => line,
                else => std::future::pending().await,
            };
            let Some(line) = line else {
                reads = false;
                continue;
            };
            match line.trim() {
                "quit" | "exit" | "q" if self.can_ask => return Ok(()),
                "quit" | "exit" | "q" => ends = true,
                "help" | "?" => stage.screen.say(HELP),
                "allow" => self.allow(stage).await,
                "" => match &last {
                    Some(call) => wanted.push_back(call.clone()),
                    None => stage.screen.say(HELP),
                },
                text => match Wanted::parse(text) {
                    Ok(call) => wanted.push_back(last.insert(call).clone()),
                    Err(error) => stage.screen.tell(&Told::failed("this", &error)),
                },
            }
        }
    }

    async fn allow(&self, stage: &Arc<Stage>) {
        let mut waited = false;
        for project in stage.projects.iter().filter(|project| project.pending().is_some()) {
            waited = true;
            // Whoever pipes lines into this is no person who has read what is asked for.
            let done = match self.can_ask {
                true => project.allow(stage).await,
                false => Err(Trouble::new(
                    "denied",
                    "only a person at a terminal can allow more",
                    "begin with `--yes`, or with `--allow GRANT` for exactly what you want",
                )),
            };
            if let Err(error) = done {
                stage.screen.tell(&Told::failed(&project.label(), &error));
            }
        }
        if !waited {
            stage.screen.say("nothing waits");
        }
    }
}

async fn call_it(stage: &Stage, call: Wanted) {
    let meant: Vec<_> = stage.projects.iter().filter(|project| project.is_meant(&call)).collect();
    match meant.as_slice() {
        [project] => project.call(stage, &call, &stage.context.cancel.child_token()).await,
        [] => {
            let name = call.skill.clone().unwrap_or_default();
            let error = Trouble::new("not-found", format!("no skill here is called `{name}`"), "type `help`");
            stage.screen.tell(&Told::failed(&call.to_string(), &error));
        }
        several => {
            let names: Vec<_> = several.iter().filter_map(|one| Some(one.serving()?.manifest().name)).collect();
            let hint = format!("write `SKILL/TOOL`; skills are: {}", names.join(", "));
            let error = Trouble::input("there are several skills here", hint);
            stage.screen.tell(&Told::failed(&call.to_string(), &error));
        }
    }
}

/// The person who types, for skills that ask.
struct Asked(Arc<Desk>);

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

/// Takes lines until it goes, however that happens.
struct Standing(Arc<Desk>);

impl Drop for Standing {
    fn drop(&mut self) {
        *self.0.question.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Person for Asked {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        Box::pin(async move {
            let _turn = self.0.turn.lock().await;
            let (send, lines) = std::sync::mpsc::channel();
            *self.0.question.lock().unwrap_or_else(PoisonError::into_inner) = Some(send);
            // Dropped with this future: the channel closes, and the conversation ends as at the end of the input.
            let _standing = Standing(Arc::clone(&self.0));
            let talk = move || person::about(&question, &mut anstream::stderr(), &mut || lines.recv().ok());
            tokio::task::spawn_blocking(talk).await.ok().flatten()
        })
    }

    fn word(&self) -> &'static str {
        "the person at the terminal"
    }
}
