//! The directions that ARCHITECTURE.md promises, read from the sources: who may name whom.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// `who` may not name anything below one of `not`, unless it is below one of `but`. Names are module paths of the core.
struct Rule {
    who: &'static str,
    not: &'static [&'static str],
    but: &'static [&'static str],
    why: &'static str,
}

/// Everything of the core: the whole right side of a rule that lists what is allowed instead.
const ALL: &[&str] = &[""];

const DIRECTIONS: &[Rule] = &[
    Rule {
        who: "journal",
        not: ALL,
        but: &["journal", "state", "budget::Amount", "plain", "files", "sync"],
        why: "the journal calls nobody: it is told, and it writes",
    },
    Rule {
        who: "state",
        not: ALL,
        but: &["state", "error", "files", "sync"],
        why: "state knows no meaning of what it keeps",
    },
    Rule { who: "sync", not: ALL, but: &["sync"], why: "it is only names" },
    Rule {
        who: "schema",
        not: ALL,
        but: &["schema", "error", "capability::words"],
        why: "schemas are checked anywhere",
    },
    Rule { who: "person", not: ALL, but: &["person"], why: "a person is asked, and knows nothing of the host" },
    Rule { who: "plain", not: ALL, but: &["plain"], why: "it only makes text safe" },
    Rule { who: "files", not: ALL, but: &["files"], why: "it only writes files" },
    Rule { who: "step", not: ALL, but: &["step"], why: "it only says what goes on" },
    Rule {
        who: "net",
        not: ALL,
        but: &["net", "error", "tls"],
        why: "servers are the same, whoever wants to reach them",
    },
    Rule { who: "trace", not: ALL, but: &["trace", "budget::Amount"], why: "a trace knows names and amounts" },
    Rule { who: "act", not: ALL, but: &["act", "sync"], why: "it only says who polls" },
    Rule { who: "events", not: ALL, but: &["events", "plain"], why: "events go to the caller and decide nothing" },
    Rule {
        who: "budget",
        not: ALL,
        but: &["budget", "state", "error", "sync"],
        why: "a budget knows amounts, not what they are spent on",
    },
    Rule {
        who: "broker",
        not: ALL,
        but: &[
            "act",
            "broker",
            "budget",
            "error",
            "journal::audit",
            "person",
            "plain",
            "policy::Grants",
            "policy::rules",
            "policy::taint",
            "sync",
            "trace",
            "unless",
        ],
        why: "the broker asks and reserves for any capability, and so knows none",
    },
    Rule {
        who: "policy",
        not: &["broker", "budget", "catalog", "engine", "events", "host", "invocation", "journal"],
        but: &[],
        why: "what is allowed does not depend on how it runs",
    },
    Rule {
        who: "engine",
        not: &["budget", "catalog", "host", "invocation", "journal", "policy", "state"],
        but: &[],
        why: "the sandbox does not know what a guest may do",
    },
    Rule {
        who: "catalog",
        not: &["broker", "budget", "capability", "events", "host", "invocation", "journal"],
        but: &[],
        why: "the catalogue knows skills, not calls",
    },
    Rule {
        who: "capability",
        not: &["catalog", "host", "invocation", "journal", "doctor"],
        but: &[],
        why: "a capability serves any invocation",
    },
    Rule {
        who: "capability",
        not: &["policy::store", "policy::denials"],
        but: &[],
        why: "what a guest can reach can grant nothing",
    },
    Rule {
        who: "invocation",
        not: &["policy::store", "policy::denials"],
        but: &[],
        why: "what a caller asks for can grant nothing",
    },
    Rule {
        who: "agent",
        not: &["policy::store", "policy::denials", "engine", "state", "capability::model::wire"],
        but: &[],
        why: "what a model asks for can grant nothing, and reaches skills as every caller does",
    },
    Rule {
        who: "server",
        not: &["host", "invocation", "journal", "policy::store", "policy::denials"],
        but: &[],
        why: "a server serves any invocation, and can approve nothing",
    },
    Rule {
        who: "capability::model::wire",
        not: ALL,
        but: &[
            "capability::model::wire",
            "capability::model::types",
            "capability::model::provider",
            "capability::model::ask",
            "capability::model::limits",
            "capability::model::schema",
            "broker::Permit",
            "schema",
            "tls",
            "trace",
            "unless",
        ],
        why: "a wire sees plain types and a permit: no grant, no price, no bindings",
    },
    Rule {
        who: "capability::model::offline",
        not: ALL,
        but: &[
            "capability::model::offline",
            "capability::model::types",
            "capability::model::provider",
            "capability::model::ask",
            "capability::model::limits",
            "broker::Permit",
            "schema",
        ],
        why: "a provider sees plain types and a permit: no grant, no price, no bindings",
    },
];

