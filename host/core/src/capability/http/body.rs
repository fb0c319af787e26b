//! A response's body: read piece by piece, never faster than the skill takes it, and never more than the limit.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};

use super::decode::{self, Bodied};
use super::gate::Slot;
use super::secrets::Redact;
use crate::broker::Receipt;
use crate::error::{Excess, Explain as _, Refusal};

/// Bytes that one read gives where the skill names no number, and at most.
const USUAL: usize = 64 << 10;
const MOST: usize = 1 << 20;

/// A body under way. Dropping it closes the connection, unless all of it was read.
pub struct Body {
    source: Option<Bodied>,
    /// What was read and not yet given.
    ready: Bytes,
    redact: Option<Box<dyn Redact>>,
    limit: u64,
    /// Decoded bytes so far.
    read: u64,
    /// Why there is nothing after what is ready.
    broken: Option<Refusal>,
    /// Bytes as they came over the wire.
    raw: Arc<AtomicU64>,
    status: u16,
    pub(super) receipt: Option<Receipt>,
    pub(super) slot: Option<Slot>,
}

/// What a body is made of.
pub(super) struct Parts {
    pub(super) stream: Bodied,
    /// Where it has to be decoded.
    pub(super) encoding: Option<String>,
    pub(super) redact: Option<Box<dyn Redact>>,
    pub(super) limit: u64,
    pub(super) idle: Duration,
    pub(super) status: u16,
}

impl Body {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { stream, encoding, redact, limit, idle, status } = parts;
        let raw = Arc::new(AtomicU64::new(0));
        let counted = timed(stream, idle, Arc::clone(&raw), limit);
        let source = match encoding {
            Some(encoding) => decode::decode(&encoding, counted),
            None => counted,
        };
        Self {
            source: Some(source),
            ready: Bytes::new(),
            redact,
            limit,
            read: 0,
            broken: None,
            raw,
            status,
            receipt: None,
            slot: None,
        }
    }

    /// A body of which nothing is left.
    pub(super) fn over() -> Self {
        Self {
            source: None,
            ready: Bytes::new(),
            redact: None,
            limit: 0,
            read: 0,
            broken: None,
            raw: Arc::default(),
            status: 0,
            receipt: None,
            slot: None,
        }
    }

    /// The next bytes; empty at the end. After a refusal there is nothing more.
    pub(super) async fn read(&mut self, max: u32) -> Result<Bytes, Refusal> {
        let max = if max == 0 { USUAL } else { (max as usize).min(MOST) };
        while self.ready.is_empty() && self.source.is_some() {
            let pulled = match self.broken.take() {
                Some(refusal) => Err(refusal),
                None => self.pull(max).await,
            };
            if let Err(refusal) = pulled {
                self.source = None;
                self.slot = None;
                self.tell(refusal.kind(), format!("status={} {refusal}", self.status));
                return Err(refusal);
            }
        }
        Ok(self.ready.split_to(max.min(self.ready.len())))
    }

    /// Takes the next piece, and what is there already behind it.
    async fn pull(&mut self, max: usize) -> Result<(), Refusal> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let mut next = source.next().await;
        let mut got: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        let ended = loop {
            match next {
                Some(Ok(piece)) => {
                    bytes += piece.len();
                    self.read += piece.len() as u64;
                    if self.read > self.limit {
                        return Err(too_large(self.limit));
                    }
                    got.push(piece);
                }
                // A server that compresses nothing sends nothing, which is no end of a compressed stream.
                Some(Err(_)) if is_empty_stream(&self.raw) => break true,
                Some(Err(error)) => {
                    // What came before it is the skill's.
                    self.broken = Some(refusal(&error, self.limit));
                    break false;
                }
                None => break true,
            }
            if bytes >= max {
                break false;
            }
            match source.next().now_or_never() {
                Some(more) => next = more,
                None => break false,
            }
        };
        let piece = match <[Bytes; 1]>::try_from(got) {
            Ok([one]) => one,
            Err(many) => many.concat().into(),
        };
        self.ready = match &mut self.redact {
            Some(redact) => redact.bytes(piece, ended),
            None => piece,
        };
        if ended {
            self.source = None;
            self.slot = None;
            self.tell("ok", format!("status={} bytes={}", self.status, self.read));
        }
        Ok(())
    }

    fn tell(&mut self, kind: &'static str, detail: String) {
        if let Some(receipt) = self.receipt.take() {
            receipt.close(kind, detail);
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let detail = format!("status={} bytes={}, the rest was not read", self.status, self.read);
        self.tell("ok", detail);
    }
}

