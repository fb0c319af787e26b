//! One request of a skill, from hop to hop. Each hop is an act of its own: allowed, recorded and counted as if the skill had
//! asked for it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::gate::{Gate, Slot};
use super::port::{Answer, Out, Wire as _};
use super::url::Target;
use super::{Egress, Exchange, redirect};
use crate::broker::{Permit, Session};
use crate::error::Refusal;

/// What is to be sent next.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) method: Method,
    pub(super) target: Target,
    /// With placeholders of secrets.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) follow: bool,
    /// When the last response's head has to be there.
    pub(super) until: Instant,
    /// Redirects so far.
    pub(super) hops: u32,
    pub(super) redirected_by: Option<String>,
}

/// As of what is asked for: nothing that may be private.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("{} {}", self.method, self.target.place());
        f.debug_struct("Order").field("place", &place).field("hops", &self.hops).finish_non_exhaustive()
    }
}

impl Order {
    pub(super) fn ask(&self, session: &Session, upload: bool) -> Exchange {
        let networks = session.grants().http.as_ref().map(|grant| grant.networks.clone()).unwrap_or_default();
        Exchange {
            skill: session.skill().to_owned(),
            method: self.method.clone(),
            target: self.target.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            upload,
            networks,
            patience: self.until.saturating_duration_since(Instant::now()),
            redirected_by: self.redirected_by.clone(),
        }
    }
}

/// What one request runs with.
pub(super) struct Way {
    pub(super) session: Session,
    pub(super) egress: Arc<Egress>,
    pub(super) gate: Arc<Gate>,
    /// Held until the body of the last response is read.
    pub(super) slot: Slot,
}

/// Sends, and follows where that was asked for.
pub(super) async fn run(way: Way, first: Permit<Exchange>, mut order: Order) -> Result<Answer, Refusal> {
    let Way { session, egress, gate, slot } = way;
    let mut permit = first;
    loop {
        let mut answer = send(&egress, &session, permit, Out::Whole(order.body.clone())).await?;
        let next = if order.follow { redirect::next(&order, answer.status, answer.header("location"))? } else { None };
        let Some(next) = next else {
            answer.body.slot = Some(slot);
            return Ok(answer);
        };
        drop(answer);
        order = next;
        egress.count(&gate, session.began())?;
        permit = session.permit(order.ask(&session, false)).await?;
    }
}

/// Sends one hop. Its record is closed when its body has ended.
pub(super) async fn send(
    egress: &Egress,
    session: &Session,
    permit: Permit<Exchange>,
    body: Out,
) -> Result<Answer, Refusal> {
    let receipt = permit.receipt();
    let mut sent = egress.send(permit, session, body).await;
    match &mut sent {
        Ok(answer) => {
            receipt.span().record("http.response.status_code", i64::from(answer.status));
            answer.body.receipt = Some(receipt);
        }
        Err(_) => receipt.ended(&sent),
    }
    sent
}
