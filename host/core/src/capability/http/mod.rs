//! Requests to servers that the operator granted, through one way out: parse, grant, resolve, check the addresses, pin them,
//! fill in secrets, send, follow by hand, cap what comes back.

mod address;
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
mod resolve;
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
mod url;
#[cfg(test)]
mod wire_tests;

pub use self::url::{Host, Origin, Target};
pub use address::Network;
pub use ask::Exchange;
pub use egress::Egress;
#[cfg(any(test, debug_assertions))]
pub use egress::TestNetwork;
pub use gate::Gate;
pub use grant::{Grant, Request};
pub use host::{Pending, Response, Upload, View, add_to_linker};
pub use port::{Answer, Out, Wire};
pub use resolve::{Resolve, Unresolved};
pub use rule::Rule;
pub use settings::HttpSettings;
