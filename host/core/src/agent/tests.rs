//! The loop with models that follow a script, and no skills: those are in `tests/suite/agents.rs`.

use std::path::Path;

use super::*;
use crate::capability::model::types::{Message, Part, Role};
use crate::engine::WorkerCommand;
use crate::host::HostConfig;
use crate::journal::audit::{Event, Filter};

/// A host whose only model follows a script.
struct Stage {
    _dir: tempfile::TempDir,
    host: Host,
}

impl Stage {
    async fn new(answers: &str, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = open(dir.path(), answers, settings).await;
        Self { _dir: dir, host }
    }

    fn agent(&self) -> Agent {
        self.host.agent("a").unwrap()
    }
}

async fn open(dir: &Path, answers: &str, settings: &str) -> Host {
    let script = dir.join("script.toml");
    std::fs::write(&script, answers).unwrap();
    let settings = format!(
        "{settings}\n[models]\nretries = 1\n[models.providers.s]\ntype = \"scripted\"\nscript = {script:?}\n\
         [models.aliases]\ndefault = [\"s/m\"]\n"
    );
    let settings = toml::from_str(&settings).unwrap_or_else(|error| panic!("{error}: {settings}"));
    Host::open(HostConfig {
        state_dir: dir.join("state"),
        data_dir: dir.join("data"),
        cache_dir: dir.join("cache"),
        ours: Vec::new(),
        home: None,
        settings,
        secrets: Default::default(),
        keyring: None,
        worker: WorkerCommand { program: "/no/worker/is/needed".into(), args: Vec::new() },
    })
    .await
    .unwrap()
}

fn texts(transcript: &Transcript) -> Vec<(Role, String)> {
    transcript.messages().iter().map(|message| (message.role, message.joined_text())).collect()
}

const FOREVER: &str = "[[answers]]\ntimes = 0\ntool-calls = [{ name = \"fly\", input = { to = \"the moon\" } }]\n";

#[tokio::test]
async fn an_answer_is_said_kept_recorded_and_paid_for() {
    let answer = "[[answers]]\ntext = \"Hello there.\"\nchunk = 3\nusage = { input-tokens = 7, output-tokens = 5 }\n";
    let stage = Stage::new(answer, "[agents.a]\ninstructions = \"Be kind.\"\n").await;
    let (events, mut told) = mpsc::channel(64);
    let mut transcript = Transcript::new("a");
    let turn = Turn { events: Some(events), ..Turn::default() };
    let answer = stage.agent().run(&mut transcript, "Hi", turn).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.stop_reason, answer.steps), ("Hello there.", StopReason::End, 1));
    assert_eq!((answer.usage.output_tokens, answer.model.as_deref()), (5, Some("s/m")));
    let mut streamed = String::new();
    while let Some(event) = told.recv().await {
        let AgentEvent::Text { text } = event else { panic!("{event:?}") };
        streamed.push_str(&text);
    }
    assert_eq!(streamed, "Hello there.");
    assert_eq!(texts(&transcript), [(Role::User, "Hi".into()), (Role::Assistant, "Hello there.".into())]);
    let again = stage.host.transcript(transcript.id()).await.unwrap();
    assert_eq!(again.messages(), transcript.messages());
    assert_eq!(again.summary().spent.output_tokens, 5);

    stage.host.0.state.flush().await.unwrap();
    let runs = stage.host.runs(10).await.unwrap();
    assert_eq!((runs.len(), runs[0].skill.as_str(), runs[0].kind.as_str()), (1, "agent:a", "ok"));
    assert_eq!((runs[0].invocation.as_str(), runs[0].usage.output_tokens), (answer.run.as_str(), 5));
    let audit = stage.host.audit();
    audit.seal().await.unwrap();
    let records = audit.list(Filter::default(), 10).await.unwrap();
    let of: Vec<_> = records.iter().map(|record| (record.event, record.subject.as_str())).collect();
    for expected in [(Event::Intent, "model default"), (Event::Outcome, "model default"), (Event::Run, "run")] {
        assert!(of.contains(&expected), "{of:?}");
    }
    assert_eq!(stage.host.0.treasury.spent_today(Some("agent:a")).output_tokens, 5);
}

