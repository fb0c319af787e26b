//! A host's work on its state, with the real code: values, intents, reservations, installed skills, secrets, seals.

use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::dice::Dice;
use super::story::{Story, Thing};
use crate::broker::Permit;
use crate::budget::{Amount, Budgets, Ledger, Reserved, Treasury};
use crate::capability::kv::sqlite::Sqlite;
use crate::capability::kv::{Condition, Key, Quota, Set, Store as _};
use crate::capability::secrets::{Binding, Name, SecretsSettings, Vault};
use crate::catalog::components::Components;
use crate::catalog::index::{Entry, Index};
use crate::engine::artefact::{Artefacts, Cached};
use crate::error::{Explain as _, Refusal};
use crate::journal::audit::{self, Audit};
use crate::journal::{Ending, Journal, Run};
use crate::state::{Durability, State};

pub(super) const SKILL: &str = "s";
pub(super) const DIGEST: &str = "sha256:0123";

/// An error as a caller sees it: its kind, or the whole text where it has none.
pub(super) type Wrong = String;

/// Everything of a host that keeps something, on one directory.
pub(super) struct Ground {
    pub(super) state: State,
    pub(super) treasury: Treasury,
    pub(super) audit: Audit,
    pub(super) vault: Vault,
    pub(super) index: Index,
    pub(super) components: Components,
    pub(super) artefacts: Artefacts,
    journal: Journal,
    /// Whether there is a record that no seal is over.
    unsealed: bool,
}

/// Told by a child to whoever reads its record.
pub(super) struct Teller {
    control: std::fs::File,
    story: Story,
}

impl Teller {
    pub(super) fn new(path: &Path) -> Self {
        Self { control: std::fs::File::create(path).unwrap(), story: Story::default() }
    }

    pub(super) fn tell(&mut self, line: &str) {
        self.control.write_all(line.as_bytes()).unwrap();
        self.story.tell(line);
    }

    /// What was told since it was called last.
    pub(super) fn story(&mut self) -> Story {
        std::mem::take(&mut self.story)
    }

    /// From now on the change `first` and those after it fail, `times` of them. 0 is none.
    pub(super) fn fail(&mut self, first: u64, times: u64, code: i32, half: bool) {
        self.control.write_all(format!("fail {first} {times} {code} {}", u8::from(half)).as_bytes()).unwrap();
    }

    /// Whether one has failed.
    pub(super) fn has_fired(&mut self) -> bool {
        self.control.write(b"fired").unwrap() > 0
    }
}

pub(super) fn engine() -> &'static (wasmtime::Engine, Vec<u8>) {
    static ENGINE: OnceLock<(wasmtime::Engine, Vec<u8>)> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let engine = wasmtime::Engine::new(&crate::engine::config::on_demand()).unwrap();
        let component = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        let artefact = engine.precompile_component(&component).unwrap();
        (engine, artefact)
    })
}

/// What is kept under a number, to be known again.
pub(super) fn content(number: u64, bytes: u64) -> Vec<u8> {
    let mut content = number.to_le_bytes().to_vec();
    content.extend(Dice::new(number).bytes(usize::try_from(bytes).unwrap()));
    content
}

/// Two skills that are installed again and again. The digest says which number it was.
pub(super) fn skill(number: u64) -> (String, String) {
    (format!("p{}", number % 2), format!("sha256:{number}"))
}

pub(super) fn secret(number: u64) -> Name {
    Name::parse(&format!("S{number}")).unwrap()
}

impl Ground {
    /// As `Host::start` opens it, in its order.
    pub(super) async fn open(dir: &Path, durability: Durability) -> Result<Self, Wrong> {
        let state_dir = dir.join("state");
        let state = State::open(&state_dir, durability, Duration::from_secs(60)).map_err(kind)?;
        let vault = Vault::open(state.clone(), &state_dir, &SecretsSettings::default(), None).await.map_err(kind)?;
        let audit = Audit::resume::<Reserved>(state.clone(), state_dir.clone()).await.map_err(kind)?;
        let treasury = Treasury::open(state.clone()).await.map_err(kind)?;
        let artefacts = Artefacts::open(dir.join("cache/artefacts"), &state_dir.join("artefact.key"), &engine().0)
            .map_err(|error| error.to_string())?;
        let (index, journal) = (Index::new(state.clone()), Journal::new(state.clone()));
        let components = Components::new(&dir.join("data"), state.clone());
        Ok(Self { state, treasury, audit, vault, index, components, artefacts, journal, unsealed: false })
    }

