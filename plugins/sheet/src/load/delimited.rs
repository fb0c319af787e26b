//! Delimited text: CSV, and its relatives with semicolons, tabs or bars.

use std::io::Read;

use csv::{ReaderBuilder, Trim};
use ringfence_skill::prelude::*;

use super::{MOST_COLUMNS, names, too_large};
use crate::table::{MOST_CELLS, Row, Table};
use crate::value::Value;

/// How much of a text is looked at to find its delimiter.
const LOOKED_AT: u64 = 64 << 10;

/// Reads a table piece by piece: the text itself is never held as a whole.
pub fn read(name: &str, mut input: impl Read) -> Result<Table, Failure> {
    let wrong = |error: csv::Error| {
        let hint = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "save it as CSV in UTF-8, or as XLSX",
            _ => "give CSV with a header in its first line",
        };
        Failure::invalid_input(format!("`{name}` cannot be read as CSV: {error}")).hint(hint)
    };
    let mut begin = Vec::new();
    input.by_ref().take(LOOKED_AT).read_to_end(&mut begin).map_err(|error| wrong(error.into()))?;
    let mut records = reader(begin.as_slice().chain(input), delimiter(&begin)).into_records();
    let header = records.next().transpose().map_err(wrong)?;
    let Some(header) = header.filter(|header| header.iter().any(|name| !name.is_empty())) else {
        return Err(
            Failure::invalid_input(format!("`{name}` is empty")).hint("give CSV with a header in its first line")
        );
    };
    let width = header.len();
    if width > MOST_COLUMNS {
        return Err(Failure::invalid_input(format!("`{name}` has {width} columns")).hint("give at most 1000"));
    }
    let mut rows = Vec::new();
    for (at, record) in records.enumerate() {
        let record = record.map_err(wrong)?;
        let number = at + 2;
        // What stands beyond the header has no name; blanks there are what some programs leave behind.
        if record.iter().skip(width).any(|cell| !cell.is_empty()) {
            return Err(Failure::invalid_input(format!(
                "row {number} of `{name}` has {} cells, and the header {width}",
                record.len()
            ))
            .hint("put quotes around cells that hold the delimiter"));
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        let cell = |at| record.get(at).filter(|cell| !cell.is_empty()).map_or(Value::Empty, Value::text);
        rows.push(Row { number, cells: (0..width).map(cell).collect() });
        if rows.len() * width > MOST_CELLS {
            return Err(too_large(MOST_CELLS));
        }
    }
    Ok(super::table(name, names(header.iter().map(str::to_owned)), rows, false))
}

fn reader<R: Read>(input: R, delimiter: u8) -> csv::Reader<R> {
    let mut reader = ReaderBuilder::new();
    reader.delimiter(delimiter).has_headers(false).flexible(true).trim(Trim::All);
    reader.from_reader(input)
}

/// The delimiter by which the rows agree best with the header.
fn delimiter(begin: &[u8]) -> u8 {
    let score = |delimiter: &u8| {
        let records = reader(begin, *delimiter).into_byte_records();
        let mut widths = records.filter_map(Result::ok).map(|record| record.len()).take(50);
        let header = widths.next().unwrap_or_default();
        let (same, all) = widths.fold((0, 0), |(same, all), width| (same + usize::from(width == header), all + 1));
        (header > 1, (same * 100_usize).checked_div(all).unwrap_or_default(), header)
    };
    // The last of equals wins: the comma, which is the usual one.
    b"|\t;,".iter().max_by_key(|delimiter| score(delimiter)).copied().unwrap_or(b',')
}
