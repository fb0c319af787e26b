//! What kind of values a column holds: what all of its cells agree on, and text otherwise.

use crate::date::{Date, Moment};
use crate::number::{self, Read};
use crate::table::{Column, Row};
use crate::value::{Kind, Value, is_no_value};

/// Finds the kind of a column and makes all of its cells values of that kind. The cells of a workbook are `typed` already: what
/// is text there was meant to be. Cells such as `n/a` decide nothing, and are empty where the others are no text.
pub fn column(name: String, at: usize, rows: &mut [Row], typed: bool) -> Column {
    let kind = match typed {
        true => common(at, rows),
        false => [Kind::Number, Kind::Boolean, Kind::Date, Kind::DateTime]
            .into_iter()
            .find(|kind| fits(*kind, at, rows))
            .unwrap_or(Kind::Text),
    };
    let mut no_value = 0;
    for row in rows {
        let old = std::mem::take(&mut row.cells[at]);
        no_value += usize::from(kind != Kind::Text && says_nothing(&old));
        row.cells[at] = convert(old, kind, row.number);
    }
    Column { no_value, ..Column::new(name, kind) }
}

fn fits(kind: Kind, at: usize, rows: &[Row]) -> bool {
    // A kind that no cell has proven is none: a column that is empty, or of numbers that all are too large.
    let mut proven = false;
    for row in rows {
        let Value::Text(text) = &row.cells[at] else { continue };
        if is_no_value(text) {
            continue;
        }
        let good = match kind {
            Kind::Number => match number::read(text) {
                Some(Read::TooLarge) => continue,
                read => read.is_some(),
            },
            Kind::Boolean => boolean(text).is_some(),
            Kind::Date => Date::read(text).is_some(),
            Kind::DateTime => moment(text).is_some(),
            Kind::Text => true,
        };
        if !good {
            return false;
        }
        proven = true;
    }
    proven
}

fn common(at: usize, rows: &[Row]) -> Kind {
    let kinds = rows.iter().map(|row| &row.cells[at]).filter(|cell| !says_nothing(cell)).filter_map(Value::kind);
    let common = kinds.map(Some).reduce(|one, other| match (one?, other?) {
        (one, other) if one == other => Some(one),
        (one, other) if one.is_time() && other.is_time() => Some(Kind::DateTime),
        _ => None,
    });
    common.flatten().unwrap_or(Kind::Text)
}

fn says_nothing(value: &Value) -> bool {
    matches!(value, Value::Text(text) if is_no_value(text))
}

fn convert(value: Value, kind: Kind, row: usize) -> Value {
    match (kind, value) {
        (_, value @ (Value::Empty | Value::Error(_))) => value,
        (Kind::Text, value @ Value::Text(_)) => value,
        (Kind::Text, value) => Value::text(value.to_string()),
        (_, Value::Text(text)) if is_no_value(&text) => Value::Empty,
        (Kind::DateTime, Value::Date(date)) => Value::DateTime(date.midnight()),
        (kind, Value::Text(text)) => {
            let read = match kind {
                Kind::Number => match number::read(&text) {
                    Some(Read::Number(number)) => Some(Value::Number(number)),
                    _ => None,
                },
                Kind::Boolean => boolean(&text).map(Value::Boolean),
                Kind::Date => Date::read(&text).map(Value::Date),
                Kind::DateTime => moment(&text).map(Value::DateTime),
                Kind::Text => None,
            };
            read.unwrap_or_else(|| Value::Error(format!("a number of more than 28 digits in row {row}").into()))
        }
        (_, value) => value,
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn moment(text: &str) -> Option<Moment> {
    Moment::read(text).or_else(|| Date::read(text).map(Date::midnight))
}
