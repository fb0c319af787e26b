//! What a skill sees of the machine.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use ringfence_skill::prelude::*;

/// Waits.
#[tool]
pub fn sleep(ms: u32) -> String {
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(u64::from(ms)));
    begun.elapsed().as_millis().to_string()
}

/// Seconds since 1970, by the host's clock.
#[tool]
pub fn time() -> String {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().to_string()
}

/// A number that differs in every call.
#[tool]
pub fn random() -> String {
    RandomState::new().hash_one(0).to_string()
}

/// What is to be seen.
#[derive(Serialize, JsonSchema)]
pub struct Surroundings {
    environment: Vec<String>,
    arguments: Vec<String>,
    /// Paths that could be read or written.
    reached: Vec<String>,
    /// Bytes on standard input.
    input: usize,
}

/// Looks around: environment, arguments, files, standard input.
#[tool]
pub fn surroundings(paths: Vec<String>) -> Surroundings {
    let mut reached = Vec::new();
    for path in paths {
        if std::fs::metadata(&path).is_ok() || std::fs::read(&path).is_ok() || std::fs::read_dir(&path).is_ok() {
            reached.push(format!("read {path}"));
        }
        if std::fs::write(format!("{path}-new"), "x").is_ok() || std::fs::create_dir(format!("{path}-dir")).is_ok() {
            reached.push(format!("write {path}"));
        }
    }
    let mut input = Vec::new();
    drop(std::io::Read::read_to_end(&mut std::io::stdin(), &mut input));
    Surroundings {
        environment: std::env::vars().map(|(name, _)| name).collect(),
        arguments: std::env::args().collect(),
        reached,
        input: input.len(),
    }
}

/// Tries to reach the network past the host, by Rust's own sockets; says for each way what stood against it, or that it worked.
#[tool]
pub fn dial(
    /// `ADDRESS:PORT`, where somebody listens.
    address: String,
    /// A name to look up.
    name: String,
) -> Vec<String> {
    let told = |done: std::io::Result<()>| done.map_or_else(|error| format!("{:?}", error.kind()), |()| "worked".into());
    vec![
        told(std::net::TcpStream::connect(&address).map(drop)),
        told(std::net::TcpListener::bind("127.0.0.1:0").map(drop)),
        told(std::net::UdpSocket::bind("127.0.0.1:0").map(drop)),
        told(std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 80)).map(drop)),
    ]
}
