//! What an invocation is known by.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// The identifier of an invocation, unique for ever. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InvocationId(Arc<str>);

impl InvocationId {
    /// One that begins with the time (RFC 9562, version 7): for those who learn it with the outcome.
    pub(crate) fn timed() -> Self {
        Self::of(Uuid::now_v7())
    }

    /// One that nobody can guess, with 122 random bits (RFC 9562, version 4): for faces where whoever knows it may ask about the
    /// invocation.
    #[must_use]
    pub fn random() -> Self {
        Self::of(uuid::Builder::from_random_bytes(rand::random()).into_uuid())
    }

    fn of(uuid: Uuid) -> Self {
        Self(Arc::from(&*uuid.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH])))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, for whoever keeps it.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Serialize for InvocationId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t115_identifiers_that_must_not_be_guessed_share_no_beginning() {
        let all: Vec<_> = (0..100).map(|_| InvocationId::random().to_string()).collect();
        let beginnings: std::collections::HashSet<_> = all.iter().map(|id| &id[..8]).collect();
        assert!(beginnings.len() > 95, "{all:?}");
        assert!(all.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'4'), "{all:?}");
    }
}
