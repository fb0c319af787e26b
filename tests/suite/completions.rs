//! Completions, as a shell asks for them.

use std::process::Command;

use crate::support::{Home, probe};

/// What bash would offer at the end of `line`.
fn offered(home: &Home, line: &str) -> Vec<String> {
    let script = home.run(&["completions", "bash"]).worked().out;
    let path = home.write("completions.bash", script);
    // The script finds the program by its name. What bash sets for a function of completions is set by hand.
    let words: Vec<_> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "source '{}'\nfunction=$(complete -p ringfence | sed 's/.*-F \\([^ ]*\\).*/\\1/')\nCOMP_WORDS=({})\nCOMP_CWORD={}\nCOMP_LINE='{line}'\n\
         COMP_POINT={}\nCOMP_TYPE=9\n\"$function\" ringfence '{}' ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        path.display(),
        words.join(" "),
        words.len() - 1,
        line.len(),
        line.rsplit(' ').next().unwrap(),
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &ask]).current_dir(home.work());
    home.environment(&mut bash);
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_ringfence")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let done = bash.env("PATH", format!("{}:{path}", bin.display())).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    String::from_utf8(done.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn installed_names_are_offered() {
    let home = Home::new();
    std::fs::create_dir(home.path("work/process")).unwrap();
    assert!(!offered(&home, "ringfence run pro").contains(&"probe".to_owned()), "it is not installed yet");
    home.run(&["add", &probe().display().to_string(), "--grant-nothing"]).worked();
    for verb in ["run", "show", "grant", "revoke", "remove"] {
        let all = offered(&home, &format!("ringfence {verb} pro"));
        assert!(all.iter().any(|one| one.trim() == "probe"), "{verb}: {all:?}");
        assert_eq!(all.iter().any(|one| one.trim_end_matches('/') == "process"), verb != "remove", "{verb}: {all:?}");
    }
    assert_eq!(offered(&home, "ringfence show zz"), [""; 0]);
    assert!(offered(&home, "ringfence mod").iter().any(|one| one.trim() == "models"));
}

#[test]
fn names_are_offered_while_a_host_runs() {
    let home = Home::new();
    home.run(&["add", &probe().display().to_string(), "--grant-nothing"]).worked();
    let before = home.files("state");
    let lock = std::fs::File::open(home.path("state/lock")).unwrap();
    lock.lock().unwrap();
    let begun = std::time::Instant::now();
    let all = offered(&home, "ringfence run pro");
    assert!(all.iter().any(|one| one.trim() == "probe"), "{all:?}");
    assert!(begun.elapsed().as_secs() < 5, "it waited for the lock");
    assert_eq!(home.files("state"), before, "a look leaves nothing");
    // And where there is no state at all.
    let home = Home::new();
    assert_eq!(offered(&home, "ringfence show x"), [""; 0]);
    assert!(!home.path("state/state.db").exists());
}

#[test]
fn every_shell_has_a_script() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = home.run(&["completions", shell]).worked();
        assert!(done.out.contains("RINGFENCE_COMPLETE") && done.out.contains("ringfence"), "{shell}: {}", done.out);
    }
}
