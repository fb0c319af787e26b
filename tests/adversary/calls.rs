//! Guests that lie to, flood and misuse the functions of the host.

use ringfence_core::events::LogLine;
use ringfence_core::{Call, Error, Event, Finished, SkillRef};
use serde_json::json;

use crate::ground::{Ground, kind};
use crate::support::{call, wat};

/// `log.log`, its texts encoded as `ENCODING` says.
const LOG: &str = r#"
    (import "ringfence:skill/log@0.1.0" (instance $log
        (type $level-is (enum "trace" "debug" "info" "warn" "error"))
        (export "level" (type $level (eq $level-is)))
        (export "log" (func (param "level" $level) (param "message" string) (param "fields" (list (tuple string string)))))))
    (alias export $log "log" (func $log))
    (core func $log-core (canon lower (func $log) string-encoding=ENCODING (memory (core memory $libc "memory"))))
"#;
const LOG_IN: &str = r#"(import "host" "log" (func $log (param i32 i32 i32 i32 i32)))"#;
const LOG_GIVEN: &str = r#"(with "host" (instance (export "log" (func $log-core))))"#;

/// `user.ask`.
const USER: &str = r#"
    (import "ringfence:skill/user@0.1.0" (instance $user
        REFUSAL
        (type $question-is (record (field "text" string) (field "schema" (option string)) (field "timeout-ms" (option u32))
            (field "remember" (option string))))
        (export "question" (type $question (eq $question-is)))
        (export "ask" (func (param "question" $question) (result (result string (error $refusal)))))))
    (alias export $user "ask" (func $ask))
    (core func $ask-core
        (canon lower (func $ask) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
"#;
/// `$schema` asks with so many bytes at 65536 as the schema, and traps unless that is refused as `invalid`. A result's first byte
/// is 1 for a refusal; which one stands at 8.
const SCHEMA: &str = r#"
    (import "host" "ask" (func $ask (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (func $schema (param i32)
        (call $ask (i32.const 256) (i32.const 3) (i32.const 1) (i32.const 65536) (local.get 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3072))
        (if (i32.ne (i32.load8_u (i32.const 3072)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 3080)) (i32.const 3)) (then unreachable)))
"#;
const USER_GIVEN: &str = r#"(with "host" (instance (export "ask" (func $ask-core))))"#;

/// Timers: the handles that cost nothing and need no grant.
const TIMERS: &str = r#"
    (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
    (alias export $errors "error" (type $error))
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $pollable-is))
        (export "pollable" (type $pollable-here (eq $pollable-is)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable-here))))))
    (alias export $poll "[method]pollable.block" (func $block))
    (alias export $clock "subscribe-duration" (func $make))
    (core func $block-core (canon lower (func $block)))
    (core func $make-core (canon lower (func $make)))
    (core func $drop-core (canon resource.drop $pollable))
    (core func $drop-error-core (canon resource.drop $error))
"#;
const TIMERS_IN: &str = r#"
    (import "host" "make" (func $make (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "drop-error" (func $drop-error (param i32)))
"#;
const TIMERS_GIVEN: &str = r#"(with "host" (instance (export "make" (func $make-core)) (export "block" (func $block-core))
    (export "drop" (func $drop-core)) (export "drop-error" (func $drop-error-core))))"#;

/// The body of a guest's tool that does the nth of these for the nth input of [`chosen`]. All of its locals are free to use but 3.
fn acts(bodies: &[String]) -> String {
    let acts: String = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| format!("(if (i32.eq (local.get 3) (i32.const {})) (then {body}))\n", n + 2))
        .collect();
    format!("{acts} (i32.const 128)")
}

/// A call whose input says by its length what the guest is to do: `{}` with `n` blanks in it.
pub(crate) fn chosen(skill: &SkillRef, n: usize) -> Call {
    Call { input: format!("{{{}}}", " ".repeat(n)), ..call(skill, "act", json!({})) }
}

/// Does `body` so many times, counting in local 0.
fn times(count: u32, body: &str) -> String {
    format!(
        "(local.set 0 (i32.const 0))
         (loop $again {body} (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get 0) (i32.const {count}))))"
    )
}

/// Logs with a level, a message (address, length) and fields (address, length).
fn log([level, at, len, fields, count]: [u32; 5]) -> String {
    format!(
        "(call $log (i32.const {level}) (i32.const {at}) (i32.const {len}) (i32.const {fields}) (i32.const {count}))"
    )
}

