//! What goes wrong between a source and its component: each with the author's own words, and nothing half-made.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Done, Home};

/// A new skill with one file changed, and what building it says.
fn broken(home: &Home, lang: &str, change: impl Fn(&std::path::Path)) -> Done {
    home.run(&["new", "odd", "--lang", lang]).worked();
    change(&home.work().join("odd"));
    let done = home.run(&["build", "odd"]);
    assert!(!home.work().join("odd/target/ringfence/odd.wasm").exists(), "{done:?}");
    done
}

fn source(lang: &str) -> &'static str {
    match lang {
        "c" => "src/skill.c",
        "go" => "skill.go",
        "javascript" => "src/skill.js",
        "python" => "skill.py",
        "rust" => "src/lib.rs",
        "typescript" => "src/skill.ts",
        other => panic!("{other}"),
    }
}

async fn a_syntax_error_is_the_compilers_own(lang: &'static str) {
    tokio::task::spawn_blocking(move || {
        let home = Home::new();
        let file = source(lang);
        let done = broken(&home, lang, |folder| {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{text}\n)) ZEBRA ((\n")).unwrap();
        });
        done.fails("build-failed", 1, "odd", "correct what");
        let lines = std::fs::read_to_string(home.work().join("odd").join(file)).unwrap().lines().count();
        let place = file.rsplit('/').next().unwrap();
        assert!(done.err.contains(place), "{lang}: {done:?}");
        assert!(done.err.contains("ZEBRA") || done.err.contains("syntax error"), "{lang}: {done:?}");
        assert!(done.err.contains(&lines.to_string()), "{lang}: line {lines} is not named: {done:?}");
    })
    .await
    .unwrap();
}

in_every_language!(a_syntax_error_is_the_compilers_own);

/// Programs by name in a folder of their own: the only ones that the host finds.
fn only(home: &Home, programs: &[(&str, &str)]) -> PathBuf {
    let bin = home.path(&format!("bin-{}", programs.len()));
    std::fs::create_dir_all(&bin).unwrap();
    for (name, script) in programs {
        let file = bin.join(name);
        if let Some(real) = script.strip_prefix("-> ") {
            symlink(real, &file).unwrap();
            continue;
        }
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

/// A build in a cache of its own, where no toolchain is.
fn bare(home: &Home, lang: &str, programs: &[(&str, &str)], more: &[&str]) -> Done {
    if !home.work().join(lang).exists() {
        home.run(&["new", lang, "--lang", lang]).worked();
    }
    let mut args = vec!["build", lang];
    args.extend(more);
    let mut command: Command = home.command(&args);
    command.env("RINGFENCE_CACHE_DIR", home.path("cache")).env("PATH", only(home, programs));
    Done::of(&mut command)
}

/// Nothing stands in the toolchains' folder that looks like one.
fn nothing_half_made(home: &Home) {
    let left = home.files("cache/toolchains");
    assert!(left.iter().all(|file| file.contains("-lock")), "{left:?}");
}

#[test]
fn without_the_languages_own_client_it_is_named() {
    let home = Home::new();
    for lang in ["python", "go", "c"] {
        bare(&home, lang, &[], &[]).fails("toolchain-missing", 4, "there is no Python", "install Python");
    }
    for lang in ["javascript", "typescript"] {
        bare(&home, lang, &[], &[]).fails("toolchain-missing", 4, "there is no Node.js", "install Node.js");
    }
    nothing_half_made(&home);
}

#[test]
fn an_old_one_and_one_without_its_client_are_named() {
    let home = Home::new();
    let old = [("python3", "echo 3.7"), ("x", "")];
    bare(&home, "python", &old, &[]).fails("toolchain-missing", 4, "Python 3.7 is too old", "3.9");
    let bare_python = [("python3", "case \"$1\" in -c) echo 3.11;; *) exit 1;; esac"), ("x", ""), ("y", "")];
    bare(&home, "python", &bare_python, &[]).fails("toolchain-missing", 4, "has no pip", "ensurepip");
    let old = [("node", "echo v16.1.0"), ("x", ""), ("y", ""), ("z", "")];
    bare(&home, "typescript", &old, &[]).fails("toolchain-missing", 4, "Node.js 16.1.0 is too old", "Node.js");
    nothing_half_made(&home);
}

#[test]
fn offline_fetches_nothing() {
    let home = Home::new();
    let python = [("python3", "echo 3.11")];
    for (lang, what) in [("python", "componentize-py"), ("go", "Go 1.27"), ("c", "zig cc")] {
        bare(&home, lang, &python, &["--offline"]).fails("toolchain-missing", 4, what, "doctor --fix");
    }
    let node = [("node", "echo v22.0.0"), ("npm", "echo 11")];
    bare(&home, "typescript", &node, &["--offline"]).fails("toolchain-missing", 4, "componentize-qjs", "doctor --fix");
    nothing_half_made(&home);
}

#[test]
fn a_client_that_fails_half_way_leaves_nothing() {
    let home = Home::new();
    // It writes a part, and then the network is gone.
    let script = "case \"$*\" in *install*) for a; do last=$a; done; mkdir -p half; echo x > half/file; \
                  echo 'ERROR: no route to the index' >&2; exit 1;; *) echo 3.11;; esac";
    let done = bare(&home, "python", &[("python3", script), ("mkdir", "-> /bin/mkdir")], &[]);
    done.fails("toolchain-missing", 4, "pip could not fetch componentize-py", "pip says above");
    assert!(done.err.contains("fetching componentize-py 0.25.1 (17 MiB), once"), "{done:?}");
    assert!(done.err.contains("no route to the index"), "the client's own words: {done:?}");
    nothing_half_made(&home);
}

#[test]
fn a_python_package_with_compiled_parts_is_named() {
    let home = Home::new();
    let done =
        broken(&home, "python", |folder| std::fs::write(folder.join("requirements.txt"), "numpy==2.3.0\n").unwrap());
    done.fails("build-failed", 1, "`numpy==2.3.0` has no version that runs in WebAssembly", "without compiled parts");
}

#[test]
fn a_package_in_pure_python_is_honoured() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "python"]).worked();
    let folder = home.work().join("odd");
    std::fs::write(folder.join("requirements.txt"), "# one\nroman-numerals==3.1.0\n").unwrap();
    std::fs::write(
        folder.join("skill.py"),
        "from roman_numerals import RomanNumeral\nfrom ringfence import tool\n\n\n@tool\ndef roman(number: int) -> str:\n    \
         \"\"\"Writes a number as the Romans did.\"\"\"\n    return str(RomanNumeral(number))\n",
    )
    .unwrap();
    home.run(&["run", "./odd", "--number", "2026"]).gives("MMXXVI\n");
}

