use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::error::Refusal;
use crate::state::State;
use crate::state::testing::{killed, open, temporary};

fn tokens(output_tokens: u64) -> Amount {
    Amount { output_tokens, ..Amount::default() }
}

fn budgets(invocation: Option<u64>, skill_day: Option<u64>, host_day: Option<u64>) -> Budgets {
    let limit = |output_tokens| Limits { output_tokens, ..Limits::default() };
    Budgets { invocation: limit(invocation), skill_day: limit(skill_day), host_day: limit(host_day) }
}

fn scope(result: Result<Reservation, Refusal>) -> &'static str {
    match result {
        Err(Refusal::OverBudget(over)) => over.scope,
        other => panic!("not over budget: {other:?}"),
    }
}

/// What the disk says was spent today, reservations left out.
async fn written(state: &State) -> u64 {
    state.flush().await.unwrap();
    let sql = "SELECT coalesce(sum(output_tokens), 0) FROM spend";
    let sum: i64 = state.read(move |db| db.query_row(sql, [], |row| row.get(0))).await.unwrap();
    sum.try_into().unwrap()
}

#[tokio::test]
async fn every_account_stands_above_an_act() {
    let (_dir, state) = temporary();
    let treasury = Treasury::open(state).await.unwrap();
    let budgets = budgets(Some(10), Some(15), Some(18));
    let first = treasury.ledger("a", "1", &budgets);
    first.reserve(tokens(10)).await.unwrap().settle(tokens(8));
    assert_eq!(scope(first.reserve(tokens(3)).await), "invocation");
    let second = treasury.ledger("a", "2", &budgets);
    assert_eq!(scope(second.reserve(tokens(8)).await), "skill-day");
    second.reserve(tokens(7)).await.unwrap().settle(tokens(7));
    let third = treasury.ledger("b", "3", &budgets);
    assert_eq!(scope(third.reserve(tokens(4)).await), "host-day");
    // A refusal takes nothing from any account.
    third.reserve(tokens(3)).await.unwrap().settle(tokens(3));
    assert_eq!(treasury.spent_today(None).output_tokens, 18);
    assert_eq!(treasury.spent_today(Some("a")).output_tokens, 15);
    assert_eq!(third.spent(), tokens(3));
}

#[test]
fn parallel_reservations_never_overshoot() {
    let (_dir, state) = temporary();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let treasury = runtime.block_on(Treasury::open(state)).unwrap();
    for (budget, cost) in [(1_000, 1_000), (1_000, 300), (1_000, 7)] {
        let skill = format!("{budget}/{cost}");
        let start = Arc::new(std::sync::Barrier::new(100));
        let threads: Vec<_> = (0..100)
            .map(|n| {
                let ledger = treasury.ledger(&*skill, n.to_string(), &budgets(None, Some(budget), None));
                let (handle, start) = (runtime.handle().clone(), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    handle.block_on(ledger.reserve(tokens(cost))).ok()
                })
            })
            .collect();
        let held: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(held.len() as u64, (budget / cost).min(100));
    }
}

