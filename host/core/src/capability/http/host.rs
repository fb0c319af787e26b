//! `ringfence:skill/http`: decode, ask, encode.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::body::Body;
use super::follow::{self, Order, Way};
use super::gate::{Gate, Slot};
use super::port::{Answer, Out};
use super::url::Target;
use super::{Egress, Exchange, headers, upload};
use crate::broker::{Permit, Session};
use crate::capability::words;
use crate::error::{Explain as _, Refusal};
use crate::policy::taint::Touch;
use bindings::ringfence::skill::http as wit;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package ringfence:http-words;
            world words { import ringfence:skill/http@0.1.0; }
        ",
        imports: { default: async | trappable },
        with: {
            "ringfence:skill/types@0.1.0": crate::capability::words::types,
            "ringfence:skill/http.pending": super::Pending,
            "ringfence:skill/http.response": super::Response,
            "ringfence:skill/http.upload": super::Upload,
        },
    });
}

/// What `http` may touch of an invocation.
pub struct View<'a> {
    pub session: &'a Session,
    pub table: &'a mut ResourceTable,
    pub egress: &'a Arc<Egress>,
    pub gate: &'a Arc<Gate>,
}

struct Http;

impl HasData for Http {
    type Data<'a> = View<'a>;
}

/// Offers `http` to guests.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> View<'_>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Http>(linker, get)
}

type Waiting = BoxFuture<'static, Result<Answer, Refusal>>;

/// A response whose head is there. Dropping it closes the connection.
pub struct Response {
    head: wit::Head,
    body: Body,
}

/// A request under way. Dropping it cancels it.
pub struct Pending(Option<Waiting>);

/// A request whose body is being written. Dropping it breaks the connection off.
pub struct Upload {
    answer: Option<Waiting>,
    writer: upload::Writer,
    patience: Duration,
    ask: Exchange,
    /// Whether policy knew when it was asked that this may carry private data away.
    tainted: bool,
}

/// A request that may be sent.
struct Allowed {
    permit: Permit<Exchange>,
    order: Order,
    way: Way,
}

