//! Values in text: numbers, dates, addresses, and what stands behind a label.

use unicode_segmentation::UnicodeSegmentation;

use super::text::Field;

/// How well a label must fit.
const GOOD: f64 = 0.5;

/// The field whose label fits best to one of `names`, if any fits well enough. The first of equals.
pub(super) fn labelled<'a>(fields: &'a [Field], names: &[Vec<String>], description: &[String]) -> Option<&'a Field> {
    let mut best: Option<(&Field, f64)> = None;
    for field in fields {
        let score = fit(&words(&field.label), names, description);
        if score >= GOOD && best.is_none_or(|(_, most)| score > most) {
            best = Some((field, score));
        }
    }
    best.map(|(field, _)| field)
}

/// Whether `label` fits well enough.
pub(super) fn is_named(label: &str, names: &[Vec<String>], description: &[String]) -> bool {
    fit(&words(label), names, description) >= GOOD
}

fn fit(label: &[String], names: &[Vec<String>], description: &[String]) -> f64 {
    let shared = |name: &Vec<String>| {
        let hits = label.iter().filter(|word| name.contains(word)).count();
        hits as f64 / label.len().max(name.len()).max(1) as f64
    };
    let named = names.iter().map(shared).fold(0.0, f64::max);
    let described = !label.is_empty() && label.iter().all(|word| description.contains(word));
    if described { named.max(0.5) } else { named }
}

/// The words of a name or label, in lower case and one spelling: `invoiceNo`, `Invoice No.` and `invoice_number` are one.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(name.len() + 8);
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            spaced.push(' ');
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        spaced.push(if c == '_' { ' ' } else { c });
    }
    let words = spaced.replace("e-mail", "email").replace("E-Mail", "email").replace('#', " number ");
    words.unicode_words().map(|word| same(&word.to_lowercase()).to_owned()).filter(|w| !w.is_empty()).collect()
}

fn same(word: &str) -> &str {
    match word {
        "no" | "nr" | "num" | "nummer" => "number",
        "tel" | "telephone" | "telefon" | "mobile" => "phone",
        "mail" => "email",
        "sum" | "amt" | "amount" | "gesamt" | "summe" => "total",
        "qty" | "menge" => "quantity",
        "ref" => "reference",
        "datum" => "date",
        "rechnung" => "invoice",
        "website" | "homepage" | "link" | "uri" => "url",
        "the" | "a" | "of" | "is" => "",
        _ => word,
    }
}

/// The first number, in the usual ways of writing: `1,234.50`, `1.234,50`, `1 234`, `-3`, `$5`, `42%`.
pub(super) fn number(text: &str) -> Option<f64> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let negative = text[..start].ends_with(['-', '\u{2212}']) || text[..start].ends_with("-$");
    let run: String =
        text[start..].chars().take(40).take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'')).collect();
    let run = run.trim_end_matches(['.', ',', '\'']).replace('\'', "");
    let plain = match (run.rfind(','), run.rfind('.')) {
        (Some(comma), Some(dot)) if comma > dot => run.replace('.', "").replace(',', "."),
        (Some(_), Some(_)) => run.replace(',', ""),
        (Some(comma), None) if run.len() - comma == 4 || run.matches(',').count() > 1 => run.replace(',', ""),
        (Some(_), None) => run.replace(',', "."),
        (None, Some(_)) if run.matches('.').count() > 1 => run.replace('.', ""),
        _ => run,
    };
    let value: f64 = plain.parse().ok()?;
    Some(if negative { -value } else { value })
}

/// The first date as `YYYY-MM-DD`. Reads ISO 8601, `31.12.2025`, `12/31/2025` (month first unless it cannot be),
/// `31 December 2025`, `December 31, 2025`, with English and German month names.
pub(super) fn date(text: &str) -> Option<String> {
    let tokens: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')'))
        .filter(|t| !t.is_empty())
        .collect();
    (0..tokens.len()).find_map(|at| numeric_date(tokens[at]).or_else(|| worded_date(tokens.get(at..at + 3)?)))
}

fn numeric_date(token: &str) -> Option<String> {
    let token = token.split('T').next()?.trim_end_matches('.');
    let mark = ['-', '.', '/'].into_iter().find(|mark| token.matches(*mark).count() == 2)?;
    let parts: Vec<i16> = token.split(mark).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match (mark, parts[0], parts[1], parts[2]) {
        (_, year, month, day) if year > 31 => iso(year, month, day),
        ('/', month, day, year) if month <= 12 => iso(year, month, day),
        (_, day, month, year) => iso(year, month, day),
    }
}

