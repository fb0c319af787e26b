//! A request's body that comes piece by piece.

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::error::{Excess, Refusal};

/// Pieces that wait for the server, and bytes of one: 256 KiB together. Above them the skill waits.
const WAITING: usize = 4;
const PIECE: usize = 64 << 10;

/// Most writes of one body. An empty one costs the host as much as a full one.
const MOST_WRITES: u32 = 10_000;

enum Piece {
    Bytes(Bytes),
    /// The body is complete. A channel that closes without it is a body that was given up.
    End,
}

/// The skill's end.
pub(super) struct Writer {
    pieces: mpsc::Sender<Piece>,
    left: usize,
    limit: usize,
    writes: u32,
}

/// The connection's end.
pub struct Pieces(mpsc::Receiver<Piece>);

/// Both ends of a body of at most `limit` bytes.
pub(super) fn channel(limit: usize) -> (Writer, Pieces) {
    let (pieces, receiver) = mpsc::channel(WAITING);
    (Writer { pieces, left: limit, limit, writes: 0 }, Pieces(receiver))
}

impl Writer {
    /// Counts a write, before any of it goes on.
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.writes = self.writes.saturating_add(1);
        if self.writes > MOST_WRITES {
            let (limit, actual) = (MOST_WRITES.into(), Some(self.writes.into()));
            return Err(Refusal::TooLarge(Excess {
                what: "number of pieces of an http request's body",
                limit,
                actual,
            }));
        }
        if bytes > self.left {
            let actual = (self.limit - self.left).saturating_add(bytes) as u64;
            return Err(too_large(self.limit, actual));
        }
        self.left -= bytes;
        Ok(())
    }

    /// What gives counted bytes to the connection, apart from the writer, so that it can be waited for anywhere.
    pub(super) fn sender(&self) -> Sender {
        Sender(self.pieces.clone())
    }
}

/// Gives bytes to the connection.
pub(super) struct Sender(mpsc::Sender<Piece>);

impl Sender {
    /// Waits while the server does not take them.
    pub(super) async fn write(self, mut chunk: Bytes) -> Result<(), Refusal> {
        while !chunk.is_empty() {
            let piece = chunk.split_to(chunk.len().min(PIECE));
            self.0.send(Piece::Bytes(piece)).await.map_err(|_| over())?;
        }
        Ok(())
    }

    /// Says that it was all. A server that wants no more has its answer ready all the same.
    pub(super) async fn end(self) {
        drop(self.0.send(Piece::End).await);
    }
}

fn over() -> Refusal {
    Refusal::Unavailable("the server takes no more of the body; `finish` gives its answer".into())
}

pub(super) fn too_large(limit: usize, actual: u64) -> Refusal {
    Refusal::TooLarge(Excess { what: "body of the http request", limit: limit as u64, actual: Some(actual) })
}

impl Pieces {
    /// The body as the client sends it. One that was given up breaks the connection off: a server must not take half of it
    /// for the whole.
    pub(super) fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures_util::stream::try_unfold(self.0, async |mut pieces| match pieces.recv().await {
            Some(Piece::Bytes(bytes)) => Ok(Some((bytes, pieces))),
            Some(Piece::End) => Ok(None),
            None => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the skill gave the body up")),
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    #[test]
    fn t37_empty_pieces_are_counted() {
        let (mut writer, _pieces) = channel(100);
        for _ in 0..MOST_WRITES {
            writer.count(0).unwrap();
        }
        for _ in 0..10 {
            assert!(matches!(writer.count(0), Err(Refusal::TooLarge(excess)) if excess.limit == 10_000));
        }
    }

    #[test]
    fn a_body_has_a_largest_size() {
        let (mut writer, _pieces) = channel(100);
        writer.count(60).unwrap();
        assert!(matches!(writer.count(41), Err(Refusal::TooLarge(excess)) if excess.actual == Some(101)));
        writer.count(40).unwrap();
        assert!(writer.count(1).is_err());
    }

    #[tokio::test]
    async fn pieces_wait_for_the_server_and_end_only_when_told() {
        let (writer, pieces) = channel(1 << 20);
        let write = tokio::spawn(writer.sender().write(vec![1; 6 * PIECE].into()));
        // One thread: the task has gone as far as it can.
        tokio::task::yield_now().await;
        assert!(!write.is_finished() && writer.pieces.capacity() == 0, "it waits at {WAITING} pieces");
        let mut stream = Box::pin(pieces.stream());
        let mut got = 0;
        while got < 6 * PIECE {
            let piece = stream.next().await.unwrap().unwrap();
            assert!(piece.len() <= PIECE && !piece.is_empty());
            got += piece.len();
        }
        write.await.unwrap().unwrap();
        assert!(stream.next().now_or_never().is_none(), "it waits for more");
        drop(writer);
        assert!(stream.next().await.unwrap().is_err(), "it was given up");

        let (writer, pieces) = channel(10);
        writer.sender().write(Bytes::from_static(b"ab")).await.unwrap();
        writer.sender().end().await;
        drop(writer);
        let all: Vec<_> = pieces.stream().collect().await;
        assert_eq!(all.into_iter().collect::<io::Result<Vec<_>>>().unwrap(), ["ab"]);

        let (writer, pieces) = channel(10);
        drop(pieces);
        assert!(matches!(writer.sender().write(Bytes::from_static(b"a")).await, Err(Refusal::Unavailable(_))));
    }
}
