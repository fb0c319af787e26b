use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::schema;

const README: &str = r#"# Heron

[![build](https://ci.example/heron.svg)](https://ci.example/heron) ![logo](logo.png)

<p align="center"><img src="x.png"></p>

Heron is a small **message queue** for [embedded devices](https://heron.example/devices). It keeps messages on flash
memory, so that a reboot loses nothing. The queue needs 4 KiB of memory and no operating system.

## Installation

```sh
cargo add heron # this is code, not a sentence.
```

Heron builds with stable Rust. There are no other requirements.

## Features

- Messages survive a power cut.
- Delivery is *at least once*, and duplicates carry a flag.
- The queue works without an allocator.

| Board | Memory |
| ----- | ------ |
| nRF52 | 64 KiB |
| RP2040 | 264 KiB |

## Limits

A message has at most 255 bytes. A queue has one reader and one writer.
"#;

const INVOICE: &str = "\
Northwind Paper Ltd
Invoice number: NW-2044
Invoice date: 3 March 2026
Bill to: Ada Example
Contact: billing@northwind.example, https://northwind.example/pay

Description      Qty   Price
Copy paper A4    10    4.50
Blue folders     4     1.25

Subtotal                     50.00 EUR
Total: 1,059.50 EUR
Paid: no
";

fn ask(system: &str, document: &str) -> Request {
    let user = format!("<document>\n{document}\n</document>");
    Request {
        messages: vec![Message::text(Role::System, system), Message::text(Role::User, user)],
        ..Request::default()
    }
}

fn text(request: &Request) -> String {
    answer(request).unwrap().message.joined_text()
}

fn shape(document: &str, schema: &Value) -> Value {
    let request = Request { output_schema: Some(schema.clone()), ..ask("Extract.", document) };
    let value: Value = serde_json::from_str(&text(&request)).unwrap();
    schema::check(&schema::compile(schema).unwrap(), &value).unwrap();
    value
}

#[test]
fn summarises_a_readme() {
    let summary = text(&ask("Summarise the document in 3 sentences.", README));
    assert_eq!(
        summary,
        "Heron is a small message queue for embedded devices. It keeps messages on flash memory, so that a reboot loses \
         nothing. The queue needs 4 KiB of memory and no operating system."
    );
    assert_eq!(text(&ask("Summarise the document in 3 sentences.", README)), summary, "the same input, the same bytes");
    for noise in ["cargo add", "ci.example", "**", "|", "img"] {
        assert!(!text(&ask("Give 20 bullet points", README)).contains(noise), "{noise}");
    }
}

#[test]
fn a_table_or_headings_alone_have_a_summary_too() {
    let table = text(&ask("Summarise.", "| Board | Memory |\n| --- | --- |\n| nRF52 | 64 KiB |\n"));
    assert!(table.contains("nRF52, 64 KiB"), "{table}");
    assert_eq!(text(&ask("Summarise.", "# Heron\n\n## Limits\n")), "Heron Limits");
}

#[test]
fn real_sentences_come_before_legends_and_torn_ones() {
    let document = "# Hosts\n\nWAS wassette, HYP hyper-mcp, SPN spin, KUB kubiya: legend of rows, columns, hosts.\n\n\
        A host loads plugins and gives each of them a sandbox of its own. It is the oldest idea in the field. Most of \
        the hosts compile plugins ahead of time, and some keep them in a pool.\n";
    let summary = text(&ask("Summarise in 2 sentences.", document));
    assert!(!summary.contains("WAS") && !summary.starts_with("It "), "{summary}");
    let headline = text(&ask("Summarise in 1 sentence: a headline of at most 8 words.", document));
    assert!(headline.starts_with("Hosts: ") && headline.split_whitespace().count() <= 9, "{headline}");
}

#[test]
fn a_sentence_runs_over_lines_with_colons() {
    let document =
        "The capability has five parts, and one of them is\nthe grant: what an operator writes. The end comes soon.";
    assert!(
        text(&ask("Summarise in 5 sentences.", document))
            .contains("one of them is the grant: what an operator writes.")
    );
}

#[test]
fn honours_form_and_length() {
    let bullets = text(&ask("Give exactly four bullet points.", README));
    assert_eq!(bullets.lines().count(), 4);
    assert!(bullets.lines().all(|line| line.starts_with("- ")));
    let few = text(&ask("Summarise in at most 15 words.", README));
    assert!(few.split_whitespace().count() <= 15, "{few}");
    assert_eq!(text(&ask("Write a title.", README)), "Heron");
    let short = Request { max_tokens: Some(20), ..ask("Summarise.", README) };
    let response = answer(&short).unwrap();
    assert!(response.usage.unwrap().output_tokens <= 20);
    assert_eq!(response.stop_reason, StopReason::End, "whole sentences fit");
    let tiny = answer(&Request { max_tokens: Some(2), ..short }).unwrap();
    assert_eq!((tiny.stop_reason, tiny.message.joined_text().chars().count()), (StopReason::MaxTokens, 8));
    let stop = answer(&Request { stop: vec!["small".into()], ..ask("Brief summary", README) }).unwrap();
    assert_eq!(stop.stop_reason, StopReason::StopSequence);
}

#[test]
fn says_only_what_the_source_says() {
    let summary = text(&ask("Summarise in 10 bullet points.", README));
    let source: String = super::text::clean(&README.replace('\n', " "));
    for line in summary.lines() {
        let line = line.trim_start_matches("- ");
        assert!(source.contains(line), "{line}");
    }
}

#[test]
fn fills_a_schema_from_an_invoice() {
    let schema = json!({"type": "object", "additionalProperties": false,
        "required": ["invoice_number", "date", "total", "paid", "currency", "lines", "vat_id", "missing"],
        "properties": {
            "invoice_number": {"type": "string"},
            "date": {"type": "string", "format": "date", "description": "Invoice date"},
            "customer": {"type": ["string", "null"], "title": "Bill to"},
            "total": {"type": "number"},
            "paid": {"type": "boolean"},
            "email": {"type": "string", "format": "email"},
            "url": {"type": "string", "format": "uri"},
            "currency": {"enum": ["USD", "EUR"]},
            "vat_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "missing": {"type": "string"},
            "optional": {"type": "string"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
        "$defs": {"line": {"type": "object", "required": ["description", "quantity", "price"], "properties": {
            "description": {"type": "string"}, "quantity": {"type": "integer"}, "price": {"type": "number"}}}}});
    assert_eq!(
        shape(INVOICE, &schema),
        json!({"invoice_number": "NW-2044", "date": "2026-03-03", "customer": "Ada Example", "total": 1059.5, "paid": false,
            "email": "billing@northwind.example", "url": "https://northwind.example/pay", "currency": "EUR",
            "vat_id": null, "missing": "",
            "lines": [{"description": "Copy paper A4", "quantity": 10, "price": 4.5},
                      {"description": "Blue folders", "quantity": 4, "price": 1.25}]})
    );
}

#[test]
fn quotes_are_lines_of_the_source() {
    let field = |kind: &str| {
        json!({"anyOf": [{"type": "object", "required": ["value", "quote"], "additionalProperties": false,
            "properties": {"value": {"type": kind}, "quote": {"type": "string"}}}, {"type": "null"}]})
    };
    let schema = json!({"type": "object", "required": ["records"], "properties": {"records": {"type": "array", "items": {
        "type": "object", "required": ["invoice_number", "total", "nothing"], "properties": {
            "invoice_number": field("string"), "total": field("number"), "nothing": field("string")}}}}});
    assert_eq!(
        shape(INVOICE, &schema),
        json!({"records": [{"invoice_number": {"value": "NW-2044", "quote": "Invoice number: NW-2044"},
            "total": {"value": 1059.5, "quote": "Total: 1,059.50 EUR"}, "nothing": null}]})
    );
}

#[test]
fn several_labels_of_one_line_are_told_apart() {
    let text = "Name: Ada Lovelace, Role: Countess; Born: 10 December 1815. Town: London\n\nName: Turing, Alan. Role: Codebreaker\n";
    let record = json!({"type": "object", "properties": {"name": {"type": "string"}, "role": {"type": "string"},
        "born": {"type": "string", "format": "date"}, "town": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {"records": {"type": "array", "items": record}}});
    assert_eq!(
        shape(text, &schema)["records"],
        json!([{"name": "Ada Lovelace", "role": "Countess", "born": "1815-12-10", "town": "London"},
            {"name": "Turing, Alan", "role": "Codebreaker"}])
    );
    // A colon in a value is no label.
    let one = json!({"type": "object", "properties": {"note": {"type": "string"}, "time": {"type": "string"}}});
    let text = "Note: be there at 10:30, and remember this: bring a pen\n";
    assert_eq!(shape(text, &one), json!({"note": "be there at 10:30, and remember this: bring a pen"}));
}

#[test]
fn lists_within_records_are_filled() {
    let leaf = |kind: &str| {
        json!({"type": "object", "required": ["value", "quote"], "additionalProperties": false,
            "properties": {"value": {"type": kind}, "quote": {"type": "string"}}})
    };
    let order = json!({"type": "object", "required": ["name", "items"], "properties": {
        "name": leaf("string"),
        "items": {"type": "array", "items": {"type": "object", "properties": {"item": leaf("string"), "price": leaf("number")}}},
        "tags": {"type": "array", "items": leaf("string")},
        "sizes": {"type": "array", "items": leaf("integer")}}});
    let schema = json!({"type": "object", "properties": {"records": {"type": "array", "items": order}}});
    let text = "\
- Name: Ada
  Items:
    - item: pen, price: 2.50
    - item: ink, price: 5
  Tags: new, paid
- Name: Bob
  Items:
    - item: rope, price: 9
  Sizes:
    - 7
    - 12 mm
";
    let value = |value: Value, quote: &str| json!({"value": value, "quote": quote});
    assert_eq!(
        shape(text, &schema)["records"],
        json!([
            {"name": value("Ada".into(), "- Name: Ada"),
             "items": [{"item": value("pen".into(), "- item: pen, price: 2.50"), "price": value(2.5.into(), "- item: pen, price: 2.50")},
                {"item": value("ink".into(), "- item: ink, price: 5"), "price": value(5.into(), "- item: ink, price: 5")}],
             "tags": [value("new".into(), "Tags: new, paid"), value("paid".into(), "Tags: new, paid")]},
            {"name": value("Bob".into(), "- Name: Bob"),
             "items": [{"item": value("rope".into(), "- item: rope, price: 9"), "price": value(9.into(), "- item: rope, price: 9")}],
             "sizes": [value(7.into(), "- 7"), value(12.into(), "- 12 mm")]},
        ])
    );
}

#[test]
fn items_below_an_item_and_below_a_label_are_its_list() {
    let person = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"},
        "skills": {"type": "array", "items": {"type": "string"}}}});
    let schema = json!({"type": "object", "properties": {"people": {"type": "array", "items": person}}});
    let text = "Our people\n\n- Ada\n    - maths\n    - poetry\n- Bob\n    - law\n";
    let people = json!([{"name": "Ada", "skills": ["maths", "poetry"]}, {"name": "Bob", "skills": ["law"]}]);
    assert_eq!(shape(text, &schema)["people"], people);
    // Of the whole document, with an empty line between the label and its items.
    let schema = json!({"type": "object", "properties": {"guests": {"type": "array", "items": {"type": "string"}},
        "years": {"type": "array", "items": {"type": "integer"}}}});
    let text = "Some words first.\n\nGuests:\n\n* Ada\n* Bob\n\nOther things:\n\n* a pen\n\nYears: 1815, 1852\n";
    assert_eq!(shape(text, &schema), json!({"guests": ["Ada", "Bob"], "years": [1815, 1852]}));
    // What only looks like the beginning of a list stays in the summary.
    assert!(
        self::text(&ask("Summarise.", "Bees do this:\nthey make honey, and they sting.")).contains("they make honey")
    );
}

#[test]
fn fills_named_fields_from_markdown() {
    let schema = json!({"type": "object", "required": ["title", "summary", "key_points", "keywords"], "properties": {
        "title": {"type": "string"}, "summary": {"type": "string"},
        "key_points": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "keywords": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        "boards": {"type": "array", "items": {"type": "object", "required": ["board"], "properties": {
            "board": {"type": "string"}, "memory": {"type": "string"}}}}}});
    let value = shape(README, &schema);
    assert_eq!(value["title"], "Heron");
    assert!(value["summary"].as_str().unwrap().starts_with("Heron is a small message queue"));
    assert_eq!(value["key_points"].as_array().unwrap().len(), 2);
    assert!(value["keywords"].as_array().unwrap().contains(&json!("queue")), "{value}");
    assert_eq!(
        value["boards"],
        json!([{"board": "nRF52", "memory": "64 KiB"}, {"board": "RP2040", "memory": "264 KiB"}])
    );
}

#[test]
fn calls_a_tool_only_when_told() {
    let tool = Tool {
        name: "pay".into(),
        description: "pays".into(),
        input_schema: json!({"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}),
    };
    let mut request = Request { tools: vec![tool], ..ask("Pay it.", INVOICE) };
    assert_eq!(answer(&request).unwrap().stop_reason, StopReason::End);
    request.tool_choice = ToolChoice::Named("pay".into());
    let response = answer(&request).unwrap();
    let Part::ToolCall(call) = &response.message.parts[0] else { panic!("{response:?}") };
    assert_eq!((call.name.as_str(), call.input.as_str()), ("pay", r#"{"total":1059.5}"#));
    request.tool_choice = ToolChoice::Named("none".into());
    assert!(matches!(answer(&request), Err(ProviderError::Invalid(_))));
}

#[test]
fn any_script_and_no_text() {
    for source in [
        "Die Brücke über den Fluss wurde 1890 gebaut. Sie verbindet zwei Städte. Im Winter ist sie gesperrt. Dr. Weiß hat sie entworfen.",
        "東京は日本の首都です。人口は約千四百万人です。世界最大の都市圏の一つです。",
        "🚀 Launch is on Friday. 👩‍👩‍👧 Families are welcome! 🎉 Bring snacks.",
        "القاهرة هي عاصمة مصر. يبلغ عدد سكانها عشرة ملايين نسمة. تقع على نهر النيل.",
    ] {
        let summary = text(&ask("Summarise in 1 sentence", source));
        assert!(!summary.is_empty() && source.contains(&summary), "{summary}");
        assert!(summary.len() < source.len());
    }
    for nothing in ["", "  \n\n", "```\ncode\n```"] {
        assert_eq!(text(&ask("Summarise.", nothing)), NO_TEXT);
    }
    assert_eq!(text(&Request::default()), NO_TEXT);
    assert_eq!(text(&ask("Summarise", "no end here at all")), "no end here at all");
}

/// Processor time of this thread for one summary of `text`.
fn price(hostile: &str) -> Duration {
    let now = || Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap();
    let begun = now();
    let summary = text(&ask("Summarise in 3 sentences.", hostile));
    assert!(summary.len() < 8_000);
    now() - begun
}

/// Twice the text costs about twice the time. Where it costs four times as much, a megabyte takes minutes.
#[test]
fn long_and_hostile_texts_take_time_by_their_length() {
    const NOISE: Duration = Duration::from_millis(300);
    let prose = |times: usize| -> String {
        (0..times).map(|n| format!("Sentence {n} speaks about thing {} and more. ", n % 977)).collect()
    };
    for (unit, times) in [
        ("", 5_000),
        ("word ", 50_000),
        ("x", 250_000),
        ("[", 75_000),
        ("<", 75_000),
        ("<!--", 25_000),
        ("<document>\n", 12_500),
        ("| a ", 25_000),
        ("a: b\n", 12_500),
        ("*_`", 25_000),
        ("# h\n", 25_000),
    ] {
        let hostile = |times: usize| if unit.is_empty() { prose(times) } else { unit.repeat(times) };
        let (once, twice) = (price(&hostile(times)), price(&hostile(2 * times)));
        assert!(twice < 3 * once + NOISE, "{unit:?} {times} times: {once:?}, twice as often: {twice:?}");
    }
}

/// What follows every reference takes for ever.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn hostile_schemas_end() {
    let started = Instant::now();
    let recursive = json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {
        "total": {"type": "number"}, "a": {"$ref": "#/$defs/n"}, "b": {"$ref": "#/$defs/n"}}}}});
    assert_eq!(shape(INVOICE, &recursive)["total"], json!(1059.5));
    assert_eq!(shape(INVOICE, &recursive).as_object().map(|map| map.len()), Some(1), "a recursion is not followed");
    let mut fan =
        serde_json::Map::from_iter([("n30".to_owned(), json!({"properties": {"total": {"type": "number"}}}))]);
    for n in 0..30 {
        let next = json!({"$ref": format!("#/$defs/n{}", n + 1)});
        fan.insert(format!("n{n}"), json!({"type": "object", "properties": {"a": next, "b": next, "c": next}}));
    }
    shape(INVOICE, &json!({"$ref": "#/$defs/n0", "$defs": fan}));
    let wide: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("p{n}"), json!({"$ref": "#"}))).collect();
    shape(INVOICE, &json!({"type": "object", "properties": wide}));
    let endless = json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "required": ["n"], "properties": {
        "n": {"$ref": "#/$defs/n"}}}}});
    let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    let remote = json!({"$ref": "https://example.com/schema"});
    let mut deep = json!({"type": "object"});
    for _ in 0..500 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    for schema in [endless, circle, remote, deep, json!(false), json!({"type": "string", "pattern": "^[A-Z]{3}[0-9]$"})]
    {
        let request = Request { output_schema: Some(schema), ..ask("Extract.", INVOICE) };
        assert!(matches!(answer(&request), Err(ProviderError::Invalid(_))), "{request:?}");
    }
    assert!(started.elapsed() < LONG, "{:?}", started.elapsed());
}

