//! Whether the chain holds.

use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use super::chain::{GENESIS, Hash, Key, Mark, hash, hex};
use super::repair::REPAIRED;
use super::{Event, store};

/// What reading the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verified {
    pub records: u64,
    /// The first and the last number, 0 where there is none.
    pub first: u64,
    pub last: u64,
    /// The newest record that is signed.
    pub signed: u64,
    /// The newest record of a repair: what was before it may not have been readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<u64>,
    /// The first thing that is wrong. None: the chain holds.
    pub fault: Option<Fault>,
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Fault {
    #[error("record {seq} was changed, or one before it was")]
    Changed { seq: u64 },
    #[error("record {seq} is missing, doubled or out of order")]
    Missing { seq: u64 },
    #[error("the chain ends at {last}, and record {signed} was signed: its end was cut off")]
    CutOff { last: u64, signed: u64 },
    #[error("the state ends at {last}, and the file beside it knows record {signed}: an older state was put back")]
    RolledBack { last: u64, signed: u64 },
    #[error(
        "the file beside the state knows another record {signed}: an older state was put back, and has gone on since"
    )]
    GoneOn { signed: u64 },
    #[error("the signature of the {mark} is wrong")]
    Forged { mark: &'static str },
    #[error("the chain has records, and no head was ever signed although the file beside it says so")]
    HeadRemoved,
}

impl Fault {
    /// The first record that is wrong or missing, where one can be named.
    #[must_use]
    pub fn first_bad(&self) -> Option<u64> {
        match self {
            Self::Changed { seq } | Self::Missing { seq } => Some(*seq),
            Self::CutOff { last, .. } | Self::RolledBack { last, .. } => Some(last + 1),
            Self::GoneOn { .. } | Self::Forged { .. } | Self::HeadRemoved => None,
        }
    }
}

pub(super) fn verify(db: &Connection, key: &Key, file: &Path) -> rusqlite::Result<Verified> {
    // The file first and then one view of the state, which is written before the file: a host may be writing meanwhile.
    let beside = Mark::load(file);
    let view = db.unchecked_transaction()?;
    verify_with(&view, key, beside)
}

/// As [`verify`], in one view of the state and with what the file beside it says.
pub(super) fn verify_with(view: &Connection, key: &Key, beside: Option<Mark>) -> rusqlite::Result<Verified> {
    let (base, head) = (store::mark(view, "base")?, store::mark(view, "head")?);
    let signed = head.as_ref().map_or(0, |head| head.seq);
    let mut found = Verified { records: 0, first: 0, last: 0, signed, repaired: None, fault: None };
    let forged = [("base", &base), ("head", &head), ("head", &beside)]
        .into_iter()
        .find(|(name, mark)| mark.as_ref().is_some_and(|mark| !mark.verifies(key, name)));
    if let Some((mark, _)) = forged {
        found.fault = Some(Fault::Forged { mark });
        return Ok(found);
    }
    let (mut seq, mut before) = base.map_or((0, GENESIS), |base| (base.seq, base.hash));
    let start = seq;
    let is = |mark: &Option<Mark>, at: u64, real: &Hash| {
        mark.as_ref().is_none_or(|mark| mark.seq != at || mark.hash == *real)
    };
    let mut gone_on = None;
    store::walk(view, |record, number| {
        let fault = match record {
            _ if number != seq + 1 => Some(Fault::Missing { seq: seq + 1 }),
            Err(_) => Some(Fault::Changed { seq: number }),
            Ok(record) => {
                let real: Hash = hash(&before, &record);
                let wrong = hex(&real) != record.hash || !is(&head, number, &real);
                if record.event == Event::Admin && record.kind == REPAIRED {
                    found.repaired = Some(number);
                }
                if !is(&beside, number, &real) {
                    gone_on = Some(number);
                }
                before = real;
                wrong.then_some(Fault::Changed { seq: number })
            }
        };
        if fault.is_some() {
            found.fault = fault;
            return false;
        }
        seq = number;
        found.records += 1;
        true
    })?;
    (found.first, found.last) = if found.records == 0 { (0, 0) } else { (start + 1, seq) };
    if found.fault.is_none() {
        found.fault = match (&head, &beside) {
            (_, Some(beside)) if head.as_ref().map_or(0, |head| head.seq) < beside.seq && seq < beside.seq => {
                Some(Fault::RolledBack { last: seq, signed: beside.seq })
            }
            (Some(head), _) if seq < head.seq => Some(Fault::CutOff { last: seq, signed: head.seq }),
            (None, Some(_)) => gone_on.map(|seq| Fault::Changed { seq }).or(Some(Fault::HeadRemoved)),
            _ => gone_on.map(|signed| Fault::GoneOn { signed }),
        };
    }
    Ok(found)
}
