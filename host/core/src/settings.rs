//! What an operator can say: the whole configuration as one value, resolved by a face from its layers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::AgentSettings;
use crate::budget::Budgets;
use crate::capability::http::HttpSettings;
use crate::capability::model::settings::ModelSettings;
use crate::capability::secrets::SecretsSettings;
use crate::catalog::signature::SignatureSettings;
use crate::catalog::source::CatalogSettings;
use crate::engine::{EngineSettings, LimitSettings};
use crate::policy::rules::Rules;
use crate::server::ServerSettings;
use crate::state::Durability;

/// The configuration of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// What survives: `normal` a killed process, `full` a power cut as well.
    pub durability: Durability,
    /// What may be spent: by an invocation, by a skill in a day, by the host in a day.
    pub budget: Budgets,
    /// Limits of every invocation.
    pub limits: LimitSettings,
    /// The sandbox.
    pub engine: EngineSettings,
    /// Where skills come from.
    pub catalog: CatalogSettings,
    /// Requests of skills to servers.
    pub http: HttpSettings,
    /// Providers, aliases and prices of models.
    pub models: ModelSettings,
    /// Secrets of skills: where the key is that encrypts them.
    pub secrets: SecretsSettings,
    /// What is asked of the signatures of skills.
    pub signatures: SignatureSettings,
    /// What different callers may do, beyond grants.
    pub rules: Rules,
    /// Agents, by their names: a model and the tools that it works with.
    pub agents: BTreeMap<String, AgentSettings>,
    /// Other MCP servers whose tools are brokered, by their names here.
    pub mcp_servers: BTreeMap<String, ServerSettings>,
    /// What is different for one skill, by its name.
    pub skills: BTreeMap<String, SkillSettings>,
}

impl Settings {
    /// What is set for a skill, by identity or by the manifest's name.
    ///
    /// A stranger's folder may carry any name, so limits and budgets of a name hold only for the installed skill of that
    /// name (or for the path that is written). Settings hold for the name: they are no place for secrets.
    pub(crate) fn of_skill(&self, identity: &str, name: &str) -> SkillSettings {
        match (self.skills.get(identity), self.skills.get(name)) {
            (Some(settings), _) => settings.clone(),
            (None, Some(named)) => SkillSettings { config: named.config.clone(), ..SkillSettings::default() },
            (None, None) => SkillSettings::default(),
        }
    }
}

/// What holds for one skill: its own limits and budgets over those of all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Configured {
    pub(crate) limits: LimitSettings,
    pub(crate) budgets: Budgets,
}

impl Configured {
    pub(crate) fn of(own: &SkillSettings, settings: &Settings) -> Self {
        Self { limits: own.limits.over(settings.limits), budgets: own.budget.over(settings.budget) }
    }
}

/// `[skills.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct SkillSettings {
    pub limits: LimitSettings,
    pub budget: Budgets,
    /// Settings of the skill's own, checked against the schema in its manifest.
    pub config: serde_json::Map<String, Value>,
}