#[tokio::test]
async fn streams_what_it_returns() {
    let permit = Permit::unchecked(Generate::default());
    let (sender, mut events) = Events::new(1);
    let long = ask("Summarise in 5 sentences.", &README.repeat(20));
    let read = async {
        let mut pieces = Vec::new();
        while let Some(event) = events.recv().await {
            let Event::Text(piece) = event else { panic!("{event:?}") };
            pieces.push(piece);
        }
        pieces
    };
    let (permit, long) = (&permit, &long);
    let generate = async move { Offline.generate(permit, MODEL, long, Some(&sender)).await };
    let (response, pieces) = tokio::join!(generate, read);
    let response = response.unwrap();
    assert_eq!(pieces.concat(), response.message.joined_text());
    assert!(pieces.len() > 10);
    assert_eq!(response.usage.unwrap().micro_dollars, Some(0));
    let unknown = Offline.generate(permit, "gpt", long, None).await;
    assert!(matches!(unknown, Err(ProviderError::UnknownModel(_))));
}

mod random_schemas {
    use proptest::prelude::*;

    use super::*;

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            (0..4u64, 4..40u64).prop_map(|(low, high)| json!({"type": "string", "minLength": low, "maxLength": high})),
            proptest::sample::select(vec!["date", "date-time", "email", "uri", "uuid"])
                .prop_map(|format| json!({"type": "string", "format": format})),
            (-50..50i64, 0..50i64)
                .prop_map(|(low, more)| json!({"type": "integer", "minimum": low, "maximum": low + more})),
            (1..20u32).prop_map(|step| json!({"type": "number", "exclusiveMinimum": 3, "multipleOf": step})),
            Just(json!({"type": "boolean"})),
            Just(json!({"enum": ["EUR", "USD", 3]})),
            Just(json!({"const": {"a": 1}})),
            Just(json!({"type": ["string", "null"]})),
            Just(json!({"type": "null"})),
            Just(json!({})),
        ]
    }

    fn names() -> impl Strategy<Value = String> {
        let known = ["total", "date", "title", "summary", "keywords", "price", "description", "email", "paid", "x~/y"];
        prop_oneof![proptest::sample::select(known.to_vec()).prop_map(str::to_owned), "[a-z]{1,6}"]
    }

    fn any_schema() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(4, 24, 5, |inner| {
            let object = proptest::collection::btree_map(names(), (inner.clone(), any::<bool>()), 0..5).prop_map(|fields| {
                let required: Vec<_> = fields.iter().filter(|(_, (_, needed))| *needed).map(|(key, _)| key.clone()).collect();
                let properties: serde_json::Map<String, Value> =
                    fields.into_iter().map(|(key, (schema, _))| (key, schema)).collect();
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            });
            let array = (inner.clone(), 0..3u64, 0..3u64)
                .prop_map(|(items, low, more)| json!({"type": "array", "items": items, "minItems": low, "maxItems": low + more}));
            let nullable = inner.prop_map(|schema| json!({"anyOf": [{"type": "null"}, schema]}));
            prop_oneof![object, array, nullable]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn answers_match(schema in any_schema(), document in prop_oneof![Just(INVOICE.to_owned()), Just(README.to_owned()), ".{0,200}"]) {
            let request = Request { output_schema: Some(schema.clone()), ..ask("Extract.", &document) };
            let response = answer(&request);
            prop_assert!(response.is_ok(), "{response:?}");
            let value: Value = serde_json::from_str(&response.unwrap().message.joined_text()).unwrap();
            let validator = schema::compile(&schema).unwrap();
            prop_assert_eq!(schema::check(&validator, &value), Ok(()));
        }

        #[test]
        fn no_text_panics(document in "(?s).{0,400}", instruction in ".{0,80}") {
            prop_assert!(answer(&ask(&instruction, &document)).is_ok());
        }
    }
}
