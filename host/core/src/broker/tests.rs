use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::*;
use crate::budget::{Budgets, Limits, Reserved, Treasury};
use crate::error::Refusal;
use crate::journal::audit::{Audit, Event, Filter, Record};
use crate::person::{Person, Question};
use crate::policy::rules::{Rule, Rules};
use crate::state::State;

/// An ask that is whatever a test needs.
#[derive(Clone, Debug, Default)]
struct Act {
    /// The task in which policy was asked.
    asked_in: Arc<Mutex<Option<tokio::task::Id>>>,
    leaves: bool,
    touches: Touch,
    by_pattern: bool,
    cost: u64,
}

impl Ask for Act {
    const CAPABILITY: &'static str = "kv";
    type Grant = Option<crate::capability::kv::Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.kv
    }

    fn subject(&self) -> String {
        "kv act".into()
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        *self.asked_in.lock().unwrap() = tokio::task::try_id();
        match grant {
            Some(_) => Verdict::Yes,
            None => Verdict::No { reason: "nothing was granted".into(), hint: "grant it to {skill}".into() },
        }
    }

    fn estimate(&self) -> Amount {
        Amount { output_tokens: self.cost, ..Amount::default() }
    }

    fn leaves(&self) -> bool {
        self.leaves
    }

    fn touches(&self) -> Touch {
        self.touches
    }

    fn named(&self, _: &Self::Grant) -> bool {
        !self.by_pattern
    }

    fn arguments(&self) -> String {
        "everything that is sent".into()
    }
}

/// Says the same to every question, and counts them.
#[derive(Debug)]
struct Says(bool, AtomicU64);

impl Person for Says {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        let Question::Approve(approval) = question else { panic!("a question of a skill") };
        assert_eq!(approval.arguments, "everything that is sent");
        self.1.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Some(Value::Bool(self.0))))
    }
}

struct Ground {
    _dir: tempfile::TempDir,
    state: State,
    shared: Arc<Shared>,
    treasury: Treasury,
}

impl Ground {
    async fn new(rules: Rules) -> Self {
        let (dir, state) = crate::state::testing::temporary();
        let treasury = Treasury::open(state.clone()).await.unwrap();
        Self { _dir: dir, state: state.clone(), shared: Shared::on(state, rules), treasury }
    }

    fn setup(&self, granted: bool) -> Setup {
        let grants = Grants { kv: granted.then(Default::default), ..Grants::default() };
        Setup::of(Arc::clone(&self.shared), grants, self.treasury.ledger("a", "1", &Budgets::default()))
    }

    async fn records(&self) -> Vec<Record> {
        self.shared.audit.seal().await.unwrap();
        self.shared.audit.list(Filter::default(), 10_000).await.unwrap()
    }
}

