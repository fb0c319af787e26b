//! Charts as SVG: bars and lines, with nothing in them but shapes and text.

use std::fmt::Write;

use crate::number::Decimal;
use crate::plan::{Chart, ChartKind};
use crate::table::Table;
use crate::value::{Kind, Value};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 84.0;
/// Most rows that are drawn: more bars, or points, than these could not be told apart.
const MOST_BARS: usize = 60;
const MOST_POINTS: usize = 2_000;
/// Okabe and Ito's colours, which the colour-blind tell apart.
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

/// A table drawn, and what to say of it.
pub struct Drawing {
    pub svg: String,
    pub note: Option<String>,
}

/// A chart for a table whose maker named none: the first column that is no number along, the numbers up.
pub fn usual(kind: ChartKind, table: &Table) -> Option<Chart> {
    let is_number = |name: &&String| table.column(name).is_ok_and(|at| table.columns[at].kind == Kind::Number);
    let names: Vec<&String> = table.columns.iter().map(|column| &column.name).collect();
    let x = names.iter().copied().find(|name| !is_number(name)).or_else(|| names.first().copied())?;
    let y: Vec<String> =
        names.into_iter().filter(|name| *name != x && is_number(name)).take(COLOURS.len()).cloned().collect();
    (!y.is_empty()).then(|| Chart { kind, x: x.clone(), y })
}

/// Draws a chart. The error says what does not fit the table.
pub fn draw(chart: &Chart, title: &str, table: &Table) -> Result<Drawing, String> {
    let x = table.column(&chart.x)?;
    if chart.y.is_empty() || chart.y.len() > COLOURS.len() {
        return Err(format!("a chart shows 1 to {} columns, not {}", COLOURS.len(), chart.y.len()));
    }
    let mut series = Vec::new();
    for (name, colour) in chart.y.iter().zip(COLOURS) {
        let at = table.column(name)?;
        if table.columns[at].kind != Kind::Number {
            return Err(format!("a chart shows numbers, and `{name}` is a {}", table.columns[at].kind.name()));
        }
        series.push(Series { name, at, colour });
    }
    let most = if chart.kind == ChartKind::Bar { MOST_BARS } else { MOST_POINTS };
    let count = table.rows.len().min(most);
    let rows: Vec<&[Value]> = table.rows[..count].iter().map(|row| row.cells.as_slice()).collect();
    let values = rows.iter().flat_map(|row| series.iter().filter_map(|one| height(&row[one.at])));
    let scale = Scale::of(values, chart.kind == ChartKind::Bar);
    let along = Along::new(chart.kind, x, &rows);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"sans-serif\" font-size=\"12\"><title>{0}</title><rect width=\"100%\" height=\"100%\" \
         fill=\"#fff\"/><text x=\"{LEFT}\" y=\"20\" font-size=\"15\" fill=\"#222\">{0}</text>",
        escaped(&cut(title, 90))
    );
    legend(&mut svg, &series);
    axis(&mut svg, &scale);
    for (place, one) in series.iter().enumerate() {
        match chart.kind {
            ChartKind::Bar => bars(&mut svg, one, place, series.len(), &rows, &scale),
            ChartKind::Line => line(&mut svg, one, &along, &rows, &scale),
        }
    }
    labels(&mut svg, &along, x, &rows);
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#222\">{}</text></svg>",
        LEFT + inner() / 2.0,
        HEIGHT - 6.0,
        escaped(&cut(&chart.x, 60))
    );
    let note =
        (count < table.rows.len()).then(|| format!("the chart shows the first {count} of {} rows", table.rows.len()));
    Ok(Drawing { svg, note })
}

struct Series<'a> {
    name: &'a str,
    at: usize,
    colour: &'static str,
}

fn inner() -> f64 {
    WIDTH - LEFT - RIGHT
}

fn float(number: Decimal) -> f64 {
    // Seventeen digits are more than a pixel needs.
    number.to_string().parse().unwrap_or_default()
}

fn height(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(float(*number)),
        _ => None,
    }
}

/// The vertical scale.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// Round numbers around all values. Bars stand on 0, since their length is what they say.
    fn of(values: impl Iterator<Item = f64>, from_zero: bool) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (mut low, mut high) = if low > high { (0.0, 1.0) } else { (low, high) };
        if from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low <= f64::EPSILON * high.abs().max(low.abs()) {
            (low, high) = (low - 1.0, high + 1.0);
        }
        let rough = (high - low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    }
}

/// Where rows stand along the horizontal axis, from 0 to 1.
struct Along(Vec<f64>);

impl Along {
    /// Lines over numbers and dates are as far apart as these; everything else stands in equal places.
    fn new(kind: ChartKind, x: usize, rows: &[&[Value]]) -> Self {
        let equal = || (0..rows.len()).map(|at| (at as f64 + 0.5) / rows.len() as f64).collect();
        if kind == ChartKind::Bar {
            return Self(equal());
        }
        let place = |row: &&[Value]| match &row[x] {
            Value::Number(number) => Some(float(*number)),
            Value::Date(date) => Some(f64::from(date.days())),
            Value::DateTime(moment) => Some(moment.seconds() as f64),
            _ => None,
        };
        let Some(places) = rows.iter().map(place).collect::<Option<Vec<_>>>() else { return Self(equal()) };
        let (low, high) =
            places.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        if high <= low {
            return Self(equal());
        }
        Self(places.into_iter().map(|place| 0.06 + 0.88 * (place - low) / (high - low)).collect())
    }

    fn x(&self, at: usize) -> f64 {
        LEFT + self.0[at] * inner()
    }
}