/// Ends a stream that is silent for too long, or that sends more than the limit even before it is decoded.
fn timed(stream: Bodied, idle: Duration, raw: Arc<AtomicU64>, limit: u64) -> Bodied {
    let next = move |mut stream: Bodied| {
        let raw = Arc::clone(&raw);
        async move {
            match tokio::time::timeout(idle, stream.next()).await {
                Err(_) => {
                    let text = format!("the server was silent for {} s in the middle of the body", idle.as_secs());
                    Err(io::Error::new(io::ErrorKind::TimedOut, text))
                }
                Ok(None) => {
                    raw.fetch_or(ENDED, Ordering::Relaxed);
                    Ok(None)
                }
                Ok(Some(Err(error))) => Err(error),
                Ok(Some(Ok(piece))) => {
                    let so_far = raw.fetch_add(piece.len() as u64, Ordering::Relaxed) + piece.len() as u64;
                    if so_far > limit {
                        return Err(io::ErrorKind::FileTooLarge.into());
                    }
                    Ok(Some((piece, stream)))
                }
            }
        }
    };
    Box::pin(futures_util::stream::try_unfold(stream, next).fuse())
}

fn too_large(limit: u64) -> Refusal {
    Refusal::TooLarge(Excess { what: "body of the http response", limit, actual: None })
}

/// Marks a count of raw bytes whose stream has ended as it should. No body has so many.
const ENDED: u64 = 1 << 63;

/// Whether a decoder only misses what was never there. What it says then differs from one to the next.
fn is_empty_stream(raw: &AtomicU64) -> bool {
    raw.load(Ordering::Relaxed) == ENDED
}

