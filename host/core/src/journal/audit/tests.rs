use super::*;
use crate::state::testing::temporary;

fn entry(subject: &str) -> Entry {
    Entry {
        event: Event::Intent,
        invocation: "i".into(),
        act: 1,
        skill: "s".into(),
        caller: "user".into(),
        capability: "kv",
        subject: subject.into(),
        kind: "",
        detail: String::new(),
    }
}

/// An audit with `count` records and a signed head.
async fn filled(count: u64) -> (tempfile::TempDir, State, Audit) {
    let (dir, state) = temporary();
    let audit = Audit::open(state.clone(), dir.path()).unwrap();
    for at in 1..=count {
        audit.note(entry(&format!("kv get {at}")));
    }
    audit.seal().await.unwrap();
    (dir, state, audit)
}

async fn fault(audit: &Audit) -> Option<Fault> {
    audit.verify().await.unwrap().fault
}

async fn tamper(state: &State, sql: &'static str) {
    state.write(move |tx| tx.execute_batch(sql)).await.unwrap();
}

#[tokio::test]
async fn a_chain_that_nobody_touched_holds() {
    let (_dir, _state, audit) = filled(10).await;
    audit.record(entry("after the head")).await.unwrap();
    let found = audit.verify().await.unwrap();
    assert_eq!((found.records, found.first, found.last, found.signed, found.fault), (11, 1, 11, 10, None));
    let all = audit.page(Filter::default(), 100).await.unwrap();
    assert_eq!(all.len(), 11);
    assert_eq!(all[0].subject, "kv get 1");
}

/// An intent is on record before it is in the chain, and a host that is killed in between leaves it to the next one.
#[tokio::test]
async fn an_intent_survives_a_kill_before_it_is_in_the_chain() {
    let (dir, state, audit) = filled(3).await;
    audit.intend(&entry("http GET one"), None::<()>).await.unwrap();
    let list = audit.list(Filter::default(), 1).await.unwrap();
    assert_eq!(list[0].subject, "http GET one", "who looks sees it at once");
    let go = crate::state::testing::hold(&state);
    let bad = "http GET two\n9 {}\u{202e}";
    audit.intend(&entry(bad), None::<()>).await.unwrap();
    let dead = crate::state::testing::killed(&state);
    drop(go);
    for name in ["audit.key", "audit.head"] {
        std::fs::copy(dir.path().join(name), dead.path().join(name)).unwrap();
    }
    for has_left in [true, false] {
        let state = crate::state::testing::open(dead.path());
        assert_eq!(state.left_behind().unwrap().is_some(), has_left);
        let next = Audit::resume::<()>(state, dead.path().to_path_buf()).await.unwrap();
        assert_eq!(fault(&next).await, None);
        let subjects = next.list(Filter::default(), 10).await.unwrap().into_iter().map(|record| record.subject);
        let subjects: Vec<String> = subjects.collect();
        assert_eq!(subjects[3..], ["http GET one".to_owned(), crate::plain::line(bad, 512).0]);
        next.seal().await.unwrap();
    }
}

#[tokio::test]
async fn t118_every_way_to_touch_the_chain_shows() {
    for (sql, expected) in [
        ("UPDATE audit SET subject = 'x' WHERE seq = 4", Fault::Changed { seq: 4 }),
        ("UPDATE audit SET at_us = at_us + 1 WHERE seq = 4", Fault::Changed { seq: 4 }),
        ("UPDATE audit SET event = 'nothing' WHERE seq = 4", Fault::Changed { seq: 4 }),
        ("DELETE FROM audit WHERE seq = 4", Fault::Missing { seq: 4 }),
        ("DELETE FROM audit WHERE seq = 1", Fault::Missing { seq: 1 }),
        ("DELETE FROM audit WHERE seq > 8", Fault::CutOff { last: 8, signed: 10 }),
        ("DELETE FROM audit", Fault::CutOff { last: 0, signed: 10 }),
        (
            "UPDATE audit SET seq = 100 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5;
             UPDATE audit SET seq = 5 WHERE seq = 100",
            Fault::Changed { seq: 4 },
        ),
        (
            "INSERT INTO audit SELECT 11, at_us, event, invocation, act, skill, caller, capability, subject, kind, detail,
             hash FROM audit WHERE seq = 10",
            Fault::Changed { seq: 11 },
        ),
        ("UPDATE audit_marks SET seq = 9", Fault::Forged { mark: "head" }),
        ("DELETE FROM audit_marks", Fault::HeadRemoved),
        ("DELETE FROM audit_marks; DELETE FROM audit WHERE seq > 5", Fault::RolledBack { last: 5, signed: 10 }),
    ] {
        let (_dir, state, audit) = filled(10).await;
        tamper(&state, sql).await;
        assert_eq!(fault(&audit).await, Some(expected), "{sql}");
    }
}

