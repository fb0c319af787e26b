//! "Call this tool": what the model of an agent asks for. The only policy code of agents; pure, and tested as a table.

use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::capability::tools::{Grant, Name};
use crate::plain;
use crate::policy::Grants;
use crate::policy::taint::Touch;

/// Bytes that are shown of a name that no tool has.
const SHOWN: usize = 80;

/// The model of an agent wants to call a tool.
#[derive(Clone, Debug)]
pub(super) struct Use {
    /// None where nothing is offered under the name that the model wrote.
    pub(super) name: Option<Name>,
    /// What the model wrote.
    pub(super) written: String,
    /// JSON, as the model wrote it.
    pub(super) input: String,
    /// Whether the tool may change something or reach others, as its author says.
    pub(super) effectful: bool,
}

impl Use {
    /// What the model wrote, cut and made safe to show.
    fn shown(&self) -> String {
        let (line, is_whole) = plain::line(&self.written, SHOWN);
        if is_whole { line } else { format!("{line}...") }
    }
}

impl Ask for Use {
    const CAPABILITY: &'static str = "tools";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.tools
    }

    fn subject(&self) -> String {
        match &self.name {
            Some(name) => format!("tools {name}"),
            None => format!("tools {}", self.shown()),
        }
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        match (&self.name, grant) {
            (Some(name), Some(grant)) if grant.covers(name) => Verdict::Yes,
            _ => Verdict::No {
                reason: format!("the agent has no tool `{}`", self.shown()),
                hint: "call one of the tools that are listed, by exactly its name".into(),
            },
        }
    }

    /// What the call uses is asked for by the skill that is called.
    fn estimate(&self) -> Amount {
        Amount::default()
    }

    fn leaves(&self) -> bool {
        true
    }

    /// What it brings is in the conversation once it is there, and is counted then: the model that wrote these arguments had not
    /// read it.
    fn touches(&self) -> Touch {
        if self.effectful { Touch::OUT } else { Touch::NOTHING }
    }

    fn named(&self, grant: &Self::Grant) -> bool {
        let both = grant.as_ref().zip(self.name.as_ref());
        both.is_some_and(|(grant, name)| grant.names(name))
    }

    fn arguments(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}\n{}", self.input),
            None => self.shown(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str) -> Use {
        Use {
            name: Name::parse(name).ok(),
            written: name.replace('/', "_"),
            input: "{\"a\":1}".into(),
            effectful: true,
        }
    }

    #[test]
    fn t84_only_the_tools_of_the_agent_are_allowed() {
        let grant =
            |tools: &[&str]| Some(Grant { tools: tools.iter().map(ToString::to_string).collect(), ..Grant::default() });
        for (name, grant, yes, named) in [
            ("b/x", grant(&["b/x"]), true, true),
            ("b/x", grant(&["b/*"]), true, false),
            ("b/x", grant(&["b/y", "c/x"]), false, false),
            ("b/x", grant(&["*", "*/*", "b", "b/"]), false, false),
            ("b/x", grant(&[]), false, false),
            ("b/x", None, false, false),
            ("b", grant(&["b/*"]), false, false),
        ] {
            let ask = ask(name);
            assert_eq!((ask.allowed(&grant) == Verdict::Yes, ask.named(&grant)), (yes, named), "{name} {grant:?}");
        }
    }

    #[test]
    fn t84_names_that_no_tool_has_are_shown_cut_and_safe() {
        let hostile = Use { written: format!("b_x\u{1b}[2J\n{}", "y".repeat(10 << 10)), name: None, ..ask("b/x") };
        assert!(hostile.subject().len() < 120 && !hostile.subject().contains(char::is_control));
        let Verdict::No { reason, .. } = hostile.allowed(&None) else { panic!("allowed") };
        assert!(reason.len() < 200 && reason.contains("b_x\\u{1b}[2J\\n"), "{reason}");
    }

    #[test]
    fn t89_what_changes_something_sends_and_what_reads_does_not() {
        let mut ask = ask("b/x");
        assert_eq!(ask.touches(), Touch::OUT);
        ask.effectful = false;
        assert_eq!(ask.touches(), Touch::NOTHING);
        assert_eq!(ask.arguments(), "b/x\n{\"a\":1}", "a person sees all of it");
    }
}