#[test]
fn nobody_names_what_it_must_not_know() {
    let files = core();
    let mut wrong = Vec::new();
    for rule in DIRECTIONS {
        let of: Vec<_> = files.iter().filter(|file| below(&file.module, rule.who)).collect();
        assert!(!of.is_empty(), "no file is {}: the table is out of date", rule.who);
        for file in of {
            for named in &file.names {
                let bad = rule.not.iter().any(|not| below(named, not));
                if bad && !rule.but.iter().any(|but| below(named, but)) {
                    wrong.push(format!("{} names {named}, but {}", file.path.display(), rule.why));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Modules whose every interleaving is checked by `tests/models/`, which has them compiled over other locks and threads.
const CHECKED: &[&str] = &[
    "act",
    "broker",
    "budget",
    "capability::http::gate",
    "catalog::loaded",
    "catalog::skill",
    "engine::shares",
    "engine::slots",
    "invocation::family",
    "invocation::record",
    "journal",
    "policy::taint",
    "state",
    "unless",
];

/// A lock of the standard library in one of them would be one that the checker does not see, and nothing else would say so.
#[test]
fn what_is_checked_has_locks_that_the_checker_knows() {
    let files = core();
    for who in CHECKED {
        // What only a search of bytes runs is not checked there.
        let is_run = |module: &str| below(module, who) && !module.ends_with("::fuzz");
        let of: Vec<_> = files.iter().filter(|file| is_run(&file.module)).collect();
        assert!(!of.is_empty(), "no file is {who}: the table is out of date");
        for file in of {
            let foreign = file.code.match_indices("std::sync::").find(|(at, word)| {
                let name = &file.code[at + word.len()..];
                !["Arc;", "Arc<", "Arc:", "Weak"].iter().any(|known| name.starts_with(known))
            });
            let line = foreign.map(|(at, _)| file.code[at..].lines().next().unwrap_or_default());
            assert_eq!(line, None, "{}: name it by `crate::sync`", file.path.display());
        }
    }
}

#[test]
fn no_capability_knows_another() {
    let mut capabilities = capabilities();
    capabilities.extend(OF_WASI.iter().map(|name| (*name).to_owned()));
    for file in core() {
        let Some(own) = capabilities.iter().find(|name| below(&file.module, &format!("capability::{name}"))) else {
            continue;
        };
        for other in capabilities.iter().filter(|name| *name != own) {
            let other = format!("capability::{other}");
            let named = file.names.iter().find(|name| below(name, &other));
            assert!(named.is_none(), "{} names {named:?}", file.path.display());
        }
    }
}

/// What would make the core a program, or open a door beside the broker.
const FOREIGN: &[(&str, &[&str], &str)] = &[
    ("std::env", &[], "the core reads no environment: a face hands over what counts"),
    ("println!", &[], "the core is silent: errors, events and tracing go to a face"),
    ("print!", &[], "the core is silent: errors, events and tracing go to a face"),
    ("dbg!", &[], "the core is silent"),
    ("clap", &[], "the core has no command line"),
    ("axum", &[], "the core has no server"),
    ("process::exit", &[], "only a program ends itself"),
    (
        "process::Command",
        &["engine/compile.rs", "server/process.rs"],
        "the child processes are the one that compiles, and servers that a person approved",
    ),
    (
        "reqwest::Client",
        &[
            "capability/http/client.rs",
            "capability/model/wire/http.rs",
            "catalog/source/wire.rs",
            "net/client.rs",
            "server/http.rs",
            "bench.rs",
        ],
        "all HTTP of skills goes one way, all HTTP of providers another, what is fetched a third, and MCP servers a fourth",
    ),
    ("reqwest::get", &[], "all HTTP goes through one client with our rules"),
    ("TcpStream", &[], "all HTTP goes through one client with our rules"),
    ("UdpSocket", &[], "nothing here speaks UDP"),
    ("get_module_export", &[], "it panics on hostile names (GHSA-hj27-mpw9-ff4c)"),
    ("unsafe ", &["engine/artefact.rs"], "machine code is loaded in one place, and nothing else needs it"),
];

#[test]
fn the_core_knows_no_face_and_has_no_side_door() {
    let mut wrong = Vec::new();
    for file in core() {
        for (text, allowed, why) in FOREIGN {
            let place = file.path.strip_prefix(core_folder()).unwrap();
            let found = file.code.match_indices(text).any(|(at, _)| {
                // `eprint!` holds `print!`; `sprintln` nobody means. A word begins where no letter stands before it.
                !file.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') || *text == "println!"
            });
            if found && !allowed.iter().any(|path| place == Path::new(path)) {
                wrong.push(format!("{} has `{text}`: {why}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Capabilities whose interface is WASI's: languages have functions of their own for it, so there is none of ours and no module
/// in an SDK.
const OF_WASI: &[&str] = &["files"];

#[test]
fn what_is_of_wasi_has_no_interface_of_ours() {
    let list = std::fs::read_to_string(core_folder().join("capability/mod.rs")).unwrap();
    for name in OF_WASI {
        assert!(!root().join(format!("wit/{name}.wit")).exists(), "wit/{name}.wit");
        assert!(
            core_folder().join(format!("capability/{name}/wasi.wit")).is_file(),
            "the host has no words for {name}"
        );
        assert!(list.contains(&format!("pub mod {name};")) && list.contains(&format!("{name}::add_to_linker")));
        assert!(!list.contains(&format!("\"{name}\"")), "a component cannot import ringfence:skill/{name}");
    }
}

/// The interface, the host and the SDK have the same names: one noun, one file.
#[test]
fn every_capability_is_in_the_interface_the_host_and_the_sdk() {
    let list = std::fs::read_to_string(core_folder().join("capability/mod.rs")).unwrap();
    let world = std::fs::read_to_string(root().join("wit/world.wit")).unwrap();
    let sdk = std::fs::read_to_string(root().join("sdk/rust/src/lib.rs")).unwrap();
    let names = capabilities();
    assert_eq!(names.len(), 9, "{names:?}");
    for name in &names {
        assert!(world.contains(&format!("import {name};")), "wit/world.wit does not import {name}");
        let host = ["", "/mod"].map(|end| core_folder().join(format!("capability/{name}{end}.rs")));
        assert!(host.iter().any(|path| path.is_file()), "the host has no file for {name}");
        for line in [format!("pub mod {name};"), format!("\"{name}\""), format!("{name}::")] {
            assert!(list.contains(&line), "capability/mod.rs has no `{line}`");
        }
        let module = ["", "/mod"].map(|end| root().join(format!("sdk/rust/src/{name}{end}.rs")));
        assert!(module.iter().any(|path| path.is_file()), "the Rust SDK has no module {name}");
        assert!(sdk.contains(&format!("mod {name};")), "sdk/rust/src/lib.rs does not name {name}");
    }
    // And the other way round: what the world imports has a file.
    let imported = world.lines().filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'));
    let imported: BTreeSet<_> = imported.filter(|name| *name != "types").map(str::to_owned).collect();
    assert_eq!(imported, names);
}

/// Capabilities as the interface declares them: every file of `wit/` that is not the frame around them.
fn capabilities() -> BTreeSet<String> {
    let frame = ["types", "skill", "world"];
    std::fs::read_dir(root().join("wit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wit"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !frame.contains(&name.as_str()))
        .collect()
}

/// One source file of the core, without comments and tests.
struct Source {
    path: PathBuf,
    module: String,
    code: String,
    /// Every path into the core that it names, from the crate's root.
    names: BTreeSet<String>,
}

fn core_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")
}

fn core() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&core_folder(), &mut files);
    assert!(files.len() > 60, "{}", files.len());
    files.into_iter().filter(|path| !is_test(path)).map(|path| Source::read(&path)).collect()
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().unwrap().to_string_lossy();
    // A whole folder of tests, which is compiled for nothing else.
    path.starts_with(core_folder().join("outage"))
        || stem == "tests"
        || stem.ends_with("_tests")
        || stem == "testing"
        || stem == "test_peer"
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let code: String = without_tests(&text).lines().map(|line| format!("{}\n", without_comment(line))).collect();
        let place = path.strip_prefix(core_folder()).unwrap().with_extension("");
        let mut module: Vec<String> = place.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        let names = names(&code, &module);
        Self { path: path.to_owned(), module: module.join("::"), code, names }
    }
}

/// Leaves out modules of tests that stand in the file itself. Formatted code closes them with a brace at the line's start.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = |next: &&str| next.contains("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(opens) {
            while lines.next().is_some_and(|line| line != "}") {}
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn without_comment(line: &str) -> &str {
    // `://` is a URL in a string, not a comment.
    match line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':')) {
        Some((at, _)) => &line[..at],
        None => line,
    }
}

/// All paths that begin with `crate::` or `super::`, groups in braces taken apart.
fn names(code: &str, module: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let starts = |word: &'static str| {
        code.match_indices(word)
            .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)))
    };
    for (at, word) in starts("crate::") {
        expand(&code[at + word.len()..], &[], &mut found);
    }
    for (at, _) in starts("super::") {
        let mut rest = &code[at..];
        let mut base = module;
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, base) = (after, base.split_last().map_or(base, |(_, up)| up));
        }
        expand(rest, base, &mut found);
    }
    found
}