    pub(super) async fn keep(&mut self, number: u64, thing: Thing) -> Result<(), Wrong> {
        match thing {
            Thing::Value { key, bytes } => {
                let value = Bytes::from(content(number, bytes));
                let (key, quota) = (Key::parse(format!("k{key}")).unwrap(), Quota { bytes: 1 << 30, keys: 1 << 20 });
                let ask = Set::new(SKILL.into(), key, value, Condition::Always, quota).map_err(refusal)?;
                Sqlite::new(self.state.clone()).set(Permit::unchecked(ask)).await.map_err(refusal)?;
            }
            Thing::Intent => {
                self.audit.record(entry(number)).await.map_err(kind)?;
                self.unsealed = true;
            }
            Thing::Noted => {
                self.audit.intend(&entry(number), None::<Reserved>).await.map_err(kind)?;
                self.unsealed = true;
            }
            Thing::SetAside { tokens, used } => {
                // As `Session::permit` does it.
                let ledger = self.ledger(number);
                assert!(ledger.concerns_this_host_alone());
                let set_aside = ledger.set_aside(amount(tokens)).await.map_err(refusal)?;
                self.audit.intend(&entry(number), Some(set_aside.reserved())).await.map_err(kind)?;
                self.unsealed = true;
                set_aside.recorded().settle(amount(used));
            }
            Thing::Reservation { tokens, used } => {
                self.ledger(number).reserve(amount(tokens)).await.map_err(refusal)?.settle(amount(used));
            }
            Thing::Skill { bytes } => {
                // As `Host::install` does it.
                let (name, digest) = skill(number);
                let before = self.index.get(&name).await.map_err(kind)?;
                self.components.write(&digest, &content(number, bytes)).map_err(told)?;
                self.index.put(row(name, digest), |_| Ok(true)).await.map_err(kind)?;
                if let Some(before) = before {
                    self.components.remove_unused(&self.index, &before.digest).await;
                }
            }
            Thing::Secret => {
                let binding = Binding::parse("api.example.com").unwrap();
                let value = format!("secret-value-{number}").into();
                self.vault
                    .set(&secret(number), &value, vec![binding])
                    .await
                    .map_err(|error| error.kind().to_owned())?;
            }
        }
        Ok(())
    }

    fn ledger(&self, number: u64) -> Ledger {
        self.treasury.ledger(format!("s{number}"), "i", &Budgets::default())
    }

    /// What nobody waits for.
    fn post(&self, run: u64) {
        let run = self.journal.started(Run {
            invocation: format!("i{run}").into(),
            skill: SKILL.into(),
            tool: "t".into(),
            digest: DIGEST.into(),
            caller: "user",
            parent: None,
            at: Timestamp::now(),
        });
        self.audit.note(entry(u64::MAX));
        let ending = Ending {
            kind: "ok",
            message: String::new(),
            usage: Amount::default(),
            log_dropped: 0,
            at: Timestamp::now(),
        };
        run.finished(ending);
    }

    /// Signs the head. Says whether there was anything to sign, and so whether all that was acknowledged is synced now.
    pub(super) async fn seal(&mut self) -> Result<bool, Wrong> {
        let unsealed = std::mem::take(&mut self.unsealed);
        self.audit.seal().await.map_err(kind)?;
        Ok(unsealed)
    }
}

fn row(name: String, digest: String) -> Entry {
    Entry {
        name,
        version: "1.0.0".into(),
        digest,
        manifest: "{}".into(),
        tools: "[]".into(),
        source: "here".into(),
        added_at: Timestamp::now(),
        signer: None,
    }
}

fn amount(tokens: u64) -> Amount {
    Amount { input_tokens: tokens, ..Amount::default() }
}

fn entry(number: u64) -> audit::Entry {
    audit::Entry {
        event: audit::Event::Intent,
        invocation: "i".into(),
        act: 0,
        skill: SKILL.into(),
        caller: "user".into(),
        capability: "kv",
        subject: number.to_string().into(),
        kind: "",
        detail: String::new(),
    }
}

