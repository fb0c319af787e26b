//! What signatures, trust, pins and the configuration come to: may this be installed, and whose is it then?
//!
//! Pure: everything that is known goes in, and nothing is looked up. [`judge`] refuses what no person's word can make good;
//! [`Verdict::admit`] refuses the rest as long as nobody has said otherwise ([`Terms`]).

use semver::Version;
use serde::Serialize;

use super::{Checked, Demand, Flaw, Pin, Publisher, SignatureError, Signer, SourceKind};

/// How a component stands with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Standing {
    /// By whom this skill is pinned to.
    Pinned {
        signer: Signer,
    },
    /// By somebody whom the person trusts, under this name. The skill will be pinned to them.
    Trusted {
        signer: Signer,
        name: String,
    },
    /// A good signature by somebody whom nobody has trusted here yet.
    New {
        signer: Signer,
    },
    /// By a key that is not known here, so that nothing can be said of it.
    Unknown {
        number: String,
    },
    Unsigned,
    /// Built here, from a folder.
    Built,
    /// Nobody wanted to know.
    NotChecked,
}

/// Whom a person trusts who had not been trusted before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trusting {
    #[default]
    Nobody,
    /// Whoever it is.
    Anybody,
    /// Those whose [`Signer::word`] is among these.
    Those(Vec<String>),
}

impl Trusting {
    fn covers(&self, signer: &Signer) -> bool {
        match self {
            Self::Nobody => false,
            Self::Anybody => true,
            Self::Those(words) => words.contains(&signer.word()),
        }
    }
}

/// What a person said beside `add`. The default is that nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// A publisher who is new here. Who says so wants a signature, so that taking it away is no way around.
    pub trust: Trusting,
    /// Whether another publisher, or none, may take the place of the one that the skill is pinned to.
    pub replace_publisher: bool,
    /// Whether an older version may take the place of a newer one.
    pub allow_downgrade: bool,
}

/// What is known about one component.
pub(crate) struct Facts<'a> {
    pub(crate) skill: &'a str,
    pub(crate) version: &'a Version,
    pub(crate) kind: SourceKind,
    pub(crate) demand: Demand,
    pub(crate) checked: Vec<Checked>,
    pub(crate) publishers: &'a [Publisher],
    pub(crate) pin: Option<Pin>,
    /// The version that is installed now.
    pub(crate) before: Option<Version>,
}

/// What came of looking at a component's signatures. It may not be good enough yet: [`admit`](Self::admit) says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    pub skill: String,
    #[serde(serialize_with = "text")]
    pub version: Version,
    pub kind: SourceKind,
    /// What the configuration asks for.
    pub demand: Demand,
    pub standing: Standing,
    pub pin: Option<Pin>,
    /// The highest version that was there before, where one is known.
    #[serde(serialize_with = "text_or_null")]
    pub floor: Option<Version>,
}

fn text<S: serde::Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

fn text_or_null<S: serde::Serializer>(version: &Option<Version>, serializer: S) -> Result<S::Ok, S::Error> {
    match version {
        Some(version) => serializer.collect_str(version),
        None => serializer.serialize_none(),
    }
}

/// Puts together what is known. Fails where no word of a person may help: a signature is there and does not fit, or is by
/// somebody who was revoked. One good signature is enough; bad ones beside it change nothing.
pub(crate) fn judge(facts: Facts<'_>) -> Result<Verdict, SignatureError> {
    let Facts { skill, version, kind, demand, checked, publishers, pin, before } = facts;
    // A pin outlives what the configuration asks for: what was signed once is not replaced unseen.
    let looked = demand != Demand::Off || pin.is_some();
    let standing = match kind {
        SourceKind::Folder if checked.is_empty() => Standing::Built,
        _ if !looked => Standing::NotChecked,
        _ => standing(checked, publishers, pin.as_ref())?,
    };
    let floor = pin.as_ref().map(|pin| pin.floor.clone()).into_iter().chain(before).max_by(Version::cmp_precedence);
    Ok(Verdict { skill: skill.to_owned(), version: version.clone(), kind, demand, standing, pin, floor })
}

