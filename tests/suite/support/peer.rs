//! Servers on loopback that answer with the bytes that a test gives them, and record what came byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is said to the head of a request.
type Says = dyn Fn(&str) -> Said + Send + Sync;

/// An answer as raw bytes, and what becomes of the connection.
pub(crate) enum Said {
    /// Then it is closed.
    Once(Vec<u8>),
    /// The bytes, then others again and again until nobody takes them any more.
    Flood(Vec<u8>, Vec<u8>),
    /// The bytes, then silence until the other side lets go.
    Hang(Vec<u8>),
    /// Reads whatever comes until the other side ends, and answers then.
    AfterAll(Vec<u8>),
    /// Reads as much as the head announces, and answers then.
    AfterBody(Vec<u8>),
}

/// Ends with the process: its threads hold nothing but a socket.
pub(crate) struct Peer {
    pub(crate) at: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    /// Everything behind the head, of connections that have ended.
    gone: Mutex<Receiver<Vec<u8>>>,
}

impl Peer {
    pub(crate) fn says(answer: impl Fn(&str) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (heads, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (send, gone) = channel();
        let (seen, count, answer) =
            (Arc::clone(&heads), Arc::clone(&connections), Arc::<Says>::from(Box::new(answer) as Box<Says>));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let (seen, answer, send) = (Arc::clone(&seen), Arc::clone(&answer), send.clone());
                std::thread::spawn(move || talk(stream, &seen, &*answer, &send));
            }
        });
        Self { at, heads, connections, gone: Mutex::new(gone) }
    }

    /// Answers everything with a short text.
    pub(crate) fn polite() -> Self {
        Self::says(|_| Said::Once(ok("hello")))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until a connection has ended, and gives what came behind its head.
    pub(crate) fn gone(&self) -> Vec<u8> {
        self.gone.lock().unwrap().recv_timeout(Duration::from_secs(60)).expect("the connection still stands")
    }
}

/// A response that ends its connection.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn talk(mut stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &Says, gone: &Sender<Vec<u8>>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(&mut stream, &mut bytes) {
            return;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut rest = bytes.split_off(end);
    seen.lock().unwrap().push(head.clone());
    match answer(&head) {
        Said::Once(said) => drop(stream.write_all(&said)),
        Said::Flood(first, again) => {
            let _ = stream.write_all(&first);
            while stream.write_all(&again).is_ok() {}
        }
        Said::Hang(said) => {
            let _ = stream.write_all(&said);
            while more(&mut stream, &mut rest) {}
        }
        Said::AfterAll(said) => {
            while !rest.ends_with(b"0\r\n\r\n") && more(&mut stream, &mut rest) {}
            drop(stream.write_all(&said));
        }
        Said::AfterBody(said) => {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            while rest.len() < length.unwrap_or(0) && more(&mut stream, &mut rest) {}
            drop(stream.write_all(&said));
        }
    }
    drop(stream);
    drop(gone.send(rest));
}

fn more(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut piece = [0; 64 << 10];
    match stream.read(&mut piece) {
        Ok(0) | Err(_) => false,
        Ok(n) => {
            into.extend_from_slice(&piece[..n]);
            true
        }
    }
}
