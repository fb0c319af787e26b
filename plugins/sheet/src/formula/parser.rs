//! From words to a formula whose kinds fit together.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::function::Function;
use super::lexer::{self, Token};
use super::{Code, Formula, Operator};
use crate::date::{Date, Moment};
use crate::table::{self, Column};
use crate::value::{Kind, Value};

/// How deep a formula may be. Deeper ones are computed by deeper calls, and a guest's stack is small.
const DEEPEST: usize = 100;

pub struct Parser<'a> {
    tokens: Peekable<IntoIter<Token>>,
    columns: &'a [Column],
    depth: usize,
}

/// A part of a formula with what it gives.
struct Part {
    code: Code,
    kind: Option<Kind>,
    depth: usize,
}

impl Part {
    fn of(code: Code, kind: Option<Kind>, parts: &[&Self]) -> Result<Self, String> {
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or_default() + 1;
        match depth > DEEPEST {
            true => Err("it is nested too deep".into()),
            false => Ok(Self { code, kind, depth }),
        }
    }

    fn is_empty(&self) -> bool {
        self.code == Code::Value(Value::Empty)
    }

    fn is_time(&self) -> bool {
        self.kind.is_some_and(Kind::is_time)
    }

    fn name(&self) -> &'static str {
        self.kind.map_or("empty", Kind::name)
    }
}

type Parsed = Result<Part, String>;

impl<'a> Parser<'a> {
    pub fn new(text: &str, columns: &'a [Column]) -> Result<Self, String> {
        Ok(Self { tokens: lexer::tokens(text)?.into_iter().peekable(), columns, depth: 0 })
    }

    pub fn whole(mut self) -> Result<Formula, String> {
        let part = self.or()?;
        match self.tokens.next() {
            None => Ok(Formula { code: part.code, kind: part.kind }),
            Some(token) => Err(format!("{} was not expected", token.words())),
        }
    }

