//! Requests to servers.

use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::json;

/// Sends a request and gives status, headers, URL and text of the response.
#[tool(open_world, output = Seen)]
pub fn fetch(
    method: Option<String>,
    url: &str,
    headers: Option<Vec<(String, String)>>,
    body: Option<String>,
    follow: Option<bool>,
    timeout_ms: Option<u32>,
) -> Result<Outcome, Failure> {
    let mut request = http::request(method.as_deref().unwrap_or("GET"), url).follow(follow.unwrap_or(true));
    for (name, value) in headers.unwrap_or_default() {
        request = request.header(&name, &value);
    }
    if let Some(ms) = timeout_ms {
        request = request.timeout(std::time::Duration::from_millis(ms.into()));
    }
    let response = request.body(body.unwrap_or_default()).send()?;
    let (status, url, headers) = (response.status(), response.url().to_owned(), response.headers().to_vec());
    Outcome::structured(&json!({ "status": status, "url": url, "headers": headers, "text": response.text()? }))
}

/// What came back.
#[derive(Serialize, JsonSchema)]
struct Seen {
    status: u16,
    url: String,
    headers: Vec<(String, String)>,
    text: String,
}

/// Gets a URL, where there is one; reads what is kept under a key, where there is one; sends that to another URL, and says how it went.
#[tool(open_world)]
pub fn carry(first: Option<String>, key: Option<String>, to: &str) -> Result<String, Failure> {
    if let Some(first) = first {
        http::get(&first)?.text()?;
    }
    let kept = key.map(|key| kv::get::<String>(&key)).transpose()?.flatten();
    let sent = http::request("POST", to).body(kept.unwrap_or_default()).send();
    Ok(sent.map_or_else(|refusal| refusal.to_string(), |answer| answer.status().to_string()))
}

/// Gets many URLs at once, and says for each its status or the refusal.
#[tool(open_world)]
pub fn fetch_all(urls: Vec<String>, at_once: u32) -> String {
    let requests = urls.iter().map(|url| http::request("GET", url));
    let say = |answer: Result<http::Response, Refusal>| match answer {
        Ok(response) => response.status().to_string(),
        Err(refusal) => refusal.to_string(),
    };
    http::parallel(requests, at_once as usize).map(say).collect::<Vec<_>>().join("\n")
}

/// Reads a body in pieces of so many bytes, stops after so many of them, and says how many bytes came.
#[tool(open_world)]
pub fn fetch_some(url: &str, piece: u32, pieces: u32) -> Result<String, Failure> {
    let mut response = http::get(url)?;
    let mut bytes = 0;
    for _ in 0..pieces {
        match response.read(piece)?.len() {
            0 => break,
            n => bytes += n,
        }
    }
    Ok(bytes.to_string())
}

/// Writes a body piece by piece, and gives the answer's text.
#[tool(open_world)]
pub fn upload(url: &str, piece: &str, times: u32, finish: bool) -> Result<String, Failure> {
    let mut upload = http::request("PUT", url).begin()?;
    for _ in 0..times {
        upload.write(piece.as_bytes())?;
    }
    Ok(if finish { upload.finish()?.text()? } else { "given up".into() })
}
