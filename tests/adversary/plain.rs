//! Plain components that mean harm: by their types, by their names and by their values.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ringfence_core::Call;
use ringfence_core::engine::LimitSettings;
use serde_json::{Value, json};

use crate::ground::{Ground, kind};
use crate::support::{call, wat};

const ONE: &str = r#"(func (export "one") (result i32) (i32.const 1))"#;

/// A record of two of the type before, so many times over.
fn doubling(levels: usize) -> String {
    let mut text = String::new();
    let mut before = "u8".to_owned();
    for level in 0..levels {
        let _ = write!(
            text,
            r#"(type $is{level} (record (field "a" {before}) (field "b" {before})))
               (export $t{level} "t{level}" (type $is{level}))"#
        );
        before = format!("$t{level}");
    }
    text + &format!(r#"(func (export "f") (param "value" {before}) LIFT take)"#)
}

fn functions(count: usize, name: impl Fn(usize) -> String) -> String {
    (0..count).map(|n| format!(r#"(func (export "{}") (result u32) LIFT one)"#, name(n))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn types_and_names_that_explode_are_refused_at_once() {
    let ground = Ground::new().await;
    let take = r#"(func (export "take") (param i32))"#;
    let deep = |levels: usize| {
        let mut text = String::from("(type $t0 (list bool))");
        for level in 1..levels {
            let _ = write!(text, "(type $t{level} (list $t{}))", level - 1);
        }
        text + &format!(r#"(func (export "f") (param "value" $t{}) LIFT take)"#, levels - 1)
    };
    let wide = {
        let names: String = (0..9_000).map(|n| format!("\"{}-{n}\" ", "n".repeat(900))).collect();
        format!(r#"(type $e-is (enum {names})) (export $e "e" (type $e-is)) (func (export "f") (result $e) LIFT one)"#)
    };
    for (what, module, text, kinds) in [
        ("doubles 12 times", take, doubling(12), &["missing-export"][..]),
        ("doubles 17 times", take, doubling(17), &["missing-export"]),
        ("doubles 40 times", take, doubling(40), &["invalid-component"]),
        ("deep", r#"(func (export "take") (param i32 i32))"#, deep(60), &["missing-export"]),
        ("deeper", r#"(func (export "take") (param i32 i32))"#, deep(2_000), &["invalid-component"]),
        ("wide", ONE, wide, &["missing-export", "invalid-component"]),
        ("thousands", ONE, functions(5_000, |n| format!("f{n}")), &["invalid-component"]),
        ("giant names", ONE, functions(200, |n| format!("{}{n}", "n".repeat(50_000))), &["missing-export"]),
        ("one giant name", ONE, functions(1, |_| "n".repeat(99_000)), &["missing-export"]),
    ] {
        let bytes = wat::plain(module, &text);
        let begun = Instant::now();
        let error = ground.load(&bytes).await.err().unwrap_or_else(|| panic!("{what} was loaded"));
        assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
        assert!(error.to_string().len() < 1_000, "{what}: {}", error.to_string().len());
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {:?}", begun.elapsed());
    }
    // The same, with less of it.
    for (module, text) in [(take, doubling(6)), (ONE, functions(256, |n| format!("f{n}")))] {
        ground.load(&wat::plain(module, &text)).await.unwrap();
    }
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_collide_or_mean_something_elsewhere() {
    let ground = Ground::new().await;
    // Interfaces whose names are made so that a longer one is another's.
    let shared = |name: &str, at: usize| {
        format!(
            r#"(instance $i{at} (export "run" (func $f)) (export "a-run" (func $f))) (export "{name}" (instance $i{at}))"#
        )
    };
    let names = ["x:y/a", "x:y/a@1.0.0", "x:y-a/b", "z:y/a", "a", "x:y/ringfence", "x:y/constructor"];
    let all: String = names.iter().enumerate().map(|(at, name)| shared(name, at)).collect();
    let text = format!(
        r#"(func $f (result u32) LIFT one) {all} (func (export "a-a-run") (result u32) LIFT one)
           (func (export "A-B") (result u32) LIFT one)"#
    );
    let skill = ground.load(&wat::plain(ONE, &text)).await.unwrap();
    let tools = skill.tools();
    let mut unique: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), tools.len());
    assert_eq!(tools.len() + skill.left_out().len(), 2 * names.len() + 2);
    for tool in &tools {
        let done = ground.host.host.invoke(call(&skill, &tool.name, json!({}))).await.unwrap();
        assert_eq!(done.outcome.structured, Some(json!(1)), "{}", tool.name);
    }
    // Loaded again it has the same names.
    let again = ground.load(&wat::plain(ONE, &text)).await.unwrap();
    assert_eq!(again.tools(), tools);
    // What is no name at all is refused by whoever sees it first.
    for name in ["", " ", "a b", "a:b/c", "../x", "f\u{0}", "ü", "[method]r.f", "[static]", "--", "a--b", "A-b", "CON"]
    {
        let done = ground
            .load(&wat::plain(ONE, &functions(1, |_| name.escape_default().to_string().replace('\u{0}', ""))))
            .await;
        if let Ok(skill) = done {
            assert_eq!(skill.tools().len(), 1, "{name:?}");
        }
    }
    ground.survived(None, "").await;
}

/// Functions whose results are made wrongly. Those that give an address give one of what stands in memory there.
const LIES: &[(&str, &str, &str)] = &[
    ("text beyond memory", "(result string)", r#"\00\00\00\10\00\00\00\10"#),
    ("text of two thousand million bytes", "(result string)", r#"\00\00\00\00\ff\ff\ff\7f"#),
    ("text that is no UTF-8", "(result string)", r#"\80\00\00\00\04\00\00\00"#),
    ("list beyond memory", "(result (list u64))", r#"\00\00\00\00\ff\ff\ff\0f"#),
    ("list between words", "(result (list u64))", r#"\01\00\00\00\02\00\00\00"#),
    ("no such case", "(result (result string (error string)))", r#"\07\00\00\00\00\00\00\00\00\00\00\00"#),
    ("no option", "(result (option string))", r#"\09\00\00\00\00\00\00\00\00\00\00\00"#),
    ("no character", "(result (tuple char char))", r#"\00\d8\00\00\ff\ff\ff\ff"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn results_that_lie_are_traps() {
    let ground = Ground::new().await;
    for (what, result, data) in LIES {
        let module = format!(
            r#"(data (i32.const 128) "\ff\fe\fd\fc") (data (i32.const 64) "{data}")
               (func (export "lie") (result i32) (i32.const 64))"#
        );
        let bytes = wat::plain(&module, &format!(r#"(func (export "act") {result} LIFT lie)"#));
        let skill = ground.load(&bytes).await.unwrap();
        assert_eq!(kind(ground.act(&skill).await), "trap", "{what}");
    }
    ground.survived(None, "").await;
}

/// Results that are true and too much: small in the guest, large here.
#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_huge_are_capped() {
    let ground = Ground::new().await;
    let give = |bytes: usize, result: &str| {
        let module = format!(
            r#"(func (export "give") (result i32)
                 (drop (memory.grow (i32.const 600)))
                 (memory.fill (i32.const 131072) (i32.const 97) (i32.const {bytes}))
                 (i32.store (i32.const 64) (i32.const 131072))
                 (i32.store (i32.const 68) (i32.const {bytes}))
                 (i32.const 64))"#
        );
        wat::plain(&module, &format!(r#"(func (export "act") (result {result}) LIFT give)"#))
    };
    for (bytes, result, expected) in [
        (30 << 20, "string", "hostcall-too-large"),
        (5 << 20, "string", "too-large"),
        // Each byte is a value of its own until it is base64.
        (1 << 20, "(list u8)", "hostcall-too-large"),
        (1 << 20, "(list bool)", "hostcall-too-large"),
    ] {
        let skill = ground.load(&give(bytes, result)).await.unwrap();
        assert_eq!(kind(ground.act(&skill).await), expected, "{bytes} {result}");
    }
    for (bytes, result) in [(1 << 20, "string"), (100 << 10, "(list u8)")] {
        let skill = ground.load(&give(bytes, result)).await.unwrap();
        ground.act(&skill).await.unwrap();
    }
    // What a failure says is cut.
    let module = r#"(func (export "fail") (result i32)
        (drop (memory.grow (i32.const 100)))
        (memory.fill (i32.const 131072) (i32.const 97) (i32.const 2097152))
        (i32.store (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) (i32.const 131072))
        (i32.store (i32.const 72) (i32.const 2097152)) (i32.const 64))"#;
    let failing = wat::plain(module, r#"(func (export "act") (result (result (error string))) LIFT fail)"#);
    let error = ground.act(&ground.load(&failing).await.unwrap()).await.unwrap_err();
    assert!(error.kind() == "failed" && error.to_string().len() <= 16 << 10, "{}", error.to_string().len());
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_explode_never_reach_the_guest() {
    let ground = Ground::new().await;
    let fields: String = (0..500).map(|n| format!(r#"(field "f{n}" (option u64))"#)).collect();
    let text = format!(
        r#"(type $w-is (record {fields})) (export $w "w" (type $w-is))
           (func (export "wide") (param "value" (list $w)) LIFT take)
           (func (export "bytes") (param "value" (list u8)) LIFT take)
           (func (export "nested") (param "value" (list (list (list u8)))) LIFT take)"#
    );
    let bytes = wat::plain(r#"(func (export "take") (param i32 i32))"#, &text);
    let skill = ground.load(&bytes).await.unwrap();
    let run = |tool: &'static str, input: Value| ground.host.host.invoke(call(&skill, tool, json!({"value": input})));
    assert_eq!(kind(run("wide", Value::Array(vec![json!({}); 1_000_000])).await), "too-large");
    assert_eq!(kind(run("bytes", json!("A".repeat(12 << 20))).await), "too-large");
    assert_eq!(kind(run("nested", json!(vec![vec!["AAAA"; 1_000]; 1_000])).await), "too-large");
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    for (tool, input) in [
        ("wide", deep.clone()),
        ("nested", deep),
        ("bytes", json!("AAA")),
        ("bytes", json!(["A", 1])),
        ("wide", json!([{"f0": -1}])),
        ("wide", json!([{"f0": 1.5e300}])),
        ("wide", json!([{"f500": 1}])),
        ("wide", json!({"length": 1})),
    ] {
        let error = run(tool, input).await.unwrap_err();
        assert_eq!(error.kind(), "invalid-input", "{tool}: {error}");
        assert!(error.to_string().len() < 2_000, "{error}");
    }
    let text = format!("{{\"value\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let deepest = Call { tool: Some("nested".into()), ..Call::new(skill.clone(), text) };
    assert_eq!(kind(ground.host.host.invoke(deepest).await), "invalid-input");
    run("wide", Value::Array(vec![json!({"f0": 7}); 20])).await.unwrap();
    run("bytes", json!("AAAA".repeat(10_000))).await.unwrap();
    ground.survived(None, "").await;
}

/// Everything that a guest can run of its own while values cross: while they are taken, while it is called, and after it.
#[tokio::test(flavor = "multi_thread")]
async fn loops_around_a_call_end_by_the_deadline() {
    let ground = Ground::new().await;
    let spin = "(loop $l (br $l)) (unreachable)";
    let realloc = r#"(func (export "realloc") (param i32 i32 i32 i32) (result i32)"#;
    for (module, lift) in [
        (format!(r#"{realloc} {spin}) (func (export "take") (param i32 i32))"#), "LIFT take"),
        (format!(r#"(func (export "take") (param i32 i32) {spin})"#), "LIFT take"),
        (
            format!(r#"(func (export "take") (param i32 i32)) (func (export "after") {spin})"#),
            r#"(canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
                (post-return (core func $i "after")))"#,
        ),
        (format!(r#"(func $s {spin}) (start $s) (func (export "take") (param i32 i32))"#), "LIFT take"),
    ] {
        let bytes = wat::plain(&module, &format!(r#"(func (export "act") (param "text" string) {lift})"#));
        let skill = ground.load(&bytes).await.unwrap();
        let limits = LimitSettings { wall_seconds: Some(1), ..LimitSettings::default() };
        let begun = Instant::now();
        let done = ground.beside_echoes(Call { limits, ..call(&skill, "act", json!({"text": "x"})) }).await;
        assert_eq!(kind(done), "deadline", "{module}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    // A `realloc` that gives nonsense, and one that calls the function again.
    for body in ["(i32.const -4)", "(i32.const 1)", "(unreachable)"] {
        let module = format!(r#"{realloc} {body}) (func (export "take") (param i32 i32))"#);
        let bytes = wat::plain(&module, r#"(func (export "act") (param "list" (list u64)) LIFT take)"#);
        let skill = ground.load(&bytes).await.unwrap();
        let done = ground.host.host.invoke(call(&skill, "act", json!({"list": [1, 2, 3]}))).await;
        assert_eq!(kind(done), "trap", "{body}");
    }
    ground.survived(None, "").await;
}

/// A package that lists other tools than its functions are: what is offered is made of the functions.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_cannot_list_other_tools_than_it_has() {
    let ground = Ground::new().await;
    let text = r#"(func (export "act") (param "n" u8) (result u8) LIFT same)"#;
    let bytes = wat::plain(r#"(func (export "same") (param i32) (result i32) (local.get 0))"#, text);
    let manifest =
        ringfence_core::Manifest::from_toml("name = \"liar\"\nversion = \"1.0.0\"\ndescription = \"Lies.\"\n");
    let honest = ground.host.host.package(&bytes, &manifest.unwrap(), None).await.unwrap();
    let fair = ground.load(&honest).await.unwrap().tools();
    let lie = json!({"tools": [
        {"name": "act", "description": "Told.", "input-schema": {"type": "object"}, "output-schema": {"type": "string"}},
        {"name": "other", "description": "Not there.", "input-schema": {"type": "object"}},
    ]});
    let mut lying = honest;
    lying.extend(crate::load::custom("ringfence:tools", lie.to_string().as_bytes()));
    let skill = ground.load(&lying).await.unwrap();
    let tools = skill.tools();
    assert_eq!(tools.len(), 1);
    assert_eq!((&tools[0].input_schema, &tools[0].output_schema), (&fair[0].input_schema, &fair[0].output_schema));
    assert_eq!(tools[0].description, "Told.", "words are the author's");
    assert_eq!(kind(ground.host.host.invoke(call(&skill, "act", json!({"n": 256}))).await), "invalid-input");
    assert_eq!(kind(ground.host.host.invoke(call(&skill, "other", json!({}))).await), "unknown-tool");
    let done = ground.host.host.invoke(call(&skill, "act", json!({"n": 255}))).await.unwrap();
    assert_eq!(done.outcome.structured, Some(json!(255)));
    ground.survived(None, "").await;
}
