use base64::Engine as _;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmtime::component::Val;

use super::meter::Meter;
use super::shape::{Cases, Direction, Field, Shape};
use super::values::{VAL, lift, lower};
use crate::schema;

fn record(fields: Vec<(&str, Shape)>) -> Shape {
    Shape::Record(fields.into_iter().map(|(name, shape)| Field { name: name.into(), shape }).collect())
}

fn variant(cases: Vec<(&str, Option<Shape>)>) -> Shape {
    Shape::Variant(Cases::new(cases.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect()))
}

fn bare(names: &[&str]) -> Cases<()> {
    Cases::new(names.iter().map(|name| ((*name).to_owned(), ())).collect())
}

fn option(shape: Shape) -> Shape {
    Shape::Option(Box::new(shape))
}

fn lowered(shape: &Shape, value: Value) -> Result<Val, String> {
    lower(shape, value, &mut Meter::new(1 << 20)).map_err(|misfit| misfit.to_string())
}

#[track_caller]
fn round(shape: &Shape, value: Value) {
    let validator = schema::compile(&shape.schema(Direction::In)).unwrap();
    schema::check(&validator, &value).unwrap();
    let val = lowered(shape, value.clone()).unwrap();
    assert_eq!(lift(shape, val).unwrap(), value);
}

#[track_caller]
fn refused(shape: &Shape, value: Value, words: &str) {
    let validator = schema::compile(&shape.schema(Direction::In)).unwrap();
    // What is no base64 is a text all the same, and so are two of its forms.
    assert!(schema::check(&validator, &value).is_err() || matches!(shape, Shape::Bytes), "{value} fits the schema");
    let error = lowered(shape, value).unwrap_err();
    assert!(error.contains(words), "{error}");
}

#[test]
fn every_type_has_its_form() {
    round(&Shape::Bool, json!(true));
    round(&Shape::Char, json!("ß"));
    round(&Shape::String, json!("a\u{0}\u{1f44b}"));
    round(&Shape::Bytes, json!("AAH/"));
    round(&Shape::Bytes, json!(""));
    round(&Shape::List(Box::new(Shape::S8)), json!([-128, 127]));
    round(&Shape::Tuple(vec![Shape::U8, Shape::String]), json!([255, "x"]));
    let point = record(vec![("x", Shape::F64), ("the-label", option(Shape::String))]);
    round(&point, json!({"x": 1.5, "the-label": null}));
    assert_eq!(lowered(&point, json!({"x": 1})), lowered(&point, json!({"x": 1.0, "the-label": null})));
    let shape = variant(vec![("none", None), ("circle", Some(Shape::F64)), ("of", Some(point))]);
    round(&shape, json!("none"));
    round(&shape, json!({"circle": 2.0}));
    round(&shape, json!({"of": {"x": -0.0, "the-label": "l"}}));
    round(&Shape::Enum(bare(&["a", "b"])), json!("b"));
    round(&Shape::Flags(bare(&["read", "write"])), json!(["write", "read"]));
    let result = Shape::Result(Some(Box::new(Shape::U32)), None);
    round(&result, json!({"ok": 7}));
    round(&result, json!({"error": null}));
    round(&option(result), json!(null));
}

#[test]
fn integers_are_exact_up_to_64_bits() {
    round(&Shape::U64, json!(u64::MAX));
    round(&Shape::S64, json!(i64::MIN));
    round(&Shape::S64, json!((1_i64 << 53) + 1));
    assert_eq!(lowered(&Shape::U8, json!(3.0)), Ok(Val::U8(3)));
    assert_eq!(lowered(&Shape::S32, json!(-0.0)), Ok(Val::S32(0)));
    for (shape, value) in [
        (Shape::U8, json!(256)),
        (Shape::U8, json!(-1)),
        (Shape::S8, json!(-129)),
        (Shape::U64, json!(18_446_744_073_709_551_616.0)),
        (Shape::S64, json!(1e300)),
        (Shape::S32, json!(1.5)),
        (Shape::S32, json!("1")),
    ] {
        refused(&shape, value, "is not an integer");
    }
}

