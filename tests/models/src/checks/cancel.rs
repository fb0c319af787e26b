//! An invocation that ends, is called off, comes to its deadline or is dropped by its caller, whichever comes first; with an act
//! under way that ends as well.

use std::sync::Arc;
use std::task::Poll;

use jiff::Timestamp;
use rusqlite::Row;
use tokio_util::sync::CancellationToken;

use super::permit::{Act, setup, shared};
use super::{Check, beside, join};
use crate::broker::Session;
use crate::budget::{Amount, Treasury};
use crate::error::{Error, Refusal};
use crate::ground::{Ground, one_of, turn, unless};
use crate::host::Shared;
use crate::invocation::recorded;
use crate::journal::{Journal, Run};

pub(super) const CHECK: Check = Check {
    name: "cancel",
    holds: "an invocation is recorded once, with one end; its act has one outcome; nothing stays reserved",
    body,
};

const COST: u64 = 4;

fn body() {
    let ground = Ground::new();
    let sessions = shared(&ground);
    let treasury = ground.io.block_on(Treasury::open(ground.state.clone())).unwrap();
    let journal = Journal::new(ground.state.clone());
    let (cancel, drops) = (CancellationToken::new(), CancellationToken::new());
    let session = Session::new(setup(&sessions, &treasury, "1", cancel.clone()));
    let run = Run {
        invocation: "1".into(),
        skill: "a".into(),
        tool: "tool".into(),
        digest: "".into(),
        caller: "user",
        parent: None,
        at: Timestamp::now(),
    };
    let host = Shared { sessions: Arc::clone(&sessions) };
    let in_place = one_of(&[true, false]);
    let token = drops.clone();

    let call = beside(&ground.io, async move {
        let work = async { act(&session, in_place).await.map_err(Error::from) };
        let call = async {
            let open = journal.started(run);
            recorded(&host, &session, open, work).await
        };
        let ended = unless(&token, call).await;
        if let Some(Err(error)) = ended {
            assert!(["cancelled", "timeout"].contains(&error.kind()), "{error}");
        }
    });
    let caller = beside(&ground.io, async move {
        turn();
        match one_of(&[0, 1, 2]) {
            0 => cancel.cancel(),
            1 => drops.cancel(),
            _ => {}
        }
    });
    join([call, caller]);
    drop((treasury, sessions));

    let db = ground.close();
    let told = db.query_row(TOLD, [], told).unwrap();
    if told.runs == 0 {
        // Dropped before it began.
        assert_eq!(told.intents + told.outcomes + told.ends, 0, "{told:?}");
        return;
    }
    let one_end = (told.runs, told.ended, told.ends, told.same) == (1, 1, 1, 1);
    assert!(one_end, "it has not one end, or another one in the audit than in the journal: {told:?}");
    assert_eq!(told.intents, told.outcomes, "{told:?}");
    assert_eq!(told.reserved, 0, "{told:?}");
    assert_eq!(told.calls_of_day, told.calls_of_run, "{told:?}");
    assert!([0, COST / 2, COST].contains(&told.spent), "{told:?}");
    assert!(told.done == 0 || told.spent == COST / 2, "an act that ended is charged with what it used: {told:?}");
}

/// What is on the disk in the end.
#[derive(Debug)]
struct Told {
    runs: u64,
    ended: u64,
    ends: u64,
    same: u64,
    intents: u64,
    outcomes: u64,
    done: u64,
    reserved: u64,
    calls_of_day: u64,
    calls_of_run: u64,
    spent: u64,
}

const TOLD: &str = "SELECT
    (SELECT count(*) FROM runs),
    (SELECT count(*) FROM runs WHERE ended_us IS NOT NULL),
    (SELECT count(*) FROM audit WHERE event = 'run'),
    (SELECT count(*) FROM runs JOIN audit ON audit.event = 'run' AND audit.kind = runs.kind),
    (SELECT count(*) FROM audit WHERE event = 'intent'),
    (SELECT count(*) FROM audit WHERE event = 'outcome'),
    (SELECT count(*) FROM audit WHERE event = 'outcome' AND kind = 'ok'),
    (SELECT count(*) FROM reservations),
    (SELECT coalesce(sum(host_calls), 0) FROM spend),
    (SELECT coalesce(sum(host_calls), 0) FROM runs),
    (SELECT coalesce(sum(output_tokens), 0) FROM spend)";

fn told(row: &Row<'_>) -> rusqlite::Result<Told> {
    let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(Told {
        runs: number(0)?,
        ended: number(1)?,
        ends: number(2)?,
        same: number(3)?,
        intents: number(4)?,
        outcomes: number(5)?,
        done: number(6)?,
        reserved: number(7)?,
        calls_of_day: number(8)?,
        calls_of_run: number(9)?,
        spent: number(10)?,
    })
}

/// An act that takes a while, as a capability makes one.
async fn act(session: &Session, in_place: bool) -> Result<(), Refusal> {
    let permit = session.permit(Act { leaves: true, cost: COST, granted: true }).await?;
    let act = async move {
        let receipt = permit.receipt();
        shuttle::future::yield_now().await;
        permit.settle(Amount { output_tokens: COST / 2, ..Amount::default() });
        receipt.ended(&Ok(()));
        Ok(())
    };
    if !in_place {
        return session.perform(act).await;
    }
    let act = session.begin(act);
    let done = act.watch(|done| done.map_or(Poll::Pending, Poll::Ready)).await;
    done.unwrap_or_else(|panicked| Err(panicked.into()))
}