fn denied(result: Result<Permit<Act>, Refusal>) -> crate::error::Denial {
    match result {
        Err(Refusal::Denied(denial)) => denial,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_act_leaves_its_intent_and_its_outcome() {
    let ground = Ground::new(Rules::default()).await;
    let session = Session::new(ground.setup(true));
    for (leaves, cost) in [(false, 0), (true, 0), (true, 5)] {
        let permit = session.permit(Act { leaves, cost, ..Act::default() }).await.unwrap();
        let receipt = permit.receipt();
        permit.settle(Amount { output_tokens: cost, ..Amount::default() });
        receipt.ended(&Ok(()));
    }
    let receipt = session.permit(Act::default()).await.unwrap().receipt();
    receipt.ended::<()>(&Err(Refusal::Cancelled));
    drop(session.permit(Act { leaves: true, ..Act::default() }).await.unwrap());
    let told: Vec<_> = ground.records().await.into_iter().map(|r| (r.event, r.act, r.kind, r.detail)).collect();
    let kinds: Vec<_> = told.iter().map(|(event, act, kind, _)| (*event, *act, kind.as_str())).collect();
    // A reservation goes before what was only told, so acts may lie between one another; each has its own order.
    let mut kinds = kinds;
    kinds.sort_by_key(|(_, act, _)| *act);
    let mut expected = Vec::new();
    for (act, kind) in [(1, "ok"), (2, "ok"), (3, "ok"), (4, "cancelled"), (5, "unknown")] {
        expected.extend([(Event::Intent, act, ""), (Event::Outcome, act, kind)]);
    }
    assert_eq!(kinds, expected);
    let third = told.iter().find(|(event, act, ..)| (*event, *act) == (Event::Outcome, 3)).unwrap();
    assert_eq!(third.3, "output-tokens=5");
}

/// What is set aside for an act is on record before it begins, without a commit where no other host has to be looked at; and a host that
/// is killed leaves it to the next one.
#[tokio::test]
async fn what_is_set_aside_on_a_line_is_charged_by_the_next_host() {
    let ground = Ground::new(Rules::default()).await;
    let state = ground.state.clone();
    let session = |budgets: &Budgets, invocation: &str| {
        let ledger = ground.treasury.ledger("a", invocation, budgets);
        Session::new(Setup { ledger, ..ground.setup(true) })
    };
    let day = Limits { output_tokens: Some(1_000), ..Limits::default() };
    let (own, shared) =
        (session(&Budgets::default(), "1"), session(&Budgets { skill_day: day, ..Budgets::default() }, "2"));
    let act = |cost| Act { leaves: true, cost, ..Act::default() };
    let used = |output_tokens| Amount { output_tokens, ..Amount::default() };
    own.permit(act(10)).await.unwrap().settle(used(4));
    state.flush().await.unwrap();
    let go = crate::state::testing::hold(&state);
    let held = own.permit(act(60)).now_or_never().expect("it waits for a commit").unwrap();
    own.permit(act(100)).now_or_never().unwrap().unwrap().settle(used(7));
    assert!(shared.permit(act(1)).now_or_never().is_none(), "another host may have spent what is left of the day");
    let dead = crate::state::testing::killed(&state);
    drop(go);

    for _ in 0..2 {
        let state = crate::state::testing::open(dead.path());
        let audit = Audit::resume::<Reserved>(state.clone(), dead.path().to_path_buf()).await.unwrap();
        let treasury = Treasury::open(state).await.unwrap();
        // What was used of the last is not known: its settlement was on its way.
        assert_eq!(treasury.spent_today(Some("a")).output_tokens, 4 + 60 + 100);
        let intents = Filter { event: Some(Event::Intent), ..Filter::default() };
        assert_eq!(audit.list(intents, 10).await.unwrap().len(), 3);
    }
    held.settle(used(20));
    state.flush().await.unwrap();
    let beside = Treasury::open(crate::state::testing::open(state.path().parent().unwrap())).await.unwrap();
    assert_eq!(beside.spent_today(Some("a")).output_tokens, 4 + 20 + 7);
}

#[tokio::test]
async fn in_a_crowd_permits_and_acts_are_the_workers_and_are_the_same() {
    let ground = Ground::new(Rules::default()).await;
    let (session, refused) = (Session::new(ground.setup(true)), Session::new(ground.setup(false)));
    let act = || Act { leaves: true, cost: 5, ..Act::default() };
    let place = async || session.perform_in_place(async { Ok(tokio::task::try_id()) }).await.unwrap();
    let alone = session.permit(act()).await.unwrap();
    let asked_in = |permit: &Permit<Act>| *permit.ask().asked_in.lock().unwrap();
    assert_eq!((asked_in(&alone), place().await), (None, None), "with the guest");

    let crowd = ground.shared.crowd.gathered();
    let permit = session.permit(act()).await.unwrap();
    assert!(asked_in(&permit).is_some() && place().await.is_some(), "by a worker");
    assert_eq!(denied(refused.permit(act()).await).hint, "grant it to a");
    // One that goes away in the middle, and one whose permit nobody takes.
    assert!(session.permit(act()).now_or_never().is_none());
    for permit in [alone, permit] {
        permit.settle(Amount { output_tokens: 2, ..Amount::default() });
    }
    drop(crowd);
    let after = session.permit(act()).await.unwrap();
    assert_eq!(asked_in(&after), None);
    after.settle(Amount::default());
    let records = ground.records().await;
    let count = |event| records.iter().filter(|record| record.event == event).count();
    assert_eq!((count(Event::Intent), count(Event::Denied)), (count(Event::Outcome), 1), "{records:?}");
    let spent = session.ledger().spent().output_tokens;
    assert!(spent == 4 || spent == 9, "the one that went away costs all or nothing: {spent}");
}

#[tokio::test]
async fn a_refusal_recorded_and_costs_nothing() {
    let ground = Ground::new(Rules::default()).await;
    let session = Session::new(ground.setup(false));
    let denial = denied(session.permit(Act { cost: 9, ..Act::default() }).await);
    assert_eq!(denial.hint, "grant it to a");
    let records = ground.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].event, records[0].detail.as_str()), (Event::Denied, "nothing was granted"));
    assert_eq!(session.ledger().spent().output_tokens, 0);
}

