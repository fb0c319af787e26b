//! The one wasmtime configuration, shared by the engine that runs guests and the process that compiles them.
//!
//! Everything that has been a source of sandbox escapes and is not needed is off: asynchronous components, garbage collection,
//! exceptions, threads, 64-bit memories, stack switching, relaxed SIMD. The cargo features `gc` and `threads` stay compiled,
//! because builds without them have advisories of their own (GHSA-rc4p-x33f-vpr2, GHSA-2674-w29h-wqvj); they are off here.

use wasmparser::WasmFeatures;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

/// Bytes of stack that a guest may use, and that the host's functions have beyond it on the same fiber: a guest that calls
/// the host at the end of its stack must not overflow it.
pub(crate) const WASM_STACK: usize = 512 << 10;
const HOST_STACK: usize = 1536 << 10;

/// What decides about the machine code. A change here makes every cached artefact stale, because wasmtime puts it into its
/// compatibility hash.
fn code() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        // A run can be replayed exactly only when NaNs have one bit pattern.
        .cranelift_nan_canonicalization(true)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK)
        .memory_init_cow(true)
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .memory_may_move(false)
        .shared_memory(false)
        .concurrency_support(false)
        .gc_support(false);
    config.wasm_features(WasmFeatures::all(), false);
    config.wasm_features(features(), true);
    config
}

/// The WebAssembly proposals that are on. All others are off, those that a later wasmtime knows included.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::BULK_MEMORY_OPT
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::FLOATS
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
}

/// For the process that compiles: nothing is reserved, since it runs nothing and its address space is limited.
pub(crate) fn compiling() -> Config {
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config
}

/// For running, with a fresh mapping for each instance.
pub(crate) fn on_demand() -> Config {
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config
}

/// For running, with slots for `concurrent` invocations at once.
///
/// A slot keeps its first pages when it is given back: without that, two threads are slower than one, because resetting
/// pages serialises on the address space.
pub(crate) fn pooling(concurrent: u32, pagemap_scan: bool) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrent)
        .total_stacks(concurrent)
        // Most components have one memory and a handful of core instances and tables; a few have many.
        .total_core_instances(concurrent.saturating_mul(4))
        .total_memories(concurrent)
        .total_tables(concurrent.saturating_mul(2))
        .max_core_instances_per_component(200)
        .max_memories_per_component(32)
        .max_tables_per_component(64)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(50_000)
        .max_memory_size(4 << 30)
        .total_gc_heaps(0)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(100)
        .pagemap_scan(if pagemap_scan { Enabled::Yes } else { Enabled::No });
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Bytes of a memory slot that stay mapped between two invocations, and are filled with zeros for the next. Once a guest has
/// written to so many, every later one in that slot pays for all of them, however little it writes itself: with 1 MiB here a few
/// guests that filled their memory took half of the others' throughput.
const KEEP_RESIDENT: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;

    /// Each of these has been a source of escapes or aborts, or has not been looked at long enough.
    #[test]
    fn what_must_be_off_is_off() {
        let off = [
            WasmFeatures::GC,
            WasmFeatures::GC_TYPES,
            WasmFeatures::EXCEPTIONS,
            WasmFeatures::LEGACY_EXCEPTIONS,
            WasmFeatures::FUNCTION_REFERENCES,
            WasmFeatures::THREADS,
            WasmFeatures::SHARED_EVERYTHING_THREADS,
            WasmFeatures::MEMORY64,
            WasmFeatures::STACK_SWITCHING,
            WasmFeatures::RELAXED_SIMD,
            WasmFeatures::CUSTOM_PAGE_SIZES,
            WasmFeatures::WIDE_ARITHMETIC,
            WasmFeatures::CM_ASYNC,
            WasmFeatures::CM_ERROR_CONTEXT,
            WasmFeatures::CM_GC,
            WasmFeatures::CM_MAP,
            WasmFeatures::CM_FIXED_LENGTH_LISTS,
            WasmFeatures::CM64,
        ];
        for feature in off {
            assert!(!features().contains(feature), "{:?}", feature.iter_names().next());
        }
        Engine::new(&compiling()).unwrap();
    }

    #[test]
    fn all_three_make_the_same_code() {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let hash = |config: &Config| {
            let engine = Engine::new(config).unwrap();
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let compiled = hash(&compiling());
        assert_eq!(compiled, hash(&on_demand()));
        assert_eq!(compiled, hash(&pooling(10, false)));
    }
}
