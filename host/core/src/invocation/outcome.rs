//! What a call gives: its shape, and what is checked before a caller sees it.

use serde::Serialize;
use serde_json::Value;

use crate::catalog::reflect::Returned;
use crate::catalog::tool::{CallError, Callable};
use crate::engine::Limits;
use crate::engine::linker::exports;
use crate::schema;

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    pub content: Vec<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Content {
    Text { text: String },
    Image(Media),
    Audio(Media),
    Link(Link),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Media {
    pub media_type: String,
    /// Base64 where it is serialised.
    #[serde(serialize_with = "base64_text")]
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    pub uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

fn base64_text<S: serde::Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine;
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(data))
}

/// What a guest gave.
pub(super) enum Answer {
    Skill(exports::Outcome),
    /// Of the types of the function, and so of its output schema.
    Plain(Returned),
}

/// Caps what a guest gave, and checks it against the tool's output schema.
pub(super) fn check(callable: &Callable, answer: Answer, limits: &Limits) -> Result<Outcome, CallError> {
    let tool = || callable.tool.name.clone();
    let raw = match answer {
        Answer::Skill(raw) => raw,
        Answer::Plain(Returned { text, structured }) => {
            // Counted as a skill's: the value and the text are of one length.
            let times = if structured.is_some() { 2 } else { 1 };
            let bytes = text.as_ref().map_or(0, String::len) * times;
            if bytes > limits.output_bytes {
                return Err(CallError::OutputTooLarge { tool: tool(), actual: bytes, limit: limits.output_bytes });
            }
            return Ok(Outcome { content: text.map(|text| Content::Text { text }).into_iter().collect(), structured });
        }
    };
    let content: Vec<Content> = raw.content.into_iter().map(Content::from).collect();
    let bytes = content.iter().map(Content::bytes).sum::<usize>() + raw.structured.as_ref().map_or(0, String::len);
    if bytes > limits.output_bytes {
        return Err(CallError::OutputTooLarge { tool: tool(), actual: bytes, limit: limits.output_bytes });
    }
    let invalid = |reason: String| CallError::InvalidOutput { tool: tool(), reason };
    let structured =
        raw.structured.map(|text| schema::parse(&text).map_err(|error| invalid(error.to_string()))).transpose()?;
    if let Some(validator) = &callable.output {
        match &structured {
            Some(value) => schema::check(validator, value).map_err(|wrong| invalid(schema::render(&wrong)))?,
            None => return Err(invalid("it has an output schema and gave no structured outcome".into())),
        }
    }
    Ok(Outcome { content, structured })
}

impl From<exports::Content> for Content {
    fn from(content: exports::Content) -> Self {
        match content {
            exports::Content::Text(text) => Self::Text { text },
            exports::Content::Image(media) => Self::Image(Media { media_type: media.media_type, data: media.data }),
            exports::Content::Audio(media) => Self::Audio(Media { media_type: media.media_type, data: media.data }),
            exports::Content::Link(link) => {
                Self::Link(Link { uri: link.uri, title: link.title, media_type: link.media_type })
            }
        }
    }
}

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Text { text } => text.len(),
            Self::Image(media) | Self::Audio(media) => media.data.len(),
            Self::Link(link) => link.uri.len() + link.title.as_ref().map_or(0, String::len),
        }
    }
}
