//! A small Secret Service, which answers on a socket of its own as the bus and the service at once, or on a bus that there is.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use tokio::runtime::Runtime;
use zbus::connection::Builder;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

pub(crate) const NAME: &str = "org.freedesktop.secrets";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Works,
    /// Everything is locked, and unlocking would ask a person.
    Locked,
    /// Nothing is answered but what the bus itself answers.
    Hangs,
    /// There is no collection to put something into, as in a session without a login keyring.
    Empty,
    /// No program is the service.
    Nobody,
}

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) label: String,
    pub(crate) attributes: HashMap<String, String>,
    pub(crate) value: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) mood: Mood,
    pub(crate) items: BTreeMap<u32, Kept>,
    /// The methods that were called, in order.
    pub(crate) calls: Vec<String>,
}

/// Ends with its runtime.
pub(crate) struct SecretService {
    pub(crate) shared: Arc<Mutex<Shared>>,
    _runtime: Runtime,
}

impl SecretService {
    /// On a socket at `path`, as bus and service.
    pub(crate) fn at(path: &Path, mood: Mood) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::new(mood, |shared| async move {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (stream, shared) = (stream.into_std().unwrap(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let peer = Builder::unix_stream(stream).server(zbus::Guid::generate()).p2p();
                    // Whoever goes away in the middle of a greeting is none.
                    if let Ok(messages) = peer.build_message_stream().await {
                        serve(messages, shared).await;
                    }
                });
            }
        })
    }

    /// On the bus at `address`.
    pub(crate) fn on(address: &str, mood: Mood) -> Self {
        let address: zbus::Address = address.parse().unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let service = Self::new(mood, |shared| async move {
            let bus = Builder::address(address).build().await.unwrap();
            let messages = MessageStream::from(&bus);
            bus.request_name(NAME).await.unwrap();
            ready.send(()).unwrap();
            serve(messages, shared).await;
        });
        is_ready.recv().unwrap();
        service
    }

    fn new<F: Future<Output = ()> + Send + 'static>(mood: Mood, run: impl FnOnce(Arc<Mutex<Shared>>) -> F) -> Self {
        let shared = Arc::new(Mutex::new(Shared { mood, items: BTreeMap::new(), calls: Vec::new() }));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(run(Arc::clone(&shared)));
        Self { shared, _runtime: runtime }
    }

    pub(crate) fn becomes(&self, mood: Mood) {
        self.shared.lock().unwrap().mood = mood;
    }
}

async fn serve(mut messages: MessageStream, shared: Arc<Mutex<Shared>>) {
    let bus = Connection::from(messages.clone());
    while let Some(Ok(message)) = messages.next().await {
        if message.message_type() == zbus::message::Type::MethodCall {
            answer(&bus, &message, &shared).await.unwrap();
        }
    }
}

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text).unwrap()
}

fn item(number: u32) -> OwnedObjectPath {
    path(&format!("/org/freedesktop/secrets/collection/login/{number}"))
}

async fn answer(bus: &Connection, message: &Message, shared: &Mutex<Shared>) -> zbus::Result<()> {
    let (header, body) = (message.header(), message.body());
    let member = header.member().unwrap().to_string();
    if member == "Hello" {
        return bus.reply(&header, &":1.1").await;
    }
    let mood = {
        let mut shared = shared.lock().unwrap();
        shared.calls.push(member.clone());
        shared.mood
    };
    match mood {
        Mood::Hangs => return Ok(()),
        Mood::Nobody => {
            let error = "org.freedesktop.DBus.Error.ServiceUnknown";
            return bus.reply_error(&header, error, &"nobody has this name").await;
        }
        _ => {}
    }
    let number = || header.path().unwrap().as_str().rsplit('/').next().unwrap().parse::<u32>().unwrap();
    let locked = mood == Mood::Locked;
    match &*member {
        "OpenSession" => {
            let (way, _): (String, OwnedVariant) = body.deserialize()?;
            assert_eq!(way, "plain");
            bus.reply(&header, &(Variant::from(""), path("/org/freedesktop/secrets/session/1"))).await
        }
        "ReadAlias" => {
            let collection = if mood == Mood::Empty { "/" } else { "/org/freedesktop/secrets/collection/login" };
            bus.reply(&header, &path(collection)).await
        }
        "Get" => bus.reply(&header, &Variant::from(locked)).await,
        "Unlock" => {
            let wanted: Vec<OwnedObjectPath> = body.deserialize()?;
            let answer = if locked { (vec![], path("/prompt/1")) } else { (wanted, path("/")) };
            bus.reply(&header, &answer).await
        }
        "SearchItems" => {
            let wanted: HashMap<String, String> = body.deserialize()?;
            let found: Vec<_> = {
                let shared = shared.lock().unwrap();
                let fits = |kept: &Kept| wanted.iter().all(|(key, value)| kept.attributes.get(key) == Some(value));
                shared.items.iter().filter(|(_, kept)| fits(kept)).map(|(number, _)| item(*number)).collect()
            };
            bus.reply(&header, &if locked { (vec![], found) } else { (found, vec![]) }).await
        }
        "CreateItem" => {
            type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);
            let (mut properties, secret, _): (HashMap<String, OwnedVariant>, Secret, bool) = body.deserialize()?;
            let mut property = |name: &str| properties.remove(&format!("org.freedesktop.Secret.Item.{name}")).unwrap();
            let kept = Kept {
                label: property("Label").try_into()?,
                attributes: property("Attributes").try_into()?,
                value: secret.2,
            };
            let made = {
                let mut shared = shared.lock().unwrap();
                let number = shared.items.keys().last().map_or(1, |last| last + 1);
                shared.items.insert(number, kept);
                item(number)
            };
            bus.reply(&header, &(made, path("/"))).await
        }
        "GetSecret" => {
            let session: OwnedObjectPath = body.deserialize()?;
            let value = shared.lock().unwrap().items[&number()].value.clone();
            bus.reply(&header, &((session, Vec::<u8>::new(), value, "text/plain"),)).await
        }
        "Delete" => {
            shared.lock().unwrap().items.remove(&number());
            bus.reply(&header, &path("/")).await
        }
        other => {
            let error = "org.freedesktop.DBus.Error.UnknownMethod";
            bus.reply_error(&header, error, &format!("there is no {other} here")).await
        }
    }
}