#[test]
fn what_is_not_finite_goes_out_as_a_word_and_not_in() {
    for (value, word) in [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")] {
        let out = lift(&Shape::F64, Val::Float64(value)).unwrap();
        assert_eq!(out, json!(word));
        assert_eq!(lift(&Shape::F32, Val::Float32(value as f32)).unwrap(), out);
        schema::check(&schema::compile(&Shape::F64.schema(Direction::Out)).unwrap(), &out).unwrap();
        refused(&Shape::F64, out, "is not a number");
    }
    refused(&Shape::F32, json!(3.5e38), "32 bits");
    assert_eq!(lift(&Shape::F32, Val::Float32(0.1)).unwrap(), json!(0.1));
    assert_eq!(lowered(&Shape::F32, json!(0.1)), Ok(Val::Float32(0.1)));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let shape = record(vec![("items", Shape::List(Box::new(record(vec![("a/b", Shape::Char)]))))]);
    refused(&shape, json!({"items": [{"a/b": "x"}, {"a/b": "xy"}]}), "/items/1/a~1b: \"xy\" is not a text of one");
    refused(&shape, json!({"items": [{}]}), "/items/0: lacks `a/b`");
    refused(&shape, json!({"items": [], "more\n": 1}), "/: has `more\\n`");
    refused(&shape, json!(null), "/: null is not an object");
    refused(&Shape::Enum(bare(&["a"])), json!("b"), "\"b\" is not one of a");
    refused(&Shape::Flags(bare(&["a"])), json!(["a", "a"]), "/1: `a` is there already");
    refused(&Shape::Tuple(vec![Shape::Bool]), json!([true, true]), "has 2 items, and there are 1");
    let cases = variant(vec![("none", None), ("some", Some(Shape::Bool))]);
    for (value, words) in [
        (json!("some"), "without its value"),
        (json!({"none": null}), "which has no value"),
        (json!({"other": 1}), "not one of none, some"),
        (json!({"some": true, "none": 1}), "one property"),
        (json!({"some": 1}), "/some: 1 is not true"),
    ] {
        refused(&cases, value, words);
    }
    refused(&Shape::Bytes, json!("!"), "is no base64");
    refused(&Shape::Bytes, json!([1, 2]), "an array is not a text of base64");
    refused(&Shape::Result(None, None), json!({"fine": null}), "instead of `ok` or `error`");
    refused(&option(option(Shape::Bool)), json!({"some": 3}), "/some: 3");
    refused(&option(option(Shape::Bool)), json!(true), "is not an object");
}

#[test]
fn an_option_of_an_option_is_told_apart() {
    let shape = option(option(Shape::String));
    let some = |val| Val::Option(Some(Box::new(val)));
    for (value, val) in [
        (json!(null), Val::Option(None)),
        (json!({"some": null}), some(Val::Option(None))),
        (json!({"some": "x"}), some(some(Val::String("x".into())))),
    ] {
        assert_eq!(lowered(&shape, value.clone()), Ok(val.clone()));
        assert_eq!(lift(&shape, val), Some(value));
    }
}

/// Three bytes of JSON may stand for a thousand fields.
#[test]
fn what_would_fill_the_hosts_memory_is_counted() {
    assert_eq!(VAL, 40, "ARCHITECTURE.md says how many values there may be");
    let names: Vec<String> = (0..1000).map(|n| format!("f{n}")).collect();
    let wide = record(names.iter().map(|name| (name.as_str(), option(Shape::Bool))).collect());
    let shape = Shape::List(Box::new(wide));
    let many = |count| Value::Array(vec![json!({}); count]);
    let meter = || Meter::new(1000 * 1000);
    assert!(lower(&shape, many(10), &mut meter()).is_ok());
    assert_eq!(lower(&shape, many(100_000), &mut meter()).unwrap_err().beyond, Some(1000 * 1000));
    let bytes = |count| Value::String(base64::engine::general_purpose::STANDARD.encode(vec![0; count]));
    assert!(lower(&Shape::Bytes, bytes(1000), &mut meter()).is_ok());
    assert!(lower(&Shape::Bytes, bytes(1000 * 1000 / VAL + 10), &mut meter()).unwrap_err().beyond.is_some());
    // Texts are moved.
    assert!(lower(&Shape::String, json!("x".repeat(5_000_000)), &mut meter()).is_ok());
}