fn legend(svg: &mut String, series: &[Series<'_>]) {
    let room = inner() / series.len() as f64;
    for (at, one) in series.iter().enumerate() {
        let x = LEFT + at as f64 * room;
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"32\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{:.1}\" y=\"41\" fill=\"#222\">{}</text>",
            one.colour,
            x + 15.0,
            escaped(&cut(one.name, (room / 7.5) as usize))
        );
    }
}

fn axis(svg: &mut String, scale: &Scale) {
    let steps = ((scale.high - scale.low) / scale.step).round() as usize;
    for n in 0..=steps.min(20) {
        let value = scale.low + n as f64 * scale.step;
        let y = scale.y(value);
        // A sum of steps is not quite 0 where it should be.
        let value = if value.abs() < scale.step / 1e6 { 0.0 } else { value };
        let digits = (-scale.step.log10().floor()).clamp(0.0, 10.0) as usize;
        let label = if value.abs() >= 1e12 { format!("{value:.2e}") } else { format!("{value:.digits$}") };
        let colour = if value == 0.0 { "#888" } else { "#ddd" };
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\" fill=\"#555\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        );
    }
}

fn bars(svg: &mut String, one: &Series<'_>, place: usize, of: usize, rows: &[&[Value]], scale: &Scale) {
    let room = inner() / rows.len().max(1) as f64;
    let width = room * 0.8 / of as f64;
    for (at, row) in rows.iter().enumerate() {
        let Some(value) = height(&row[one.at]) else { continue };
        let (top, bottom) = (scale.y(value.max(0.0)), scale.y(value.min(0.0)));
        let x = LEFT + at as f64 * room + room * 0.1 + place as f64 * width;
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
            bottom - top,
            one.colour
        );
    }
}

/// A line for each run of values: where one is missing there is a gap.
fn line(svg: &mut String, one: &Series<'_>, along: &Along, rows: &[&[Value]], scale: &Scale) {
    let points =
        rows.iter().enumerate().map(|(at, row)| height(&row[one.at]).map(|value| (along.x(at), scale.y(value))));
    let points: Vec<_> = points.collect();
    for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
        let path: Vec<_> = run.iter().flatten().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
            path.join(" "),
            one.colour
        );
    }
    if points.len() <= MOST_BARS {
        for (x, y) in points.iter().flatten() {
            let _ = write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{}\"/>", one.colour);
        }
    }
}

/// As many labels as there is room for, slanted where they are long.
fn labels(svg: &mut String, along: &Along, x: usize, rows: &[&[Value]]) {
    let every = rows.len().div_ceil(24).max(1);
    let shown = || (0..rows.len()).step_by(every);
    let text = |at: usize| cut(&rows[at][x].to_string(), 14);
    let longest = shown().map(|at| text(at).chars().count()).max().unwrap_or_default() as f64;
    let slanted = (longest * 7.5 + 10.0) * shown().count() as f64 > inner();
    for at in shown() {
        let (x, y) = (along.x(at), HEIGHT - BOTTOM + 16.0);
        let turn = match slanted {
            true => format!("text-anchor=\"end\" transform=\"rotate(-35 {x:.1} {y:.1})\""),
            false => "text-anchor=\"middle\"".to_owned(),
        };
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {turn} fill=\"#555\">{}</text>", escaped(&text(at)));
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Text that stays text: cells are strangers' words, and an SVG may be opened in a browser.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML takes no other control characters, and none of these.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, Row};

    fn table(rows: usize) -> Table {
        let columns = vec![Column::new("<x>", Kind::Text), Column::new("n", Kind::Number)];
        let row = |at: usize| Row {
            number: at,
            cells: vec![Value::text(format!("</text><script>{at}")), Value::Number(Decimal::from(at) - Decimal::TWO)],
        };
        Table { name: "t".into(), columns, rows: (0..rows).map(row).collect(), notes: Vec::new() }
    }

    #[test]
    fn charts_are_drawn_and_hold_no_markup_of_the_data() {
        for kind in [ChartKind::Bar, ChartKind::Line] {
            for rows in [0, 1, 5, 5_000] {
                let table = table(rows);
                let chart = usual(kind, &table).unwrap();
                let drawing = draw(&chart, "A & B", &table).unwrap();
                assert!(drawing.svg.starts_with("<svg ") && drawing.svg.ends_with("</svg>"));
                assert!(
                    !drawing.svg.contains("<script") && !drawing.svg.contains("NaN") && !drawing.svg.contains("inf")
                );
                assert!(drawing.svg.contains("A &amp; B"));
                assert_eq!(drawing.note.is_some(), rows == 5_000);
            }
        }
        let drawn = draw(&usual(ChartKind::Bar, &table(5)).unwrap(), "", &table(5)).unwrap().svg;
        assert_eq!(drawn.matches("fill=\"#0072b2\"").count(), 5 + 1, "bars, and the legend: {drawn}");
    }

    #[test]
    fn what_is_no_number_is_not_drawn() {
        let table = table(2);
        let chart = |x: &str, y: &[&str]| Chart {
            kind: ChartKind::Bar,
            x: x.into(),
            y: y.iter().map(|&name| name.into()).collect(),
        };
        assert!(draw(&chart("<x>", &["<x>"]), "", &table).is_err());
        assert!(draw(&chart("<x>", &[]), "", &table).is_err());
        assert!(draw(&chart("y", &["n"]), "", &table).is_err());
    }

    #[test]
    fn scales_are_round() {
        let scale = Scale::of([3.0, 97.0].into_iter(), true);
        assert_eq!((scale.low, scale.high, scale.step), (0.0, 100.0, 20.0));
        let scale = Scale::of([5.0, 5.0].into_iter(), false);
        assert!(scale.low < 5.0 && scale.high > 5.0);
        let scale = Scale::of([7e27, -7e27].into_iter(), true);
        assert!(scale.step.is_finite() && scale.low <= -7e27);
    }
}