fn standing(checked: Vec<Checked>, publishers: &[Publisher], pin: Option<&Pin>) -> Result<Standing, SignatureError> {
    let mut best = Standing::Unsigned;
    let mut flaws = Vec::new();
    for one in checked {
        let found = match one {
            Checked::Flawed(flaw) => {
                flaws.push(flaw);
                continue;
            }
            Checked::Unknown(number) => Standing::Unknown { number },
            Checked::Fits(signer) => match publishers.iter().find(|known| known.signer == signer) {
                Some(known) if known.revoked.is_some() => {
                    flaws.push(Flaw::Revoked(Box::new(signer)));
                    continue;
                }
                _ if pin.is_some_and(|pin| pin.signer == signer) => Standing::Pinned { signer },
                Some(known) => Standing::Trusted { signer, name: known.name.clone() },
                None => Standing::New { signer },
            },
        };
        if rank(&found) > rank(&best) {
            best = found;
        }
    }
    match flaws.into_iter().next() {
        // Nothing that is there says anything good.
        Some(flaw) if matches!(best, Standing::Unsigned | Standing::Unknown { .. }) => {
            Err(SignatureError::Invalid(flaw))
        }
        _ => Ok(best),
    }
}

fn rank(standing: &Standing) -> u8 {
    match standing {
        Standing::Unsigned | Standing::Built | Standing::NotChecked => 0,
        Standing::Unknown { .. } => 1,
        Standing::New { .. } => 2,
        Standing::Trusted { .. } => 3,
        Standing::Pinned { .. } => 4,
    }
}

impl Verdict {
    /// Who made a good signature, trusted or not.
    #[must_use]
    pub fn signer(&self) -> Option<&Signer> {
        match &self.standing {
            Standing::Pinned { signer } | Standing::Trusted { signer, .. } | Standing::New { signer } => Some(signer),
            _ => None,
        }
    }

    /// Whether a person should be asked whether they trust whoever signed.
    #[must_use]
    pub fn is_first_use(&self, terms: &Terms) -> bool {
        matches!(&self.standing, Standing::New { signer } if !terms.trust.covers(signer))
    }

    /// Whether it may be installed on these terms.
    pub fn admit(&self, terms: &Terms) -> Result<(), SignatureError> {
        self.admit_publisher(terms)?;
        match &self.floor {
            Some(floor) if self.version.cmp_precedence(floor).is_lt() && !terms.allow_downgrade => {
                Err(SignatureError::Rollback {
                    skill: self.skill.clone(),
                    version: self.version.clone(),
                    floor: floor.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    fn admit_publisher(&self, terms: &Terms) -> Result<(), SignatureError> {
        let skill = || self.skill.clone();
        if let Some(pin) = &self.pin
            && !terms.replace_publisher
        {
            let other = |found: String| {
                let expected = Box::new(pin.signer.clone());
                Err(SignatureError::Invalid(Flaw::OtherPublisher { skill: skill(), expected, found }))
            };
            match &self.standing {
                Standing::Pinned { .. } => {}
                Standing::Trusted { signer, .. } | Standing::New { signer } => return other(signer.to_string()),
                Standing::Unknown { number } => return other(format!("the key {number}")),
                Standing::Unsigned | Standing::Built | Standing::NotChecked => {
                    return Err(SignatureError::Unsigned {
                        skill: skill(),
                        pinned: Some(Box::new(pin.signer.clone())),
                    });
                }
            }
        }
        let required = self.demand == Demand::Require || terms.trust != Trusting::Nobody;
        match &self.standing {
            Standing::Pinned { .. } | Standing::Trusted { .. } => Ok(()),
            Standing::New { signer } if terms.trust.covers(signer) => Ok(()),
            _ if !required => Ok(()),
            Standing::New { signer } => {
                Err(SignatureError::Untrusted { skill: skill(), signer: Box::new(signer.clone()) })
            }
            Standing::Unknown { number } => Err(SignatureError::UnknownKey { skill: skill(), number: number.clone() }),
            Standing::NotChecked => Err(SignatureError::NotChecked(skill())),
            Standing::Unsigned | Standing::Built => Err(SignatureError::Unsigned { skill: skill(), pinned: None }),
        }
    }

    /// Whose the skill is once it is installed on these terms. None where it is nobody's.
    pub(crate) fn owner(&self, terms: &Terms) -> Option<&Signer> {
        match &self.standing {
            Standing::Pinned { signer } | Standing::Trusted { signer, .. } => Some(signer),
            Standing::New { signer } if terms.trust.covers(signer) => Some(signer),
            _ => None,
        }
    }

    /// The pin of the skill once it is installed on these terms.
    pub(crate) fn pin_after(&self, terms: &Terms, source: &str) -> Option<Pin> {
        let signer = self.owner(terms)?.clone();
        // Versions of two publishers are not the same series.
        let floor = self.pin.as_ref().filter(|pin| pin.signer == signer).map(|pin| &pin.floor);
        let floor = floor.filter(|floor| floor.cmp_precedence(&self.version).is_gt()).unwrap_or(&self.version).clone();
        Some(Pin { skill: self.skill.clone(), signer, source: source.to_owned(), floor })
    }
}
