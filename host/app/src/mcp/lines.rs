//! Messages as lines of a stream, with an answer to every line that is none.
//!
//! The library's own transport keeps silent about what it cannot read, and takes any number of requests at once. A client that waits
//! for an answer should get one, and what one client can make us hold has to have an end: a line, the requests that are not answered
//! yet, and the answers that it has not read. While answers wait to be read, nothing more is read.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData, GetMeta as _, ProtocolVersion,
    RequestId, ServerJsonRpcMessage,
};
use rmcp::service::RoleServer;
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::MESSAGE_BYTES;
use super::id::Search;

/// Most requests of one client that are not answered yet.
const AT_ONCE: usize = 64;
/// Most lines that wait to be written.
const UNWRITTEN: usize = 8;
/// How long a client that sends more than it may can leave the refusal unread. Until it is read nothing else is, not even the end.
const UNREAD: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what is there for it, once it has gone or we are to end.
const LAST: Duration = Duration::from_secs(5);

/// How the reader of JSON says that there are too many brackets in one another.
const TOO_DEEP: &str = "recursion limit exceeded";

/// A stream of lines.
pub(super) struct Lines<S> {
    read: BufReader<ReadHalf<S>>,
    line: Vec<u8>,
    /// Of a line that is too long: it is passed over, and all that is wanted of it is under which id to say so.
    too_long: Option<Search>,
    out: mpsc::Sender<Vec<u8>>,
    /// An answer of our own that has to be written before anything else is read.
    refusal: Option<ErrorData>,
    refused: Option<RequestId>,
    /// Requests that are not answered.
    open: Arc<Mutex<HashSet<RequestId>>>,
    /// Whether there was a request that begins a session. What comes before it is about nothing.
    begun: bool,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Lines<S> {
    /// The second value is there when everything that was sent has been written, or cannot be. Once `over` is cancelled it waits for
    /// nobody who takes nothing.
    pub(super) fn new(stream: S, over: CancellationToken) -> (Self, impl Future<Output = ()>) {
        let (read, mut write) = tokio::io::split(stream);
        let (out, mut lines) = mpsc::channel::<Vec<u8>>(UNWRITTEN);
        let writing = tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if write_all(&mut write, &line, &over).await.is_err() {
                    // Nobody reads any more; with this receiver the sending side ends as well.
                    return;
                }
            }
            drop(write.shutdown().await);
        });
        let lines = Self {
            read: BufReader::new(read),
            line: Vec::new(),
            too_long: None,
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
    /// The next line, in `self.line`, or the id of one that was too long. Loses nothing where it is dropped in the middle. None at the
    /// end.
    async fn next(&mut self) -> io::Result<Option<Result<(), Option<RequestId>>>> {
        loop {
            let piece = self.read.fill_buf().await?;
            if piece.is_empty() {
                return Ok(None);
            }
            let end = memchr(piece);
            let taken = end.map_or(piece.len(), |at| at + 1);
            let piece = &piece[..taken];
            match &mut self.too_long {
                Some(search) => search.feed(piece),
                None if self.line.len() + taken <= MESSAGE_BYTES => self.line.extend_from_slice(piece),
                None => {
                    let search = self.too_long.insert(Search::default());
                    search.feed(&std::mem::take(&mut self.line));
                    search.feed(piece);
                }
            }
            self.read.consume(taken);
            if end.is_none() {
                continue;
            }
            if let Some(search) = self.too_long.take() {
                return Ok(Some(Err(search.id())));
            }
            return Ok(Some(Ok(())));
        }
    }

    async fn read(&mut self) -> Read {
        match self.next().await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(id))) => {
                let words = format!("a message has more than {MESSAGE_BYTES} bytes, and was not read");
                return Read::Refused(ErrorData::invalid_request(words, None), id);
            }
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
                self.begun |= begins(&request.request);
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
        let is_request = matches!(message, ClientJsonRpcMessage::Request(_));
        if self.begun || is_request { Read::Message(message) } else { Read::Nothing }
    }
}

/// Whether the library serves a session from this request on. Until then each notification, and each answer to nothing, is to it a client
/// that does not speak the protocol.
fn begins(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        // Either may come before it is known how the client goes on.
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        // What does not say enough is refused, and begins nothing.
        request => {
            let meta = request.get_meta();
            let version = meta.protocol_version();
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && version.is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version))
        }
    }
}

