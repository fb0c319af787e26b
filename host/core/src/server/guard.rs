//! What comes from a server, before it is read as messages: how long a line may be, and how many there may be.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};

/// Most bytes of one message.
pub(super) const LINE_BYTES: usize = 4 << 20;
/// Most messages within [`WINDOW`]. No server has so much to say: each is read, and wakes somebody.
const MESSAGES: u32 = 5_000;
const WINDOW: Duration = Duration::from_secs(10);

/// Why a server was given up, told to whoever waits for it. The first reason counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Arc<Mutex<Option<String>>>);

impl Ending {
    pub(super) fn tell(&self, reason: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reason.into());
    }

    pub(super) fn told(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Lines from a stranger. Ends with an error where there is too much of them, before it is in memory.
pub(super) struct Lines<R> {
    inner: R,
    ending: Ending,
    length: usize,
    since: Instant,
    messages: u32,
}

impl<R> Lines<R> {
    pub(super) fn new(inner: R, ending: Ending) -> Self {
        Self { inner, ending, length: 0, since: Instant::now(), messages: 0 }
    }

    fn count(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.lengthen(end)?;
            self.length = 0;
            rest = &rest[end + 1..];
            if self.since.elapsed() > WINDOW {
                (self.since, self.messages) = (Instant::now(), 0);
            }
            self.messages += 1;
            if self.messages > MESSAGES {
                return Err(format!("it sent more than {MESSAGES} messages within {} s", WINDOW.as_secs()));
            }
        }
        self.lengthen(rest.len())
    }

    fn lengthen(&mut self, by: usize) -> Result<(), String> {
        self.length = self.length.saturating_add(by);
        if self.length > LINE_BYTES {
            return Err(format!("it sent a line of more than {} MiB", LINE_BYTES >> 20));
        }
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let counted = this.count(&buf.filled()[before..]);
        Poll::Ready(counted.map_err(|reason| {
            buf.set_filled(before);
            this.ending.tell(reason.clone());
            io::Error::new(io::ErrorKind::InvalidData, reason)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    async fn read(bytes: &[u8]) -> (usize, Option<String>) {
        let ending = Ending::default();
        let mut lines = Lines::new(bytes, ending.clone());
        let (mut all, mut piece) = (0, [0; 8192]);
        while let Ok(count @ 1..) = lines.read(&mut piece).await {
            all += count;
        }
        (all, ending.told())
    }

    #[tokio::test]
    async fn t90_a_line_without_end_and_a_flood_of_lines_are_cut_off() {
        let longest = [vec![b'x'; LINE_BYTES], b"\n".to_vec()].concat();
        assert_eq!(read(&longest.repeat(2)).await, (2 * longest.len(), None));
        let (read_of, why) = read(&vec![b'x'; 4 * LINE_BYTES]).await;
        assert!(read_of <= LINE_BYTES && why.unwrap().contains("a line of more than 4 MiB"));
        let most = b"{}\n".repeat(MESSAGES as usize);
        assert_eq!(read(&most).await, (most.len(), None));
        assert!(read(&b"\n".repeat(100_000)).await.1.unwrap().contains("messages within 10 s"));
    }
}
