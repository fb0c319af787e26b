//! `ringfence:skill/secrets`: ask, and say yes or no.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use super::{Exists, Vault};
use crate::broker::Session;
use bindings::ringfence::skill::secrets as wit;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package ringfence:secrets-words;
            world words { import ringfence:skill/secrets@0.1.0; }
        ",
        imports: { default: async | trappable },
    });
}

/// What `secrets` may touch of an invocation.
pub struct View<'a> {
    pub session: &'a Session,
    pub vault: &'a Arc<Vault>,
}

struct Secrets;

impl HasData for Secrets {
    type Data<'a> = View<'a>;
}

/// Offers `secrets` to guests.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> View<'_>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Secrets>(linker, get)
}

impl wit::Host for View<'_> {
    /// Every refusal is a no: the interface has no word for more, and a skill learns nothing else.
    async fn exists(&mut self, name: String) -> wasmtime::Result<bool> {
        let Ok(permit) = self.session.permit(Exists { name }).await else { return Ok(false) };
        let there = self.vault.has(&permit.ask().name);
        permit.receipt().close("ok", if there { "yes".into() } else { "no".into() });
        Ok(there)
    }
}
