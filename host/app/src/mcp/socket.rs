//! A socket in the state directory, where `ringfence dev` serves the clients of other processes with what is worked on.
//!
//! A `ringfence mcp` that finds it copies bytes between its client and the host that listens there. The socket lies in a directory that
//! only its owner can enter, is their own alone, and both ends look who the other one is. What stands first on a connection is one line of
//! each side; then it is the protocol's.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ringfence_core::{Error, Host};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::lines::write_all;
use crate::trouble::Trouble;

/// Its name in the state directory.
const FILE: &str = "mcp.sock";
/// Whose lock whoever listens there holds, until its process ends in whatever way.
const LOCK: &str = "mcp.lock";
/// Of the lines that are said first. Another number is another version of this program.
const VERSION: u32 = 1;
/// Most bytes of such a line.
const LINE: u64 = 64 << 10;
/// How long the other side may take for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most connections at once.
const CONNECTIONS: usize = 64;
/// Bytes that are copied at once.
const PIECE: usize = 64 << 10;
/// What fits into the address of a socket on every system, with the zero behind it.
const ADDRESS: usize = 100;

/// What a client's process says first.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Hello {
    version: u32,
    meta_tools: bool,
    /// Folders and files that are to be served in place.
    paths: Vec<String>,
}

impl Hello {
    pub(crate) fn new(meta_tools: bool, paths: Vec<String>) -> Self {
        Self { version: VERSION, meta_tools, paths }
    }
}

/// What it is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Welcome {
    Come,
    Refused { kind: String, message: String, hint: String },
}

/// Makes skills in place ready and offers them.
pub(crate) type Open = Arc<dyn Fn(Vec<String>) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// The end of whoever listens. Goes with it.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Given back last.
    _lock: File,
}

impl Socket {
    /// Takes the place of what a process left behind that ended without warning, and of nobody who still listens.
    pub(crate) fn bind(state: &Path) -> Result<Self, Error> {
        let path = state.join(FILE);
        let unwritable = |error: std::io::Error| Trouble::unwritable(&path, &error);
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(state.join(LOCK));
        let lock = lock.map_err(unwritable)?;
        lock.try_lock().map_err(|_| {
            Trouble::new(
                "busy",
                "another `ringfence dev` serves clients already",
                "end it, or let it work on all of these folders: `ringfence dev ONE OTHER`",
            )
        })?;
        match std::fs::symlink_metadata(&path) {
            Ok(there) if there.file_type().is_socket() => std::fs::remove_file(&path).map_err(unwritable)?,
            Ok(_) => {
                return Err(Trouble::new(
                    "state-unsafe",
                    format!("{} is no socket of this program", path.display()),
                    "move it away",
                ));
            }
            Err(_) => {}
        }
        let listener = at_address(state, |address| UnixListener::bind(address)).map_err(unwritable)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(unwritable)?;
        Ok(Self { listener, path, _lock: lock })
    }

