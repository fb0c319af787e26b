//! Computing a formula for one row. Its kinds have been checked.

use std::rc::Rc;

use super::function::Function as F;
use super::{Code, Operator};
use crate::date::{Date, SECONDS_PER_DAY};
use crate::number::{self, Decimal};
use crate::value::{Value, is_no_value};

/// Longest text that a formula makes, in bytes.
const MOST_TEXT: usize = 100_000;
const LONG: &str = "a text of more than 100000 bytes";

/// Why a formula has no value for a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It went wrong here.
    Here(String),
    /// It went wrong before, in a cell that it is computed from; the words say in which row.
    Before(Rc<str>),
}

/// An error value that says in which row it came about.
pub fn located(fault: Fault, row: usize) -> Value {
    Value::Error(match fault {
        Fault::Here(what) => format!("{what} in row {row}").into(),
        Fault::Before(what) => what,
    })
}

type Computed = Result<Value, Fault>;

fn fault<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Here(what.into()))
}

/// Kinds are checked when a formula is read, so that no reader ever sees this.
fn misfit<T>() -> Result<T, Fault> {
    fault("a value of another kind")
}

pub fn value(code: &Code, row: &[Value]) -> Computed {
    match code {
        Code::Value(value) => Ok(value.clone()),
        Code::Column(at) => match row.get(*at) {
            Some(Value::Error(what)) => Err(Fault::Before(what.clone())),
            Some(value) => Ok(value.clone()),
            None => misfit(),
        },
        Code::Negative(inner) => match value(inner, row)? {
            Value::Number(number) => Ok(Value::Number(-number)),
            Value::Empty => Ok(Value::Empty),
            _ => misfit(),
        },
        Code::Not(inner) => match value(inner, row)? {
            Value::Boolean(yes) => Ok(Value::Boolean(!yes)),
            Value::Empty => Ok(Value::Empty),
            _ => misfit(),
        },
        Code::Binary(operator @ (Operator::And | Operator::Or), left, right) => logical(*operator, left, right, row),
        Code::Binary(operator, left, right) => binary(*operator, &value(left, row)?, &value(right, row)?),
        Code::In(left, items) => {
            let left = value(left, row)?;
            if left == Value::Empty {
                return Ok(Value::Empty);
            }
            for item in items {
                let item = value(item, row)?;
                if item.rank() == 0 && left.compare(&item).is_eq() {
                    return Ok(Value::Boolean(true));
                }
            }
            Ok(Value::Boolean(false))
        }
        Code::Call(function, arguments) => call(*function, arguments, row),
    }
}

/// What is false whatever the other is, is false also where the other is empty.
fn logical(operator: Operator, left: &Code, right: &Code, row: &[Value]) -> Computed {
    let decisive = Value::Boolean(operator == Operator::Or);
    let left = value(left, row)?;
    if left == decisive {
        return Ok(decisive);
    }
    let right = value(right, row)?;
    Ok(match (left, right) {
        (_, right) if right == decisive => decisive,
        (Value::Empty, _) | (_, Value::Empty) => Value::Empty,
        (_, right) => right,
    })
}

fn binary(operator: Operator, left: &Value, right: &Value) -> Computed {
    if operator == Operator::Join {
        let text = format!("{left}{right}");
        // Steps that double a text would fill the memory.
        return if text.len() > MOST_TEXT { fault(LONG) } else { Ok(Value::text(text)) };
    }
    if *left == Value::Empty || *right == Value::Empty {
        return Ok(Value::Empty);
    }
    let order = || left.compare(right);
    Ok(match operator {
        Operator::Equal => Value::Boolean(order().is_eq()),
        Operator::Unequal => Value::Boolean(order().is_ne()),
        Operator::Less => Value::Boolean(order().is_lt()),
        Operator::LessOrEqual => Value::Boolean(order().is_le()),
        Operator::Greater => Value::Boolean(order().is_gt()),
        Operator::GreaterOrEqual => Value::Boolean(order().is_ge()),
        _ => return computed(operator, left, right),
    })
}

fn computed(operator: Operator, left: &Value, right: &Value) -> Computed {
    let (a, b) = match (left, right) {
        (Value::Number(a), Value::Number(b)) => (*a, *b),
        (time, Value::Number(days)) if operator == Operator::Subtract => return later(time, -*days),
        (time, Value::Number(days)) | (Value::Number(days), time) => return later(time, *days),
        (from, to) => return between(from, to),
    };
    let number = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::Remainder if b.is_zero() => return fault("division by zero"),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
        Operator::Power => return power(a, b).map(Value::Number),
        _ => return misfit(),
    };
    number.map_or_else(|| fault("a number of more than 28 digits"), |number| Ok(Value::Number(number)))
}

