//! Fills a JSON Schema from a document: by label, by form, by the meaning of a few field names; and gives the least valid
//! value where the schema insists and the text says nothing.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::text::{Document, Field, List, Record, clean};
use super::{find, summary};
use crate::schema;

/// Deepest walk into a schema; what lies deeper (a recursive `$ref`) is left out.
pub(super) const MAX_DEPTH: usize = 16;
/// Most nodes of the schema that one walk looks at, against schemas that fan out at every level.
const MAX_NODES: usize = 500_000;
/// How often values that the schema turned down are dropped before it is given up.
const ROUNDS: usize = 12;
pub(super) const MAX_RECORDS: usize = 1000;
/// What a text without a label may be called.
const NAMING: &[&str] = &["text", "name", "title", "item", "description", "point", "task", "product", "label"];

/// A value that matches `schema`, or why there is none.
pub(super) fn fill(schema: &Value, document: &Document) -> Result<Value, String> {
    let validator = schema::compile(schema).map_err(|error| error.to_string())?;
    let mut filler = Filler { root: schema, document, dropped: BTreeSet::new(), open: Vec::new(), nodes: Cell::new(0) };
    let mut last = String::new();
    for _ in 0..ROUNDS {
        filler.nodes.set(0);
        let scope = Scope { fields: &document.fields, lists: &document.lists, whole: true };
        let value = filler.value(schema, &Name::default(), scope, "", 0).map(|found| found.value);
        let Some(value) = value.or_else(|| filler.least(schema, 0)) else { break };
        match schema::check(&validator, &value) {
            Ok(()) => return Ok(value),
            Err(violations) => {
                last = schema::render(&violations);
                let before = filler.dropped.len();
                filler.dropped.extend(violations.into_iter().map(|violation| violation.path));
                if filler.dropped.len() == before {
                    break;
                }
            }
        }
    }
    filler.nodes.set(0);
    let least = filler.least(schema, 0).ok_or("no value that matches the schema was found")?;
    schema::check(&validator, &least).map(|()| least).map_err(|violations| match last.is_empty() {
        true => schema::render(&violations),
        false => last,
    })
}

pub(super) struct Filler<'a> {
    root: &'a Value,
    pub(super) document: &'a Document,
    /// JSON Pointers of values that the schema turned down.
    dropped: BTreeSet<String>,
    /// References that are being followed.
    open: Vec<String>,
    nodes: Cell<usize>,
}

/// Where a value may come from.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) fields: &'a [Field],
    pub(super) lists: &'a [List],
    /// The whole document, not one of its records.
    pub(super) whole: bool,
}

/// What a value is called.
#[derive(Clone, Default)]
pub(super) struct Name {
    pub(super) words: Vec<Vec<String>>,
    pub(super) description: Vec<String>,
}

impl Name {
    fn new(key: &str, schema: &Map<String, Value>) -> Self {
        let title = schema.get("title").and_then(Value::as_str).map(find::words);
        let description = schema.get("description").and_then(Value::as_str).map(find::words).unwrap_or_default();
        Self { words: std::iter::once(find::words(key)).chain(title).collect(), description }
    }

    pub(super) fn says(&self, any: &[&str]) -> bool {
        self.words.iter().flatten().any(|word| any.contains(&word.as_str()))
    }
}

/// A value and the line that says so.
pub(super) struct Found {
    pub(super) value: Value,
    pub(super) quote: Option<String>,
}

impl From<Value> for Found {
    fn from(value: Value) -> Self {
        Self { value, quote: None }
    }
}

impl<'a> Filler<'a> {
    pub(super) fn value(
        &mut self,
        schema: &Value,
        name: &Name,
        scope: Scope<'_>,
        path: &str,
        depth: usize,
    ) -> Option<Found> {
        if depth > MAX_DEPTH || self.dropped.contains(path) {
            return None;
        }
        // A recursive type is filled once: the text would only be found again at every level.
        match reference(schema) {
            Some(target) if self.open.iter().any(|open| open == target) => None,
            Some(target) => {
                self.open.push(target.to_owned());
                let found = self.typed(schema, name, scope, path, depth);
                self.open.pop();
                found
            }
            None => self.typed(schema, name, scope, path, depth),
        }
    }

