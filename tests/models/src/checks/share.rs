//! Memory that two called invocations and their caller take from one another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::thread::spawn;

use super::{Check, join};
use crate::engine::shares::Share;
use crate::ground::{one_of, turn};

pub(super) const CHECK: Check = Check {
    name: "share",
    holds: "what is taken is never more than a limit, of its own or of one above; all of it comes back",
    body,
};

const OUTER: u64 = 10;
const INNER: u64 = 7;

fn body() {
    let outer = Share::new(OUTER);
    let (left, right) = (outer.inner(INNER), outer.inner(INNER));
    let all = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> =
        [(left.clone(), INNER), (right.clone(), INNER), (left.clone(), INNER), (outer.clone(), OUTER)]
            .into_iter()
            .map(|(share, limit)| {
                let all = Arc::clone(&all);
                spawn(move || {
                    for _ in 0..2 {
                        let amount = one_of(&[2, 4, 6]);
                        match share.take(amount) {
                            Ok(()) => {
                                let sum = all.fetch_add(amount, Ordering::SeqCst) + amount;
                                assert!(sum <= OUTER, "{sum} of {OUTER} are taken");
                                turn();
                                all.fetch_sub(amount, Ordering::SeqCst);
                                share.give(amount);
                            }
                            Err(limit_in_the_way) => assert!([limit, OUTER].contains(&limit_in_the_way)),
                        }
                    }
                })
            })
            .collect();
    join(threads);
    for share in [&left, &right] {
        share.take(INNER).expect("something was not given back");
        assert_eq!(share.take(1), Err(INNER), "something was given back twice");
        share.give(INNER);
    }
    outer.take(OUTER).expect("something was not given back");
    assert_eq!(outer.take(1), Err(OUTER), "something was given back twice");
}
