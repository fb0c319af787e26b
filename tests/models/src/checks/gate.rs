//! Requests of one invocation from several of those that it calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use shuttle::thread::spawn;

use super::{Check, join};
use crate::capability::http::gate::Gate;
use crate::capability::http::settings::HttpSettings;
use crate::capability::http::{Rates, count, place};
use crate::ground::turn;

pub(super) const CHECK: Check = Check {
    name: "gate",
    holds: "requests are as many as there may be, in all and at once; a place is never lost",
    body,
};

const REQUESTS: u32 = 4;
const AT_ONCE: u32 = 2;

fn body() {
    let settings = HttpSettings { requests: REQUESTS, concurrent: AT_ONCE, ..HttpSettings::default() };
    let (gate, rates) = (Arc::new(Gate::new(&settings)), Arc::new(Rates::new(600)));
    let (made, now) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (gate, rates) = (Arc::clone(&gate), Arc::clone(&rates));
            let (made, now) = (Arc::clone(&made), Arc::clone(&now));
            spawn(move || {
                for _ in 0..2 {
                    made.fetch_add(u32::from(count(&gate, &rates).is_ok()), Ordering::SeqCst);
                    if let Ok(place) = place(&gate) {
                        let at_once = now.fetch_add(1, Ordering::SeqCst) + 1;
                        assert!(at_once <= AT_ONCE, "{at_once} at once of {AT_ONCE}");
                        turn();
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                    }
                }
            })
        })
        .collect();
    join(threads);
    assert_eq!(made.load(Ordering::SeqCst), REQUESTS, "of six that were asked for");
    let places: Vec<_> = (0..AT_ONCE).map(|_| place(&gate)).collect();
    assert!(places.iter().all(Result::is_ok) && place(&gate).is_err());
}
