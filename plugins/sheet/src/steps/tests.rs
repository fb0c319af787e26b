use std::path::Path;

use serde_json::json;

use super::*;
use crate::load::{Source, load};

fn data(with: &[&str]) -> Vec<Table> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let with: Vec<String> = with.iter().map(|&path| path.into()).collect();
    load(&folder, Source { path: Some("orders.csv"), with: &with, ..Source::default() }).unwrap()
}

fn text(csv: &str) -> Vec<Table> {
    load(Path::new("/nowhere"), Source { text: Some(csv), ..Source::default() }).unwrap()
}

fn plan(steps: serde_json::Value) -> Plan {
    serde_json::from_value(json!({ "steps": steps })).unwrap()
}

fn rows(work: &Work) -> Vec<Vec<String>> {
    work.table.rows.iter().map(|row| row.cells.iter().map(Value::to_string).collect()).collect()
}

fn lines(sheets: Vec<Table>, steps: serde_json::Value) -> Vec<String> {
    rows(&run(&plan(steps), sheets).unwrap()).into_iter().map(|row| row.join(" ")).collect()
}

fn wrong(sheets: Vec<Table>, steps: serde_json::Value) -> (usize, String) {
    let misfit = run(&plan(steps), sheets).err().unwrap();
    (misfit.step, misfit.why)
}

#[test]
fn a_question_of_several_steps_is_computed_with_its_trail() {
    let steps = json!([
        { "op": "derive", "column": "net", "formula": "round(quantity * [unit price] * (1 - coalesce(discount, 0)), 2)" },
        { "op": "join", "sheet": "customers", "left": "customer", "right": "id", "kind": "left" },
        { "op": "group", "by": ["country"], "aggregates": [
            { "column": "sold", "function": "sum", "of": "net" },
            { "column": "orders", "function": "count", "of": "*" },
        ] },
        { "op": "sort", "by": [{ "column": "sold", "order": "descending" }] },
        { "op": "limit", "rows": 3 },
    ]);
    let work = run(&plan(steps), data(&["customers.csv"])).unwrap();
    assert_eq!(
        rows(&work),
        [
            ["Norway", "949.29", "5"].map(String::from),
            ["Canada", "831.65", "2"].map(String::from),
            ["Portugal", "781.37", "4"].map(String::from)
        ]
    );
    let trail: Vec<_> = work.trail.iter().map(|trail| (trail.rows_before, trail.rows_after)).collect();
    assert_eq!(trail, [(12, 12), (12, 12), (12, 12), (12, 4), (4, 4), (4, 3)]);
    assert_eq!(
        work.trail[2].note.as_deref(),
        Some("1 row of it has no match, and what has none stays, with empty cells")
    );
    assert_eq!(work.trail[4].step, "sort by `sold`, greatest first");
}

#[test]
fn filters_keep_what_is_known_to_hold() {
    let sheet = "a,b\n1,x\n,y\n3,\n0,z\n";
    assert_eq!(lines(text(sheet), json!([{ "op": "filter", "where": "a > 0" }])), ["1 x", "3 "]);
    assert_eq!(lines(text(sheet), json!([{ "op": "filter", "where": "not a > 0" }])), ["0 z"]);
    let work = run(&plan(json!([{ "op": "filter", "where": "1 / a > 0.5" }])), text(sheet)).unwrap();
    let note = work.trail[1].note.as_deref().unwrap();
    assert_eq!(note, "in 1 row the condition fails, and they are left out; the first: division by zero in row 5");
}

#[test]
fn an_error_names_its_row_wherever_it_goes() {
    let steps = json!([
        { "op": "derive", "column": "ratio", "formula": "a / b" },
        { "op": "group", "by": ["k"], "aggregates": [{ "column": "sum", "function": "sum", "of": "ratio" }] },
        { "op": "sort", "by": [{ "column": "sum", "order": "descending" }] },
    ]);
    let lines = lines(text("k,a,b\nx,1,0\nx,1,2\ny,1,4\nz,,1\n"), steps);
    assert_eq!(lines, ["y 0.25", "z 0", "x #division by zero in row 2"]);
}

#[test]
fn sums_are_exact_and_their_end_is_said() {
    let cents = format!("a\n{}", "0.1\n0.2\n".repeat(1_000));
    let sum = |function: &str| json!([{ "op": "group", "by": [], "aggregates": [{ "column": "x", "function": function, "of": "a" }] }]);
    assert_eq!(lines(text(&cents), sum("sum")), ["300"]);
    assert_eq!(lines(text("a\n12345678901234567.89\n0.01\n"), sum("sum")), ["12345678901234567.9"]);
    let large = "a\n70000000000000000000000000000\n70000000000000000000000000000\n";
    assert_eq!(lines(text(large), sum("sum")), ["#a sum of more than 28 digits"]);
    for (function, value) in
        [("average", "2"), ("median", "1.5"), ("min", "1"), ("max", "4"), ("count", "4"), ("count_distinct", "3")]
    {
        assert_eq!(lines(text("a\n1\n2\n1\n4\n\"\"\n"), sum(function)), [value], "{function}");
    }
    for (function, value) in [("sum", "0"), ("average", ""), ("median", ""), ("max", ""), ("count", "0")] {
        let steps = json!([{ "op": "filter", "where": "false" }, sum(function)[0]]);
        assert_eq!(lines(text("a\n1\n"), steps), [value], "{function}");
    }
}

