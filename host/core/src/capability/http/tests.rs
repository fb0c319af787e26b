//! The way out against names and redirects that a stranger chose.

use std::sync::atomic::Ordering;

use super::testing::{Ground, Names, Peer, With, ok, redirect, text};
use crate::error::Refusal;
use crate::journal::audit::{Event, Filter};

/// What a record of `subject` says: event, kind and detail.
async fn records(ground: &Ground) -> Vec<(Event, String, String)> {
    ground.shared.audit.seal().await.unwrap();
    let all = ground.shared.audit.list(Filter::default(), 100).await.unwrap();
    all.into_iter()
        .map(|record| (record.event, record.kind, format!("{} | {}", record.subject, record.detail)))
        .collect()
}

#[track_caller]
fn denied<T>(result: Result<T, Refusal>) -> crate::error::Denial {
    match result {
        Err(Refusal::Denied(denial)) => denial,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was allowed"),
    }
}

#[tokio::test]
async fn a_request_goes_out_comes_back_and_recorded() {
    let peer = Peer::polite().await;
    let ground = With::grant(peer.url("")).open().await;
    let answer = ground.send("POST", &peer.url("/x?token=abc"), &[("x-a", "1")], b"body").await.unwrap();
    assert_eq!((answer.status, text(answer).await.unwrap().as_str()), (200, "hello"));
    let head = &peer.heads()[0];
    assert!(head.starts_with("POST /x?token=abc HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 4\r\n") && head.contains("x-a: 1\r\n"), "{head}");
    let records = records(&ground).await;
    let place = format!("http POST {}", peer.url("/x"));
    assert_eq!(records[0], (Event::Intent, String::new(), format!("{place} | ")));
    assert_eq!(records[1], (Event::Outcome, "ok".into(), format!("{place} | status=200 bytes=5")));

    let elsewhere = Peer::polite().await;
    denied(ground.get(&elsewhere.url("/")).await);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn t59_t60_a_name_in_this_machine_is_not_connected_to() {
    let canary = Peer::polite().await;
    let names = Names::of(&[("inside.test", &["127.0.0.1"])]);
    let url = format!("http://inside.test:{}/", canary.at.port());
    let ground = With { names, ..With::grant(url.clone()) }.open().await;
    let denial = denied(ground.get(&url).await);
    assert!(denial.reason.contains("this machine") && !denial.reason.contains("127.0.0.1"), "{}", denial.reason);
    assert!(denial.hint.contains("ringfence grant a http="), "{}", denial.hint);
    assert_eq!(canary.connections(), 0, "nothing was sent");
    let told = records(&ground).await;
    assert_eq!((told[1].0, told[1].1.as_str()), (Event::Outcome, "denied"));
    assert!(told[1].2.contains("127.0.0.1"), "the operator is told which address: {}", told[1].2);

    // The pair: the operator names the network.
    let names = Names::of(&[("inside.test", &["127.0.0.1"])]);
    let ground = With { names, ..With::grant(format!("{url},127.0.0.0/8")) }.open().await;
    assert_eq!(text(ground.get(&url).await.unwrap()).await.unwrap(), "hello");
}

#[tokio::test]
async fn t61_one_address_that_is_not_public_refuses_the_name() {
    for addresses in [
        &["127.0.0.1", "93.184.216.34"][..],
        &["93.184.216.34", "127.0.0.1"],
        &["93.184.216.34", "fd00::1"],
        &["2606:4700::1111", "::ffff:127.0.0.1"],
        &["93.184.216.34", "169.254.169.254"],
    ] {
        let names = Names::of(&[("mixed.test", addresses)]);
        let ground = With { names, ..With::grant("http://mixed.test") }.open().await;
        denied(ground.get("http://mixed.test/").await);
    }
    let many: Vec<String> = (1..=17).map(|n| format!("93.184.216.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let names = Names::of(&[("many.test", &many)]);
    let ground = With { names, ..With::grant("http://many.test") }.open().await;
    assert!(denied(ground.get("http://many.test/").await).reason.contains("more than 16"));
    let ground = With::grant("http://none.test").open().await;
    let refusal = ground.get("http://none.test/").await.err().unwrap();
    assert!(matches!(&refusal, Refusal::Unavailable(why) if why.contains("none.test")), "{refusal}");
}

#[tokio::test]
async fn t62_a_name_is_looked_up_once_and_stays_where_it_was() {
    // The second peer is what a rebinding name server would like to be reached.
    let first = Peer::on("127.0.0.2:0", |_| ok("first")).await;
    let port = first.at.port();
    let second = Peer::on(&format!("127.0.0.1:{port}"), |_| ok("second")).await;
    let names = Names::of(&[("rebind.test", &["127.0.0.2"]), ("rebind.test", &["127.0.0.1"])]);
    let url = format!("http://rebind.test:{port}/");
    let with = With { names: names.clone(), reachable: vec!["127.0.0.2"], ..With::grant(url.clone()) };
    let ground = with.open().await;
    assert_eq!(text(ground.get(&url).await.unwrap()).await.unwrap(), "first");
    assert_eq!(names.lookups.load(Ordering::SeqCst), 1);
    denied(ground.get(&url).await);
    assert_eq!((names.lookups.load(Ordering::SeqCst), second.connections()), (2, 0));
}

#[tokio::test]
async fn t63_every_hop_is_asked_for_again() {
    let canary = Peer::polite().await;
    let port = canary.at.port();
    let to: [(u16, String); 7] = [
        (302, format!("http://127.0.0.1:{port}/")),
        (307, format!("http://[::ffff:127.0.0.1]:{port}/")),
        (308, format!("//inside.test:{port}/")),
        (302, "file:///etc/passwd".into()),
        (302, format!("http://a.test@127.0.0.1:{port}/")),
        (302, "https://not-granted.test/".into()),
        (303, "x".repeat(40_000)),
    ];
    for (status, location) in to {
        let named = location.clone();
        let peer = Peer::on("127.0.0.2:0", move |_| redirect(status, &location)).await;
        let here = format!("http://127.0.0.2:{}", peer.at.port());
        let names = Names::of(&[("inside.test", &["127.0.0.1"])]);
        let grant = format!("{here},http://inside.test:{port}");
        let ground = With { names, ..With::grant(grant) }.open().await;
        let denial = denied(ground.get(&here).await);
        assert_eq!((peer.connections(), canary.connections()), (1, 0), "{named}: {}", denial.reason);
    }
}

#[tokio::test]
async fn t63_redirects_end() {
    let peer = Peer::says(|head| {
        let n: u32 = head.split(' ').nth(1).unwrap().trim_start_matches('/').parse().unwrap_or(0);
        if head.contains("/stop") { ok("end") } else { redirect(302, &format!("/{}", n + 1)) }
    })
    .await;
    let ground = With::grant(peer.url("")).open().await;
    let denial = denied(ground.get(&peer.url("/0")).await);
    assert!(denial.reason.contains("number 6"), "{}", denial.reason);
    assert_eq!(peer.heads().len(), 6);
    assert!(peer.heads().iter().all(|head| !head.to_lowercase().contains("referer")));
    // A page that refreshes itself and a server that asks for a password are answers, not redirects.
    let refresh =
        "HTTP/1.1 401 No\r\nrefresh: 0; url=http://evil.test/\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
    let peer = Peer::says(move |_| refresh.into()).await;
    let ground = With::grant(peer.url("")).open().await;
    assert_eq!(ground.get(&peer.url("/")).await.unwrap().status, 401);
    assert_eq!(peer.heads().len(), 1);
}

#[tokio::test]
async fn t63_a_hop_counts_as_a_request() {
    let peer = Peer::says(|head| if head.contains(" /end ") { ok("end") } else { redirect(302, "/end") }).await;
    let with = With::grant(peer.url(""));
    let settings = super::HttpSettings { requests: 1, ..with.settings.clone() };
    let ground = With { settings, ..with }.open().await;
    ground.egress.count(&ground.gate, "a").unwrap();
    let refusal = ground.get(&peer.url("/")).await.err().unwrap();
    assert!(matches!(refusal, Refusal::TooLarge(_)), "{refusal}");
    assert_eq!(peer.heads().len(), 1);
}

#[tokio::test]
async fn t73_credentials_do_not_follow_to_another_server() {
    let second = Peer::polite().await;
    let location = second.url("/hop");
    let first = Peer::says(move |_| redirect(307, &location)).await;
    let ground = With::grant(format!("{},{}", first.url(""), second.url(""))).open().await;
    let given =
        [("x-api-key", "hunter2"), ("authorization", "Bearer hunter2"), ("api-key", "hunter2"), ("accept", "a/b")];
    let answer = ground.send("POST", &first.url("/"), &given, b"body").await.unwrap();
    assert_eq!(answer.target.url().as_str(), second.url("/hop"));
    assert_eq!(first.heads()[0].matches("hunter2").count(), 3);
    let head = &second.heads()[0];
    assert!(!head.contains("hunter2") && head.contains("accept: a/b") && head.contains("content-length: 4"), "{head}");
}

#[tokio::test]
async fn t70_skills_share_no_connection() {
    let peer = Peer::polite().await;
    let ground = With::grant(peer.url("")).open().await;
    for _ in 0..3 {
        text(ground.get(&peer.url("/")).await.unwrap()).await.unwrap();
    }
    assert_eq!(peer.connections(), 1, "one skill uses its connection again");
    let other = ground.as_skill("b");
    text(ground.send_as(&other, "GET", &peer.url("/"), &[], b"").await.unwrap()).await.unwrap();
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn localhost_is_this_machine_whatever_a_name_server_says() {
    let peer = Peer::polite().await;
    let url = format!("http://localhost:{}/", peer.at.port());
    let names = Names::of(&[("localhost", &["93.184.216.34"])]);
    let ground = With { names: names.clone(), ..With::grant(url.clone()) }.open().await;
    assert_eq!(text(ground.get(&url).await.unwrap()).await.unwrap(), "hello");
    assert_eq!(names.lookups.load(Ordering::SeqCst), 0);
}
