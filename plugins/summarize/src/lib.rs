//! Summarises texts of any length: what is too long for one look is summarised part by part, and the notes are summarised again.

mod notes;
mod prompt;
#[cfg(test)]
mod tests;

use ringfence_skill::model::{Response, StopReason};
use ringfence_skill::prelude::*;

/// How the summary is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    Brief,
    Paragraph,
    Bullets,
    Detailed,
    Headline,
}

/// The summary for programs. A text has only `summary`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Summary {
    /// A title for the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The summary itself.
    summary: String,
    /// The points that matter most, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    key_points: Vec<String>,
}

/// What a model is asked for where the caller wants structure.
#[derive(Deserialize, JsonSchema)]
struct Answer {
    /// A title for the document.
    title: String,
    /// The summary itself.
    summary: String,
    /// The points that matter most, one sentence each.
    key_points: Vec<String>,
}

/// Summarises a text or Markdown document of any length, in a style and length of your choice.
#[tool(read_only, title = "Summarise a document", output = Summary)]
fn summarize(
    /// The text to summarise: plain text or Markdown.
    text: &str,
    /// How to write: brief (two sentences), paragraph, bullets, detailed, or headline (one line).
    #[default(Style::Paragraph)]
    style: Style,
    /// About how many words the summary shall have. Without it the style decides.
    #[schemars(range(min = 5, max = 5000))]
    length: Option<u32>,
    /// What to pay attention to, for example "costs" or "what changes for users".
    focus: Option<String>,
    /// The language to write in, for example "German". Without it the document's own.
    language: Option<String>,
    /// Give a title and key points as well, for programs. Otherwise the summary alone, streamed.
    #[default(false)]
    structured: bool,
) -> Result<Outcome, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::invalid_input("`text` is empty").hint("give the text or the file to summarise"));
    }
    let wish = prompt::Wish { style, length, focus, language };
    let material = notes::condense(text, &wish)?;
    if structured { as_structured(&material, &wish) } else { as_text(&material, &wish) }
}

ringfence_skill::export!(summarize);

fn as_text(material: &notes::Material, wish: &prompt::Wish) -> Result<Outcome, Failure> {
    let answer = prompt::last(material, wish).open()?.emit()?;
    let summary = complete(&answer)?;
    Outcome::text(summary.clone()).with_structured(&Summary { title: None, summary, key_points: Vec::new() })
}

fn as_structured(material: &notes::Material, wish: &prompt::Wish) -> Result<Outcome, Failure> {
    let answer = prompt::last(material, wish).schema::<Answer>().send()?;
    complete(&answer)?;
    let Answer { title, summary, key_points } = answer.json()?;
    let points: String = key_points.iter().map(|point| format!("\n- {point}")).collect();
    let text = format!("# {title}\n\n{summary}\n{points}");
    Outcome::text(text.trim_end()).with_structured(&Summary { title: Some(title), summary, key_points })
}

/// The text of an answer that is one.
pub(crate) fn complete(answer: &Response) -> Result<String, Failure> {
    let text = answer.text();
    if answer.stop_reason == StopReason::Refused {
        return Err(
            Failure::failed(format!("{} declined to summarise the document", answer.model)).hint("try another model")
        );
    }
    if text.trim().is_empty() {
        return Err(Failure::unavailable(format!("{} gave an empty answer", answer.model))
            .hint("allow the skill more tokens of answer, or try another model"));
    }
    if answer.is_cut() {
        log::warn!("an answer was cut at its largest length"; model = answer.model);
    }
    Ok(text)
}
