//! The smallest valid value, for what a schema insists on and the text does not say.

use serde_json::{Map, Value};

use super::fill::{Filler, MAX_DEPTH, MAX_RECORDS, as_json, kind};

impl Filler<'_> {
    /// The smallest valid value, for what the schema insists on and the text does not say.
    pub(super) fn least(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (schema, null) = self.flat(schema, 0)?;
        if let Some(constant) = schema.get("const") {
            return Some(constant.clone());
        }
        if let Some(members) = schema.get("enum").and_then(Value::as_array) {
            return if null { Some(Value::Null) } else { members.first().cloned() };
        }
        if null {
            return Some(Value::Null);
        }
        match kind(&schema) {
            "object" => self.least_object(&schema, depth),
            "array" => {
                let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(MAX_RECORDS as u64);
                let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
                (0..count).map(|_| self.least(&items, depth + 1)).collect::<Option<Vec<_>>>().map(Value::Array)
            }
            "integer" => Some(least_number(&schema, true)),
            "number" => Some(least_number(&schema, false)),
            "boolean" => Some(Value::Bool(false)),
            _ => Some(least_string(&schema)),
        }
    }

    fn least_object(&mut self, schema: &Map<String, Value>, depth: usize) -> Option<Value> {
        let mut out = Map::new();
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let property = schema.get("properties").and_then(|p| p.get(key)).cloned().unwrap_or(Value::Bool(true));
            out.insert(key.to_owned(), self.least(&property, depth + 1)?);
        }
        Some(Value::Object(out))
    }
}

fn least_number(schema: &Map<String, Value>, whole: bool) -> Value {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(if whole { 1.0 } else { 0.5 });
    let low = bound("minimum").or(bound("exclusiveMinimum")).unwrap_or(f64::MIN);
    let high = bound("maximum").or(bound("exclusiveMaximum")).unwrap_or(f64::MAX);
    let mut number = if low > 0.0 {
        (low / step).ceil() * step
    } else if high < 0.0 {
        (high / step).floor() * step
    } else {
        0.0
    };
    if bound("exclusiveMinimum").is_some_and(|low| number <= low) {
        number += step;
    }
    if bound("exclusiveMaximum").is_some_and(|high| number >= high) {
        number -= step;
    }
    as_json(number)
}

fn least_string(schema: &Map<String, Value>) -> Value {
    let text = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "date" => "1970-01-01",
        "date-time" => "1970-01-01T00:00:00Z",
        "time" => "00:00:00Z",
        "duration" => "PT0S",
        "email" | "idn-email" => "unknown@example.invalid",
        "uri" | "iri" => "about:blank",
        "uuid" => "00000000-0000-0000-0000-000000000000",
        "ipv4" => "0.0.0.0",
        "ipv6" => "::",
        "hostname" | "idn-hostname" => "example.invalid",
        _ => "",
    };
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0).min(10_000) as usize;
    let missing = least.saturating_sub(text.chars().count());
    Value::String(format!("{text}{}", "-".repeat(missing)))
}
