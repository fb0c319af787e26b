//! Acts of one invocation at once: settled, given up, refused, ended by two at the same time; while the chain is signed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Check, beside, join};
use crate::broker::{Ask, Session, Setup, Shared, Verdict};
use crate::budget::{Amount, Budgets, Treasury};
use crate::error::Refusal;
use crate::ground::{Ground, number, one_of, turn, unless};
use crate::journal::audit::{Audit, Event, Filter};
use crate::policy::Grants;
use crate::policy::rules::Rules;
use crate::policy::taint::Touch;

pub(super) const CHECK: Check = Check {
    name: "permit",
    holds: "every intent has exactly one outcome, after it; the chain verifies; when the host has ended all of it is signed",
    body,
};

/// An ask that is whatever a check needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    pub(super) leaves: bool,
    pub(super) cost: u64,
    pub(super) granted: bool,
}

impl Ask for Act {
    const CAPABILITY: &'static str = "kv";
    type Grant = Grants;

    fn grant(grants: &Grants) -> &Grants {
        grants
    }

    fn subject(&self) -> String {
        "act".into()
    }

    fn allowed(&self, grant: &Grants) -> Verdict {
        match grant.0 && self.granted {
            true => Verdict::Yes,
            false => Verdict::No { reason: "it is not granted".into(), hint: String::new() },
        }
    }

    fn estimate(&self) -> Amount {
        Amount { output_tokens: self.cost, ..Amount::default() }
    }

    fn leaves(&self) -> bool {
        self.leaves
    }

    fn touches(&self) -> Touch {
        Touch::NOTHING
    }
}

/// What an invocation is made with: an hour, and everything granted.
pub(super) fn setup(shared: &Arc<Shared>, treasury: &Treasury, invocation: &str, cancel: CancellationToken) -> Setup {
    Setup {
        skill: "a".into(),
        invocation: invocation.into(),
        callers: vec!["user"],
        grants: Arc::new(Grants(true)),
        ledger: treasury.ledger("a", invocation, &Budgets::default()),
        deadline: Instant::now() + Duration::from_secs(3_600),
        cancel,
        taint: Arc::default(),
        person: None,
        above: None,
        entered: true,
        span: tracing::Span::none(),
        shared: Arc::clone(shared),
    }
}

pub(super) fn shared(ground: &Ground) -> Arc<Shared> {
    let audit = Audit::open(ground.state.clone(), ground.dir.path()).unwrap();
    Arc::new(Shared::new(audit, Rules::default(), ground.io.clone()))
}

fn body() {
    let ground = Ground::new();
    let shared = shared(&ground);
    let treasury = ground.io.block_on(Treasury::open(ground.state.clone())).unwrap();
    let gives_up = CancellationToken::new();
    let session = Session::new(setup(&shared, &treasury, "1", CancellationToken::new()));

    let (one, two, three) = (session.clone(), session.clone(), session);
    let (token, io) = (gives_up.clone(), ground.io.clone());
    let (audit, again) = (shared.audit.clone(), shared.audit.clone());
    let threads = [
        beside(&ground.io, async move {
            let permit = one.permit(Act { leaves: true, cost: 5, granted: true }).await.unwrap();
            let (receipt, same) = (permit.receipt(), permit.receipt());
            let other = beside(&io, async move { same.close("failed", "the backend said so".into()) });
            permit.settle(Amount { output_tokens: 3, ..Amount::default() });
            receipt.ended(&Ok(()));
            join([other]);
        }),
        beside(&ground.io, async move {
            let act = Act { leaves: true, cost: one_of(&[0, 4]), granted: true };
            // Whoever has the permit lets it go: nobody knows what came of the act.
            drop(unless(&token, two.permit(act)).await);
        }),
        beside(&ground.io, async move {
            let denied = three.permit(Act { leaves: false, cost: 0, granted: false }).await;
            assert!(matches!(denied, Err(Refusal::Denied(_))));
            let permit = three.permit(Act { leaves: false, cost: 0, granted: true }).await.unwrap();
            permit.receipt().ended(&Ok(()));
        }),
        beside(&ground.io, async move {
            audit.seal().await.unwrap();
            turn();
            gives_up.cancel();
            audit.seal().await.unwrap();
        }),
        beside(&ground.io, async move { again.seal().await.unwrap() }),
    ];
    join(threads);
    drop(treasury);

    let head = ground.dir.path().join("audit.head");
    // As a host ends.
    let audit = Arc::into_inner(shared).expect("nobody else has it").audit;
    let (verified, records) = ground.io.block_on(async {
        audit.seal().await.unwrap();
        (audit.verify().await.unwrap(), audit.list(Filter::default(), 100).await.unwrap())
    });
    assert_eq!(verified.fault, None);
    assert_eq!(verified.signed, verified.last, "records that nobody signed");
    let head: serde_json::Value = serde_json::from_slice(&std::fs::read(&head).unwrap()).unwrap();
    assert_eq!(head["seq"].as_u64(), Some(verified.last), "an older head lies beside the state");
    drop(audit);

    let mut acts: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    for record in &records {
        acts.entry(record.act).or_default().push(record.event);
    }
    for (act, events) in &acts {
        let whole = matches!(events.as_slice(), [Event::Intent, Event::Outcome] | [Event::Denied]);
        assert!(whole, "act {act} has {events:?}");
    }
    assert!(acts.len() >= 3, "{acts:?}");
    let db = ground.close();
    assert_eq!(number(&db, "SELECT count(*) FROM reservations"), 0, "reservations are left");
}