    fn typed(&mut self, schema: &Value, name: &Name, scope: Scope<'_>, path: &str, depth: usize) -> Option<Found> {
        let (schema, _) = self.flat(schema, 0)?;
        if let Some(constant) = schema.get("const") {
            return Some(constant.clone().into());
        }
        if let Some(members) = schema.get("enum").and_then(Value::as_array) {
            return self.member(members, name, scope);
        }
        match kind(&schema) {
            "object" => self.object(&schema, name, scope, path, depth),
            "array" => self.array(&schema, name, scope, path, depth),
            "string" => self.string(&schema, name, scope),
            "integer" => self.number(name, scope).filter(|f| f.value.as_f64().is_some_and(|n| n.fract() == 0.0)),
            "number" => self.number(name, scope),
            "boolean" => self.boolean(name, scope),
            _ => None,
        }
    }

    /// The schema without `$ref`, `allOf` and alternatives: of `anyOf` and `oneOf` the first that is not null. And whether
    /// null is allowed too.
    pub(super) fn flat(&self, schema: &Value, hops: usize) -> Option<(Map<String, Value>, bool)> {
        let Value::Object(map) = schema else {
            return (schema == &Value::Bool(true)).then(|| (Map::new(), true));
        };
        self.nodes.set(self.nodes.get().saturating_add(size(schema)));
        if hops > MAX_DEPTH || self.nodes.get() > MAX_NODES {
            return None;
        }
        let mut out = map.clone();
        let mut null = match map.get("type") {
            Some(Value::Array(types)) => types.iter().any(|t| t == "null"),
            Some(kind) => kind == "null",
            None => map.get("enum").and_then(Value::as_array).is_some_and(|m| m.contains(&Value::Null)),
        };
        if let Some(target) = map.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(target.strip_prefix('#')?)?;
            null |= self.merge(&mut out, target, hops)?;
        }
        for part in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.merge(&mut out, part, hops)?;
        }
        for key in ["anyOf", "oneOf"] {
            let Some(variants) = map.get(key).and_then(Value::as_array) else { continue };
            let is_null = |v: &&Value| v.get("type").is_some_and(|t| t == "null");
            null |= variants.iter().any(|v| is_null(&v));
            if let Some(first) = variants.iter().find(|v| !is_null(v)) {
                null |= self.merge(&mut out, first, hops)?;
            }
        }
        Some((out, null))
    }

    fn merge(&self, into: &mut Map<String, Value>, part: &Value, hops: usize) -> Option<bool> {
        let (part, null) = self.flat(part, hops + 1)?;
        for (key, value) in part {
            match (into.get_mut(&key), value) {
                (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
                (Some(Value::Array(old)), Value::Array(new)) if key == "required" => old.extend(new),
                (Some(_), _) => {}
                (None, value) => {
                    into.insert(key, value);
                }
            }
        }
        Some(null)
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        name: &Name,
        scope: Scope<'_>,
        path: &str,
        depth: usize,
    ) -> Option<Found> {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        if let Some(quote_key) = quote_key(properties) {
            return self.quoted(schema, properties, quote_key, name, scope, path, depth);
        }
        let (mut out, mut any) = (Map::new(), false);
        for (key, property) in properties {
            let at = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
            let Some((flat, null)) = self.flat(property, 0) else { continue };
            let found = self.value(property, &Name::new(key, &flat), scope, &at, depth + 1);
            any |= found.is_some();
            let value = found.map(|found| found.value);
            let value = value.or(null.then_some(Value::Null));
            let value = value.or_else(|| required(schema, key).then(|| self.least(property, depth + 1))?);
            if let Some(value) = value {
                out.insert(key.clone(), value);
            }
        }
        (any || depth == 0).then(|| Value::Object(out).into())
    }

    /// `{value, quote}`: a value with the line that it comes from.
    #[expect(clippy::too_many_arguments, reason = "one step of the walk, with the walk's whole state")]
    fn quoted(
        &mut self,
        schema: &Map<String, Value>,
        properties: &Map<String, Value>,
        quote_key: &str,
        name: &Name,
        scope: Scope<'_>,
        path: &str,
        depth: usize,
    ) -> Option<Found> {
        let inner = properties.get("value")?;
        let found = self.value(inner, name, scope, &format!("{path}/value"), depth + 1)?;
        let quote = found.quote.clone().or_else(|| self.line_with(&found.value))?;
        let mut out = Map::new();
        for (key, property) in properties {
            let value = match key.as_str() {
                "value" => Some(found.value.clone()),
                key if key == quote_key => Some(Value::String(quote.clone())),
                key => required(schema, key).then(|| self.least(property, depth + 1))?,
            };
            out.extend(value.map(|value| (key.clone(), value)));
        }
        Some(Found { value: Value::Object(out), quote: Some(quote) })
    }

    fn line_with(&self, value: &Value) -> Option<String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.document.lines.iter().find(|line| line.contains(&text) || clean(line).contains(&text)).cloned()
    }

    fn array(
        &mut self,
        schema: &Map<String, Value>,
        name: &Name,
        scope: Scope<'_>,
        path: &str,
        depth: usize,
    ) -> Option<Found> {
        let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
        let (flat, _) = self.flat(&items, 0)?;
        let most = schema.get("maxItems").and_then(Value::as_u64).map_or(MAX_RECORDS, |n| n as usize).min(MAX_RECORDS);
        let mut values = match self.one_quoted(&flat) {
            Some((value, quote_key)) => self
                .plain_values(&value, name, scope, most)
                .into_iter()
                .filter_map(|found| {
                    let quote = found.quote.or_else(|| self.line_with(&found.value))?;
                    Some(json!({ "value": found.value, quote_key: quote }))
                })
                .collect(),
            None if kind(&flat) == "object" => self.records(&items, &flat, name, scope, path, depth),
            None => self.plain_values(&flat, name, scope, most).into_iter().map(|found| found.value).collect(),
        };
        values.truncate(most);
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut seen = BTreeSet::new();
            values.retain(|value| seen.insert(value.to_string()));
        }
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(MAX_RECORDS as u64) as usize;
        if values.is_empty() {
            return None;
        }
        while values.len() < least {
            values.push(self.least(&items, depth + 1)?);
        }
        Some(Value::Array(values).into())
    }

    /// The schema of the value where items are `{value, quote}` and need nothing else, and what the quote is called.
    fn one_quoted(&self, items: &Map<String, Value>) -> Option<(Map<String, Value>, &'static str)> {
        let properties = items.get("properties")?.as_object().filter(|properties| properties.len() == 2)?;
        let quote_key = quote_key(properties)?;
        Some((self.flat(properties.get("value")?, 0)?.0, quote_key))
    }

    /// One object per item of a list of that name; else per table row, block or, failing those, for the whole document: whichever
    /// fills most fields of each.
    fn records(
        &mut self,
        items: &Value,
        flat: &Map<String, Value>,
        name: &Name,
        scope: Scope<'_>,
        path: &str,
        depth: usize,
    ) -> Vec<Value> {
        let document = self.document;
        let keys: Vec<Name> = flat
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(key, property)| Some(Name::new(key, &self.flat(property, 0)?.0)))
            .collect();
        if let Some(list) = self.list(name, scope) {
            return self.entries(list, &keys, items, path, depth);
        }
        if !scope.whole {
            return Vec::new();
        }
        let covers = |record: &Record| {
            let lists =
                |key: &Name| record.lists.iter().any(|list| find::is_named(&list.label, &key.words, &key.description));
            let unlabelled = |key: &Name| key.says(NAMING) && record.fields.iter().any(|field| field.label.is_empty());
            let has = |key: &&Name| {
                find::labelled(&record.fields, &key.words, &key.description).is_some() || lists(key) || unlabelled(key)
            };
            keys.iter().filter(has).count()
        };
        let whole = vec![Record { fields: document.fields.clone(), lists: document.lists.clone() }];
        let sets = document.tables.iter().chain([&document.blocks, &whole]);
        let mut best: (f64, Vec<&Record>) = (0.0, Vec::new());
        for set in sets {
            let fitting: Vec<_> = set.iter().map(|record| (record, covers(record))).filter(|(_, n)| *n > 0).collect();
            let mean = fitting.iter().map(|(_, n)| *n as f64).sum::<f64>() / fitting.len().max(1) as f64;
            // The document as one record has every label of all of them: several records that each say more than one thing
            // are what the text is made of.
            let several = fitting.len() > 1 && fitting.iter().all(|(_, n)| *n > 1);
            let mean = if several { mean + keys.len() as f64 } else { mean };
            if mean > best.0 {
                best = (mean, fitting.into_iter().map(|(record, _)| record).take(MAX_RECORDS).collect());
            }
        }
        let listed: Vec<Record> = if best.1.is_empty() { self.listed(&keys, name) } else { Vec::new() };
        let records = if best.1.is_empty() { listed.iter().collect() } else { best.1 };
        let mut out = Vec::new();
        for record in records {
            let at = format!("{path}/{}", out.len());
            let scope = Scope { fields: &record.fields, lists: &record.lists, whole: false };
            out.extend(self.value(items, &Name::default(), scope, &at, depth + 1).map(|found| found.value));
        }
        out
    }

    /// List items as records with one field: the first that is named for a text.
    fn listed(&self, keys: &[Name], name: &Name) -> Vec<Record> {
        if !keys.iter().any(|key| key.says(NAMING)) {
            return Vec::new();
        }
        let record =
            |(value, line)| Record { fields: vec![Field { label: String::new(), value, line }], lists: Vec::new() };
        self.items_under(name).into_iter().map(record).take(MAX_RECORDS).collect()
    }

    /// List items below a heading of that name, else all of them.
    pub(super) fn items_under(&self, name: &Name) -> Vec<(String, String)> {
        let items = &self.document.items;
        let named = |at: &Option<usize>| {
            let heading =
                at.and_then(|at| self.document.headings.get(at)).map(|text| find::words(text)).unwrap_or_default();
            name.words.iter().flatten().any(|word| heading.contains(word))
        };
        let below: Vec<_> = items.iter().filter(|(_, _, at)| named(at)).collect();
        let chosen = if below.is_empty() { items.iter().collect() } else { below };
        chosen.into_iter().map(|(text, line, _)| (text.clone(), line.clone())).collect()
    }

    fn string(&self, schema: &Map<String, Value>, name: &Name, scope: Scope<'_>) -> Option<Found> {
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        let field = find::labelled(scope.fields, &name.words, &name.description);
        let form: Option<fn(&str) -> Option<String>> = match format {
            "date" => Some(find::date),
            "date-time" => Some(find::date_time),
            "email" => Some(|text| find::emails(text).into_iter().next()),
            "uri" | "url" | "iri" => Some(|text| find::urls(text).into_iter().next()),
            _ if name.says(&["email"]) => Some(|text| find::emails(text).into_iter().next()),
            _ if name.says(&["url"]) => Some(|text| find::urls(text).into_iter().next()),
            _ if name.says(&["phone"]) => Some(find::phone),
            _ => None,
        };
        if let Some(form) = form {
            let labelled =
                field.and_then(|f| Some(Found { value: form(&f.value)?.into(), quote: Some(f.line.clone()) }));
            // A telephone number without a label is only digits.
            let anywhere = scope.whole && !name.says(&["phone"]);
            let free = || self.document.lines.iter().find_map(|line| Some((form(line)?, line)));
            let free = || free().map(|(value, line)| Found { value: value.into(), quote: Some(line.clone()) });
            return labelled.or_else(|| if anywhere { free() } else { None });
        }
        let unlabelled = || scope.fields.iter().find(|field| field.label.is_empty()).filter(|_| name.says(NAMING));
        if let Some(field) = field.or_else(unlabelled) {
            return Some(Found { value: field.value.clone().into(), quote: Some(field.line.clone()) });
        }
        let most = schema.get("maxLength").and_then(Value::as_u64).map(|n| n as usize);
        let text = match scope.whole {
            true if name.says(&["title", "headline", "heading"]) => summary::title(self.document),
            true if name.says(&[
                "summary",
                "abstract",
                "overview",
                "gist",
                "tldr",
                "description",
                "text",
                "answer",
            ]) =>
            {
                let sentences = summary::sentences(self.document, "", 3, None);
                Some(sentences.join(" ")).filter(|text| !text.is_empty())
            }
            _ => None,
        }?;
        Some(Value::String(shorten(text, most)).into())
    }

    fn number(&self, name: &Name, scope: Scope<'_>) -> Option<Found> {
        let numeric: Vec<Field> = scope.fields.iter().filter(|f| find::number(&f.value).is_some()).cloned().collect();
        let field = find::labelled(&numeric, &name.words, &name.description)?;
        let number = find::number(&field.value)?;
        Some(Found { value: as_json(number), quote: Some(field.line.clone()) })
    }

    fn boolean(&self, name: &Name, scope: Scope<'_>) -> Option<Found> {
        let field = find::labelled(scope.fields, &name.words, &name.description)?;
        let value = match field.value.to_lowercase().trim_end_matches('.') {
            "yes" | "true" | "y" | "on" | "ja" | "x" | "\u{2713}" => true,
            "no" | "false" | "n" | "off" | "nein" | "none" => false,
            _ => return None,
        };
        Some(Found { value: value.into(), quote: Some(field.line.clone()) })
    }

    /// The member that the label's value names; of the whole document, the one that it says first.
    fn member(&self, members: &[Value], name: &Name, scope: Scope<'_>) -> Option<Found> {
        let place = |text: &str, member: &Value| {
            let member = member.as_str().map_or_else(|| member.to_string(), str::to_lowercase);
            let bounded = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            text.match_indices(&member).map(|(at, hit)| (at, at + hit.len())).find(|(start, end)| {
                !member.is_empty()
                    && bounded(text[..*start].chars().next_back())
                    && bounded(text[*end..].chars().next())
            })
        };
        let first = |text: &str| {
            let text = text.to_lowercase();
            let places = members.iter().filter_map(|member| Some((place(&text, member)?.0, member)));
            places.min_by_key(|(at, _)| *at).map(|(_, member)| member.clone())
        };
        if let Some(field) = find::labelled(scope.fields, &name.words, &name.description) {
            return Some(Found { value: first(&field.value)?, quote: Some(field.line.clone()) });
        }
        let lines = self.document.lines.iter().take(if scope.whole { 2000 } else { 0 });
        lines.filter_map(|line| Some(Found { value: first(line)?, quote: Some(line.clone()) })).next()
    }
}