#[test]
fn an_npm_package_is_honoured_and_one_for_node_is_named() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "javascript"]).worked();
    let folder = home.work().join("odd");
    std::fs::write(folder.join("package.json"), r#"{"type": "module", "dependencies": {"is-number": "7.0.0"}}"#)
        .unwrap();
    std::fs::write(
        folder.join("src/skill.js"),
        "import isNumber from \"is-number\";\nimport { skill, tool, s } from \"ringfence\";\n\nexport default skill(tool({\n  \
         name: \"check\", description: \"Whether it is a number.\", input: { text: s.string() },\n  \
         run: ({ text }) => String(isNumber(text)),\n}));\n",
    )
    .unwrap();
    home.run(&["run", "./odd", "--text", "12"]).gives("true\n");
    std::fs::write(
        folder.join("src/skill.js"),
        "import net from \"node:net\";\nimport { skill, tool, s } from \"ringfence\";\n\nexport default skill(tool({\n  \
         name: \"check\", description: \"Dials.\", input: {}, run: () => String(net.connect),\n}));\n",
    )
    .unwrap();
    let done = home.run(&["build", "odd"]);
    done.fails("build-failed", 1, "odd", "correct what");
    assert!(done.err.contains("node:net") && done.err.contains("skill.js"), "{done:?}");
}

#[test]
fn an_unknown_language_and_no_language_at_all() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "cobol"]).fails("usage", 2, "cobol", "python");
    home.write(
        "work/odd/skill.toml",
        "name = \"odd\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n[build]\nlang = \"pyhton\"\n",
    );
    home.run(&["build", "odd"]).fails("build-failed", 1, "`lang = \"pyhton\"`", "did you mean `lang = \"python\"`?");
    home.write("work/odd/skill.toml", "name = \"odd\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n");
    home.run(&["build", "odd"]).fails("build-failed", 1, "holds no source", "typescript");
}

#[test]
fn a_component_that_something_else_built() {
    let home = Home::new();
    let manifest = |component: &str| {
        format!("name = \"odd\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n[build]\ncomponent = \"{component}\"\n")
    };
    home.write("work/odd/skill.toml", manifest("out/odd.wasm"));
    home.run(&["build", "odd"]).fails("build-failed", 1, "out/odd.wasm is not there", "build it first");
    home.write("work/odd/out/odd.wasm", std::fs::read(crate::support::probe()).unwrap());
    home.run(&["run", "./odd", "echo", "--text", "hello"]).gives("hello\n");
    for outside in ["../odd.wasm", "/etc/hostname"] {
        home.write("work/odd/skill.toml", manifest(outside));
        home.run(&["build", "odd"]).fails("manifest-invalid", 2, outside, "without `..`");
    }
    home.write("work/odd/skill.toml", format!("{}lang = \"rust\"\n", manifest("odd.wasm")));
    home.run(&["build", "odd"]).fails("manifest-invalid", 2, "either `lang` or `component`", "skill.toml");
}

/// Two tools of one name, and one that says nothing about its input, are told before there is a component.
#[test]
fn tools_that_cannot_be_told_apart_or_are_not_described() {
    let twice = "from ringfence import tool\n\n\n@tool\ndef a(x: int) -> str:\n    \"\"\"Does.\"\"\"\n    return str(x)\n\n\n\
                 @tool(name=\"a\")\ndef b(x: int) -> str:\n    \"\"\"Does.\"\"\"\n    return str(x)\n";
    let untyped = "from ringfence import tool\n\n\n@tool\ndef a(x) -> str:\n    \"\"\"Does.\"\"\"\n    return str(x)\n";
    let silent = "from ringfence import tool\n\n\n@tool\ndef a(x: int) -> str:\n    return str(x)\n";
    for (text, word) in [(twice, "`a`"), (untyped, "x"), (silent, "description")] {
        let home = Home::new();
        let done = broken(&home, "python", |folder| std::fs::write(folder.join("skill.py"), text).unwrap());
        done.fails("build-failed", 1, "odd", "correct what");
        assert!(done.err.contains("skill.py") && done.err.contains(word), "{word}: {done:?}");
    }
}