#[test]
fn order_is_the_same_everywhere() {
    let sheet = "t,n\nb,2\nÄ,10\na,\nB,1\nA,2\n";
    let by = |column: &str, order: &str| json!([{ "op": "sort", "by": [{ "column": column, "order": order }] }, { "op": "select", "columns": ["t"] }]);
    assert_eq!(lines(text(sheet), by("t", "ascending")), ["A", "a", "B", "b", "Ä"]);
    assert_eq!(lines(text(sheet), by("n", "ascending")), ["B", "b", "A", "Ä", "a"]);
    assert_eq!(lines(text(sheet), by("n", "descending")), ["Ä", "b", "A", "B", "a"]);
}

#[test]
fn a_cross_table_has_a_column_for_each_value() {
    let steps = json!([
        { "op": "derive", "column": "month", "formula": "year_month(date)" },
        { "op": "pivot", "rows": ["product"], "columns": "month", "function": "sum", "of": "quantity" },
        { "op": "sort", "by": [{ "column": "product" }] },
    ]);
    let work = run(&plan(steps), data(&[])).unwrap();
    let names: Vec<_> = work.table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["product", "2026-01", "2026-02", "2026-03", "2026-04"]);
    assert_eq!(rows(&work)[2].join(","), "Lamp,14,,7,12");
    // Names that are values stay with the person: what is told of a misfit may go to a model.
    let steps = json!([
        { "op": "pivot", "rows": ["product"], "columns": "customer", "function": "count", "of": "*" },
        { "op": "filter", "where": "nothing = 1" },
    ]);
    let (step, why) = wrong(data(&[]), steps);
    assert_eq!((step, why.contains("C-0")), (2, false), "{why}");
    assert!(why.ends_with("there are `product`, and 6 that the pivot made"), "{why}");
}

#[test]
fn joins_keep_or_drop_and_never_explode() {
    let steps = |kind: &str| {
        json!([
            { "op": "join", "sheet": "customers", "left": "customer", "right": "id", "kind": kind },
            { "op": "filter", "where": "order > 1009" },
            { "op": "select", "columns": ["order", "name"] },
        ])
    };
    assert_eq!(lines(data(&["customers.csv"]), steps("inner")), ["1010 Kestrel & Co", "1012 Ostara"]);
    assert_eq!(lines(data(&["customers.csv"]), steps("left")), ["1010 Kestrel & Co", "1011 ", "1012 Ostara"]);
    let (_, why) = wrong(data(&[]), steps("left"));
    assert_eq!(why, "there is no other sheet `customers` to join");
    let many = format!("k\n{}", "1\n".repeat(10_000));
    let mut sheets = text(&many);
    sheets.push(Table { name: "other".into(), ..sheets[0].clone() });
    let (_, why) =
        wrong(sheets, json!([{ "op": "join", "sheet": "other", "left": "k", "right": "k", "kind": "inner" }]));
    assert!(why.contains("100000000 rows"), "{why}");
}

#[test]
fn plans_that_do_not_fit_say_which_step_and_why() {
    let aggregate =
        |column: &str, function: &str, of: &str| json!({ "column": column, "function": function, "of": of });
    for (step, part) in [
        (json!({ "op": "select", "columns": ["cost"] }), "there is no column `cost`"),
        (json!({ "op": "select", "columns": [] }), "selects no columns"),
        (json!({ "op": "select", "columns": ["order", "ORDER"] }), "a column twice"),
        (json!({ "op": "filter", "where": "quantity" }), "must be true or false"),
        (json!({ "op": "derive", "column": " ", "formula": "1" }), "has no name"),
        (json!({ "op": "sort", "by": [] }), "sorts by no column"),
        (json!({ "op": "group", "by": [], "aggregates": [] }), "groups by nothing"),
        (json!({ "op": "group", "by": ["customer", "customer"], "aggregates": [] }), "by a column twice"),
        (
            json!({ "op": "group", "by": ["customer"], "aggregates": [aggregate("customer", "count", "*")] }),
            "there already",
        ),
        (json!({ "op": "group", "by": [], "aggregates": [aggregate("x", "sum", "product")] }), "taken of numbers"),
        (json!({ "op": "group", "by": [], "aggregates": [aggregate("x", "sum", "*")] }), "say of what"),
        (
            json!({ "op": "pivot", "rows": ["order"], "columns": "order", "function": "count", "of": "*" }),
            "for rows and for columns",
        ),
    ] {
        let (at, why) = wrong(data(&[]), json!([{ "op": "limit", "rows": 5 }, step]));
        assert!(at == 2 && why.contains(part), "{step}: {why}");
    }
    let (_, why) = wrong(data(&[]), json!(vec![json!({ "op": "limit", "rows": 1 }); 41]));
    assert!(why.contains("at most 40"), "{why}");
}

#[test]
fn a_table_does_not_grow_beyond_its_end() {
    let wide = format!("a\n{}", "x\n".repeat(60_000));
    let steps: Vec<_> = (0..10).map(|n| json!({ "op": "derive", "column": n.to_string(), "formula": "a" })).collect();
    let (step, why) = wrong(text(&wide), steps.into());
    assert_eq!((step, why.as_str()), (6, "the table would have more than 400000 cells"));
    // A text that doubles in each step becomes an error, not memory.
    let steps: Vec<_> = (0..30).map(|_| json!({ "op": "derive", "column": "a", "formula": "a & a & a & a" })).collect();
    assert_eq!(lines(text("a\nxyz\n"), steps.into()), ["#a text of more than 100000 bytes in row 2"]);
}
