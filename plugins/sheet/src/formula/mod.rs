//! Formulas: a small language of values, columns, operators and functions. A formula is read and its kinds are checked before
//! the first row is computed.

mod eval;
mod function;
mod lexer;
mod parser;

use crate::table::Column;
use crate::value::{Kind, Value};

pub use eval::{Fault, located};

/// What a model, or a person, has to know to write one.
pub const LANGUAGE: &str = "\
Values: 12.5, 'text', true, false, empty. Columns by name, in brackets where the name is more than letters, digits and _: \
amount, [unit price]. Text has single or double quotes.
Operators: + - * / % ^ (numbers), & (joins texts), = != < <= > >= (values of one kind; text exactly, its case matters), and, or, \
not, x in ('a', 'b'), x between 1 and 5, x is empty, x is not empty.
Dates: compare with '2024-03-01'; date + 30 is a date; date - date is a number of days.
Functions: if(condition, then, else), coalesce(a, b, ...), if_error(x, instead), abs(x), round(x, digits), floor(x), ceil(x), \
sign(x), least(a, b, ...), greatest(a, b, ...), lower(t), upper(t), trim(t), length(t), left(t, n), right(t, n), mid(t, start, n), \
contains(t, part), starts_with(t, part), ends_with(t, part), replace(t, old, new), year(d), quarter(d), month(d), day(d), \
weekday(d) (1 is Monday), hour(d), minute(d), date(year, month, day), date(text, 'DD.MM.YYYY'), day_of(datetime), \
month_start(d), year_month(d) ('2024-03'), add_months(d, n), number(text, decimal_mark), text(x).
number and date of 'n/a', '-' and the like are empty. \
What is computed from an empty cell is empty, and a condition that is empty does not hold.";

/// Longest formula, in bytes.
const MOST_BYTES: usize = 4_000;

/// A formula that fits the columns it was read for.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    code: Code,
    /// What it gives; none where it gives nothing but empty cells.
    pub kind: Option<Kind>,
}

/// The parts of a formula. Columns are places in a row.
#[derive(Clone, Debug, PartialEq)]
enum Code {
    Value(Value),
    Column(usize),
    Negative(Box<Code>),
    Not(Box<Code>),
    Binary(Operator, Box<Code>, Box<Code>),
    In(Box<Code>, Vec<Code>),
    Call(function::Function, Vec<Code>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Join,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// Reads a formula. The error says what is wrong and where.
pub fn compile(text: &str, columns: &[Column]) -> Result<Formula, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("a formula has at most {MOST_BYTES} bytes, this has {}", text.len()));
    }
    let formula = parser::Parser::new(text, columns).and_then(parser::Parser::whole);
    formula.map_err(|why| format!("in `{text}`: {why}"))
}

/// Reads a formula that is a condition.
pub fn condition(text: &str, columns: &[Column]) -> Result<Formula, String> {
    let formula = compile(text, columns)?;
    match formula.kind {
        Some(Kind::Boolean) | None => Ok(formula),
        Some(other) => Err(format!("`{text}` is a {}, and a condition must be true or false", other.name())),
    }
}

impl Formula {
    pub fn of(&self, row: &[Value]) -> Result<Value, Fault> {
        eval::value(&self.code, row)
    }
}

#[cfg(test)]
mod tests;