    /// Serves everybody who comes, until `stop`.
    pub(crate) async fn serve(self, sessions: Sessions) {
        loop {
            let accepted = tokio::select! {
                () = sessions.stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) if is_ours(&stream) => sessions.begin(stream),
                Ok(_) => tracing::warn!("another user's process came to {}", self.path.display()),
                Err(error) => {
                    tracing::warn!(%error, "a client could not come in");
                    // Out of descriptors, most likely: some are given back meanwhile.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// What those who come are given, and how many are there.
#[derive(Clone)]
pub(crate) struct Sessions {
    host: Host,
    options: Options,
    open: Open,
    stop: CancellationToken,
    count: watch::Sender<usize>,
}

impl Sessions {
    pub(crate) fn new(host: Host, options: Options, open: Open, stop: CancellationToken) -> Self {
        Self { host, options, open, stop, count: watch::Sender::new(0) }
    }

    /// Returns when nobody is there.
    pub(crate) async fn ended(&self) {
        drop(self.count.subscribe().wait_for(|count| *count == 0).await);
    }

    fn begin(&self, stream: UnixStream) {
        let mut room = false;
        self.count.send_modify(|count| {
            room = *count < CONNECTIONS;
            *count += usize::from(room);
        });
        if !room {
            tracing::warn!("{CONNECTIONS} clients are connected, and one more came");
            return;
        }
        let sessions = self.clone();
        tokio::spawn(async move {
            let here = Here(sessions.count.clone());
            if let Err(error) = sessions.one(stream).await {
                tracing::warn!("a client's session ended: {error}");
            }
            drop(here);
        });
    }

    async fn one(&self, mut stream: UnixStream) -> Result<(), Error> {
        let hello: Hello = said(&mut stream).await?;
        let prepared = match hello.version {
            VERSION if hello.paths.is_empty() => Ok(()),
            VERSION => (self.open)(hello.paths).await,
            _ => Err(Trouble::new(
                "unavailable",
                "another version of Ringfence listens there",
                "use one version for `ringfence dev` and for clients",
            )),
        };
        let welcome = match &prepared {
            Ok(()) => Welcome::Come,
            Err(error) => {
                Welcome::Refused { kind: error.kind().into(), message: error.to_string(), hint: error.hint() }
            }
        };
        say(&mut stream, &welcome).await?;
        prepared?;
        let options = Options { meta_tools: hello.meta_tools, ..self.options };
        super::session(self.host.clone(), options, stream, &self.stop).await
    }
}

/// One who is there.
struct Here(watch::Sender<usize>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Connects to the host of whoever works on skills. None where nobody listens.
pub(crate) async fn connect(state: &Path) -> Option<UnixStream> {
    let there = std::fs::symlink_metadata(state.join(FILE)).ok()?;
    if !there.file_type().is_socket() || there.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let stream = at_address(state, |address| std::os::unix::net::UnixStream::connect(address)).ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok().filter(is_ours)
}

/// Says what this process wants, and copies bytes between its client and the host until one of them goes.
pub(crate) async fn proxy<R, W>(mut stream: UnixStream, hello: Hello, mut input: R, mut output: W) -> Result<(), Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    say(&mut stream, &hello).await?;
    // As long as it takes: folders are built first.
    match heard(&mut stream).await? {
        Welcome::Come => {}
        Welcome::Refused { kind, message, hint } => return Err(Trouble::new(known(&kind), message, hint)),
    }
    let (mut from, mut to) = stream.into_split();
    let over = CancellationToken::new();
    let up = async {
        let done = tokio::io::copy(&mut input, &mut to).await;
        drop(to.shutdown().await);
        over.cancel();
        done
    };
    let down = async {
        let mut piece = vec![0; PIECE];
        loop {
            match from.read(&mut piece).await? {
                0 => return Ok::<_, std::io::Error>(()),
                n => write_all(&mut output, &piece[..n], &over).await?,
            }
        }
    };
    tokio::pin!(up, down);
    tokio::select! {
        // The client has said everything: what is still answered comes back.
        Ok(_) = &mut up => drop(down.await),
        done = &mut down => {
            // Where nobody reads what it says there is nobody to tell.
            if done.is_ok() {
                return Err(gone());
            }
        }
    }
    Ok(())
}

fn gone() -> Error {
    Trouble::new(
        "unavailable",
        "the `ringfence dev` that served this client has ended, and the client's session with it",
        "let the client start its server again: it has a host of its own then",
    )
}

/// The kind of an error of the host, in our own table's word.
fn known(kind: &str) -> &'static str {
    crate::render::TABLE.iter().map(|(known, ..)| *known).find(|known| *known == kind).unwrap_or("host-fault")
}

async fn say(stream: &mut UnixStream, what: &impl Serialize) -> Result<(), Error> {
    let mut line = serde_json::to_vec(what).unwrap_or_default();
    line.push(b'\n');
    stream.write_all(&line).await.map_err(|_| gone())
}

async fn said<T: for<'a> Deserialize<'a>>(stream: &mut UnixStream) -> Result<T, Error> {
    let late = |_| Trouble::new("timeout", "a process came and said nothing", "it is no `ringfence mcp`");
    tokio::time::timeout(PATIENCE, heard(stream)).await.map_err(late)?
}

/// The next line. Takes not one byte more: what stands behind it is the protocol's.
async fn heard<T: for<'a> Deserialize<'a>>(stream: &mut UnixStream) -> Result<T, Error> {
    let mut line = Vec::new();
    // One byte at a time, which only the first line has to bear.
    let mut bytes = BufReader::with_capacity(1, stream.take(LINE));
    bytes.read_until(b'\n', &mut line).await.map_err(|_| gone())?;
    if line.is_empty() {
        return Err(gone());
    }
    serde_json::from_slice(&line).map_err(|error| {
        Trouble::new(
            "invalid",
            format!("what came first cannot be read: {error}"),
            "use one version of Ringfence for both",
        )
    })
}

fn is_ours(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

/// Does something with the address of the socket, which may be no longer than some hundred bytes, whatever the path to the directory.
fn at_address<T>(state: &Path, act: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    use std::os::fd::AsRawFd as _;
    let path = state.join(FILE);
    if !cfg!(target_os = "linux") || path.as_os_str().len() < ADDRESS {
        return act(&path);
    }
    let folder = std::fs::File::open(state)?;
    act(&PathBuf::from(format!("/proc/self/fd/{}/{FILE}", folder.as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_alone_and_goes_with_its_holder() {
        let state = state();
        assert!(connect(state.path()).await.is_none(), "nobody is there");
        let socket = Socket::bind(state.path()).unwrap();
        let mode = std::fs::metadata(&socket.path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(connect(state.path()).await.is_some());
        drop(socket);
        assert!(!state.path().join(FILE).exists());
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_replaced_and_nothing_else_is() {
        let state = state();
        drop(std::os::unix::net::UnixListener::bind(state.path().join(FILE)).unwrap());
        assert!(connect(state.path()).await.is_none(), "nobody listens there");
        let socket = Socket::bind(state.path()).unwrap();
        assert_eq!(Socket::bind(state.path()).err().unwrap().kind(), "busy");
        assert!(connect(state.path()).await.is_some(), "who listens goes on");
        drop(socket);
        std::fs::write(state.path().join(FILE), "notes").unwrap();
        assert_eq!(Socket::bind(state.path()).err().unwrap().kind(), "state-unsafe");
        assert_eq!(std::fs::read(state.path().join(FILE)).unwrap(), b"notes");
        assert!(connect(state.path()).await.is_none());
    }

    #[tokio::test]
    async fn a_long_path_is_no_obstacle() {
        let state = state();
        let deep = state.path().join("a".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let _socket = Socket::bind(&deep).unwrap();
        assert!(connect(&deep).await.is_some());
    }

    #[tokio::test]
    async fn the_first_line_is_read_and_not_a_byte_more() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let hello = Hello::new(true, vec!["/a".into()]);
        say(&mut one, &hello).await.unwrap();
        one.write_all(b"rest").await.unwrap();
        drop(one);
        assert_eq!(said::<Hello>(&mut other).await.unwrap(), hello);
        let mut rest = String::new();
        other.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "rest");
    }

    #[tokio::test]
    async fn who_says_something_else_is_refused() {
        for line in
            ["\n", "{}\n", "{\"version\":1,\"meta-tools\":false,\"paths\":[],\"allow\":\"all\"}\n", "GET / HTTP/1.1\n"]
        {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            one.write_all(line.as_bytes()).await.unwrap();
            assert_eq!(said::<Hello>(&mut other).await.unwrap_err().kind(), "invalid", "{line:?}");
        }
    }

    #[tokio::test]
    async fn a_host_that_goes_ends_its_clients_with_an_error() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let host = async move {
            let _: Hello = said(&mut far).await.unwrap();
            say(&mut far, &Welcome::Come).await.unwrap();
            far.write_all(b"answer").await.unwrap();
        };
        let (input, _kept) = tokio::io::duplex(64);
        let mut output = Vec::new();
        let (ended, ()) = tokio::join!(proxy(near, Hello::new(false, Vec::new()), input, &mut output), host);
        assert_eq!((ended.unwrap_err().kind(), output.as_slice()), ("unavailable", b"answer".as_slice()));
    }

    #[tokio::test]
    async fn a_client_that_has_gone_and_reads_nothing_is_not_waited_for() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let host = async move {
            let _: Hello = said(&mut far).await.unwrap();
            say(&mut far, &Welcome::Come).await.unwrap();
            // Until nobody is there to take it.
            while far.write_all(&[b'x'; 1 << 16]).await.is_ok() {}
        };
        let (output, _unread) = tokio::io::duplex(64);
        let served = proxy(near, Hello::new(false, Vec::new()), tokio::io::empty(), output);
        let both = async { tokio::join!(served, host).0 };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends").unwrap();
    }

    #[tokio::test]
    async fn a_refusal_comes_through_as_it_was() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let host = async move {
            let _: Hello = said(&mut far).await.unwrap();
            let refused =
                Welcome::Refused { kind: "build-failed".into(), message: "no".into(), hint: "mend it".into() };
            say(&mut far, &refused).await.unwrap();
        };
        let ended =
            tokio::join!(proxy(near, Hello::new(false, Vec::new()), tokio::io::empty(), tokio::io::sink()), host).0;
        let error = ended.unwrap_err();
        assert_eq!((error.kind(), error.to_string(), error.hint()), ("build-failed", "no".into(), "mend it".into()));
    }
}
