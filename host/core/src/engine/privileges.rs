//! What the host's own process gives up before it does anything, and with it every process that it starts: rights that neither
//! a host of skills nor a toolchain needs, so that a hole in the sandbox gets no more of the machine than files and requests.
//!
//! Unlike what holds the process that compiles (`confine.rs`) this lets everything through but a list. It is taken where the
//! kernel has it and told to whoever asks ([`Privileges`]). seccomp: <https://docs.kernel.org/userspace-api/seccomp_filter.html>,
//! landlock: <https://docs.kernel.org/userspace-api/landlock.html>, capabilities(7).

use std::sync::OnceLock;

use serde::Serialize;

/// What a process of this program still is to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// It serves nobody: no TCP port can be taken.
    Never,
    /// It is a server.
    Allowed,
}

/// What was given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Privileges {
    /// None: what neither a host nor a toolchain asks the kernel for is refused. Otherwise why not.
    pub seccomp: Option<String>,
    /// None: no TCP port can be taken unless the program listens, and no process but its own can be signalled. Otherwise why
    /// not, or what is missing.
    pub landlock: Option<String>,
    /// None: it has no capability but those about files, owners and priorities, and gets no other. Otherwise why not.
    pub capabilities: Option<String>,
}

static GIVEN_UP: OnceLock<(Privileges, Listening)> = OnceLock::new();

/// Gives up, for ever, what a host never needs; also new rights that a program of another owner would give it, and the image of
/// its memory, keys included, on the disk when it crashes. To be called once by a program that is about to open a host, while it
/// has one thread: threads that there are already keep what they have.
pub fn give_up_privileges(listening: Listening) {
    GIVEN_UP.get_or_init(|| (all(listening), listening));
}

/// What this process gave up. None where its program never asked for it.
pub(crate) fn given_up() -> Option<Privileges> {
    let (given_up, listening) = GIVEN_UP.get()?;
    let mut held = given_up.clone();
    // Whoever says that it holds must not be able to do this.
    #[cfg(target_os = "linux")]
    if held.seccomp.is_none() && linux::takes_descriptors() {
        held.seccomp = Some("it is in force, and a process could be looked into all the same".into());
    }
    if held.landlock.is_none() && *listening == Listening::Never && std::net::TcpListener::bind("127.0.0.1:0").is_ok() {
        held.landlock = Some("it is in force, and a port could be taken all the same".into());
    }
    Some(held)
}

#[cfg(not(target_os = "linux"))]
fn all(_: Listening) -> Privileges {
    let none = Some("this system has none".to_owned());
    Privileges { seccomp: none.clone(), landlock: none.clone(), capabilities: none }
}