fn worded_date(tokens: &[&str]) -> Option<String> {
    let day = |token: &str| token.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<i16>().ok();
    let year = |token: &str| token.trim_end_matches('.').parse::<i16>().ok().filter(|year| *year > 31);
    let (first, second, third) = (tokens[0], tokens[1], year(tokens[2])?);
    match month(first) {
        Some(month) => iso(third, month, day(second)?),
        None => iso(third, month(second)?, day(first)?),
    }
}

fn month(token: &str) -> Option<i16> {
    const STEMS: [&[&str]; 12] = [
        &["jan"],
        &["feb"],
        &["mar", "mär"],
        &["apr"],
        &["may", "mai"],
        &["jun"],
        &["jul"],
        &["aug"],
        &["sep"],
        &["oct", "okt"],
        &["nov"],
        &["dec", "dez"],
    ];
    let token = token.to_lowercase();
    let at = STEMS.iter().position(|stems| stems.iter().any(|stem| token.starts_with(stem)))?;
    (token.chars().count() <= 10).then_some(at as i16 + 1)
}

fn iso(year: i16, month: i16, day: i16) -> Option<String> {
    let date = jiff::civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    (year >= 1000).then(|| date.to_string())
}

/// The first RFC 3339 time stamp; else the first date, at midnight UTC.
pub(super) fn date_time(text: &str) -> Option<String> {
    let stamp = text.split_whitespace().map(trimmed).find(|token| token.parse::<jiff::Timestamp>().is_ok());
    stamp.map(str::to_owned).or_else(|| Some(format!("{}T00:00:00Z", date(text)?)))
}

/// All e-mail addresses, once each.
pub(super) fn emails(text: &str) -> Vec<String> {
    let breaks =
        |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | '"' | ':' | '|');
    once(text.split(breaks).map(trimmed).filter(|token| {
        token.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && host.contains('.') && !host.contains(['@', '/']) && token.is_ascii()
        })
    }))
}

/// All `http(s)` addresses, once each.
pub(super) fn urls(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | ')' | ']' | '"' | '\'' | '`' | '|');
    let starts = text.match_indices("http").map(|(at, _)| &text[at..]);
    let starts = starts.filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"));
    once(starts.map(|rest| trimmed(rest.split(ends).next().unwrap_or_default())).filter(|u| url::Url::parse(u).is_ok()))
}

/// The first telephone number: a plus or a digit, then at least seven digits with the usual separators.
pub(super) fn phone(text: &str) -> Option<String> {
    let start = text.find(|c: char| c == '+' || c.is_ascii_digit())?;
    let run: String = text[start..]
        .chars()
        .take_while(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '/'))
        .collect();
    (run.chars().filter(char::is_ascii_digit).count() >= 7).then(|| run.trim().to_owned())
}

fn trimmed(token: &str) -> &str {
    token.trim_matches(|c: char| matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '(' | '"' | '*' | '_' | '`'))
}

fn once<'a>(found: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    found.filter(|item| seen.insert(*item)).take(1000).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, value) in [
            ("1,234.50 EUR", 1234.5),
            ("1.234,50 €", 1234.5),
            ("€ 99,90", 99.9),
            ("1,000", 1000.0),
            ("-3", -3.0),
            ("42%", 42.0),
            ("1'000", 1000.0),
            ("v 3.", 3.0),
            ("1.234.567", 1_234_567.0),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert_eq!(number("none"), None);
    }

    #[test]
    fn dates() {
        for (text, value) in [
            ("due 2026-03-01.", "2026-03-01"),
            ("31.12.2025", "2025-12-31"),
            ("12/31/2025", "2025-12-31"),
            ("31/12/2025", "2025-12-31"),
            ("on March 1, 2026", "2026-03-01"),
            ("1. März 2026", "2026-03-01"),
            ("the 3rd May 2024", "2024-05-03"),
            ("2026-03-01T10:00:00Z", "2026-03-01"),
        ] {
            assert_eq!(date(text).as_deref(), Some(value), "{text}");
        }
        for text in ["", "99.99.2025", "1.2.3", "no", "10/10"] {
            assert_eq!(date(text), None, "{text}");
        }
        assert_eq!(date_time("at 2026-03-01T10:00:00Z").as_deref(), Some("2026-03-01T10:00:00Z"));
    }

    #[test]
    fn addresses() {
        assert_eq!(emails("Write to <a@b.example>, or a@b.example; not @b or c@d"), ["a@b.example"]);
        assert_eq!(
            urls("[x](https://a.example/b). http://c.example, https"),
            ["https://a.example/b", "http://c.example"]
        );
        assert_eq!(phone("call +49 30 123456 now").as_deref(), Some("+49 30 123456"));
    }

    #[test]
    fn names_of_one_meaning() {
        assert_eq!(words("invoiceNo"), words("Invoice number"));
        assert_eq!(words("E-Mail"), words("email"));
    }
}
