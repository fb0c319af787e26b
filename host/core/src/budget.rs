//! What may be spent, and what was: reservations before the act, settlements after it.
//!
//! Three accounts stand above every act: the invocation's, the skill's for the day, and the host's for the day (UTC). A
//! reservation takes from all three or from none. Reservations of tokens and money are durable before the act, so that a
//! host that is killed in the middle finds and charges them in full when it starts again.

mod account;
mod ledger;
mod store;
#[cfg(test)]
mod tests;
mod treasury;

use serde::{Deserialize, Serialize};

pub use ledger::{Ledger, Reservation};
pub(crate) use store::Reserved;
pub use treasury::Treasury;

/// An amount of everything that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Amount {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub micro_dollars: u64,
    pub host_calls: u64,
    pub wall_ms: u64,
}

/// The most that may be spent. None is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Tokens of prompts.
    pub input_tokens: Option<u64>,
    /// Tokens of answers, reasoning included.
    pub output_tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub micro_dollars: Option<u64>,
    /// Calls from the guest into the host, of any capability.
    pub host_calls: Option<u64>,
    /// Milliseconds of wall time of invocations, added up.
    pub wall_ms: Option<u64>,
}

/// The budgets that hold for one skill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budgets {
    /// For each invocation.
    pub invocation: Limits,
    /// For all invocations of the skill in one day (UTC).
    pub skill_day: Limits,
    /// For all skills of the host in one day (UTC).
    pub host_day: Limits,
}

impl Limits {
    /// These limits, with `below` where nothing is said.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.or(below.input_tokens),
            output_tokens: self.output_tokens.or(below.output_tokens),
            micro_dollars: self.micro_dollars.or(below.micro_dollars),
            host_calls: self.host_calls.or(below.host_calls),
            wall_ms: self.wall_ms.or(below.wall_ms),
        }
    }
}

impl Limits {
    /// These limits, and none of them above one of `most`: for whoever may lower a limit and not raise it.
    #[must_use]
    pub fn within(self, most: Self) -> Self {
        let least = |own: Option<u64>, most: Option<u64>| own.into_iter().chain(most).min();
        Self {
            input_tokens: least(self.input_tokens, most.input_tokens),
            output_tokens: least(self.output_tokens, most.output_tokens),
            micro_dollars: least(self.micro_dollars, most.micro_dollars),
            host_calls: least(self.host_calls, most.host_calls),
            wall_ms: least(self.wall_ms, most.wall_ms),
        }
    }
}

impl Budgets {
    /// These budgets, with `below` where nothing is said. The host's day is the host's to say, never a skill's.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            invocation: self.invocation.over(below.invocation),
            skill_day: self.skill_day.over(below.skill_day),
            host_day: below.host_day,
        }
    }

    /// Whether tokens or money have a limit that is the same for all hosts on the state.
    fn limits_days(&self) -> bool {
        let is_limited = |day: &Limits| day.input_tokens.or(day.output_tokens).or(day.micro_dollars).is_some();
        is_limited(&self.skill_day) || is_limited(&self.host_day)
    }

    /// Whether any of them limits money.
    #[must_use]
    pub fn limits_money(&self) -> bool {
        [self.invocation, self.skill_day, self.host_day].iter().any(|limits| limits.micro_dollars.is_some())
    }
}

impl Budgets {
    /// The most money that can go, in a sentence for the person who decides.
    #[must_use]
    pub fn money_in_words(&self) -> String {
        let of =
            |limits: Limits, per: &str| limits.micro_dollars.map(|most| format!("${:.2} {per}", most as f64 / 1e6));
        let most = [
            of(self.invocation, "per call"),
            of(self.skill_day, "per skill and day"),
            of(self.host_day, "per day for all skills together"),
        ];
        let most: Vec<String> = most.into_iter().flatten().collect();
        match most.is_empty() {
            true => "no budget limits the money: set for example `budget.host-day.micro-dollars`".into(),
            false => format!("at most {}", most.join(", ")),
        }
    }
}

impl Amount {
    /// Adds, and stays at the largest number where the sum would not fit.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            micro_dollars: self.micro_dollars.saturating_add(other.micro_dollars),
            host_calls: self.host_calls.saturating_add(other.host_calls),
            wall_ms: self.wall_ms.saturating_add(other.wall_ms),
        }
    }

    /// Only what is reserved before an act: tokens and money. Calls and time are counted as they pass.
    #[must_use]
    pub(crate) fn spendable(self) -> Self {
        Self { host_calls: 0, wall_ms: 0, ..self }
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}