#[tokio::test]
async fn asking_for_nothing_a_thousand_times_does_not_flood_the_audit() {
    let ground = Ground::new(Rules::default()).await;
    let (session, refused) = (Session::new(ground.setup(true)), Session::new(ground.setup(false)));
    for _ in 0..1_500 {
        drop(session.permit(Act::default()).await.unwrap());
        denied(refused.permit(Act::default()).await);
    }
    drop(session.permit(Act { leaves: true, ..Act::default() }).await.unwrap());
    assert_eq!((session.unrecorded(), refused.unrecorded()), (500, 500));
    assert_eq!(ground.records().await.len(), 3_000 + 2, "what leaves is always on record");
}

#[tokio::test]
async fn rules_hold_for_the_whole_chain_and_ask_a_person_where_one_is() {
    let rules = Rules {
        model: [("kv".to_owned(), Rule::Ask)].into(),
        client: [("kv".to_owned(), Rule::Deny)].into(),
        ..Rules::default()
    };
    let ground = Ground::new(rules).await;
    let by = |callers: &[&'static str], person: Option<Arc<dyn Person>>| {
        Session::new(Setup { callers: callers.to_vec(), person, ..ground.setup(true) })
    };
    by(&["user"], None).permit(Act::default()).await.unwrap();
    let denial = denied(by(&["client", "skill"], None).permit(Act::default()).await);
    assert!(denial.reason.contains("client>skill"), "{denial:?}");
    let denial = denied(by(&["model"], None).permit(Act::default()).await);
    assert!(denial.reason.contains("nobody is there") && denial.hint.contains("rules.model.kv"), "{denial:?}");
    let yes = Arc::new(Says(true, AtomicU64::new(0)));
    let session = by(&["model"], Some(yes.clone()));
    for _ in 0..2 {
        session.permit(Act::default()).await.unwrap();
    }
    assert_eq!(yes.1.load(Ordering::Relaxed), 2, "an approval is for one act");
    let no = by(&["model", "skill"], Some(Arc::new(Says(false, AtomicU64::new(0)))));
    assert!(denied(no.permit(Act::default()).await).reason.contains("did not allow"));
}

#[tokio::test]
async fn t89_all_three_together_ask_unless_the_destination_is_named() {
    let ground = Ground::new(Rules::default()).await;
    let session = Session::new(ground.setup(true));
    let act = |touches, by_pattern| Act { touches, by_pattern, leaves: true, ..Act::default() };
    let send = Touch::OUT.and(Touch::UNTRUSTED);
    session.permit(act(send, true)).await.unwrap();
    session.permit(act(Touch::PRIVATE, false)).await.unwrap();
    let denial = denied(session.permit(act(send, true)).await);
    assert!(denial.hint.contains("rules.taint"), "{denial:?}");
    session.permit(act(send, false)).await.unwrap();
    session.permit(act(Touch::PRIVATE, true)).await.unwrap();
    // The same invocation with somebody to ask.
    let yes = Arc::new(Says(true, AtomicU64::new(0)));
    let asked =
        Session::new(Setup { taint: Arc::clone(session.taint()), person: Some(yes.clone()), ..ground.setup(true) });
    asked.permit(act(send, true)).await.unwrap();
    assert_eq!(yes.1.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_expires() {
    #[derive(Debug)]
    struct Silent;
    impl Person for Silent {
        fn ask(&self, _: Question) -> BoxFuture<'_, Option<Value>> {
            Box::pin(std::future::pending())
        }
    }
    let rules = Rules { user: [("kv".to_owned(), Rule::Ask)].into(), ..Rules::default() };
    let ground = Ground::new(rules).await;
    let setup = ground.setup(true);
    let session = Session::new(Setup {
        person: Some(Arc::new(Silent)),
        deadline: setup.deadline + std::time::Duration::from_secs(600),
        ..setup
    });
    let before = tokio::time::Instant::now();
    denied(session.permit(Act::default()).await);
    assert_eq!(before.elapsed().as_secs(), 60);
}
