//! Names that lead where they must not. A network of a test's own stands for name servers; builds that people run have no such
//! thing, and so this file is empty there.
#![cfg(debug_assertions)]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use ringfence_core::capability::http::{Network, Resolve, TestNetwork, Unresolved};
use serde_json::json;

use crate::support::TestHost;
use crate::support::hosts::web_call;
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
