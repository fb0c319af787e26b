//! What a server says of its tools: read, judged, and made comparable.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::text::{DESCRIPTION_BYTES, TOOL_BYTES, unseen_in};
use crate::catalog::tool::{self, Hints, Tool};
use crate::engine::digest;

/// Most tools that are looked at.
pub(super) const TOOLS: usize = 256;

/// One tool of a server as it says it now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    /// As the server calls it.
    pub wire: String,
    /// Of name, title, description, schemas and annotations as canonical JSON.
    pub fingerprint: String,
    /// The tool as it would be offered. None where it cannot be approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Tool>,
    /// Why it cannot be approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What it says of itself, in full: a stranger's words.
    pub says: Value,
}

/// A tool that a person approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pinned {
    /// As the server calls it.
    pub wire: String,
    pub fingerprint: String,
    pub tool: Tool,
}

/// What counts of a tool. Icons and `_meta` reach nobody.
fn says(tool: &rmcp::model::Tool) -> Value {
    let mut says = json!({ "name": tool.name, "inputSchema": *tool.input_schema });
    let mut put = |name: &str, value: Option<Value>| {
        if let (Some(value), Some(says)) = (value, says.as_object_mut()) {
            says.insert(name.to_owned(), value);
        }
    };
    put("title", tool.title.as_ref().map(|title| json!(title)));
    put("description", tool.description.as_ref().map(|text| json!(text)));
    put("outputSchema", tool.output_schema.as_ref().map(|schema| json!(**schema)));
    put("annotations", tool.annotations.as_ref().map(|all| json!(all)));
    says
}

pub(super) fn fingerprint(tool: &rmcp::model::Tool) -> String {
    fingerprint_of(&says(tool))
}

fn fingerprint_of(says: &Value) -> String {
    // Serialising a value cannot fail.
    digest(serde_json_canonicalizer::to_string(says).unwrap_or_default().as_bytes())
}

/// Reads a list of tools. Each is judged by itself, so that one bad tool costs no other its place; only names can collide.
pub(super) fn read(listed: &[rmcp::model::Tool]) -> Vec<Listed> {
    let mut names: HashMap<String, usize> = HashMap::new();
    for tool in listed.iter().take(TOOLS) {
        *names.entry(ours(&tool.name)).or_default() += 1;
    }
    let one = |tool: &rmcp::model::Tool| {
        let says = says(tool);
        let judged = match names.get(&ours(&tool.name)) {
            Some(1) => judge(tool, &says),
            _ => Err("another tool of this server would have the same name here".into()),
        };
        let (offered, refused) = match judged {
            Ok(tool) => (Some(tool), None),
            Err(reason) => (None, Some(reason)),
        };
        Listed { wire: tool.name.to_string(), fingerprint: fingerprint_of(&says), tool: offered, refused, says }
    };
    listed.iter().take(TOOLS).map(one).collect()
}

/// The tool as it would be offered, or why it is not.
fn judge(tool: &rmcp::model::Tool, says: &Value) -> Result<Tool, String> {
    let bytes = says.to_string().len();
    if bytes > TOOL_BYTES {
        return Err(format!("it says {bytes} bytes of itself, of at most {TOOL_BYTES}"));
    }
    let description = tool.description.as_deref().unwrap_or_default();
    if description.len() > DESCRIPTION_BYTES {
        return Err(format!("its description is {} bytes long, of at most {DESCRIPTION_BYTES}", description.len()));
    }
    if let Some(c) = unseen_in(says) {
        return Err(format!("it holds the character U+{:04X}, which nobody sees", u32::from(c)));
    }
    let hints = tool.annotations.clone().unwrap_or_default();
    let read_only = hints.read_only_hint.unwrap_or(false);
    let offered = Tool {
        name: ours(&tool.name),
        title: tool.title.clone().or(hints.title.clone()),
        description: description.to_owned(),
        input_schema: json!(*tool.input_schema),
        output_schema: tool.output_schema.as_ref().map(|schema| json!(**schema)),
        hints: Hints {
            read_only,
            destructive: !read_only && hints.is_destructive(),
            idempotent: hints.is_idempotent(),
            open_world: hints.open_world_hint.unwrap_or(true),
        },
    };
    tool::callables(std::slice::from_ref(&offered)).map_err(|error| error.to_string())?;
    Ok(offered)
}

