//! The core's own sources, file by file, and what stands in for the parts of it that they name and that need the sandbox's engine.
//!
//! What a source has for its parent alone is reached by a few lines here, where its parent would be.

#[path = "../../../../host/core/src"]
mod sources {
    pub mod act;
    pub mod broker;
    pub mod budget;
    pub mod error;
    pub mod events;
    pub mod files;
    pub mod journal;
    pub mod person;
    pub mod plain;
    pub mod state;
    pub mod trace;
    pub mod unless;

    pub mod engine {
        pub mod shares;
        pub mod slots;
    }

    pub mod capability {
        pub mod tools {
            /// As in the core. A few levels are enough to be in each other's way.
            pub const DEEPEST: usize = 3;
        }

        pub mod http {
            pub mod gate;
            pub mod settings;

            use crate::error::Refusal;

            /// One more request, if there may be one.
            pub(crate) fn count(gate: &gate::Gate, rates: &Rates) -> Result<(), Refusal> {
                gate.count(&rates.0, "skill")
            }

            /// A place for a request, if one is free.
            pub(crate) fn place(gate: &gate::Gate) -> Result<impl Sized + use<>, Refusal> {
                gate.slot()
            }

            pub(crate) struct Rates(gate::Rates);

            impl Rates {
                pub(crate) fn new(per_minute: u32) -> Self {
                    Self(gate::Rates::new(per_minute))
                }
            }
        }
    }

    pub mod policy {
        pub mod rules;
        pub mod taint;

        pub const GRANTABLE: &[&str] = &["kv"];

        /// Whether anything is granted.
        #[derive(Clone, Debug, Default)]
        pub struct Grants(pub bool);

        pub mod manifest {
            #[derive(Clone, Debug)]
            pub struct Manifest(pub String);
        }
    }

    pub mod catalog {
        pub mod live;
        pub mod loaded;
        mod skill;

        pub use skill::SkillRef;

        pub mod tool {
            #[derive(Clone, Debug)]
            pub struct Tool(pub String);
        }

        /// How it stands, as far as anybody looks here.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub enum Standing {
            #[default]
            Serving,
            Failed,
        }

        /// What tells one from another, three times over.
        pub(crate) struct Generation {
            pub(crate) digest: std::sync::Arc<str>,
            pub(crate) manifest: super::policy::manifest::Manifest,
            pub(crate) tools: Vec<tool::Tool>,
        }
    }

    pub mod host {
        use std::sync::Arc;

        pub(crate) struct Shared {
            pub(crate) sessions: Arc<crate::broker::Shared>,
        }

        impl Shared {
            /// Nobody listens here.
            pub(crate) fn tell_ended<T>(&self, _: impl FnOnce() -> T) {}
        }
    }

    pub mod server {
        /// No server is called here.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("the server cannot be used")]
        pub struct ServerError;

        impl crate::error::Explain for ServerError {
            fn kind(&self) -> &'static str {
                "unavailable"
            }

            fn hint(&self) -> String {
                String::new()
            }
        }
    }

    pub mod invocation {
        mod family;
        mod record;

        use std::future::Future;
        use std::sync::Arc;

        use family::Family;
        use record::Begun;

        use crate::broker::Session;
        use crate::catalog::SkillRef;
        use crate::error::{Error, Explain};
        use crate::events::Sink;
        use crate::host::Shared;
        use crate::journal;

        #[derive(Debug, thiserror::Error)]
        pub(crate) enum InvokeError {
            #[error("the call was cancelled")]
            Cancelled,
        }

        impl Explain for InvokeError {
            fn kind(&self) -> &'static str {
                "cancelled"
            }

            fn hint(&self) -> String {
                String::new()
            }
        }

        pub(crate) struct Outer {
            session: Session,
            sink: Arc<Sink>,
            family: Arc<Family>,
        }

        /// As the walk of an invocation ends: whatever becomes of `work`, and also where nobody waits for it any more.
        pub(crate) async fn recorded<T>(
            host: &Shared,
            session: &Session,
            open: journal::Open,
            work: impl Future<Output = Result<T, Error>>,
        ) -> Result<T, Error> {
            let sink = Arc::new(Sink::new(None, "a", session.deadline()));
            let family = Arc::new(Family::of(session.shared_invocation()));
            let (here, tool) = (Arc::new(Outer { session: session.clone(), sink, family }), "tool".into());
            let begun = Begun::new(host, &here, &tool, open, std::time::Instant::now());
            let result = work.await;
            let took = crate::trace::Took { queued_us: 0, instantiate_us: 0, cpu_ns: 0, memory_peak: 0 };
            begun.ended(&result, &took);
            result
        }

        /// One call with all that it calls.
        pub(crate) struct Kin(Family);

        impl Kin {
            pub(crate) fn new() -> Self {
                Self(Family::of("root".into()))
            }

            pub(crate) fn get(&self, skill: &str) -> Option<SkillRef> {
                self.0.get(skill)
            }

            pub(crate) fn pin(&self, loaded: &SkillRef) -> SkillRef {
                self.0.pin(loaded)
            }
        }
    }
}

pub(crate) use sources::*;
