//! What a client asks, taken apart: messages in the forms that both interfaces have.

use ringfence_core::budget::Limits;
use ringfence_core::capability::model::types::{Message, Role};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use super::error::Wrong;
use super::target::shown;

/// A conversation that ends with what is asked now.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) before: Vec<Message>,
    pub(super) text: String,
}

/// One message of either interface.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OpenAiMessage)]
pub(super) struct Said {
    /// `system`, `developer`, `user` or `assistant`.
    #[serde(default)]
    role: String,
    /// A text, or parts of text.
    #[serde(default)]
    content: Option<Content>,
    /// Of an item of `/v1/responses`: `message`.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OpenAiContent)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OpenAiPart)]
struct Part {
    /// `text`, `input_text` or `output_text`.
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

/// The body of a request, whatever its content type says.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(bytes).map_err(|error| {
        Wrong::request("body", format!("the body is not what this interface takes: {error}"), "send a JSON object")
    })
}

/// Most tokens of answers, as a request has it.
pub(super) fn at_most(tokens: Option<u64>) -> Limits {
    Limits { output_tokens: tokens, ..Limits::default() }
}

/// Refuses what a client would believe to be done and is not.
pub(super) fn only(param: &'static str, value: Option<&Value>, is_nothing: fn(&Value) -> bool) -> Result<(), Wrong> {
    match value {
        Some(value) if !value.is_null() && !is_nothing(value) => Err(Wrong::request(
            param,
            format!("`{param}` is not supported here"),
            match param {
                "tools" | "functions" | "tool_choice" => {
                    "leave it out: skills and agents bring their own tools, and the host calls them"
                }
                _ => "leave it out",
            },
        )),
        _ => Ok(()),
    }
}

pub(super) fn conversation(param: &'static str, said: Vec<Said>) -> Result<Asked, Wrong> {
    let mut messages = said.into_iter().map(|said| message(param, said)).collect::<Result<Vec<_>, _>>()?;
    match messages.pop() {
        Some(last) if last.role == Role::User => Ok(Asked { before: messages, text: last.joined_text() }),
        _ => {
            Err(Wrong::request(param, "the last message is not a user's", "end with what is asked, in the role `user`"))
        }
    }
}

fn message(param: &'static str, said: Said) -> Result<Message, Wrong> {
    if let Some(kind) = said.kind.as_deref().filter(|kind| *kind != "message") {
        return Err(Wrong::request(
            param,
            format!("items of type `{}` are not taken", shown(kind)),
            "send messages of text; the tools of a skill or an agent are called by the host",
        ));
    }
    let role = match said.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            return Err(Wrong::request(
                param,
                format!("messages in the role `{}` are not taken", shown(other)),
                "send system, developer, user and assistant messages; tools are called by the host",
            ));
        }
    };
    let text = match said.content {
        None => String::new(),
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => {
            let mut texts = Vec::with_capacity(parts.len());
            for Part { kind, text } in parts {
                match (kind.as_str(), text) {
                    ("text" | "input_text" | "output_text", Some(text)) => texts.push(text),
                    _ => {
                        return Err(Wrong::request(
                            param,
                            format!("content of type `{}` is not taken", shown(&kind)),
                            "send text",
                        ));
                    }
                }
            }
            texts.join("\n")
        }
    };
    Ok(Message::text(role, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Asked, String> {
        conversation("messages", serde_json::from_str(text).unwrap()).map_err(|wrong| wrong.error.to_string())
    }

    #[test]
    fn messages_of_both_interfaces_are_read() {
        let asked = of(r#"[{"role":"developer","content":"Be brief."},{"role":"user","content":"Hi","name":"x"},
            {"role":"assistant","content":[{"type":"output_text","text":"Hello"}]},
            {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},{"type":"text","text":"b"}]}]"#)
        .unwrap();
        assert_eq!(asked.text, "a\nb");
        assert_eq!(
            asked.before,
            [
                Message::text(Role::System, "Be brief."),
                Message::text(Role::User, "Hi"),
                Message::text(Role::Assistant, "Hello")
            ]
        );
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        for (text, word) in [
            ("[]", "not a user's"),
            (r#"[{"role":"assistant","content":"x"}]"#, "not a user's"),
            (r#"[{"role":"tool","content":"x"}]"#, "`tool`"),
            (r#"[{"type":"function_call_output","output":"x"}]"#, "`function_call_output`"),
            (r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]"#, "`image_url`"),
        ] {
            assert!(of(text).unwrap_err().contains(word), "{text}");
        }
    }
}
