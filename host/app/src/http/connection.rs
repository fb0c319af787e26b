//! Connections: how many there may be, how long they may be silent, and how they end.
//!
//! Where there are as many as may be, one gives way to the newcomer: first those that never showed a token, then those on which nothing is
//! asked. So who has no token keeps nobody out, whatever it does.

use std::collections::BTreeMap;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{App, Listener, Peer};

/// How long the head of a request may take, from the end of the one before it; also a handshake of TLS.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 32 << 10;
/// How long the other side may take nothing of what is there for it.
const STALL: Duration = Duration::from_secs(30);
/// How long nothing is accepted when the system has no room for another connection.
const BREATH: Duration = Duration::from_millis(50);

/// All connections that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    began: Instant,
    open: Mutex<(u64, BTreeMap<u64, Open>)>,
    gone: Notify,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Open(Arc<State>);

#[derive(Debug)]
struct State {
    /// Requests that are being answered.
    busy: AtomicUsize,
    /// Milliseconds since the start at which nothing was asked any more.
    idle_since: AtomicU64,
    is_known: AtomicBool,
    end: CancellationToken,
}

impl Open {
    /// Whoever is at its other end may be here.
    pub(super) fn is_known(&self) {
        self.0.is_known.store(true, Ordering::Relaxed);
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), began: Instant::now(), open: Mutex::default(), gone: Notify::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().1.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, BTreeMap<u64, Open>)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets another one in, where there is no room in the place of another. None where all work for somebody who is known.
    fn enter(&self) -> Option<(u64, Open)> {
        let mut open = self.lock();
        if open.1.len() >= self.most {
            let rank = |one: &State| {
                let is_busy = one.busy.load(Ordering::Relaxed) > 0;
                (one.is_known.load(Ordering::Relaxed), is_busy, one.idle_since.load(Ordering::Relaxed))
            };
            let ranks = open.1.iter().map(|(number, one)| (rank(&one.0), *number));
            let ((is_known, is_busy, _), number) = ranks.min()?;
            if is_known && is_busy {
                return None;
            }
            if let Some(one) = open.1.remove(&number) {
                one.0.end.cancel();
            }
        }
        open.0 += 1;
        let state = State {
            busy: AtomicUsize::new(0),
            idle_since: AtomicU64::new(self.now()),
            is_known: AtomicBool::new(false),
            end: CancellationToken::new(),
        };
        let (number, one) = (open.0, Open(Arc::new(state)));
        open.1.insert(number, one.clone());
        Some((number, one))
    }

    fn leave(&self, number: u64) {
        let mut open = self.lock();
        open.1.remove(&number);
        if open.1.is_empty() {
            self.gone.notify_waiters();
        }
    }

    /// Returns when none is open.
    pub(super) async fn none(&self) {
        loop {
            let gone = self.gone.notified();
            let mut gone = pin!(gone);
            gone.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            gone.await;
        }
    }

    pub(super) fn end_all(&self) {
        self.lock().1.values().for_each(|one| one.0.end.cancel());
    }
}

/// A request that is being answered, its body included.
struct Busy(Open, Arc<App>);

