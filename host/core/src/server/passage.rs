//! The way of everything that a sign-in sends: one request to one place, by the rules that the connection itself is under.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use rmcp::transport::auth::{OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest};
use tokio::time::timeout;
use url::form_urlencoded;

use super::http::{Named, Reach};
use super::{ServerError, failure};
use crate::net::{Network, Origin, Target, client};

/// How long a request with its answer may take.
const WHOLE: Duration = Duration::from_secs(30);
/// Most bytes of an answer: metadata and tokens are some thousands.
const BYTES: usize = 256 << 10;
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// What a sign-in may reach. Follows no redirect, so nothing that is sent to one origin reaches another.
pub(super) struct Passage {
    name: String,
    /// The server itself, which a person named. Whatever else is asked was named by a server.
    own: Origin,
    networks: Vec<Network>,
    reach: Reach,
    /// What tokens are asked for, letter by letter as the server named it (RFC 8707): an address that is parsed and written again may
    /// have a slash more. None until it is known.
    resource: Option<String>,
    refused: Mutex<Option<ServerError>>,
}

impl Passage {
    pub(super) fn new(name: &str, own: &Origin, networks: &[Network], reach: &Reach, resource: Option<String>) -> Self {
        let refused = Mutex::default();
        Self {
            name: name.to_owned(),
            own: own.clone(),
            networks: networks.to_vec(),
            reach: reach.clone(),
            resource,
            refused,
        }
    }

    /// The first address that was not reached because it may not be.
    pub(super) fn refused(&self) -> Option<ServerError> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks one place. Follows no redirect.
    pub(super) async fn pass(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, ServerError> {
        let unavailable = |reason: String| ServerError::Unavailable { name: self.name.clone(), reason };
        let target = Target::parse(&request.uri().to_string()).map_err(|refusal| unavailable(refusal.to_string()))?;
        let named = if *target.origin() == self.own { Named::ByPerson } else { Named::ByServer };
        let mut request = reqwest::Request::try_from(self.of_resource(request))
            .map_err(|error| unavailable(client::chain(&error)))?;
        // What was checked is what is asked.
        *request.url_mut() = target.url().clone();
        let place = target.place();
        let exchange = async {
            let client = self.reach.client(&self.name, &target, &self.networks, named).await?;
            let failed = |error: reqwest::Error| unavailable(format!("`{place}`: {}", failure::of_stream(&error)));
            let mut response = client.execute(request).await.map_err(failed)?;
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(failed)? {
                if body.len() + piece.len() > BYTES {
                    return Err(unavailable(format!("`{place}` sent more than {} KiB", BYTES >> 10)));
                }
                body.extend_from_slice(&piece);
            }
            Ok(http::Response::<reqwest::Body>::from(response).map(|_| body))
        };
        let late = |_| unavailable(format!("`{place}` has not answered within {} s", WHOLE.as_secs()));
        timeout(WHOLE, exchange).await.map_err(late)?
    }

    fn of_resource(&self, mut request: http::Request<Vec<u8>>) -> http::Request<Vec<u8>> {
        let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == FORM.as_bytes());
        if let Some(resource) = &self.resource
            && is_form
        {
            let pairs = form_urlencoded::parse(request.body()).into_owned();
            let pairs =
                pairs.map(|(name, value)| if name == "resource" { (name, resource.clone()) } else { (name, value) });
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            *request.body_mut() = body.into_bytes();
        }
        request
    }
}

impl OAuthHttpClient for Passage {
    fn execute(&self, asked: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let done = self.pass(asked.request).await;
            Ok(done.inspect_err(|error| {
                if matches!(error, ServerError::Address { .. }) {
                    self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
                }
            })?)
        })
    }
}
