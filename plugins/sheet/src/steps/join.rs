//! Joining two sheets by a column of each.

use std::collections::HashMap;

use super::{Done, unused};
use crate::plan::JoinKind;
use crate::table::{MOST_CELLS, Row, Table};
use crate::value::Value;

pub fn run(table: &mut Table, other: &Table, left: &str, right: &str, kind: JoinKind) -> Result<Done, String> {
    let (at, at_other) = (table.column(left)?, other.column(right)?);
    let (here, there) = (table.columns[at].kind, other.columns[at_other].kind);
    if here != there {
        return Err(format!(
            "`{left}` is a {} and `{right}` of `{}` a {}, so that no two can be equal",
            here.name(),
            other.name,
            there.name()
        ));
    }
    // The column that is equal to one that is there already says nothing more.
    let added: Vec<usize> = (0..other.columns.len()).filter(|column| *column != at_other).collect();
    let mut columns = table.columns.clone();
    for column in added.iter().map(|at| &other.columns[*at]) {
        let mut column = column.clone();
        if columns.iter().any(|there| there.name == column.name) {
            let name = format!("{} {}", other.name, column.name);
            column.name = unused(&name, |name| columns.iter().any(|there| there.name == name));
        }
        columns.push(column);
    }
    let mut matches: HashMap<&Value, Vec<&Row>> = HashMap::new();
    for row in other.rows.iter().filter(|row| row.cells[at_other].rank() == 0) {
        matches.entry(&row.cells[at_other]).or_default().push(row);
    }
    let found = |row: &Row| matches.get(&row.cells[at]).map_or(&[][..], Vec::as_slice);
    let (mut count, mut alone) = (0_usize, 0_usize);
    for row in &table.rows {
        let matching = found(row).len();
        alone += usize::from(matching == 0);
        count += if kind == JoinKind::Left { matching.max(1) } else { matching };
    }
    // Known before it is made: keys that repeat on both sides multiply.
    if count.saturating_mul(columns.len()) > MOST_CELLS {
        return Err(format!("the joined table would have {count} rows, and more than {MOST_CELLS} cells"));
    }
    let mut rows = Vec::with_capacity(count);
    for row in &table.rows {
        let joined = |more: Option<&Row>| {
            let more = added.iter().map(|at| more.map(|row| row.cells[*at].clone()).unwrap_or_default());
            Row { number: row.number, cells: row.cells.iter().cloned().chain(more).collect() }
        };
        match found(row) {
            [] if kind == JoinKind::Left => rows.push(joined(None)),
            matching => rows.extend(matching.iter().map(|row| joined(Some(row)))),
        }
    }
    (table.rows, table.columns) = (rows, columns);
    let (rows, have) = if alone == 1 { ("row", "has") } else { ("rows", "have") };
    let fate = if kind == JoinKind::Left { "stays, with empty cells" } else { "is dropped" };
    let note = (alone > 0).then(|| format!("{alone} {rows} of it {have} no match, and what has none {fate}"));
    Ok(Done { says: format!("join `{}` where `{left}` equals its `{right}`", other.name), note })
}
