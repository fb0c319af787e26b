//! Requests to servers that the operator granted, through one way out: parse, grant, resolve, check the addresses, pin them,
//! fill in secrets, send, follow by hand, cap what comes back.

mod ask;
mod body;
mod client;
mod decode;
mod egress;
mod follow;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
mod gate;
mod grant;
mod headers;
mod host;
mod port;
mod redirect;
mod rule;
pub mod secrets;
mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
mod upload;
#[cfg(test)]
mod wire_tests;

#[cfg(any(test, debug_assertions))]
pub use crate::net::TestNetwork;
pub use crate::net::{Host, Network, Origin, Resolve, Target, Unresolved};
use crate::net::{address, resolve, url};
pub use ask::Exchange;
pub use egress::Egress;
pub use gate::Gate;
pub use grant::{Grant, Request};
pub use host::{Pending, Response, Upload, View, add_to_linker};
pub use port::{Answer, Out, Wire};
pub use rule::Rule;
pub use settings::HttpSettings;
