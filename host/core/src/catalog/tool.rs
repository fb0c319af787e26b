//! One callable thing of a skill, with its schemas ready to be checked against.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reflect::Plan;
use crate::engine::LoadError;
use crate::engine::habit::Habit;
use crate::error::Explain;
use crate::schema::{self, SchemaError, Validator};

/// Most tools of one skill.
pub(super) const TOOLS: usize = 256;
/// Bytes of a tool's description.
pub(super) const DESCRIPTION_BYTES: usize = 4096;

/// What a skill says about a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tool {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub description: String,
    /// JSON Schema 2020-12 of an object.
    pub input_schema: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    #[serde(default)]
    pub hints: Hints,
}

/// The MCP tool annotations. Hints of the author: nothing is decided by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
}

/// A tool whose schemas have been compiled.
pub(crate) struct Callable {
    /// As the tool has it.
    pub(crate) name: Arc<str>,
    pub(crate) tool: Tool,
    pub(crate) input: Validator,
    /// None where a plan makes the output, which is of the schema then.
    pub(crate) output: Option<Validator>,
    pub(crate) habit: Arc<Habit>,
    /// How a function of a plain component is called; None for a skill.
    pub(crate) plan: Option<Arc<Plan>>,
}

impl Callable {
    /// A tool of a skill, which takes and gives JSON itself.
    fn new(tool: &Tool) -> Result<Self, LoadError> {
        let invalid = |which: &str, error| LoadError::Tools(format!("the {which} schema of `{}`: {error}", tool.name));
        let compile = |schema: &Value, which: &str| schema::compile(schema).map_err(|error| invalid(which, error));
        let input = schema::arguments(&tool.input_schema).map_err(|error| invalid("input", error))?;
        Ok(Self {
            name: tool.name.as_str().into(),
            input: compile(&input, "input")?,
            output: tool.output_schema.as_ref().map(|schema| compile(schema, "output")).transpose()?,
            tool: Tool { input_schema: input, ..tool.clone() },
            habit: Arc::default(),
            plan: None,
        })
    }

    /// A function of a plain component.
    pub(super) fn plain(tool: Tool, plan: Plan) -> Result<Self, SchemaError> {
        let tool = Tool { input_schema: schema::arguments(&tool.input_schema)?, ..tool };
        // Nobody is given a schema that cannot be used.
        if let Some(output) = &tool.output_schema {
            schema::compile(output)?;
        }
        let input = schema::compile(&tool.input_schema)?;
        let name = tool.name.as_str().into();
        Ok(Self { name, input, output: None, tool, habit: Arc::default(), plan: Some(Arc::new(plan)) })
    }
}

/// Checks the tools of a skill and compiles their schemas.
pub(crate) fn callables(tools: &[Tool]) -> Result<Vec<Callable>, LoadError> {
    let invalid = LoadError::Tools;
    if tools.len() > TOOLS {
        return Err(invalid(format!("it has {} tools, of at most {TOOLS}", tools.len())));
    }
    let mut names = std::collections::HashSet::new();
    let mut callables = Vec::with_capacity(tools.len());
    for tool in tools {
        if !is_tool_name(&tool.name) {
            return Err(invalid(format!("the tool name {:?} is not 1 to 64 of a-z, 0-9, _ and -", tool.name)));
        }
        if !names.insert(tool.name.as_str()) {
            return Err(invalid(format!("it has two tools named `{}`", tool.name)));
        }
        if tool.description.len() > DESCRIPTION_BYTES {
            return Err(invalid(format!(
                "the description of `{}` is longer than {DESCRIPTION_BYTES} bytes",
                tool.name
            )));
        }
        callables.push(Callable::new(tool)?);
    }
    Ok(callables)
}

pub(super) fn is_tool_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// What is wrong with a call before it begins, or with what came back.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("`{skill}` has no tool `{tool}`")]
    UnknownTool { skill: String, tool: String, known: Vec<String> },
    #[error("`{skill}` has {} tools, and the call names none", known.len())]
    NoTool { skill: String, known: Vec<String> },
    #[error("the input is not right: {0}")]
    InvalidInput(String),
    #[error("the input is {actual} bytes long, of at most {limit}")]
    InputTooLarge { actual: usize, limit: usize },
    #[error("the input takes more than {} KiB as values", limit >> 10)]
    TooManyValues { limit: usize },
    #[error("the input has so many small parts that reading it takes more than {} MiB", limit >> 20)]
    TooManyParts { limit: u64 },
    #[error("the outcome of `{tool}` is not what it promises: {reason}")]
    InvalidOutput { tool: String, reason: String },
    #[error("the outcome of `{tool}` is {actual} bytes long, of at most {limit}")]
    OutputTooLarge { tool: String, actual: usize, limit: usize },
}

impl Explain for CallError {
    fn kind(&self) -> &'static str {
        match self {
            Self::UnknownTool { .. } | Self::NoTool { .. } => "unknown-tool",
            Self::InvalidInput(_) => "invalid-input",
            Self::InputTooLarge { .. }
            | Self::TooManyValues { .. }
            | Self::TooManyParts { .. }
            | Self::OutputTooLarge { .. } => "too-large",
            Self::InvalidOutput { .. } => "invalid-output",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::UnknownTool { known, .. } | Self::NoTool { known, .. } => {
                format!("name one of them: {}", known.join(", "))
            }
            Self::InvalidInput(_) => {
                "the tool's schema lists the inputs, and so does `ringfence run SKILL --help`".into()
            }
            Self::InputTooLarge { .. } => "give less, or raise `limits.input-kib`".into(),
            Self::TooManyValues { .. } => "give less, or raise `limits.hostcall-kib`".into(),
            Self::TooManyParts { .. } => "give less of it in one call".into(),
            Self::OutputTooLarge { .. } => "ask for less, or raise `limits.output-kib`".into(),
            Self::InvalidOutput { .. } => "tell the author of the skill: its code and its schema disagree".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(name: &str) -> Tool {
        Tool {
            name: name.into(),
            title: None,
            description: "Does it.".into(),
            input_schema: json!({"type": "object"}),
            output_schema: None,
            hints: Hints::default(),
        }
    }

    #[test]
    fn tools_are_checked_once_at_load() {
        assert_eq!(callables(&[tool("a"), tool("b_c-9")]).unwrap().len(), 2);
        let bare = callables(&[Tool { input_schema: json!({}), ..tool("a") }]).unwrap();
        assert_eq!(bare[0].tool.input_schema, json!({"type": "object"}), "as models and programs are given it");
        for (tools, word) in [
            (vec![tool("A")], "\"A\""),
            (vec![tool("")], "\"\""),
            (vec![tool("a"), tool("a")], "two tools"),
            (vec![tool("x\u{200b}")], "200b"),
            (vec![Tool { input_schema: json!({"type": "no such type"}), ..tool("a") }], "input schema"),
            (vec![Tool { input_schema: json!({"type": "array"}), ..tool("a") }], "`a`: no model can be given it"),
            (vec![Tool { description: "x".repeat(5000), ..tool("a") }], "description"),
            ((0..300).map(|n| tool(&n.to_string())).collect(), "300 tools"),
        ] {
            let error = callables(&tools).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