#[tokio::test]
async fn a_reservation_is_on_disk_before_the_act_and_charged_after_a_kill() {
    let (_dir, state) = temporary();
    let treasury = Treasury::open(state.clone()).await.unwrap();
    let ledger = treasury.ledger("a", "1", &budgets(None, Some(100), None));
    ledger.reserve(tokens(10)).await.unwrap().settle(tokens(4));
    // A settlement that is not on disk yet would be charged as it was reserved.
    state.flush().await.unwrap();
    let held = ledger.reserve(tokens(60)).await.unwrap();
    let copy = killed(&state);

    for _ in 0..2 {
        // The second opening finds nothing left to charge.
        let after = Treasury::open(open(copy.path())).await.unwrap();
        assert_eq!(after.spent_today(Some("a")).output_tokens, 64);
        let ledger = after.ledger("a", "2", &budgets(None, Some(100), None));
        assert_eq!(scope(ledger.reserve(tokens(37)).await), "skill-day");
        drop((ledger, after));
    }
    drop(held);
    assert_eq!(written(&state).await, 64);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_spent() {
    let (_dir, state) = temporary();
    let treasury = Treasury::open(state.clone()).await.unwrap();
    let ledger = treasury.ledger("a", "1", &budgets(Some(10), None, None));
    state.write(|tx| tx.execute_batch("ALTER TABLE reservations RENAME TO gone")).await.unwrap();
    let Err(Refusal::Unavailable(text)) = ledger.reserve(tokens(10)).await else { panic!("it was reserved") };
    assert!(text.contains("state-failed"), "{text}");
    assert_eq!(ledger.spent(), Amount::default());
    state.write(|tx| tx.execute_batch("ALTER TABLE gone RENAME TO reservations")).await.unwrap();
    ledger.reserve(tokens(10)).await.unwrap().settle(tokens(10));
}

#[tokio::test]
async fn a_reservation_that_nobody_waits_for_is_given_back() {
    let (_dir, state) = temporary();
    let treasury = Treasury::open(state.clone()).await.unwrap();
    let ledger = treasury.ledger("a", "1", &budgets(Some(10), None, None));
    // The writer is held, so that the reservation cannot be on disk before it is given up.
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let held = state.write_large(move |_| {
        gate.recv().ok();
        Ok(())
    });
    {
        let mut waiting = Box::pin(ledger.reserve(tokens(10)));
        let once = std::future::poll_fn(|cx| {
            assert!(waiting.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        });
        once.await;
    }
    drop(go);
    held.await.unwrap();
    assert_eq!(ledger.spent(), Amount::default());
    assert_eq!(written(&state).await, 0);
    let left = state.read(|db| db.query_row("SELECT count(*) FROM reservations", [], |row| row.get::<_, i64>(0))).await;
    assert_eq!(left.unwrap(), 0);
}

#[tokio::test]
async fn a_new_day_begins_empty_and_a_reservation_belongs_to_its_day() {
    let (_dir, state) = temporary();
    let today = Arc::new(AtomicI64::new(20_000));
    let clock = Arc::clone(&today);
    let clock = Box::new(move || clock.load(Ordering::Relaxed));
    let treasury = Treasury::open_at(state.clone(), clock).await.unwrap();
    let ledger = treasury.ledger("a", "1", &budgets(None, Some(10), None));
    let yesterday = ledger.reserve(tokens(10)).await.unwrap();
    assert_eq!(scope(ledger.reserve(tokens(1)).await), "skill-day");
    today.store(20_001, Ordering::Relaxed);
    let now = ledger.reserve(tokens(9)).await.unwrap();
    yesterday.settle(tokens(10));
    assert_eq!(treasury.spent_today(Some("a")).output_tokens, 9);
    now.settle(tokens(2));
    // A clock that is set back brings no budget back.
    today.store(20_000, Ordering::Relaxed);
    assert_eq!(scope(ledger.reserve(tokens(9)).await), "skill-day");
    state.flush().await.unwrap();
    let sql = "SELECT day, output_tokens FROM spend ORDER BY day";
    let days: Vec<(i64, i64)> = state
        .read(move |db| db.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .await
        .unwrap();
    assert_eq!(days, [(20_000, 10), (20_001, 2)]);
}

#[tokio::test]
async fn t124_a_start_under_a_clock_far_ahead_forgets_nothing() {
    let (dir, state) = temporary();
    let limits = budgets(None, Some(10), None);
    let today = || Box::new(|| 20_000);
    let treasury = Treasury::open_at(state.clone(), today()).await.unwrap();
    treasury.ledger("a", "1", &limits).reserve(tokens(10)).await.unwrap().settle(tokens(10));
    state.flush().await.unwrap();
    drop((treasury, state));
    drop(Treasury::open_at(open(dir.path()), Box::new(|| 24_000)).await.unwrap());
    let treasury = Treasury::open_at(open(dir.path()), today()).await.unwrap();
    assert_eq!(scope(treasury.ledger("a", "2", &limits).reserve(tokens(1)).await), "skill-day");
}

#[tokio::test]
async fn t124_a_host_whose_clock_was_ahead_for_a_while_sees_what_others_spend() {
    let (dir, state) = temporary();
    let clock = Arc::new(AtomicI64::new(20_000));
    let read = Arc::clone(&clock);
    let first = Treasury::open_at(state, Box::new(move || read.load(Ordering::Relaxed))).await.unwrap();
    let limits = budgets(None, Some(10), None);
    let ledger = first.ledger("a", "1", &limits);
    clock.store(24_000, Ordering::Relaxed);
    ledger.reserve(tokens(1)).await.unwrap().settle(tokens(1));
    clock.store(20_000, Ordering::Relaxed);
    let other = open(dir.path());
    let second = Treasury::open_at(other.clone(), Box::new(|| 20_000)).await.unwrap();
    second.ledger("a", "2", &limits).reserve(tokens(8)).await.unwrap().settle(tokens(8));
    other.flush().await.unwrap();
    assert_eq!(scope(ledger.reserve(tokens(2)).await), "skill-day");
    ledger.reserve(tokens(1)).await.unwrap();
}

#[tokio::test]
async fn calls_and_time_are_counted_and_kept() {
    let (dir, state) = temporary();
    let treasury = Treasury::open(state).await.unwrap();
    let mut limits = Budgets::default();
    limits.invocation.host_calls = Some(3);
    limits.skill_day.host_calls = Some(5);
    limits.skill_day.wall_ms = Some(100);
    let ledger = treasury.ledger("a", "1", &limits);
    assert_eq!(ledger.time_left().unwrap(), Some(std::time::Duration::from_millis(100)));
    for _ in 0..3 {
        ledger.count_host_call().unwrap();
    }
    let Err(Refusal::OverBudget(over)) = ledger.count_host_call() else { panic!("a fourth call") };
    assert_eq!((over.scope, over.unit, over.limit, over.used), ("invocation", "host-calls", 3, 3));
    ledger.close(70);
    ledger.close(1_000);
    drop((ledger, treasury));

    let treasury = Treasury::open(open(dir.path())).await.unwrap();
    let ledger = treasury.ledger("a", "2", &limits);
    assert_eq!(ledger.time_left().unwrap(), Some(std::time::Duration::from_millis(30)));
    ledger.count_host_call().unwrap();
    let Err(Refusal::OverBudget(over)) = ledger.count_host_call() else { panic!("a sixth call of the day") };
    assert_eq!(over.scope, "skill-day");
    ledger.close(30);
    let Err(Refusal::OverBudget(over)) = treasury.ledger("a", "3", &limits).time_left() else { panic!("time is left") };
    assert_eq!(over.unit, "wall-ms");
}

#[tokio::test]
async fn the_largest_numbers_neither_wrap_nor_forget() {
    let (dir, state) = temporary();
    let treasury = Treasury::open(state).await.unwrap();
    let ledger = treasury.ledger("a", "1", &Budgets::default());
    ledger.reserve(tokens(5)).await.unwrap().settle(tokens(5));
    let huge = [ledger.reserve(tokens(u64::MAX)).await.unwrap(), ledger.reserve(tokens(u64::MAX)).await.unwrap()];
    assert_eq!(ledger.spent().output_tokens, u64::MAX);
    let limited = treasury.ledger("a", "2", &budgets(None, Some(u64::MAX), None));
    assert_eq!(scope(limited.reserve(tokens(1)).await), "skill-day");
    for held in huge {
        held.settle(tokens(1));
    }
    assert_eq!(ledger.spent().output_tokens, 7);
    ledger.reserve(tokens(1)).await.unwrap().settle(tokens(u64::MAX));
    drop((ledger, limited, treasury));
    let treasury = Treasury::open(open(dir.path())).await.unwrap();
    assert_eq!(treasury.spent_today(None).output_tokens, i64::MAX as u64);
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(u64),
    Settle(usize, u64),
    Drop(usize),
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..50u64).prop_map(Step::Reserve),
        3 => (0..8usize, 0..80u64).prop_map(|(which, used)| Step::Settle(which, used)),
        1 => (0..8usize).prop_map(Step::Drop),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_budget_is_lost_or_invented(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(walk(steps));
    }
}

/// A model beside the real thing: `sure` was charged, `open` is set aside.
async fn walk(steps: Vec<Step>) {
    const LIMIT: u64 = 400;
    let budgets = budgets(None, Some(LIMIT), None);
    let (mut dir, mut state) = temporary();
    let mut treasury = Treasury::open(state.clone()).await.unwrap();
    let mut ledger = treasury.ledger("a", "0", &budgets);
    let (mut sure, mut open_now): (u64, Vec<Reservation>) = (0, Vec::new());
    for step in steps {
        let aside: u64 = open_now.iter().map(|held| held.amount().output_tokens).sum();
        match step {
            Step::Reserve(cost) => match ledger.reserve(tokens(cost)).await {
                Ok(held) => {
                    assert!(sure + aside + cost <= LIMIT);
                    open_now.push(held);
                }
                Err(_) => assert!(sure + aside + cost > LIMIT),
            },
            Step::Settle(which, used) if which < open_now.len() => {
                open_now.swap_remove(which).settle(tokens(used));
                sure += used;
            }
            Step::Drop(which) if which < open_now.len() => {
                sure += open_now.swap_remove(which).amount().output_tokens;
            }
            Step::Kill => {
                state.flush().await.unwrap();
                let copy = killed(&state);
                // What is still open is never settled in the copy: it was killed.
                sure += aside;
                let next = open(copy.path());
                treasury = Treasury::open(next.clone()).await.unwrap();
                ledger = treasury.ledger("a", "1", &budgets);
                open_now.clear();
                state = next;
                dir = copy;
            }
            Step::Settle(..) | Step::Drop(_) => {}
        }
        let aside: u64 = open_now.iter().map(|held| held.amount().output_tokens).sum();
        assert_eq!(treasury.spent_today(Some("a")).output_tokens, sure + aside);
    }
    sure += open_now.drain(..).map(|held| held.amount().output_tokens).sum::<u64>();
    assert_eq!(written(&state).await, sure);
    drop(dir);
}

#[tokio::test]
async fn what_is_called_spends_from_all_that_stands_above_and_is_written_once() {
    let (_dir, state) = temporary();
    let treasury = Treasury::open(state.clone()).await.unwrap();
    let outer = treasury.ledger("a", "1", &budgets(Some(10), Some(100), None));
    let inner = outer.inner("2", Limits { output_tokens: Some(6), host_calls: Some(3), ..Limits::default() });
    let innermost = inner.inner("3", Limits::default());
    innermost.reserve(tokens(4)).await.unwrap().settle(tokens(4));
    assert_eq!([&outer, &inner, &innermost].map(Ledger::spent), [tokens(4); 3]);
    // The one in the middle has 2 left, the outermost 6.
    assert_eq!(scope(innermost.reserve(tokens(3)).await), "invocation");
    outer.reserve(tokens(5)).await.unwrap().settle(tokens(5));
    assert_eq!(scope(inner.reserve(tokens(2)).await), "invocation");
    inner.reserve(tokens(1)).await.unwrap().settle(tokens(1));
    // The day is that of the skill that began, and nobody else's.
    assert_eq!(treasury.spent_today(Some("a")).output_tokens, 10);
    assert_eq!(treasury.spent_today(None).output_tokens, 10);

    for _ in 0..3 {
        innermost.count_host_call().unwrap();
    }
    assert!(matches!(innermost.count_host_call(), Err(Refusal::OverBudget(over)) if over.limit == 3));
    for ledger in [innermost, inner, outer] {
        ledger.close(50);
    }
    state.flush().await.unwrap();
    let sql = "SELECT output_tokens, host_calls, wall_ms FROM spend WHERE skill = 'a'";
    let row = state.read(move |db| db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))).await;
    // The last call was counted where it was refused, and went no further.
    assert_eq!(row.unwrap(), (10, 3, 50));
    let skills = state.read(|db| db.query_row("SELECT count(*) FROM spend", [], |row| row.get::<_, i64>(0))).await;
    assert_eq!(skills.unwrap(), 1);
}

