use super::*;
use crate::state::testing::{killed, open, temporary};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn run(invocation: &str) -> Run {
    Run {
        invocation: invocation.into(),
        skill: "notes".into(),
        tool: "add".into(),
        digest: "sha256:00".into(),
        caller: "user",
        parent: None,
        at: at(0),
    }
}

fn ending(kind: &'static str) -> Ending {
    let usage = Amount { output_tokens: 7, host_calls: 2, wall_ms: u64::MAX, ..Amount::default() };
    Ending { kind, message: "a\u{1b}[31m".into(), usage, log_dropped: 3, at: at(5) }
}

#[tokio::test]
async fn a_run_is_told_from_its_start_to_its_end() {
    let (_dir, state) = temporary();
    let journal = Journal::new(state.clone());
    let open = journal.started(run("1"));
    state.flush().await.unwrap();
    let record = journal.run("1").await.unwrap().unwrap();
    assert_eq!((&*record.kind, record.started, record.ended), ("running", at(0), None));

    open.finished(ending("timeout"));
    open.finished(ending("ok"));
    state.flush().await.unwrap();
    let record = journal.run("1").await.unwrap().unwrap();
    assert_eq!((&*record.kind, record.ended, record.log_dropped), ("timeout", Some(at(5)), 3));
    assert_eq!(record.message, "a\u{1b}[31m", "kept as it was said");
    assert_eq!(record.usage.wall_ms, i64::MAX as u64);
    assert_eq!((record.usage.output_tokens, record.usage.host_calls), (7, 2));
    assert_eq!(journal.run("2").await.unwrap(), None);
}

#[tokio::test]
async fn a_run_that_a_kill_ended_is_interrupted() {
    let (_dir, state) = temporary();
    let journal = Journal::new(state.clone());
    let one = journal.started(run("1"));
    let _two = journal.started(run("2"));
    one.finished(ending("ok"));
    state.flush().await.unwrap();
    let copy = killed(&state);
    let journal = Journal::new(open(copy.path()));
    let kinds: Vec<_> = journal.recent(10).await.unwrap().into_iter().map(|run| (run.invocation, run.kind)).collect();
    assert_eq!(kinds, [("2".to_owned(), "interrupted".to_owned()), ("1".to_owned(), "ok".to_owned())]);
}

#[tokio::test]
async fn an_ending_is_written_whether_it_comes_before_or_after_the_beginning_is_on_disk() {
    let (_dir, state) = temporary();
    let journal = Journal::new(state.clone());
    let early = journal.started(run("early"));
    early.finished(ending("ok"));
    early.finished(ending("failed"));
    let late = journal.started(run("late"));
    state.flush().await.unwrap();
    assert_eq!(journal.run("late").await.unwrap().unwrap().kind, "running");
    late.finished(ending("ok"));
    state.flush().await.unwrap();
    let [late, early] = &journal.recent(10).await.unwrap()[..] else { panic!("two runs") };
    assert_eq!(Record { invocation: "early".into(), ..late.clone() }, *early);
    assert_eq!((&*early.kind, early.log_dropped, early.usage.wall_ms), ("ok", 3, i64::MAX as u64));
}

#[tokio::test]
async fn strings_are_cut_between_characters() {
    let (_dir, state) = temporary();
    let journal = Journal::new(state.clone());
    let open = journal.started(Run { tool: "é".repeat(1_000).into(), ..run("1") });
    open.finished(Ending { message: "é".repeat(1 << 20), ..ending("failed") });
    state.flush().await.unwrap();
    let record = journal.run("1").await.unwrap().unwrap();
    assert_eq!((record.tool, record.message), ("é".repeat(128), "é".repeat(2048)));
}

#[tokio::test]
async fn only_the_newest_runs_are_kept() {
    let (_dir, state) = temporary();
    let journal = Journal::new(state.clone());
    let posted = KEPT_RUNS + 3 * PRUNE_EVERY;
    for n in 0..posted {
        journal.started(run(&n.to_string()));
    }
    state.flush().await.unwrap();
    let kept: i64 = state.read(|db| db.query_row("SELECT count(*) FROM runs", [], |row| row.get(0))).await.unwrap();
    assert!((KEPT_RUNS..KEPT_RUNS + PRUNE_EVERY).contains(&(kept as u64)), "{kept}");
    assert_eq!(journal.recent(1).await.unwrap()[0].invocation, (posted - 1).to_string());
    assert_eq!(journal.run("0").await.unwrap(), None);
}
