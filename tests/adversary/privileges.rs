//! What the host's own process gave up holds for whatever it starts: here a toolchain that is none of ours.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use rustix::fs::{FileType, Mode};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use crate::support::{Done, Home};

/// Names the file that [`deeds`] writes to.
const SAYS: &str = "DEEDS_SAID";
/// Names the process that it tries to signal.
const PEER: &str = "DEEDS_PEER";

/// What somebody would try with a hole in the sandbox, and what a toolchain does all the time. Run as a program by
/// [`what_the_host_starts_has_given_up_what_it_does_not_need`].
#[test]
#[ignore = "it is run as a program by another test"]
fn deeds() {
    let says = std::env::var(SAYS).unwrap();
    let peer: i32 = std::env::var(PEER).unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("below")).unwrap();
    std::fs::write(at("file"), "x").unwrap();
    let make = |name: &str, kind, device| {
        rustix::fs::mknodat(rustix::fs::CWD, at(name), kind, Mode::from_raw_mode(0o600), device).is_ok()
    };
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
    let namespace = std::fs::File::open("/proc/self/ns/uts").unwrap();
    let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    let done = BTreeMap::from([
        ("hostile: looks into a process", {
            rustix::process::pidfd_getfd(&own, own.as_raw_fd(), PidfdGetfdFlags::empty()).is_ok()
        }),
        ("hostile: changes its root", rustix::process::chroot("/").is_ok()),
        ("hostile: makes a device", make("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3))),
        ("hostile: enters a namespace", {
            use std::os::fd::AsFd as _;
            rustix::thread::move_into_link_name_space(namespace.as_fd(), None).is_ok()
        }),
        ("outside: takes a port", std::net::TcpListener::bind("127.0.0.1:0").is_ok()),
        ("outside: signals a stranger", rustix::process::test_kill_process(Pid::from_raw(peer).unwrap()).is_ok()),
        ("usual: makes a pipe with a name", make("pipe", FileType::Fifo, 0)),
        ("usual: links between folders", std::fs::hard_link(at("file"), at("below/link")).is_ok()),
        ("usual: renames between folders", std::fs::rename(at("file"), at("below/file")).is_ok()),
        ("usual: starts a thread", std::thread::spawn(|| 1).join().is_ok()),
        ("usual: ends its own child", child.kill().is_ok() && child.wait().is_ok_and(|status| !status.success())),
    ]);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    std::fs::write(says, serde_json::json!({ "done": done, "status": status }).to_string()).unwrap();
}

struct Said {
    done: BTreeMap<String, bool>,
    status: String,
}

impl Said {
    fn read(home: &Home) -> Self {
        let text = std::fs::read_to_string(home.path("said")).unwrap();
        let mut said: serde_json::Value = serde_json::from_str(&text).unwrap();
        let status = said["status"].as_str().unwrap().to_owned();
        Self { done: serde_json::from_value(said["done"].take()).unwrap(), status }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    fn capabilities(&self, name: &str) -> u64 {
        u64::from_str_radix(self.field(name).unwrap(), 16).unwrap()
    }
}

fn doctor(home: &Home) -> (String, String) {
    let findings = home.run(&["doctor", "--format", "json"]).json();
    let finding = findings.as_array().unwrap().iter().find(|finding| finding["subject"] == "privileges").unwrap();
    (finding["state"].as_str().unwrap().to_owned(), finding["detail"].as_str().unwrap().to_owned())
}

#[test]
fn what_the_host_starts_has_given_up_what_it_does_not_need() {
    let home = Home::new();
    let program = std::env::current_exe().unwrap();
    let deeds = |command: &mut Command| {
        command.env(SAYS, home.path("said")).env(PEER, std::process::id().to_string());
    };
    let args = ["--exact", "privileges::deeds", "--ignored"];
    let mut alone = Command::new(&program);
    deeds(alone.args(args).stdout(Stdio::null()));
    assert!(alone.status().unwrap().success());
    let alone = Said::read(&home);
    std::fs::remove_file(home.path("said")).unwrap();

    let script = |name: &str, text: String| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = home.write(name, format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    script("bin/rustup", "echo wasm32-wasip2".into());
    script("bin/cargo", format!("exec '{}' {} >&2", program.display(), args.join(" ")));
    home.write("work/x/Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\n");
    home.write("work/x/skill.toml", "name = \"x\"\nversion = \"0.1.0\"\ndescription = \"None.\"\n");
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap());
    let mut build = home.command(&["build", "x"]);
    deeds(build.env("PATH", path));
    let built = Done::of(&mut build);
    assert!(home.path("said").exists(), "{built:?}");
    let started = Said::read(&home);

    let (_, told) = doctor(&home);
    for (deed, done) in &started.done {
        let (seccomp, landlock) = (alone.field("Seccomp").is_some(), !told.contains("landlock:"));
        let expected = match deed.split(':').next().unwrap() {
            "hostile" => !seccomp && alone.done[deed],
            "outside" if told.contains("this kernel has") => continue,
            "outside" => !landlock && alone.done[deed],
            _ => true,
        };
        assert_eq!(*done, expected, "{deed}; alone it was {}; {told}", alone.done[deed]);
    }
    assert!(alone.done["outside: takes a port"] && alone.done["outside: signals a stranger"]);
    assert_eq!(started.field("NoNewPrivs"), Some("1"));
    if alone.field("Seccomp").is_some() {
        assert_eq!(started.field("Seccomp"), Some("2"), "the kernel has it");
    }
    // Neither those of the administrator nor of anybody else: mounts, modules, the network, others' memory.
    let [net_admin, net_raw, sys_module, sys_rawio, sys_ptrace, sys_admin, mknod] = [12, 13, 16, 17, 19, 21, 27];
    for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        for one in [net_admin, net_raw, sys_module, sys_rawio, sys_ptrace, sys_admin, mknod] {
            assert_eq!(started.capabilities(name) >> one & 1, 0, "{name}: {one}");
        }
    }
    if alone.capabilities("CapEff") >> 8 & 1 == 1 {
        assert_eq!(started.capabilities("CapBnd") >> sys_admin & 1, 0);
    }
}

#[test]
fn the_doctor_says_what_the_host_gave_up() {
    let home = Home::new();
    let (state, told) = doctor(&home);
    assert!(told.starts_with("this process and what it starts gave up"), "{told}");
    let given_up = told.split(':').next().unwrap();
    assert!(given_up.contains("capabilities"), "{told}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert_eq!(given_up.contains("seccomp"), status.contains("Seccomp:"), "{told}");
    assert_eq!(state == "ok", ["seccomp", "landlock"].iter().all(|part| given_up.contains(part)), "{told}");
}
