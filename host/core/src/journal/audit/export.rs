//! What stands around the records of an export, so that somebody who has nothing else can verify it.
//!
//! An export is JSON, one value per line: an [`Opening`], the [`Record`](super::Record)s in order, a [`Closing`]. How to check
//! it, written for somebody who does not read this code, is in SECURITY.md, "The audit".

use serde::{Deserialize, Serialize};

use super::chain::{Mark, hex};
use super::{Audit, store};
use crate::state::StateError;

/// Goes up when the lines or the hash become others.
const FORMAT: &str = "ringfence-audit/1";

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Opening {
    pub format: String,
    /// Ed25519, 32 bytes in hexadecimal digits.
    pub public_key: String,
    /// The last record that was removed by age. None where the first one is still there.
    pub base: Option<Place>,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Closing {
    /// The newest record that is signed. None where nothing ever was.
    pub head: Option<Place>,
    /// How many records stand between the first line and this one.
    pub records: u64,
}

/// A signed place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    pub seq: u64,
    /// SHA-256 in hexadecimal digits.
    pub hash: String,
    /// 64 bytes in hexadecimal digits.
    pub signature: String,
}

impl From<Mark> for Place {
    fn from(mark: Mark) -> Self {
        Self { seq: mark.seq, hash: hex(&mark.hash), signature: hex(&mark.signature) }
    }
}

impl Audit {
    /// What an export begins with.
    pub async fn opening(&self) -> Result<Opening, StateError> {
        let base = self.0.state.read(|db| store::mark(db, "base")).await?;
        Ok(Opening { format: FORMAT.into(), public_key: self.public_key(), base: base.map(Place::from) })
    }

    /// What an export of so many records ends with. Ask when there is no further record: a host that writes meanwhile signs
    /// records that were not read yet.
    pub async fn closing(&self, records: u64) -> Result<Closing, StateError> {
        let head = self.0.state.read(|db| store::mark(db, "head")).await?;
        Ok(Closing { head: head.map(Place::from), records })
    }
}
