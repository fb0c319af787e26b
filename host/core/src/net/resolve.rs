//! From a name to addresses: one look-up per hop, bounded, and by nobody else than this.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// Most addresses of a name that are looked at. A name with more has them refused: none may go unchecked.
pub(crate) const MOST_ADDRESSES: usize = 16;

/// Look-ups at once. The system's resolver blocks a thread for each, and a dead name server holds it for half a minute.
const LOOKUPS: usize = 32;

/// How long an answer is used again. Its addresses are checked at each use.
const FRESH: Duration = Duration::from_secs(5);
const KEPT: usize = 1_024;

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unresolved(pub String);

/// Something that knows addresses of names. Gives at most one more than it may, so that too many are noticed.
pub trait Resolve: Send + Sync + 'static {
    fn resolve(&self, name: &str) -> BoxFuture<'_, Result<Vec<IpAddr>, Unresolved>>;
}

/// The system's resolver, with its hosts file.
pub(crate) struct System {
    lookups: Arc<Semaphore>,
    answers: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl System {
    pub(crate) fn new() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)), answers: Mutex::default() }
    }

    fn known(&self, name: &str) -> Option<Vec<IpAddr>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(name).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, addresses)| addresses.clone())
    }

    fn keep(&self, name: String, addresses: Vec<IpAddr>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= KEPT {
            answers.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if answers.len() < KEPT {
            answers.insert(name, (Instant::now(), addresses));
        }
    }
}

impl Resolve for System {
    fn resolve(&self, name: &str) -> BoxFuture<'_, Result<Vec<IpAddr>, Unresolved>> {
        let name = name.to_owned();
        Box::pin(async move {
            if let Some(addresses) = self.known(&name) {
                return Ok(addresses);
            }
            let busy = || Unresolved("the resolver has stopped".into());
            let place = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| busy())?;
            let asked = name.clone();
            let look = tokio::task::spawn_blocking(move || {
                // Held until the thread is free again, also where nobody waits for it any more.
                let _place = place;
                (asked.as_str(), 0).to_socket_addrs().map(|found| distinct(found.map(|address| address.ip())))
            });
            let addresses = look.await.map_err(|_| busy())?.map_err(|error| Unresolved(error.to_string()))?;
            self.keep(name, addresses.clone());
            Ok(addresses)
        })
    }
}

fn distinct(found: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) && addresses.len() <= MOST_ADDRESSES {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_this_machine_and_no_invalid_name() {
        let system = System::new();
        let found = system.resolve("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
        assert_eq!(system.known("localhost"), Some(found));
        assert!(system.resolve("no-such-name.invalid").await.is_err());
    }

    #[test]
    fn t61_a_flood_of_addresses_is_cut_one_above_the_limit() {
        let many = (0..1_000u32).map(|n| IpAddr::from(n.to_be_bytes()));
        assert_eq!(distinct(many.clone().chain(many)).len(), MOST_ADDRESSES + 1);
    }
}
