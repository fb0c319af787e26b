//! What one invocation owns inside of the engine: the data of its store.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView};

use super::epoch::Awake;
use super::limits::Limiter;
use super::schedule;
use super::settings::Limits;
use super::shares::Share;
use super::wasi::{self, Sources};
use crate::capability::Services;

/// The data of a store. Capabilities never see it whole: each gets a view of what it may touch.
pub(crate) struct Guest {
    pub(crate) services: Services,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    sources: Arc<dyn Sources>,
    /// Made when the guest first asks WASI for something; most calls never do.
    wasi: Option<WasiCtx>,
    _awake: Awake,
}

impl Guest {
    pub(crate) fn wasi(&mut self) -> WasiCtxView<'_> {
        let Self { services, table, sources, wasi, .. } = self;
        WasiCtxView { ctx: wasi.get_or_insert_with(|| wasi::context(sources, &services.sink)), table }
    }
}

/// A fresh store: one per invocation, discarded after it whatever happened. `memory` is what its memories take from.
pub(crate) fn store(
    engine: &super::Engine,
    services: Services,
    sources: Arc<dyn Sources>,
    limits: &Limits,
    memory: Share,
) -> Store<Guest> {
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles);
    let _awake = engine.ticker.wake();
    let guest = Guest { services, table, limiter: Limiter::new(memory), sources, wasi: None, _awake };
    let mut store = Store::new(&engine.wasmtime, guest);
    store.limiter(|guest| &mut guest.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| {
        Ok(if schedule::has_just_begun() { UpdateDeadline::Continue(1) } else { UpdateDeadline::Yield(1) })
    });
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(limits.handles);
    store
}
