//! Guests that compute.

use std::time::{Duration, Instant};

use ringfence_core::Call;
use ringfence_core::engine::LimitSettings;
use serde_json::json;

use crate::ground::{Ground, kind};
use crate::support::{call, wat};

/// How late a call may end. On a machine that other tests load as well.
const LATE: Duration = Duration::from_millis(250);

fn second() -> LimitSettings {
    LimitSettings { wall_seconds: Some(1), ..LimitSettings::default() }
}

/// Runs a hand-written guest with a second to go and sees that it ends in time, with echoes beside it.
async fn ends_in_time(what: &str, body: &str, module: &str) {
    let ground = Ground::new().await;
    let skill = ground.load(&wat::skill(body, module, "")).await.unwrap();
    let begun = Instant::now();
    let done = ground.beside_echoes(Call { limits: second(), ..call(&skill, "act", json!({})) }).await;
    let took = begun.elapsed();
    assert_eq!(kind(done), "deadline", "{what}");
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) + LATE, "{what}: {took:?}");
    ground.survived(Some(&skill), "deadline").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t16_a_loop() {
    ends_in_time("a loop", "(loop (br 0)) (i32.const 128)", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t16_loops_that_call_themselves() {
    let module = "(func $even (result i32) (loop (br_if 0 (call $odd))) (i32.const 1))
                  (func $odd (result i32) (i32.const 1))";
    ends_in_time("calls in a loop", "(drop (call $even)) (i32.const 128)", module).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t17_sixty_four_loops_on_two_workers() {
    let ground = Ground::new().await;
    let skill = ground.load(&wat::skill("(loop (br 0)) (i32.const 128)", "", "")).await.unwrap();
    let loops: Vec<_> = (0..63)
        .map(|_| {
            let host = ground.host.host.clone();
            let attack = Call { limits: second(), ..call(&skill, "act", json!({})) };
            tokio::spawn(async move {
                let begun = Instant::now();
                (host.invoke(attack).await, begun.elapsed())
            })
        })
        .collect();
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let begun = Instant::now();
        ground.host.still_works().await;
        longest = longest.max(begun.elapsed());
    }
    // The bench holds the figure, 50 ms at p99. Here other tests run on the same cores.
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    for attack in loops {
        let (done, took) = attack.await.unwrap();
        assert_eq!(kind(done), "deadline");
        // Also those that waited for their turn behind the others when it came. The bench holds the figure, 250 ms.
        assert!(took < Duration::from_millis(1_500), "{took:?}");
    }
    ground.survived(None, "").await;
}

/// A tool that has used next to nothing for long runs without a place of its own beside its callers. Should it spin then, sockets
/// and timers wait for a tick, and not for each of its calls in turn.
#[tokio::test(flavor = "multi_thread")]
async fn t17_sixty_loops_of_a_tool_that_was_trusted() {
    let ground = Ground::new().await;
    let feign = |spins: bool| Call { limits: second(), ..call(&ground.host.probe, "feign", json!({ "spins": spins })) };
    for _ in 0..2 {
        // So often that it would be trusted the second time as well, if nothing were remembered.
        for _ in 0..40 {
            ground.host.host.invoke(feign(false)).await.unwrap();
        }
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let timers = tokio::spawn(async move {
            let mut latest = Duration::ZERO;
            while stopped.try_recv().is_err() {
                let begun = Instant::now();
                tokio::time::sleep(Duration::from_millis(1)).await;
                latest = latest.max(begun.elapsed());
            }
            latest
        });
        let loops: Vec<_> = (0..60)
            .map(|_| {
                let (host, attack) = (ground.host.host.clone(), feign(true));
                tokio::spawn(async move { host.invoke(attack).await })
            })
            .collect();
        for attack in loops {
            assert_eq!(kind(attack.await.unwrap()), "deadline");
        }
        stop.send(()).unwrap();
        let latest = timers.await.unwrap();
        // The bench holds the figure. Here other tests run on the same cores.
        assert!(latest < Duration::from_millis(500), "{latest:?}");
    }
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t18_a_loop_around_a_cheap_host_call() {
    let ground = Ground::new().await;
    for what in ["clock", "settings"] {
        let attack = call(&ground.host.probe, "spin_host", json!({ "what": what }));
        let begun = Instant::now();
        let done = ground.beside_echoes(Call { limits: second(), ..attack }).await;
        assert_eq!(kind(done), "deadline", "{what}");
        assert!(begun.elapsed() < Duration::from_secs(1) + LATE, "{what}: {:?}", begun.elapsed());
    }
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t19_bulk_operations() {
    for (what, body, module) in [
        (
            "memory.fill",
            "(drop (memory.grow (i32.const 700)))
             (loop (memory.fill (i32.const 4096) (i32.const 1) (i32.const 45000000)) (br 0)) (i32.const 128)",
            "",
        ),
        (
            "memory.copy",
            "(drop (memory.grow (i32.const 700)))
             (loop (memory.copy (i32.const 4096) (i32.const 5000) (i32.const 45000000)) (br 0)) (i32.const 128)",
            "",
        ),
        (
            "table.fill",
            "(loop (table.fill $t (i32.const 0) (ref.null func) (i32.const 40000)) (br 0)) (i32.const 128)",
            "(table $t 40000 funcref)",
        ),
    ] {
        ends_in_time(what, body, module).await;
    }
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn t20_nothing_new_begins_while_nothing_ticks_and_what_runs_ends() {
    let ground = Ground::new().await;
    let host = &ground.host.host;
    let limits = LimitSettings { wall_seconds: Some(5), ..LimitSettings::default() };
    let spin = Call { limits, ..call(&ground.host.probe, "spin", json!({})) };
    let spinning = tokio::spawn({
        let host = host.clone();
        async move { host.invoke(spin).await }
    });
    host.hold_ticks(true).unwrap();
    let begun = Instant::now();
    let error = loop {
        match ground.host.call("echo", json!({ "text": "x" })).await {
            Ok(_) => assert!(begun.elapsed() < Duration::from_secs(5), "calls begin as if nothing were wrong"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), "busy", "{error}");
    assert!(error.to_string().contains("has not ticked for 1."), "{error}");
    assert_eq!(kind(spinning.await.unwrap()), "deadline");
    host.hold_ticks(false).unwrap();
    let begun = Instant::now();
    while ground.host.call("echo", json!({ "text": "x" })).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is not restarted");
    }
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_every_call_has_a_deadline_of_its_own() {
    let ground = Ground::new().await;
    for _ in 0..3 {
        let begun = Instant::now();
        let done = ground.host.limited("spin", json!({}), second()).await;
        assert_eq!(kind(done), "deadline");
        assert!(begun.elapsed() >= Duration::from_secs(1), "an old deadline was inherited: {:?}", begun.elapsed());
        ground.host.still_works().await;
    }
    ground.survived_probe().await;
}
