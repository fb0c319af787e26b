//! What a component does while its instance is made, before any call: language runtimes start there, and nothing else may.

use std::time::{Duration, Instant};

use ringfence_core::engine::LimitSettings;
use serde_json::json;

use crate::support::hosts::said;
use crate::support::{TestHost, call, wat};

/// `kv.get`, whose refusal has only the words that the test reads.
const KV: &str = r#"
    (import "ringfence:skill/kv@0.1.0" (instance $kv
        (type $entry-is (record (field "value" (list u8)) (field "version" u64)))
        (export "entry" (type $entry (eq $entry-is)))
        REFUSAL
        (export "get" (func (param "key" string) (result (result (option $entry) (error $refusal)))))))
    (alias export $kv "get" (func $get))
    (core func $get-core (canon lower (func $get) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
"#;

const CONFIG: &str = r#"
    (import "ringfence:skill/config@0.1.0" (instance $config
        (export "get" (func (param "key" string) (result (option string))))))
    (alias export $config "get" (func $setting))
    (core func $setting-core
        (canon lower (func $setting) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
"#;

#[tokio::test]
async fn what_is_asked_for_before_the_call_is_denied_and_in_the_call_is_served() {
    let host = TestHost::new().await;
    // Asks at 2048 while it starts and at 3072 when it is called; says what it was answered at first. A result's first byte is
    // 0 for a value and 1 for a refusal; its variant stands at 8, the strings of `denied` (0) from 16 on.
    let module = r#"
        (import "host" "get" (func $get (param i32 i32 i32)))
        (func $begin (call $get (i32.const 256) (i32.const 3) (i32.const 2048)))
        (start $begin)
    "#;
    let body = r#"
        (call $get (i32.const 256) (i32.const 3) (i32.const 3072))
        (if (i32.load8_u (i32.const 3072)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 2048)) (i32.const 1)) (then unreachable))
        (if (i32.load8_u (i32.const 2056)) (then unreachable))
        (i32.store (i32.const 132) (i32.const 1024))
        (i32.store (i32.const 136) (i32.const 3))
        (i32.store (i32.const 1028) (i32.load (i32.const 2064))) (i32.store (i32.const 1032) (i32.load (i32.const 2068)))
        (i32.store (i32.const 1064) (i32.load (i32.const 2080))) (i32.store (i32.const 1068) (i32.load (i32.const 2084)))
        (i32.store (i32.const 1100) (i32.load (i32.const 2088))) (i32.store (i32.const 1104) (i32.load (i32.const 2092)))
        (i32.const 128)
    "#;
    let component = wat::asking(body, module, KV, r#"(with "host" (instance (export "get" (func $get-core))))"#);
    let path = host.home.write("early.wasm", component);
    // It is asked for its tools here, and asks then as well.
    let skill = host.host.load_file(&path, None, None).await.unwrap();
    let bare = skill.manifest();
    assert!(bare.permissions.kv.is_none(), "a component without a manifest requests nothing: {bare:?}");
    let error = host.host.invoke(call(&skill, "act", json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), "trap", "in the call it asked and was refused, for it requests nothing: {error}");
    drop(skill);

    let manifest = "name = \"early\"\nversion = \"0.1.0\"\ndescription = \"Asks early.\"\n[permissions]\nkv = { reason = \"x\" }\n";
    let manifest = ringfence_core::policy::manifest::Manifest::from_toml(manifest).unwrap();
    let packaged = host.host.package(&std::fs::read(&path).unwrap(), &manifest, None).await.unwrap();
    let path = host.home.write("packaged.wasm", packaged);
    let skill = host.host.load_file(&path, None, None).await.unwrap();
    let done = host.host.invoke(call(&skill, "act", json!({}))).await.unwrap();
    let told = said(&done);
    assert!(told.starts_with("kv") && told.contains("no call has begun") && told.contains("author"), "{told}");
    host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_has_the_limits_of_the_call() {
    // What it does while it starts is written in its settings, which it sees in a call and not when it is packaged.
    let module = r#"
        (import "host" "setting" (func $setting (param i32 i32 i32)))
        (data (i32.const 512) "start")
        (func $begin (local $how i32)
            (call $setting (i32.const 512) (i32.const 5) (i32.const 1024))
            (if (i32.eqz (i32.load8_u (i32.const 1024))) (then return))
            (local.set $how (i32.load8_u (i32.load (i32.const 1028))))
            (if (i32.eq (local.get $how) (i32.const 49)) (then (loop $for-ever (br $for-ever))))
            (if (i32.eq (local.get $how) (i32.const 50)) (then unreachable))
            (if (i32.eq (local.get $how) (i32.const 51))
                (then (if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1)) (then unreachable))))
            (if (i32.eq (local.get $how) (i32.const 52)) (then (call $begin))))
        (start $begin)
    "#;
    let given = r#"(with "host" (instance (export "setting" (func $setting-core))))"#;
    let component = wat::asking("(i32.const 128)", module, CONFIG, given);
    for (how, kind) in [("1", "deadline"), ("2", "trap"), ("3", "memory-limit"), ("4", "stack-overflow")] {
        let host = TestHost::with(&format!("[skills.starter.config]\nstart = {how}\n")).await;
        let path = host.home.write("starter.wasm", &component);
        let skill = host.host.load_file(&path, None, None).await.unwrap();
        let limits = LimitSettings { wall_seconds: Some(1), ..LimitSettings::default() };
        let begun = Instant::now();
        let call = ringfence_core::Call { limits, ..call(&skill, "act", json!({})) };
        let error = host.host.invoke(call).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{how}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{how}: {:?}", begun.elapsed());
        host.still_works().await;
    }
    let host = TestHost::with("[skills.starter.config]\nstart = 9\n").await;
    let path = host.home.write("starter.wasm", &component);
    let skill = host.host.load_file(&path, None, None).await.unwrap();
    host.host.invoke(call(&skill, "act", json!({}))).await.unwrap();
}
