//! What a client asks, taken apart: messages in the forms that both interfaces have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringfence_core::budget::Limits;
use ringfence_core::capability::model::types::{self, Message, Role};
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
    pub(super) last: Message,
    /// The field of the request that it is from.
    pub(super) param: &'static str,
}

/// Most tokens of answers of models, and the field of the request that says so, where one does.
#[derive(Debug, Default)]
pub(super) struct AtMost {
    pub(super) limits: Limits,
    pub(super) param: Option<&'static str>,
}

/// One message of either interface.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OpenAiMessage)]
pub(super) struct Said {
    /// `system`, `developer`, `user` or `assistant`.
    #[serde(default)]
    role: String,
    /// A text, or parts: texts and, for an agent, pictures.
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
    /// `text`, `input_text`, `output_text`, `image_url` or `input_image`.
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    /// A picture as a `data:` URL: nothing is fetched.
    #[serde(default)]
    image_url: Option<Picture>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OpenAiPicture)]
enum Picture {
    /// Of `/v1/responses`.
    Url(String),
    /// Of `/v1/chat/completions`.
    Object { url: String },
}

/// The body of a request, whatever its content type says.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(bytes).map_err(|error| {
        Wrong::request("body", format!("the body is not what this interface takes: {error}"), "send a JSON object")
    })
}

/// Most tokens of answers, as the first of these fields that a request has says it.
pub(super) fn at_most(fields: &[(&'static str, Option<u64>)]) -> Result<AtMost, Wrong> {
    let Some((param, tokens)) = fields.iter().find_map(|(param, tokens)| Some((*param, (*tokens)?))) else {
        return Ok(AtMost::default());
    };
    match tokens {
        0 => {
            Err(Wrong::request(param, format!("`{param}` is 0, which leaves no room for an answer"), "give at least 1"))
        }
        _ => Ok(AtMost { limits: Limits { output_tokens: Some(tokens), ..Limits::default() }, param: Some(param) }),
    }
}

/// Whether nothing is in it.
pub(super) fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
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
                "store" => "leave it out, or send false: nothing is kept between two requests",
                "modalities" | "audio" => "leave it out: what answers here answers in text",
                _ => "leave it out",
            },
        )),
        _ => Ok(()),
    }
}

pub(super) fn conversation(param: &'static str, said: Vec<Said>) -> Result<Asked, Wrong> {
    let mut messages = said.into_iter().map(|said| message(param, said)).collect::<Result<Vec<_>, _>>()?;
    match messages.pop() {
        Some(last) if last.role == Role::User => Ok(Asked { before: messages, last, param }),
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
    let parts = match said.content {
        None => vec![types::Part::Text(String::new())],
        Some(Content::Text(text)) => vec![types::Part::Text(text)],
        Some(Content::Parts(parts)) => parts.into_iter().map(|part| of_part(param, part)).collect::<Result<_, _>>()?,
    };
    Ok(Message { role, parts })
}

fn of_part(param: &'static str, part: Part) -> Result<types::Part, Wrong> {
    match (part.kind.as_str(), part.text, part.image_url) {
        ("text" | "input_text" | "output_text", Some(text), _) => Ok(types::Part::Text(text)),
        ("image_url" | "input_image", _, Some(Picture::Url(url) | Picture::Object { url })) => match picture(&url) {
            Some(image) => Ok(types::Part::Image(image)),
            None => Err(Wrong::request(
                param,
                format!("the picture `{}` is not taken", shown(&url)),
                "send it in the request: `data:image/png;base64,...`; the host fetches no pictures",
            )),
        },
        (kind, ..) => Err(Wrong::request(
            param,
            format!("content of type `{}` is not taken", shown(kind)),
            "send text, or pictures as `data:` URLs",
        )),
    }
}

/// The picture in a `data:` URL (RFC 2397). Which types models see is the core's to say.
fn picture(url: &str) -> Option<types::Image> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    let data = STANDARD.decode(data.trim_end()).ok()?;
    Some(types::Image { media_type: media_type.to_ascii_lowercase(), data })
}

/// The text of a message: its parts below one another.
pub(super) fn text(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        types::Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
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
        assert_eq!(text(&asked.last), "a\nb");
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
    fn pictures_of_both_interfaces_are_read() {
        let image = types::Image { media_type: "image/png".into(), data: b"png".to_vec() };
        for part in [
            r#"{"type":"image_url","image_url":{"url":"data:image/PNG;base64,cG5n","detail":"low"}}"#,
            r#"{"type":"input_image","image_url":"data:image/png;base64,cG5n"}"#,
        ] {
            let asked =
                of(&format!(r#"[{{"role":"user","content":[{{"type":"text","text":"What is it?"}},{part}]}}]"#))
                    .unwrap();
            assert_eq!(
                asked.last.parts,
                [types::Part::Text("What is it?".into()), types::Part::Image(image.clone())],
                "{part}"
            );
        }
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        for (text, word) in [
            ("[]", "not a user's"),
            (r#"[{"role":"assistant","content":"x"}]"#, "not a user's"),
            (r#"[{"role":"tool","content":"x"}]"#, "`tool`"),
            (r#"[{"type":"function_call_output","output":"x"}]"#, "`function_call_output`"),
            (r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]"#, "`http://x`"),
            (
                r#"[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png,x"}]}]"#,
                "data:image/png",
            ),
            (r#"[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,*"}]}]"#, "data:"),
            (r#"[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#, "`input_image`"),
            (r#"[{"role":"user","content":[{"type":"input_audio"}]}]"#, "`input_audio`"),
        ] {
            assert!(of(text).unwrap_err().contains(word), "{text}");
        }
    }
}