#[cfg(target_os = "linux")]
fn all(listening: Listening) -> Privileges {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Neither can fail for a reason that somebody could do something about.
    let _ = rustix::thread::set_no_new_privs(true);
    // One byte, and not none: with a limit of none Linux still hands the image to a program that collects them.
    // See core(5).
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
    Privileges {
        capabilities: linux::capabilities().err(),
        landlock: linux::landlock(listening).err(),
        seccomp: linux::seccomp().err(),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{
        ABI, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
        Scope,
    };
    use rustix::thread::CapabilitySet;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        apply_filter, sock_filter,
    };

    use super::Listening;
    use crate::engine::confine::ARCH;

    /// What the administrator keeps: their own files and those of others, as every program of theirs would have it, and the
    /// priorities of threads.
    const KEPT: CapabilitySet = CapabilitySet::CHOWN
        .union(CapabilitySet::DAC_OVERRIDE)
        .union(CapabilitySet::DAC_READ_SEARCH)
        .union(CapabilitySet::FOWNER)
        .union(CapabilitySet::FSETID)
        .union(CapabilitySet::KILL)
        .union(CapabilitySet::SETGID)
        .union(CapabilitySet::SETUID)
        .union(CapabilitySet::NET_BIND_SERVICE)
        .union(CapabilitySet::IPC_LOCK)
        .union(CapabilitySet::SYS_NICE)
        .union(CapabilitySet::SYS_RESOURCE);

    /// For most users there is nothing to drop: they have none.
    pub(super) fn capabilities() -> Result<(), String> {
        let told = |error: rustix::io::Errno| format!("capabilities: {error}");
        rustix::thread::clear_ambient_capability_set().map_err(told)?;
        let mut sets = rustix::thread::capabilities(None).map_err(told)?;
        // Only who has this may change the bounding set. For others it bounds nothing: without new privileges no program that
        // is started gets a capability that this process lacks.
        if sets.effective.contains(CapabilitySet::SETPCAP) {
            for bit in 0..u64::BITS {
                let one = CapabilitySet::from_bits_retain(1 << bit);
                // The first that the kernel does not know ends the list.
                if !KEPT.contains(one) && rustix::thread::remove_capability_from_bounding_set(one).is_err() {
                    break;
                }
            }
        }
        for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
            *set &= KEPT;
        }
        rustix::thread::set_capabilities(None, sets).map_err(told)
    }

    /// The newest rights that are asked for.
    const NEWEST: ABI = ABI::V6;
    /// Where sccache, which cargo may be told to use, starts the server of its own that all its clients share.
    const SCCACHE: u16 = 4226;

    /// About files there is no word: a ruleset that knows them refuses links between folders, which compilers make.
    /// Abstract sockets stay as well, since a session's bus may be one.
    pub(super) fn landlock(listening: Listening) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| format!("landlock: {error}");
        let scoped = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .scope(Scope::Signal)
            .map_err(|error| told(&error))?;
        debug_assert!(NEWEST >= ABI::V6, "signals");
        let made = match listening {
            Listening::Allowed => scoped.create(),
            Listening::Never => scoped
                .handle_access(AccessNet::BindTcp)
                .and_then(Ruleset::create)
                .and_then(|ruleset| ruleset.add_rule(NetPort::new(SCCACHE, AccessNet::BindTcp))),
        };
        let held = made.and_then(landlock::RulesetCreated::restrict_self).map_err(|error| told(&error))?;
        match held.ruleset {
            RulesetStatus::FullyEnforced => Ok(()),
            RulesetStatus::PartiallyEnforced => Err("this kernel has an older landlock, which holds no signals".into()),
            RulesetStatus::NotEnforced => Err("this kernel has no landlock for ports and signals".into()),
        }
    }

    pub(super) fn seccomp() -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| format!("seccomp: {error}");
        let arch = ARCH.ok_or("seccomp: not for this processor")?;
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
        for (call, argument) in DEVICES {
            rules.insert(*call, devices(*argument).map_err(|error| told(&error))?);
        }
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).map_err(|error| told(&error))?;
        let mut program: BpfProgram = filter.try_into().map_err(|error| told(&error))?;
        if cfg!(target_arch = "x86_64") {
            program.splice(LOADED..LOADED, OTHER_NUMBERS);
        }
        apply_filter(&program).map_err(|error| told(&error))
    }

    /// Where in a program of seccompiler's the number of the call is loaded: behind the three instructions that look at the
    /// processor's architecture, and the one that loads it.
    const LOADED: usize = 4;

    /// x86-64 has a second table of system calls (x32) with numbers of its own from this one on: a list of what is refused must
    /// refuse it as a whole. As "no such call", which is what kernels without it say.
    const OTHER_NUMBERS: [sock_filter; 2] = [
        // if number >= 0x4000_0000 goto next, else skip one
        sock_filter { code: 0x35, jt: 0, jf: 1, k: 0x4000_0000 },
        // return SECCOMP_RET_ERRNO | ENOSYS
        sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | 38 },
    ];

    fn devices(argument: u8) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let rule = |kind: libc::mode_t| {
            let of_kind = SeccompCmpOp::MaskedEq(u64::from(libc::S_IFMT));
            let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, of_kind, u64::from(kind))?;
            SeccompRule::new(vec![condition])
        };
        Ok(vec![rule(libc::S_IFCHR)?, rule(libc::S_IFBLK)?])
    }

    /// Whether another process's open files could be taken: here it tries its own.
    pub(super) fn takes_descriptors() -> bool {
        use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
        use std::os::fd::AsRawFd as _;
        let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else { return false };
        pidfd_getfd(&own, own.as_raw_fd(), PidfdGetfdFlags::empty()).is_ok()
    }

    /// The calls that make files, and where each has the kind of file: pipes and the like stay, devices do not.
    const DEVICES: &[(libc::c_long, u8)] = &[
        (libc::SYS_mknodat, 2),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_mknod, 1),
    ];

    /// What no host of skills asks for, and neither cargo, rustc, linkers, npm nor Python: other processes' insides, mounts and
    /// namespaces, the kernel's own parts, clocks, and interfaces where most of the kernel's holes were.
    ///
    /// Not here: `clone` and `clone3`, which start threads and programs, and can make namespaces as well (in one that is made
    /// so nothing can be mounted, and none be entered); `personality`, by which some runtimes lay out their memory; what the
    /// process that compiles is confined with (`prctl`, `seccomp`, `landlock_*`).
    const REFUSED: &[libc::c_long] = &[
        // Other processes.
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kcmp,
        libc::SYS_pidfd_getfd,
        // Mounts, roots and namespaces.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_open_by_handle_at,
        // The kernel and the machine.
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_quotactl_fd,
        libc::SYS_syslog,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_vhangup,
        libc::SYS_nfsservctl,
        // Where holes were.
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_fanotify_init,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_kexec_file_load,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_iopl,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_ioperm,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_modify_ldt,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_uselib,
    ];
}