/// Writes all of it, and waits for the other side for as long as it takes; once `over` is cancelled, only while that takes something now
/// and then.
pub(super) async fn write_all<W>(to: &mut W, mut bytes: &[u8], over: &CancellationToken) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let late = || async {
        over.cancelled().await;
        tokio::time::sleep(LAST).await;
        io::Error::from(io::ErrorKind::TimedOut)
    };
    while !bytes.is_empty() {
        let taken = tokio::select! {
            biased;
            taken = to.write(bytes) => taken?,
            error = late() => return Err(error),
        };
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[taken..];
    }
    tokio::select! {
        biased;
        done = to.flush() => done,
        error = late() => Err(error),
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
    let value = match serde_json::from_slice::<Value>(line) {
        Ok(value) => value,
        // What is nested as deep as that is a message all the same, and somebody may wait for what became of it.
        Err(deep) if deep.to_string().starts_with(TOO_DEEP) => {
            let mut search = Search::default();
            search.feed(line);
            return Read::Refused(ErrorData::parse_error("the message is nested too deeply", None), search.id());
        }
        Err(_) => {
            let words = format!("the message is not JSON: {error}");
            return Read::Refused(ErrorData::parse_error(words, None), None);
        }
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
                let room = tokio::time::timeout(UNREAD, self.out.reserve()).await.ok()?.ok()?;
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
    let mut line = written(message)?;
    line.push(b'\n');
    Ok(line)
}

/// A message as JSON. The library leaves the id out where there is none to give, and JSON-RPC wants a null there: a client that looks for
/// the member reads no error without it.
pub(super) fn written(message: &ServerJsonRpcMessage) -> serde_json::Result<Vec<u8>> {
    match message {
        ServerJsonRpcMessage::Error(error) if error.id.is_none() => {
            serde_json::to_vec(&json!({ "jsonrpc": "2.0", "id": null, "error": error.error }))
        }
        message => serde_json::to_vec(message),
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::ServerResult;
    use tokio::io::{AsyncReadExt as _, DuplexStream};

    use super::*;

    /// Lines, what comes out of them, and when all of that is written.
    fn lines(room: usize) -> (Lines<DuplexStream>, DuplexStream, CancellationToken, impl Future<Output = ()>) {
        let (near, far) = tokio::io::duplex(room);
        let over = CancellationToken::new();
        let (lines, written) = Lines::new(near, over.clone());
        (lines, far, over, written)
    }

    /// The methods of the messages that are let through.
    async fn let_through(said: &[Value]) -> Vec<String> {
        let (mut lines, mut far, ..) = lines(1 << 20);
        for message in said {
            far.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        }
        far.shutdown().await.unwrap();
        let mut methods = Vec::new();
        while let Some(message) = lines.receive().await {
            let message = serde_json::to_value(&message).unwrap();
            methods.push(message["method"].as_str().unwrap_or("an answer").to_owned());
        }
        methods
    }

    fn request(id: u32, method: &str, version: &str) -> Value {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": { "name": "x", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": { "_meta": meta } })
    }

    #[tokio::test]
    async fn before_a_session_has_begun_only_requests_are_let_through() {
        let about_nothing = [
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } }),
            json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }),
            json!({ "jsonrpc": "2.0", "method": "notifications/of-tomorrow" }),
            json!({ "jsonrpc": "2.0", "id": 77, "result": {} }),
        ];
        let begins_nothing = [
            request(1, "server/discover", "2026-07-28"),
            json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }),
            json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" }),
            request(4, "tools/list", "1999-01-01"),
        ];
        for early in &about_nothing {
            for first in &begins_nothing {
                let listed = request(9, "tools/list", "2026-07-28");
                let methods = let_through(&[first.clone(), early.clone(), listed, early.clone()]).await;
                let own = first["method"].as_str().unwrap();
                assert_eq!(methods[..2], [own, "tools/list"], "{first} {early}");
                assert_eq!(methods.len(), 3, "what comes later is about something: {first} {early}");
            }
        }
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } } });
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(let_through(&[hello, initialized]).await, ["initialize", "notifications/initialized"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_waited_for_until_the_end_and_not_for_ever() {
        let (mut lines, mut far, over, written) = lines(64);
        let answer =
            || ServerJsonRpcMessage::response(ServerResult::empty(()), RequestId::String("x".repeat(1_000).into()));
        lines.send(answer()).await.unwrap();
        lines.send(answer()).await.unwrap();
        lines.close().await.unwrap();
        let mut written = std::pin::pin!(written);
        assert!(tokio::time::timeout(Duration::from_secs(3_600), &mut written).await.is_err(), "it may read later");
        // Whoever takes something now and then is waited for.
        over.cancel();
        let mut piece = [0; 64];
        for _ in 0..3 {
            assert!(tokio::time::timeout(LAST / 2, &mut written).await.is_err());
            far.read_exact(&mut piece).await.unwrap();
        }
        let begun = tokio::time::Instant::now();
        written.await;
        assert!(begun.elapsed() <= 2 * LAST, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_that_nobody_reads_end_it() {
        let (mut lines, mut far, ..) = lines(64);
        let nonsense = async { while far.write_all(b"nonsense\n").await.is_ok() {} };
        let end = tokio::time::timeout(2 * UNREAD, lines.receive());
        tokio::select! {
            end = end => assert!(matches!(end, Ok(None)), "{end:?}"),
            () = nonsense => panic!("nobody reads, and nobody has gone"),
        }
    }

    #[tokio::test]
    async fn an_error_without_an_id_says_null_and_what_was_not_read_is_answered_under_its_id() {
        let (mut lines, mut far, ..) = lines(64 << 20);
        let deep = "[".repeat(1_000) + &"]".repeat(1_000);
        let large = "x".repeat(MESSAGE_BYTES);
        for (line, code, id) in [
            ("nonsense".to_owned(), -32700, Value::Null),
            ("[]".into(), -32600, Value::Null),
            (deep.clone(), -32700, Value::Null),
            (format!(r#"{{"jsonrpc":"2.0","id":7,"method":"x","params":{{"a":{deep}}}}}"#), -32700, json!(7)),
            (format!(r#"{{"method":"x","params":{{"a":{deep}}},"jsonrpc":"2.0","id":"s"}}"#), -32700, json!("s")),
            (large.clone(), -32600, Value::Null),
            (format!(r#"{{"method":"x","params":{{"a":"{large}"}},"jsonrpc":"2.0","id":8}}"#), -32600, json!(8)),
        ] {
            far.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            let mut answers = BufReader::new(&mut far);
            let mut said = String::new();
            tokio::select! {
                message = lines.receive() => panic!("{message:?} for {line:.60}"),
                read = answers.read_line(&mut said) => assert!(read.unwrap() > 0),
            }
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!((said.get("id"), &said["error"]["code"]), (Some(&id), &json!(code)), "{line:.60}: {said}");
        }
    }
}
