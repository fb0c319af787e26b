//! The asks of `secrets`: the only policy code of the capability. The vault fills in what it knows.

use super::{Binding, Grant};
use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::policy::Grants;
use crate::policy::taint::Touch;

/// "May I use a secret of this name?"
#[derive(Clone, Debug)]
pub struct Exists {
    pub name: String,
}

/// "Put this secret into a request to that server."
#[derive(Clone, Debug)]
pub struct Fill {
    pub name: String,
    pub to: Binding,
    /// Whether it is kept and bound to that server.
    pub bound: bool,
}

fn granted(name: &str, grant: Option<&Grant>) -> bool {
    grant.is_some_and(|grant| grant.names.iter().any(|have| have == name))
}

/// Names come from the guest: cut and stripped, one can be shown and recorded.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl Ask for Exists {
    const CAPABILITY: &'static str = "secrets";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.secrets
    }

    fn subject(&self) -> String {
        format!("secrets exists {}", shown(&self.name))
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        if granted(&self.name, grant.as_ref()) { Verdict::Yes } else { no(&self.name) }
    }

    fn estimate(&self) -> Amount {
        Amount::default()
    }

    fn leaves(&self) -> bool {
        false
    }

    fn touches(&self) -> Touch {
        Touch::NOTHING
    }
}

impl Ask for Fill {
    const CAPABILITY: &'static str = "secrets";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.secrets
    }

    fn subject(&self) -> String {
        format!("secrets fill {} for {}", shown(&self.name), self.to)
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        // A secret that is not there, not granted or bound elsewhere is refused in the same words: nobody learns which.
        if self.bound && granted(&self.name, grant.as_ref()) {
            return Verdict::Yes;
        }
        let name = shown(&self.name);
        Verdict::No {
            reason: format!("there is no secret `{name}` that this skill may send to {}", self.to),
            hint: format!(
                "run `ringfence secret set {name} --host {}` where it is not kept or not bound, and `ringfence grant \
                 {{skill}} secrets={name}`",
                self.to
            ),
        }
    }

    fn estimate(&self) -> Amount {
        Amount::default()
    }

    fn leaves(&self) -> bool {
        true
    }

    /// What a secret opens is the user's own.
    fn touches(&self) -> Touch {
        Touch::PRIVATE
    }
}

fn no(name: &str) -> Verdict {
    let name = shown(name);
    Verdict::No {
        reason: format!("there is no secret `{name}` that this skill may use"),
        hint: format!("run `ringfence grant {{skill}} secrets={name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t76_what_is_absent_not_granted_or_bound_elsewhere_looks_the_same() {
        let to = Binding::parse("a.test").unwrap();
        let grant = Some(Grant { names: vec!["A".into()] });
        let fill =
            |name: &str, bound, grant: &Option<Grant>| Fill { name: name.into(), to: to.clone(), bound }.allowed(grant);
        assert_eq!(fill("A", true, &grant), Verdict::Yes);
        let refusals = [fill("A", false, &grant), fill("A", true, &None), fill("A", false, &None)];
        assert!(refusals.iter().all(|refusal| *refusal == refusals[0] && *refusal != Verdict::Yes), "{refusals:?}");
        assert_ne!(fill("a", true, &grant), Verdict::Yes);
        assert_eq!(Exists { name: "A".into() }.allowed(&grant), Verdict::Yes);
        assert_ne!(Exists { name: "B".into() }.allowed(&grant), Verdict::Yes);
    }
}
