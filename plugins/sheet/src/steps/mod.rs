//! Runs a plan: each step is checked against the columns that are there, and computed.

mod group;
mod join;
mod pivot;

use std::collections::HashSet;

use ringfence_skill::prelude::*;

use crate::formula::{self, located};
use crate::plan::{Direction, MOST_STEPS, Order, Plan, Step};
use crate::table::{Column, MOST_CELLS, Row, Table};
use crate::value::{Kind, Value};

/// What a step did, in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trail {
    /// What it did.
    pub step: String,
    pub rows_before: usize,
    pub rows_after: usize,
    /// What to heed: errors that came about, and where the first did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A step that does not fit the sheets. The words hold names of columns and sheets, never values of cells, since they may be
/// shown to a model.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    /// From 1; 0 for the plan as a whole.
    pub step: usize,
    pub why: String,
}

impl From<Misfit> for Failure {
    fn from(Misfit { step, why }: Misfit) -> Self {
        let place = if step == 0 { "the plan".to_owned() } else { format!("step {step} of the plan") };
        Self::invalid_input(format!("{place} does not fit the sheet: {why}"))
            .hint("`describe` shows the columns and their types; the README describes steps and formulas")
    }
}

/// A table being made, with what led to it.
pub struct Work {
    pub table: Table,
    pub trail: Vec<Trail>,
}

/// Runs a plan on sheets, of which the first is the one that it begins with.
pub fn run(plan: &Plan, mut sheets: Vec<Table>) -> Result<Work, Misfit> {
    if plan.steps.len() > MOST_STEPS {
        return Err(Misfit {
            step: 0,
            why: format!("it has {} steps, and at most {MOST_STEPS} are run", plan.steps.len()),
        });
    }
    if sheets.is_empty() {
        return Err(Misfit { step: 0, why: "there is no sheet".into() });
    }
    let table = sheets.remove(0);
    let remarks = table.remarks();
    let begun = Trail {
        step: format!("read `{}`", table.name),
        rows_before: table.rows.len(),
        rows_after: table.rows.len(),
        note: (!remarks.is_empty()).then(|| remarks.join("; ")),
    };
    let mut work = Work { table, trail: vec![begun] };
    for (at, step) in plan.steps.iter().enumerate() {
        let before = work.table.rows.len();
        let done = run_step(step, &mut work.table, &sheets).map_err(|why| Misfit { step: at + 1, why })?;
        work.trail.push(Trail {
            step: done.says,
            rows_before: before,
            rows_after: work.table.rows.len(),
            note: done.note,
        });
    }
    Ok(work)
}

/// What a step says of itself.
struct Done {
    says: String,
    note: Option<String>,
}

impl Done {
    fn new(says: String) -> Result<Self, String> {
        Ok(Self { says, note: None })
    }
}

fn run_step(step: &Step, table: &mut Table, sheets: &[Table]) -> Result<Done, String> {
    match step {
        Step::Filter { condition } => filter(table, condition),
        Step::Select { columns } => select(table, columns),
        Step::Derive { column, formula } => derive(table, column, formula),
        Step::Group { by, aggregates } => group::run(table, by, aggregates),
        Step::Sort { by } => sort(table, by),
        Step::Limit { rows } => {
            table.rows.truncate(*rows as usize);
            Done::new(format!("keep the first {rows} rows"))
        }
        Step::Join { sheet, left, right, kind } => {
            let known = || sheets.iter().map(|table| format!("`{}`", table.name)).collect::<Vec<_>>().join(", ");
            let other = sheets.iter().find(|table| table.name == *sheet).ok_or_else(|| match sheets.is_empty() {
                true => format!("there is no other sheet `{sheet}` to join"),
                false => format!("there is no other sheet `{sheet}`; there are {}", known()),
            })?;
            join::run(table, other, left, right, *kind)
        }
        Step::Pivot { rows, columns, function, of } => pivot::run(table, rows, columns, *function, of),
    }
}

fn filter(table: &mut Table, condition: &str) -> Result<Done, String> {
    let formula = formula::condition(condition, &table.columns)?;
    let mut faults = Faults::default();
    table.rows.retain(|row| match formula.of(&row.cells) {
        Ok(value) => value == Value::Boolean(true),
        Err(fault) => {
            faults.saw(&located(fault, row.number));
            false
        }
    });
    Ok(Done {
        says: format!("keep the rows where {condition}"),
        note: faults.note("the condition fails, and they are left out"),
    })
}

