//! Files that are no honest skills, on their way in.

use std::time::{Duration, Instant};

use ringfence_core::engine::WorkerCommand;
use ringfence_core::{Error, Host, HostConfig};

use crate::ground::{Ground, kind};
use crate::support::hosts::config;
use crate::support::{Home, wat};

/// The kind of the error that loading these bytes gives, and how long it took.
async fn refused(ground: &Ground, bytes: &[u8]) -> (&'static str, String, Duration) {
    let begun = Instant::now();
    let error: Error = match ground.load(bytes).await {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    };
    (error.kind(), error.to_string(), begun.elapsed())
}

/// A skill with something beside it in the component.
fn with(beside: &str) -> Vec<u8> {
    wat::skill("(i32.const 128)", "", beside)
}

#[tokio::test]
async fn t01_bytes_that_mean_nothing() {
    let ground = Ground::new().await;
    let mut noise = vec![0_u8; 1 << 20];
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for byte in &mut noise {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *byte = x.to_le_bytes()[3];
    }
    for bytes in
        [&noise[..], b"", b"\0asm", b"\0asm\x0d\0\x01", b"(component)", &[&b"\0asm\x0d\0\x01\0"[..], &noise].concat()]
    {
        let (kind, message, _) = refused(&ground, bytes).await;
        assert_eq!(kind, "invalid-component", "{message}");
    }
    let whole = with("");
    for end in (0..whole.len()).step_by(7) {
        match ground.load(&whole[..end]).await {
            // What was cut off began with a section that means nothing.
            Ok(_) => assert_eq!(whole[end], 0, "{end}"),
            Err(error) => {
                assert!(["invalid-component", "missing-export"].contains(&error.kind()), "{end}: {error:?}");
            }
        }
    }
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t02_a_core_module() {
    let ground = Ground::new().await;
    let (kind, message, _) = refused(&ground, &wat::parse("(module (func (export \"call\")))")).await;
    assert_eq!(kind, "invalid-component");
    assert!(message.contains("core module"), "{message}");
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t03_files_without_end() {
    let ground = Ground::with("[engine]\ncomponent-mib = 1\n").await;
    let (kind, message, _) = refused(&ground, &vec![0; (1 << 20) + 1]).await;
    assert_eq!(kind, "too-large");
    assert!(message.contains("1048576"), "{message}");
    let endless = ground.host.home.path("endless.wasm");
    std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
    let error = ground.host.host.load_file(&endless, None, None).await.err().unwrap();
    assert_eq!(error.kind(), "unreadable", "{error}");
    let hole = ground.host.home.write("hole.wasm", b"\0asm");
    std::fs::OpenOptions::new().write(true).open(&hole).unwrap().set_len(1 << 40).unwrap();
    let error = ground.host.host.load_file(&hole, None, None).await.err().unwrap();
    assert_eq!(error.kind(), "too-large", "{error}");
    ground.survived(None, "").await;
}

/// A number as the binary format writes it.
fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (n & 0x7f) as u8;
        n >>= 7;
        bytes.push(if n == 0 { byte } else { byte | 0x80 });
        if n == 0 {
            return bytes;
        }
    }
}

/// A section of a component or of a module.
fn section(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &leb(body.len())[..], body].concat()
}

/// A custom section of the component, or of a component inside of it.
pub(crate) fn custom(name: &str, data: &[u8]) -> Vec<u8> {
    section(0, &[&leb(name.len())[..], name.as_bytes(), data].concat())
}

#[tokio::test]
async fn t04_sections_that_carry_nothing() {
    let ground = Ground::new().await;
    let mut big = with("");
    big.extend(custom("padding", &vec![0; 70 << 20]));
    assert_eq!(refused(&ground, &big).await.0, "too-large");
    // Below the limit they are dropped before anything is compiled.
    for padding in
        [custom("padding", &vec![0; 30 << 20]), custom("x", b"").repeat(100_000), custom("name", &vec![b'n'; 10 << 20])]
    {
        let mut padded = with("");
        padded.extend(padding);
        let skill = ground.load(&padded).await.unwrap();
        ground.act(&skill).await.unwrap();
    }
    ground.survived(None, "").await;
}

