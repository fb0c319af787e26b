//! Answers that nobody reads, that nobody waits for, that never end, and that end too early.

use std::time::{Duration, Instant};

use ringfence_core::engine::LimitSettings;
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::teller::{Says, Teller, stream, word};

/// A host whose only model is the teller, asked once for each answer.
async fn before(teller: &Teller) -> Ground {
    Ground::with(&teller.config(1)).await
}

/// What a skill saw of an answer of at most 100 tokens, and how many output tokens it was charged.
async fn seen(ground: &Ground) -> (Value, u64) {
    let done = ground.host.call("stream", json!({ "prompt": "hello", "max_tokens": 100 })).await.unwrap();
    (done.outcome.structured.unwrap(), done.usage.output_tokens)
}

#[tokio::test(flavor = "multi_thread")]
async fn t47_an_answer_that_nobody_reads_is_not_read_on_and_ends_with_its_call() {
    // Pieces of one letter: the limit of an answer's length is far away, so nothing but the reader holds the provider back.
    let teller = Teller::answering(|_| Says::Flood(stream(""), word("x").repeat(100).into_bytes()));
    let ground = before(&teller).await;
    let limits = LimitSettings { wall_seconds: Some(3), ..LimitSettings::default() };
    let input = json!({ "prompt": "hello", "seconds": 3600 });
    let begun = Instant::now();
    let error = ground.host.limited("hold", input, limits).await.unwrap_err();
    assert_eq!(error.kind(), "deadline", "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // What fits into the sockets' own buffers, and a thousand events.
    let taken = teller.gone();
    assert!(taken < 24 << 20, "{taken} bytes were taken for a reader that never read");
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t48_who_leaves_in_the_middle_lets_go_of_the_provider() {
    let teller = Teller::answering(|_| Says::Hang(stream(&word("Half "))));
    let ground = before(&teller).await;
    let input = json!({ "prompt": "hello", "max_tokens": 100, "leave_after": 1 });
    let done = ground.host.call("stream", input).await.unwrap();
    let came = done.outcome.structured.unwrap();
    assert_eq!((&came["text"], &came["end"]), (&json!("Half "), &json!("left")));
    teller.gone();
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_answers_that_say_nothing_for_ever_are_cut() {
    let padding = "x".repeat(16 << 10);
    for (what, again, reason) in [
        ("comments", ": keep waiting\n\n".repeat(1_000), "says nothing"),
        ("empty lines", "\n".repeat(10_000), "says nothing"),
        ("a line without end", padding.clone(), "longer than 1 MiB"),
        ("JSON that means nothing", format!("data: {{\"padding\":\"{padding}\"}}\n\n"), "larger than 64 MiB"),
        ("no JSON", "data: <html>\n\n".to_owned(), "makes no sense"),
    ] {
        let teller = Teller::answering(move |_| Says::Flood(stream(&word("Half ")), again.clone().into_bytes()));
        let ground = before(&teller).await;
        let (came, charged) = seen(&ground).await;
        let end = came["end"].as_str().unwrap();
        assert!(end.contains("makes no sense") && end.contains(reason), "{what}: {end}");
        assert_eq!(came["text"], "Half ", "{what}: what came before stays");
        assert_eq!(charged, 100, "{what}: nobody knows what it costs, so it is the most");
        assert_eq!(teller.bodies().len(), 1, "{what}: what has begun is not asked for again");
        assert!(teller.gone() < 128 << 20, "{what}");
        ground.survived_probe().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_bytes_that_come_one_by_one_end_at_the_deadline() {
    let teller =
        Teller::answering(|_| Says::Drip(stream(&format!("{}data: ", word("Half "))), b'x', Duration::from_millis(20)));
    let ground = before(&teller).await;
    let limits = LimitSettings { wall_seconds: Some(2), ..LimitSettings::default() };
    let begun = Instant::now();
    let error = ground.host.limited("stream", json!({ "prompt": "hello" }), limits).await.unwrap_err();
    assert_eq!(error.kind(), "deadline", "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    teller.gone();
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t50_an_answer_that_stops_is_kept_so_far_marked_and_charged() {
    for reset in [false, true] {
        let teller = Teller::answering(move |_| {
            let said = stream(&word("Half "));
            if reset { Says::Reset(said) } else { Says::Once(said) }
        });
        let ground = before(&teller).await;
        let (came, charged) = seen(&ground).await;
        let end = came["end"].as_str().unwrap();
        assert!(end.contains("fake/clever") && end.contains("makes no sense"), "reset: {reset}: {end}");
        assert_eq!(came["text"], "Half ", "reset: {reset}");
        assert_eq!(charged, 100, "reset: {reset}");
        assert_eq!(teller.bodies().len(), 1, "reset: {reset}: it is not asked for again");
        ground.survived_probe().await;
    }
}
