//! What is counted of requests, for `/metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests by the first digit of their status.
    answered: [AtomicU64; 6],
    /// Calls of tools by how they ended: `ok`, or the kind of the error.
    calls: Mutex<BTreeMap<String, u64>>,
}

impl Counts {
    pub(super) fn answered(&self, status: axum::http::StatusCode) {
        if let Some(count) = self.answered.get(usize::from(status.as_u16() / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A call of a tool ended. The kinds are those of the table of errors, so there is an end to them.
    pub(crate) fn called(&self, kind: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(calls.insert(kind.to_owned(), 1)),
        }
    }

    /// Requests by class of status, such as `2xx`.
    pub(crate) fn by_class(&self) -> impl Iterator<Item = (String, u64)> {
        self.answered
            .iter()
            .enumerate()
            .skip(1)
            .map(|(class, count)| (format!("{class}xx"), count.load(Ordering::Relaxed)))
    }

    pub(crate) fn by_kind(&self) -> BTreeMap<String, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