#[test]
fn values_of_other_types_give_nothing() {
    let shapes =
        [Shape::Bool, Shape::Bytes, Shape::Enum(bare(&["a"])), option(Shape::U8), record(vec![("a", Shape::U8)])];
    let vals = [
        Val::S64(1),
        Val::List(vec![Val::Bool(true)]),
        Val::Option(Some(Box::new(Val::Bool(true)))),
        Val::Record(vec![]),
        Val::Variant("a".into(), None),
    ];
    for shape in &shapes {
        for val in &vals {
            assert_eq!(lift(shape, val.clone()), None, "{shape} {val:?}");
        }
    }
}

fn names(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set("[a-z][a-z0-9]{0,3}(-[a-z]{1,2})?", count).prop_map(|set| set.into_iter().collect())
}

fn any_shape() -> impl Strategy<Value = Shape> {
    use Shape::*;
    let flat = prop_oneof![
        proptest::sample::select(vec![Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char, String, Bytes]),
        names(1..5).prop_map(|names| Enum(Cases::new(names.into_iter().map(|name| (name, ())).collect()))),
        names(1..5).prop_map(|names| Flags(Cases::new(names.into_iter().map(|name| (name, ())).collect()))),
    ];
    flat.prop_recursive(4, 24, 4, |inner| {
        let pairs = |count| (names(count), vec(inner.clone(), 5));
        prop_oneof![
            // A list of `u8` is always `Bytes`.
            inner.clone().prop_map(|item| if item == U8 { Bytes } else { List(Box::new(item)) }),
            vec(inner.clone(), 1..4).prop_map(Tuple),
            pairs(1..5).prop_map(|(names, shapes)| {
                Record(names.into_iter().zip(shapes).map(|(name, shape)| Field { name, shape }).collect())
            }),
            (names(1..5), vec(proptest::option::of(inner.clone()), 5))
                .prop_map(|(names, shapes)| Variant(Cases::new(names.into_iter().zip(shapes).collect()))),
            inner.clone().prop_map(|some| Option(Box::new(some))),
            (proptest::option::of(inner.clone()), proptest::option::of(inner))
                .prop_map(|(ok, error)| Result(ok.map(Box::new), error.map(Box::new))),
        ]
    })
}

fn any_val(shape: &Shape) -> BoxedStrategy<Val> {
    let inside = |shape: &Option<Box<Shape>>| match shape {
        Some(shape) => any_val(shape).prop_map(|val| Some(Box::new(val))).boxed(),
        None => Just(None).boxed(),
    };
    match shape {
        Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Shape::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Shape::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Shape::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Shape::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Shape::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Shape::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Shape::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        Shape::U64 => any::<u64>().prop_map(Val::U64).boxed(),
        Shape::F32 => any::<f32>().prop_filter("finite", |value| value.is_finite()).prop_map(Val::Float32).boxed(),
        Shape::F64 => any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Val::Float64).boxed(),
        Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
        Shape::String => any::<String>().prop_map(Val::String).boxed(),
        Shape::Bytes => {
            vec(any::<u8>(), 0..9).prop_map(|bytes| Val::List(bytes.into_iter().map(Val::U8).collect())).boxed()
        }
        Shape::List(item) => vec(any_val(item), 0..4).prop_map(Val::List).boxed(),
        Shape::Tuple(parts) => parts.iter().map(any_val).collect::<Vec<_>>().prop_map(Val::Tuple).boxed(),
        Shape::Record(fields) => {
            let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            let values: Vec<_> = fields.iter().map(|field| any_val(&field.shape)).collect();
            values.prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect())).boxed()
        }
        Shape::Variant(cases) => {
            let one = |(name, payload): &(String, Option<Shape>)| {
                let name = name.clone();
                inside(&payload.clone().map(Box::new)).prop_map(move |val| Val::Variant(name.clone(), val)).boxed()
            };
            proptest::strategy::Union::new(cases.list.iter().map(one)).boxed()
        }
        Shape::Enum(cases) => {
            let names: Vec<String> = cases.list.iter().map(|(name, ())| name.clone()).collect();
            proptest::sample::select(names).prop_map(Val::Enum).boxed()
        }
        Shape::Flags(cases) => {
            let names: Vec<String> = cases.list.iter().map(|(name, ())| name.clone()).collect();
            let most = names.len();
            proptest::sample::subsequence(names, 0..=most).prop_map(Val::Flags).boxed()
        }
        Shape::Option(some) => {
            proptest::option::of(any_val(some)).prop_map(|val| Val::Option(val.map(Box::new))).boxed()
        }
        Shape::Result(ok, error) => prop_oneof![
            inside(ok).prop_map(|val| Val::Result(Ok(val))),
            inside(error).prop_map(|val| Val::Result(Err(val))),
        ]
        .boxed(),
    }
}

