use super::*;
use crate::date::Date;
use crate::number::Decimal;

fn columns() -> Vec<Column> {
    [
        ("n", Kind::Number),
        ("m", Kind::Number),
        ("unit price", Kind::Number),
        ("t", Kind::Text),
        ("d", Kind::Date),
        ("at", Kind::DateTime),
        ("yes", Kind::Boolean),
        ("hole", Kind::Number),
        ("bad", Kind::Number),
    ]
    .map(|(name, kind)| Column::new(name, kind))
    .to_vec()
}

fn row() -> Vec<Value> {
    let day = Date::new(2024, 1, 31).unwrap();
    vec![
        Value::Number(Decimal::new(125, 1)),
        Value::Number(0.into()),
        Value::Number(3.into()),
        Value::text("Grüße"),
        Value::Date(day),
        Value::DateTime(day.midnight().plus_seconds(3_600).unwrap()),
        Value::Boolean(true),
        Value::Empty,
        Value::Error("division by zero in row 7".into()),
    ]
}

fn of(text: &str) -> String {
    match compile(text, &columns()).unwrap().of(&row()) {
        Ok(Value::Empty) => "empty".into(),
        Ok(value) => value.to_string(),
        Err(fault) => located(fault, 9).to_string(),
    }
}

fn wrong(text: &str) -> String {
    compile(text, &columns()).unwrap_err()
}

#[test]
fn operators_bind_as_in_mathematics() {
    for (text, value) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 ^ 3 ^ 2", "512"),
        ("-2 ^ 2", "-4"),
        ("2 ^ -1", "0.5"),
        ("10 - 4 - 3", "3"),
        ("7 % 4", "3"),
        ("0.1 + 0.2", "0.3"),
        ("0.1 + 0.2 = 0.3", "true"),
        ("n*2", "25"),
        ("[unit price] * `n`", "37.5"),
        ("[UNIT PRICE]", "3"),
        ("'a' & 1 & \"b\"", "a1b"),
        ("'it''s'", "it's"),
        ("1 < 2 and not 2 < 1 or false", "true"),
        ("n between 12 and 13", "true"),
        ("n not between 12 and 13", "false"),
        ("t in ('x', 'Grüße')", "true"),
        ("t not in ('x')", "true"),
        ("n <> 1 && n != 2 || false", "true"),
        ("1e3 + .5", "1000.5"),
    ] {
        assert_eq!(of(text), value, "{text}");
    }
}

#[test]
fn what_is_empty_stays_empty_and_errors_stay_errors() {
    for (text, value) in [
        ("hole + 1", "empty"),
        ("hole > 1", "empty"),
        ("not hole > 1", "empty"),
        ("hole > 1 and false", "false"),
        ("hole > 1 or true", "true"),
        ("hole is empty", "true"),
        ("hole = empty", "true"),
        ("n is not empty", "true"),
        ("n != null", "true"),
        ("coalesce(hole, n)", "12.5"),
        ("greatest(hole, m, 4)", "4"),
        ("'a' & hole", "a"),
        ("n / m", "#division by zero in row 9"),
        ("n % m", "#division by zero in row 9"),
        ("0 ^ -1", "#division by zero in row 9"),
        ("bad + 1", "#division by zero in row 7"),
        ("if(m = 0, 0, n / m)", "0"),
        ("if_error(n / m, 0)", "0"),
        ("9999999999999999999999999999 * 1000000", "#a number of more than 28 digits in row 9"),
        ("10 ^ 100", "#a number of more than 28 digits in row 9"),
        ("2 ^ 0.5", "#a power that is no whole number from -1000 to 1000 in row 9"),
    ] {
        assert_eq!(of(text), value, "{text}");
    }
}

#[test]
fn dates_are_counted_and_compared() {
    for (text, value) in [
        ("d + 1", "2024-02-01"),
        ("1 + d", "2024-02-01"),
        ("d - '2024-01-01'", "30"),
        ("at - d", "0.0416666666666667"),
        ("at + 0.5", "2024-01-31 13:00:00"),
        ("d >= '2024-01-31'", "true"),
        ("'2024-02-01' > d", "true"),
        ("at > d", "true"),
        ("d in ('2024-01-31')", "true"),
        ("d between '2024-01-01' and '2024-12-31'", "true"),
        ("year(d) * 100 + month(d)", "202401"),
        ("quarter(d)", "1"),
        ("weekday(d)", "3"),
        ("hour(at)", "1"),
        ("day_of(at)", "2024-01-31"),
        ("month_start(at)", "2024-01-01"),
        ("year_month(d)", "2024-01"),
        ("add_months(d, 1)", "2024-02-29"),
        ("date(2024, 2, 29)", "2024-02-29"),
        ("date(2023, 2, 29)", "#a date that is none in row 9"),
        ("date('31.12.23', 'DD.MM.YY')", "2023-12-31"),
        ("d + 1e20", "#a date that is none in row 9"),
        ("d + 0.5", "#a date plus a part of a day in row 9"),
    ] {
        assert_eq!(of(text), value, "{text}");
    }
}

