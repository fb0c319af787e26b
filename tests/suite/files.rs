//! Files that are no skills: each is named, explained and left alone.

use crate::support::{Done, Home, probe, wat};

/// Runs a file, and sees that adding it leaves nothing behind.
fn run(bytes: &[u8]) -> (Home, Done) {
    let home = Home::new();
    home.write("work/bad.wasm", bytes);
    let done = home.run(&["run", "./bad.wasm", "--input", "{}"]);
    let added = home.run(&["add", "./bad.wasm"]);
    assert_eq!((added.code, added.out.as_str()), (done.code, ""), "{added:?}");
    assert_eq!(home.files("data"), [""; 0], "nothing is half installed");
    assert_eq!(home.run(&["list", "--format", "json"]).json(), serde_json::json!([]));
    (home, done)
}

#[test]
fn no_wasm() {
    let (_home, done) = run(b"#!/bin/sh\necho hello\n");
    done.fails("invalid-component", 2, "does not begin with \\0asm", "ringfence build");
    assert!(done.err.contains("work/bad.wasm: this is not a component"), "the file is named: {done:?}");
    let (_home, done) = run(b"");
    done.fails("invalid-component", 2, "empty", "ringfence build");
}

#[test]
fn a_core_module() {
    let (_home, done) = run(&wat::parse("(module (func (export \"run\")))"));
    done.fails("invalid-component", 2, "core module", "ringfence build");
}

#[test]
fn a_truncated_component() {
    let whole = std::fs::read(probe()).unwrap();
    for length in [8, 9, 1000, whole.len() / 2, whole.len() - 1] {
        let (_home, done) = run(&whole[..length]);
        // Eight bytes are a whole component with nothing in it.
        match length {
            8 => done.fails("missing-export", 2, "`ringfence:skill/skill@0.1.0`", "SDK"),
            _ => done.fails("invalid-component", 2, "not a component that can be run: ", "ringfence build"),
        }
    }
}

#[test]
fn a_damaged_component() {
    let mut bytes = std::fs::read(probe()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    let (_home, done) = run(&bytes);
    done.fails("invalid-component", 2, "not a component that can be run: ", "ringfence build");
}

#[test]
fn a_wrong_version_of_the_interface() {
    let (_home, done) = run(&wat::skill_of("0.2.0", "(i32.const 128)", "", ""));
    done.fails("wit-version", 2, "`ringfence:skill@0.2.0`, and this host has `ringfence:skill@0.1.0`", "SDK");
}

#[test]
fn a_missing_export() {
    let (_home, done) = run(&wat::parse("(component)"));
    done.fails("missing-export", 2, "`ringfence:skill/skill@0.1.0`", "SDK");
}

#[test]
fn an_export_of_another_form() {
    let text = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (component $face (import "f" (func $f)) (export "tools" (func $f)) (export "call" (func $f)))
        (instance $face (instantiate $face (with "f" (func $f))))
        (export "ringfence:skill/skill@0.1.0" (instance $face)))"#;
    let (_home, done) = run(&wat::parse(text));
    done.fails("missing-export", 2, "`ringfence:skill/skill`", "SDK");
}

#[test]
fn imports_that_are_not_served() {
    for name in [
        "wasi:sockets/tcp@0.3.0",
        "wasi:http/outgoing-handler@0.2.3",
        "wasi:cli/stdout@0.3.0",
        "ringfence:skill/admin@0.1.0",
        "evil:thing/door@1.0.0",
    ] {
        let beside = format!("(import \"{name}\" (instance))");
        let (_home, done) = run(&wat::skill("(i32.const 128)", "", &beside));
        done.fails("unsupported-import", 2, &format!("`{name}`"), "SDK");
    }
    let (_home, done) = run(&wat::skill("(i32.const 128)", "", "(import \"ringfence:skill/kv@0.3.0\" (instance))"));
    done.fails("wit-version", 2, "`ringfence:skill@0.3.0`", "SDK");
}

#[test]
fn a_skill_written_by_hand_runs() {
    // The proof that the components above are refused for what they are, and not for how they were made.
    let home = Home::new();
    home.write("work/good.wasm", wat::skill("(i32.const 128)", "", ""));
    home.run(&["run", "./good.wasm", "--input", "{}"]).gives("");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let home = Home::new();
    let path = home.write("work/big.wasm", b"\0asm");
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(2 << 30).unwrap();
    let done = home.run(&["run", "./big.wasm", "--input", "{}"]);
    done.fails("too-large", 2, "67108864", "engine.component-mib");
}

#[test]
fn what_is_not_there() {
    let home = Home::new();
    home.run(&["run", "./gone.wasm"]).fails("not-found", 2, "./gone.wasm", "path");
    home.run(&["run", "gone"]).fails("not-found", 2, "`gone`", "ringfence add");
    home.run(&["remove", "gone"]).fails("not-found", 2, "`gone`", "ringfence add");
    home.run(&["show", "gone"]).fails("not-found", 2, "`gone`", "ringfence add");
}

#[test]
fn an_installed_file_that_was_changed() {
    let home = Home::new();
    home.run(&["add", &probe().display().to_string(), "--grant-nothing"]).worked();
    let files = home.files("data");
    let file = files.iter().find(|file| file.ends_with(".wasm")).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    bytes.push(0);
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, bytes).unwrap();
    let done = home.run(&["run", "probe", "--tool", "echo", "--text", "x"]);
    done.fails("digest-mismatch", 6, "`probe`", "ringfence add");
}
