//! The wires: how each family of providers is spoken to over HTTP. One file per wire; what they share is beside them.
//!
//! Every wire is three pure pieces (`encode` a request, `decode` a whole answer, an assembly that is fed one wire event at
//! a time) and one thin `Wire` around them, of which `port` makes a `Provider`, so that everything that reads foreign bytes is
//! tested without a network.

pub mod anthropic;
mod assembly;
mod failure;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
pub mod gemini;
pub mod http;
pub mod ollama;
pub mod openai_chat;
pub mod openai_responses;
mod port;
mod quick;
pub mod stream;
#[cfg(test)]
mod testing;
mod values;

pub use assembly::{Assembly, Ids, assemble};
pub use failure::{classify, failure, in_stream, scrub};
pub use http::{Auth, Endpoint, Timeouts};
pub use stream::{Frame, Frames, emit, lenient_json, ndjson, sse, while_heard};

#[cfg(test)]
mod test_peer;