    fn or(&mut self) -> Parsed {
        self.deeper()?;
        let mut left = self.and()?;
        while self.takes("or") {
            left = logical(Operator::Or, left, self.and()?)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while self.takes("and") {
            left = logical(Operator::And, left, self.not()?)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed {
        if !self.takes("not") {
            return self.comparison();
        }
        self.deeper()?;
        let part = self.not()?;
        self.depth -= 1;
        negated(part)
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.joined()?;
        if self.takes("is") {
            let not = self.takes("not");
            if !self.takes("empty") && !self.takes("null") {
                return Err("after `is` there stands `empty` or `not empty`".into());
            }
            let part = is_empty(left)?;
            return if not { negated(part) } else { Ok(part) };
        }
        let not = matches!(self.tokens.peek(), Some(Token::Name(name)) if name.eq_ignore_ascii_case("not"));
        if not {
            self.tokens.next();
        }
        if self.takes("in") {
            let part = self.list(left)?;
            return if not { negated(part) } else { Ok(part) };
        }
        if self.takes("between") {
            let low = self.joined()?;
            if !self.takes("and") {
                return Err("`between` is followed by two values with `and` between them".into());
            }
            let high = self.joined()?;
            let again = Part { code: left.code.clone(), kind: left.kind, depth: left.depth };
            let from = compared(Operator::GreaterOrEqual, left, low)?;
            let part = logical(Operator::And, from, compared(Operator::LessOrEqual, again, high)?)?;
            return if not { negated(part) } else { Ok(part) };
        }
        if not {
            return Err("`not` was not expected behind a value".into());
        }
        for (sign, operator) in [
            ("=", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<", Operator::Less),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            (">=", Operator::GreaterOrEqual),
        ] {
            if self.takes(sign) {
                let right = self.joined()?;
                return compared(operator, left, right);
            }
        }
        Ok(left)
    }

    fn list(&mut self, left: Part) -> Parsed {
        self.expects("(")?;
        let mut items = Vec::new();
        loop {
            let (mut one, item) = (Part { code: left.code.clone(), kind: left.kind, depth: 0 }, self.joined()?);
            let mut item = item;
            agree(&mut one, &mut item)
                .ok_or_else(|| format!("a {} is never in a list with a {}", one.name(), item.name()))?;
            items.push(item);
            if !self.takes(",") {
                break;
            }
        }
        self.expects(")")?;
        let parts: Vec<&Part> = items.iter().chain([&left]).collect();
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or_default();
        let code = Code::In(Box::new(left.code), items.into_iter().map(|item| item.code).collect());
        let inner = Part { code: Code::Value(Value::Empty), kind: None, depth };
        Part::of(code, Some(Kind::Boolean), &[&inner])
    }

    fn joined(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while self.takes("&") {
            let right = self.sum()?;
            left = binary(Operator::Join, Some(Kind::Text), left, right)?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let operator = match () {
                () if self.takes("+") => Operator::Add,
                () if self.takes("-") => Operator::Subtract,
                () => return Ok(left),
            };
            let mut right = self.product()?;
            if operator == Operator::Subtract && (left.is_time() || right.is_time()) {
                // Where it does not agree, the kinds say so below.
                let _ = agree(&mut left, &mut right);
            }
            let kind = sum_kind(operator, left.kind, right.kind).ok_or_else(|| {
                let hint = if operator == Operator::Add { "; texts are joined by `&`" } else { "" };
                format!("a {} and a {} cannot be added or subtracted{hint}", left.name(), right.name())
            })?;
            left = binary(operator, Some(kind), left, right)?;
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.signed()?;
        loop {
            let operator = match () {
                () if self.takes("*") => Operator::Multiply,
                () if self.takes("/") => Operator::Divide,
                () if self.takes("%") => Operator::Remainder,
                () => return Ok(left),
            };
            let right = self.signed()?;
            left = numbers(operator, left, right)?;
        }
    }

    fn signed(&mut self) -> Parsed {
        if !self.takes("-") {
            return self.power();
        }
        self.deeper()?;
        let part = self.signed()?;
        self.depth -= 1;
        let part = number(part)?;
        let code = Code::Negative(Box::new(part.code.clone()));
        Part::of(code, Some(Kind::Number), &[&part])
    }

    fn power(&mut self) -> Parsed {
        let left = self.primary()?;
        if !self.takes("^") {
            return Ok(left);
        }
        // To the right, and with a sign: `2 ^ -1`.
        let right = self.signed()?;
        numbers(Operator::Power, left, right)
    }

    fn primary(&mut self) -> Parsed {
        match self.tokens.next() {
            Some(Token::Number(number)) => Ok(literal(Value::Number(number))),
            Some(Token::Text(text)) => Ok(literal(Value::text(text))),
            Some(Token::Bracketed(name)) => self.column(&name),
            Some(Token::Sign("(")) => {
                let part = self.or()?;
                self.expects(")")?;
                Ok(part)
            }
            Some(Token::Name(name)) if self.tokens.peek() == Some(&Token::Sign("(")) => self.call(&name),
            Some(Token::Name(name)) => match name.to_ascii_lowercase().as_str() {
                // A column of such a name is reached in brackets.
                "true" => Ok(literal(Value::Boolean(true))),
                "false" => Ok(literal(Value::Boolean(false))),
                "empty" | "null" => Ok(literal(Value::Empty)),
                _ => self.column(&name),
            },
            Some(token) => Err(format!("{} was not expected", token.words())),
            None => Err("a value is missing at the end".into()),
        }
    }

    fn column(&self, name: &str) -> Parsed {
        let at = table::find(self.columns, name)?;
        Part::of(Code::Column(at), Some(self.columns[at].kind), &[])
    }

    fn call(&mut self, name: &str) -> Parsed {
        let function = Function::named(name)?;
        self.expects("(")?;
        let mut arguments = Vec::new();
        if !self.takes(")") {
            loop {
                arguments.push(self.or()?);
                if !self.takes(",") {
                    break;
                }
            }
            self.expects(")")?;
        }
        // Dates may be written as text beside dates, as in comparisons.
        let (before, rest) = function.alike(arguments.len());
        if let Some((first, others)) = arguments.get_mut(before..rest).and_then(<[Part]>::split_first_mut) {
            for other in others.iter_mut() {
                agree(first, other).ok_or_else(|| {
                    format!("`{name}` takes values of one kind, and not a {} and a {}", first.name(), other.name())
                })?;
            }
        }
        let kinds: Vec<_> = arguments.iter().map(|part| part.kind).collect();
        let kind = function.check(&kinds)?;
        let parts: Vec<&Part> = arguments.iter().collect();
        let mut part = Part::of(Code::Value(Value::Empty), kind, &parts)?;
        part.code = Code::Call(function, arguments.into_iter().map(|part| part.code).collect());
        Ok(part)
    }

    /// Takes a sign or a word of the language, where it comes next.
    fn takes(&mut self, what: &str) -> bool {
        let next = |token: &Token| match token {
            Token::Sign(sign) => *sign == what,
            Token::Name(name) => name.eq_ignore_ascii_case(what),
            _ => false,
        };
        self.tokens.next_if(next).is_some()
    }

    fn expects(&mut self, sign: &str) -> Result<(), String> {
        match self.takes(sign) {
            true => Ok(()),
            false => match self.tokens.peek() {
                Some(token) => Err(format!("`{sign}` was expected, and there stands {}", token.words())),
                None => Err(format!("`{sign}` is missing at the end")),
            },
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST { Err("it is nested too deep".into()) } else { Ok(()) }
    }
}

fn literal(value: Value) -> Part {
    Part { kind: value.kind(), code: Code::Value(value), depth: 1 }
}

fn binary(operator: Operator, kind: Option<Kind>, left: Part, right: Part) -> Parsed {
    let mut part = Part::of(Code::Value(Value::Empty), kind, &[&left, &right])?;
    part.code = Code::Binary(operator, Box::new(left.code), Box::new(right.code));
    Ok(part)
}

fn logical(operator: Operator, left: Part, right: Part) -> Parsed {
    for part in [&left, &right] {
        if !matches!(part.kind, Some(Kind::Boolean) | None) {
            return Err(format!("`and` and `or` stand between conditions, not a {}", part.name()));
        }
    }
    binary(operator, Some(Kind::Boolean), left, right)
}

fn negated(part: Part) -> Parsed {
    if !matches!(part.kind, Some(Kind::Boolean) | None) {
        return Err(format!("`not` stands before a condition, not a {}", part.name()));
    }
    let mut whole = Part::of(Code::Value(Value::Empty), Some(Kind::Boolean), &[&part])?;
    whole.code = Code::Not(Box::new(part.code));
    Ok(whole)
}

fn is_empty(part: Part) -> Parsed {
    let mut whole = Part::of(Code::Value(Value::Empty), Some(Kind::Boolean), &[&part])?;
    whole.code = Code::Call(Function::IsEmpty, vec![part.code]);
    Ok(whole)
}

fn compared(operator: Operator, mut left: Part, mut right: Part) -> Parsed {
    if matches!(operator, Operator::Equal | Operator::Unequal) && (left.is_empty() || right.is_empty()) {
        let part = is_empty(if right.is_empty() { left } else { right })?;
        return if operator == Operator::Unequal { negated(part) } else { Ok(part) };
    }
    agree(&mut left, &mut right)
        .ok_or_else(|| format!("a {} and a {} cannot be compared", left.name(), right.name()))?;
    binary(operator, Some(Kind::Boolean), left, right)
}

fn number(part: Part) -> Parsed {
    match part.kind {
        Some(Kind::Number) | None => Ok(part),
        Some(kind) => Err(format!("a {} is no number", kind.name())),
    }
}

fn numbers(operator: Operator, left: Part, right: Part) -> Parsed {
    binary(operator, Some(Kind::Number), number(left)?, number(right)?)
}

/// What a sum or difference gives.
fn sum_kind(operator: Operator, left: Option<Kind>, right: Option<Kind>) -> Option<Kind> {
    use Kind::{Date, DateTime, Number};
    Some(match (left, right) {
        (None | Some(Number), None | Some(Number)) => Number,
        (Some(Date), None | Some(Number)) => Date,
        (Some(DateTime), None | Some(Number)) => DateTime,
        (Some(Number), Some(time)) if time.is_time() && operator == Operator::Add => time,
        (Some(one), Some(other)) if one.is_time() && other.is_time() && operator == Operator::Subtract => Number,
        _ => return None,
    })
}

/// Makes two parts values of one kind, where they are or where one is a date written as text.
fn agree(one: &mut Part, other: &mut Part) -> Option<()> {
    match (one.kind, other.kind) {
        (None, _) | (_, None) => Some(()),
        (Some(a), Some(b)) if a == b || (a.is_time() && b.is_time()) => Some(()),
        (Some(a), Some(Kind::Text)) if a.is_time() => dated(other),
        (Some(Kind::Text), Some(b)) if b.is_time() => dated(one),
        _ => None,
    }
}

fn dated(part: &mut Part) -> Option<()> {
    let Code::Value(Value::Text(text)) = &part.code else { return None };
    let value = Date::read(text).map(Value::Date).or_else(|| Moment::read(text).map(Value::DateTime))?;
    *part = literal(value);
    Some(())
}
