//! Reservations of three invocations, one of which was called by another and one of which is given up in the middle, while the day
//! may change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, Row};
use shuttle::sync::atomic::{AtomicI64, Ordering};
use tokio_util::sync::CancellationToken;

use super::{Check, beside, join};
use crate::budget::{Amount, Budgets, Ledger, Limits, Treasury};
use crate::error::Refusal;
use crate::ground::{Ground, number, one_of, turn, unless};

pub(super) const CHECK: Check = Check {
    name: "budget",
    holds: "no account is above its limit; all is charged once, in memory and on disk; no reservation is left",
    body,
};

const FIRST_DAY: i64 = 20_000;
const INVOCATION: u64 = 10;
const INNER: u64 = 6;
const SKILL: u64 = 13;
const HOST: u64 = 17;
const CALLS: u64 = 3;

fn tokens(limit: u64) -> Limits {
    Limits { output_tokens: Some(limit), ..Limits::default() }
}

fn amount(output_tokens: u64) -> Amount {
    Amount { output_tokens, ..Amount::default() }
}

/// What is to be charged, by skill.
type Charged = Arc<Mutex<HashMap<&'static str, u64>>>;

struct Spender {
    treasury: Treasury,
    ledger: Ledger,
    skill: &'static str,
    limit: u64,
    charged: Charged,
}

impl Spender {
    /// Reserves, and settles with less, with all, or not at all.
    async fn spend(&self, needed: u64) {
        match self.ledger.reserve(amount(needed)).await {
            Ok(reservation) => {
                self.look();
                let used = one_of(&[0, needed / 2, needed]);
                let settled = one_of(&[true, false]);
                *self.charged.lock().unwrap().entry(self.skill).or_default() += if settled { used } else { needed };
                if settled {
                    reservation.settle(amount(used));
                } else {
                    drop(reservation);
                }
                self.look();
            }
            Err(Refusal::OverBudget(over)) => {
                assert!(over.used + over.needed > over.limit, "refused in vain: {over:?}")
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn look(&self) {
        let spent = self.ledger.spent().output_tokens;
        assert!(spent <= self.limit, "an invocation spent {spent} of {}", self.limit);
        let skill = self.treasury.spent_today(Some(self.skill)).output_tokens;
        assert!(skill <= SKILL, "a skill's day has {skill} of {SKILL}");
        let host = self.treasury.spent_today(None).output_tokens;
        assert!(host <= HOST, "the host's day has {host} of {HOST}");
    }
}

fn body() {
    let ground = Ground::new();
    let day = Arc::new(AtomicI64::new(FIRST_DAY));
    let clock = Box::new({
        let day = Arc::clone(&day);
        move || day.load(Ordering::SeqCst)
    });
    let treasury = ground.io.block_on(Treasury::open_at(ground.state.clone(), clock)).unwrap();
    let budgets = Budgets { invocation: tokens(INVOCATION), skill_day: tokens(SKILL), host_day: tokens(HOST) };
    let charged = Charged::default();
    let spender = |ledger: Ledger, skill, limit| Spender {
        treasury: treasury.clone(),
        ledger,
        skill,
        limit,
        charged: Arc::clone(&charged),
    };
    let outer = treasury.ledger("a", "1", &budgets);
    let inner = outer.inner("2", tokens(INNER));
    let other = treasury.ledger("b", "3", &budgets);
    let beside_it = treasury.ledger("b", "4", &budgets);
    let gives_up = CancellationToken::new();

    let first = spender(outer, "a", INVOCATION);
    let called = spender(inner, "a", INNER);
    let last = spender(other, "b", INVOCATION);
    let token = gives_up.clone();
    let nested = beside(&ground.io, async move {
        called.spend(one_of(&[3, 5])).await;
        called.ledger.count_host_call().unwrap();
        called.ledger.close(2);
    });
    let threads = [
        beside(&ground.io, async move {
            first.ledger.count_host_call().unwrap();
            first.spend(one_of(&[4, 8])).await;
            first.spend(5).await;
            first.ledger.count_host_call().unwrap();
            // What was called ends before its caller does.
            join([nested]);
            first.ledger.close(7);
        }),
        beside(&ground.io, async move {
            last.ledger.count_host_call().unwrap();
            if unless(&token, last.spend(9)).await.is_some() {
                last.spend(2).await;
            }
            last.ledger.close(5);
            last.ledger.close(5_000);
        }),
        beside(&ground.io, async move {
            turn();
            gives_up.cancel();
            beside_it.count_host_call().unwrap();
            beside_it.close(3);
            if one_of(&[true, false, false]) {
                day.fetch_add(1, Ordering::SeqCst);
            }
        }),
    ];
    join(threads);

    let today: Vec<_> = ["a", "b"].map(|skill| treasury.spent_today(Some(skill))).into();
    let host = treasury.spent_today(None);
    let sum = today.iter().fold(Amount::default(), |sum, used| sum.saturating_add(*used));
    assert_eq!(host, sum, "the host's day is the sum of its skills'");
    drop(treasury);
    let db = ground.close();
    assert_eq!(number(&db, "SELECT count(*) FROM reservations"), 0, "reservations are left");
    for (skill, calls, ms) in [("a", CALLS, 7), ("b", 2, 8)] {
        let used = charged.lock().unwrap().get(skill).copied().unwrap_or_default();
        assert_eq!(on_disk(&db, skill), (used, calls, ms), "tokens, calls and time of `{skill}` on disk");
    }
    let last_day: i64 = db.query_row("SELECT max(day) FROM spend", [], |row| row.get(0)).unwrap();
    if last_day == FIRST_DAY && host.host_calls > 0 {
        let all: u64 = charged.lock().unwrap().values().sum();
        assert_eq!(host.output_tokens, all, "what was used is in memory");
    }
}

fn on_disk(db: &Connection, skill: &str) -> (u64, u64, u64) {
    let sql = "SELECT sum(output_tokens), sum(host_calls), sum(wall_ms) FROM spend WHERE skill = ?1";
    let number = |row: &Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    db.query_row(sql, [skill], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?))).unwrap()
}
