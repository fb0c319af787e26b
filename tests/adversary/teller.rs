//! A provider on loopback that reads whole requests, and answers each with the bytes that the test gives for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// An answer, and what becomes of the connection.
pub(crate) enum Says {
    /// Then it is closed.
    Once(Vec<u8>),
    /// The bytes, then a reset.
    Reset(Vec<u8>),
    /// The bytes, then silence until the other side lets go.
    Hang(Vec<u8>),
    /// The bytes, then others again and again until nobody takes them any more.
    Flood(Vec<u8>, Vec<u8>),
    /// The bytes, then one byte again and again with a pause before each.
    Drip(Vec<u8>, u8, Duration),
}

/// What is said to the body of a request.
type Answer = dyn Fn(&Value) -> Says + Send + Sync;

/// Ends with the process: its threads hold nothing but a socket.
pub(crate) struct Teller {
    at: SocketAddr,
    bodies: Arc<Mutex<Vec<Value>>>,
    /// A message whenever the first bytes of an answer are out.
    said: Mutex<Receiver<()>>,
    /// Bytes that were taken of an answer, of connections that have ended.
    gone: Mutex<Receiver<usize>>,
}

impl Teller {
    pub(crate) fn answering(answer: impl Fn(&Value) -> Says + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let bodies = Arc::<Mutex<Vec<Value>>>::default();
        let ((send_said, said), (send_gone, gone)) = (channel(), channel());
        let (seen, answer) = (Arc::clone(&bodies), Arc::<Answer>::from(Box::new(answer) as Box<Answer>));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let (said, gone) = (send_said.clone(), send_gone.clone());
                std::thread::spawn(move || talk(stream, &seen, &*answer, &said, &gone));
            }
        });
        Self { at, bodies, said: Mutex::new(said), gone: Mutex::new(gone) }
    }

    /// The bodies of all requests that came, in order.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }

    /// Waits until the first bytes of an answer are out that nobody waited for yet.
    pub(crate) fn wait(&self) {
        self.said.lock().unwrap().recv_timeout(Duration::from_secs(60)).expect("no request came");
    }

    /// Waits until a connection has ended, and gives how many bytes of its answer were taken.
    pub(crate) fn gone(&self) -> usize {
        self.gone.lock().unwrap().recv_timeout(Duration::from_secs(60)).expect("the connection still stands")
    }

    /// The configuration that makes it the only model, without a key, at a dollar for a million tokens in and two for a
    /// million out.
    pub(crate) fn config(&self, retries: u32) -> String {
        let price = "[models.prices.\"fake/clever\"]\ninput = 1000000\noutput = 2000000\n";
        format!("{}{price}", self.config_without_price(retries))
    }

    pub(crate) fn config_without_price(&self, retries: u32) -> String {
        format!(
            "[models]\nretries = {retries}\n[models.providers.fake]\ntype = \"openai-compatible\"\nbase-url = \"http://{}/v1\"\n\
             timeouts = {{ connect = 10, first-byte = 60, idle = 60 }}\n[models.aliases]\ndefault = [\"fake/clever\"]\n",
            self.at
        )
    }
}

/// The head of a stream that ends with its connection.
pub(crate) fn stream(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n{body}").into_bytes()
}

/// A piece of text in a stream.
pub(crate) fn word(text: &str) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "clever-2026",
        "choices": [{ "index": 0, "delta": { "role": "assistant", "content": text }, "finish_reason": null }],
    });
    format!("data: {chunk}\n\n")
}

/// A whole answer with this usage; none where it is null.
pub(crate) fn whole(usage: &Value) -> Vec<u8> {
    let mut answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "clever-2026",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "fine" }, "finish_reason": "stop" }],
    });
    if !usage.is_null() {
        answer["usage"] = usage.clone();
    }
    status("200 OK", "content-type: application/json\r\n", &answer.to_string())
}

/// An answer with a status line, header lines and a body.
pub(crate) fn status(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {line}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn talk(mut stream: TcpStream, seen: &Mutex<Vec<Value>>, answer: &Answer, said: &Sender<()>, gone: &Sender<usize>) {
    let Some(body) = request(&mut stream) else { return };
    let says = answer(&body);
    seen.lock().unwrap().push(body);
    // A connection that is closed with a byte unread is reset.
    if !matches!(says, Says::Reset(_)) && stream.read_exact(&mut [0]).is_err() {
        return;
    }
    let (Says::Once(first) | Says::Reset(first) | Says::Hang(first) | Says::Flood(first, _) | Says::Drip(first, ..)) =
        &says;
    let mut taken = first.len();
    let alive = stream.write_all(first).is_ok();
    let _ = said.send(());
    match &says {
        Says::Once(_) | Says::Reset(_) => {}
        Says::Hang(_) => while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {},
        Says::Flood(_, again) => {
            while alive && stream.write_all(again).is_ok() {
                taken += again.len();
            }
        }
        Says::Drip(_, byte, pause) => {
            while alive && stream.write_all(&[*byte]).is_ok() {
                taken += 1;
                std::thread::sleep(*pause);
            }
        }
    }
    drop(stream);
    let _ = gone.send(taken);
}

/// The body of a request, as JSON. Its last byte, which is a brace, is left in the socket.
fn request(stream: &mut TcpStream) -> Option<Value> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
    let mut body = vec![0; length.checked_sub(1)?];
    stream.read_exact(&mut body).ok()?;
    body.push(b'}');
    serde_json::from_slice(&body).ok()
}
