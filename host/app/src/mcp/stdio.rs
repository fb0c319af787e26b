//! The standard streams of this process, as the program at their other end uses them.
//!
//! tokio hands each read and each write of them to a thread that may block, and waking two threads costs more than a call. What programs are
//! started with, pipes and sockets, can be waited for without. The streams may be shared with other processes, so that their flags
//! are left as they are: a pipe is opened a second time, and of a socket it is said in each call that it must not block. Everything else,
//! a terminal or a file, is tokio's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::FileType;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Join, ReadBuf};
use tokio::net::unix::pipe;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// What is read from stdin and written to stdout. Within a runtime; before this process gives its rights away, since it may open a file.
pub(crate) fn streams() -> Join<Reader, Writer> {
    tokio::io::join(reader(), writer())
}

fn reader() -> Reader {
    let stdin = io::stdin();
    let waited_for: io::Result<Reader> = match kind(&stdin) {
        Some(FileType::Fifo) => {
            pipe::OpenOptions::new().open_receiver("/proc/self/fd/0").map(|pipe| Box::new(pipe) as _)
        }
        Some(FileType::Socket) => Socket::of(&stdin).map(|socket| Box::new(socket) as _),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    waited_for.unwrap_or_else(|_| Box::new(tokio::io::stdin()))
}

fn writer() -> Writer {
    let stdout = io::stdout();
    let waited_for: io::Result<Writer> = match kind(&stdout) {
        Some(FileType::Fifo) => pipe::OpenOptions::new().open_sender("/proc/self/fd/1").map(|pipe| Box::new(pipe) as _),
        Some(FileType::Socket) => Socket::of(&stdout).map(|socket| Box::new(socket) as _),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    waited_for.unwrap_or_else(|_| Box::new(tokio::io::stdout()))
}

fn kind(stream: impl AsFd) -> Option<FileType> {
    rustix::fs::fstat(stream).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// A stream socket, as Node.js gives to the programs that it starts.
struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    #[expect(
        deprecated,
        reason = "for types whose descriptor may change, which an OwnedFd's cannot; what stands in its place is unsafe"
    )]
    fn of(stream: impl AsFd) -> io::Result<Self> {
        AsyncFd::new(stream.as_fd().try_clone_to_owned()?).map(Self)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let into = buf.initialize_unfilled();
            match ready.try_io(|socket| Ok(rustix::net::recv(socket, into, RecvFlags::DONTWAIT)?.1)) {
                Ok(read) => return Poll::Ready(read.map(|count| buf.advance(count))),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match ready.try_io(|socket| Ok(rustix::net::send(socket, bytes, flags)?)) {
                Ok(written) => return Poll::Ready(written),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Others may hold it too: it ends when the last of them does.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_socket_is_waited_for_and_its_flags_stay() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let flags = || rustix::fs::fcntl_getfl(&ours).unwrap();
        let before = flags();
        let (mut socket, large) = (Socket::of(&ours).unwrap(), vec![7; 4 << 20]);
        // More than a socket holds: it has to wait, and neither side holds up the thread that both are on.
        let mut peer = Socket::of(&theirs).unwrap();
        let mut seen = vec![0; large.len()];
        let (written, read) = tokio::join!(socket.write_all(&large), peer.read_exact(&mut seen));
        written.unwrap();
        read.unwrap();
        assert!(seen == large);
        let mut said = [0; 2];
        let (read, written) = tokio::join!(socket.read_exact(&mut said), peer.write_all(b"hi"));
        read.unwrap();
        written.unwrap();
        assert_eq!((&said, flags()), (b"hi", before));
        // Its end.
        drop((peer, theirs));
        assert_eq!(socket.read(&mut said).await.unwrap(), 0);
        assert_eq!(socket.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