#[tokio::test]
async fn t118_a_chain_written_anew_without_the_key_shows() {
    let (_dir, state, audit) = filled(10).await;
    // What somebody does who knows how the hashes are made: change a record, and all hashes after it.
    let write = state.write(|tx| {
        let records: Vec<Record> = {
            let mut all = Vec::new();
            store::walk(tx, |record, _| {
                all.push(record.unwrap());
                true
            })?;
            all
        };
        let mut before = chain::GENESIS;
        for mut record in records {
            if record.seq == 3 {
                record.subject = "something else".into();
            }
            before = chain::hash(&before, &record);
            tx.execute(
                "UPDATE audit SET subject = ?1, hash = ?2 WHERE seq = ?3",
                rusqlite::params![record.subject, &before[..], record.seq as i64],
            )?;
        }
        Ok(())
    });
    write.await.unwrap();
    assert_eq!(fault(&audit).await, Some(Fault::Changed { seq: 10 }), "the signed record is another");
}

#[tokio::test]
async fn t118_an_older_state_that_was_put_back_shows() {
    let (dir, state, audit) = filled(5).await;
    state.flush().await.unwrap();
    let old = crate::state::testing::killed(&state);
    for _ in 0..5 {
        audit.note(entry("later"));
    }
    audit.seal().await.unwrap();
    drop((audit, state));
    for name in ["audit.key", "audit.head"] {
        std::fs::copy(dir.path().join(name), old.path().join(name)).unwrap();
    }
    let state = crate::state::testing::open(old.path());
    let audit = Audit::open(state, old.path()).unwrap();
    assert_eq!(fault(&audit).await, Some(Fault::RolledBack { last: 5, signed: 10 }));
    // What is recorded and signed afterwards does not cover it up.
    audit.record(entry("afterwards")).await.unwrap();
    audit.seal().await.unwrap();
    assert_eq!(fault(&audit).await, Some(Fault::RolledBack { last: 6, signed: 10 }));
    for _ in 0..9 {
        audit.record(entry("long afterwards")).await.unwrap();
        audit.seal().await.unwrap();
    }
    assert_eq!(fault(&audit).await, Some(Fault::GoneOn { signed: 10 }));
    // An operator who put a backup back says so by removing the file.
    std::fs::remove_file(old.path().join("audit.head")).unwrap();
    audit.record(entry("from here on")).await.unwrap();
    audit.seal().await.unwrap();
    assert_eq!(fault(&audit).await, None);
    assert!(old.path().join("audit.head").is_file());
}

#[tokio::test]
async fn t118_a_head_that_was_edited_or_cut_off_stays_in_evidence() {
    let (dir, _state, audit) = filled(5).await;
    let file = dir.path().join("audit.head");
    let good = std::fs::read_to_string(&file).unwrap();
    for bad in [good.replacen("\"seq\":5", "\"seq\":4", 1), "nothing".to_owned(), String::new()] {
        assert_ne!(bad, good);
        std::fs::write(&file, &bad).unwrap();
        audit.record(entry("afterwards")).await.unwrap();
        audit.seal().await.unwrap();
        assert_eq!(fault(&audit).await, Some(Fault::Forged { mark: "head" }));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), bad);
    }
    std::fs::write(&file, &good).unwrap();
    audit.record(entry("in order again")).await.unwrap();
    audit.seal().await.unwrap();
    assert_eq!(fault(&audit).await, None);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), good, "an older head of this chain is replaced");
}

