//! Days and moments of the proleptic Gregorian calendar, without time zones: a sheet says what the clock on the wall said.

use std::fmt;

/// Days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

/// Seconds since 1970-01-01 00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

pub const SECONDS_PER_DAY: i64 = 86_400;
/// The years that are dates. Wider ones are typing errors.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

impl Date {
    /// None where there is no such day.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        if !YEARS.contains(&year) || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
            return None;
        }
        // Years that begin in March: the leap day is then the last of its year.
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month as i32 + 9) % 12) + 2) / 5 + day as i32 - 1;
        Some(Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468))
    }

    /// Year, month, day.
    pub fn parts(self) -> (i32, u32, u32) {
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + i32::from(month <= 2), month.unsigned_abs(), day.unsigned_abs())
    }

    pub fn days(self) -> i32 {
        self.0
    }

    /// None where it is no date any more.
    pub fn plus_days(self, days: i64) -> Option<Self> {
        let date = Self(i32::try_from(i64::from(self.0).checked_add(days)?).ok()?);
        // The parts of a day far away do not fit either.
        let near = (-720_000..=2_940_000).contains(&date.0);
        (near && YEARS.contains(&date.parts().0)).then_some(date)
    }

    /// The same day of another month, or that month's last.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        let (year, month, day) = self.parts();
        let all = (i64::from(year) * 12 + i64::from(month) - 1).checked_add(months)?;
        let year = i32::try_from(all.div_euclid(12)).ok()?;
        let month = u32::try_from(all.rem_euclid(12)).ok()? + 1;
        if !YEARS.contains(&year) {
            return None;
        }
        Self::new(year, month, day.min(days_in(year, month)))
    }

    /// 1 is Monday.
    pub fn weekday(self) -> i32 {
        (self.0 + 3).rem_euclid(7) + 1
    }

    pub fn midnight(self) -> Moment {
        Moment(i64::from(self.0) * SECONDS_PER_DAY)
    }

    /// `2024-03-01` or `2024/03/01`. Nothing else is read without being told how: `03/04/2024` means two days.
    pub fn read(text: &str) -> Option<Self> {
        let mark = if text.contains('/') { '/' } else { '-' };
        let mut parts = text.split(mark);
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if year.len() != 4 || month.len() > 2 || day.len() > 2 || parts.next().is_some() {
            return None;
        }
        Self::new(digits(year)?.try_into().ok()?, digits(month)?, digits(day)?)
    }

    /// By a format of `YYYY`, `YY`, `MM`, `DD` and what stands between. Months and days may lack their zero.
    pub fn read_as(text: &str, format: &str) -> Option<Self> {
        let (mut year, mut month, mut day) = (None, None, None);
        let (mut rest, mut format) = (text.trim(), format);
        while !format.is_empty() {
            let field = ["YYYY", "YY", "MM", "DD"].into_iter().find(|field| format.starts_with(field));
            let Some(field) = field else {
                let (expected, there) = (format.chars().next()?, rest.chars().next()?);
                if expected != there {
                    return None;
                }
                (format, rest) = (&format[expected.len_utf8()..], &rest[there.len_utf8()..]);
                continue;
            };
            let length = rest.bytes().take(field.len()).take_while(u8::is_ascii_digit).count();
            if field.starts_with('Y') && length != field.len() {
                return None;
            }
            let number = digits(&rest[..length])?;
            match field {
                "YYYY" => year = Some(number),
                // As POSIX has it: 69 to 99 are of the last century.
                "YY" => year = Some(if number >= 69 { 1900 + number } else { 2000 + number }),
                "MM" => month = Some(number),
                _ => day = Some(number),
            }
            (format, rest) = (&format[field.len()..], &rest[length..]);
        }
        rest.is_empty().then_some(())?;
        Self::new(year?.try_into().ok()?, month?, day?)
    }
}

impl Moment {
    pub fn new(date: Date, hour: u32, minute: u32, second: u32) -> Option<Self> {
        (hour < 24 && minute < 60 && second < 60).then_some(())?;
        Some(Self(date.midnight().0 + i64::from(hour * 3_600 + minute * 60 + second)))
    }

    pub fn date(self) -> Date {
        // A moment is made of a date, so that it fits.
        Date(i32::try_from(self.0.div_euclid(SECONDS_PER_DAY)).unwrap_or_default())
    }

    /// Hour, minute, second.
    pub fn time(self) -> (i64, i64, i64) {
        let seconds = self.0.rem_euclid(SECONDS_PER_DAY);
        (seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }

    pub fn seconds(self) -> i64 {
        self.0
    }

    /// None where it is no date any more.
    pub fn plus_seconds(self, seconds: i64) -> Option<Self> {
        let all = self.0.checked_add(seconds)?;
        Date(0).plus_days(all.div_euclid(SECONDS_PER_DAY)).map(|_| Self(all))
    }

    /// `2024-03-01 12:30`, `2024-03-01T12:30:05Z`. Fractions of a second are dropped; another offset than `Z` is not read.
    pub fn read(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', ' '])?;
        let mut parts = time.strip_suffix('Z').unwrap_or(time).split(':');
        let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
        let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
        if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Self::new(Date::read(date)?, digits(hour)?, digits(minute)?, digits(second)?)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = self.time();
        write!(f, "{} {hour:02}:{minute:02}:{second:02}", self.date())
    }
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn days_in(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_its_parts_and_back() {
        let mut date = Date::new(1, 1, 1).unwrap();
        let mut days = 0;
        while let Some(next) = date.plus_days(1) {
            let (year, month, day) = date.parts();
            assert_eq!(Date::new(year, month, day), Some(date), "{date}");
            (date, days) = (next, days + 1);
        }
        assert_eq!(Date::read("9999-12-31"), Some(date));
        assert_eq!((date.to_string().as_str(), days), ("9999-12-31", 3_652_058));
        assert_eq!(Date::new(1970, 1, 1).unwrap().days(), 0);
        assert_eq!(Date::new(2024, 2, 29).unwrap().weekday(), 4);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["2023-02-29", "2024-13-01", "24-01-01", "01/02/2024", "2024-1", "2024-01-01-01", "", "0000-01-01"]
        {
            assert_eq!(Date::read(text), None, "{text}");
        }
        for text in ["2024-01-01 24:00", "2024-01-01 1", "2024-01-01T10:00+02:00"] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
        assert_eq!(Date::new(9999, 12, 31).unwrap().plus_days(i64::MAX), None);
        assert_eq!(Date::new(2024, 1, 1).unwrap().plus_months(i64::MAX), None);
    }

    #[test]
    fn formats_are_told_never_guessed() {
        let day = Date::new(2024, 4, 3);
        assert_eq!(Date::read_as("03.04.2024", "DD.MM.YYYY"), day);
        assert_eq!(Date::read_as("4/3/24", "MM/DD/YY"), day);
        assert_eq!(Date::read_as("20240403", "YYYYMMDD"), day);
        assert_eq!(Date::read_as("3.4.2024x", "DD.MM.YYYY"), None);
        assert_eq!(Date::read_as("é.4.2024", "DD.MM.YYYY"), None);
        assert_eq!(Moment::read("2024-04-03T10:20:30.5Z").unwrap().to_string(), "2024-04-03 10:20:30");
        assert_eq!(Date::read("2024-01-31").unwrap().plus_months(1), Date::read("2024-02-29"));
    }
}
