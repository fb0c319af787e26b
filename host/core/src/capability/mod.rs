//! The list of capabilities: for each one line here for its state in an invocation, one for the linker, and one for its name.
//!
//! No capability knows another.

pub mod config;
pub mod files;
pub(crate) mod filling;
pub mod http;
pub mod kv;
pub mod log;
pub mod model;
pub mod progress;
pub mod secrets;
pub mod tools;
pub mod user;
pub mod words;

use std::sync::Arc;

use serde_json::{Map, Value};
use wasmtime::component::Linker;

use crate::broker::Session;
use crate::engine::guest::Guest;
use crate::events::Sink;

/// Names of the interfaces that a component may import. `files` has none of ours: it is WASI's.
pub(crate) const NAMES: [&str; 9] = ["config", "http", "kv", "log", "model", "progress", "secrets", "tools", "user"];

/// What the capabilities of one invocation work with.
pub(crate) struct Services {
    pub(crate) session: Session,
    pub(crate) sink: Arc<Sink>,
    pub(crate) settings: Arc<Map<String, Value>>,
    pub(crate) folders: files::Folders,
    pub(crate) http: Arc<http::Egress>,
    /// How many requests there still may be.
    pub(crate) http_gate: Arc<http::Gate>,
    pub(crate) kv: Arc<dyn kv::Store>,
    /// Of which version the state is that the skill knows.
    pub(crate) kv_state: u32,
    pub(crate) models: Arc<model::Router>,
    pub(crate) secrets: Arc<secrets::Vault>,
    /// Whether a budget of money holds: what has no price is refused then.
    pub(crate) money_limited: bool,
    pub(crate) toolbox: Arc<dyn tools::Toolbox>,
    pub(crate) answers: user::Answers,
    pub(crate) asked: user::Asked,
}

/// Offers everything to guests. What a guest may do with it is asked at each act.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    config::add_to_linker(linker, |guest| config::View { settings: &guest.services.settings })?;
    files::add_to_linker(linker, |guest| files::View {
        session: &guest.services.session,
        table: &mut guest.table,
        folders: &guest.services.folders,
    })?;
    http::add_to_linker(linker, |guest| http::View {
        session: &guest.services.session,
        table: &mut guest.table,
        egress: &guest.services.http,
        gate: &guest.services.http_gate,
    })?;
    kv::add_to_linker(linker, |guest| kv::View {
        session: &guest.services.session,
        store: &guest.services.kv,
        state: guest.services.kv_state,
    })?;
    log::add_to_linker(linker, |guest| log::View { sink: &guest.services.sink })?;
    model::host::add_to_linker(linker, |guest| model::host::ModelView {
        session: &guest.services.session,
        table: &mut guest.table,
        router: &guest.services.models,
        money_limited: guest.services.money_limited,
    })?;
    progress::add_to_linker(linker, |guest| progress::View { sink: &guest.services.sink })?;
    secrets::add_to_linker(linker, |guest| secrets::View {
        session: &guest.services.session,
        vault: &guest.services.secrets,
    })?;
    tools::add_to_linker(linker, |guest| tools::View {
        session: &guest.services.session,
        table: &mut guest.table,
        toolbox: &guest.services.toolbox,
    })?;
    user::add_to_linker(linker, |guest| user::View {
        session: &guest.services.session,
        answers: &guest.services.answers,
        asked: &guest.services.asked,
    })?;
    Ok(())
}
