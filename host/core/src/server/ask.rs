//! The ask of `server`: one call of one tool of a server. The only policy code about servers that runs at a call.

use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::policy::Grants;
use crate::policy::taint::Touch;

/// "Send this input to this tool of this server."
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) server: String,
    /// As it is called here.
    pub(crate) tool: String,
    /// As the server calls it.
    pub(crate) wire: String,
    /// JSON of an object.
    pub(crate) input: String,
    /// What the server was seen to say of the tool that is not what was approved.
    pub(crate) changed: Option<Change>,
}

/// How a tool differs from what was approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It says something else of itself.
    Other,
    /// The server lists it no longer.
    Gone,
    /// The server is another one, or was never approved.
    Unapproved,
}

impl Change {
    /// The reason and the hint of the refusal.
    pub(super) fn verdict(self, server: &str, tool: &str) -> Verdict {
        let reason = match self {
            Self::Other => format!(
                "tool-changed: what the server says of `{tool}` is no longer what was approved (description, schemas or annotations)"
            ),
            Self::Gone => format!("tool-changed: the server lists `{tool}` no longer"),
            Self::Unapproved => {
                format!("tool-changed: how `{server}` is started or reached is no longer what was approved")
            }
        };
        let hint = format!("look at it, and approve it again where you agree: `ringfence server approve {server}`");
        Verdict::No { reason, hint }
    }
}

impl Ask for Call {
    const CAPABILITY: &'static str = "server";
    /// What is granted is the tool, to a skill, by `tools`; and the tool itself was approved by a person. There is nothing between.
    type Grant = ();

    fn grant(_: &Grants) -> &() {
        &()
    }

    fn subject(&self) -> String {
        format!("server {}/{}", self.server, self.tool)
    }

    fn allowed(&self, (): &()) -> Verdict {
        self.changed.map_or(Verdict::Yes, |change| change.verdict(&self.server, &self.tool))
    }

    /// What a server spends is its own.
    fn estimate(&self) -> Amount {
        Amount::default()
    }

    fn leaves(&self) -> bool {
        true
    }

    /// Whatever it says of itself: its input leaves this host, and what it gives is a stranger's.
    fn touches(&self) -> Touch {
        Touch::UNTRUSTED.and(Touch::OUT)
    }

    fn arguments(&self) -> String {
        format!("{}/{}\n{}", self.server, self.tool, self.input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t86_a_tool_that_changed_is_denied_until_it_is_approved_again() {
        let call =
            |changed| Call { server: "a".into(), tool: "x".into(), wire: "X".into(), input: "{}".into(), changed };
        assert_eq!(call(None).allowed(&()), Verdict::Yes);
        for change in [Change::Other, Change::Gone, Change::Unapproved] {
            let Verdict::No { reason, hint } = call(Some(change)).allowed(&()) else { panic!("{change:?}") };
            assert!(reason.starts_with("tool-changed: ") && hint.contains("`ringfence server approve a`"), "{reason}");
        }
        assert!(call(None).leaves());
        assert_eq!(call(None).touches(), Touch::UNTRUSTED.and(Touch::OUT));
        assert_eq!(call(None).subject(), "server a/x");
    }
}
