//! What stands between an allowed request and the network.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Exchange;
use super::body::Body;
use super::url::Target;
use crate::broker::{Permit, Session};
use crate::error::Refusal;

/// A body on its way out.
pub enum Out {
    /// Known as a whole; may be empty.
    Whole(Bytes),
    /// Comes piece by piece.
    Pieces(super::upload::Pieces),
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    /// Who answered.
    pub target: Target,
    /// Within the limits, redacted, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

impl Answer {
    /// The first value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The way out. Sends one request to the server that the permit names, and follows nothing.
pub trait Wire: Send + Sync + 'static {
    fn send<'a>(
        &'a self,
        permit: Permit<Exchange>,
        session: &'a Session,
        body: Out,
    ) -> BoxFuture<'a, Result<Answer, Refusal>>;
}
