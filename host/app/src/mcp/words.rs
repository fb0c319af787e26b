//! From our words to the protocol's: tools, outcomes, errors.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringfence_core::{Content, Hints, Offer, Outcome};
use rmcp::model::{CallToolResult, ContentBlock, MetaObject, Resource, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// Where in `_meta` an error says its kind, its sentence and its hint.
pub(super) const ERROR: &str = "ringfence/error";

/// A tool as a client sees it.
pub(super) fn tool(offer: &Offer) -> Tool {
    let ringfence_core::Tool { title, description, input_schema, output_schema, hints, .. } = &offer.tool;
    let mut tool = Tool::new(offer.name.clone(), description.clone(), object(input_schema).unwrap_or_default())
        .with_annotations(annotations(*hints, title.as_deref()));
    if let Some(title) = title {
        tool = tool.with_title(title.clone());
    }
    match output_schema.as_ref().and_then(object) {
        Some(schema) => tool.with_raw_output_schema(schema),
        None => tool,
    }
}

fn object(schema: &Value) -> Option<Arc<serde_json::Map<String, Value>>> {
    schema.as_object().cloned().map(Arc::new)
}

/// What an author did not say stays unsaid where the protocol then expects the worse: an author who says nothing promises nothing.
fn annotations(hints: Hints, title: Option<&str>) -> ToolAnnotations {
    let Hints { read_only, destructive, idempotent, open_world } = hints;
    let destructive = (destructive || read_only).then_some(destructive);
    ToolAnnotations::from_raw(
        title.map(str::to_owned),
        Some(read_only),
        destructive,
        Some(idempotent),
        open_world.then_some(true),
    )
}

/// What a call gave. A structured outcome without content stands there as text as well, for clients that know only that.
pub(super) fn result(outcome: Outcome) -> CallToolResult {
    let Outcome { content, structured } = outcome;
    let mut blocks: Vec<ContentBlock> = content.into_iter().map(block).collect();
    if blocks.is_empty()
        && let Some(structured) = &structured
    {
        blocks.push(ContentBlock::text(structured.to_string()));
    }
    let mut result = CallToolResult::success(blocks);
    result.structured_content = structured;
    result
}

fn block(content: Content) -> ContentBlock {
    match content {
        Content::Text { text } => ContentBlock::text(text),
        Content::Image(media) => ContentBlock::image(STANDARD.encode(&media.data), media.media_type),
        Content::Audio(media) => ContentBlock::audio(STANDARD.encode(&media.data), media.media_type),
        Content::Link(link) => {
            let mut resource = Resource::new(link.uri.clone(), link.title.clone().unwrap_or(link.uri));
            resource.title = link.title;
            resource.mime_type = link.media_type;
            ContentBlock::resource_link(resource)
        }
    }
}

/// What went wrong in a call, for the model that made it and the person behind it: in words, and in `_meta` for programs.
pub(super) fn failure(kind: &str, message: &str, hint: &str) -> CallToolResult {
    let mut text = format!("error[{kind}]: {message}");
    if !hint.is_empty() {
        text += &format!("\nhelp: {hint}");
    }
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let mut meta = MetaObject::default();
    meta.insert(ERROR.to_owned(), json!({ "kind": kind, "message": message, "hint": hint }));
    result.meta = Some(meta);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence_core::{Link, Media};

    #[test]
    fn each_kind_of_content_has_its_block() {
        let media = |kind: &str| Media { media_type: kind.into(), data: vec![1, 2, 3] };
        let outcome = Outcome {
            content: vec![
                Content::Text { text: "a".into() },
                Content::Image(media("image/png")),
                Content::Audio(media("audio/wav")),
                Content::Link(Link { uri: "https://a.example/".into(), title: None, media_type: None }),
            ],
            structured: Some(json!({ "a": 1 })),
        };
        let value = serde_json::to_value(result(outcome)).unwrap();
        let expected = json!([
            { "type": "text", "text": "a" },
            { "type": "image", "data": "AQID", "mimeType": "image/png" },
            { "type": "audio", "data": "AQID", "mimeType": "audio/wav" },
            { "type": "resource_link", "uri": "https://a.example/", "name": "https://a.example/" },
        ]);
        assert_eq!((&value["content"], &value["structuredContent"]), (&expected, &json!({ "a": 1 })));
        assert_eq!(value["isError"], false);
    }

    #[test]
    fn hints_promise_no_more_than_the_author() {
        let of = |hints| serde_json::to_value(annotations(hints, None)).unwrap();
        assert_eq!(of(Hints::default()), json!({ "readOnlyHint": false, "idempotentHint": false }));
        let reads = of(Hints { read_only: true, ..Hints::default() });
        assert_eq!(reads, json!({ "readOnlyHint": true, "destructiveHint": false, "idempotentHint": false }));
        let worst = of(Hints { destructive: true, open_world: true, ..Hints::default() });
        assert_eq!((&worst["destructiveHint"], &worst["openWorldHint"]), (&json!(true), &json!(true)));
    }

    #[test]
    fn what_is_only_structured_is_text_as_well() {
        let value = serde_json::to_value(result(Outcome { content: vec![], structured: Some(json!([1])) })).unwrap();
        assert_eq!(value["content"], json!([{ "type": "text", "text": "[1]" }]));
    }

    #[test]
    fn an_error_is_told_in_words_and_for_programs() {
        let value = serde_json::to_value(failure("denied", "it may not", "grant it")).unwrap();
        assert_eq!((&value["isError"], &value["_meta"][ERROR]["kind"]), (&json!(true), &json!("denied")));
        assert_eq!(value["content"][0]["text"], "error[denied]: it may not\nhelp: grant it");
    }
}
