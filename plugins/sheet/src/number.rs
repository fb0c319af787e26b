//! Decimal numbers of up to 28 digits: sums of money are exact, and what does not fit says so.

use std::str::FromStr;

pub use rust_decimal::Decimal;
use rust_decimal::RoundingStrategy;

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Number(Decimal),
    /// It is written like a number, and has more digits than one may have.
    TooLarge,
}

/// Reads `12`, `-3.50`, `.5` and `1e6`. Nothing else: `1,234` is two numbers in two countries, and `007` is a name.
pub fn read(text: &str) -> Option<Read> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(a, b)| (a, Some(b)));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let signed = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    if !all_digits(whole)
        || (whole.len() > 1 && whole.starts_with('0'))
        || fraction.is_some_and(|fraction| fraction.is_empty() || !all_digits(fraction))
        || (whole.is_empty() && fraction.is_none())
        || exponent.map(signed).is_some_and(|exponent| exponent.is_empty() || !all_digits(&exponent))
    {
        return None;
    }
    let number = match exponent {
        None => Decimal::from_str(text),
        Some(_) => Decimal::from_scientific(text),
    };
    Some(number.map_or(Read::TooLarge, Read::Number))
}

/// Reads a number as people write it, once it is said what their decimal mark is: `$1,234.50`, `1 234,50 €`, `12 %`.
pub fn read_as(text: &str, mark: char) -> Option<Decimal> {
    let (text, percent) = match text.trim().strip_suffix('%') {
        Some(rest) => (rest, true),
        None => (text.trim(), false),
    };
    let mut plain = String::with_capacity(text.len());
    // Digits since the last mark of thousands, of which there are three then.
    let mut group: Option<u32> = None;
    for c in text.chars() {
        match c {
            c if c == mark => {
                group.take().is_none_or(|digits| digits == 3).then_some(())?;
                plain.push('.');
            }
            '0'..='9' | '-' => {
                group = group.map(|digits| digits + 1);
                plain.push(c);
            }
            '.' | ',' | '\'' | '’' | '_' if plain.contains('.') => return None,
            '.' | ',' | '\'' | '’' | '_' => group = Some(0),
            // Signs of money say nothing more.
            '$' | '€' | '£' | '¥' => {}
            c if c.is_whitespace() => {}
            _ => return None,
        }
    }
    group.is_none_or(|digits| digits == 3).then_some(())?;
    // Here a zero in front is no name any more: the author of the formula has said that it is a number.
    let negative = plain.starts_with('-');
    let digits = plain.trim_start_matches('-').trim_start_matches('0');
    let digits = if digits.is_empty() || digits.starts_with('.') { format!("0{digits}") } else { digits.to_owned() };
    if !plain.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let Some(Read::Number(number)) = read(digits.trim_end_matches('.')) else { return None };
    let number = if percent { number.checked_div(Decimal::ONE_HUNDRED)? } else { number };
    Some(if negative { -number } else { number })
}

/// As it is shown: exact, but for the tail of a division. 15 digits that count, or 10 behind the point, are kept at least.
pub fn shown(number: Decimal) -> Decimal {
    let whole = number.trunc().abs();
    let tail = if whole.is_zero() {
        let zeros = number.abs().normalize();
        // 0.00123 has two zeros before its first digit that counts.
        let digits = u32::try_from(zeros.mantissa().to_string().len()).unwrap_or_default();
        15 + zeros.scale().saturating_sub(digits)
    } else {
        15_u32.saturating_sub(u32::try_from(whole.to_string().len()).unwrap_or(15))
    };
    round(number, tail.max(10)).normalize()
}

/// Half goes away from zero, as in every spreadsheet.
pub fn round(number: Decimal, digits: u32) -> Decimal {
    number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

/// As a number of JSON, or as text where a reader's floating point would change it.
pub fn json(number: Decimal) -> serde_json::Value {
    let text = shown(number).to_string();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    match serde_json::from_str::<serde_json::Number>(&text) {
        Ok(number) if digits <= 15 => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_read_and_names_are_not() {
        for (text, number) in
            [("12", "12"), ("-3.50", "-3.5"), (".5", "0.5"), ("1e3", "1000"), ("2.5E-2", "0.025"), ("0", "0")]
        {
            assert_eq!(read(text), Some(Read::Number(decimal(number))), "{text}");
        }
        for text in ["007", "1,234", "+49", "1.", "", "-", "1e", "e5", "0x1", "NaN", "1 2", "--1", "٣"] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in ["1e300", "99999999999999999999999999999999"] {
            assert_eq!(read(text), Some(Read::TooLarge), "{text}");
        }
    }

    #[test]
    fn people_say_what_their_mark_is() {
        assert_eq!(read_as("1.234,50 €", ','), Some(decimal("1234.5")));
        assert_eq!(read_as("$1,234.50", '.'), Some(decimal("1234.5")));
        assert_eq!(read_as("-12 %", '.'), Some(decimal("-0.12")));
        assert_eq!(read_as("007", '.'), Some(decimal("7")));
        assert_eq!(read_as("0,0", ','), Some(decimal("0")));
        for text in ["", "€", "1,2,3", "12 apples", "1-2", "1,5.0", "1.5"] {
            assert_eq!(read_as(text, ','), None, "{text}");
        }
    }

    #[test]
    fn sums_are_shown_exactly_and_thirds_as_thirds() {
        assert_eq!(shown(decimal("0.1") + decimal("0.2")).to_string(), "0.3");
        assert_eq!(shown(decimal("12345678901234567.89")).to_string(), "12345678901234567.89");
        assert_eq!(shown(decimal("1") / decimal("3")).to_string(), "0.333333333333333");
        assert_eq!(shown(decimal("10") / decimal("3") * decimal("3")).to_string(), "10");
        assert_eq!(shown(decimal("0.000000000001234")).to_string(), "0.000000000001234");
        assert_eq!(json(decimal("20.00")), serde_json::json!(20));
        assert_eq!(json(decimal("12345678901234567.89")), serde_json::json!("12345678901234567.89"));
    }
}
