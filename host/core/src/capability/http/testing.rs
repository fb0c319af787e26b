//! What tests of this capability stand on: a session, a network of their own, and peers that say what they are told to.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::follow::{self, Order, Way};
use super::port::Answer;
use super::resolve::{Resolve, Unresolved};
use super::secrets::{NoSecrets, Secrets};
use super::{Egress, Gate, Grant, HttpSettings, Network, Target, TestNetwork, headers};
use crate::broker::{Session, Setup, Shared};
use crate::budget::{Budgets, Treasury};
use crate::error::Refusal;
use crate::policy::rules::Rules;
use crate::policy::{Grantable as _, Grants};
use crate::state::testing::temporary;

/// Names with their addresses. One more answer for the same name replaces the first from the second look-up on.
#[derive(Default)]
pub(super) struct Names {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    pub(super) lookups: AtomicUsize,
}

impl Names {
    pub(super) fn of(names: &[(&str, &[&str])]) -> Arc<Self> {
        let mut answers: HashMap<String, Vec<Vec<IpAddr>>> = HashMap::new();
        for (name, addresses) in names {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            answers.entry((*name).to_owned()).or_default().push(addresses);
        }
        Arc::new(Self { answers, lookups: AtomicUsize::new(0) })
    }
}

impl Resolve for Names {
    fn resolve(&self, name: &str) -> BoxFuture<'_, Result<Vec<IpAddr>, Unresolved>> {
        let at = self.lookups.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(name).map(|answers| answers[at.min(answers.len() - 1)].clone());
        Box::pin(std::future::ready(answer.ok_or_else(|| Unresolved("no such name".into()))))
    }
}

pub(super) struct Ground {
    _dir: tempfile::TempDir,
    pub(super) session: Session,
    pub(super) egress: Arc<Egress>,
    pub(super) gate: Arc<Gate>,
    pub(super) shared: Arc<Shared>,
    settings: HttpSettings,
    grants: Grants,
    ledger: crate::budget::Ledger,
}

/// What a ground is made with.
pub(super) struct With {
    pub(super) grant: String,
    pub(super) names: Arc<Names>,
    /// Networks that names may lead to.
    pub(super) reachable: Vec<&'static str>,
    pub(super) settings: HttpSettings,
    pub(super) tls: Option<rustls::ClientConfig>,
    pub(super) secrets: Arc<dyn Secrets>,
}

impl With {
    pub(super) fn grant(grant: impl Into<String>) -> Self {
        Self {
            grant: grant.into(),
            names: Names::of(&[]),
            reachable: Vec::new(),
            settings: HttpSettings { idle_seconds: 1, head_seconds: 5, ..HttpSettings::default() },
            tls: None,
            secrets: Arc::new(NoSecrets),
        }
    }

    pub(super) async fn open(self) -> Ground {
        let (dir, state) = temporary();
        let treasury = Treasury::open(state.clone()).await.unwrap();
        let shared = Shared::on(state, Rules::default());
        let grants = Grants { http: Some(Grant::parse(Some(&self.grant)).unwrap()), ..Grants::default() };
        let ledger = treasury.ledger("a", "1", &Budgets::default());
        let session = Session::new(Setup::of(Arc::clone(&shared), grants.clone(), ledger.clone()));
        let network = TestNetwork {
            resolver: self.names,
            reachable: self.reachable.iter().map(|net| Network::parse(net).unwrap()).collect(),
            tls: self.tls,
        };
        let egress = Arc::new(Egress::on(self.settings.clone(), self.secrets, network));
        let gate = Arc::new(egress.gate());
        Ground { _dir: dir, session, egress, gate, shared, settings: self.settings, grants, ledger }
    }
}

impl Ground {
    /// The same host, seen by another skill.
    pub(super) fn as_skill(&self, skill: &str) -> Session {
        Session::new(Setup { skill: skill.into(), ..self.setup() })
    }

    /// What another session of this host is made with.
    pub(super) fn setup(&self) -> Setup {
        Setup::of(Arc::clone(&self.shared), self.grants.clone(), self.ledger.clone())
    }

    pub(super) async fn get(&self, url: &str) -> Result<Answer, Refusal> {
        self.send("GET", url, &[], b"").await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        url: &str,
        given: &[(&str, &str)],
        body: &'static [u8],
    ) -> Result<Answer, Refusal> {
        self.send_as(&self.session, method, url, given, body).await
    }

    pub(super) async fn send_as(
        &self,
        session: &Session,
        method: &str,
        url: &str,
        given: &[(&str, &str)],
        body: &'static [u8],
    ) -> Result<Answer, Refusal> {
        let order = Order {
            method: headers::method(method)?,
            target: Target::parse(url)?,
            headers: headers::read(given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())?,
            body: body.into(),
            follow: true,
            until: Instant::now() + self.settings.head(),
            hops: 0,
            redirected_by: None,
        };
        let permit = session.permit(order.ask(session, false)).await?;
        let way = Way {
            session: session.clone(),
            egress: Arc::clone(&self.egress),
            gate: Arc::clone(&self.gate),
            slot: self.gate.slot()?,
        };
        follow::run(way, permit, order).await
    }
}

pub(super) async fn text(mut answer: Answer) -> Result<String, Refusal> {
    let mut all = Vec::new();
    loop {
        match answer.body.read(0).await? {
            piece if piece.is_empty() => return Ok(String::from_utf8_lossy(&all).into_owned()),
            piece => all.extend_from_slice(&piece),
        }
    }
}

/// What a peer says to the head of a request. Empty closes the connection.
type Says = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// A server on loopback that records each request's head byte for byte. Ends with its value.
pub(super) struct Peer {
    pub(super) at: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Peer {
    pub(super) async fn says(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", answer).await
    }

    pub(super) async fn on(at: &str, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (heads, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (seen, count, answer): (_, _, Says) = (Arc::clone(&heads), Arc::clone(&connections), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(talk(stream, Arc::clone(&seen), Arc::clone(&answer)));
            }
        });
        Self { at, heads, connections, task }
    }

    /// Answers everything with a short text.
    pub(super) async fn polite() -> Self {
        Self::says(|_| ok("hello")).await
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(super) fn redirect(status: u16, to: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

async fn talk(mut stream: tokio::net::TcpStream, seen: Arc<Mutex<Vec<String>>>, answer: Says) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes.drain(..end);
        seen.lock().unwrap().push(head.clone());
        let said = answer(&head);
        if said.is_empty() || stream.write_all(&said).await.is_err() {
            return;
        }
        if said.ends_with(b"!hang") {
            // Until the other side lets go.
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}
