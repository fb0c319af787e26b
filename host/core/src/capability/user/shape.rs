//! The shapes of answers that a person can give: a yes or no, a text, a choice or several, a number, or a flat form of these.
//!
//! Schemas come from skills. What is not listed here is refused, so that a face has few shapes to show and none to guess at.

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::schema;

/// Most bytes of a schema, as compact JSON.
const MAX_SCHEMA: usize = 16 << 10;
/// Most fields of a form, and most choices.
const MAX_FIELDS: usize = 20;
const MAX_CHOICES: usize = 100;

/// How an answer looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    One(Field),
    /// An object, one field after the other.
    Form(Vec<Field>),
}

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The property's name; empty where the answer is no object.
    pub name: String,
    pub kind: Kind,
    /// The skill's words.
    pub title: Option<String>,
    pub description: Option<String>,
    /// What the skill proposes. Fits the kind.
    pub default: Option<Value>,
    pub required: bool,
    /// JSON Schema of this field alone.
    pub schema: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Text,
    /// One of these texts.
    Choice(Vec<Choice>),
    /// Some of these texts, in a list.
    Choices(Vec<Choice>),
    Number,
    Integer,
}

/// A text that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What the skill is given.
    pub value: String,
    /// The skill's words for it.
    pub title: Option<String>,
}

const OF_ALL: &[&str] = &["type", "title", "description", "default", "$schema"];
const OF_TEXT: &[&str] = &["enum", "enumNames", "oneOf", "minLength", "maxLength", "pattern", "format"];
const OF_LISTS: &[&str] = &["items", "minItems", "maxItems", "uniqueItems"];
const OF_ITEMS: &[&str] = &["type", "enum", "anyOf"];
const OF_NUMBERS: &[&str] = &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"];
const OF_FORMS: &[&str] = &["properties", "required", "additionalProperties"];

impl Shape {
    /// Reads a schema from a guest.
    pub fn read(schema: &Value) -> Result<Self, Refusal> {
        let size = schema.to_string().len();
        if size > MAX_SCHEMA {
            return Err(invalid(format!("it has {size} bytes, of at most {MAX_SCHEMA}")));
        }
        let Value::Object(map) = schema else { return Err(invalid("it is not an object".into())) };
        let shape = match map.get("type").and_then(Value::as_str) {
            Some("object") => Self::Form(form(map)?),
            _ => Self::One(field("", schema, true)?),
        };
        schema::compile(schema).map_err(|error| invalid(error.to_string()))?;
        Ok(shape)
    }
}

fn invalid(reason: String) -> Refusal {
    Refusal::Invalid(format!(
        "the schema of the answer is none that a person can answer: {reason}; it must be a boolean, a string, a number, \
         an integer, a list of choices or a flat object of these"
    ))
}

fn form(map: &Map<String, Value>) -> Result<Vec<Field>, Refusal> {
    only(map, &[OF_ALL, OF_FORMS], "an object")?;
    let Some(Value::Object(properties)) = map.get("properties") else {
        return Err(invalid("an object has no `properties`".into()));
    };
    if properties.is_empty() || properties.len() > MAX_FIELDS {
        return Err(invalid(format!("an object has {} properties, of 1 to {MAX_FIELDS}", properties.len())));
    }
    if !matches!(map.get("additionalProperties"), None | Some(Value::Bool(_))) {
        return Err(invalid("`additionalProperties` is neither true nor false".into()));
    }
    let required: Vec<&str> =
        map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(missing) = required.iter().find(|name| !properties.contains_key(**name)) {
        return Err(invalid(format!("`{}` is required and is no property", schema::shorten(missing, 60))));
    }
    properties.iter().map(|(name, schema)| field(name, schema, required.contains(&name.as_str()))).collect()
}