/// A server's name for a tool in the letters that our names have: `createIssue` is `create_issue`.
fn ours(wire: &str) -> String {
    let mut name = String::with_capacity(wire.len() + 4);
    let mut before = '_';
    for c in wire.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            name.push('_');
        }
        match c {
            'a'..='z' | '0'..='9' | '-' | '_' => name.push(c),
            'A'..='Z' => name.push(c.to_ascii_lowercase()),
            '.' | '/' => name.push('_'),
            // Left as it is, so that the name is refused.
            other => name.push(other),
        }
        before = c;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(value: Value) -> rmcp::model::Tool {
        serde_json::from_value(value).unwrap()
    }

    fn good() -> Value {
        json!({ "name": "add", "description": "Adds.", "inputSchema": { "type": "object", "properties": { "a": { "type": "number" } } } })
    }

    fn with(name: &str, value: Value) -> rmcp::model::Tool {
        let mut all = good();
        all[name] = value;
        tool(all)
    }

    #[test]
    fn t86_every_change_of_what_a_tool_says_changes_its_fingerprint() {
        let before = fingerprint(&tool(good()));
        assert_eq!(fingerprint(&with("_meta", json!({ "a": 1 }))), before, "what reaches nobody");
        for (name, value) in [
            ("description", json!("Adds. ")),
            ("description", json!("Adds.\u{e0041}")),
            ("title", json!("Add")),
            ("inputSchema", json!({ "type": "object" })),
            ("outputSchema", json!({ "type": "object" })),
            ("annotations", json!({ "readOnlyHint": true })),
            ("annotations", json!({ "readOnlyHint": false })),
        ] {
            assert_ne!(fingerprint(&with(name, value.clone())), before, "{name} {value}");
        }
    }

    #[test]
    fn t87_a_tool_with_a_poisoned_text_is_refused_and_the_others_are_not() {
        let poisoned = [
            with("description", json!("x".repeat(DESCRIPTION_BYTES + 1))),
            with("description", json!("Adds.\u{1b}[2J")),
            with("description", json!("Adds.\u{e0049}\u{e0067}")),
            with("title", json!("A\u{202e}dd")),
            with("inputSchema", json!({ "type": "object", "properties": { "a": { "description": "x\u{200b}" } } })),
            with("inputSchema", json!({ "type": "object", "description": "x".repeat(TOOL_BYTES) })),
            with("inputSchema", json!({ "type": "no such type" })),
            with("name", json!("to\u{200b}ol")),
            with("name", json!("x".repeat(65))),
            with("name", json!("а")),
        ];
        for bad in poisoned {
            let read = read(&[bad, with("name", json!("fine"))]);
            assert!(read[0].refused.is_some() && read[0].tool.is_none(), "{:?}", read[0]);
            assert!(read[1].refused.is_none() && read[1].tool.is_some(), "{:?}", read[1]);
        }
        let full = read(&[with("description", json!("x".repeat(DESCRIPTION_BYTES)))]);
        assert!(full[0].tool.is_some());
    }

    #[test]
    fn names_are_made_ours_and_two_never_become_one() {
        for (wire, expected) in
            [("createIssue", "create_issue"), ("a.b", "a_b"), ("a-b_c9", "a-b_c9"), ("HTTPGet", "httpget")]
        {
            assert_eq!(ours(wire), expected);
        }
        let both = read(&[with("name", json!("createIssue")), with("name", json!("create_issue"))]);
        assert!(both.iter().all(|one| one.tool.is_none()), "{both:?}");
    }

    #[test]
    fn what_is_not_said_is_the_worst() {
        let hints = |value: Option<Value>| {
            let mut all = good();
            if let Some(value) = value {
                all["annotations"] = value;
            }
            read(&[tool(all)])[0].tool.clone().unwrap().hints
        };
        assert_eq!(hints(None), Hints { read_only: false, destructive: true, idempotent: false, open_world: true });
        let mild = json!({ "readOnlyHint": true, "openWorldHint": false });
        assert_eq!(
            hints(Some(mild)),
            Hints { read_only: true, destructive: false, idempotent: false, open_world: false }
        );
    }
}