fn select(table: &mut Table, names: &[String]) -> Result<Done, String> {
    let places = names.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    if places.is_empty() {
        return Err("it selects no columns".into());
    }
    if places.iter().collect::<HashSet<_>>().len() < places.len() {
        return Err("it selects a column twice".into());
    }
    for row in &mut table.rows {
        row.cells = places.iter().map(|at| std::mem::take(&mut row.cells[*at])).collect();
    }
    table.columns = places.iter().map(|at| table.columns[*at].clone()).collect();
    Done::new(format!("keep the columns {}", listed(names)))
}

fn derive(table: &mut Table, name: &str, text: &str) -> Result<Done, String> {
    let formula = formula::compile(text, &table.columns)?;
    let name = name.trim();
    if name.is_empty() {
        return Err("the new column has no name".into());
    }
    let place = table.columns.iter().position(|column| column.name == name);
    if place.is_none() && table.cells() + table.rows.len() > MOST_CELLS {
        return Err(format!("the table would have more than {MOST_CELLS} cells"));
    }
    let mut faults = Faults::default();
    for row in &mut table.rows {
        let value = formula.of(&row.cells).unwrap_or_else(|fault| located(fault, row.number));
        faults.saw(&value);
        // A date in one row and a moment in the next are moments.
        let value = match (formula.kind, value) {
            (Some(Kind::DateTime), Value::Date(date)) => Value::DateTime(date.midnight()),
            (_, value) => value,
        };
        match place {
            Some(at) => row.cells[at] = value,
            None => row.cells.push(value),
        }
    }
    let column = Column::new(name, formula.kind.unwrap_or(Kind::Text));
    match place {
        Some(at) => table.columns[at] = column,
        None => table.columns.push(column),
    }
    Ok(Done { says: format!("compute `{name}` as {text}"), note: faults.note("it is an error") })
}

fn sort(table: &mut Table, by: &[Order]) -> Result<Done, String> {
    let keys = by.iter().map(|key| Ok((table.column(&key.column)?, key.order))).collect::<Result<Vec<_>, String>>()?;
    if keys.is_empty() {
        return Err("it sorts by no column".into());
    }
    table.rows.sort_by(|one, other| {
        let orders = keys.iter().map(|(at, direction)| {
            let (a, b) = (&one.cells[*at], &other.cells[*at]);
            // What is not known comes last either way.
            match (a.rank(), b.rank(), direction) {
                (0, 0, Direction::Descending) => b.compare(a),
                _ => a.compare(b),
            }
        });
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let words = by.iter().map(|key| match key.order {
        Direction::Ascending => format!("`{}`", key.column),
        Direction::Descending => format!("`{}`, greatest first", key.column),
    });
    Done::new(format!("sort by {}", words.collect::<Vec<_>>().join(", then ")))
}

/// A name that is not taken: the same, or the same with a number.
pub fn unused(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|n: usize| format!("{name} {n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Counts errors, and keeps the first.
#[derive(Default)]
struct Faults {
    count: usize,
    first: String,
}

impl Faults {
    fn saw(&mut self, value: &Value) {
        if let Value::Error(why) = value {
            if self.count == 0 {
                self.first = why.to_string();
            }
            self.count += 1;
        }
    }

    fn note(self, what: &str) -> Option<String> {
        let rows = if self.count == 1 { "row" } else { "rows" };
        (self.count > 0).then(|| format!("in {} {rows} {what}; the first: {}", self.count, self.first))
    }
}

/// The columns that a step groups by, with their places.
fn places(table: &Table, names: &[String]) -> Result<Vec<usize>, String> {
    let places = names.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    match places.iter().collect::<HashSet<_>>().len() < places.len() {
        true => Err("it groups by a column twice".into()),
        false => Ok(places),
    }
}

fn key(row: &Row, places: &[usize]) -> Vec<Value> {
    places.iter().map(|at| row.cells[*at].clone()).collect()
}

#[cfg(test)]
mod tests;