fn expand(text: &str, base: &[String], found: &mut BTreeSet<String>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    if !group[start..at].trim().is_empty() {
                        expand(&group[start..at], base, found);
                    }
                    start = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let mut path = base.to_vec();
    if !word.is_empty() && word != "self" {
        path.push(word.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(rest) if !word.is_empty() => expand(rest, &path, found),
        _ => {
            found.insert(path.join("::"));
        }
    }
}

/// Whether `path` is `of`, or inside of it.
fn below(path: &str, of: &str) -> bool {
    of.is_empty() || path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The reader of imports must see what people write, or the tables above hold nothing.
#[test]
fn imports_are_read_in_every_form() {
    let module: Vec<String> = ["capability", "kv", "host"].map(str::to_owned).into();
    let code = "use crate::budget::{Amount, ledger::{self, Ledger}};\nuse super::{Grant, port::Store};\n\
                let x = crate::journal::Run { a: super::super::model::b() };";
    let names: Vec<_> = names(code, &module).into_iter().collect();
    assert_eq!(
        names,
        [
            "budget::Amount",
            "budget::ledger",
            "budget::ledger::Ledger",
            "capability::kv::Grant",
            "capability::kv::port::Store",
            "capability::model::b",
            "journal::Run",
        ]
    );
    assert!(below("budget::Amount", "budget") && !below("budgets::Amount", "budget"));
    assert_eq!(
        without_tests("a\n#[cfg(test)]\npub mod tests {\n    x\n}\nb\n#[cfg(test)]\nmod c;\n"),
        "a\nb\n#[cfg(test)]\nmod c;\n"
    );
    assert_eq!(without_comment("a(); // crate::host"), "a(); ");
    assert_eq!(without_comment("let url = \"http://x\";"), "let url = \"http://x\";");
}
