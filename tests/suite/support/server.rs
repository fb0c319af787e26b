//! `ringfence serve` as a program on loopback, and requests to it byte for byte.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::Home;
use super::process::until;

/// How long an answer may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that runs, in a home of its own. Ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) home: Home,
    pub(crate) url: String,
    pub(crate) client: String,
    pub(crate) admin: String,
    /// All that it printed at its start.
    pub(crate) printed: String,
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In small letters, with the status line.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The kind of the problem that it is.
    pub(crate) fn kind(&self) -> Option<String> {
        let value: Value = serde_json::from_str(&self.body).ok()?;
        Some(value["kind"].as_str()?.to_owned())
    }

    /// The first answer of what came.
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_lowercase(), body: body.to_owned() })
    }
}

impl Server {
    /// With nothing installed.
    pub(crate) fn bare() -> Self {
        Self::with(Self::home(), &[])
    }

    /// With the probe installed, which is granted nothing.
    pub(crate) fn new() -> Self {
        Self::with(Self::furnished(), &[])
    }

    pub(crate) fn home() -> Home {
        // No pool for ten thousand: tests run beside each other.
        Home::with_config("[engine]\nconcurrent = 64\n")
    }

    pub(crate) fn furnished() -> Home {
        let home = Self::home();
        home.run(&["add", &super::probe().display().to_string(), "--grant-nothing"]).worked();
        home
    }

    pub(crate) fn with(home: Home, more: &[&str]) -> Self {
        Self::within(home, more, &[])
    }

    /// With these variables in its environment.
    pub(crate) fn within(home: Home, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut args = vec!["serve", "--format", "json"];
        if !more.contains(&"--listen") {
            args.extend(["--listen", "127.0.0.1:0"]);
        }
        args.extend(more);
        let mut command = home.command(&args);
        command.envs(variables.iter().copied());
        let errors = std::fs::File::create(home.path("serve.err")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut printed = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        while !printed.ends_with("}\n") {
            if out.read_line(&mut printed).unwrap() == 0 {
                let said = std::fs::read_to_string(home.path("serve.err"));
                panic!("the server did not start: {printed} {said:?} {:?}", child.wait());
            }
        }
        let told: Value = serde_json::from_str(&printed).unwrap();
        let token = |file: &str| std::fs::read_to_string(told[file].as_str().unwrap()).unwrap().trim().to_owned();
        let (client, admin) = (token("token-file"), token("admin-token-file"));
        Self { child, home, url: told["url"].as_str().unwrap().to_owned(), client, admin, printed }
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.url.split_once("://").unwrap().1.parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes, and gives all that comes until the server closes. None where it closes without an answer.
    #[track_caller]
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Option<Answer> {
        Answer::read(&talk(self.connect(), bytes.as_ref()))
    }

    /// A request with these lines in its head, beside `Host` and what closes the connection.
    #[track_caller]
    pub(crate) fn ask(&self, line: &str, more: &[&str], body: &str) -> Answer {
        let mut head = format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.at());
        for line in more {
            head += &format!("{line}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.raw(format!("{head}\r\n{body}")).unwrap_or_else(|| panic!("no answer to {line}"))
    }

    pub(crate) fn bearer(token: &str) -> String {
        format!("Authorization: Bearer {token}")
    }

    /// A client's GET.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[&Self::bearer(&self.client)], "")
    }

    /// A client's POST of JSON.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, more: &[&str], body: &Value) -> Answer {
        let bearer = Self::bearer(&self.client);
        let lines: Vec<&str> =
            [&*bearer, "Content-Type: application/json"].into_iter().chain(more.iter().copied()).collect();
        self.ask(&format!("POST {path}"), &lines, &body.to_string())
    }

    /// As a program of the user asks by the control socket.
    pub(crate) fn control(&self, line: &str) -> Answer {
        let stream = std::os::unix::net::UnixStream::connect(self.home.state().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Answer::read(&talk(stream, request.as_bytes())).unwrap()
    }

    /// A figure of `/metrics`.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) fn ended(&mut self) -> i32 {
        until("the server ends", || self.child.try_wait().unwrap()).code().unwrap()
    }

    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(self.home.path("serve.err")).unwrap()
    }

    /// It answers, nothing of a request is left in it, and it said nothing of a panic.
    #[track_caller]
    pub(crate) fn still_works(&self) {
        assert_eq!(self.ask("GET /healthz", &[], "").body, "ok\n");
        assert_eq!(self.get("/v1/tools").status, 200);
        until("no call runs on", || (self.figure("ringfence_invocations_running") == 0).then_some(()));
        assert!(!self.errors().contains("panicked"), "{}", self.errors());
    }
}

/// Writes while it reads, so that neither side waits for the other; a server that has said enough takes no more.
fn talk(stream: impl Talks, bytes: &[u8]) -> Vec<u8> {
    let mut writing = stream.twin();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || drop(writing.write_all(&bytes)));
    let mut all = Vec::new();
    let mut stream = stream;
    let mut piece = [0; 16 << 10];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the server hangs"),
            Err(_) => break,
        }
    }
    drop(stream);
    writer.join().unwrap();
    all
}

trait Talks: Read + Write + Sized + Send + 'static {
    fn twin(&self) -> Self;
}

impl Talks for TcpStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }
}

impl Talks for std::os::unix::net::UnixStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
