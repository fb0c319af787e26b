//! A table: named and typed columns, and rows that know their number.

use crate::value::{Kind, Value};

/// Most cells of a table: what fits into the memory that a host gives to a skill, with room to work.
pub const MOST_CELLS: usize = 400_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// The name is itself a value of the data, made by a pivot: a model is never told it.
    pub from_data: bool,
    /// Cells such as `n/a`, which are empty because the others are no text.
    pub no_value: usize,
}

impl Column {
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, from_data: false, no_value: 0 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// As the spreadsheet numbers it, where the header is row 1; in a grouped table, the group's place.
    pub number: usize,
    pub cells: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// What was found out about its top when it was read.
    pub notes: Vec<String>,
}

impl Table {
    pub fn cells(&self) -> usize {
        self.rows.len().saturating_mul(self.columns.len())
    }

    /// What to know about how it was read. No values of cells.
    pub fn remarks(&self) -> Vec<String> {
        let marked = self.columns.iter().filter(|column| column.no_value > 0).map(|column| {
            let cells = if column.no_value == 1 { "cell is" } else { "cells are" };
            format!("in `{}` {} {cells} read as empty: `n/a`, `-` or the like", column.name, column.no_value)
        });
        self.notes.iter().cloned().chain(marked).collect()
    }

    pub fn column(&self, name: &str) -> Result<usize, String> {
        find(&self.columns, name)
    }
}

/// A column by its name: exactly, or else in any case where that is clear.
pub fn find(columns: &[Column], name: &str) -> Result<usize, String> {
    if let Some(at) = columns.iter().position(|column| column.name == name) {
        return Ok(at);
    }
    let wanted = name.trim().to_lowercase();
    let mut near = columns.iter().enumerate().filter(|(_, column)| column.name.trim().to_lowercase() == wanted);
    match (near.next(), near.next()) {
        (Some((at, _)), None) => Ok(at),
        _ => Err(format!("there is no column `{name}`; there are {}", names(columns))),
    }
}

fn names(columns: &[Column]) -> String {
    let told: Vec<_> =
        columns.iter().filter(|column| !column.from_data).map(|column| format!("`{}`", column.name)).collect();
    match columns.len() - told.len() {
        0 => told.join(", "),
        made if told.is_empty() => format!("{made} that the pivot made"),
        made => format!("{}, and {made} that the pivot made", told.join(", ")),
    }
}
