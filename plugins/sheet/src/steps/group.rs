//! Grouping, and what becomes of many values.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};

use super::{Done, Faults, key, listed, places};
use crate::formula::{self, Formula, located};
use crate::number::Decimal;
use crate::plan::{Aggregate, Function};
use crate::table::{Column, Row, Table};
use crate::value::{Kind, Value};

pub fn run(table: &mut Table, by: &[String], aggregates: &[Aggregate]) -> Result<Done, String> {
    let places = places(table, by)?;
    let readies =
        aggregates.iter().map(|one| Ready::new(one.function, &one.of, table)).collect::<Result<Vec<_>, _>>()?;
    let mut columns: Vec<Column> = places.iter().map(|at| table.columns[*at].clone()).collect();
    for (one, ready) in aggregates.iter().zip(&readies) {
        let name = one.column.trim();
        if name.is_empty() || columns.iter().any(|column| column.name == name) {
            return Err(format!("a column `{name}` cannot be made: its name is empty, or there already"));
        }
        columns.push(Column::new(name, ready.kind));
    }
    if columns.is_empty() {
        return Err("it groups by nothing and puts nothing together".into());
    }
    let mut at_key: HashMap<Vec<Value>, usize> = HashMap::new();
    let mut groups: Vec<(Vec<Value>, Vec<Vec<Value>>)> = Vec::new();
    if places.is_empty() {
        // One row also where there are none: a sum of nothing is 0.
        groups.push((Vec::new(), vec![Vec::new(); readies.len()]));
    }
    for row in table.rows.drain(..) {
        let at = match places.is_empty() {
            true => 0,
            false => match at_key.entry(key(&row, &places)) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    groups.push((entry.key().clone(), vec![Vec::new(); readies.len()]));
                    *entry.insert(groups.len() - 1)
                }
            },
        };
        for (ready, values) in readies.iter().zip(&mut groups[at].1) {
            ready.collect(&row, values);
        }
    }
    let mut faults = Faults::default();
    let rows = groups.into_iter().enumerate().map(|(at, (mut cells, collected))| {
        cells.extend(readies.iter().zip(collected).map(|(ready, values)| ready.value(values)));
        cells[places.len()..].iter().for_each(|value| faults.saw(value));
        Row { number: at + 1, cells }
    });
    table.rows = rows.collect();
    table.columns = columns;
    let made: Vec<_> =
        aggregates.iter().map(|one| format!("`{}` as {}", one.column, words(one.function, &one.of))).collect();
    let says = match (by.is_empty(), made.is_empty()) {
        (true, _) => format!("put all rows together: {}", made.join(", ")),
        (false, true) => format!("one row for each {}", listed(by)),
        (false, false) => format!("one row for each {}: {}", listed(by), made.join(", ")),
    };
    Ok(Done { says, note: faults.note("a result is an error") })
}

/// An aggregate that fits its table.
pub(super) struct Ready {
    function: Function,
    /// None where rows are counted.
    formula: Option<Formula>,
    pub kind: Kind,
}

impl Ready {
    pub fn new(function: Function, of: &str, table: &Table) -> Result<Self, String> {
        if matches!(of.trim(), "*" | "") {
            return match function {
                Function::Count => Ok(Self { function, formula: None, kind: Kind::Number }),
                _ => Err(format!("the {} of all rows means nothing: say of what", function.name())),
            };
        }
        let formula = formula::compile(of, &table.columns)?;
        let kind = match (function, formula.kind) {
            (Function::Count | Function::CountDistinct, _) => Kind::Number,
            (Function::Min | Function::Max, kind) => kind.unwrap_or(Kind::Text),
            (_, Some(Kind::Number) | None) => Kind::Number,
            (_, Some(kind)) => {
                return Err(format!("a {} is taken of numbers, and `{of}` is a {}", function.name(), kind.name()));
            }
        };
        Ok(Self { function, formula: Some(formula), kind })
    }

    /// Adds a row's value. Empty ones do not count.
    pub fn collect(&self, row: &Row, values: &mut Vec<Value>) {
        let value = match &self.formula {
            None => Value::Boolean(true),
            Some(formula) => formula.of(&row.cells).unwrap_or_else(|fault| located(fault, row.number)),
        };
        if value != Value::Empty {
            values.push(value);
        }
    }

    /// What the values become. An error among them is the result: a sum without it would be another sum.
    pub fn value(&self, mut values: Vec<Value>) -> Value {
        if let Some(error) = values.iter().find(|value| matches!(value, Value::Error(_))) {
            return error.clone();
        }
        let count = values.len();
        let number = match self.function {
            Function::Count => Some(count.into()),
            Function::CountDistinct => Some(values.iter().collect::<HashSet<_>>().len().into()),
            Function::Min => return values.into_iter().min_by(Value::compare).unwrap_or_default(),
            Function::Max => return values.into_iter().max_by(Value::compare).unwrap_or_default(),
            Function::Sum => sum(&values),
            Function::Average | Function::Median if values.is_empty() => return Value::Empty,
            Function::Average => sum(&values).and_then(|sum| sum.checked_div(count.into())),
            Function::Median => {
                values.sort_by(Value::compare);
                let middle = &values[(count - 1) / 2..=count / 2];
                sum(middle).and_then(|sum| sum.checked_div(middle.len().into()))
            }
        };
        number.map_or_else(
            || Value::Error(format!("a {} of more than 28 digits", self.function.name()).into()),
            Value::Number,
        )
    }
}

fn sum(values: &[Value]) -> Option<Decimal> {
    values.iter().try_fold(Decimal::ZERO, |sum, value| match value {
        Value::Number(number) => sum.checked_add(*number),
        _ => Some(sum),
    })
}

pub(super) fn words(function: Function, of: &str) -> String {
    match of.trim() {
        "*" | "" => "the number of rows".into(),
        of => format!("the {} of {of}", function.name()),
    }
}