fn refusal(error: &io::Error, limit: u64) -> Refusal {
    match error.kind() {
        io::ErrorKind::FileTooLarge => too_large(limit),
        io::ErrorKind::TimedOut => Refusal::TimedOut(error.to_string()),
        _ => Refusal::Unavailable(format!("the body broke off or is garbled: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn body(encoding: Option<&str>, pieces: Vec<Bytes>, limit: u64) -> Body {
        let stream = Box::pin(futures_util::stream::iter(pieces.into_iter().map(Ok)));
        let encoding = encoding.map(str::to_owned);
        let idle = Duration::from_secs(5);
        Body::new(Parts { stream, encoding, redact: None, limit, idle, status: 200 })
    }

    async fn whole(mut body: Body) -> Result<Vec<u8>, Refusal> {
        let mut all = Vec::new();
        loop {
            match body.read(0).await? {
                piece if piece.is_empty() => return Ok(all),
                piece => all.extend_from_slice(&piece),
            }
        }
    }

    async fn packed(encoding: &str, plain: &[u8]) -> Bytes {
        use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
        use tokio::io::AsyncWriteExt as _;
        macro_rules! with {
            ($encoder:ident) => {{
                let mut encoder = $encoder::new(Vec::new());
                encoder.write_all(plain).await.unwrap();
                encoder.shutdown().await.unwrap();
                encoder.into_inner().into()
            }};
        }
        match encoding {
            "gzip" => with!(GzipEncoder),
            "br" => with!(BrotliEncoder),
            "zstd" => with!(ZstdEncoder),
            _ => with!(ZlibEncoder),
        }
    }

    #[tokio::test]
    async fn every_encoding_is_read_in_pieces_of_any_size() {
        let plain = b"All bees hum. ".repeat(1_000);
        for encoding in ["gzip", "br", "zstd", "deflate"] {
            assert!(decode::is_known(encoding));
            let packed = packed(encoding, &plain).await;
            let single = packed.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
            assert_eq!(whole(body(Some(encoding), single, 1 << 20)).await.unwrap(), plain, "{encoding}");
            let cut = packed.slice(..packed.len() / 2);
            let broken = whole(body(Some(encoding), vec![cut], 1 << 20)).await;
            assert!(matches!(broken, Err(Refusal::Unavailable(_))), "{encoding}: {broken:?}");
            assert_eq!(whole(body(Some(encoding), vec![], 1)).await.unwrap(), b"", "{encoding}");
        }
        assert!(!decode::is_known("gzip, gzip") && !decode::is_known("identity"));
    }

    #[tokio::test]
    async fn t66_a_bomb_ends_at_the_limit_of_decoded_bytes() {
        let plain = vec![0u8; 32 << 20];
        for encoding in ["gzip", "br", "zstd", "deflate"] {
            let bomb = packed(encoding, &plain).await;
            assert!(bomb.len() < plain.len() / 900, "{encoding}: {}", bomb.len());
            let mut body = body(Some(encoding), vec![bomb], 1 << 20);
            let mut got = 0;
            let refusal = loop {
                match body.read(4096).await {
                    Ok(piece) => got += piece.len(),
                    Err(refusal) => break refusal,
                }
            };
            assert!(matches!(&refusal, Refusal::TooLarge(excess) if excess.limit == 1 << 20), "{refusal}");
            assert!(got <= 1 << 20);
            assert_eq!(body.read(0).await.unwrap(), b"".as_slice(), "nothing comes after it");
        }
    }

    #[tokio::test]
    async fn t66_a_bomb_in_a_bomb_is_opened_once() {
        let inner = packed("gzip", &vec![0u8; 1 << 20]).await;
        let outer = packed("gzip", &inner).await;
        assert_eq!(whole(body(Some("gzip"), vec![outer], 1 << 20)).await.unwrap(), inner);
    }

    #[tokio::test]
    async fn t66_what_never_ends_is_cut_though_it_decodes_to_nothing() {
        // Members of gzip that hold nothing, one after the other.
        let empty = packed("gzip", b"").await;
        let members: Vec<Bytes> = vec![empty; 100_000];
        let refusal = whole(body(Some("gzip"), members, 1 << 20)).await.unwrap_err();
        assert!(matches!(refusal, Refusal::TooLarge(_)), "{refusal}");
    }

    #[tokio::test]
    async fn t66_plain_bytes_are_counted_and_may_fill_the_limit() {
        let piece = Bytes::from(vec![1u8; 1000]);
        assert_eq!(whole(body(None, vec![piece.clone(); 10], 10_000)).await.unwrap().len(), 10_000);
        let over = whole(body(None, vec![piece; 11], 10_000)).await.unwrap_err();
        assert!(matches!(over, Refusal::TooLarge(_)), "{over}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_not_waited_for() {
        let stream = futures_util::stream::iter([Ok(Bytes::from_static(b"a"))]).chain(futures_util::stream::pending());
        let parts = Parts {
            stream: Box::pin(stream),
            encoding: None,
            redact: None,
            limit: 10,
            idle: Duration::from_secs(30),
            status: 200,
        };
        let mut body = Body::new(parts);
        assert_eq!(body.read(0).await.unwrap(), b"a".as_slice());
        assert!(matches!(body.read(0).await, Err(Refusal::TimedOut(text)) if text.contains("30 s")));
    }

    /// Takes the word out wherever a piece ends.
    struct Stars(Vec<u8>);

    impl Redact for Stars {
        fn text(&self, text: &str) -> String {
            text.replace("hunter2", "*")
        }

        fn bytes(&mut self, chunk: Bytes, last: bool) -> Bytes {
            self.0.extend_from_slice(&chunk);
            if !last {
                return Bytes::new();
            }
            let mut out = Vec::new();
            write!(out, "{}", String::from_utf8_lossy(&self.0).replace("hunter2", "*")).unwrap();
            out.into()
        }
    }

    #[tokio::test]
    async fn t72_a_redactor_that_holds_bytes_back_is_no_end() {
        let pieces = ["say hun", "", "ter2 to", " all"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
        let parts = Parts {
            stream: Box::pin(futures_util::stream::iter(pieces)),
            encoding: None,
            redact: Some(Box::new(Stars(Vec::new()))),
            limit: 1000,
            idle: Duration::from_secs(5),
            status: 200,
        };
        assert_eq!(whole(Body::new(parts)).await.unwrap(), b"say * to all");
    }
}
