//! What the process that compiles gives up before it looks at a stranger's component: a hole in the compiler must not become
//! one in the machine.
//!
//! Landlock takes every file and every socket away, seccomp every system call that computing, threads and the two pipes do not
//! need. Both are taken where the kernel has them and told to whoever asks ([`Confinement`]); the limits of memory and time
//! hold everywhere. Landlock: <https://docs.kernel.org/userspace-api/landlock.html>, seccomp:
//! <https://docs.kernel.org/userspace-api/seccomp_filter.html>.

use serde::{Deserialize, Serialize};

/// What holds the process that compiles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Confinement {
    /// None: every file and TCP port is out of reach. Otherwise why not, or what is missing.
    pub landlock: Option<String>,
    /// None: system calls are filtered. Otherwise why not.
    pub seccomp: Option<String>,
}

/// Confines this process, for ever. To be called while it has one thread.
#[cfg(target_os = "linux")]
pub(super) fn confine() -> Confinement {
    // The filter goes last: it forbids what landlock needs.
    let landlock = linux::landlock().err();
    let seccomp = linux::seccomp().err();
    Confinement { landlock, seccomp }
}

#[cfg(target_os = "linux")]
pub(super) use linux::ARCH;

#[cfg(not(target_os = "linux"))]
pub(super) fn confine() -> Confinement {
    let none = Some("this system has none".to_owned());
    Confinement { landlock: none.clone(), seccomp: none }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope,
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

    /// The newest rights that are asked for. An older kernel has fewer, which is told.
    const NEWEST: ABI = ABI::V6;

    pub(super) fn landlock() -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| format!("landlock: {error}");
        // Handled and never allowed: what is open stays usable, and that is two pipes.
        let status = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))
            .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(NEWEST)))
            .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
            .and_then(Ruleset::create)
            .and_then(landlock::RulesetCreated::restrict_self)
            .map_err(|error| told(&error))?;
        match status.ruleset {
            RulesetStatus::FullyEnforced => Ok(()),
            RulesetStatus::PartiallyEnforced => Err("this kernel has an older landlock, which holds files only".into()),
            RulesetStatus::NotEnforced => Err("this kernel has no landlock".into()),
        }
    }

    pub(super) fn seccomp() -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| format!("seccomp: {error}");
        let arch = ARCH.ok_or("seccomp: not for this processor")?;
        let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
            ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        // What is not listed fails as if it were not permitted. Killing would turn a harmless question of the C library
        // into a failed compilation.
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch).map_err(|error| told(&error))?;
        let program: BpfProgram = filter.try_into().map_err(|error| told(&error))?;
        apply_filter(&program).map_err(|error| told(&error))
    }

    pub(in crate::engine) const ARCH: Option<TargetArch> = if cfg!(target_arch = "x86_64") {
        Some(TargetArch::x86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(TargetArch::aarch64)
    } else if cfg!(target_arch = "riscv64") {
        Some(TargetArch::riscv64)
    } else {
        None
    };

    /// What computing on several threads and two pipes need. No call that opens a file, makes a socket or starts a program.
    const ALLOWED: &[libc::c_long] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_lseek,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_tgkill,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_prctl,
    ];
}