#[tokio::test]
async fn t84_a_model_that_calls_unknown_tools_for_ever_ends_with_its_steps() {
    let stage = Stage::new(FOREVER, "[agents.a]\nmax-steps = 3\n").await;
    let mut transcript = Transcript::new("a");
    let error = stage.agent().run(&mut transcript, "Fly", Turn::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("all of its 3 steps")), ("too-many-steps", true), "{error}");
    assert_eq!(transcript.messages().len(), 1 + 3 * 2);
    for pair in transcript.messages()[1..].chunks(2) {
        let [Part::ToolCall(call)] = pair[0].parts.as_slice() else { panic!("{pair:?}") };
        assert_eq!(call.name, "unknown_tool", "a name that a provider would not take back is none to keep");
        let [Part::ToolResult(result)] = pair[1].parts.as_slice() else { panic!("{pair:?}") };
        assert!(result.is_error && result.id == call.id, "{result:?}");
        assert!(result.content.contains("the agent has no tool `fly`"), "{}", result.content);
    }
    stage.host.audit().seal().await.unwrap();
    let denied = Filter { event: Some(Event::Denied), ..Filter::default() };
    let denied = stage.host.audit().list(denied, 10).await.unwrap();
    assert_eq!((denied.len(), denied[0].caller.as_str(), denied[0].subject.as_str()), (3, "user>model", "tools fly"));
}

#[tokio::test]
async fn a_budget_of_tokens_is_used_up_and_then_ends_the_run() {
    let answers = format!("{FOREVER}usage = {{ input-tokens = 1, output-tokens = 60 }}\n");
    let stage = Stage::new(&answers, "[agents.a]\nmax-tokens = 100\n").await;
    let mut transcript = Transcript::new("a");
    let error = stage.agent().run(&mut transcript, "Fly", Turn::default()).await.unwrap_err();
    assert_eq!(error.kind(), "budget-exhausted", "{error}");
    assert_eq!(error.hint(), "raise `agents.a.max-tokens` in the configuration, or give a smaller task");
    // Two answers fit: the second one was asked for what was left.
    assert_eq!(transcript.messages().len(), 1 + 2 * 2);
    // Each run has a budget of its own.
    let error = stage.agent().run(&mut transcript, "Go on", Turn::default()).await.unwrap_err();
    assert_eq!((error.kind(), transcript.messages().len()), ("budget-exhausted", 5 + 5));
    assert_eq!(transcript.summary().spent.output_tokens, 240);
}

#[tokio::test]
async fn tokens_that_whoever_asks_allows_cut_an_answer_and_are_no_setting_of_the_agents() {
    let answers = "[[answers]]\ntimes = 0\ntext = \"I look.\"\ntool-calls = [{ name = \"fly\" }]\n\
                   usage = { input-tokens = 1, output-tokens = 60 }\n";
    for (settings, wish, cut) in [
        ("", 50, true),
        ("max-tokens = 1000\n", 100, true),
        ("max-tokens = 50\n", 50, false),
        ("max-tokens = 50\n", 1_000, false),
    ] {
        let stage = Stage::new(answers, &format!("[agents.a]\n{settings}")).await;
        let at_most = Limits { output_tokens: Some(wish), ..Limits::default() };
        let mut transcript = Transcript::new("a");
        let done = stage.agent().run(&mut transcript, "Fly", Turn { at_most, ..Turn::default() }).await;
        match done {
            Ok(answer) => {
                assert!(cut, "{settings}{wish}");
                assert_eq!((answer.text.as_str(), answer.stop_reason), ("I look.", StopReason::MaxTokens));
            }
            Err(error) => {
                assert!(!cut, "{settings}{wish}: {error}");
                assert_eq!((error.kind(), error.hint().contains("agents.a.max-tokens")), ("budget-exhausted", true));
            }
        }
    }
}

