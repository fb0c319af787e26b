//! The ask of `tools`: the only policy code of the capability.

use super::{Grant, Name};
use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::policy::Grants;
use crate::policy::taint::Touch;

/// How deep calls may nest. The invocation that no skill called is not counted.
pub const DEEPEST: usize = 8;
/// Most calls that one invocation may have under way.
pub const MOST_AT_ONCE: usize = 32;

/// "Call this tool with this input."
#[derive(Clone, Debug)]
pub struct Call {
    pub name: Name,
    /// JSON.
    pub input: String,
    /// Whether the tool may change something or reach others. True where nothing is known of it.
    pub effectful: bool,
    /// The skills that are being called, the outermost first and the one that asks last.
    pub lineage: Vec<String>,
    /// Calls of this invocation that have not ended.
    pub under_way: usize,
}

impl Ask for Call {
    const CAPABILITY: &'static str = "tools";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.tools
    }

    fn subject(&self) -> String {
        format!("tools {}", self.name)
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        let no = |reason: String, hint: String| Verdict::No { reason, hint };
        if !grant.as_ref().is_some_and(|grant| grant.covers(&self.name)) {
            return no(
                format!("the operator has not granted it the tool `{}`", self.name),
                format!("run `ringfence grant {{skill}} tools={}` to allow it", self.name),
            );
        }
        if let Some(first) = self.lineage.iter().position(|skill| *skill == self.name.skill) {
            let (skill, chain) = (&self.name.skill, self.lineage[first..].join(" > "));
            return no(
                format!("a cycle: `{skill}` is already being called ({chain} > {skill})"),
                "nothing allows it; tell the author of the skill".into(),
            );
        }
        if self.lineage.len() > DEEPEST {
            return no(
                format!("the depth of calls would exceed {DEEPEST}"),
                "nothing allows it; tell the author of the skill".into(),
            );
        }
        if self.under_way >= MOST_AT_ONCE {
            return no(
                format!("the fan-out would exceed {MOST_AT_ONCE} calls that are under way at once"),
                "wait for some of them first".into(),
            );
        }
        Verdict::Yes
    }

    /// What the call itself uses is asked for by the skill that is called.
    fn estimate(&self) -> Amount {
        Amount::default()
    }

    fn leaves(&self) -> bool {
        true
    }

    fn touches(&self) -> Touch {
        if self.effectful { Touch::UNTRUSTED.and(Touch::OUT) } else { Touch::UNTRUSTED }
    }

    fn named(&self, grant: &Self::Grant) -> bool {
        grant.as_ref().is_some_and(|grant| grant.names(&self.name))
    }

    fn arguments(&self) -> String {
        format!("{}\n{}", self.name, self.input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(lineage: &[&str], under_way: usize) -> Call {
        Call {
            name: Name::parse("b/x").unwrap(),
            input: "{\"a\":1}".into(),
            effectful: true,
            lineage: lineage.iter().map(ToString::to_string).collect(),
            under_way,
        }
    }

    fn verdict(call: &Call, tools: &[&str]) -> String {
        match call.allowed(&Some(Grant { tools: tools.iter().map(ToString::to_string).collect(), ..Grant::default() }))
        {
            Verdict::Yes => "yes".into(),
            Verdict::No { reason, .. } => reason,
        }
    }

    #[test]
    fn t93_cycles_depth_and_fan_out_are_refused() {
        let deep: Vec<String> = (0..=DEEPEST).map(|n| format!("s{n}")).collect();
        let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
        for (lineage, under_way, tools, word) in [
            (&["a"][..], 0, &["b/x"][..], "yes"),
            (&["a"], 0, &["b/*"], "yes"),
            (&["a"], 0, &["b/y"], "not granted"),
            (&["a"], 0, &[], "not granted"),
            (&["b"], 0, &["b/*"], "cycle"),
            (&["/home/me/x", "b", "a"], 0, &["b/*"], "(b > a > b)"),
            (&["b", "a"], 0, &[], "not granted"),
            (&deep[..DEEPEST], 0, &["b/*"], "yes"),
            (&deep, 0, &["b/*"], "depth"),
            (&["a"], MOST_AT_ONCE - 1, &["b/*"], "yes"),
            (&["a"], MOST_AT_ONCE, &["b/*"], "fan-out"),
        ] {
            let said = verdict(&call(lineage, under_way), tools);
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!(call(&["a"], 0).allowed(&None), call(&["a"], 0).allowed(&Some(Grant::default())));
    }

    #[test]
    fn a_call_touches_what_it_brings_and_what_it_does() {
        let mut call = call(&["a"], 0);
        assert_eq!(call.touches(), Touch::UNTRUSTED.and(Touch::OUT));
        call.effectful = false;
        assert_eq!(call.touches(), Touch::UNTRUSTED);
        let grant = |name: &str| Some(Grant { tools: vec![name.to_owned()], ..Grant::default() });
        assert!(call.named(&grant("b/x")) && !call.named(&grant("b/*")) && !call.named(&None));
        assert_eq!((call.subject().as_str(), call.arguments().as_str()), ("tools b/x", "b/x\n{\"a\":1}"));
    }
}
