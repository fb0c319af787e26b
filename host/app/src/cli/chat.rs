//! `ringfence chat`: a conversation with an agent, at a terminal or through a pipe.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ringfence_core::agent::{Agent, AgentEvent, Answer, DEFAULT_AGENT, Summary, Transcript, Turn};
use ringfence_core::{Caller, Error, Host, Person, Question};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, channel};
use tokio_util::sync::CancellationToken;

use super::{Context, follow};
use crate::grants;
use crate::trouble::Trouble;
use crate::ui::person::{self, Terminal};
use crate::ui::progress::Line;
use crate::ui::{note, print, printable, table};

/// Bytes of a message from a pipe.
const MOST_BYTES: u64 = 4 << 20;
/// Names of tools that a greeting shows.
const SHOWN_TOOLS: usize = 12;
/// Characters of a tool's arguments that its line shows.
const SHOWN_INPUT: usize = 100;

/// Talk with an agent, which works with your skills
///
/// Without --agent it is the default model, with every installed skill that has been granted what it needs. The model's calls are held
/// by your budgets, the skills' calls by their grants and by `[rules.model]`. Ctrl-C interrupts an answer, and ends the chat
/// where none is under way. From a pipe, all of stdin is one message, and the answer is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The agent, as in `[agents.NAME]` of the configuration
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,

    /// Go on with a transcript: with the last one where no ID is named
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = LAST)]
    resume: Option<String>,

    /// Grant something for this chat: GRANT to all skills as far as they ask for it, or SKILL:GRANT to one
    #[arg(long, value_name = "[SKILL:]GRANT")]
    allow: Vec<String>,

    /// List the transcripts that are kept
    #[arg(long, conflicts_with_all = ["agent", "resume", "allow", "remove"])]
    list: bool,

    /// Remove a transcript for good
    #[arg(long, value_name = "ID", conflicts_with_all = ["agent", "resume", "allow"])]
    remove: Option<String>,
}

const LAST: &str = "last";

pub(super) async fn run(args: &Args, context: &Arc<Context>) -> Result<ExitCode, Error> {
    let host = context.host().await?;
    let done = match &args.remove {
        Some(id) => host.remove_transcript(id).await.map(|()| ExitCode::SUCCESS),
        None if args.list => list(&host, context).await.map(|()| ExitCode::SUCCESS),
        None => talk(&host, args, context).await,
    };
    let closed = host.close().await;
    done.and_then(|code| closed.map(|()| code))
}

async fn list(host: &Host, context: &Context) -> Result<(), Error> {
    let all = host.transcripts().await?;
    if context.json() {
        return crate::ui::print_json(&all);
    }
    if all.is_empty() {
        note("no transcript is kept; `ringfence chat` begins one");
        return Ok(());
    }
    let mut table = table::table(["ID", "AGENT", "LAST USED", "BEGINS WITH"]);
    for Summary { id, agent, updated, title, .. } in all {
        table.add_row([id, agent, format!("{updated:.0}"), title]);
    }
    print(&table::text(&table))
}

async fn talk(host: &Host, args: &Args, context: &Arc<Context>) -> Result<ExitCode, Error> {
    let resumed = match args.resume.as_deref() {
        None => None,
        Some(LAST) => {
            let last = host.transcripts().await?.into_iter().next();
            let last = last
                .ok_or_else(|| Trouble::new("not-found", "no transcript is kept", "leave --resume out to begin one"))?;
            Some(host.transcript(&last.id).await?)
        }
        Some(id) => Some(host.transcript(id).await?),
    };
    let named = args.agent.as_deref().or(resumed.as_ref().map(Transcript::agent)).unwrap_or(DEFAULT_AGENT);
    let agent = host.agent(named)?;
    let mut transcript = resumed.unwrap_or_else(|| Transcript::new(agent.name()));
    allow(host, &args.allow).await?;
    let screen = Screen::new(context);
    if !std::io::stdin().is_terminal() {
        let message = context.unless_cancelled(piped()).await?;
        return screen.only_turn(&agent, &mut transcript, &message).await.map(|()| ExitCode::SUCCESS);
    }
    screen.greet(&agent, &transcript).await?;
    let _following = follow::in_background(host, context);
    converse(host, agent.name(), &mut transcript, &screen, context).await
}