fn field(name: &str, schema: &Value, required: bool) -> Result<Field, Refusal> {
    let Value::Object(map) = schema else {
        return Err(invalid(format!("the schema of `{}` is not an object", schema::shorten(name, 60))));
    };
    let numbers = [OF_ALL, OF_NUMBERS];
    let kind = match word(map) {
        Some("boolean") => only(map, &[OF_ALL], "a boolean").map(|()| Kind::Boolean)?,
        Some("number") => only(map, &numbers, "a number").map(|()| Kind::Number)?,
        Some("integer") => only(map, &numbers, "an integer").map(|()| Kind::Integer)?,
        Some("string") => {
            only(map, &[OF_ALL, OF_TEXT], "a string")?;
            choices(map, "oneOf")?.map_or(Kind::Text, Kind::Choice)
        }
        Some("array") => {
            only(map, &[OF_ALL, OF_LISTS], "an array")?;
            let Some(Value::Object(items)) = map.get("items") else {
                return Err(invalid("an array has no `items`".into()));
            };
            only(items, &[OF_ITEMS], "what is in an array")?;
            let choices = choices(items, "anyOf")?;
            Kind::Choices(choices.ok_or_else(|| invalid("what is in an array has neither `enum` nor `anyOf`".into()))?)
        }
        other => {
            let what = other.map_or("`type` is missing or not one word".to_owned(), |other| {
                format!("`type` is `{}`", schema::shorten(other, 60))
            });
            return Err(invalid(what));
        }
    };
    let words = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let alone = schema::compile(schema).map_err(|error| invalid(error.to_string()))?;
    let default = map.get("default").filter(|value| schema::check(&alone, value).is_ok()).cloned();
    Ok(Field {
        name: name.to_owned(),
        kind,
        title: words("title"),
        description: words("description"),
        default,
        required,
        schema: schema.clone(),
    })
}

/// The type as one word. What may be null as well is what an optional field of a typed language looks like.
fn word(map: &Map<String, Value>) -> Option<&str> {
    match map.get("type")? {
        Value::String(word) => Some(word),
        Value::Array(words) => match words.as_slice() {
            [Value::String(word), Value::String(null)] if null == "null" => Some(word),
            _ => None,
        },
        _ => None,
    }
}

/// What can be chosen, where a schema lists it: as texts, or each with a title. The older way to give titles is a list beside the texts.
fn choices(map: &Map<String, Value>, titled: &str) -> Result<Option<Vec<Choice>>, Refusal> {
    let (list, choices) = match (map.get("enum"), map.get(titled), map.get("enumNames")) {
        (None, None, None) => return Ok(None),
        (Some(list), None, None) => {
            let list = texts("enum", list)?;
            ("enum", list.into_iter().map(|value| Choice { value, title: None }).collect::<Vec<_>>())
        }
        (Some(list), None, Some(names)) => {
            let (list, names) = (texts("enum", list)?, texts("enumNames", names)?);
            if list.len() != names.len() {
                return Err(invalid(format!("`enum` has {} choices and `enumNames` {}", list.len(), names.len())));
            }
            let named = list.into_iter().zip(names.into_iter().map(Some));
            ("enum", named.map(|(value, title)| Choice { value, title }).collect())
        }
        (None, Some(list), None) => {
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            let choices: Option<Vec<_>> = list.iter().map(choice).collect();
            let wrong = || invalid(format!("`{titled}` is not a list of objects with `const` and `title`"));
            (titled, choices.ok_or_else(wrong)?)
        }
        _ => return Err(invalid(format!("choices stand in `enum` or in `{titled}`, and `enumNames` beside `enum`"))),
    };
    match choices.len() {
        1..=MAX_CHOICES => Ok(Some(choices)),
        count => Err(invalid(format!("`{list}` has {count} choices, of 1 to {MAX_CHOICES}"))),
    }
}

fn choice(one: &Value) -> Option<Choice> {
    let map = one.as_object().filter(|map| map.len() == 2)?;
    let word = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Choice { value: word("const")?, title: Some(word("title")?) })
}

fn texts(key: &str, list: &Value) -> Result<Vec<String>, Refusal> {
    let texts = || list.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    texts().ok_or_else(|| invalid(format!("`{key}` is not a list of strings")))
}

fn only(map: &Map<String, Value>, known: &[&[&str]], what: &str) -> Result<(), Refusal> {
    match map.keys().find(|key| !known.iter().any(|known| known.contains(&key.as_str()))) {
        Some(key) => Err(invalid(format!("{what} may not have `{}`", schema::shorten(key, 60)))),
        None => Ok(()),
    }
}
