//! The functions: what they take, and what they give.

use crate::value::Kind;

/// A function. `eval` says what each computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    If,
    Coalesce,
    IfError,
    IsEmpty,
    Abs,
    Round,
    Floor,
    Ceil,
    Sign,
    Least,
    Greatest,
    Lower,
    Upper,
    Trim,
    Length,
    Left,
    Right,
    Mid,
    Contains,
    StartsWith,
    EndsWith,
    Replace,
    Year,
    Quarter,
    Month,
    Day,
    Weekday,
    Hour,
    Minute,
    Date,
    DayOf,
    MonthStart,
    YearMonth,
    AddMonths,
    Number,
    Text,
}

use Function as F;
use Kind::{Boolean, DateTime, Text};

/// The functions by their names. A second name is one that models use for the same.
const NAMES: [(&str, Function); 42] = [
    ("if", F::If),
    ("coalesce", F::Coalesce),
    ("if_error", F::IfError),
    ("iferror", F::IfError),
    ("is_empty", F::IsEmpty),
    ("abs", F::Abs),
    ("round", F::Round),
    ("floor", F::Floor),
    ("ceil", F::Ceil),
    ("ceiling", F::Ceil),
    ("sign", F::Sign),
    ("least", F::Least),
    ("min", F::Least),
    ("greatest", F::Greatest),
    ("max", F::Greatest),
    ("lower", F::Lower),
    ("upper", F::Upper),
    ("trim", F::Trim),
    ("length", F::Length),
    ("len", F::Length),
    ("left", F::Left),
    ("right", F::Right),
    ("mid", F::Mid),
    ("substring", F::Mid),
    ("contains", F::Contains),
    ("starts_with", F::StartsWith),
    ("ends_with", F::EndsWith),
    ("replace", F::Replace),
    ("year", F::Year),
    ("quarter", F::Quarter),
    ("month", F::Month),
    ("day", F::Day),
    ("weekday", F::Weekday),
    ("hour", F::Hour),
    ("minute", F::Minute),
    ("date", F::Date),
    ("day_of", F::DayOf),
    ("month_start", F::MonthStart),
    ("year_month", F::YearMonth),
    ("add_months", F::AddMonths),
    ("number", F::Number),
    ("text", F::Text),
];

impl Function {
    pub fn named(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, function)| *function).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(known, _)| *known).collect();
            format!("there is no function `{name}`; there are {}", known.join(", "))
        })
    }

    fn name(self) -> &'static str {
        NAMES.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }

    /// From where to where the arguments must be of one kind.
    pub fn alike(self, count: usize) -> (usize, usize) {
        match self {
            F::If => (count.min(1), count),
            F::Coalesce | F::IfError | F::Least | F::Greatest => (0, count),
            _ => (0, 0),
        }
    }

    /// What it gives for arguments of these kinds, which fit where they are empty.
    pub fn check(self, kinds: &[Option<Kind>]) -> Result<Option<Kind>, String> {
        let count = kinds.len();
        let (least, most) = match self {
            F::If => (3, 3),
            F::Coalesce | F::Least | F::Greatest => (1, usize::MAX),
            F::Mid | F::Replace => (3, 3),
            F::IfError | F::Left | F::Right | F::Contains | F::StartsWith | F::EndsWith | F::AddMonths => (2, 2),
            F::Round | F::Number => (1, 2),
            F::Date => (2, 3),
            _ => (1, 1),
        };
        if count < least || count > most {
            let takes = if least == most { least.to_string() } else { format!("{least} or more") };
            return Err(format!("`{}` takes {takes} values, and is given {count}", self.name()));
        }
        let common = kinds[self.alike(count).0.min(count)..]
            .iter()
            .flatten()
            .copied()
            .reduce(|one, other| if one == other { one } else { DateTime });
        let wants = |at: usize, wanted: &[Kind]| match kinds.get(at).copied().flatten() {
            Some(kind) if !wanted.contains(&kind) => {
                let wanted: Vec<_> = wanted.iter().map(|kind| kind.name()).collect();
                Err(format!(
                    "value {} of `{}` must be a {}, and is a {}",
                    at + 1,
                    self.name(),
                    wanted.join(" or "),
                    kind.name()
                ))
            }
            _ => Ok(()),
        };
        let number = [Kind::Number];
        match self {
            F::If => wants(0, &[Boolean]).map(|()| common),
            F::Coalesce | F::IfError => Ok(common),
            F::Least | F::Greatest => Ok(common),
            F::IsEmpty => Ok(Some(Boolean)),
            F::Abs | F::Floor | F::Ceil | F::Sign => wants(0, &number).map(|()| Some(Kind::Number)),
            F::Round => wants(0, &number).and(wants(1, &number)).map(|()| Some(Kind::Number)),
            F::Lower | F::Upper | F::Trim => wants(0, &[Text]).map(|()| Some(Text)),
            F::Length => wants(0, &[Text]).map(|()| Some(Kind::Number)),
            F::Left | F::Right => wants(0, &[Text]).and(wants(1, &number)).map(|()| Some(Text)),
            F::Mid => wants(0, &[Text]).and(wants(1, &number)).and(wants(2, &number)).map(|()| Some(Text)),
            F::Contains | F::StartsWith | F::EndsWith => {
                wants(0, &[Text]).and(wants(1, &[Text])).map(|()| Some(Boolean))
            }
            F::Replace => wants(0, &[Text]).and(wants(1, &[Text])).and(wants(2, &[Text])).map(|()| Some(Text)),
            F::Year | F::Quarter | F::Month | F::Day | F::Weekday => {
                wants(0, &[Kind::Date, DateTime]).map(|()| Some(Kind::Number))
            }
            F::Hour | F::Minute => wants(0, &[DateTime]).map(|()| Some(Kind::Number)),
            F::Date if count == 2 => wants(0, &[Text]).and(wants(1, &[Text])).map(|()| Some(Kind::Date)),
            F::Date => wants(0, &number).and(wants(1, &number)).and(wants(2, &number)).map(|()| Some(Kind::Date)),
            F::DayOf | F::MonthStart => wants(0, &[Kind::Date, DateTime]).map(|()| Some(Kind::Date)),
            F::YearMonth => wants(0, &[Kind::Date, DateTime]).map(|()| Some(Text)),
            F::AddMonths => wants(0, &[Kind::Date]).and(wants(1, &number)).map(|()| Some(Kind::Date)),
            F::Number => wants(0, &[Text, Kind::Number]).and(wants(1, &[Text])).map(|()| Some(Kind::Number)),
            F::Text => Ok(Some(Text)),
        }
    }
}