/// Whole powers alone: of others no decimal is exact.
fn power(base: Decimal, exponent: Decimal) -> Result<Decimal, Fault> {
    let Some(exponent) = whole(exponent).filter(|n| n.unsigned_abs() <= 1_000) else {
        return fault("a power that is no whole number from -1000 to 1000");
    };
    let mut product = Decimal::ONE;
    for _ in 0..exponent.unsigned_abs() {
        product = product.checked_mul(base).ok_or_else(|| Fault::Here("a number of more than 28 digits".into()))?;
    }
    match exponent < 0 {
        false => Ok(product),
        true => Decimal::ONE.checked_div(product).ok_or_else(|| Fault::Here("division by zero".into())),
    }
}

fn later(time: &Value, days: Decimal) -> Computed {
    let none = || fault("a date that is none");
    match time {
        Value::Date(date) => {
            if !days.fract().is_zero() {
                return fault("a date plus a part of a day");
            }
            whole(days).and_then(|days| date.plus_days(days)).map_or_else(none, |date| Ok(Value::Date(date)))
        }
        Value::DateTime(moment) => {
            let seconds = days.checked_mul(SECONDS_PER_DAY.into()).and_then(|seconds| whole(number::round(seconds, 0)));
            seconds
                .and_then(|seconds| moment.plus_seconds(seconds))
                .map_or_else(none, |moment| Ok(Value::DateTime(moment)))
        }
        _ => misfit(),
    }
}

fn between(to: &Value, from: &Value) -> Computed {
    let seconds = |value: &Value| match value {
        Value::Date(date) => Some(date.midnight().seconds()),
        Value::DateTime(moment) => Some(moment.seconds()),
        _ => None,
    };
    let (Some(to), Some(from)) = (seconds(to), seconds(from)) else { return misfit() };
    Ok(Value::Number(Decimal::from(to - from) / Decimal::from(SECONDS_PER_DAY)))
}

fn whole(number: Decimal) -> Option<i64> {
    number.fract().is_zero().then(|| i64::try_from(number.trunc()).ok())?
}

fn call(function: F, arguments: &[Code], row: &[Value]) -> Computed {
    // These do not compute all of their arguments.
    match (function, arguments) {
        (F::If, [condition, then, or]) => {
            let yes = value(condition, row)? == Value::Boolean(true);
            return value(if yes { then } else { or }, row);
        }
        (F::IfError, [tried, instead]) => return value(tried, row).or_else(|_| value(instead, row)),
        (F::IsEmpty, [inner]) => return Ok(Value::Boolean(value(inner, row)? == Value::Empty)),
        (F::Coalesce, _) => {
            for argument in arguments {
                let found = value(argument, row)?;
                if found != Value::Empty {
                    return Ok(found);
                }
            }
            return Ok(Value::Empty);
        }
        _ => {}
    }
    let values = arguments.iter().map(|argument| value(argument, row)).collect::<Result<Vec<_>, _>>()?;
    if matches!(function, F::Least | F::Greatest) {
        let known = values.into_iter().filter(|value| *value != Value::Empty);
        let best = if function == F::Least { known.min_by(Value::compare) } else { known.max_by(Value::compare) };
        return Ok(best.unwrap_or_default());
    }
    if function == F::Text {
        return Ok(values
            .first()
            .filter(|value| **value != Value::Empty)
            .map_or(Value::Empty, |v| Value::text(v.to_string())));
    }
    if values.contains(&Value::Empty) {
        return Ok(Value::Empty);
    }
    match values.as_slice() {
        [Value::Number(number), rest @ ..] if function != F::Date => numeric(function, *number, rest),
        [Value::Text(text), rest @ ..] => textual(function, text, rest),
        [Value::Date(date), rest @ ..] => dated(function, *date, rest),
        [Value::DateTime(moment)] => match function {
            F::Hour => Ok(Value::Number(moment.time().0.into())),
            F::Minute => Ok(Value::Number(moment.time().1.into())),
            _ => dated(function, moment.date(), &[]),
        },
        [Value::Number(year), Value::Number(month), Value::Number(day)] => {
            let part = |number: &Decimal| whole(*number).and_then(|number| u32::try_from(number).ok());
            let date = (|| Date::new(i32::try_from(part(year)?).ok()?, part(month)?, part(day)?))();
            date.map_or_else(|| fault("a date that is none"), |date| Ok(Value::Date(date)))
        }
        _ => misfit(),
    }
}

