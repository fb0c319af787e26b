//! What was measured, as a table.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) struct Table(Vec<Row>);

#[derive(Serialize, Deserialize)]
struct Row {
    what: String,
    ours: String,
    floor: String,
    figure: String,
    goal: String,
    met: String,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// For [`Table::read`] of another process.
    pub(crate) fn write(&self) {
        println!("{}", serde_json::to_string(self).unwrap());
    }

    pub(crate) fn read(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap()
    }

    /// A figure with a goal, which is met where the figure is not above it.
    pub(crate) fn goal(
        &mut self,
        what: impl Into<String>,
        ours: impl Into<String>,
        floor: impl Into<String>,
        (figure, goal, unit): (f64, f64, &str),
    ) {
        let met = if figure <= goal { "met" } else { "MISSED" }.to_owned();
        let goal = format!("<= {goal}{unit}");
        self.0.push(Row {
            what: what.into(),
            ours: ours.into(),
            floor: floor.into(),
            figure: format!("{figure:.2}{unit}"),
            goal,
            met,
        });
    }

    /// A figure that stands beside another, to read it by.
    pub(crate) fn note(
        &mut self,
        what: impl Into<String>,
        ours: impl Into<String>,
        floor: impl Into<String>,
        figure: impl Into<String>,
    ) {
        self.0.push(Row {
            what: what.into(),
            ours: ours.into(),
            floor: floor.into(),
            figure: figure.into(),
            goal: String::new(),
            met: String::new(),
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Assertions are on where our own crates are built to be worked on, at their lowest level of optimisation.
        let profile = if cfg!(debug_assertions) { "dev" } else { "bench (release)" };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(f, "profile {profile}, {cores} cores, {}", crate::clock::load())?;
        let head = ["what", "ours", "floor", "figure", "goal", ""];
        let rows = self.0.iter().map(|row| [&*row.what, &*row.ours, &*row.floor, &*row.figure, &*row.goal, &*row.met]);
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        let widths: [usize; 6] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        for row in rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
        }
        Ok(())
    }
}
