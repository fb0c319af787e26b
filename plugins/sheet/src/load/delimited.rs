//! Delimited text: CSV, and its relatives with semicolons, tabs or bars.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord, Trim};
use ringfence_skill::prelude::*;

use super::{AHEAD, MANY, MOST_COLUMNS, Top, letters, names, too_large};
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
    let first = records.by_ref().take(AHEAD).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let ahead: Vec<_> = first.iter().map(|record| cells(record, record.len())).collect();
    let top = Top::of(&ahead, false);
    let Some(begins) = ahead.get(top.above).filter(|row| row.iter().any(|cell| *cell != Value::Empty)) else {
        return Err(
            Failure::invalid_input(format!("`{name}` is empty")).hint("give CSV with a header in its first line")
        );
    };
    let width = begins.len();
    if width > MOST_COLUMNS {
        return Err(Failure::invalid_input(format!("`{name}` has {width} columns")).hint("give at most 1000"));
    }
    let (header, begins) = match top.named {
        true => (names(begins.iter().map(Value::to_string)), "header"),
        false => ((0..width).map(letters).collect(), "first row"),
    };
    let mut rows = Vec::new();
    let records = first.into_iter().map(Ok).chain(records).enumerate();
    for (at, record) in records.skip(top.above + usize::from(top.named)) {
        let record = record.map_err(wrong)?;
        let number = at + 1;
        // What stands beyond the header has no name; blanks there are what some programs leave behind.
        if record.iter().skip(width).any(|cell| !cell.is_empty()) {
            return Err(Failure::invalid_input(format!(
                "row {number} of `{name}` has {} cells, and the {begins} {width}",
                record.len()
            ))
            .hint("put quotes around cells that hold the delimiter"));
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        rows.push(Row { number, cells: cells(&record, width) });
        if rows.len() * width > MOST_CELLS {
            return Err(too_large(MOST_CELLS));
        }
    }
    Ok(super::table(name, header, rows, top, false))
}

fn cells(record: &StringRecord, width: usize) -> Vec<Value> {
    let cell = |at| record.get(at).filter(|cell| !cell.is_empty()).map_or(Value::Empty, Value::text);
    (0..width).map(cell).collect()
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
        let widths: Vec<_> = records.filter_map(Result::ok).map(|record| record.len()).take(50).collect();
        let agree = |begin: usize| {
            let header = widths.get(begin).copied().unwrap_or_default();
            let below = widths.get(begin + 1..).unwrap_or_default();
            let same = below.iter().filter(|width| **width == header).count();
            (header > 1, (same * 100).checked_div(below.len()).unwrap_or_default(), header)
        };
        // A title has no delimiter, whichever it is; what agrees below it must not be chance.
        let titles = widths.iter().take_while(|width| **width == 1).count();
        let below = agree(titles);
        if (1..AHEAD).contains(&titles) && below.1 >= 80 && below.2 >= MANY { below } else { agree(0) }
    };
    // The last of equals wins: the comma, which is the usual one.
    b"|\t;,".iter().max_by_key(|delimiter| score(delimiter)).copied().unwrap_or(b',')
}
