//! Small readings and writings of JSON that several wires share.

use base64::Engine;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::stream::lenient_json;
use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Embeddings, Image, Role, Usage};

/// Largest integer that every JSON reader agrees about: 2^53.
const MAX_EXACT: u64 = 1 << 53;

/// A count of tokens. Negative, broken, textual and absurd ones are no count at all: a budget must not believe them.
pub(super) fn count(value: Option<&Value>) -> Option<u64> {
    value?.as_u64().filter(|count| *count <= MAX_EXACT)
}

/// Usage of four counts; None unless both of the main ones are counts. A part is never more than its whole.
pub(super) fn usage(
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
) -> Option<Usage> {
    let (input_tokens, output_tokens) = (input?, output?);
    Some(Usage {
        input_tokens,
        output_tokens,
        cached_input_tokens: cached.unwrap_or(0).min(input_tokens),
        reasoning_tokens: reasoning.unwrap_or(0).min(output_tokens),
        ..Usage::default()
    })
}

/// For a part that a role cannot have on the wire.
pub(super) fn misplaced(what: &str, role: Role) -> ProviderError {
    let role = format!("{role:?}").to_lowercase();
    ProviderError::Invalid(format!("{what} cannot be in a message of the role `{role}`"))
}

/// A number as short as it was written: 0.7 and not 0.699999988.
pub(super) fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// Base64 of an image, without a prefix.
pub(super) fn base64(image: &Image) -> String {
    base64::engine::general_purpose::STANDARD.encode(&image.data)
}

/// An image as a `data:` URL (RFC 2397).
pub(super) fn data_url(image: &Image) -> String {
    format!("data:{};base64,{}", image.media_type, base64(image))
}

/// A tool call's arguments as valid JSON text, from text or from a value. Nothing at all is `{}`.
pub(super) fn arguments(value: &Value) -> Result<String, ProviderError> {
    let Value::String(text) = value else {
        return Ok(if value.is_null() { "{}".into() } else { value.to_string() });
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok("{}".into());
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return Ok(text.to_owned());
    }
    lenient_json(text.as_bytes())
        .map(|value| value.to_string())
        .map_err(|_| ProviderError::Garbled("the arguments of a tool call are not JSON".into()))
}

/// As [`arguments`], with what is no JSON as a JSON string. That is the model's mistake and not the provider's: it is no tool's input, so
/// the model is told, and can correct it.
pub(super) fn as_written(value: &Value) -> String {
    arguments(value).unwrap_or_else(|_| value.to_string())
}

/// Adds a skill's own options to a request. A field that the host sets, or that is in `reserved` because it would change the
/// price, the model or the form of the answer, is refused by name.
pub(super) fn merge(
    body: &mut Map<String, Value>,
    options: Option<&Map<String, Value>>,
    reserved: &[&str],
) -> Result<(), ProviderError> {
    for (name, value) in options.into_iter().flatten() {
        if body.contains_key(name) || reserved.contains(&name.as_str()) {
            return Err(ProviderError::Invalid(format!(
                "provider options must not set `{}`: the host sets it",
                name.chars().take(64).collect::<String>().escape_debug()
            )));
        }
        body.insert(name.clone(), value.clone());
    }
    Ok(())
}

/// A name for a prompt's fixed beginning, equal for equal beginnings, so that a provider sends both to the same cache.
pub(super) fn cache_key(messages: &[Value]) -> String {
    let digest = Sha256::digest(Value::from(messages).to_string());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether OpenAI's strict mode takes a schema: only these keywords, every property required and none besides.
/// <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>
pub(super) fn strict_ready(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object") && strict(schema)
}

fn strict(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else { return false };
    object.iter().all(|(word, value)| match word.as_str() {
        "type" | "description" | "title" | "enum" | "const" | "$ref" | "required" | "additionalProperties" => true,
        "properties" | "$defs" => value.as_object().is_some_and(|map| map.values().all(strict)),
        "items" => strict(value),
        "anyOf" => value.as_array().is_some_and(|list| list.iter().all(strict)),
        _ => false,
    }) && closed(object)
}

/// Whether an object's schema (if it is one) lists all of its properties as required and allows no others.
fn closed(object: &Map<String, Value>) -> bool {
    let types = object.get("type");
    let is_object = types.is_some_and(|types| {
        types == "object" || types.as_array().is_some_and(|list| list.iter().any(|name| name == "object"))
    });
    if !is_object {
        return true;
    }
    let required = object.get("required").and_then(Value::as_array);
    let listed = |name: &String| required.is_some_and(|list| list.iter().any(|entry| entry == name));
    object.get("additionalProperties") == Some(&Value::Bool(false))
        && object.get("properties").and_then(Value::as_object).is_none_or(|map| map.keys().all(listed))
}

/// One vector for each input, all of one length, all finite.
pub(super) fn embeddings(
    rows: Vec<&Value>,
    inputs: usize,
    model: &str,
    usage: Option<Usage>,
) -> Result<Embeddings, ProviderError> {
    let garbled = |text: String| Err(ProviderError::Garbled(text));
    if rows.len() != inputs {
        return garbled(format!("{} vectors for {inputs} texts", rows.len()));
    }
    let Some(vectors) = rows.into_iter().map(vector).collect::<Option<Vec<_>>>() else {
        return garbled("a vector is not a list of numbers".into());
    };
    if vectors.windows(2).any(|pair| pair[0].len() != pair[1].len()) {
        return garbled("its vectors differ in length".into());
    }
    Ok(Embeddings { vectors, model: model.to_owned(), usage })
}

/// A vector, or the mean of several: models without pooling give one for each token.
fn vector(value: &Value) -> Option<Vec<f32>> {
    let rows = value.as_array()?;
    if !rows.first()?.is_array() {
        return rows.iter().map(component).collect();
    }
    let rows =
        rows.iter().map(|row| row.as_array()?.iter().map(component).collect()).collect::<Option<Vec<Vec<f32>>>>()?;
    let mut mean = vec![0.0; rows.first().filter(|row| !row.is_empty())?.len()];
    for row in &rows {
        if row.len() != mean.len() {
            return None;
        }
        mean.iter_mut().zip(row).for_each(|(sum, component)| *sum += component / rows.len() as f32);
    }
    Some(mean)
}

fn component(value: &Value) -> Option<f32> {
    // Narrowing is meant: vectors have no more precision than that.
    value.as_f64().map(|number| number as f32).filter(|number| number.is_finite())
}

/// The names in a list of models: the `field` of each entry, sorted.
pub(super) fn names(list: Option<&Value>, field: &str) -> Result<Vec<String>, ProviderError> {
    let list = list.and_then(Value::as_array);
    let list = list.ok_or_else(|| ProviderError::Garbled("it is not a list of models".into()))?;
    let mut names: Vec<String> = list.iter().filter_map(|entry| Some(entry.get(field)?.as_str()?.to_owned())).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