#[test]
fn texts_and_numbers_have_their_functions() {
    for (text, value) in [
        ("upper(t)", "GRÜSSE"),
        ("length(t)", "5"),
        ("left(t, 3)", "Grü"),
        ("right(t, 2)", "ße"),
        ("mid(t, 2, 2)", "rü"),
        ("mid(t, 0, 2)", "#a text's first letter is number 1, not 0 in row 9"),
        ("contains(t, 'üß') and starts_with(t, 'G') and ends_with(t, 'e')", "true"),
        ("replace(t, 'ü', 'ue')", "Grueße"),
        ("replace(t, '', 'x')", "Grüße"),
        ("trim('  a ')", "a"),
        ("number('1.234,5', ',') + 1", "1235.5"),
        ("number('x')", "#a text that is no number in row 9"),
        ("number('n/a', '.')", "empty"),
        ("date('-', 'DD.MM.YYYY')", "empty"),
        ("text(n) & '!'", "12.5!"),
        ("round(2.5) + round(-2.5)", "0"),
        ("round(n / 3, 2)", "4.17"),
        ("round(n, -1)", "#rounding to other than 0 to 28 digits in row 9"),
        ("abs(-n) + floor(n) + ceil(n) + sign(-n)", "36.5"),
        ("MIN(n, 3)", "3"),
    ] {
        assert_eq!(of(text), value, "{text}");
    }
}

#[test]
fn what_does_not_fit_is_said_before_any_row() {
    for (text, why) in [
        ("n + t", "a number and a text cannot be added or subtracted; texts are joined by `&`"),
        ("t > 1", "a text and a number cannot be compared"),
        ("d > 'soon'", "a date and a text cannot be compared"),
        ("d + d", "a date and a date cannot be added"),
        ("upper(n)", "value 1 of `upper` must be a text, and is a number"),
        ("if(n, 1, 2)", "value 1 of `if` must be a boolean"),
        ("if(yes, 1, 'a')", "`if` takes values of one kind, and not a number and a text"),
        ("round()", "`round` takes 1 or more values, and is given 0"),
        ("nothing(1)", "there is no function `nothing`"),
        ("price", "there is no column `price`; there are `n`, `m`, `unit price`"),
        ("not n", "`not` stands before a condition"),
        ("n and yes", "`and` and `or` stand between conditions"),
        ("n in ('a')", "a number is never in a list with a text"),
        ("1 +", "a value is missing at the end"),
        ("(1", "`)` is missing at the end"),
        ("1 2", "`2` was not expected"),
        ("'a", "a `'` is never closed"),
        ("n ; 1", "`;` has no meaning here"),
        ("n is 1", "after `is` there stands"),
        ("1e99", "is no number of at most 28 digits"),
        ("", "a value is missing"),
    ] {
        let said = wrong(text);
        assert!(said.contains(why), "{text}: {said}");
    }
    assert!(condition("n", &columns()).unwrap_err().contains("must be true or false"));
    assert_eq!(compile("empty", &columns()).unwrap().kind, None);
}

#[test]
fn depth_and_length_have_an_end() {
    for text in ["(".repeat(3_000), "-".repeat(3_000), "not ".repeat(900), "1+".repeat(1_500) + "1", "abs(".repeat(900)]
    {
        assert!(wrong(&text).len() > text.len(), "it says why");
    }
    assert!(wrong(&"1+".repeat(3_000)).contains("at most 4000 bytes"));
    assert_eq!(of(&("1+".repeat(90) + "1")), "91");
}

/// Whatever is written, reading and computing it gives a value or a reason.
#[test]
fn nothing_that_is_written_crashes() {
    const WORDS: [&str; 40] = [
        "n",
        "m",
        "t",
        "d",
        "at",
        "yes",
        "hole",
        "bad",
        "[unit price]",
        "1",
        "0",
        "2.5",
        "1e20",
        "'x'",
        "'2024-01-01'",
        "empty",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "&",
        "=",
        "<",
        ">=",
        "and",
        "or",
        "not",
        "is",
        "in",
        "between",
        "(",
        ")",
        ",",
        "if(",
        "round(",
        "date(",
        "mid(",
        "coalesce(",
    ];
    let (columns, row) = (columns(), row());
    arbtest::arbtest(|bytes| {
        let mut text = String::new();
        for _ in 0..bytes.int_in_range(0..=12)? {
            text.push_str(WORDS[bytes.choose_index(WORDS.len())?]);
            text.push(' ');
        }
        if bytes.ratio(1, 5)? {
            text.push_str(bytes.arbitrary()?);
        }
        if let Ok(formula) = compile(&text, &columns) {
            let value = formula.of(&row);
            if let (Ok(value), Some(kind)) = (&value, formula.kind) {
                let fits = value.kind().is_none_or(|found| found == kind || (found.is_time() && kind.is_time()));
                assert!(fits, "{text} is said to be a {kind:?} and gives {value:?}");
            }
            assert!(!matches!(&value, Err(Fault::Here(why)) if why.contains("another kind")), "{text}: {value:?}");
        }
        Ok(())
    });
}