#[tokio::test]
async fn a_run_that_takes_too_long_names_the_agents_own_limit() {
    let answers = "[[answers]]\ntext = \"abcd\"\nchunk = 2\nafter = 1\ngate = \"shut\"\n";
    let stage = Stage::new(answers, "[agents.a]\nmax-seconds = 1\n").await;
    let error = stage.agent().run(&mut Transcript::new("a"), "Tell", Turn::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the agent `a` has no answer after the 1 s that it has for one run");
    let hint = "raise `agents.a.max-seconds` in the configuration, or give a smaller task";
    assert_eq!((error.kind(), error.hint().as_str()), ("timeout", hint));
}

#[tokio::test]
async fn who_keeps_no_transcript_is_not_told_to_go_on_with_it() {
    let stage = Stage::new(FOREVER, "[agents.a]\nmax-steps = 1\n").await;
    for (mut transcript, goes_on) in [(Transcript::new("a"), true), (Transcript::passing("a", Vec::new()), false)] {
        let error = stage.agent().run(&mut transcript, "Fly", Turn::default()).await.unwrap_err();
        let hint = error.hint();
        assert!(hint.contains("agents.a.max-steps") && hint.contains("transcript") == goes_on, "{hint}");
        assert_eq!(hint.contains("go on"), goes_on, "{hint}");
    }
}

#[tokio::test]
async fn an_agents_run_is_told_to_who_watches_the_host() {
    let answer = "[[answers]]\ntext = \"Hi.\"\nusage = { input-tokens = 7, output-tokens = 5 }\n";
    let stage = Stage::new(answer, "[agents.a]\n").await;
    let mut ended = stage.host.runs_ended();
    let turn = Turn { caller: Caller::Client, ..Turn::default() };
    stage.agent().run(&mut Transcript::new("a"), "Hi", turn).await.unwrap();
    let run = ended.try_recv().unwrap();
    assert_eq!((run.skill.as_str(), run.caller, run.kind, run.usage.output_tokens), ("agent:a", "client", "ok", 5));
    assert!(ended.try_recv().is_err(), "it is told once");
}

#[tokio::test]
async fn a_budget_of_money_is_used_up_and_then_ends_the_run() {
    let answers = format!("{FOREVER}usage = {{ input-tokens = 1, output-tokens = 1000 }}\n");
    // Ten dollars for a million tokens, and a cent for each answer. The longest would cost four cents: where less than that is left, an
    // answer is asked for that is as long as what is left pays for, until that is hardly one.
    let prices = "[models.prices.\"s/m\"]\ninput = 0\noutput = 10_000_000\n";
    for (dollars, steps) in [("0.1", 10), ("0.02", 2), ("0.0026", 1), ("0.0025", 0)] {
        let stage = Stage::new(&answers, &format!("[agents.a]\nmax-dollars = {dollars}\n{prices}")).await;
        let mut transcript = Transcript::new("a");
        let error = stage.agent().run(&mut transcript, "Fly", Turn::default()).await.unwrap_err();
        assert_eq!(error.kind(), "budget-exhausted", "{error}");
        assert_eq!(error.hint(), "raise `agents.a.max-dollars` in the configuration, or give a smaller task");
        assert_eq!(transcript.messages().len(), 1 + steps * 2, "{dollars}: {transcript:?}");
    }
}

#[tokio::test]
async fn a_day_of_an_agent_has_an_end_as_a_skills_has() {
    let answers = "[[answers]]\ntimes = 0\ntext = \"x\"\nusage = { input-tokens = 1, output-tokens = 60 }\n";
    let settings = "[agents.a]\nmax-tokens = 50\n[agents.b]\n[budget.skill-day]\noutput-tokens = 100\n";
    let stage = Stage::new(answers, settings).await;
    let mut transcript = Transcript::new("a");
    stage.agent().run(&mut transcript, "1", Turn::default()).await.unwrap();
    let error = stage.agent().run(&mut transcript, "2", Turn::default()).await.unwrap_err();
    assert_eq!(error.kind(), "budget-exhausted");
    assert!(error.hint().contains("budget.skill-day.output-tokens"), "{}", error.hint());
}

#[tokio::test]
async fn an_interrupted_answer_keeps_what_was_said_and_goes_on_later() {
    let answers = "[[answers]]\ntext = \"Once upon a time\"\nchunk = 4\nafter = 2\ngate = \"shut\"\n\
                   [[answers]]\ncontains = [\"Once upo\"]\ntext = \"The end.\"\n";
    let stage = Stage::new(answers, "[agents.a]\n").await;
    let (events, mut told) = mpsc::channel(64);
    let turn = Turn { events: Some(events), ..Turn::default() };
    let (cancel, agent) = (turn.cancel.clone(), stage.agent());
    let mut transcript = Transcript::new("a");
    let id = transcript.id().to_owned();
    let running = tokio::spawn(async move { agent.run(&mut transcript, "Tell", turn).await.map(|_| ()) });
    for piece in ["Once", " upo"] {
        assert_eq!(told.recv().await, Some(AgentEvent::Text { text: piece.into() }));
    }
    // Before it has ended there is already something to go on with.
    assert_eq!(texts(&stage.host.transcript(&id).await.unwrap()), [(Role::User, "Tell".into())]);
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().kind(), "cancelled");
    let mut again = stage.host.transcript(&id).await.unwrap();
    assert_eq!(texts(&again), [(Role::User, "Tell".into()), (Role::Assistant, "Once upo".into())]);
    let answer = stage.agent().run(&mut again, "Go on", Turn::default()).await.unwrap();
    assert_eq!((answer.text.as_str(), again.messages().len()), ("The end.", 4));
    stage.host.0.state.flush().await.unwrap();
    let kinds: Vec<_> = stage.host.runs(10).await.unwrap().into_iter().map(|run| run.kind).collect();
    assert_eq!(kinds, ["ok", "cancelled"]);
}

