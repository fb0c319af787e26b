//! Names that lead where they must not. A network of a test's own stands for name servers; builds that people run have no such
//! thing, and so this file is empty there.
#![cfg(debug_assertions)]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use ringfence_core::capability::http::{Network, Resolve, TestNetwork, Unresolved};
use serde_json::json;

use crate::ground::Ground;
use crate::support::TestHost;
use crate::support::hosts::{said, web_call};
use crate::support::peer::Peer;

/// Every name leads to this machine.
struct Rebound(AtomicUsize);

impl Resolve for Rebound {
    fn resolve(&self, name: &str) -> BoxFuture<'_, Result<Vec<IpAddr>, Unresolved>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let address = if name == "friend.test" { "127.0.0.1" } else { "127.0.0.2" };
        Box::pin(std::future::ready(Ok(vec![address.parse().unwrap()])))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_granted_name_that_leads_to_this_machine_is_not_reached() {
    let peer = Peer::polite();
    let names = Arc::new(Rebound(AtomicUsize::new(0)));
    let reachable = vec![Network::parse("127.0.0.1").unwrap()];
    let host = TestHost::on(TestNetwork { resolver: names.clone(), reachable, tls: None }).await;
    let urls = ["friend.test", "enemy.test"].map(|name| format!("http://{name}:{}/", peer.at.port()));
    let rules = urls.each_ref().map(String::as_str);
    let skill = host.web(&rules).await;
    let get = |url: &str| host.host.invoke(web_call(&skill, "fetch", json!({ "url": url }), &rules.join(",")));
    assert!(get(&urls[0]).await.is_ok());
    let error = get(&urls[1]).await.unwrap_err();
    assert!(error.to_string().contains("this machine") && error.hint().contains("ringfence grant"), "{error:?}");
    assert_eq!((peer.connections(), names.0.load(Ordering::SeqCst)), (1, 2));
    host.still_works().await;
}

/// Every name is this machine, which may be reached.
struct Near;

impl Resolve for Near {
    fn resolve(&self, _: &str) -> BoxFuture<'_, Result<Vec<IpAddr>, Unresolved>> {
        Box::pin(std::future::ready(Ok(vec![[127, 0, 0, 1].into()])))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t89_what_is_private_does_not_leave_to_where_only_a_pattern_leads() {
    let peer = Peer::polite();
    let reachable = vec![Network::parse("127.0.0.1").unwrap()];
    let ground = Ground::on(TestHost::on(TestNetwork { resolver: Arc::new(Near), reachable, tls: None }).await).await;
    let host = &ground.host;
    let at = |name: &str| format!("http://{name}.enemy.test:{}", peer.at.port());
    let (pattern, named, page, sink) = (at("*"), at("sink"), at("page") + "/", at("sink") + "/");
    let skill = host.web(&[&pattern, &named]).await;
    host.host.invoke(web_call(&skill, "put", json!({ "key": "k", "value": "of the person" }), &pattern)).await.unwrap();
    let both = format!("{pattern},{named}");
    for (grant, input, leaves) in [
        (&pattern, json!({ "to": sink }), true),
        (&pattern, json!({ "first": page, "to": sink }), true),
        // What its answer brings comes after it has sent.
        (&pattern, json!({ "key": "k", "to": sink }), true),
        (&pattern, json!({ "first": page, "key": "k", "to": sink }), false),
        (&pattern, json!({ "first": page, "key": "nothing", "to": sink }), false),
        (&both, json!({ "first": page, "key": "k", "to": sink }), true),
        (&both, json!({ "first": page, "key": "k", "to": page }), false),
    ] {
        let posts = || peer.heads().iter().filter(|head| head.starts_with("POST")).count();
        let before = posts();
        let done = host.host.invoke(web_call(&skill, "carry", input.clone(), grant)).await.unwrap();
        let text = said(&done);
        assert_eq!((posts() - before, text == "200"), (usize::from(leaves), leaves), "{grant} {input}: {text}");
        assert!(leaves || text.contains("nobody is there"), "{grant} {input}: {text}");
    }
    ground.survived_probe().await;
}

/// The doors of this file are no doors of a release.
#[test]
fn t60_a_release_has_no_network_for_tests() {
    let root = crate::support::repository();
    for (file, item) in [
        ("host/core/src/host.rs", "    pub async fn open_on("),
        ("host/core/src/capability/http/egress.rs", "    pub fn on("),
        ("host/core/src/net/mod.rs", "pub struct TestNetwork {"),
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let (before, _) = text.split_once(item).unwrap_or_else(|| panic!("{file} has no {item}"));
        let attributes: String = before.lines().rev().take(4).collect();
        assert!(attributes.contains("debug_assertions"), "{item} of {file} is there in every build");
    }
}
