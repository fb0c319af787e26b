//! One account: what was used or is reserved, in memory.

use super::{Amount, Limits};
use crate::error::Overrun;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Sums that cannot overflow: each is made of at most 2^64 amounts of 64 bits. Sums that saturate would forget what was used
/// when a reservation is taken back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    input_tokens: u128,
    output_tokens: u128,
    micro_dollars: u128,
    /// What other hosts on the same state have used or set aside, as far as it is known here.
    elsewhere: Amount,
}

impl Sums {
    fn add(&mut self, amount: Amount) {
        self.input_tokens = self.input_tokens.saturating_add(amount.input_tokens.into());
        self.output_tokens = self.output_tokens.saturating_add(amount.output_tokens.into());
        self.micro_dollars = self.micro_dollars.saturating_add(amount.micro_dollars.into());
    }

    fn take(&mut self, amount: Amount) {
        self.input_tokens = self.input_tokens.saturating_sub(amount.input_tokens.into());
        self.output_tokens = self.output_tokens.saturating_sub(amount.output_tokens.into());
        self.micro_dollars = self.micro_dollars.saturating_sub(amount.micro_dollars.into());
    }

    /// The first unit of which `amount` does not fit under `limits`.
    fn overrun(&self, scope: &'static str, limits: &Limits, amount: Amount) -> Option<Overrun> {
        [
            ("input-tokens", limits.input_tokens, self.input_tokens, self.elsewhere.input_tokens, amount.input_tokens),
            (
                "output-tokens",
                limits.output_tokens,
                self.output_tokens,
                self.elsewhere.output_tokens,
                amount.output_tokens,
            ),
            (
                "micro-dollars",
                limits.micro_dollars,
                self.micro_dollars,
                self.elsewhere.micro_dollars,
                amount.micro_dollars,
            ),
        ]
        .into_iter()
        .find_map(|(unit, limit, used, elsewhere, needed)| {
            let limit = limit?;
            let used = used.saturating_add(elsewhere.into());
            let fits = needed == 0 || used.saturating_add(needed.into()) <= u128::from(limit);
            (!fits).then(|| Overrun { scope, unit, limit, used: narrow(used), needed })
        })
    }
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[derive(Debug, Default)]
pub(super) struct Account {
    sums: Mutex<Sums>,
    calls: AtomicU64,
    wall_ms: AtomicU64,
}

impl Account {
    /// An account in which nothing was used but by other hosts.
    pub(super) fn with(elsewhere: Amount) -> Self {
        Self { sums: Mutex::new(Sums { elsewhere, ..Sums::default() }), ..Self::default() }
    }

    pub(super) fn set_elsewhere(&self, elsewhere: Amount) {
        self.lock().elsewhere = elsewhere;
    }

    /// Whether `amount`, which was taken from here, is too much by what is known of other hosts since.
    pub(super) fn overrun(&self, scope: &'static str, limits: &Limits, amount: Amount) -> Option<Overrun> {
        let mut sums = *self.lock();
        sums.take(amount);
        sums.overrun(scope, limits, amount)
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one call, and says whether it is still under `limit`. A refused call counts too: asking is not free.
    pub(super) fn call(&self, limit: Option<u64>) -> Result<(), u64> {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        let Some(limit) = limit else { return Ok(()) };
        let before = before.saturating_add(self.lock().elsewhere.host_calls);
        if before >= limit { Err(before) } else { Ok(()) }
    }

    pub(super) fn add_wall(&self, ms: u64) {
        let _ = self.wall_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| Some(sum.saturating_add(ms)));
    }

    pub(super) fn settle(&self, reserved: Amount, used: Amount) {
        let mut sums = self.lock();
        sums.take(reserved);
        sums.add(used);
    }

    pub(super) fn used(&self) -> Amount {
        let sums = *self.lock();
        let own = Amount {
            input_tokens: narrow(sums.input_tokens),
            output_tokens: narrow(sums.output_tokens),
            micro_dollars: narrow(sums.micro_dollars),
            host_calls: self.calls.load(Ordering::Relaxed),
            wall_ms: self.wall_ms.load(Ordering::Relaxed),
        };
        own.saturating_add(sums.elsewhere)
    }
}

/// An account with the limits that hold for it now.
pub(super) struct Limited<'a> {
    pub(super) scope: &'static str,
    pub(super) account: &'a Account,
    pub(super) limits: &'a Limits,
}

impl Limited<'_> {
    /// As [`Account::overrun`].
    pub(super) fn overrun(&self, amount: Amount) -> Option<Overrun> {
        self.account.overrun(self.scope, self.limits, amount)
    }
}

/// Takes `amount` from every account or from none. Accounts are locked in the order given, which must be the same everywhere:
/// the invocation, those that called it from the inside out, skill, host.
pub(super) fn take_all(accounts: &[Limited<'_>], amount: Amount) -> Result<(), Overrun> {
    let mut held: Vec<_> = accounts.iter().map(|each| (each.account.lock(), each)).collect();
    for (sums, each) in &held {
        if let Some(overrun) = sums.overrun(each.scope, each.limits, amount) {
            return Err(overrun);
        }
    }
    for (sums, _) in &mut held {
        sums.add(amount);
    }
    Ok(())
}