pub(crate) async fn outcome(ground: &Ground, call: Call) -> Result<Finished, Error> {
    ground.host.host.invoke(call).await
}

/// Runs a call, and gives the lines that it logged and what came of it.
async fn listening(ground: &Ground, call: Call) -> (Vec<LogLine>, Finished) {
    let (sender, mut events) = tokio::sync::mpsc::channel(10_000);
    let done = outcome(ground, Call { events: Some(sender), ..call }).await.unwrap();
    let mut lines = Vec::new();
    while let Some(event) = events.recv().await {
        if let Event::Log(line) = event {
            lines.push(line);
        }
    }
    (lines, done)
}

/// The host's functions have a stack of their own beyond the guest's: they work wherever the guest stands when it calls.
#[tokio::test(flavor = "multi_thread")]
async fn t31_a_host_call_at_the_end_of_the_stack() {
    let ground = Ground::new().await;
    // JSON as deep as may be, which the host's parser goes down. The input's length says how deep the guest goes before.
    let module = format!(
        "{SCHEMA}
         (func $deeper (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0))
                (then (call $schema (i32.const 128)) (i32.const 0))
                (else (i32.add (call $deeper (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))))"
    );
    let body = "(memory.fill (i32.const 65536) (i32.const 91) (i32.const 64))
                (memory.fill (i32.const 65600) (i32.const 93) (i32.const 64))
                (drop (call $deeper (i32.mul (i32.sub (local.get 3) (i32.const 2)) (i32.const 50))))
                (i32.const 128)";
    let skill = ground.load(&wat::asking(body, &module, USER, USER_GIVEN)).await.unwrap();
    let fits = async |n: usize| match outcome(&ground, chosen(&skill, n)).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), "stack-overflow", "{n}: {error}");
            false
        }
    };
    // The deepest place from which the call still works, within 50 frames: the calls on the way there stand ever closer to it.
    let (mut works, mut overflows) = (0, 1_000);
    assert!(fits(works).await && !fits(overflows).await);
    while overflows - works > 1 {
        let n = usize::midpoint(works, overflows);
        if fits(n).await { works = n } else { overflows = n }
    }
    assert!(works > 10, "{works}");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t32_json_that_never_closes() {
    let ground = Ground::new().await;
    let nested = |levels: usize| format!("{{\"text\":\"x\",\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    for input in [nested(100_000), format!("{{\"a\":{}", "[".repeat(100_000)), nested(64)] {
        let error = outcome(&ground, Call { input, ..call(&ground.host.probe, "echo", json!({})) }).await.unwrap_err();
        assert_eq!(error.kind(), "invalid-input", "{error}");
        assert!(error.to_string().contains("deeper than 64"), "{error}");
    }
    let structured = |bytes: u32| {
        format!(
            "(i32.store8 (i32.const 140) (i32.const 1)) (i32.store (i32.const 144) (i32.const 65536))
             (i32.store (i32.const 148) (i32.const {bytes}))"
        )
    };
    let open = "(memory.fill (i32.const 65536) (i32.const 91) (i32.const 60000))";
    let whole = "(memory.fill (i32.const 65536) (i32.const 91) (i32.const 64))
                 (memory.fill (i32.const 65600) (i32.const 93) (i32.const 64))";
    let body = acts(&[
        format!("{whole} {}", structured(128)),
        format!("{open} {}", structured(60_000)),
        format!("{open} (call $schema (i32.const 60000))"),
    ]);
    let skill = ground.load(&wat::asking(&body, SCHEMA, USER, USER_GIVEN)).await.unwrap();
    assert!(outcome(&ground, chosen(&skill, 0)).await.unwrap().outcome.structured.is_some());
    assert_eq!(kind(outcome(&ground, chosen(&skill, 1)).await), "invalid-output");
    // A refusal that the guest sees, and nothing worse.
    outcome(&ground, chosen(&skill, 2)).await.unwrap();
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t33_texts_that_are_not_where_or_what_they_are_said_to_be() {
    const TAG: u32 = 1 << 31;
    let ground = Ground::new().await;
    // At 2048 "ab" in UTF-16; at 2064 a lone high surrogate; at 2068 a lone low one; from 2080 on what is no UTF-8.
    let module = format!(
        r#"{LOG_IN}
           (data (i32.const 2048) "a\00b\00") (data (i32.const 2064) "\00\d8a\00" "\00\dca\00")
           (data (i32.const 2080) "\ff\fe\fd\fc") (data (i32.const 2096) "\e2\82") (data (i32.const 2112) "\ed\a0\80")"#
    );
    let utf8 = vec![
        [2, 2048, 4, 0, 0],
        [2, 0x7fff_0000, 10, 0, 0],
        [2, 0x7fff_0000, 0, 0, 0],
        [2, 2048, 0x7fff_ffff, 0, 0],
        [2, u32::MAX, u32::MAX, 0, 0],
        [2, 131_071, 2, 0, 0],
        [2, 2048, 4, 8, 0x1fff_ffff],
        [2, 2048, 4, 0xffff_fff0, 0xffff_fff0],
        [2, 2048, 4, 2, 1],
        [9, 2048, 4, 0, 0],
        [2, 2080, 4, 0, 0],
        [2, 2096, 2, 0, 0],
        [2, 2112, 3, 0, 0],
    ];
    let utf16 = vec![
        [2, 2048, 2, 0, 0],
        [2, 2049, 1, 0, 0],
        [2, 2064, 2, 0, 0],
        [2, 2068, 2, 0, 0],
        [2, 2048, 0x7fff_ffff, 0, 0],
        [2, 2048, u32::MAX, 0, 0],
    ];
    let either = vec![
        [2, 2048, TAG | 2, 0, 0],
        [2, 2049, TAG | 1, 0, 0],
        [2, 2064, TAG | 2, 0, 0],
        [2, 2068, TAG | 2, 0, 0],
        [2, 2048, TAG | 0x7fff_ffff, 0, 0],
        [2, 2048, 0x7fff_ffff, 0, 0],
        [2, 131_070, TAG | 2, 0, 0],
    ];
    for (encoding, texts) in [("utf8", utf8), ("utf16", utf16), ("latin1+utf16", either)] {
        let body = acts(&texts.iter().map(|text| log(*text)).collect::<Vec<_>>());
        let component = wat::asking(&body, &module, &LOG.replace("ENCODING", encoding), LOG_GIVEN);
        let skill = ground.load(&component).await.unwrap();
        // The first is honest.
        let (lines, _) = listening(&ground, chosen(&skill, 0)).await;
        assert_eq!(lines.len(), 1, "{encoding}");
        assert!(lines[0].message.starts_with('a') && lines[0].message.contains('b'), "{encoding}: {lines:?}");
        for (n, lie) in texts.iter().enumerate().skip(1) {
            let told = kind(outcome(&ground, chosen(&skill, n)).await);
            assert!(["trap", "hostcall-too-large"].contains(&told), "{encoding} {lie:x?}: {told}");
        }
    }
    ground.survived(None, "").await;
}

/// What one call carries has a limit (`a_host_call_carries_so_much`), and so has what the host keeps of many.
#[tokio::test(flavor = "multi_thread")]
async fn t34_the_host_keeps_no_more_than_it_says() {
    const PROGRESS: &str = r#"
        (import "ringfence:skill/progress@0.1.0" (instance $progress (export "emit" (func (param "text" string)))))
        (alias export $progress "emit" (func $emit))
        (core func $emit-core (canon lower (func $emit) (memory (core memory $libc "memory"))))
    "#;
    let ground = Ground::new().await;
    let body = format!(
        "(drop (memory.grow (i32.const 16))) (memory.fill (i32.const 131072) (i32.const 120) (i32.const 1048576))
         {} (i32.const 128)",
        times(1_000, "(call $emit (i32.const 131072) (i32.const 1048576))")
    );
    let module = r#"(import "host" "emit" (func $emit (param i32 i32)))"#;
    let given = r#"(with "host" (instance (export "emit" (func $emit-core))))"#;
    let skill = ground.load(&wat::asking(&body, module, PROGRESS, given)).await.unwrap();
    let (sender, mut events) = tokio::sync::mpsc::channel(10_000);
    outcome(&ground, Call { events: Some(sender), ..chosen(&skill, 0) }).await.unwrap();
    let mut kept = 0;
    while let Some(event) = events.recv().await {
        let Event::Text(text) = event else { panic!("{event:?}") };
        kept += text.len();
    }
    assert_eq!(kept, 4 << 20, "of a thousand MiB");
    ground.survived(Some(&skill), "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_lines_that_flood_and_lines_that_pretend() {
    let ground = Ground::new().await;
    let hostile = r#"\1b[2J\1b]0;owned\07\0d\0a\00{\22event\22:\22admin\22,\22kind\22:\22ok\22}\0aringfence-audit/1\e2\80\ae\e2\81\a6\c2\9b"#;
    let bytes = wat_len(hostile);
    let module = format!("{LOG_IN} (data (i32.const 2048) \"{hostile}\")");
    let field = format!(
        "(i32.store (i32.const 3072) (i32.const 2048)) (i32.store (i32.const 3076) (i32.const {bytes}))
         (i32.store (i32.const 3080) (i32.const 2048)) (i32.store (i32.const 3084) (i32.const {bytes}))"
    );
    let large =
        "(drop (memory.grow (i32.const 16))) (memory.fill (i32.const 131072) (i32.const 27) (i32.const 1048576))";
    let body = acts(&[
        format!("{field} {}", times(1_500, &log([2, 2048, bytes, 3072, 1]))),
        format!("{large} {}", times(1_100, &log([4, 131_072, 1 << 20, 0, 0]))),
    ]);
    let component = wat::asking(&body, &module, &LOG.replace("ENCODING", "utf8"), LOG_GIVEN);
    let skill = ground.load(&component).await.unwrap();
    for (n, dropped) in [(0, 500), (1, 100)] {
        let (lines, done) = listening(&ground, chosen(&skill, n)).await;
        assert_eq!((lines.len(), done.dropped_log_lines), (1_000, dropped), "{n}: the caller has not failed");
        for line in lines {
            let fields: String = line.fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
            let all = format!("{}{fields}", line.message);
            assert!(!all.is_empty() && all.len() <= 4096, "{n}: {} bytes", all.len());
            assert!(all.chars().all(|c| !c.is_control() && !"\u{202e}\u{2066}".contains(c)), "{n}: {all:?}");
        }
    }
    ground.survived(None, "").await;
}

/// Bytes of a text as it is written in WAT.
fn wat_len(text: &str) -> u32 {
    let escapes = text.matches('\\').count();
    u32::try_from(text.len() - 2 * escapes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn t36_empty_lines_count_as_lines() {
    let ground = Ground::new().await;
    let body = format!("{} (i32.const 128)", times(100_000, &log([0, 0, 0, 0, 0])));
    let component = wat::asking(&body, LOG_IN, &LOG.replace("ENCODING", "utf8"), LOG_GIVEN);
    let skill = ground.load(&component).await.unwrap();
    let (lines, done) = listening(&ground, chosen(&skill, 0)).await;
    assert_eq!((lines.len(), done.dropped_log_lines), (1_000, 99_000));
    ground.survived(Some(&skill), "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_handles_without_end() {
    let ground = Ground::new().await;
    let body = acts(&[
        times(1_000_000, "(drop (call $make (i64.const 1000000000)))"),
        times(100_000, "(call $drop (call $make (i64.const 1000000000)))"),
    ]);
    let skill = ground.load(&wat::asking(&body, TIMERS_IN, TIMERS, TIMERS_GIVEN)).await.unwrap();
    for _ in 0..3 {
        let error = outcome(&ground, chosen(&skill, 0)).await.unwrap_err();
        assert_eq!(error.kind(), "handle-limit", "{error}");
        assert!(error.hint().contains("limits.handles"), "{}", error.hint());
    }
    // What is dropped is free again.
    outcome(&ground, chosen(&skill, 1)).await.unwrap();
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t39_handles_that_are_not_the_guests() {
    let ground = Ground::new().await;
    let make = "(local.set 0 (call $make (i64.const 0)))";
    let honest = [
        format!("{make} (call $block (local.get 0)) (call $drop (local.get 0))"),
        // They stay open, and end with the call.
        times(100, "(drop (call $make (i64.const 0)))"),
    ];
    let mut lies = vec![
        format!("{make} (call $drop (local.get 0)) (call $drop (local.get 0))"),
        format!("{make} (call $drop (local.get 0)) (call $block (local.get 0))"),
        format!("{make} (call $drop-error (local.get 0))"),
    ];
    for guess in [0_u32, 1, 2, 77, 1 << 10, (1 << 28) - 1, 1 << 28, 1 << 30, u32::MAX] {
        lies.push(format!("(call $block (i32.const {guess}))"));
        lies.push(format!("(call $drop (i32.const {guess}))"));
        lies.push(format!("(call $drop-error (i32.const {guess}))"));
    }
    let body = acts(&[&honest[..], &lies].concat());
    let skill = ground.load(&wat::asking(&body, TIMERS_IN, TIMERS, TIMERS_GIVEN)).await.unwrap();
    for (n, lie) in lies.iter().enumerate() {
        // Handles with the numbers that are guessed were open in the invocation before.
        outcome(&ground, chosen(&skill, 0)).await.unwrap();
        outcome(&ground, chosen(&skill, 1)).await.unwrap();
        assert_eq!(kind(outcome(&ground, chosen(&skill, honest.len() + n)).await), "trap", "{lie}");
    }
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t40_the_host_is_not_called_while_it_passes_values() {
    const CLOCK: &str = r#"
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
        (alias export $clock "now" (func $now))
        (core func $now-core (canon lower (func $now)))
    "#;
    let given = r#"(with "host" (instance (export "now" (func $now-core))))"#;
    let module = r#"
        (import "host" "now" (func $now (result i64)))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (drop (call $now)) (i32.const 4096))
        (func (export "after") (param i32) (drop (call $now)))
    "#;
    let body = "(drop (call $now)) (i32.const 128)";
    for (what, options) in [
        ("realloc", r#"(realloc (core func $code "realloc"))"#),
        ("post-return", r#"(realloc (core func $libc "realloc")) (post-return (core func $code "after"))"#),
    ] {
        let ground = Ground::new().await;
        let skill = ground.load(&wat::asking_lifted(body, module, CLOCK, given, options)).await.unwrap();
        let error = ground.act(&skill).await.unwrap_err();
        assert_eq!(error.kind(), "trap", "{what}: {error}");
        assert!(error.to_string().contains("cannot leave component instance"), "{what}: {error}");
        ground.survived(Some(&skill), "trap").await;
    }
    // In the call itself it is served.
    let ground = Ground::new().await;
    let skill = ground.load(&wat::asking(body, module, CLOCK, given)).await.unwrap();
    ground.act(&skill).await.unwrap();
    ground.survived(Some(&skill), "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t46_randomness_is_rationed_and_clocks_are_coarse() {
    const SOURCES: &str = r#"
        (import "wasi:random/random@0.2.0" (instance $random
            (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
        (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
            (type $datetime-is (record (field "seconds" u64) (field "nanoseconds" u32)))
            (export "datetime" (type $datetime (eq $datetime-is)))
            (export "now" (func (result $datetime)))))
        (alias export $random "get-random-bytes" (func $bytes))
        (alias export $clock "now" (func $now))
        (alias export $wall "now" (func $today))
        (core func $bytes-core
            (canon lower (func $bytes) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core func $now-core (canon lower (func $now)))
        (core func $today-core (canon lower (func $today) (memory (core memory $libc "memory"))))
    "#;
    let module = r#"
        (import "host" "bytes" (func $bytes (param i64 i32)))
        (import "host" "now" (func $now (result i64)))
        (import "host" "today" (func $today (param i32)))
    "#;
    let given = r#"(with "host" (instance (export "bytes" (func $bytes-core)) (export "now" (func $now-core))
        (export "today" (func $today-core))))"#;
    let ground = Ground::new().await;
    let ask = |bytes: &str| format!("(call $bytes (i64.const {bytes}) (i32.const 3072))");
    let body = acts(&[
        format!("{} (if (i32.ne (i32.load (i32.const 3076)) (i32.const 65536)) (then unreachable))", ask("65536")),
        // Trap unless they are whole milliseconds.
        times(100_000, "(if (i64.ne (i64.rem_u (call $now) (i64.const 1000000)) (i64.const 0)) (then unreachable))"),
        times(
            100_000,
            "(call $today (i32.const 3072))
             (if (i32.rem_u (i32.load (i32.const 3080)) (i32.const 1000000)) (then unreachable))",
        ),
        ask("65537"),
        ask("1073741824"),
        ask("-1"),
    ]);
    let skill = ground.load(&wat::asking(&body, module, SOURCES, given)).await.unwrap();
    for n in 0..3 {
        outcome(&ground, chosen(&skill, n)).await.unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    for n in 3..6 {
        let error = outcome(&ground, chosen(&skill, n)).await.unwrap_err();
        assert!(error.kind() == "trap" && error.to_string().contains("exceeds limit 65536"), "{n}: {error}");
    }
    ground.survived(None, "").await;
}