fn numeric(function: F, number: Decimal, rest: &[Value]) -> Computed {
    Ok(Value::Number(match (function, rest) {
        (F::Abs, _) => number.abs(),
        (F::Floor, _) => number.floor(),
        (F::Ceil, _) => number.ceil(),
        (F::Sign, _) if number.is_zero() => Decimal::ZERO,
        (F::Sign, _) => {
            if number.is_sign_negative() {
                Decimal::NEGATIVE_ONE
            } else {
                Decimal::ONE
            }
        }
        (F::Round, []) => number::round(number, 0),
        (F::Round, [Value::Number(digits)]) => {
            let digits = whole(*digits).and_then(|digits| u32::try_from(digits).ok()).filter(|digits| *digits <= 28);
            let Some(digits) = digits else { return fault("rounding to other than 0 to 28 digits") };
            number::round(number, digits)
        }
        (F::Number, _) => number,
        _ => return misfit(),
    }))
}

fn textual(function: F, text: &Rc<str>, rest: &[Value]) -> Computed {
    let count = |number: &Decimal| match whole(*number).and_then(|count| usize::try_from(count).ok()) {
        Some(count) => Ok(count),
        None => fault("a number of letters that is none"),
    };
    let letters = |from: usize, most: usize| Value::text(text.chars().skip(from).take(most).collect::<String>());
    Ok(match (function, rest) {
        (F::Lower, _) => Value::text(text.to_lowercase()),
        (F::Upper, _) => Value::text(text.to_uppercase()),
        (F::Trim, _) => Value::text(text.trim()),
        (F::Length, _) => Value::Number(text.chars().count().into()),
        (F::Left, [Value::Number(n)]) => letters(0, count(n)?),
        (F::Right, [Value::Number(n)]) => letters(text.chars().count().saturating_sub(count(n)?), usize::MAX),
        (F::Mid, [Value::Number(start), Value::Number(n)]) => match count(start)? {
            0 => return fault("a text's first letter is number 1, not 0"),
            start => letters(start - 1, count(n)?),
        },
        (F::Contains, [Value::Text(part)]) => Value::Boolean(text.contains(&**part)),
        (F::StartsWith, [Value::Text(part)]) => Value::Boolean(text.starts_with(&**part)),
        (F::EndsWith, [Value::Text(part)]) => Value::Boolean(text.ends_with(&**part)),
        (F::Replace, [Value::Text(old), Value::Text(new)]) => {
            let times = if old.is_empty() { 0 } else { text.matches(&**old).count() };
            if text.len() + times.saturating_mul(new.len()) > MOST_TEXT {
                return fault(LONG);
            }
            if times == 0 { Value::Text(text.clone()) } else { Value::text(text.replace(&**old, new)) }
        }
        // `n/a` is no mistake: a sum of all other rows is what is wanted.
        (F::Number | F::Date, _) if is_no_value(text) => Value::Empty,
        (F::Number, marks) => {
            let mark = match marks {
                [Value::Text(mark)] => {
                    mark.chars().next().filter(|mark| matches!(mark, '.' | ',') && mark.len_utf8() == 1)
                }
                _ => Some('.'),
            };
            let Some(mark) = mark else { return fault("a decimal mark that is neither '.' nor ','") };
            match number::read_as(text, mark) {
                Some(number) => Value::Number(number),
                None => return fault("a text that is no number"),
            }
        }
        (F::Date, [Value::Text(format)]) => match Date::read_as(text, format) {
            Some(date) => Value::Date(date),
            None => return fault(format!("a text that is no date as {format}")),
        },
        _ => return misfit(),
    })
}

fn dated(function: F, date: Date, rest: &[Value]) -> Computed {
    let (year, month, day) = date.parts();
    Ok(match (function, rest) {
        (F::Year, _) => Value::Number(year.into()),
        (F::Quarter, _) => Value::Number(month.div_ceil(3).into()),
        (F::Month, _) => Value::Number(month.into()),
        (F::Day, _) => Value::Number(day.into()),
        (F::Weekday, _) => Value::Number(date.weekday().into()),
        (F::DayOf, _) => Value::Date(date),
        (F::MonthStart, _) => Date::new(year, month, 1).map_or(Value::Empty, Value::Date),
        (F::YearMonth, _) => Value::text(format!("{year:04}-{month:02}")),
        (F::AddMonths, [Value::Number(months)]) => match whole(*months).and_then(|months| date.plus_months(months)) {
            Some(date) => Value::Date(date),
            None => return fault("a date that is none"),
        },
        _ => return misfit(),
    })
}
