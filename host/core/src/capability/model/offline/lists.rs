//! Lists in a schema: from the items below a label or below another item, or from the value behind a label.

use serde_json::{Map, Value};

use super::fill::{Filler, Found, MAX_RECORDS, Name, Scope, as_json, kind, shorten};
use super::text::{Field, List};
use super::{find, rank, summary};

impl Filler<'_> {
    /// Values without parts, of a list.
    pub(super) fn plain_values(
        &self,
        items: &Map<String, Value>,
        name: &Name,
        scope: Scope<'_>,
        most: usize,
    ) -> Vec<Found> {
        let members = items.get("enum").and_then(Value::as_array);
        let numeric = matches!(kind(items), "number" | "integer");
        if members.is_none() && !numeric && kind(items) != "string" {
            return Vec::new();
        }
        let texts = match members.is_some() || numeric {
            // Only what a label introduces: a number or a word anywhere in the text means nothing.
            true => self.labelled_list(name, scope).unwrap_or_default(),
            false => self.strings(items, name, scope, most),
        };
        let read = |(text, quote): (String, Option<String>)| {
            let value = match members {
                Some(members) => {
                    let same =
                        |member: &&Value| member.as_str().is_some_and(|member| member.eq_ignore_ascii_case(&text));
                    members.iter().find(same)?.clone()
                }
                None if numeric => as_json(find::number(&text)?),
                None => Value::String(text),
            };
            let whole = kind(items) != "integer" || value.is_i64() || value.is_u64();
            whole.then_some(Found { value, quote })
        };
        texts.into_iter().filter_map(read).collect()
    }

    /// The list below a label of that name, or the value behind it, taken apart at commas.
    fn labelled_list(&self, name: &Name, scope: Scope<'_>) -> Option<Vec<(String, Option<String>)>> {
        if let Some(list) = self.list(name, scope) {
            return Some(list.entries.iter().map(|entry| (entry.text.clone(), Some(entry.line.clone()))).collect());
        }
        let field = find::labelled(scope.fields, &name.words, &name.description)?;
        let parts = field.value.split([',', ';']).map(str::trim).filter(|part| !part.is_empty());
        Some(parts.map(|part| (part.to_owned(), Some(field.line.clone()))).collect())
    }

    /// The list of that name; below an item that is no label there is one list, which is meant.
    pub(super) fn list<'s>(&self, name: &Name, scope: Scope<'s>) -> Option<&'s List> {
        let named = scope.lists.iter().find(|list| find::is_named(&list.label, &name.words, &name.description));
        named.or(match scope.lists {
            [only] if only.label.is_empty() => Some(only),
            _ => None,
        })
    }

    /// The items of one list as objects: by their labels, or as one text.
    pub(super) fn entries(
        &mut self,
        list: &List,
        keys: &[Name],
        items: &Value,
        path: &str,
        depth: usize,
    ) -> Vec<Value> {
        let mut out = Vec::new();
        for entry in list.entries.iter().take(MAX_RECORDS) {
            let mut fields = entry.fields.clone();
            if !keys.iter().any(|key| find::labelled(&fields, &key.words, &key.description).is_some()) {
                fields = vec![Field { label: String::new(), value: entry.text.clone(), line: entry.line.clone() }];
            }
            let at = format!("{path}/{}", out.len());
            let scope = Scope { fields: &fields, lists: &[], whole: false };
            out.extend(self.value(items, &Name::default(), scope, &at, depth + 1).map(|found| found.value));
        }
        out
    }

    /// Texts with the lines that say them, where they come from one.
    fn strings(
        &self,
        items: &Map<String, Value>,
        name: &Name,
        scope: Scope<'_>,
        most: usize,
    ) -> Vec<(String, Option<String>)> {
        let format = items.get("format").and_then(Value::as_str).unwrap_or_default();
        let text = || self.document.lines.join("\n");
        if let Some(list) = self.list(name, scope) {
            return list.entries.iter().map(|entry| (entry.text.clone(), Some(entry.line.clone()))).collect();
        }
        let texts: Vec<String> = if format == "email" || name.says(&["email", "emails"]) {
            find::emails(&text())
        } else if format == "uri" || name.says(&["url", "urls", "links"]) {
            find::urls(&text())
        } else if let Some(list) = self.labelled_list(name, scope) {
            return list;
        } else if !scope.whole {
            Vec::new()
        } else if format == "date" || name.says(&["dates"]) {
            self.document.lines.iter().filter_map(|line| find::date(line)).collect()
        } else if name.says(&["keywords", "keyword", "tags", "topics", "terms"]) {
            rank::keywords(self.document, most.min(8))
        } else if name.says(&["headings", "sections", "chapters"]) {
            self.document.headings.clone()
        } else if name.says(&[
            "points",
            "bullets",
            "highlights",
            "summary",
            "sentences",
            "takeaways",
            "findings",
            "facts",
        ]) {
            let most_long = items.get("maxLength").and_then(Value::as_u64).map(|n| n as usize);
            let points = summary::sentences(self.document, "", most.min(5), None);
            points.into_iter().map(|point| shorten(point, most_long)).collect()
        } else {
            return self.items_under(name).into_iter().map(|(text, line)| (text, Some(line))).collect();
        };
        texts.into_iter().map(|text| (text, None)).collect()
    }
}