fn kind(error: crate::state::StateError) -> Wrong {
    error.kind().to_owned()
}

/// Kind and sentence: where it only says that something cannot be written, the sentence says why.
fn told(error: crate::catalog::CatalogError) -> Wrong {
    format!("{}: {error}", error.kind())
}

fn io(error: std::io::Error) -> Wrong {
    error.to_string()
}

fn refusal(refusal: Refusal) -> Wrong {
    format!("{refusal:?}")
}

/// One thing that a host does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Keep(Thing),
    /// Records that nobody waits for, of a run with this number.
    Post(u64),
    Seal,
    Sync,
}

impl Deed {
    /// Any. Where they are `large`, the log is carried over in the middle.
    pub(super) fn any(dice: &mut Dice, large: bool) -> Self {
        match dice.below(12) {
            0..4 => {
                let bytes = if large { 100_000 + dice.below(200_000) } else { dice.below(6_000) };
                Self::Keep(Thing::Value { key: dice.below(5), bytes })
            }
            4 => Self::Keep(Thing::Intent),
            5 => Self::Keep(Thing::Noted),
            6 | 7 => {
                let tokens = 1 + dice.below(1_000);
                let used = tokens - dice.below(tokens);
                Self::Keep(match dice.one_in(2) {
                    true => Thing::SetAside { tokens, used },
                    false => Thing::Reservation { tokens, used },
                })
            }
            8 if dice.one_in(3) => Self::Keep(Thing::Secret),
            8 => Self::Keep(Thing::Skill { bytes: dice.below(20_000) }),
            9 => Self::Post(dice.next()),
            10 => Self::Seal,
            _ => Self::Sync,
        }
    }
}

/// One life of a host: open, work, close. Gives what went wrong.
pub(super) async fn session(
    dir: &Path,
    durability: Durability,
    deeds: &[Deed],
    next: &mut u64,
    teller: &mut Teller,
) -> Vec<Wrong> {
    match Ground::open(dir, durability).await {
        Ok(mut ground) => work(&mut ground, deeds, next, teller).await,
        Err(wrong) => vec![wrong],
    }
}

/// A host's work up to its last seal. What fails is told, and gone on with. `next` is the number of the last thing kept.
pub(super) async fn work(ground: &mut Ground, deeds: &[Deed], next: &mut u64, teller: &mut Teller) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    let (engine, artefact) = engine();
    if !matches!(ground.artefacts.load(engine, DIGEST), Cached::Ours(_))
        && let Err(error) = ground.artefacts.store(DIGEST, artefact)
    {
        wrongs.push(io(error));
    }
    for deed in deeds.iter().chain([&Deed::Seal]) {
        let done = match deed {
            Deed::Keep(thing) => {
                *next += 1;
                keep(ground, *next, *thing, teller).await
            }
            Deed::Post(run) => {
                ground.post(*run);
                Ok(())
            }
            Deed::Seal => ground.seal().await.map(|synced| tell_synced(synced, teller)),
            Deed::Sync => ground.state.sync().await.map(|()| tell_synced(true, teller)).map_err(kind),
        };
        wrongs.extend(done.err());
    }
    wrongs
}

fn tell_synced(synced: bool, teller: &mut Teller) {
    if synced {
        teller.tell("synced");
    }
}

/// Keeps one thing, and tells before and after.
pub(super) async fn keep(ground: &mut Ground, number: u64, thing: Thing, teller: &mut Teller) -> Result<(), Wrong> {
    let words = match thing {
        Thing::Value { key, bytes } => format!("value {key} {bytes}"),
        Thing::Intent => "intent".into(),
        Thing::Noted => "noted".into(),
        Thing::SetAside { tokens, used } => format!("set-aside {tokens} {used}"),
        Thing::Reservation { tokens, used } => format!("reservation {tokens} {used}"),
        Thing::Skill { bytes } => format!("skill {bytes}"),
        Thing::Secret => "secret".into(),
    };
    teller.tell(&format!("begin {number} {words}"));
    let kept = ground.keep(number, thing).await;
    teller.tell(&format!("{} {number}", if kept.is_ok() { "done" } else { "failed" }));
    kept
}
