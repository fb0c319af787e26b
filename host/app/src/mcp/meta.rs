//! Two tools that stand for all others: one finds tools, one calls them.

use ringfence_core::Toolbox;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ErrorData, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Value, json};

use super::words;

const SEARCH: &str = "skills_search";
const CALL: &str = "skills_call";
/// How many tools are found, where nobody says, and at most.
const FOUND: usize = 10;
const MOST_FOUND: usize = 50;

/// What a client sees instead of all tools. The same for ever.
pub(super) fn tools() -> Vec<Tool> {
    let call = Tool::new(
        CALL,
        "Calls a tool that `skills_search` found, with arguments that fit its inputSchema.",
        object(json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "The tool's name, exactly as it was found." },
                "arguments": { "type": "object", "description": "The tool's arguments.", "additionalProperties": true },
            },
            "required": ["name"],
            "additionalProperties": false,
        })),
    );
    let search = Tool::new(
        SEARCH,
        "Finds tools by words about what is to be done. Without words it lists what there is.",
        object(json!({
            "type": "object",
            "properties": {
                "query": { "type": "string", "description": "Words that describe the task." },
                "limit": { "type": "integer", "minimum": 1, "maximum": MOST_FOUND, "description": "How many at most." },
            },
            "additionalProperties": false,
        })),
    );
    let reads = ToolAnnotations::new().read_only(true).destructive(false).open_world(false);
    vec![call.with_title("Call a skill"), search.with_title("Find skills").with_annotations(reads)]
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(object) => object,
        _ => JsonObject::default(),
    }
}

/// What a client wants of the two.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    Search(Search),
    Call { name: String, arguments: Option<JsonObject> },
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Search {
    query: String,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Option<JsonObject>,
}

impl Wanted {
    pub(super) fn read(request: &CallToolRequestParams) -> Result<Self, ErrorData> {
        let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
        let invalid = |error: serde_json::Error| {
            ErrorData::invalid_params(format!("the arguments of `{}` are wrong: {error}", request.name), None)
        };
        match &*request.name {
            SEARCH => serde_json::from_value(arguments).map(Self::Search).map_err(invalid),
            CALL => {
                let Call { name, arguments } = serde_json::from_value(arguments).map_err(invalid)?;
                Ok(Self::Call { name, arguments })
            }
            other => {
                let shown: String = other.chars().take(80).collect();
                let words = format!("there is no tool {shown:?}; `{SEARCH}` finds tools and `{CALL}` calls them");
                Err(ErrorData::invalid_params(words, None))
            }
        }
    }
}

impl Search {
    /// The tools that fit best, those that fit alike in order of their names.
    pub(super) fn among(&self, toolbox: &Toolbox) -> CallToolResult {
        let limit = self.limit.unwrap_or(FOUND).clamp(1, MOST_FOUND);
        let words: Vec<String> = self.query.split_whitespace().take(20).map(str::to_lowercase).collect();
        let mut found: Vec<_> = toolbox
            .iter()
            .map(|offer| {
                let title = offer.tool.title.as_deref().unwrap_or_default();
                (score(&words, &offer.name, title, &offer.tool.description), offer)
            })
            .filter(|(score, _)| words.is_empty() || *score > 0)
            .collect();
        found.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.name.cmp(&b.name)));
        let tools: Vec<Tool> = found.iter().take(limit).map(|(_, offer)| words::tool(offer)).collect();
        let given = json!({ "tools": tools, "more": found.len().saturating_sub(limit) });
        let mut result = CallToolResult::success(vec![ContentBlock::text(given.to_string())]);
        result.structured_content = Some(given);
        result
    }
}

/// How well a tool fits: a word in its name counts most.
fn score(words: &[String], name: &str, title: &str, description: &str) -> usize {
    let (title, description) = (title.to_lowercase(), description.to_lowercase());
    let one = |word: &String| {
        4 * usize::from(name.contains(word))
            + 2 * usize::from(title.contains(word))
            + usize::from(description.contains(word))
    };
    words.iter().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &str, arguments: Value) -> CallToolRequestParams {
        CallToolRequestParams::new(name.to_owned()).with_arguments(object(arguments))
    }

    #[test]
    fn a_call_names_its_tool_and_nothing_else_is_taken() {
        let call = Wanted::read(&request(CALL, json!({ "name": "a_b", "arguments": { "x": 1 } }))).unwrap();
        assert_eq!(call, Wanted::Call { name: "a_b".into(), arguments: Some(object(json!({ "x": 1 }))) });
        for wrong in [
            json!({}),
            json!({ "name": 1 }),
            json!({ "name": "a", "allow": "all" }),
            json!({ "name": "a", "arguments": [] }),
        ] {
            assert!(Wanted::read(&request(CALL, wrong.clone())).is_err(), "{wrong}");
        }
        assert!(Wanted::read(&request("a_b", json!({}))).is_err(), "a tool by its own name");
    }

    #[test]
    fn a_word_in_the_name_counts_most() {
        let words = ["sum".to_owned(), "text".to_owned()];
        let (named, described) = (score(&words, "sum_up", "", "of a Text"), score(&words, "plan", "", "sum of a text"));
        assert!(named > described && described > score(&words, "plan", "", "nothing"), "{named} {described}");
    }
}
