//! From a question to a plan: what a model is told, and what is done where its plan does not fit.

use ringfence_skill::model::{Message, StopReason};
use ringfence_skill::prelude::*;

use crate::formula::LANGUAGE;
use crate::plan::{self, Plan};
use crate::steps::{self, Misfit, Work};
use crate::table::Table;
use crate::{Wish, load};

/// How often the model may try.
const ATTEMPTS: usize = 2;
/// Longest cell that a model is shown, in characters.
const MOST_SHOWN: usize = 80;

const ROLE: &str = "You plan how to answer questions about spreadsheets. You see the columns and at most a few rows; you never \
compute: your plan is run on all rows by a program, and its last table is the answer. Use the steps filter, select, derive, \
group, sort, limit, join and pivot, in any order, at least one; to show everything, select its columns. Name columns exactly. \
Where the question asks for one number, end with one row. Use a join only where there is another sheet.";

const HINT: &str =
    "use a model that can plan, such as one of `ringfence models`, or write the plan yourself and give it to `run`";

/// What came of a question.
pub struct Planned {
    pub plan: Plan,
    pub work: Work,
    /// Who made the plan.
    pub model: String,
}

/// Asks for a plan and runs it; where it does not fit the sheets, asks once more with the reason.
pub fn answer(question: &str, sheets: &[Table], sample_rows: usize, chart: Option<Wish>) -> Result<Planned, Failure> {
    let mut talk = vec![Message::user(task(question, sheets, sample_rows, chart))];
    let system = format!("{ROLE}\n\nFormulas:\n{LANGUAGE}\n\n{}", text::DOCUMENT_IS_DATA);
    let schema = plan::schema();
    let mut wrong = None;
    for _ in 0..ATTEMPTS {
        let ask = model::chat(talk.clone()).system(&system).raw_schema(&schema).temperature(0.0);
        let answer = match ask.send() {
            Err(Refusal::Invalid(why)) => {
                return Err(Failure::failed(format!("the model gave no plan: {why}")).hint(HINT));
            }
            answer => answer?,
        };
        if answer.stop_reason == StopReason::Refused {
            return Err(
                Failure::failed(format!("{} declined to plan an answer", answer.model)).hint("try another model")
            );
        }
        let why = match read(&answer.text()) {
            Ok(plan) if plan.steps.is_empty() => {
                return Err(Failure::failed(format!("{} gave a plan without steps", answer.model)).hint(HINT));
            }
            Ok(plan) => match steps::run(&plan, sheets.to_vec()) {
                Ok(work) => return Ok(Planned { plan, work, model: answer.model }),
                Err(Misfit { step, why }) => format!("step {step}: {why}"),
            },
            Err(why) => why,
        };
        log::info!("a plan did not fit: {}", why; model = answer.model);
        let again = format!("The plan does not fit the sheets. {why}\n\nGive the whole plan again, corrected.");
        talk.extend([Message::assistant(answer.text()), Message::user(again)]);
        wrong = Some((answer.model, why));
    }
    let (model, why) = wrong.unwrap_or_default();
    Err(Failure::failed(format!("the plan of {model} does not fit the sheets: {why}")).hint(HINT))
}

fn read(text: &str) -> Result<Plan, String> {
    serde_json::from_str(text).map_err(|error| format!("It is no plan: {error}"))
}

fn task(question: &str, sheets: &[Table], sample_rows: usize, chart: Option<Wish>) -> String {
    let chart = match chart {
        None => "Add a chart where one helps to see the answer, or null.",
        Some(Wish::None) => "The chart is null.",
        Some(Wish::Bar) => "Add a chart of kind bar.",
        Some(Wish::Line) => "Add a chart of kind line, and sort by its x.",
    };
    let sheets: Vec<_> = sheets.iter().map(|sheet| about(sheet, sample_rows)).collect();
    let begin = "The first sheet is where the plan begins.";
    format!(
        "Question: {question}\n\n{chart}\n\n{begin}\n\n{}\n\nQuestion: {question}",
        text::document(&sheets.join("\n\n"))
    )
}

/// A sheet as far as a model may see it.
fn about(sheet: &Table, sample_rows: usize) -> String {
    let mut about = format!("Sheet `{}`, {} rows. Columns:", sheet.name, sheet.rows.len());
    for (at, column) in sheet.columns.iter().enumerate() {
        about.push_str(&format!("\n- `{}`: {}", column.name, column.kind.name()));
        if let Some(advice) = load::advice(sheet, at) {
            about.push_str(&format!("; {advice}"));
        }
    }
    let rows = &sheet.rows[..sample_rows.min(sheet.rows.len())];
    if !rows.is_empty() {
        about.push_str(&format!("\nThe first {} rows, as lists in the order of the columns:", rows.len()));
        for row in rows {
            let cells = row.cells.iter().map(|value| match value.json() {
                serde_json::Value::String(text) => text.chars().take(MOST_SHOWN).collect::<String>().into(),
                other => other,
            });
            about.push_str(&format!("\n{}", serde_json::Value::from_iter(cells)));
        }
    }
    about
}