/// A value with something else in one of its places.
fn damaged(value: &Value, place: usize, with: &Value) -> Value {
    fn walk(value: &mut Value, place: &mut usize, with: &Value) {
        if *place == 0 {
            *value = with.clone();
        }
        *place = place.wrapping_sub(1);
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, place, with)),
            Value::Object(map) => map.values_mut().for_each(|item| walk(item, place, with)),
            _ => {}
        }
    }
    let mut value = value.clone();
    walk(&mut value, &mut place.clone(), with);
    value
}

fn any_json() -> impl Strategy<Value = Value> {
    let flat = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-300..300_i32).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-300..300_i32).prop_map(|n| Value::from(f64::from(n))),
        "[a-z]{0,3}".prop_map(Value::from),
        Just(json!({"some": 1, "ok": 2})),
        Just(json!({"ok": null})),
    ];
    flat.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("some|ok|error|[a-z]{1,2}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn holds_bytes(shape: &Shape) -> bool {
    shape.to_string().contains("list<u8>")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Values of every type go out as their schema says, and come back.
    #[test]
    fn values_come_back_as_they_went_out(
        (shape, val) in any_shape().prop_flat_map(|shape| { let val = any_val(&shape); (Just(shape), val) }),
    ) {
        let json = lift(&shape, val.clone()).unwrap();
        for direction in [Direction::In, Direction::Out] {
            let validator = schema::compile(&shape.schema(direction)).unwrap();
            prop_assert_eq!(schema::check(&validator, &json), Ok(()), "{} {}", shape, json);
        }
        // Through its text, as it is called.
        let read = schema::parse(&json.to_string()).unwrap();
        let back = lowered(&shape, read).unwrap();
        prop_assert_eq!(back, val);
    }

    /// What is taken is what the schema says, and nothing panics.
    #[test]
    fn the_schema_and_the_values_agree(
        (shape, val) in any_shape().prop_flat_map(|shape| { let val = any_val(&shape); (Just(shape), val) }),
        place in 0..12_usize,
        with in any_json(),
    ) {
        let json = damaged(&lift(&shape, val).unwrap(), place, &with);
        let validator = schema::compile(&shape.schema(Direction::In)).unwrap();
        let fits = schema::check(&validator, &json).is_ok();
        let taken = lowered(&shape, json.clone());
        prop_assert!(
            fits == taken.is_ok() || fits && holds_bytes(&shape),
            "{}\n{}\n{:?}\n{:?}", shape, json, schema::check(&validator, &json), taken
        );
        if let Ok(val) = taken {
            let back = lift(&shape, val).unwrap();
            prop_assert_eq!(schema::check(&schema::compile(&shape.schema(Direction::Out)).unwrap(), &back), Ok(()));
        }
    }
}
