//! Messages as lines of a stream, with an answer to every line that is none.
//!
//! The library's own transport keeps silent about what it cannot read, and takes any number of requests at once. A client that waits
//! for an answer should get one, and what one client can make us hold has to have an end: a line, the requests that are not answered
//! yet, and the answers that it has not read. While answers wait to be read, nothing more is read.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{ClientJsonRpcMessage, ClientNotification, ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage};
use rmcp::service::RoleServer;
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf};
use tokio::sync::mpsc;

use super::MESSAGE_BYTES;

/// Most requests of one client that are not answered yet.
const AT_ONCE: usize = 64;
/// Most lines that wait to be written.
const UNWRITTEN: usize = 8;

/// A stream of lines.
pub(super) struct Lines<S> {
    read: BufReader<ReadHalf<S>>,
    line: Vec<u8>,
    /// What is read belongs to a line that was too long.
    skipping: bool,
    out: mpsc::Sender<Vec<u8>>,
    /// An answer of our own that has to be written before anything else is read.
    refusal: Option<ErrorData>,
    refused: Option<RequestId>,
    /// Requests that are not answered.
    open: Arc<Mutex<HashSet<RequestId>>>,
    /// Whether there was a request. What comes before the first one is about nothing.
    begun: bool,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Lines<S> {
    /// The second value is there when everything that was sent has been written, or cannot be.
    pub(super) fn new(stream: S) -> (Self, impl Future<Output = ()>) {
        let (read, mut write) = tokio::io::split(stream);
        let (out, mut lines) = mpsc::channel::<Vec<u8>>(UNWRITTEN);
        let writing = tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                let done = async { write.write_all(&line).await.and(write.flush().await) };
                if done.await.is_err() {
                    // Nobody reads any more; with this receiver the sending side ends as well.
                    return;
                }
            }
            drop(write.shutdown().await);
        });
        let lines = Self {
            read: BufReader::new(read),
            line: Vec::new(),
            skipping: false,
            out,
            refusal: None,
            refused: None,
            open: Arc::default(),
            begun: false,
        };
        (lines, async move { drop(writing.await) })
    }
}

/// What a line, or the body of a request, was.
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is looked at once")]
pub(super) enum Read {
    Message(ClientJsonRpcMessage),
    Refused(ErrorData, Option<RequestId>),
    /// Nothing that somebody waits for.
    Nothing,
    End,
}

impl<S: AsyncRead + Send> Lines<S> {
    /// The next line, in `self.line`. Loses nothing where it is dropped in the middle. False at the end.
    async fn next(&mut self) -> io::Result<Option<Result<(), ErrorData>>> {
        loop {
            let piece = self.read.fill_buf().await?;
            if piece.is_empty() {
                return Ok(None);
            }
            let end = memchr(piece);
            let taken = end.map_or(piece.len(), |at| at + 1);
            let fits = self.line.len() + taken <= MESSAGE_BYTES;
            if !self.skipping && fits {
                self.line.extend_from_slice(&piece[..taken]);
            }
            self.read.consume(taken);
            let first = !self.skipping && !fits;
            self.skipping = (self.skipping || first) && end.is_none();
            if first {
                self.line = Vec::new();
                return Ok(Some(Err(ErrorData::invalid_request(
                    format!("a message has more than {MESSAGE_BYTES} bytes, and was not read"),
                    None,
                ))));
            }
            if end.is_some() && !self.line.is_empty() {
                return Ok(Some(Ok(())));
            }
        }
    }

    async fn read(&mut self) -> Read {
        match self.next().await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(refusal))) => return Read::Refused(refusal, None),
            Ok(None) => return Read::End,
            Err(error) => {
                tracing::debug!(%error, "a client's stream broke");
                return Read::End;
            }
        }
        let line = std::mem::take(&mut self.line);
        let read = understood(line.trim_ascii());
        // What small messages need is kept.
        if line.capacity() <= 64 << 10 {
            self.line = line;
            self.line.clear();
        }
        self.admitted(read)
    }

    /// Lets a message in, or says why not.
    fn admitted(&mut self, read: Read) -> Read {
        let message = match read {
            Read::Message(message) => message,
            other => return other,
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &message {
            ClientJsonRpcMessage::Request(request) => {
                let id = request.id.clone();
                if open.contains(&id) {
                    let words = "a request with this id is not answered yet";
                    return Read::Refused(ErrorData::invalid_request(words, None), Some(id));
                }
                if open.len() >= AT_ONCE {
                    let words = format!("{AT_ONCE} requests are not answered yet; send this one again after them");
                    return Read::Refused(ErrorData::new(ErrorCode(-32000), words, None), Some(id));
                }
                open.insert(id);
                self.begun = true;
            }
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // It is not answered any more.
                    open.remove(id);
                }
            }
            _ => {}
        }
        if self.begun { Read::Message(message) } else { Read::Nothing }
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Reads one message. What no request can be made of is answered as JSON-RPC says: <https://www.jsonrpc.org/specification>.
pub(super) fn understood(line: &[u8]) -> Read {
    if line.is_empty() {
        return Read::Nothing;
    }
    let error = match serde_json::from_slice(line) {
        Ok(message) => return Read::Message(message),
        Err(error) => error,
    };
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        let words = format!("the message is not JSON: {error}");
        return Read::Refused(ErrorData::parse_error(words, None), None);
    };
    let Value::Object(fields) = &value else {
        let words = if value.is_array() { "batches are not part of this protocol" } else { "a message is an object" };
        return Read::Refused(ErrorData::invalid_request(words, None), None);
    };
    if fields.contains_key("method") && !fields.contains_key("id") {
        // A notification that we do not know, to which there is no answer.
        return Read::Nothing;
    }
    let id = fields.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
    Read::Refused(ErrorData::invalid_request("this is no message of JSON-RPC 2.0", None), id)
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Transport<RoleServer> for Lines<S> {
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (out, open) = (self.out.clone(), Arc::clone(&self.open));
        async move {
            let answered = match &message {
                ServerJsonRpcMessage::Response(response) => Some(response.id.clone()),
                ServerJsonRpcMessage::Error(error) => error.id.clone(),
                _ => None,
            };
            let line = line(&message)?;
            let room = out.reserve().await;
            // Before it is written: whoever has read the answer may use its id again, faster than this task goes on.
            if let Some(id) = answered {
                open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
            room.map_err(|_| io::ErrorKind::BrokenPipe)?.send(line);
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if let Some(refusal) = &self.refusal {
                let answer = ServerJsonRpcMessage::error(refusal.clone(), self.refused.clone());
                let room = self.out.reserve().await.ok()?;
                room.send(line(&answer).ok()?);
                (self.refusal, self.refused) = (None, None);
            }
            let out = self.out.clone();
            let read = tokio::select! {
                // Nothing that is asked could be answered any more.
                () = out.closed() => Read::End,
                read = self.read() => read,
            };
            match read {
                Read::Message(message) => return Some(message),
                Read::Refused(refusal, id) => (self.refusal, self.refused) = (Some(refusal), id),
                Read::Nothing => {}
                Read::End => return None,
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        // The last sender: what was sent before is still written.
        self.out = mpsc::channel(1).0;
        Ok(())
    }
}

fn line(message: &ServerJsonRpcMessage) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
