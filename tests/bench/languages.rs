//! What a call and an instance cost in each language: beside the same component on the engine alone, with WASI and nothing of the host.

use std::time::{Duration, Instant};

use ringfence_core::bench;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::clock::{median, ratio, us};
use crate::floor::{Context, Limiter, exports};
use crate::guest::{self, Ground};
use crate::options;
use crate::table::Table;

const LANGUAGES: [&str; 5] = ["rust", "c", "javascript", "go", "python"];
const ROUNDS: usize = 9;
const CALLS: usize = 50;
/// Instances that are held at once to weigh one.
const HELD: usize = 40;

pub(crate) fn measure(table: &mut Table) {
    let runtime = guest::runtime();
    for lang in LANGUAGES {
        let file = guest::built_probe(&format!("matrix-{lang}"));
        let floor = Floor::new(&std::fs::read(&file).unwrap());
        let measured = runtime.spawn(async move {
            let ground = Ground::open(None, |_| {}).await;
            let skill = ground.host.load_file(&file, None, None).await.unwrap();
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..=options::rounds(ROUNDS) {
                ours.push(median(&mut guest::echoes_of(&ground, &skill, CALLS).await));
                theirs.push(median(&mut floor.echoes(CALLS).await));
            }
            // The first of each warms up.
            (median(&mut ours[1..]), median(&mut theirs[1..]), floor.weigh().await)
        });
        let (ours, theirs, bytes) = runtime.block_on(measured).unwrap();
        let say = |time| format!("{:.0} us", us(time));
        let what = format!("languages: echo in {lang}");
        table.goal(what, say(ours), say(theirs), (ratio(ours, theirs), 1.3, "x"));
        let (what, kib) = (format!("languages: an instance in {lang}"), bytes as f64 / 1024.0);
        if lang == "python" {
            table.goal(what, format!("{kib:.0} KiB"), "", (kib, 1536.0, " KiB"));
        } else {
            table.note(what, format!("{kib:.0} KiB"), "", "");
        }
    }
}

/// Defines what a component imports of our interface. Only that: WASI matches by version, and is linked already.
fn trap_ours(engine: &Engine, component: &Component, linker: &mut Linker<Data>) {
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        if !name.starts_with("ringfence:") {
            continue;
        }
        let mut linked = linker.instance(name).unwrap();
        for (name, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    linked.func_new(name, |_, _, _, _| Err(wasmtime::Error::msg("nothing is here"))).unwrap();
                }
                ComponentItem::Resource(_) => {
                    linked.resource(name, ResourceType::host::<()>(), |_, _| Ok(())).unwrap();
                }
                _ => {}
            }
        }
    }
}

struct Floor {
    engine: Engine,
    pre: exports::ExportsPre<Data>,
}

struct Data {
    limiter: Limiter,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Floor {
    /// What the component imports of ours traps: `echo` asks for none of it.
    fn new(component: &[u8]) -> Self {
        let engine = Engine::new(&bench::guests(1_000)).unwrap();
        let component = Component::new(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        trap_ours(&engine, &component, &mut linker);
        let pre = exports::ExportsPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine, pre }
    }

    /// One call in a fresh store, which is still there afterwards.
    async fn echo(&self) -> Store<Data> {
        let data =
            Data { limiter: Limiter::of(64 << 20), wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, data);
        store.limiter(|data| &mut data.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let skill = instance.ringfence_skill_skill();
        let called = skill.call_call(&mut store, "echo", &guest::echo_input(), &Context::of_nobody()).await.unwrap();
        assert_eq!(called.unwrap().content.len(), 1);
        store
    }

    async fn echoes(&self, times: usize) -> Vec<Duration> {
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            let before = Instant::now();
            drop(self.echo().await);
            took.push(before.elapsed());
        }
        took
    }

    /// Bytes of memory that one instance has for itself after a call.
    async fn weigh(&self) -> usize {
        let mut held = Vec::with_capacity(HELD);
        // Slots that were used before keep some pages: all of them are used once.
        for _ in 0..HELD {
            held.push(self.echo().await);
        }
        let filled = private();
        held.clear();
        let empty = private();
        filled.saturating_sub(empty) / HELD
    }
}

/// Bytes that no other process and no file shares.
fn private() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("a Linux with /proc");
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0)
    };
    (of("Private_Dirty:") + of("Private_Clean:")) << 10
}
