//! Times as people read and write them. All in UTC: a record is compared with other records.

use jiff::{Span, SpanRelativeTo, Timestamp};

/// Microseconds since 1970-01-01 UTC as RFC 3339, to the second.
pub(crate) fn at(micros: i64) -> String {
    let second = Timestamp::from_second(micros.div_euclid(1_000_000)).unwrap_or_default();
    second.to_string()
}

/// To the millisecond, where what happened in one second is to be told apart.
pub(crate) fn exact(micros: i64) -> String {
    let time = Timestamp::from_millisecond(micros.div_euclid(1_000)).unwrap_or_default();
    format!("{time:.3}")
}

/// `2h`, `30m` or `7d` before now, or a time in RFC 3339.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    let wrong =
        || format!("`{}` is no time: write `30m`, `2h`, `7d` or 2026-11-25T10:00:00Z", crate::ui::printable(text));
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let span: Span = text.parse().map_err(|_| wrong())?;
    let ago = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if ago.is_negative() {
        return Err(wrong());
    }
    Timestamp::now().checked_sub(ago).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        assert_eq!(at(1_700_000_000_123_456), "2023-11-14T22:13:20Z");
        assert_eq!(exact(1_700_000_000_123_456), "2023-11-14T22:13:20.123Z");
        assert_eq!(since("2023-11-14T22:13:20Z"), Ok(Timestamp::from_second(1_700_000_000).unwrap()));
        for (text, seconds) in [("30m", 1_800), ("2h", 7_200), ("7d", 604_800), ("1h 30m", 5_400)] {
            let ago = Timestamp::now().as_second() - since(text).unwrap().as_second();
            assert!((ago - seconds).abs() < 60, "{text}: {ago}");
        }
        for wrong in ["", "soon", "2", "-2h", "2023-13-01T00:00:00Z", "9999999999h"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
