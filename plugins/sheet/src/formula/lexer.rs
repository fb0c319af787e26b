//! From text to words.

use std::str::FromStr;

use crate::number::Decimal;

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Number(Decimal),
    Text(String),
    /// A name: of a column, a function, or a word of the language.
    Name(String),
    /// A column in brackets.
    Bracketed(String),
    Sign(&'static str),
}

impl Token {
    pub fn words(&self) -> String {
        match self {
            Self::Number(number) => format!("`{number}`"),
            Self::Text(text) => format!("'{text}'"),
            Self::Name(name) => format!("`{name}`"),
            Self::Bracketed(name) => format!("`[{name}]`"),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

/// Longer ones first. What other languages write for the same is taken as well: a model mixes them up.
const SIGNS: [(&str, &str); 22] = [
    ("<=", "<="),
    (">=", ">="),
    ("<>", "!="),
    ("!=", "!="),
    ("==", "="),
    ("&&", "and"),
    ("||", "or"),
    ("≤", "<="),
    ("≥", ">="),
    ("≠", "!="),
    ("=", "="),
    ("<", "<"),
    (">", ">"),
    ("+", "+"),
    ("-", "-"),
    ("*", "*"),
    ("/", "/"),
    ("%", "%"),
    ("^", "^"),
    ("&", "&"),
    ("(", "("),
    (")", ")"),
];

pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => {
                let (text, length) = until(rest, first, first)?;
                tokens.push(Token::Text(text));
                length
            }
            '[' | '`' => {
                let (name, length) = until(rest, first, if first == '[' { ']' } else { '`' })?;
                tokens.push(Token::Bracketed(name));
                length
            }
            ',' => {
                tokens.push(Token::Sign(","));
                1
            }
            '0'..='9' | '.' => {
                let length = number(rest);
                let read = match rest[..length].contains(['e', 'E']) {
                    true => Decimal::from_scientific(&rest[..length]),
                    false => Decimal::from_str(&rest[..length]),
                };
                tokens.push(Token::Number(
                    read.map_err(|_| format!("`{}` is no number of at most 28 digits", &rest[..length]))?,
                ));
                length
            }
            first if first == '_' || first.is_alphabetic() => {
                let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                tokens.push(Token::Name(rest[..end].to_owned()));
                end
            }
            first => match SIGNS.iter().find(|(written, _)| rest.starts_with(written)) {
                Some((written, sign)) => {
                    tokens.push(Token::Sign(sign));
                    written.len()
                }
                None => return Err(format!("`{first}` has no meaning here")),
            },
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// What stands between two marks, where a mark that is written twice is one of the text. And its length with them.
fn until(rest: &str, open: char, close: char) -> Result<(String, usize), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let mut twice = || chars.next_if(|(_, next)| *next == close).is_some();
        if c == close && !twice() {
            return Ok((text, at + c.len_utf8()));
        }
        text.push(c);
    }
    Err(format!("a `{open}` is never closed"))
}

/// The length of the number that `rest` begins with.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits((length + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}
