//! The floor: the engine with the host's own configuration, and nothing of the host.

use ringfence_core::bench;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, ResourceLimiter, Store};

pub(crate) mod exports {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package ringfence:bench; world exports { export ringfence:skill/skill@0.1.0; }",
        world: "ringfence:bench/exports",
        exports: { default: async },
    });
}
use exports::exports::ringfence::skill::skill::Caller;
pub(crate) use exports::exports::ringfence::skill::skill::Context;

pub(crate) struct Floor {
    engine: Engine,
    pre: exports::ExportsPre<Data>,
    tool: String,
    input: String,
}

struct Data(Limiter);

/// The cheapest limiter there is.
pub(crate) struct Limiter {
    left: usize,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current) * size_of::<usize>())
    }
}

impl Limiter {
    pub(crate) fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    fn take(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        Ok(left.is_some())
    }
}

impl Context {
    pub(crate) fn of_nobody() -> Self {
        Self { invocation: String::new(), caller: Caller::User, deadline_ms: 300_000, locale: None }
    }
}

impl Floor {
    /// Compiles `component` in this process. What it imports traps, so `echo` is all that it can be asked.
    pub(crate) fn new(component: &[u8], slots: u32) -> Self {
        let engine = Engine::new(&bench::guests(slots)).unwrap();
        let component = Component::new(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let pre = exports::ExportsPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine, pre, tool: "echo".into(), input: crate::guest::echo_input() }
    }

    /// One call in a fresh store.
    pub(crate) async fn echo(&self) {
        let mut store = Store::new(&self.engine, Data(Limiter::of(64 << 20)));
        store.limiter(|data| &mut data.0);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let skill = instance.ringfence_skill_skill();
        let called = skill.call_call(&mut store, &self.tool, &self.input, &Context::of_nobody()).await.unwrap();
        assert_eq!(called.unwrap().content.len(), 1);
    }
}