#[tokio::test]
async fn the_rules_for_whoever_began_hold_for_the_agent() {
    let answers = "[[answers]]\ntimes = 0\ntext = \"x\"\n";
    let stage = Stage::new(answers, "[agents.a]\nmodel = \"s/m\"\n[rules.client]\nmodel = \"deny\"\n").await;
    let client = Turn { caller: Caller::Client, ..Turn::default() };
    let error = stage.agent().run(&mut Transcript::new("a"), "1", client).await.unwrap_err();
    assert_eq!((error.kind(), error.hint().contains("rules.client.model")), ("denied", true), "{error}");
    // Rules for models are for what tools do with models, and not for the agent's own.
    stage.agent().run(&mut Transcript::new("a"), "1", Turn::default()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_message_and_no_agent_is_refused_before_anything_happens() {
    let stage = Stage::new("", "[agents.a]\n[agents.gone]\nskills = [\"nobody\"]\n").await;
    let mut transcript = Transcript::new("a");
    for (message, kind) in [(" \n", "invalid-input"), (&"x".repeat(5 << 20), "too-large")] {
        assert_eq!(stage.agent().run(&mut transcript, message, Turn::default()).await.unwrap_err().kind(), kind);
    }
    assert!(transcript.messages().is_empty());
    let gone = stage.host.agent("gone").unwrap();
    let error = gone.run(&mut transcript, "x", Turn::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("`nobody`")), ("not-found", true), "{error}");
    let error = stage.host.agent("b\u{1b}").unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), ("not-found", "there is no agent `b\\u{1b}`"));
    assert!(error.hint().contains("a, chat, gone"), "{}", error.hint());
    assert!(stage.host.transcripts().await.unwrap().is_empty() && stage.host.runs(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_provider_that_fails_leaves_a_conversation_to_go_on_with() {
    let answers = "[[answers]]\nerror = { kind = \"server\", message = \"down\" }\n[[answers]]\ntext = \"Up again.\"\n";
    let stage = Stage::new(answers, "[agents.a]\n").await;
    let mut transcript = Transcript::new("a");
    let error = stage.agent().run(&mut transcript, "Hi", Turn::default()).await.unwrap_err();
    assert_eq!(error.kind(), "unavailable", "{error}");
    let answer = stage.agent().run(&mut transcript, "Again", Turn::default()).await.unwrap();
    assert_eq!((answer.text.as_str(), transcript.messages().len()), ("Up again.", 3));
}

#[tokio::test]
async fn a_history_of_somebody_elses_is_untrusted_and_leaves_nothing_behind() {
    let stage = Stage::new("[[answers]]\ncontains = [\"before\"]\ntext = \"x\"\n", "[agents.a]\n").await;
    let before = vec![Message::text(Role::User, "before"), Message::text(Role::Assistant, "said")];
    let mut transcript = Transcript::passing("a", before);
    assert!(transcript.taint().so_far().has(crate::policy::taint::Touch::UNTRUSTED));
    stage.agent().run(&mut transcript, "Hi", Turn::default()).await.unwrap();
    assert!(stage.host.transcripts().await.unwrap().is_empty());
}