impl Busy {
    fn new(open: &Open, app: &Arc<App>) -> Self {
        open.0.busy.fetch_add(1, Ordering::Relaxed);
        Self(open.clone(), Arc::clone(app))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.idle_since.store(self.1.connections.now(), Ordering::Relaxed);
        self.0.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets connections in until `stop`.
pub(super) async fn accept(app: &Arc<App>, listener: Listener, router: Router, stop: CancellationToken) {
    loop {
        let next = async {
            match &listener {
                Listener::Tcp(tcp, tls) => tcp.accept().await.map(|(stream, from)| {
                    // Small answers go at once; where that cannot be said they go a little later.
                    drop(stream.set_nodelay(true));
                    (Stream::Tcp(stream, tls.clone()), Peer::Network(from.ip()))
                }),
                Listener::Control(socket, _) => {
                    socket.accept().await.map(|(stream, _)| (Stream::Unix(stream), Peer::Owner))
                }
            }
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = next => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // One that went before it was taken is nothing; no room for another may last.
                tracing::debug!(%error, "a connection could not be taken");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        if let Stream::Unix(stream) = &stream
            && !is_owner(stream)
        {
            continue;
        }
        // Here and not in its task: tasks begin in any order, and whoever came last is not to give way first.
        let place = app.connections.enter();
        tokio::spawn(welcome(Arc::clone(app), stream, peer, router.clone(), place));
    }
}

/// Whether the system says that the program at the other end is of this user.
fn is_owner(stream: &tokio::net::UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

enum Stream {
    Tcp(tokio::net::TcpStream, Option<tokio_rustls::TlsAcceptor>),
    Unix(tokio::net::UnixStream),
}

async fn welcome(app: Arc<App>, stream: Stream, peer: Peer, router: Router, place: Option<(u64, Open)>) {
    let Some((number, open)) = place else {
        if let Stream::Tcp(mut stream, None) = stream {
            // It fits into what the system holds for a socket that is new, so nothing waits here for long.
            let full =
                b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
            drop(tokio::time::timeout(BREATH, stream.write_all(full)).await);
        }
        return;
    };
    let talk = async {
        match stream {
            Stream::Tcp(stream, None) => talk(&app, stream, peer, &open, router).await,
            Stream::Tcp(stream, Some(tls)) => {
                if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIME, tls.accept(stream)).await {
                    talk(&app, stream, peer, &open, router).await;
                }
            }
            Stream::Unix(stream) => talk(&app, stream, peer, &open, router).await,
        }
    };
    tokio::select! {
        biased;
        () = open.0.end.cancelled() => {}
        () = talk => {}
    }
    app.connections.leave(number);
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(app: &Arc<App>, stream: S, peer: Peer, open: &Open, router: Router) {
    let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let busy = Busy::new(open, app);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(open.clone());
        let answer = router.clone().oneshot(request);
        async move { answer.await.map(|response| response.map(|body| Body::new(Answer { body, _busy: busy }))) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(2 * HEAD_BYTES);
    let connection = http.serve_connection(TokioIo::new(Impatient::new(stream)), service);
    let mut connection = pin!(connection);
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = app.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The body of an answer: as long as it is not written the request is not over.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Answer {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// A stream that fails when the other side takes nothing for [`STALL`].
struct Impatient<S> {
    stream: S,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(stream: S) -> Self {
        Self { stream, stalled: None }
    }

    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let sleep = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        sleep.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_stalled(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.unless_stalled(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.unless_stalled(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.unless_stalled(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t114_a_newcomer_takes_the_place_of_whoever_has_been_silent_longest_and_of_nobody_who_works() {
        let connections = Connections::new(3);
        let [(_, known), (second, silent), (_, busy)] = [(); 3].map(|()| connections.enter().unwrap());
        known.is_known();
        let works = |one: &Open| {
            one.is_known();
            one.0.busy.store(1, Ordering::Relaxed);
        };
        works(&busy);
        // Whatever it asks: nobody knows it.
        silent.0.busy.store(1, Ordering::Relaxed);
        silent.0.idle_since.store(connections.now() + 1_000, Ordering::Relaxed);
        let (_, fourth) = connections.enter().unwrap();
        assert!(silent.0.end.is_cancelled(), "who never showed a token goes first, however new it is");
        assert!(!known.0.end.is_cancelled() && !busy.0.end.is_cancelled() && connections.len() == 3);
        works(&fourth);
        let (_, fifth) = connections.enter().unwrap();
        assert!(known.0.end.is_cancelled());
        works(&fifth);
        assert!(connections.enter().is_none(), "who works gives way to nobody");
        connections.leave(second);
        assert_eq!(connections.len(), 3, "it had left");
    }

    #[tokio::test(start_paused = true)]
    async fn t114_what_nobody_takes_is_not_held_for_ever() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let mut ours = Impatient::new(ours);
        let begun = tokio::time::Instant::now();
        let error = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, STALL));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_a_little_now_and_then_is_waited_for() {
        use tokio::io::AsyncReadExt as _;
        let (ours, mut theirs) = tokio::io::duplex(8);
        let reader = async {
            for _ in 0..8 {
                tokio::time::sleep(STALL - Duration::from_secs(1)).await;
                theirs.read_exact(&mut [0; 8]).await.unwrap();
            }
        };
        let mut ours = Impatient::new(ours);
        let (written, ()) = tokio::join!(ours.write_all(&[0; 64]), reader);
        written.unwrap();
    }
}
