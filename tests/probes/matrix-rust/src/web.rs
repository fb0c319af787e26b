//! Requests to servers.

use ringfence_skill::prelude::*;

/// What a server answered.
#[derive(Serialize, JsonSchema)]
pub struct Page {
    status: u16,
    body: String,
}

fn page(response: http::Response) -> Result<Page, Failure> {
    Ok(Page { status: response.status(), body: response.text()? })
}

/// Gets a URL.
#[tool(open_world)]
pub fn fetch(
    url: &str,
    /// The value of the header `authorization`.
    header: Option<String>,
) -> Result<Page, Failure> {
    let mut request = http::request("GET", url);
    if let Some(value) = header {
        request = request.header("authorization", &value);
    }
    page(request.send()?)
}

/// What servers answered.
#[derive(Serialize, JsonSchema)]
pub struct Bodies {
    bodies: Vec<String>,
}

/// Gets URLs at the same time.
#[tool(open_world)]
pub fn fetch_many(urls: Vec<String>) -> Result<Bodies, Failure> {
    let requests = urls.iter().map(|url| http::request("GET", url));
    let bodies = http::parallel(requests, urls.len()).map(|response| response?.text());
    Ok(Bodies { bodies: bodies.collect::<Result<_, _>>()? })
}

/// Posts a body that it writes piece by piece.
#[tool(open_world)]
pub fn send_up(url: &str, chunks: Vec<String>) -> Result<Page, Failure> {
    let mut upload = http::request("POST", url).begin()?;
    for chunk in chunks {
        upload.write(chunk.as_bytes())?;
    }
    page(upload.finish()?)
}

/// Whether there is a secret.
#[derive(Serialize, JsonSchema)]
pub struct Secret {
    exists: bool,
}

/// Whether a secret of that name may be used.
#[tool(read_only)]
pub fn secret(name: &str) -> Secret {
    Secret { exists: secrets::exists(name) }
}
