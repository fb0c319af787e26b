//! What an operator can say about the engine and about limits.
//!
//! Where nothing could run at all with none of a thing, the schema says that one is the least: faces hold a configuration to it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[engine]`: one engine serves all skills of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct EngineSettings {
    /// Where instances come from. `auto` takes the pool where the machine lets the host reserve enough address space.
    pub allocator: Allocator,
    /// Most invocations that hold an instance at once. More wait in line. Default 10,000 with the pool.
    #[schemars(extend("minimum" = 1))]
    pub concurrent: u32,
    /// Most invocations that wait in line for that; one more is refused as `busy` at once. Calls by other skills are not counted:
    /// they belong to invocations that run. Default 1,000.
    pub queue: u32,
    /// Largest component file in MiB. Default 64: real toolchains make files of up to 32 MiB.
    #[schemars(extend("minimum" = 1))]
    pub component_mib: u32,
    /// Most seconds of wall time to compile one component. Default 120.
    #[schemars(extend("minimum" = 1))]
    pub compile_seconds: u32,
    /// Most MiB of address space of the process that compiles. Default 2,048.
    #[schemars(extend("minimum" = 1))]
    pub compile_mib: u32,
    /// Seconds that a call may go on after another version has taken its skill's place. Default 300.
    pub drain_seconds: u32,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            allocator: Allocator::Auto,
            concurrent: 10_000,
            queue: 1_000,
            component_mib: 64,
            compile_seconds: 120,
            compile_mib: 2048,
            drain_seconds: 300,
        }
    }
}

/// Where instances come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Allocator {
    #[default]
    Auto,
    /// Slots reserved at start and reset by copy-on-write: about 13 us per instance.
    Pooling,
    /// Mapped afresh for each instance: about three times as slow, but needs little address space.
    OnDemand,
}

/// `[limits]`, and `[skills.NAME.limits]` for one skill. What is not said is taken from the layer below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct LimitSettings {
    /// MiB of memory and tables of an invocation, all its instances together. Default 64.
    #[schemars(extend("minimum" = 1))]
    pub memory_mib: Option<u32>,
    /// Seconds from start to outcome, host calls included. Default 300: model calls dominate.
    #[schemars(extend("minimum" = 1))]
    pub wall_seconds: Option<u32>,
    /// Seconds of processor time of the guest's own code. Default 30.
    #[schemars(extend("minimum" = 1))]
    pub cpu_seconds: Option<u32>,
    /// KiB that a guest may pass to the host in one call, its outcome included. Default 8,192.
    #[schemars(extend("minimum" = 1))]
    pub hostcall_kib: Option<u32>,
    /// KiB of input. Default 16,384.
    #[schemars(extend("minimum" = 1))]
    pub input_kib: Option<u32>,
    /// KiB of outcome. Default 4,096.
    #[schemars(extend("minimum" = 1))]
    pub output_kib: Option<u32>,
    /// Handles of resources that are open at once. Default 1,000.
    pub handles: Option<u32>,
}

impl LimitSettings {
    /// These settings, with `below` where nothing is said.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            memory_mib: self.memory_mib.or(below.memory_mib),
            wall_seconds: self.wall_seconds.or(below.wall_seconds),
            cpu_seconds: self.cpu_seconds.or(below.cpu_seconds),
            hostcall_kib: self.hostcall_kib.or(below.hostcall_kib),
            input_kib: self.input_kib.or(below.input_kib),
            output_kib: self.output_kib.or(below.output_kib),
            handles: self.handles.or(below.handles),
        }
    }

    /// What the settings mean.
    #[must_use]
    pub fn resolve(self) -> Limits {
        let bytes = |kib: Option<u32>, default: usize| kib.map_or(default, |n| n as usize * 1024);
        Limits {
            memory_bytes: self.memory_mib.map_or(64 << 20, |n| (n as usize) << 20),
            wall: Duration::from_secs(u64::from(self.wall_seconds.unwrap_or(300))),
            cpu: Duration::from_secs(u64::from(self.cpu_seconds.unwrap_or(30))),
            hostcall_bytes: bytes(self.hostcall_kib, 8 << 20),
            input_bytes: bytes(self.input_kib, 16 << 20),
            output_bytes: bytes(self.output_kib, 4 << 20),
            handles: self.handles.unwrap_or(1000) as usize,
        }
    }
}

/// The limits of one invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: usize,
    pub wall: Duration,
    pub cpu: Duration,
    pub hostcall_bytes: usize,
    pub input_bytes: usize,
    pub output_bytes: usize,
    pub handles: usize,
}
