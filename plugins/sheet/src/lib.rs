//! Spreadsheets in natural language: a model writes a plan of typed steps, and the plan is checked and computed without it.

mod about;
mod chart;
mod date;
mod formula;
mod load;
mod number;
mod plan;
mod planner;
mod show;
mod steps;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::path::Path;

use ringfence_skill::prelude::*;
use serde_json::Value as Json;

use about::Description;
use load::Source;
use plan::{Chart, ChartKind, Plan};
use steps::{Misfit, Trail, Work};
use value::Kind;

/// The folder that the operator grants.
const FOLDER: &str = "/sheets";
/// Most rows that programs are given, and about how many bytes of them.
const MOST_ROWS: usize = 1_000;
const MOST_BYTES: usize = 2 << 20;

/// Whether and how to draw the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Wish {
    Bar,
    Line,
    None,
}

/// A table that answers, and how it came about.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Answer {
    /// What the table shows.
    title: String,
    columns: Vec<Head>,
    /// The first rows, at most 1000: numbers, or text where a number has more digits than a reader would keep; dates as ISO 8601;
    /// null where a cell is empty; `{"error": ...}` where it could not be computed.
    rows: Vec<Vec<Json>>,
    total_rows: usize,
    /// Each step in words, with the rows before and after it.
    trail: Vec<Trail>,
    /// The plan. `run` makes the same table of it again, without a model.
    plan: Plan,
    /// Who made the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// A column's name and type.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Head {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
}

/// Answers a question about a spreadsheet by a table, with each step that led to it, and a chart where it helps.
#[tool(read_only, title = "Ask a spreadsheet", output = Answer)]
fn ask(
    /// The question, for example "Which region sold most in each quarter?".
    question: &str,
    /// The sheet as CSV with a header.
    text: Option<String>,
    /// A CSV or XLSX file of the granted folder, instead of `text`.
    path: Option<String>,
    /// Which sheet of a workbook the question is about. Without it the first.
    sheet: Option<String>,
    /// More files of the folder, whose sheets may be joined.
    #[default]
    with: Vec<String>,
    /// How many rows of each sheet the model may see. With 0 it sees names and types of columns alone.
    #[default(5)]
    #[schemars(range(max = 100))]
    sample_rows: u32,
    /// How to draw the answer: bar, line or none. Without it the model decides.
    chart: Option<Wish>,
) -> Result<Outcome, Failure> {
    if question.trim().is_empty() {
        return Err(Failure::invalid_input("`question` is empty").hint("ask something about the sheet"));
    }
    let source = Source { text: text.as_deref(), path: path.as_deref(), sheet: sheet.as_deref(), with: &with };
    let sheets = load::load(Path::new(FOLDER), source)?;
    progress::say("planning");
    let mut planned = planner::answer(question, &sheets, sample_rows as usize, chart)?;
    let table = &planned.work.table;
    planned.plan.chart = match chart {
        Some(Wish::None) => None,
        Some(Wish::Bar) => of_kind(ChartKind::Bar, planned.plan.chart).or_else(|| chart::usual(ChartKind::Bar, table)),
        Some(Wish::Line) => {
            of_kind(ChartKind::Line, planned.plan.chart).or_else(|| chart::usual(ChartKind::Line, table))
        }
        None => planned.plan.chart,
    };
    // The answer is there; a model's chart that does not fit it is no reason to withhold it.
    outcome(planned.work, planned.plan, Some(planned.model), false)
}

/// Runs a plan on a spreadsheet, without a model: the same plan on the same sheet gives the same table.
#[tool(read_only, title = "Run a plan", output = Answer)]
fn run(
    /// The steps, as `ask` gives them.
    plan: Plan,
    /// The sheet as CSV with a header.
    text: Option<String>,
    /// A CSV or XLSX file of the granted folder, instead of `text`.
    path: Option<String>,
    /// Which sheet of a workbook the plan begins with. Without it the first.
    sheet: Option<String>,
    /// More files of the folder, whose sheets may be joined.
    #[default]
    with: Vec<String>,
) -> Result<Outcome, Failure> {
    let source = Source { text: text.as_deref(), path: path.as_deref(), sheet: sheet.as_deref(), with: &with };
    let work = steps::run(&plan, load::load(Path::new(FOLDER), source)?)?;
    outcome(work, plan, None, true)
}

/// Describes the columns of a spreadsheet, without a model: types, counts, missing cells, least and greatest values.
#[tool(read_only, title = "Describe a spreadsheet", output = Description)]
fn describe(
    /// The sheet as CSV with a header.
    text: Option<String>,
    /// A CSV or XLSX file of the granted folder, instead of `text`.
    path: Option<String>,
) -> Result<Outcome, Failure> {
    let source = Source { text: text.as_deref(), path: path.as_deref(), ..Source::default() };
    let description = about::describe(&load::load(Path::new(FOLDER), source)?);
    Outcome::text(about::text(&description)).with_structured(&description)
}

ringfence_skill::export!(ask, run, describe);

fn of_kind(kind: ChartKind, chart: Option<Chart>) -> Option<Chart> {
    chart.map(|chart| Chart { kind, ..chart })
}

/// The table, its trail and its chart, for people and for programs.
fn outcome(work: Work, plan: Plan, model: Option<String>, strict: bool) -> Result<Outcome, Failure> {
    let Work { table, trail } = work;
    let mut text = String::new();
    if !plan.title.trim().is_empty() {
        text.push_str(&format!("{}\n\n", plan.title.trim()));
    }
    text.push_str(&show::table(&table));
    text.push_str("\nHow it came about:\n");
    for (at, Trail { step, rows_before, rows_after, note }) in trail.iter().enumerate() {
        let rows = if at == 0 { format!("{rows_after} rows") } else { format!("{rows_before} -> {rows_after} rows") };
        text.push_str(&format!("{}. {step}: {rows}", at + 1));
        if let Some(note) = note {
            text.push_str(&format!(" ({note})"));
        }
        text.push('\n');
    }
    let drawn = plan.chart.as_ref().map(|chart| chart::draw(chart, plan.title.trim(), &table));
    let image = match drawn {
        Some(Err(why)) if strict => return Err(Misfit { step: 0, why: format!("its chart: {why}") }.into()),
        Some(Err(why)) => {
            text.push_str(&format!("\nThere is no chart: {why}.\n"));
            None
        }
        Some(Ok(drawing)) => {
            if let Some(note) = drawing.note {
                text.push_str(&format!("\nOf the table {note}.\n"));
            }
            Some(drawing.svg)
        }
        None => None,
    };
    let mut bytes = 0;
    let rows =
        table.rows.iter().take(MOST_ROWS).map(|row| row.cells.iter().map(value::Value::json).collect::<Vec<_>>());
    let rows = rows.take_while(|row| {
        bytes += row.iter().map(|cell| cell.as_str().map_or(8, str::len) + 4).sum::<usize>();
        bytes <= MOST_BYTES
    });
    let answer = Answer {
        title: plan.title.trim().to_owned(),
        columns: table.columns.iter().map(|column| Head { name: column.name.clone(), kind: column.kind }).collect(),
        rows: rows.collect(),
        total_rows: table.rows.len(),
        trail,
        plan,
        model,
    };
    let outcome = Outcome::text(text.trim_end()).with_structured(&answer)?;
    Ok(match image {
        Some(svg) => outcome.with_image("image/svg+xml", svg.into_bytes()),
        None => outcome,
    })
}