#[tokio::test]
async fn old_records_go_and_the_chain_still_holds() {
    let (_dir, state, audit) = filled(50).await;
    let inner = Arc::clone(&audit.0);
    state.write(move |tx| store::prune(tx, &inner.key, 20)).await.unwrap();
    let found = audit.verify().await.unwrap();
    assert_eq!((found.first, found.last, found.fault), (31, 50, None));
    tamper(&state, "DELETE FROM audit WHERE seq = 31").await;
    assert_eq!(fault(&audit).await, Some(Fault::Missing { seq: 31 }));
    tamper(&state, "UPDATE audit_marks SET seq = 31 WHERE name = 'base'").await;
    assert_eq!(fault(&audit).await, Some(Fault::Forged { mark: "base" }));
}

#[tokio::test]
async fn a_chain_of_which_everything_is_old_goes_on() {
    let (_dir, state, audit) = filled(50).await;
    let inner = Arc::clone(&audit.0);
    state.write(move |tx| store::prune(tx, &inner.key, 0)).await.unwrap();
    audit.record(entry("next")).await.unwrap();
    let found = audit.verify().await.unwrap();
    assert_eq!((found.first, found.last, found.fault), (51, 51, None));
}

#[tokio::test]
async fn t117_texts_of_strangers_stay_on_one_line_and_short() {
    let (_dir, _state, audit) = filled(0).await;
    let bad = format!("a\n{{\"seq\":1}}\r\u{1b}[2J\u{202e}{}", "x".repeat(10 << 20));
    audit.record(Entry { detail: bad.clone(), ..entry(&bad) }).await.unwrap();
    let records = audit.list(Filter::default(), 10).await.unwrap();
    let text = serde_json::to_string(&records).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.len() < 3_000 && !text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    assert!(records[0].subject.contains("... sha256:"), "{}", records[0].subject);
    assert_eq!(fault(&audit).await, None);
}

#[tokio::test]
async fn records_are_found() {
    let (_dir, state, audit) = filled(3).await;
    audit.note(Entry { event: Event::Denied, capability: "model", ..entry("model smart") });
    audit.note(Entry { skill: "t".into(), invocation: "j".into(), ..entry("kv get 9") });
    audit.record(Entry::admin("grant", "s", "kv")).await.unwrap();
    // It may be there before what was only noted.
    state.flush().await.unwrap();
    let count = async |filter| audit.list(filter, 100).await.unwrap().len();
    assert_eq!(count(Filter { skill: Some("s".into()), ..Filter::default() }).await, 4);
    assert_eq!(count(Filter { event: Some(Event::Admin), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { invocation: Some("j".into()), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { capability: Some("model".into()), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { after: Some(4), ..Filter::default() }).await, 2);
    let newest = audit.list(Filter::default(), 2).await.unwrap();
    assert_eq!(newest.iter().map(|record| record.seq).collect::<Vec<_>>(), [5, 6]);
    let used = audit.used("s").await.unwrap();
    let model = used.iter().find(|used| used.capability == "model").unwrap();
    assert_eq!((model.times, model.refused), (0, 1));
    assert_eq!(used.len(), 4);
}

#[tokio::test]
async fn a_signature_that_could_not_be_kept_is_made_again_without_anything_new() {
    let (_dir, state) = temporary();
    let beside = tempfile::tempdir().unwrap();
    let audit = Audit::open(state, beside.path()).unwrap();
    let head = beside.path().join("audit.head");
    audit.record(entry("kv set a")).await.unwrap();
    std::fs::remove_dir_all(beside.path()).unwrap();
    audit.seal().await.unwrap_err();
    std::fs::create_dir(beside.path()).unwrap();
    audit.seal().await.unwrap();
    assert!(head.is_file());
    let found = audit.verify().await.unwrap();
    assert_eq!((found.signed, found.fault), (1, None));
}

#[test]
fn a_mark_is_read_only_as_it_is_written() {
    let read = |digits: &str| {
        let text = format!(r#"{{"seq":1,"hash":"{}","signature":"{}"}}"#, digits.repeat(32), digits.repeat(64));
        Mark::read(text.as_bytes())
    };
    assert_eq!((read("0f").hash, read("0f").signature), ([15; 32], vec![15; 64]));
    for digits in ["+f", "0F", "f", "\u{e9}"] {
        assert!(read(digits).signature.is_empty(), "{digits}");
    }
}
