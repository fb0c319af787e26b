//! Compressed bodies. One layer only, and with windows that a stranger cannot make large.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// A body as it comes.
pub(super) type Bodied = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What requests say that they understand.
pub(super) const ACCEPTED: &str = "gzip, br, zstd, deflate";

/// Bytes that a decoder gives at once.
const PIECE: usize = 32 << 10;

/// Largest window of zstd as a power of two: 8 MiB, which RFC 9659 has for the web. The library would take 128 MiB.
const ZSTD_WINDOW: u32 = 23;

/// Whether a body under this `content-encoding` comes decoded. What is encoded twice, or in a way that was not asked for, goes
/// to the skill as it is: decoding layer after layer is what bombs are made of.
pub(super) fn is_known(encoding: &str) -> bool {
    matches!(encoding, "gzip" | "x-gzip" | "br" | "zstd" | "deflate")
}

/// The decoded body.
pub(super) fn decode(encoding: &str, raw: Bodied) -> Bodied {
    let reader = StreamReader::new(raw);
    match encoding {
        "gzip" | "x-gzip" => {
            let mut decoder = GzipDecoder::new(reader);
            decoder.multiple_members(true);
            pieces(decoder)
        }
        "deflate" => pieces(ZlibDecoder::new(reader)),
        "br" => pieces(BrotliDecoder::new(reader)),
        "zstd" => {
            let mut decoder = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW)]);
            decoder.multiple_members(true);
            pieces(decoder)
        }
        _ => reader.into_inner(),
    }
}

fn pieces(decoder: impl AsyncRead + Send + 'static) -> Bodied {
    Box::pin(ReaderStream::with_capacity(decoder, PIECE).fuse())
}
