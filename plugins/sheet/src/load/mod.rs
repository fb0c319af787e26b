//! From a text or files to tables.

mod delimited;
mod infer;
mod workbook;

use std::path::{Component, Path};

use ringfence_skill::prelude::*;

use crate::date::{Date, Moment};
use crate::number::{self, Decimal};
use crate::table::{MOST_CELLS, Row, Table};
use crate::value::{Kind, Value, is_no_value};

/// Largest file. A workbook is packed and grows when it is read.
const MOST_BYTES: u64 = 12 << 20;
const MOST_COLUMNS: usize = 1_000;
/// How many rows are looked at to find the header.
const AHEAD: usize = 8;
/// From how many columns on a single cell above them is a title.
const MANY: usize = 3;
/// How people write dates.
const FORMATS: [&str; 8] =
    ["DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY", "DD.MM.YY", "DD/MM/YY", "MM/DD/YY", "YYYYMMDD"];
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

/// Where a table begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Top {
    /// How many rows stand above its first, and how many of them hold something.
    above: usize,
    titles: usize,
    /// Whether its first row is the header, and no data.
    named: bool,
}

impl Top {
    /// Of the first rows. A title has one cell where the table has many.
    fn of(rows: &[Vec<Value>], typed: bool) -> Self {
        let filled = |row: &Vec<Value>| row.iter().filter(|cell| **cell != Value::Empty).count();
        let above = match rows.iter().position(|row| filled(row) > 1) {
            Some(at) if filled(&rows[at]) >= MANY => at,
            _ => rows.iter().take_while(|row| filled(row) == 0).count(),
        };
        let titles = rows[..above].iter().filter(|row| filled(row) > 0).count();
        Self { above, titles, named: rows.get(above).is_none_or(|row| !is_data(row, typed)) }
    }

    fn notes(self) -> Vec<String> {
        let rows = if self.titles == 1 { "row is" } else { "rows are" };
        let titles = (self.titles > 0).then(|| format!("{} {rows} left out above the table", self.titles));
        let named = (!self.named)
            .then(|| "there is no header, for the first row holds data: the columns are named by letters".to_owned());
        titles.into_iter().chain(named).collect()
    }
}

/// Whether a first row is one of the data: numbers and dates alone. A header is not, and neither are years or 0, 1, 2, which are
/// names of columns, or a row whose first cell is empty, as that of a cross table.
fn is_data(row: &[Value], typed: bool) -> bool {
    let number = |cell: &Value| match cell {
        Value::Number(number) => Some(*number),
        Value::Text(text) if !typed => number::read_as(text, '.').or_else(|| number::read_as(text, ',')),
        _ => None,
    };
    let time = |cell: &Value| match cell {
        Value::Date(_) | Value::DateTime(_) => true,
        Value::Text(text) if !typed => {
            Date::read(text).is_some()
                || Moment::read(text).is_some()
                || FORMATS.iter().any(|format| Date::read_as(text, format).is_some())
        }
        _ => false,
    };
    let nothing = |cell: &Value| match cell {
        Value::Text(text) => is_no_value(text),
        cell => *cell == Value::Empty,
    };
    if row.first().is_none_or(|cell| *cell == Value::Empty)
        || row.iter().all(nothing)
        || !row.iter().all(|cell| nothing(cell) || number(cell).is_some() || time(cell))
    {
        return false;
    }
    let numbers: Vec<Decimal> = row.iter().filter_map(number).collect();
    let rises = numbers.len() > 1 && numbers.windows(2).all(|two| two[0].checked_add(Decimal::ONE) == Some(two[1]));
    let years = Decimal::from(1900)..=Decimal::from(2100);
    !(rises && (numbers[0].is_zero() || years.contains(&numbers[0])))
}

/// A column's name in a spreadsheet: A, B, ..., Z, AA.
fn letters(column: usize) -> String {
    let (mut rest, mut name) = (column + 1, String::new());
    while rest > 0 {
        rest -= 1;
        name.insert(0, char::from(b'A' + u8::try_from(rest % 26).unwrap_or_default()));
        rest /= 26;
    }
    name
}

/// A table of what was read, once the kinds of its columns are known.
fn table(name: &str, header: Vec<String>, mut rows: Vec<Row>, top: Top, typed: bool) -> Table {
    let columns = header.into_iter().enumerate();
    let columns = columns.map(|(at, name)| infer::column(name, at, &mut rows, typed)).collect();
    Table { name: name.to_owned(), columns, rows, notes: top.notes() }
}

/// How a column of text could be read as numbers, for whoever writes formulas.
pub fn advice(table: &Table, at: usize) -> Option<String> {
    let texts = || {
        table.rows.iter().filter_map(move |row| match &row.cells[at] {
            Value::Text(text) if !is_no_value(text) => Some(&**text),
            _ => None,
        })
    };
    if table.columns[at].kind != Kind::Text || texts().next().is_none() {
        return None;
    }
    let name = &table.columns[at].name;
    let reads = |mark| texts().all(|text| number::read_as(text, mark).is_some());
    let is_gap = |row: &Row| matches!(&row.cells[at], Value::Text(text) if is_no_value(text));
    let gaps = if table.rows.iter().any(is_gap) { ", where `n/a`, `-` and the like are empty then" } else { "" };
    // A name such as `007` has nothing but digits, and is none of these.
    if texts().all(|text| text.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let marks: Vec<_> = [',', '.'].into_iter().filter(|mark| reads(*mark)).collect();
    if let Some(mark) = marks.first() {
        let or = if marks.len() > 1 { " or with '.', whichever is its decimal mark" } else { "" };
        return Some(format!("holds numbers as people write them: number([{name}], '{mark}'){or}{gaps}"));
    }
    let fits: Vec<_> = FORMATS
        .into_iter()
        .filter(|format| texts().all(|text| Date::read_as(text, format).is_some()))
        .map(|format| format!("date([{name}], '{format}')"))
        .collect();
    (!fits.is_empty()).then(|| format!("holds dates: {}{gaps}", fits.join(" or ")))
}

#[cfg(test)]
mod tests;
