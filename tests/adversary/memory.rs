//! Guests that take memory.

use ringfence_core::Call;
use ringfence_core::engine::LimitSettings;
use serde_json::json;

use crate::ground::{Ground, kind, text};
use crate::support::{call, wat};

#[tokio::test(flavor = "multi_thread")]
async fn t24_growing_until_there_is_no_more() {
    let ground = Ground::new().await;
    // One page at a time; the refusal is a number, and the guest goes on.
    let body = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (i32.const 128)";
    let skill = ground.load(&wat::skill(body, "", "")).await.unwrap();
    let done = ground.beside_echoes(call(&skill, "act", json!({}))).await.unwrap();
    assert!(done.memory_peak <= 64 << 20 && done.memory_peak > 60 << 20, "{}", done.memory_peak);
    ground.survived(Some(&skill), "ok").await;
}

#[tokio::test]
async fn t25_many_memories_are_one_sum() {
    let ground = Ground::new().await;
    let module = |pages: u32| {
        format!(
            "(core module $big (memory (export \"m\") {pages})
                (func $s (drop (memory.grow (i32.const 200)))) (start $s)) {}",
            "(core instance (instantiate $big))".repeat(10)
        )
    };
    // 10 times 15 MiB: each is far below the limit of 64, and a limit per memory would let all of them pass.
    let error = ground.load(&wat::skill("(i32.const 128)", "", &module(240))).await.err().unwrap();
    assert_eq!(error.kind(), "memory-limit", "{error}");
    // 10 times 1 MiB fit; each then wants 12 more, and together they do not get them.
    let skill = ground.load(&wat::skill("(i32.const 128)", "", &module(16))).await.unwrap();
    let done = ground.act(&skill).await.unwrap();
    assert!(done.memory_peak <= 64 << 20, "{}", done.memory_peak);
    ground.survived(Some(&skill), "ok").await;
}

#[tokio::test]
async fn t26_tables_that_grow() {
    let ground = Ground::new().await;
    let body = "(drop (table.grow $t (ref.null func) (i32.const 1000000000)))
                (loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (i32.const 128)";
    let skill = ground.load(&wat::skill(body, "(table $t 1 funcref)", "")).await.unwrap();
    let done = ground.act(&skill).await.unwrap();
    assert!(done.memory_peak <= 64 << 20, "{}", done.memory_peak);
    ground.survived(Some(&skill), "ok").await;
}

/// What one guest wrote no other reads, though they are given the same slot.
#[tokio::test]
async fn t28_fresh_memory_is_zero() {
    let ground = Ground::with("[engine]\nconcurrent = 2\n").await;
    let dirty = "(drop (memory.grow (i32.const 100)))
                 (memory.fill (i32.const 8192) (i32.const 171) (i32.const 6000000))
                 (table.fill $t (i32.const 0) (ref.func $mark) (i32.const 1000)) (i32.const 128)";
    let module = "(table $t 1000 funcref) (func $mark) (elem declare func $mark)";
    let dirty = ground.load(&wat::skill(dirty, module, "")).await.unwrap();
    // Traps where a byte or a table's element is not what it is in a new instance.
    let look = "(drop (memory.grow (i32.const 100)))
                (local.set 3 (i32.const 8192))
                (loop $next
                    (if (i64.ne (i64.load (local.get 3)) (i64.const 0)) (then unreachable))
                    (local.set 3 (i32.add (local.get 3) (i32.const 4096)))
                    (br_if $next (i32.lt_u (local.get 3) (i32.const 6000000))))
                (local.set 3 (i32.const 0))
                (loop $element
                    (if (i32.eqz (ref.is_null (table.get $t (local.get 3)))) (then unreachable))
                    (local.set 3 (i32.add (local.get 3) (i32.const 1)))
                    (br_if $element (i32.lt_u (local.get 3) (i32.const 1000))))
                (i32.const 128)";
    let look = ground.load(&wat::skill(look, "(table $t 1000 funcref)", "")).await.unwrap();
    // The long form, 10,000 times, is in the bench of reliability.
    for _ in 0..500 {
        ground.act(&dirty).await.unwrap();
        ground.act(&look).await.unwrap();
    }
    ground.survived(None, "").await;
}

#[tokio::test]
async fn t29_outcomes_without_end() {
    let ground = Ground::new().await;
    for (what, body) in [
        (
            "a text of 2 GiB",
            "(i32.store8 (i32.const 128) (i32.const 0)) (i32.store (i32.const 132) (i32.const 160)) (i32.store (i32.const 136) (i32.const 1)) (i32.store8 (i32.const 160) (i32.const 0)) (i32.store (i32.const 164) (i32.const 0)) (i32.store (i32.const 168) (i32.const 0x7fffffff)) (i32.const 128)",
        ),
        (
            "a hundred million pieces",
            "(i32.store (i32.const 132) (i32.const 1024)) (i32.store (i32.const 136) (i32.const 100000000)) (i32.const 128)",
        ),
    ] {
        let skill = ground.load(&wat::skill(body, "", "")).await.unwrap();
        let told = kind(ground.act(&skill).await);
        assert!(["trap", "hostcall-too-large", "too-large"].contains(&told), "{what}: {told}");
    }
    // A million pieces that are really there: all of them the same empty text.
    let body = "(drop (memory.grow (i32.const 700)))
                (i32.store (i32.const 132) (i32.const 4096)) (i32.store (i32.const 136) (i32.const 1000000)) (i32.const 128)";
    let skill = ground.load(&wat::skill(body, "", "")).await.unwrap();
    let told = ground.act(&skill).await.map(|_| "ok").unwrap_or_else(|error| error.kind());
    assert!(["hostcall-too-large", "too-large"].contains(&told), "{told}");
    ground.survived(Some(&skill), told).await;
    assert_eq!(text(ground.host.call("big_outcome", json!({ "bytes": 4 << 20 })).await).len(), 4 << 20);
    let limits = LimitSettings { output_kib: Some(1), ..LimitSettings::default() };
    let small = Call { limits, ..call(&ground.host.probe, "big_outcome", json!({ "bytes": 2048 })) };
    assert_eq!(kind(ground.host.host.invoke(small).await), "too-large");
}