/// Two hosts on one state, each with its accounts.
async fn pair() -> (tempfile::TempDir, [(State, Treasury); 2]) {
    let (dir, one) = temporary();
    let two = open(dir.path());
    let (first, second) = (Treasury::open(one.clone()).await.unwrap(), Treasury::open(two.clone()).await.unwrap());
    (dir, [(one, first), (two, second)])
}

#[tokio::test]
async fn what_one_host_spends_the_other_cannot() {
    let (dir, [(one, first), (two, second)]) = pair().await;
    let limits = budgets(None, Some(100), Some(150));
    let (a1, a2) = (first.ledger("a", "1", &limits), second.ledger("a", "2", &limits));
    let held = a1.reserve(tokens(60)).await.unwrap();
    // Set aside is as good as spent, from the moment at which it was.
    assert_eq!(scope(a2.reserve(tokens(41)).await), "skill-day");
    let other = a2.reserve(tokens(40)).await.unwrap();
    assert_eq!(scope(a1.reserve(tokens(1)).await), "skill-day");
    held.settle(tokens(10));
    one.flush().await.unwrap();
    a2.reserve(tokens(50)).await.unwrap().settle(tokens(50));
    assert_eq!(scope(second.ledger("b", "3", &limits).reserve(tokens(51)).await), "host-day");
    other.settle(tokens(0));
    two.flush().await.unwrap();
    first.refresh().await.unwrap();
    assert_eq!(first.spent_today(Some("a")).spendable(), tokens(60));
    assert_eq!(first.spent_today(None).spendable(), tokens(60));
    // A skill that nobody here has called yet.
    second.ledger("c", "4", &limits).reserve(tokens(90)).await.unwrap().settle(tokens(90));
    two.flush().await.unwrap();
    assert_eq!(scope(first.ledger("c", "5", &limits).reserve(tokens(11)).await), "skill-day");

    // One that ends leaves its sums, and what it had set aside where it was killed; the other's stay its own.
    let kept = a1.reserve(tokens(0)).await;
    drop(kept);
    let open_still = a1.reserve(Amount { micro_dollars: 5, ..Amount::default() }).await.unwrap();
    drop((a2, second, two));
    let third = Treasury::open(open(dir.path())).await.unwrap();
    let money = Amount { micro_dollars: 5, ..tokens(60) };
    assert_eq!(third.spent_today(Some("a")).spendable(), money);
    open_still.settle(Amount::default());
    one.flush().await.unwrap();
    third.refresh().await.unwrap();
    assert_eq!(third.spent_today(Some("a")).spendable(), tokens(60), "what lived was not charged as what was killed");
    assert_eq!(third.spent_today(None).spendable(), tokens(150));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_reserve_at_once_never_overshoot() {
    let (_dir, hosts) = pair().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..60 {
        let ledger = hosts[n % 2].1.ledger("a", n.to_string(), &budgets(None, Some(1_000), None));
        tasks.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..5 {
                held.extend(ledger.reserve(tokens(7)).await);
            }
            held
        });
    }
    let mut held = Vec::new();
    while let Some(done) = tasks.join_next().await {
        held.extend(done.unwrap());
    }
    // Two that take the last of it in the same moment may both be refused.
    assert!((130..=142).contains(&held.len()), "{}", held.len());
    for (_, treasury) in &hosts {
        treasury.refresh().await.unwrap();
        assert_eq!(treasury.spent_today(Some("a")).output_tokens, held.len() as u64 * 7);
    }
}

#[tokio::test]
async fn calls_and_time_of_other_hosts_count() {
    let (_dir, [(one, first), (_two, second)]) = pair().await;
    let mut limits = Budgets::default();
    limits.skill_day.host_calls = Some(5);
    limits.skill_day.wall_ms = Some(100);
    let ledger = first.ledger("a", "1", &limits);
    (0..3).for_each(|_| ledger.count_host_call().unwrap());
    ledger.close(60);
    one.flush().await.unwrap();
    second.refresh().await.unwrap();
    let ledger = second.ledger("a", "2", &limits);
    assert_eq!(ledger.time_left().unwrap(), Some(std::time::Duration::from_millis(40)));
    (0..2).for_each(|_| ledger.count_host_call().unwrap());
    assert!(ledger.count_host_call().is_err());
}