impl View<'_> {
    async fn allow(&mut self, request: wit::Request, is_upload: bool) -> Result<Allowed, Refusal> {
        let (order, slot) = self.order(request, is_upload)?;
        let permit = self.session.permit(order.ask(self.session, is_upload)).await?;
        let way =
            Way { session: self.session.clone(), egress: Arc::clone(self.egress), gate: Arc::clone(self.gate), slot };
        Ok(Allowed { permit, order, way })
    }

    /// What is wanted, as far as it can be asked for at all, and a place to send it from. A refusal is put on record as policy's are.
    fn order(&mut self, mut request: wit::Request, is_upload: bool) -> Result<(Order, Slot), Refusal> {
        let url = std::mem::take(&mut request.url);
        self.readied(request, &url, is_upload).inspect_err(|refusal| {
            // What cannot be read is a stranger's text, and may hold a password: the record has neither the address nor what is said of it.
            match Target::parse(&url) {
                Ok(target) => {
                    let subject = format!("http {}", target.place());
                    self.session.note_refused("http", subject, refusal.kind(), refusal.to_string());
                }
                Err(_) => {
                    let (subject, reason) = ("http request".to_owned(), "its address cannot be read".to_owned());
                    self.session.note_refused("http", subject, refusal.kind(), reason);
                }
            }
        })
    }

    fn readied(&mut self, request: wit::Request, url: &str, is_upload: bool) -> Result<(Order, Slot), Refusal> {
        self.egress.count(self.gate, self.session.began())?;
        let settings = self.egress.settings();
        if request.body.len() > settings.request_bytes() {
            return Err(upload::too_large(settings.request_bytes(), request.body.len() as u64));
        }
        let patience = request.timeout_ms.map_or(settings.head(), |ms| Duration::from_millis(ms.into()));
        let order = Order {
            method: headers::method(&request.method)?,
            target: Target::parse(url)?,
            headers: headers::read(request.headers)?,
            body: request.body.into(),
            follow: request.follow && !is_upload,
            // Before the end of an upload nothing is late but the invocation.
            until: if is_upload { self.session.deadline() } else { Instant::now() + patience },
            hops: 0,
            redirected_by: None,
        };
        Ok((order, self.gate.slot()?))
    }

    async fn whole(&mut self, request: wit::Request) -> Result<Answer, Refusal> {
        let Allowed { permit, order, way } = self.allow(request, false).await?;
        self.session.perform_in_place(follow::run(way, permit, order)).await
    }

    async fn started(&mut self, request: wit::Request) -> Result<Pending, Refusal> {
        let Allowed { permit, order, way } = self.allow(request, false).await?;
        Ok(Pending(Some(Box::pin(self.session.perform(follow::run(way, permit, order))))))
    }

    async fn begun(&mut self, request: wit::Request) -> Result<Upload, Refusal> {
        if !request.body.is_empty() {
            return Err(Refusal::Invalid("a body that comes piece by piece begins empty: use `write`".into()));
        }
        let settings = self.egress.settings();
        let patience = request.timeout_ms.map_or(settings.head(), |ms| Duration::from_millis(ms.into()));
        let limit = settings.request_bytes();
        let tainted = self.session.taint().completed_by(Touch::OUT);
        let Allowed { permit, way, .. } = self.allow(request, true).await?;
        let ask = permit.ask().clone();
        let (writer, pieces) = upload::channel(limit);
        let work = async move {
            let Way { session, egress, slot, .. } = way;
            let mut answer = follow::send(&egress, &session, permit, Out::Pieces(pieces)).await?;
            answer.body.slot = Some(slot);
            Ok(answer)
        };
        Ok(Upload { answer: Some(Box::pin(self.session.perform(work))), writer, patience, ask, tainted })
    }

    async fn write(&mut self, upload: &Resource<Upload>, chunk: Vec<u8>) -> wasmtime::Result<Result<(), Refusal>> {
        let upload = self.table.get_mut(upload)?;
        if upload.answer.is_none() {
            return Ok(Err(Refusal::Invalid("the body is already complete".into())));
        }
        if let Err(refusal) = upload.writer.count(chunk.len()) {
            return Ok(Err(refusal));
        }
        let chunk = Bytes::from(chunk);
        if !upload.tainted && self.session.taint().completed_by(Touch::OUT) {
            if let Err(refusal) = self.session.check(&Exchange { body: chunk.clone(), ..upload.ask.clone() }).await {
                return Ok(Err(refusal));
            }
            upload.tainted = true;
        }
        let write = upload.writer.sender().write(chunk);
        Ok(self.session.perform_in_place(write).await)
    }

    async fn finished(&mut self, upload: &Resource<Upload>) -> wasmtime::Result<Result<Answer, Refusal>> {
        let upload = self.table.get_mut(upload)?;
        let Some(answer) = upload.answer.take() else {
            return Ok(Err(Refusal::Invalid("`finish` was called before: it gives its answer once".into())));
        };
        self.session.taint().touch(upload.ask.brings());
        let (end, patience) = (upload.writer.sender(), upload.patience);
        let work = async move {
            let last = async {
                end.end().await;
                answer.await
            };
            tokio::time::timeout(patience, last).await.unwrap_or_else(|_| {
                let text = format!("the server's answer did not begin within {} ms", patience.as_millis());
                Err(Refusal::TimedOut(text))
            })
        };
        Ok(self.session.perform_in_place(work).await)
    }

    async fn read(&mut self, response: &Resource<Response>, max: u32) -> wasmtime::Result<Result<Vec<u8>, Refusal>> {
        let response = self.table.get_mut(response)?;
        // It goes to where sockets are waited for, and comes back. Where the invocation ends meanwhile, it does not.
        let mut body = std::mem::replace(&mut response.body, Body::over());
        let work = async move {
            let piece = body.read(max).await;
            Ok((body, piece))
        };
        Ok(match self.session.perform_in_place(work).await {
            Ok((body, piece)) => {
                response.body = body;
                piece.map(Into::into)
            }
            Err(refusal) => Err(refusal),
        })
    }

    fn encode(&mut self, answer: Result<Answer, Refusal>) -> Reply<Resource<Response>> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let Answer { status, target, headers, body } = answer;
        let head = wit::Head { status, url: target.url().to_string(), headers };
        Ok(Ok(self.table.push(Response { head, body })?))
    }
}

type Reply<T> = wasmtime::Result<Result<T, words::types::Refusal>>;

