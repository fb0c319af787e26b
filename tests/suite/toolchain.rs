//! Machines whose Rust did not come from rustup, or that have none.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Done, Home, repository};

const TARGET: &str = "wasm32-wasip2";

/// The only folder of programs: cargo and a compiler as a distribution packages them, with the libraries of its targets in
/// `lib`. That of WebAssembly may be missing. There is no rustup.
fn distribution(home: &Home, with_target: bool) -> PathBuf {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).current_dir(repository()).output().unwrap();
    let real = PathBuf::from(String::from_utf8(asked.stdout).unwrap().trim());
    let own = home.path(if with_target { "whole" } else { "lacking" });
    let (bin, targets) = (own.join("bin"), own.join("lib/rustlib"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&targets).unwrap();
    for entry in std::fs::read_dir(real.join("lib/rustlib")).unwrap() {
        let entry = entry.unwrap();
        if with_target || entry.file_name() != TARGET {
            symlink(entry.path(), targets.join(entry.file_name())).unwrap();
        }
    }
    symlink(real.join("bin/cargo"), bin.join("cargo")).unwrap();
    let rustc = bin.join("rustc");
    let line = format!("#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n", real.join("bin/rustc").display(), own.display());
    std::fs::write(&rustc, line).unwrap();
    std::fs::set_permissions(&rustc, std::fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

fn run(home: &Home, programs: &Path, args: &[&str]) -> Done {
    Done::of(home.command(args).env("PATH", programs))
}

#[test]
fn without_rustup_a_missing_target_is_named() {
    let home = Home::new();
    home.run(&["new", "lonely"]).worked();
    let lacking = distribution(&home, false);
    let done = run(&home, &lacking, &["build", "lonely"]);
    done.fails("toolchain-missing", 4, "no wasm32-wasip2, and there is no rustup", "https://rustup.rs");
    run(&home, &lacking, &["run", "./lonely", "--text", "x"]).fails("toolchain-missing", 4, TARGET, "rustup.rs");
    assert_eq!(home.files("work/lonely/target/ringfence"), [""; 0]);
    let told = run(&home, &lacking, &["doctor"]);
    let line = told.out.lines().find(|line| line.contains("rust toolchain")).unwrap();
    assert!(line.starts_with("note") && line.contains("this Rust has no wasm32-wasip2"), "{line}");

    let whole = distribution(&home, true);
    let told = run(&home, &whole, &["doctor"]).worked();
    assert!(told.out.contains("wasm32-wasip2 is installed"), "{told:?}");
}

/// As rustup does: of two that add a target at once, one fails.
fn with_rustup(programs: &Path) {
    let own = programs.parent().unwrap().display();
    let script = format!(
        "#!/bin/sh\n\
         case \"$1 $2\" in\n\
         'target list') if [ -e '{own}/added' ]; then echo {TARGET}; fi;;\n\
         'target add') /bin/mkdir '{own}/busy' || {{ echo 'error: detected conflict' >&2; exit 1; }}\n\
         /bin/sleep 1; : > '{own}/added'; /bin/rmdir '{own}/busy';;\n\
         *) exit 1;;\n\
         esac\n"
    );
    let rustup = programs.join("rustup");
    std::fs::write(&rustup, script).unwrap();
    std::fs::set_permissions(&rustup, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn of_builds_that_lack_the_target_at_once_one_adds_it_and_the_others_wait() {
    let place = Home::new();
    let programs = distribution(&place, false);
    with_rustup(&programs);
    let builds: Vec<_> = (0..3)
        .map(|_| {
            let programs = programs.clone();
            std::thread::spawn(move || {
                let home = Home::new();
                home.run(&["new", "lonely"]).worked();
                // What follows the toolchain is nothing to wait for.
                home.write("work/lonely/Cargo.toml", "no manifest");
                run(&home, &programs, &["build", "lonely"])
            })
        })
        .collect();
    for build in builds {
        let done = build.join().unwrap();
        assert!(!done.err.contains("toolchain-missing") && done.err.contains("error[build-failed]"), "{done:?}");
    }
    assert!(place.path("lacking/added").is_file());
}

#[test]
fn without_cargo_skills_run_and_are_not_built() {
    let home = Home::new();
    home.run(&["new", "lonely"]).worked();
    let nothing = home.path("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let done = run(&home, &nothing, &["build", "lonely"]);
    done.fails("toolchain-missing", 4, "cargo cannot be started", "https://rustup.rs");
    let probe = crate::support::probe().display().to_string();
    let echo = ["run", &probe, "--tool", "echo", "--text", "hello", "--allow", "kv", "--allow", "model"];
    run(&home, &nothing, &echo).gives("hello\n");
}
