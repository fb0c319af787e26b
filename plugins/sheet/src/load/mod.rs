//! From a text or files to tables.

mod delimited;
mod infer;
mod workbook;

use std::path::{Component, Path};

use ringfence_skill::prelude::*;

use crate::table::{MOST_CELLS, Row, Table};
use crate::value::{Kind, Value};

/// Largest file. A workbook is packed and grows when it is read.
const MOST_BYTES: u64 = 12 << 20;
const MOST_COLUMNS: usize = 1_000;
/// What the table of a text is called.
const TEXT: &str = "sheet";

/// What to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    pub text: Option<&'a str>,
    pub path: Option<&'a str>,
    /// Which sheet of a workbook comes first.
    pub sheet: Option<&'a str>,
    /// More files, to be joined.
    pub with: &'a [String],
}

/// All sheets that are there: the one that steps begin with first.
pub fn load(folder: &Path, source: Source<'_>) -> Result<Vec<Table>, Failure> {
    let mut tables = match (source.text, source.path) {
        (Some(text), None) => vec![delimited::read(TEXT, text.as_bytes())?],
        (None, Some(path)) => file(folder, path)?,
        (Some(_), Some(_)) => {
            return Err(Failure::invalid_input("there is both a `text` and a `path`").hint("give one of them"));
        }
        (None, None) => {
            return Err(Failure::invalid_input("there is no sheet to read")
                .hint("give CSV as `text`, or as `path` a CSV or XLSX file of the granted folder"));
        }
    };
    if let Some(name) = source.sheet {
        let Some(at) = tables.iter().position(|table| table.name == name) else {
            let known: Vec<_> = tables.iter().map(|table| format!("`{}`", table.name)).collect();
            return Err(Failure::invalid_input(format!("there is no sheet `{name}`"))
                .hint(format!("name one of {}", known.join(", "))));
        };
        tables[..=at].rotate_right(1);
    }
    for path in source.with {
        for mut table in file(folder, path)? {
            if tables.iter().any(|other| other.name == table.name) {
                table.name = format!("{path}/{}", table.name);
            }
            tables.push(table);
        }
    }
    let cells: usize = tables.iter().map(Table::cells).sum();
    if cells > MOST_CELLS {
        return Err(too_large(cells));
    }
    Ok(tables)
}

fn file(folder: &Path, path: &str) -> Result<Vec<Table>, Failure> {
    let relative = Path::new(path);
    // The host lets nothing out of the folder; this says so in words.
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(Failure::invalid_input(format!("`{path}` does not lie in the granted folder"))
            .hint("give a path inside of it, such as `sales.csv`"));
    }
    if !folder.is_dir() {
        return Err(Failure::invalid_input(format!("`{path}` cannot be read: no folder was granted"))
            .hint("grant one with `ringfence grant sheet files=sheets:FOLDER`, or give the sheet itself as `text`"));
    }
    let whole = folder.join(relative);
    let unreadable =
        |error: std::io::Error| Failure::invalid_input(format!("`{path}` cannot be read: {error}")).hint(there(folder));
    let size = std::fs::metadata(&whole).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        return Err(Failure::invalid_input(format!("`{path}` has {size} bytes"))
            .hint(format!("give a file of at most {MOST_BYTES}")));
    }
    let stem = relative.file_stem().unwrap_or_default().to_string_lossy();
    match relative.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("xlsx" | "xlsm") => workbook::read(path, std::fs::File::open(&whole).map_err(unreadable)?),
        Some("xls" | "xlsb" | "ods") => {
            Err(Failure::invalid_input(format!("`{path}` is neither CSV nor XLSX")).hint("save it as CSV or XLSX"))
        }
        _ => Ok(vec![delimited::read(&stem, std::fs::File::open(&whole).map_err(unreadable)?)?]),
    }
}

/// What could have been meant.
fn there(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.truncate(20);
    match names.is_empty() {
        true => "the granted folder is empty: grant one that holds the file".into(),
        false => format!("name a file of the granted folder: {}", names.join(", ")),
    }
}

fn too_large(cells: usize) -> Failure {
    Failure::invalid_input(format!("the sheets have {cells} cells or more"))
        .hint(format!("give at most {MOST_CELLS}: fewer rows, or only the columns that matter"))
}

/// Names for a header: each once, and none empty.
fn names(header: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, name) in header.enumerate() {
        let name = match name.trim() {
            "" => format!("column {}", at + 1),
            name => name.to_owned(),
        };
        names.push(crate::steps::unused(&name, |name| names.iter().any(|other| other == name)));
    }
    names
}

/// A table of what was read, once the kinds of its columns are known.
fn table(name: &str, header: Vec<String>, mut rows: Vec<Row>, typed: bool) -> Table {
    let columns = header.into_iter().enumerate();
    let columns = columns.map(|(at, name)| infer::column(name, at, &mut rows, typed)).collect();
    Table { name: name.to_owned(), columns, rows }
}

/// How a column of text could be read as numbers, for whoever writes formulas.
pub fn advice(table: &Table, at: usize) -> Option<String> {
    let texts = || {
        table.rows.iter().filter_map(move |row| match &row.cells[at] {
            Value::Text(text) => Some(&**text),
            _ => None,
        })
    };
    if table.columns[at].kind != Kind::Text || texts().next().is_none() {
        return None;
    }
    let name = &table.columns[at].name;
    let reads = |mark| texts().all(|text| crate::number::read_as(text, mark).is_some());
    // A name such as `007` has nothing but digits, and is none of these.
    if texts().all(|text| text.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let marks: Vec<_> = [',', '.'].into_iter().filter(|mark| reads(*mark)).collect();
    if let Some(mark) = marks.first() {
        let or = if marks.len() > 1 { " or with '.', whichever is its decimal mark" } else { "" };
        return Some(format!("holds numbers as people write them: number([{name}], '{mark}'){or}"));
    }
    let formats =
        ["DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY", "DD.MM.YY", "DD/MM/YY", "MM/DD/YY", "YYYYMMDD"];
    let fits: Vec<_> = formats
        .into_iter()
        .filter(|format| texts().all(|text| crate::date::Date::read_as(text, format).is_some()))
        .map(|format| format!("date([{name}], '{format}')"))
        .collect();
    (!fits.is_empty()).then(|| format!("holds dates: {}", fits.join(" or ")))
}

#[cfg(test)]
mod tests;