/// One message after the other, until the person ends it. Each is for the agent as it is configured then.
async fn converse(
    host: &Host,
    agent: &str,
    transcript: &mut Transcript,
    screen: &Screen<'_>,
    context: &Context,
) -> Result<ExitCode, Error> {
    let begun = transcript.messages().len();
    loop {
        let Some(message) = screen.next_message(&context.cancel).await else { break };
        if message.trim().is_empty() {
            continue;
        }
        let interrupt = context.turns.begin(&context.cancel);
        let answer = match host.agent(agent) {
            Ok(agent) => screen.turn(&agent, transcript, &message, interrupt.token().clone()).await,
            Err(error) => Err(error),
        };
        drop(interrupt);
        match answer {
            Ok(answer) => screen.answer(&answer, transcript)?,
            // The chat goes on after what a next message can mend.
            Err(error) => drop(crate::render::fail(&error, context.config.output.format)),
        }
        if context.cancel.is_cancelled() {
            break;
        }
    }
    if transcript.messages().len() > begun {
        screen.goes_on("\n", transcript);
    }
    Ok(if context.cancel.is_cancelled() { ExitCode::from(130) } else { ExitCode::SUCCESS })
}

/// Grants for as long as this process lives: `SKILL:GRANT` to one skill, `GRANT` to every installed one, as far as each asks for it.
pub(super) async fn allow(host: &Host, words: &[String]) -> Result<(), Error> {
    for word in words {
        // A grant may have a colon behind its name and `=`.
        let colon = word.find(':').filter(|at| !word[..*at].contains('='));
        let (skill, grant) = match colon {
            Some(at) => (Some(&word[..at]), &word[at + 1..]),
            None => (None, word.as_str()),
        };
        let granted = grants::parse(&[grant.to_owned()], None)?;
        grants::check_models(&granted, &host.aliases(), &host.providers())?;
        let installed: Vec<String> = host.list().await?.into_iter().map(|skill| skill.name).collect();
        let these: Vec<&String> = match skill {
            None => installed.iter().collect(),
            Some(skill) => installed.iter().filter(|name| *name == skill).collect(),
        };
        if let (Some(skill), []) = (skill, these.as_slice()) {
            return Err(Trouble::new(
                "not-found",
                format!("no skill named `{}` is installed", printable(skill)),
                format!("installed are: {}", installed.join(", ")),
            ));
        }
        for name in these {
            host.grant_for_session(name, granted.clone()).await?;
        }
    }
    Ok(())
}

/// All of stdin as one message.
pub(super) async fn piped() -> Result<String, Error> {
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        std::io::stdin().lock().take(MOST_BYTES + 1).read_to_string(&mut text).map(|_| text)
    });
    let fault = |_| Trouble::new("host-fault", "reading stdin failed", "try again");
    let text = read.await.map_err(fault)?.map_err(|error| {
        Trouble::input(format!("stdin cannot be read: {error}"), "pipe UTF-8 text, the message for the agent")
    })?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Trouble::new(
            "too-large",
            format!("stdin has more than {MOST_BYTES} bytes"),
            "give less; a skill can read a large document for the agent",
        ));
    }
    Ok(text)
}

/// What a person or a program gets to see of an agent's work. A terminal gets text as it comes, a pipe the answer alone, `--format json`
/// one line for each event.
pub(super) struct Screen<'a> {
    context: &'a Context,
    line: Line,
    /// Questions have the terminal for themselves.
    turn: person::Turn,
    /// One permit for each approval that was told, once all that was told before it is shown.
    told: Arc<Semaphore>,
    streams: bool,
}

/// The person at the terminal, who is asked when they have seen what came before the question.
#[derive(Debug)]
struct Reader {
    person: Terminal,
    told: Arc<Semaphore>,
}

impl Person for Reader {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        if !matches!(question, Question::Approve(_)) {
            return self.person.ask(question);
        }
        Box::pin(async move {
            self.told.acquire().await.ok()?.forget();
            self.person.ask(question).await
        })
    }

    fn word(&self) -> &'static str {
        self.person.word()
    }
}

