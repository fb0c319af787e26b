//! Every way in which an invocation ends, and how it must.

use std::time::Duration;

use ringfence_core::{Call, Content, SkillRef, Timings};

use crate::guest::Ground;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Good,
    Trap,
    /// A loop, which a deadline of one second ends.
    Loop,
    Hog,
    Recursion,
    Flood,
    /// A loop, which its caller cancels.
    Cancelled,
    InvalidInput,
    UnknownTool,
}

/// After this time a caller goes away.
const AWAY: Duration = Duration::from_millis(20);
/// More than the host takes.
const LINES: u32 = 2_000;

impl Ending {
    /// Runs it once. What is wrong with how it ended, where anything is. `mark` is what a good one must give back, whose timings
    /// are told.
    pub(crate) async fn run(self, ground: &Ground, mark: &str) -> Result<Timings, Wrong> {
        self.run_of(ground, &ground.skill, mark).await
    }

    /// The same of a skill that is the same component.
    pub(crate) async fn run_of(self, ground: &Ground, skill: &SkillRef, mark: &str) -> Result<Timings, Wrong> {
        let (tool, input) = match self {
            Self::Good => ("echo", format!(r#"{{"text":"{mark}"}}"#)),
            Self::Trap => ("crash", "{}".into()),
            Self::Loop | Self::Cancelled => ("spin", "{}".into()),
            Self::Hog => ("hog", "{}".into()),
            Self::Recursion => ("recurse", "{}".into()),
            Self::Flood => ("flood", format!(r#"{{"lines":{LINES}}}"#)),
            Self::InvalidInput => ("echo", r#"{"text":1}"#.into()),
            Self::UnknownTool => ("nothing", "{}".into()),
        };
        let mut call = Call { skill: skill.clone(), ..ground.call(tool, &input) };
        if self == Self::Loop {
            call.limits.wall_seconds = Some(1);
        }
        let cancel = call.cancel.clone();
        let done = ground.host.invoke(call);
        let done = if self == Self::Cancelled {
            let leave = async {
                tokio::time::sleep(AWAY).await;
                cancel.cancel();
            };
            tokio::join!(done, leave).0
        } else {
            done.await
        };
        // A guest in Rust has a stack of its own inside of its memory; whichever ends first, the guest does.
        let kinds: &[&str] = match self {
            Self::Good => {
                let done = done.map_err(|error| Wrong::Kind(error.kind()))?;
                let is_ours = matches!(&done.outcome.content[..], [Content::Text { text }] if text == mark);
                return if is_ours { Ok(done.timings) } else { Err(Wrong::Result) };
            }
            Self::Flood => {
                let done = done.map_err(|error| Wrong::Kind(error.kind()))?;
                return if done.dropped_log_lines > 0 { Ok(done.timings) } else { Err(Wrong::Result) };
            }
            Self::Trap => &["trap"],
            Self::Loop => &["deadline"],
            Self::Hog => &["memory-limit"],
            Self::Recursion => &["stack-overflow", "trap"],
            Self::Cancelled => &["cancelled"],
            Self::InvalidInput => &["invalid-input"],
            Self::UnknownTool => &["unknown-tool"],
        };
        match done {
            Ok(_) => Err(Wrong::Result),
            Err(error) if kinds.contains(&error.kind()) => Ok(Timings::default()),
            Err(error) => Err(Wrong::Kind(error.kind())),
        }
    }
}

/// How a call ended that should have ended otherwise.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// With an error of this kind.
    #[expect(dead_code, reason = "told by its `Debug`")]
    Kind(&'static str),
    /// With a result, and a wrong one.
    Result,
}
