//! How deliveries go to the collector: by the same HTTP and TLS as everything else, on a thread that nothing else waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Runtime;

use super::plan::Signal;

/// Most of an answer that is read: a collector says how much it refused.
const MOST: usize = 64 << 10;

/// The client of the exporter. Its deliveries are made where the exporter's own thread waits for them, so that they neither need
/// the host's workers nor end with them.
#[derive(Debug)]
pub(super) struct Wire {
    signal: Signal,
    client: reqwest::Client,
    runtime: Runtime,
    has_failed: AtomicBool,
}

impl Wire {
    pub(super) fn new(signal: Signal, timeout: Duration) -> Result<Self, String> {
        let client = ringfence_core::net::to_operators_server(timeout)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no thread can be made for them: {error}"))?;
        Ok(Self { signal, client, runtime, has_failed: AtomicBool::new(false) })
    }

    async fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.client.execute(request.try_into()?).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = std::mem::take(answer.headers_mut());
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > MOST {
                return Err("the answer is too long".into());
            }
            body.extend_from_slice(&piece);
        }
        Ok(response.body(body.into())?)
    }

    /// The operator learns of the first failure. Without the URL: it may hold a key.
    fn told(&self, place: &str, why: &str) {
        let what = self.signal.word();
        match self.has_failed.swap(true, Ordering::Relaxed) {
            false => tracing::warn!("{what} do not arrive at {place}: {why}"),
            true => tracing::debug!("{what} do not arrive at {place}: {why}"),
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Wire {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let place = request.uri().authority().map(|place| {
            let text = place.as_str();
            text.rsplit_once('@').map_or(text, |(_, host)| host).to_owned()
        });
        let place = place.unwrap_or_default();
        let done = self.runtime.block_on(self.deliver(request));
        match &done {
            Ok(response) if !response.status().is_success() => {
                self.told(&place, &format!("it answers {}", response.status().as_u16()));
            }
            Ok(_) => self.has_failed.store(false, Ordering::Relaxed),
            Err(error) if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout) => {
                self.told(&place, "it does not answer in time");
            }
            Err(_) => self.told(&place, "it cannot be reached"),
        }
        done
    }
}

/// As [`Wire`], for an exporter whose bodies are made elsewhere: each request goes with what was set last.
#[derive(Debug)]
pub(super) struct Filled {
    wire: Wire,
    body: Body,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Body(Arc<Mutex<Bytes>>);

impl Body {
    pub(super) fn set(&self, body: Vec<u8>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body.into();
    }

    fn get(&self) -> Bytes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Filled {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, body: Body::default() }
    }

    pub(super) fn body(&self) -> Body {
        self.body.clone()
    }
}

#[async_trait::async_trait]
impl HttpClient for Filled {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.wire.send_bytes(request.map(|_| self.body.get())).await
    }
}
