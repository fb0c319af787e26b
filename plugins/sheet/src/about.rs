//! What stands in a sheet, column by column.

use std::collections::HashSet;

use ringfence_skill::prelude::*;
use serde_json::Value as Json;

use crate::load;
use crate::show;
use crate::table::Table;
use crate::value::{Kind, Value};

/// The sheets that are there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    pub sheets: Vec<Sheet>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sheet {
    pub name: String,
    pub rows: usize,
    pub columns: Vec<About>,
    /// What to know about how it was read: lines above the header, no header at all, cells such as `n/a`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a column holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct About {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Cells that hold something, errors not counted.
    pub count: usize,
    /// Cells that are empty.
    pub missing: usize,
    /// Cells that hold an error.
    pub errors: usize,
    /// Different values.
    pub distinct: usize,
    /// The least value.
    pub min: Json,
    /// The greatest value.
    pub max: Json,
    /// How a formula can read the column, where its text looks like numbers or dates of some country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

pub fn describe(tables: &[Table]) -> Description {
    Description { sheets: tables.iter().map(sheet).collect() }
}

fn sheet(table: &Table) -> Sheet {
    let columns = (0..table.columns.len()).map(|at| {
        let values = || table.rows.iter().map(|row| &row.cells[at]);
        let known = || values().filter(|value| value.rank() == 0);
        let best = |value: Option<&Value>| value.map(Value::json).unwrap_or_default();
        About {
            name: table.columns[at].name.clone(),
            kind: table.columns[at].kind,
            count: known().count(),
            missing: values().filter(|value| **value == Value::Empty).count(),
            errors: values().filter(|value| matches!(value, Value::Error(_))).count(),
            distinct: known().collect::<HashSet<_>>().len(),
            min: best(known().min_by(|a, b| a.compare(b))),
            max: best(known().max_by(|a, b| a.compare(b))),
            advice: load::advice(table, at),
        }
    });
    Sheet { name: table.name.clone(), rows: table.rows.len(), columns: columns.collect(), notes: table.remarks() }
}

/// The same for people.
pub fn text(description: &Description) -> String {
    let sheets = description.sheets.iter().map(|sheet| {
        let heads =
            ["column", "type", "count", "missing", "errors", "distinct", "min", "max"].map(String::from).to_vec();
        let plain = |json: &Json| match json {
            Json::String(text) => show::cell(text),
            Json::Null => String::new(),
            other => other.to_string(),
        };
        let rows = sheet.columns.iter().map(|about| {
            let counts = [about.count, about.missing, about.errors, about.distinct].map(|count| count.to_string());
            let names = [show::cell(&about.name), about.kind.name().to_owned()];
            names.into_iter().chain(counts).chain([plain(&about.min), plain(&about.max)]).collect()
        });
        let right = [false, false, true, true, true, true, false, false];
        let mut text =
            format!("## {}: {} rows\n\n{}", sheet.name, sheet.rows, show::markdown(heads, rows.collect(), &right));
        for note in &sheet.notes {
            text.push_str(&format!("\nNote: {note}."));
        }
        for about in &sheet.columns {
            if let Some(advice) = &about.advice {
                text.push_str(&format!("\n`{}` {advice}.", about.name));
            }
        }
        text.trim_end().to_owned()
    });
    sheets.collect::<Vec<_>>().join("\n\n")
}
