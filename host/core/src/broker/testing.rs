//! Sessions for tests of capabilities.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Setup, Shared};
use crate::budget::Ledger;
use crate::journal::audit::Audit;
use crate::policy::Grants;
use crate::policy::rules::Rules;
use crate::state::State;

impl Shared {
    /// For tests of capabilities: a host's common part on a state of its own.
    pub(crate) fn on(state: State, rules: Rules) -> Arc<Self> {
        let dir = state.path().parent().map(std::path::Path::to_owned).unwrap_or_default();
        let audit = Audit::open(state.clone(), &dir).unwrap();
        Arc::new(Self::new(audit, rules, tokio::runtime::Handle::current()))
    }
}

impl Setup {
    /// For tests: an invocation of skill `a` by a person, with a minute to go.
    pub(crate) fn of(shared: Arc<Shared>, grants: impl Into<Arc<Grants>>, ledger: Ledger) -> Self {
        Self {
            skill: "a".into(),
            invocation: "1".into(),
            callers: vec!["user"],
            grants: grants.into(),
            ledger,
            deadline: Instant::now() + std::time::Duration::from_secs(60),
            cancel: CancellationToken::new(),
            taint: Arc::default(),
            person: None,
            above: None,
            entered: true,
            span: tracing::Span::none(),
            shared,
        }
    }
}