/// A module with a function of no parameters and a thousand results, and one that calls it so often and leaves the values where they are.
fn calls(count: usize) -> Vec<u8> {
    let types = [&[2, 0x60, 0, 0, 0x60, 0][..], &leb(1_000), &[0x7f; 1_000]].concat();
    let body = [&[0][..], &[0x10, 0].repeat(count), &[0, 0x0b]].concat();
    let code = [&[2, 3, 0, 0, 0x0b][..], &leb(body.len()), &body].concat();
    [b"\0asm\x01\0\0\0", &section(1, &types)[..], &section(3, &[2, 1, 0]), &section(10, &code)].concat()
}

/// Files that say little and stand for much are too much for the process that compiles, and not for the host.
#[tokio::test(flavor = "multi_thread")]
async fn t05_bombs_for_the_validator() {
    let ground = Ground::with("[engine]\ncompile-mib = 512\n").await;
    let resources: String = (0..20_000).map(|n| format!("(export \"r{n}\" (type (sub resource)))")).collect();
    let instances = "(instance (instantiate $c))".repeat(900);
    let beside = format!("(component (import \"c\" (component $c {resources})) {instances})");
    for (what, bytes) in [
        ("values that nobody takes", [with(""), section(1, &calls(1_000_000))].concat()),
        ("instances of types", with(&beside)),
    ] {
        assert!(bytes.len() < 3 << 20, "{what}");
        let begun = std::pin::pin!(ground.load(&bytes));
        let error = tokio::join!(begun, ground.host.still_works()).0.err().unwrap();
        assert_eq!(error.kind(), "compile-limit", "{what}: {error}");
        assert!(error.to_string().contains("compiling needs more than 512 MiB"), "{what}: {error}");
    }
    ground.survived(None, "").await;
}