impl wit::Host for View<'_> {
    async fn send(&mut self, request: wit::Request) -> Reply<Resource<Response>> {
        let answer = self.whole(request).await;
        self.encode(answer)
    }

    async fn start(&mut self, request: wit::Request) -> Reply<Resource<Pending>> {
        match self.started(request).await {
            Ok(pending) => Ok(Ok(self.table.push(pending)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    async fn begin(&mut self, request: wit::Request) -> Reply<Resource<Upload>> {
        match self.begun(request).await {
            Ok(upload) => Ok(Ok(self.table.push(upload)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }
}

impl wit::HostResponse for View<'_> {
    async fn head(&mut self, response: Resource<Response>) -> wasmtime::Result<wit::Head> {
        Ok(self.table.get(&response)?.head.clone())
    }

    async fn read(&mut self, response: Resource<Response>, max: u32) -> Reply<Vec<u8>> {
        Ok(View::read(self, &response, max).await?.map_err(Into::into))
    }

    async fn drop(&mut self, response: Resource<Response>) -> wasmtime::Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl wit::HostPending for View<'_> {
    async fn wait(&mut self, pending: Resource<Pending>) -> Reply<Resource<Response>> {
        let answer = match self.table.get_mut(&pending)?.0.take() {
            Some(waiting) => waiting.await,
            None => Err(Refusal::Invalid("`wait` was called before: it gives its answer once".into())),
        };
        self.encode(answer)
    }

    async fn drop(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        self.table.delete(pending)?;
        Ok(())
    }
}

impl wit::HostUpload for View<'_> {
    async fn write(&mut self, upload: Resource<Upload>, chunk: Vec<u8>) -> Reply<()> {
        Ok(View::write(self, &upload, chunk).await?.map_err(Into::into))
    }

    async fn finish(&mut self, upload: Resource<Upload>) -> Reply<Resource<Response>> {
        let answer = self.finished(&upload).await?;
        self.encode(answer)
    }

    async fn drop(&mut self, upload: Resource<Upload>) -> wasmtime::Result<()> {
        self.table.delete(upload)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::testing::{Ground, Names, With, ok};
    use super::*;
    use crate::broker::Setup;
    use crate::person::{Person, Question};

    /// Says yes, and only to one who is shown the piece.
    #[derive(Debug)]
    struct Reads;

    impl Person for Reads {
        fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
            let Question::Approve(approval) = question else { panic!("a question of a skill") };
            Box::pin(std::future::ready(Some(Value::Bool(approval.arguments.contains("what was read")))))
        }
    }

    /// A ground on which a server is granted by a pattern, and the server's URL. It answers when the body is complete.
    async fn ground() -> (Ground, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n0\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {
                }
                stream.write_all(&ok("taken")).await.ok();
            }
        });
        let names = Names::of(&[("a.good.test", &["127.0.0.1"])]);
        let grant = format!("http://*.good.test:{port}");
        let with = With { names, reachable: vec!["127.0.0.1"], ..With::grant(grant) };
        (with.open().await, format!("http://a.good.test:{port}/"))
    }

    async fn begun(view: &mut View<'_>, url: &str) -> Result<Resource<Upload>, Refusal> {
        let (method, url) = ("PUT".into(), url.into());
        let request =
            wit::Request { method, url, headers: Vec::new(), body: Vec::new(), timeout_ms: None, follow: false };
        let upload = view.begun(request).await?;
        Ok(view.table.push(upload).unwrap())
    }

    #[tokio::test]
    async fn t89_a_body_in_pieces_is_asked_about_when_private_data_is_read_after_it_began() {
        let (ground, url) = ground().await;
        let mut table = ResourceTable::new();
        let (egress, gate) = (&ground.egress, &ground.gate);
        let mut view = View { session: &ground.session, table: &mut table, egress, gate };
        let upload = begun(&mut view, &url).await.unwrap();
        view.write(&upload, b"nothing yet".to_vec()).await.unwrap().unwrap();
        let taint = ground.session.taint();
        taint.touch(Touch::PRIVATE);
        view.write(&upload, b"of one's own".to_vec()).await.unwrap().unwrap();
        taint.touch(Touch::UNTRUSTED);
        for _ in 0..2 {
            let refusal = view.write(&upload, b"what was read".to_vec()).await.unwrap().unwrap_err();
            let Refusal::Denied(denial) = refusal else { panic!("{refusal}") };
            assert!(denial.hint.contains("rules.taint") && denial.subject.contains("good.test"), "{denial:?}");
        }
    }

    #[tokio::test]
    async fn t89_a_person_sees_the_piece_and_is_asked_once() {
        let (ground, url) = ground().await;
        let session = Session::new(Setup { person: Some(Arc::new(Reads)), ..ground.setup() });
        let mut table = ResourceTable::new();
        let (egress, gate) = (&ground.egress, &ground.gate);
        let mut view = View { session: &session, table: &mut table, egress, gate };
        let upload = begun(&mut view, &url).await.unwrap();
        session.taint().touch(Touch::PRIVATE.and(Touch::UNTRUSTED));
        view.write(&upload, b"other words".to_vec()).await.unwrap().unwrap_err();
        view.write(&upload, b"what was read".to_vec()).await.unwrap().unwrap();
        view.write(&upload, b"other words".to_vec()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn t89_what_an_upload_brings_is_remembered_when_its_answer_is_asked_for() {
        let (ground, url) = ground().await;
        let mut table = ResourceTable::new();
        let (egress, gate) = (&ground.egress, &ground.gate);
        let mut view = View { session: &ground.session, table: &mut table, egress, gate };
        ground.session.taint().touch(Touch::PRIVATE);
        let upload = begun(&mut view, &url).await.unwrap();
        view.write(&upload, b"of one's own".to_vec()).await.unwrap().unwrap();
        view.finished(&upload).await.unwrap().unwrap();
        let Err(Refusal::Denied(denial)) = begun(&mut view, &url).await else { panic!("it was begun") };
        assert!(denial.hint.contains("rules.taint"), "{denial:?}");
    }
}
