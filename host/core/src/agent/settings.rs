//! What an operator writes about an agent.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AgentError;
use crate::budget::Limits;
use crate::capability::model::names;
use crate::capability::tools::Name;
use crate::policy::manifest::is_name;

/// The agent that is there without a line of configuration.
pub const DEFAULT_AGENT: &str = "chat";
/// All skills that have been granted what they need.
pub(super) const ALL: &str = "*";

const STEPS: u32 = 20;
const MOST_STEPS: u32 = 1_000;
const PARALLEL: u32 = 4;
const MOST_PARALLEL: u32 = 32;
const SECONDS: u32 = 1_800;
/// Bytes of the instructions.
const INSTRUCTION_BYTES: usize = 64 << 10;

/// `[agents.NAME]`: a model, and the tools that it may call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct AgentSettings {
    /// An alias or `provider/model`. Default: `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Installed skills whose tools it may call. `*` stands for all that have been granted what they need.
    pub skills: Vec<String>,
    /// Single tools that it may call, as `skill/tool`.
    pub tools: Vec<String>,
    /// What the model is told before everything else.
    pub instructions: String,
    /// What it is for, in a line for people.
    pub description: String,
    /// Model calls of one run: of one task, or of one message in a chat. Default: 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    /// US dollars of one run, with what its tools spend on models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_dollars: Option<f64>,
    /// Tokens of answers in one run, with those of its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Seconds of one run, with the time for which people are waited for. Default: 1800.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<u32>,
    /// Tools of one answer that run at the same time: 1 to 32. Default: 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
}

impl AgentSettings {
    /// The agent that nobody configured.
    pub(crate) fn of_default() -> Self {
        Self {
            skills: vec![ALL.into()],
            description: "the default model, with all skills that have been granted what they need".into(),
            ..Self::default()
        }
    }

    /// The model that is asked.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("default")
    }

    #[must_use]
    pub fn max_steps(&self) -> u32 {
        self.max_steps.unwrap_or(STEPS)
    }

    pub(super) fn parallel(&self) -> usize {
        self.parallel.unwrap_or(PARALLEL) as usize
    }

    pub(super) fn time(&self) -> Duration {
        Duration::from_secs(u64::from(self.max_seconds.unwrap_or(SECONDS)))
    }

    /// What one run may spend, as the ledger has it.
    pub(super) fn limits(&self) -> Limits {
        // Between 0 and 1e9 by `check`, where a float counts millionths exactly.
        let micro_dollars = self.max_dollars.map(|dollars| (dollars * 1e6).round() as u64);
        Limits { micro_dollars, output_tokens: self.max_tokens, ..Limits::default() }
    }

    fn check(&self, name: &str) -> Result<(), AgentError> {
        let wrong = |key: &'static str, reason: String| {
            Err(AgentError::Settings { agent: name.chars().take(64).collect(), key, reason })
        };
        if !is_name(name) {
            return wrong("", "its name is not 1 to 64 of a-z, 0-9 and `-`".into());
        }
        if !names::is_name(self.model()) {
            return wrong("model", format!("{:?} is neither an alias nor `provider/model`", self.model()));
        }
        if let Some(skill) = self.skills.iter().find(|skill| *skill != ALL && !is_name(skill)) {
            return wrong("skills", format!("{skill:?} is not the name of a skill, nor `{ALL}`"));
        }
        if let Some(tool) = self.tools.iter().find(|tool| Name::parse(tool).is_err()) {
            return wrong("tools", format!("{tool:?} is not `skill/tool`"));
        }
        if self.instructions.len() > INSTRUCTION_BYTES {
            return wrong("instructions", format!("they are longer than {INSTRUCTION_BYTES} bytes"));
        }
        for (key, value, most) in [
            ("max-steps", self.max_steps, MOST_STEPS),
            ("parallel", self.parallel, MOST_PARALLEL),
            ("max-seconds", self.max_seconds, 7 * 86_400),
        ] {
            if let Some(value) = value.filter(|value| !(1..=most).contains(value)) {
                return wrong(key, format!("{value} is not between 1 and {most}"));
            }
        }
        match self.max_dollars {
            // NaN is in no range.
            Some(dollars) if !(0.0..=1e9).contains(&dollars) => {
                wrong("max-dollars", format!("{dollars} is no amount of dollars"))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what could not run.
pub(crate) fn check(agents: &BTreeMap<String, AgentSettings>) -> Result<(), AgentError> {
    agents.iter().try_for_each(|(name, settings)| settings.check(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_run_is_refused_with_its_key() {
        let good = "[a]\nmodel = \"openai/gpt-6\"\nskills = [\"sheet\", \"*\"]\ntools = [\"tutor/ask\"]\n\
                    max-dollars = 0.05\nmax-steps = 3\nparallel = 32\n[b]\n";
        let read = |text: &str| toml::from_str::<BTreeMap<String, AgentSettings>>(text).unwrap();
        check(&read(good)).unwrap();
        assert_eq!(read(good)["a"].limits().micro_dollars, Some(50_000));
        for (bad, key) in [
            ("[a]\nmodel = \"a b\"", "model"),
            ("[a]\nskills = [\"Sheet\"]", "skills"),
            ("[a]\nskills = [\"sheet/plan\"]", "skills"),
            ("[a]\ntools = [\"sheet\"]", "tools"),
            ("[a]\ntools = [\"sheet/*\"]", "tools"),
            ("[a]\nmax-steps = 0", "max-steps"),
            ("[a]\nparallel = 33", "parallel"),
            ("[a]\nmax-seconds = 0", "max-seconds"),
            ("[a]\nmax-dollars = -1.0", "max-dollars"),
            ("[a]\nmax-dollars = nan", "max-dollars"),
            ("[a]\nmax-dollars = inf", "max-dollars"),
            ("[\"a b\"]", ""),
            ("[\"\"]", ""),
        ] {
            match check(&read(bad)) {
                Err(AgentError::Settings { key: found, .. }) => assert_eq!(found, key, "{bad}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }
}
