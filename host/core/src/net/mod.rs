//! Servers: what a URL names, where a name leads, and which addresses are public. For all that reaches a server whose name a
//! stranger may have chosen.

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod resolve;
pub(crate) mod url;

pub use self::url::{Host, Origin, Target};
pub use address::Network;
pub use client::to_operators_server;
pub use resolve::{Resolve, Unresolved};

/// A network of a test's own: peers on loopback that stand for servers with names. Builds that people run have no such thing.
#[cfg(any(test, debug_assertions))]
#[derive(Clone)]
pub struct TestNetwork {
    pub resolver: std::sync::Arc<dyn Resolve>,
    /// Networks that any granted name may lead to.
    pub reachable: Vec<Network>,
    /// Instead of the system's certificates.
    pub tls: Option<rustls::ClientConfig>,
}
