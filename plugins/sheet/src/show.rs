//! A table as Markdown, for people and models.

use crate::table::Table;
use crate::value::Kind;

/// Most rows that are shown as text. Programs are given more.
pub const MOST_ROWS: usize = 50;
/// Longest cell, in characters.
const WIDEST: usize = 60;

/// The first rows of a table, and how many there are where that is more.
pub fn table(table: &Table) -> String {
    let heads = table.columns.iter().map(|column| cell(&column.name)).collect();
    let rows =
        table.rows.iter().take(MOST_ROWS).map(|row| row.cells.iter().map(|value| cell(&value.to_string())).collect());
    let right: Vec<bool> = table.columns.iter().map(|column| column.kind == Kind::Number).collect();
    let mut text = markdown(heads, rows.collect(), &right);
    if table.rows.len() > MOST_ROWS {
        text.push_str(&format!("\n{MOST_ROWS} of {} rows are shown.\n", table.rows.len()));
    }
    text
}

/// Columns as wide as they need to be; `right` says which are set to the right.
pub fn markdown(heads: Vec<String>, rows: Vec<Vec<String>>, right: &[bool]) -> String {
    let wide = |text: &String| text.chars().count();
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(at, head)| rows.iter().filter_map(|row| row.get(at)).map(wide).fold(wide(head).max(3), usize::max))
        .collect();
    let mut text = line(&heads, &widths, right);
    let rule = widths.iter().zip(right).map(|(width, right)| match right {
        true => format!("{}:", "-".repeat(width - 1)),
        false => "-".repeat(*width),
    });
    text.push_str(&line(&rule.collect::<Vec<_>>(), &widths, right));
    for row in &rows {
        text.push_str(&line(row, &widths, right));
    }
    text
}

fn line(cells: &[String], widths: &[usize], right: &[bool]) -> String {
    let cells = cells.iter().zip(widths).zip(right).map(|((cell, width), right)| match right {
        true => format!(" {cell:>width$} |"),
        false => format!(" {cell:<width$} |"),
    });
    format!("|{}\n", cells.collect::<String>())
}

/// A value on one line, without what would end its cell.
pub fn cell(text: &str) -> String {
    let mut cell: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WIDEST + 1).collect();
    if cell.chars().count() > WIDEST {
        cell = cell.chars().take(WIDEST - 1).chain(['…']).collect();
    }
    cell.replace('|', "\\|")
}
