//! Cross tables: the values of a column become columns.

use std::collections::HashMap;

use super::group::{Ready, words};
use super::{Done, Faults, key, listed, places, unused};
use crate::plan::Function;
use crate::table::{Column, MOST_CELLS, Row, Table};
use crate::value::Value;

/// Most columns that one column becomes.
const MOST_MADE: usize = 200;

pub fn run(table: &mut Table, by: &[String], column: &str, function: Function, of: &str) -> Result<Done, String> {
    let places = places(table, by)?;
    let at = table.column(column)?;
    if places.contains(&at) {
        return Err(format!("`{column}` cannot stand for rows and for columns"));
    }
    let ready = Ready::new(function, of, table)?;

    let mut heads: Vec<Value> = table.rows.iter().map(|row| row.cells[at].clone()).collect();
    heads.sort_by(Value::compare);
    heads.dedup();
    if heads.len() > MOST_MADE {
        return Err(format!("`{column}` has {} different values, and at most {MOST_MADE} become columns", heads.len()));
    }
    let head_at: HashMap<&Value, usize> = heads.iter().enumerate().map(|(at, head)| (head, at)).collect();

    let mut group_at: HashMap<Vec<Value>, usize> = HashMap::new();
    let mut groups: Vec<(Vec<Value>, Vec<Vec<Value>>)> = Vec::new();
    for row in table.rows.drain(..) {
        let key = key(&row, &places);
        let group = *group_at.entry(key.clone()).or_insert_with(|| {
            groups.push((key, vec![Vec::new(); heads.len()]));
            groups.len() - 1
        });
        if groups.len() * (heads.len() + places.len()) > MOST_CELLS {
            return Err(format!("the cross table would have more than {MOST_CELLS} cells"));
        }
        if let Some(head) = head_at.get(&row.cells[at]) {
            ready.collect(&row, &mut groups[group].1[*head]);
        }
    }

    let mut columns: Vec<Column> = places.iter().map(|at| table.columns[*at].clone()).collect();
    for head in &heads {
        let name = match head {
            Value::Empty => "(empty)".to_owned(),
            head => head.to_string(),
        };
        let name = unused(&name, |name| columns.iter().any(|column| column.name == name));
        columns.push(Column { name, kind: ready.kind, from_data: true, no_value: 0 });
    }
    let mut faults = Faults::default();
    let rows = groups.into_iter().enumerate().map(|(at, (mut cells, collected))| {
        // Where no row is, there is nothing, not 0.
        cells.extend(
            collected.into_iter().map(|values| if values.is_empty() { Value::Empty } else { ready.value(values) }),
        );
        cells[places.len()..].iter().for_each(|value| faults.saw(value));
        Row { number: at + 1, cells }
    });
    table.rows = rows.collect();
    table.columns = columns;
    let says = format!("one row for each {}, one column for each `{column}`: {}", listed(by), words(function, of));
    Ok(Done { says, note: faults.note("a result is an error") })
}