impl<'a> Screen<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        let streams = !context.json() && std::io::stdout().is_terminal();
        Self {
            context,
            line: Line::new(context.quiet),
            turn: person::Turn::default(),
            told: Arc::new(Semaphore::new(0)),
            streams,
        }
    }

    /// The only message of this process, and its answer. Where there is none, what was done for it is not lost.
    pub(super) async fn only_turn(
        &self,
        agent: &Agent,
        transcript: &mut Transcript,
        message: &str,
    ) -> Result<(), Error> {
        let begun = transcript.messages().len();
        let answer = self.turn(agent, transcript, message, self.context.cancel.clone()).await;
        if let Err(error) = &answer
            && transcript.messages().len() > begun
        {
            if self.context.json() {
                let failed = json!({ "type": "failed", "transcript": transcript.id(), "kind": error.kind() });
                print(&format!("{failed}\n"))?;
            }
            self.goes_on("", transcript);
        }
        self.answer(&answer?, transcript)
    }

    /// How a person goes on with a conversation that is kept.
    fn goes_on(&self, before: &str, transcript: &Transcript) {
        if !self.context.quiet && !self.context.json() {
            note(&format!("{before}ringfence chat --resume {} goes on with this", transcript.id()));
        }
    }

    /// One message and what comes of it. What was streamed ends with its line.
    async fn turn(
        &self,
        agent: &Agent,
        transcript: &mut Transcript,
        message: &str,
        cancel: CancellationToken,
    ) -> Result<Answer, Error> {
        let (sender, events) = channel(256);
        let person = || {
            let person = Terminal::new(self.turn.clone(), self.line.clone());
            Arc::new(Reader { person, told: Arc::clone(&self.told) }) as Arc<dyn Person>
        };
        let turn = Turn {
            caller: Caller::User,
            events: Some(sender),
            cancel,
            person: (crate::ui::can_ask() && !self.context.json()).then(person),
            locale: super::run::locale(),
            ..Turn::default()
        };
        self.line.say("thinking");
        let (answer, shown) = tokio::join!(agent.run(transcript, message, turn), self.follow(events));
        shown?;
        answer
    }

    /// Shows events until the last sender is gone.
    async fn follow(&self, mut events: Receiver<AgentEvent>) -> Result<(), Error> {
        let mut inside_a_line = false;
        while let Some(event) = events.recv().await {
            let _turn = self.turn.take().await;
            if self.context.json() {
                print(&format!("{}\n", json!(event)))?;
                continue;
            }
            match event {
                AgentEvent::Text { text } if self.streams => {
                    self.line.clear();
                    print(&printable(&text))?;
                    inside_a_line = !text.ends_with('\n');
                }
                AgentEvent::ApprovalAsked { .. } => self.told.add_permits(1),
                AgentEvent::ToolStarted { name, .. } => {
                    if std::mem::take(&mut inside_a_line) {
                        print("\n")?;
                    }
                    self.line.say(format!("calling {name}"));
                }
                AgentEvent::ToolFinished { name, kind, text, ms, .. } if !self.context.quiet => {
                    let why = match kind.as_str() {
                        "ok" => String::new(),
                        _ => format!(": {}", text.lines().next().unwrap_or_default()),
                    };
                    let told = format!("{} {kind}, {ms} ms{why}", short(&name));
                    self.line.suspend(|| note(&format!("[{}]", printable(&short(&told)))));
                }
                _ => {}
            }
        }
        self.line.clear();
        if inside_a_line { print("\n") } else { Ok(()) }
    }

    /// What is left to print of an answer.
    fn answer(&self, answer: &Answer, transcript: &Transcript) -> Result<(), Error> {
        if self.context.json() {
            return print(&format!("{}\n", json!({ "type": "end", "transcript": transcript.id(), "answer": answer })));
        }
        if !self.streams {
            print(&format!("{}\n", answer.text.trim_end()))?;
        }
        if let Some(shortfall) = answer.shortfall() {
            note(&format!("({shortfall})"));
        }
        let offline = answer.model.as_deref().is_some_and(|model| model.ends_with("extractive"));
        if offline && !self.context.quiet && std::io::stderr().is_terminal() {
            note("(the built-in offline engine is no language model; `ringfence models` says how to use one)");
        }
        Ok(())
    }

    /// What a chat begins with.
    async fn greet(&self, agent: &Agent, transcript: &Transcript) -> Result<(), Error> {
        if self.context.quiet || self.context.json() {
            return Ok(());
        }
        let (tools, left_out) = agent.tools().await?;
        let tools = match tools.len() {
            0 => "no tools".to_owned(),
            1..=SHOWN_TOOLS => tools.join(", "),
            many => format!("{many} tools"),
        };
        note(&printable(&format!("{} ({}), with {tools}", agent.name(), agent.settings().model())));
        if !left_out.is_empty() {
            let names = printable(&left_out.join(", "));
            note(&format!("without {names}: `ringfence permissions NAME` says what they lack"));
        }
        if !transcript.messages().is_empty() {
            note(&format!("going on after {} messages: {}", transcript.messages().len(), transcript.summary().title));
        }
        note("Ctrl-C interrupts an answer, Ctrl-D ends.");
        Ok(())
    }

    /// The next message that the person types. None where there is none any more.
    async fn next_message(&self, cancel: &CancellationToken) -> Option<String> {
        let prompt = if self.context.json() { "" } else { "\n> " };
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            line = person::line(prompt, &self.turn) => line,
        }
    }
}

fn short(text: &str) -> String {
    ringfence_core::schema::shorten(text, SHOWN_INPUT)
}