/// At most `most` characters: cut between words, and so that it is seen.
pub(super) fn shorten(text: String, most: Option<usize>) -> String {
    let Some(most) = most.filter(|most| text.chars().nth(*most).is_some()) else { return text };
    let room: String = text.chars().take(most.saturating_sub(2)).collect();
    match room.rsplit_once(' ') {
        Some((words, _)) => format!("{} \u{2026}", words.trim_end_matches([',', ';', ':', '('])),
        None => text.chars().take(most).collect(),
    }
}

/// The `$ref` of a schema, or of its first alternative that is not null.
fn reference(schema: &Value) -> Option<&str> {
    let target = |schema: &'_ Value| schema.get("$ref").is_some();
    let variants = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    let schema = if target(schema) { schema } else { variants.into_iter().find(|variant| target(variant))? };
    schema.get("$ref")?.as_str()
}

/// Nodes of a value.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

fn required(schema: &Map<String, Value>, key: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|k| k == key))
}

fn quote_key(properties: &Map<String, Value>) -> Option<&'static str> {
    properties.get("value")?;
    ["quote", "source", "span", "source_quote"]
        .into_iter()
        .find(|key| properties.get(*key).and_then(|p| p.get("type")).is_some_and(|t| t == "string"))
}

/// The JSON type, said or implied. `any` where nothing is said.
pub(super) fn kind(schema: &Map<String, Value>) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or("null"),
        _ if schema.contains_key("properties") => "object",
        _ if schema.contains_key("items") => "array",
        _ => "string",
    }
}

/// A whole number without a point.
pub(super) fn as_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}