/// A function with so many locals that all live across as many branches: the cost of compiling it grows with the square.
fn live(count: usize) -> String {
    let sets: String = (0..count).map(|n| format!("(local.set {n} (i64.load (i32.const {n})))")).collect();
    let branches: String = (0..count)
        .map(|n| format!("(block (br_if 0 (i64.eqz (local.get {n}))) (local.set {n} (i64.const 1)))"))
        .collect();
    format!("(func {} {sets} {branches})", "(local i64)".repeat(count))
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_bombs_for_the_compiler() {
    let ground = Ground::with("[engine]\ncompile-seconds = 20\n").await;
    let locals = |count: usize| "(local i64)".repeat(count);
    let table = {
        let depth = 5_000;
        let targets: String = (0..depth).map(|n| format!("{n} ")).collect();
        format!(
            "(func (param i32) {} (br_table {targets} (local.get 0)) {})",
            "(block ".repeat(depth),
            ")".repeat(depth)
        )
    };
    let many_arguments = {
        let ty = "i32 ".repeat(900);
        let given = "(i32.const 1)".repeat(900);
        format!("(func $f (param {ty})) (func {})", format!("(call $f {given})").repeat(1_000))
    };
    // What is refused by looking at it, and what is only large and honest work, which a slow machine may not get done in time.
    let bombs = [
        (true, "locals across branches", format!("(memory 1) {}", live(8_000))),
        (
            true,
            "fifty thousand locals",
            format!("(func {} {})", locals(50_000), "(block (br_if 0 (i32.const 1)))".repeat(50_000)),
        ),
        (true, "more functions than there are", "(func)".repeat(210_000)),
        (true, "a function without end", format!("(func {})", "(drop (i32.const 1))".repeat(900_000))),
        (false, "a table of branches", table),
        (false, "calls with 900 arguments", many_arguments),
    ];
    for (refused, what, module) in bombs {
        let bytes = with(&format!("(core module {module})"));
        let begun = Instant::now();
        let loaded = ground.load(&bytes).await;
        let took = begun.elapsed();
        match loaded {
            Ok(_) => assert!(!refused, "{what}: it was compiled"),
            Err(error) => {
                assert_eq!(error.kind(), "compile-limit", "{what}: {error}");
                assert!(!refused || !error.to_string().contains("compiling"), "{what}: it was tried: {error}");
            }
        }
        assert!(took < Duration::from_secs(40), "{what}: {took:?}");
        ground.host.still_works().await;
    }
    ground.survived(None, "").await;
}

/// What looks cheap enough and is not costs one attempt, however often somebody looks at it: a folder that is watched, a reload, a sync.
#[tokio::test(flavor = "multi_thread")]
async fn t05_a_bomb_that_went_off_is_not_compiled_again() {
    let ground = Ground::new().await;
    let home = Home::new();
    let starts = home.path("starts");
    // The real worker, with a line for each time that it is started.
    let script = format!("echo started >>'{}'; exec '{}' \"$@\"", starts.display(), env!("CARGO_BIN_EXE_ringfence"));
    let args = ["-c", &script, "worker", "compile-worker"].map(Into::into).to_vec();
    let config = HostConfig {
        worker: WorkerCommand { program: "/bin/sh".into(), args },
        cache_dir: home.path("cache"),
        ..config(&home, "[engine]\ncompile-seconds = 5\n", &[])
    };
    let host = Host::open(config).await.unwrap();
    let started = || std::fs::read_to_string(&starts).unwrap().lines().count();
    // Each of these takes a second or two and 200 MiB: few processors come to the limit of time, and many to that of memory.
    let bomb = with(&format!("(core module (memory 1) {})", live(3_400).repeat(80)));
    let mut first: Option<Error> = None;
    for name in ["a", "a", "b"] {
        let path = home.write(&format!("{name}/skill.wasm"), &bomb);
        let begun = std::pin::pin!(host.load_file(&path, None, None));
        let error = tokio::join!(begun, ground.host.still_works()).0.err().unwrap();
        assert_eq!((error.kind(), started()), ("compile-limit", 1), "{error}");
        let hint = error.hint();
        assert!(hint.contains("`engine.compile-seconds`") && hint.contains("if you trust it"), "{hint}");
        match &first {
            None => first = Some(error),
            Some(first) => {
                assert!(hint.len() > first.hint().len() && hint.contains("the same file"), "{hint}");
                let said = |error: &Error| error.to_string().replace("/b/", "/a/");
                assert_eq!(said(&error), said(first));
            }
        }
    }
    // Everything else is compiled as before.
    let honest = home.write("honest.wasm", with("(core module (func (drop (i32.const 405))))"));
    let skill = host.load_file(&honest, None, None).await.unwrap();
    host.invoke(crate::support::call(&skill, "act", serde_json::json!({}))).await.unwrap();
    assert_eq!(started(), 2);
    drop(skill);
    host.close().await.unwrap();
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t08_imports_that_are_not_served_are_named_at_load() {
    let ground = Ground::new().await;
    for (import, kind) in [
        ("wasi:sockets/tcp@0.3.0", "unsupported-import"),
        ("wasi:http/outgoing-handler@0.2.3", "unsupported-import"),
        ("wasi:cli/environment@0.3.0", "unsupported-import"),
        ("wasi:threads/threads@0.2.0", "unsupported-import"),
        ("ringfence:skill/admin@0.1.0", "unsupported-import"),
        ("ringfence:skill/kv@0.2.0", "wit-version"),
    ] {
        let (found, message, _) = refused(&ground, &with(&format!("(import \"{import}\" (instance))"))).await;
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(import.split('@').next().unwrap().split('/').next().unwrap()), "{message}");
    }
    // Ours, with one function more or another type.
    for form in [
        r#"(instance (export "get" (func (param "key" string) (result string))) (export "more" (func)))"#,
        r#"(instance (export "get" (func (param "key" u32))))"#,
    ] {
        let import = format!("(import \"ringfence:skill/config@0.1.0\" {form})");
        let (found, message, _) = refused(&ground, &with(&import)).await;
        assert_eq!(found, "unsupported-import", "{message}");
    }
    ground.survived(None, "").await;
}

/// CPython and other runtimes import `wasi:sockets` whether a skill has a use for it or not. It is there, and there is nothing in it.
#[tokio::test]
async fn t08_sockets_can_be_imported_and_none_is_made() {
    let ground = Ground::new().await;
    let peer = crate::support::peer::Peer::polite();
    let input = serde_json::json!({ "address": peer.at.to_string(), "name": "localhost" });
    let done = ground.host.call("dial", input).await.unwrap();
    let told: Vec<String> = serde_json::from_value(done.outcome.structured.unwrap()).unwrap();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|told| told != "worked"), "{told:?}");
    assert_eq!(told[..3], ["PermissionDenied"; 3], "refused, not failed: {told:?}");
    assert_eq!(peer.connections(), 0);
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t09_exports_that_are_missing_or_of_another_time() {
    let ground = Ground::new().await;
    assert_eq!(refused(&ground, &wat::parse("(component)")).await.0, "missing-export");
    for version in ["0.0.0", "0.2.0", "1.0.0", "0.1.1"] {
        let (kind, message, _) = refused(&ground, &wat::skill_of(version, "(i32.const 128)", "", "")).await;
        assert_eq!(kind, "wit-version", "{message}");
        assert!(message.contains(version) && message.contains("0.1.0"), "{message}");
    }
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_start_functions_have_a_calls_limits() {
    for (what, module, expected) in [
        ("loops", "(func $s (loop (br 0))) (start $s)", "deadline"),
        ("traps", "(func $s unreachable) (start $s)", "trap"),
        ("recurses", "(func $s (call $s)) (start $s)", "stack-overflow"),
    ] {
        let ground = Ground::new().await;
        let begun = Instant::now();
        // Its tools are asked for when it is loaded, which instantiates it.
        let error = ground.load(&wat::skill("(i32.const 128)", module, "")).await.err().unwrap();
        assert_eq!(error.kind(), expected, "{what}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        ground.survived(None, "").await;
    }
}

/// Kinds of sections of a component.
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;
const TYPES: u8 = 7;

/// A component within a component, so many deep. The text form cannot say it: its reader stops at a hundred.
fn nested(depth: usize) -> Vec<u8> {
    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";
    let mut size = HEAD.len();
    let mut heads = vec![[&[COMPONENT], &leb(size)[..], HEAD].concat()];
    for _ in 1..depth {
        size += heads.last().unwrap().len();
        heads.push([&[COMPONENT], &leb(size)[..], HEAD].concat());
    }
    heads.reverse();
    heads.concat()
}

/// The type of a component (0x41) or of an instance (0x42) that declares such a type, so many deep: three bytes each.
fn declared(kind: u8, depth: usize) -> Vec<u8> {
    section(TYPES, &[&[1][..], &[kind, 1, 1].repeat(depth - 1), &[kind, 0]].concat())
}

/// Loads a skill with this in it and calls it; the kind of what went wrong, or `ok`.
async fn comes_to(ground: &Ground, bytes: &[u8]) -> (&'static str, String) {
    let done = match ground.load(bytes).await {
        Ok(skill) => ground.act(&skill).await.map(drop),
        Err(error) => Err(error),
    };
    done.map_or_else(|error| (error.kind(), error.to_string()), |()| ("ok", String::new()))
}

#[tokio::test]
async fn t11_more_than_an_instance_may_have() {
    for allocator in ["auto", "on-demand"] {
        let ground = Ground::with(&format!("[engine]\nallocator = \"{allocator}\"\n")).await;
        // The pool knows before an instance is made that one would not fit, and says what of it. Without a pool the store counts
        // while it is made: that there are too many is a trap then, and a table is as large as the memory allows.
        let findings = ground.host.host.doctor().await.unwrap();
        let pool = findings.iter().any(|one| one.subject == "instances" && one.detail.starts_with("from a pool"));
        assert!(allocator == "auto" || !pool);
        let or = |with_pool: &'static str, without: &'static str| if pool { with_pool } else { without };
        for (count, module, expected) in [
            (1, "(memory 65536)", "memory-limit"),
            (1, "(table 4294967295 funcref)", "table-limit"),
            (1, "(table 60000 funcref)", or("table-limit", "ok")),
            // What large languages link: each is small, and the sum counts.
            (11, "(memory 1)", "ok"),
            (11, "(memory 128)", "memory-limit"),
            // One more than there may be: the skill has one of its own.
            (31, "(memory 1)", "ok"),
            (32, "(memory 1)", or("memory-limit", "trap")),
            (64, "(table 1 funcref)", "ok"),
            (65, "(table 1 funcref)", or("table-limit", "trap")),
            (60, "", "ok"),
            (198, "", "ok"),
            (199, "", or("memory-limit", "trap")),
            (1_001, "", "invalid-component"),
        ] {
            let instances = "(core instance (instantiate $m))".repeat(count);
            let bytes = with(&format!("(core module $m {module}) {instances}"));
            let (found, message) = comes_to(&ground, &bytes).await;
            assert_eq!(found, expected, "{count} of {module}, {allocator}, pool: {pool}: {message}");
        }
        ground.survived(None, "").await;
    }
}

/// Parsers, validators and destructors go down into what is nested by calling themselves, on a stack of the host's: it must be refused before
/// any of them does (GHSA-wjc8-633q-pwxr).
#[tokio::test]
async fn t11_what_is_nested_without_end_is_refused_and_takes_no_stack() {
    let ground = Ground::new().await;
    let own = with("(core module (func (drop (i32.const 1111))))");
    let chain = |of: &str| {
        let chain: String = (1..100_000).map(|n| format!("(type $t{n} ({of} $t{}))", n - 1)).collect();
        with(&format!("(type $t0 (list u8)) {chain}"))
    };
    let instances: String = (1..3_000)
        .map(|n| {
            let before = n - 1;
            let has = r#"(export "x" (instance (type $before)))"#;
            format!("(type $t{n} (instance (alias outer 1 $t{before} (type $before)) {has}))")
        })
        .collect();
    for (what, bytes, expected) in [
        ("a hundred components", [&own[..], &nested(100)].concat(), "ok"),
        ("a thousand components", [&own[..], &nested(1_000)].concat(), "compile-limit"),
        ("more components", [&own[..], &nested(100_000)].concat(), "compile-limit"),
        ("a hundred types of components", [&own[..], &declared(0x41, 100)].concat(), "ok"),
        ("a thousand types of components", [&own[..], &declared(0x41, 1_000)].concat(), "compile-limit"),
        ("more types of components", [&own[..], &declared(0x41, 1_000_000)].concat(), "compile-limit"),
        ("types of instances", [&own[..], &declared(0x42, 1_000_000)].concat(), "compile-limit"),
        ("lists of lists", chain("list"), "invalid-component"),
        ("options of options", chain("option"), "invalid-component"),
        ("tuples of tuples", chain("tuple"), "invalid-component"),
        ("results of results", chain("result"), "invalid-component"),
        ("instances of instances", with(&format!("(type $t0 (instance)) {instances}")), "invalid-component"),
    ] {
        let (found, message) = comes_to(&ground, &bytes).await;
        assert_eq!(found, expected, "{what}: {message}");
    }
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t12_segments_for_more_than_there_is() {
    const HEAD: &[u8] = b"\0asm\x01\0\0\0";

    let ground = Ground::new().await;
    let segments: String = (0..33_000).map(|n| format!("(data (i32.const {n}) \"x\")")).collect();
    let within = |module: &str| with(&format!("(core module $m {module}) (core instance (instantiate $m))"));
    // In a memory that another instance has made, nothing can be laid out beforehand and shared: each segment is copied.
    let copied = format!(
        "(core module $its (memory (export \"memory\") 2)) (core instance $its (instantiate $its))
         (core module $m (import \"its\" \"memory\" (memory 2)) {segments})
         (core instance (instantiate $m (with \"its\" (instance $its))))"
    );
    // What says that it is longer than it is. Of these the text form knows none.
    let most = leb(u32::MAX as usize);
    let says = |sections: &[&[u8]]| [with(""), section(MODULE, &[HEAD, &sections.concat()].concat())].concat();
    let memory = section(5, &[1, 0, 1]);
    let table = section(4, &[1, 0x70, 0, 1]);
    let at_0: &[u8] = &[1, 0, 0x41, 0, 0x0b];
    for (what, bytes, expected) in [
        ("many", within(&format!("(memory 2) {segments}")), "ok"),
        ("many that are copied", with(&copied), "ok"),
        (
            "more than there may be",
            within(&format!("(memory 1) {}", "(data \"\")".repeat(100_001))),
            "invalid-component",
        ),
        (
            "more of tables",
            within(&format!("(table 1 funcref) {}", "(elem func)".repeat(100_001))),
            "invalid-component",
        ),
        ("beyond the memory", within("(memory 1) (data (i32.const 4294967290) \"out of memory\")"), "trap"),
        ("beyond the table", within("(table 10 funcref) (func $f) (elem (i32.const 4294967290) $f)"), "trap"),
        ("4 GiB of data", says(&[&memory, &section(11, &[at_0, &most, b"x"].concat())]), "invalid-component"),
        ("4 GiB that wait", says(&[&memory, &section(11, &[&[1, 1], &most[..], b"x"].concat())]), "invalid-component"),
        ("2^32 segments", says(&[&memory, &section(11, &[&most, at_0].concat())]), "invalid-component"),
        ("2^32 segments, announced", says(&[&memory, &section(12, &most), &section(11, &[0])]), "invalid-component"),
        ("a section of 4 GiB", says(&[&memory, &[11], &most, at_0, b"\x01x"]), "invalid-component"),
        ("2^32 functions in a table", says(&[&table, &section(9, &[at_0, &most].concat())]), "invalid-component"),
        ("2^32 segments of tables", says(&[&table, &section(9, &[&most, at_0].concat())]), "invalid-component"),
        ("a section of 4 GiB for tables", says(&[&table, &[9], &most, at_0, &[0]]), "invalid-component"),
    ] {
        let (found, message) = comes_to(&ground, &bytes).await;
        assert_eq!(found, expected, "{what}: {message}");
    }
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t14_every_proposal_that_is_off_is_refused() {
    let ground = Ground::new().await;
    for (what, beside) in [
        ("gc", "(core module (type (struct (field i32))))"),
        ("gc arrays", "(core module (type (array i8)))"),
        ("exceptions", "(core module (tag))"),
        ("function references", "(core module (type $f (func)) (func (param (ref $f))))"),
        ("threads", "(core module (memory 1 1 shared))"),
        ("atomics", "(core module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"),
        ("memory64", "(core module (memory i64 1))"),
        ("table64", "(core module (table i64 1 funcref))"),
        ("stack switching", "(core module (type $f (func)) (type $c (cont $f)))"),
        (
            "relaxed simd",
            "(core module (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))",
        ),
        ("custom page sizes", "(core module (memory 1 (pagesize 1)))"),
        (
            "wide arithmetic",
            "(core module (func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1))))",
        ),
        ("streams", "(type (stream u8))"),
        ("futures", "(type (future u8))"),
        ("error context", "(type $e error-context) (import \"e\" (func (param \"e\" $e)))"),
        ("lists of a fixed length", "(type (list u8 4))"),
        ("maps", "(type (map string u32))"),
        (
            "async functions",
            "(core module $m (func (export \"f\") (result i32) (i32.const 0))) (core instance $i (instantiate $m)) (func (canon lift (core func $i \"f\") async))",
        ),
    ] {
        let Ok(bytes) = std::panic::catch_unwind(|| with(beside)) else {
            panic!("{what}: this text is no component any more");
        };
        let (kind, message, _) = refused(&ground, &bytes).await;
        assert_eq!(kind, "invalid-component", "{what}: {message}");
    }
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t15_manifests_that_explode() {
    let ground = Ground::new().await;
    let deep = format!("{{\"name\":\"x\",\"config\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (what, manifest) in [
        ("large", format!("{{\"name\":\"{}\"}}", "x".repeat(300 << 10))),
        ("deep", deep),
        ("twice", r#"{"name":"a","name":"b","version":"1.0.0","description":""}"#.into()),
        ("unknown", r#"{"name":"a","version":"1.0.0","description":"","admin":true}"#.into()),
        ("unknown permission", r#"{"name":"a","version":"1.0.0","description":"","permissions":{"root":{}}}"#.into()),
        ("a name that is a path", r#"{"name":"../../x","version":"1.0.0","description":""}"#.into()),
        ("a name of a device", r#"{"name":"CON","version":"1.0.0","description":""}"#.into()),
        ("a name that reads backwards", "{\"name\":\"a\u{202e}b\",\"version\":\"1.0.0\",\"description\":\"\"}".into()),
        ("a version that is none", r#"{"name":"a","version":"1e99","description":""}"#.into()),
        ("no JSON", "name = \"a\"".into()),
    ] {
        let mut bytes = with("");
        bytes.extend(custom("ringfence:manifest", manifest.as_bytes()));
        let (kind, message, _) = refused(&ground, &bytes).await;
        assert!(["manifest-invalid", "invalid-component"].contains(&kind), "{what}: {kind}: {message}");
        assert!(message.len() < 2_000, "{what}: {} bytes of message", message.len());
    }
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t13_a_second_skill_of_the_same_name() {
    let ground = Ground::new().await;
    let manifest = |version: &str| {
        let mut bytes = with("");
        let text = format!(r#"{{"name":"twin","version":"{version}","description":"One of two."}}"#);
        bytes.extend(custom("ringfence:manifest", text.as_bytes()));
        bytes
    };
    let host = &ground.host.host;
    let first = ground.host.home.write("first.wasm", manifest("1.0.0"));
    let second = ground.host.home.write("second.wasm", manifest("2.0.0"));
    host.add(&first, None).await.unwrap();
    host.add(&second, None).await.unwrap();
    let listed = host.list().await.unwrap();
    assert_eq!(listed.len(), 1, "one name, one skill: the second took the place of the first by the operator's hand");
    assert_eq!(listed[0].manifest.version.to_string(), "2.0.0");
    let skill = host.load_installed("twin", None).await.unwrap();
    assert_eq!(kind(host.invoke(crate::support::call(&skill, "nothing", serde_json::json!({}))).await), "unknown-tool");
    ground.survived(None, "").await;
}
