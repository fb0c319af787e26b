//! Who signed a skill: what a person or a script says about them before it is installed.

use ringfence_core::catalog::signature::{Demand, Standing, Terms, Trusting, Verdict};
use ringfence_core::{Candidate, Error};

use super::{Context, consent};

/// What `add` takes beside the skill.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Trust whoever holds this key, as the publisher gives it, or `IDENTITY,ISSUER`, to publish this skill; can be given more
    /// than once
    #[arg(long, value_name = "KEY", conflicts_with = "trust_publisher")]
    trust: Vec<String>,
    /// Trust whoever signed it, if nobody did before, to publish this skill
    #[arg(long)]
    trust_publisher: bool,
    /// Let another publisher, or nobody, take the place of the one that signed it before
    #[arg(long)]
    replace_publisher: bool,
    /// Let an older version take the place of a newer one
    #[arg(long)]
    allow_downgrade: bool,
}

impl Flags {
    fn terms(&self) -> Terms {
        let trust = match (self.trust_publisher, self.trust.is_empty()) {
            (true, _) => Trusting::Anybody,
            (false, true) => Trusting::Nobody,
            (false, false) => Trusting::Those(self.trust.clone()),
        };
        Terms { trust, replace_publisher: self.replace_publisher, allow_downgrade: self.allow_downgrade }
    }
}

const NO: &str = "no";
const YES: &str = "yes, to publish this skill";

/// Settles whose a candidate is. A publisher whom nobody has trusted yet is shown, and a person at the terminal is asked. An
/// error means that nothing is to be installed.
pub(super) async fn settle(candidate: &mut Candidate, flags: &Flags, context: &Context) -> Result<(), Error> {
    let mut terms = flags.terms();
    let verdict = candidate.verdict();
    if verdict.is_first_use(&terms) && terms.trust == Trusting::Nobody && crate::ui::can_ask() && !context.json() {
        // What a yes would not help is said first.
        verdict.admit(&Terms { trust: Trusting::Anybody, ..terms.clone() })?;
        crate::ui::note(&introduced(verdict, candidate.source()));
        let answer = consent::ask("Trust this publisher?", vec![NO, YES], context).await?;
        // A no is a no, also where the configuration would do without.
        terms.trust = if answer == YES { Trusting::Anybody } else { Trusting::Those(Vec::new()) };
    }
    let said = warning(verdict, &terms);
    candidate.accept(terms)?;
    if let Some(said) = said.filter(|_| !context.quiet) {
        crate::ui::note(&said);
    }
    Ok(())
}

fn introduced(verdict: &Verdict, source: &str) -> String {
    let signer = verdict.signer().map(ToString::to_string).unwrap_or_default();
    crate::ui::printable(&format!(
        "{} {} from {source} is signed by {signer}\nNobody has trusted them here yet. Compare that with what they say of it elsewhere.",
        verdict.skill, verdict.version
    ))
}

/// What is said of a skill that is installed without a publisher.
fn warning(verdict: &Verdict, terms: &Terms) -> Option<String> {
    if verdict.demand != Demand::Warn || terms.trust != Trusting::Nobody {
        return None;
    }
    let what = match &verdict.standing {
        Standing::Unsigned => "is not signed, so nothing says whose it is".to_owned(),
        Standing::Unknown { number } => format!("is signed by the key {number}, which is not known here"),
        Standing::New { signer } => {
            format!("is signed by {signer}, whom nobody has trusted here; `--trust-publisher` does")
        }
        _ => return None,
    };
    Some(crate::ui::printable(&format!("note: {} {what}", verdict.skill)))
}
