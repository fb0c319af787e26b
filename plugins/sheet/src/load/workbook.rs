//! Workbooks: XLSX files, read cell by cell, so that a sheet with one cell in its farthest corner stays small.

use std::fs::File;
use std::io::BufReader;
use std::str::FromStr;

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};
use ringfence_skill::prelude::*;

use super::{AHEAD, MOST_COLUMNS, Top, letters, names, too_large};
use crate::date::{Date, Moment};
use crate::number::Decimal;
use crate::table::{MOST_CELLS, Row, Table};
use crate::value::Value;

/// All sheets that hold something, in their order.
pub fn read(path: &str, file: File) -> Result<Vec<Table>, Failure> {
    let wrong = |error: calamine::XlsxError| {
        Failure::invalid_input(format!("`{path}` cannot be read as XLSX: {error}"))
            .hint("save it as XLSX without a password, or as CSV")
    };
    let mut book = Xlsx::new(BufReader::new(file)).map_err(wrong)?;
    let (mut tables, mut all) = (Vec::new(), 0);
    for name in book.sheet_names() {
        let mut cells = Vec::new();
        // A sheet that holds a chart alone has no cells at all.
        let mut reader = match book.worksheet_cells_reader(&name) {
            Err(calamine::XlsxError::NotAWorksheet(_) | calamine::XlsxError::WorksheetNotFound(_)) => continue,
            reader => reader.map_err(wrong)?,
        };
        while let Some(cell) = reader.next_cell().map_err(wrong)? {
            let (row, column) = cell.get_position();
            let value = value(cell.get_value(), row, column);
            if value != Value::Empty {
                cells.push((row, column, value));
            }
            if all + cells.len() > MOST_CELLS {
                return Err(too_large(MOST_CELLS));
            }
        }
        all += cells.len();
        tables.extend(table(path, &name, cells)?);
    }
    match tables.is_empty() {
        true => {
            Err(Failure::invalid_input(format!("`{path}` is empty")).hint("give a workbook with a header and rows"))
        }
        false => Ok(tables),
    }
}

/// The header is the first row that holds something and is no title; rows that hold nothing are left out.
fn table(path: &str, name: &str, mut cells: Vec<(u32, u32, Value)>) -> Result<Option<Table>, Failure> {
    cells.sort_by_key(|(row, column, _)| (*row, *column));
    let columns = || cells.iter().map(|(_, column, _)| *column as usize);
    let (Some(first), Some(last)) = (columns().min(), columns().max()) else { return Ok(None) };
    let width = last - first + 1;
    if width > MOST_COLUMNS {
        return Err(Failure::invalid_input(format!("the sheet `{name}` of `{path}` is {width} columns wide"))
            .hint("give at most 1000"));
    }
    let mut rows: Vec<Row> = Vec::new();
    for (row, column, value) in cells {
        let number = row as usize + 1;
        if rows.last().is_none_or(|last| last.number != number) {
            if (rows.len() + 1) * width > MOST_CELLS {
                return Err(too_large(MOST_CELLS));
            }
            rows.push(Row { number, cells: vec![Value::Empty; width] });
        }
        if let Some(row) = rows.last_mut() {
            row.cells[column as usize - first] = value;
        }
    }
    let ahead: Vec<_> = rows.iter().take(AHEAD).map(|row| row.cells.clone()).collect();
    let top = Top::of(&ahead, true);
    rows.drain(..top.above);
    let header = match top.named {
        true => names(rows.remove(0).cells.iter().map(Value::to_string)),
        false => (first..=last).map(letters).collect(),
    };
    Ok(Some(super::table(name, header, rows, top, true)))
}

fn value(data: &DataRef<'_>, row: u32, column: u32) -> Value {
    let text = |text: &str| match text.trim() {
        "" => Value::Empty,
        text => Value::text(text),
    };
    let wrong = |what: &str| Value::Error(format!("{what} in {}{}", letters(column as usize), row + 1).into());
    match data {
        DataRef::Empty => Value::Empty,
        DataRef::Int(number) => Value::Number((*number).into()),
        DataRef::Float(number) => {
            decimal(*number).map_or_else(|| wrong("a number of more than 28 digits"), Value::Number)
        }
        DataRef::String(string) => text(string),
        DataRef::SharedString(string) => text(string),
        DataRef::Bool(yes) => Value::Boolean(*yes),
        // How long something took, in days: as the workbook keeps it.
        DataRef::DateTime(time) if time.is_duration() => decimal(time.as_f64()).map_or(Value::Empty, Value::Number),
        DataRef::DateTime(time) => moment(time).unwrap_or_else(|| wrong("no date")),
        DataRef::DateTimeIso(iso) => match (Date::read(iso), Moment::read(iso)) {
            (Some(date), _) => Value::Date(date),
            (_, Some(moment)) => Value::DateTime(moment),
            _ => text(iso),
        },
        DataRef::DurationIso(iso) => text(iso),
        DataRef::Error(error) => wrong(&error.to_string()),
    }
}

/// The shortest decimal that is this floating point number: `0.1` is a tenth, as it was typed.
fn decimal(number: f64) -> Option<Decimal> {
    Decimal::from_str(&number.to_string()).ok()
}

fn moment(time: &ExcelDateTime) -> Option<Value> {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let date = Date::new(year.into(), month.into(), day.into())?;
    let moment = Moment::new(date, hour.into(), minute.into(), second.into())?;
    Some(if moment == date.midnight() { Value::Date(date) } else { Value::DateTime(moment) })
}
