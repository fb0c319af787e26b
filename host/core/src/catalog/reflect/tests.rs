use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Value, json};
use wasmtime::component::{Component, Linker, Val};
use wasmtime::{Engine, Store};

use super::*;
use crate::catalog::package::Package;
use crate::engine::{config, precheck};
use crate::policy::manifest::Manifest;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&config::on_demand()).unwrap());

/// A component whose core module has `module`, and that has `text` around functions lifted with `LIFT name`.
fn component(module: &str, text: &str) -> Component {
    let mut lifted = text.to_owned();
    while let Some(at) = lifted.find("LIFT ") {
        let name: String = lifted[at + 5..].chars().take_while(|c| c.is_alphanumeric()).collect();
        let lift = format!(
            "(canon lift (core func $i \"{name}\") (memory (core memory $i \"memory\")) (realloc (core func $i \"realloc\")))"
        );
        lifted.replace_range(at..at + 5 + name.len(), &lift);
    }
    let bytes = wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 4096))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at))
                {module})
            (core instance $i (instantiate $m))
            {lifted})"#
    ))
    .unwrap_or_else(|error| panic!("{:.1500}", error.to_string()));
    precheck::check(&bytes).unwrap();
    Component::new(&ENGINE, bytes).unwrap()
}

fn reflected(component: &Component) -> Reflection {
    reflect(&ENGINE, component, &Docs::default()).unwrap()
}

fn call(component: &Component, tool: &Callable, input: Value) -> Result<Returned, Fault> {
    let plan = tool.plan.as_ref().unwrap();
    let values = plan.arguments(input, 8 << 20).unwrap();
    let mut store = Store::new(&ENGINE, ());
    store.set_epoch_deadline(1);
    let instance = Linker::new(&ENGINE).instantiate(&mut store, component).unwrap();
    let function = instance.get_func(&mut store, plan.export).unwrap();
    let mut results = vec![Val::Bool(false); plan.results()];
    function.call(&mut store, &values, &mut results).unwrap();
    plan.returned(results)
}

const ADD: &str = r#"(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))"#;

#[test]
fn a_function_becomes_a_tool() {
    let component =
        component(ADD, r#"(func (export "add-up") (param "a" s32) (param "the-other" s32) (result s32) LIFT add)"#);
    let Reflection { callables, left_out } = reflected(&component);
    assert_eq!(left_out, []);
    let tool = &callables[0].tool;
    let number = json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX});
    assert_eq!(tool.name, "add_up");
    assert_eq!(tool.description, "Calls `add-up(a: s32, the-other: s32) -> s32`.");
    assert_eq!(
        tool.input_schema,
        json!({"type": "object", "properties": {"a": number, "the-other": number}, "required": ["a", "the-other"],
            "additionalProperties": false})
    );
    assert_eq!(tool.output_schema, Some(number));
    let returned = call(&component, &callables[0], json!({"a": 2, "the-other": -5})).unwrap();
    assert_eq!(returned, Returned { text: Some("-3".into()), structured: Some(json!(-3)) });
    let misfit =
        callables[0].plan.as_ref().unwrap().arguments(json!({"a": 2, "the-other": 1e10}), 8 << 20).unwrap_err();
    assert!(misfit.to_string().starts_with("/the-other: "), "{misfit}");
}

/// Every type that there is, through a guest and back: so many that they are passed by their address, which is the result's as well.
#[test]
fn every_type_goes_through_a_guest_and_back() {
    let types = r#"
        (type $e-is (enum "red" "green")) (export $e "e" (type $e-is))
        (type $f-is (flags "read" "write" "run")) (export $f "f" (type $f-is))
        (type $r-is (record (field "name" string) (field "note" (option string)))) (export $r "r" (type $r-is))
        (type $v-is (variant (case "none") (case "one" $r) (case "many" (list $r)))) (export $v "v" (type $v-is))
        (type $all-is (record
            (field "bool" bool) (field "s8" s8) (field "u8" u8) (field "s16" s16) (field "u16" u16) (field "s32" s32)
            (field "u32" u32) (field "s64" s64) (field "u64" u64) (field "f32" f32) (field "f64" f64) (field "char" char)
            (field "string" string) (field "bytes" (list u8)) (field "words" (list string))
            (field "pair" (tuple s8 string)) (field "enum" $e) (field "flags" $f) (field "variants" (list $v))
            (field "maybe" (option (option bool))) (field "result" (result $r (error string))) (field "unit" (result))))
        (export $all "all" (type $all-is))"#;
    let module = r#"(func (export "echo") (param i32) (result i32) (local.get 0))"#;
    let component =
        component(module, &format!(r#"{types} (func (export "echo") (param "value" $all) (result $all) LIFT echo)"#));
    let Reflection { callables, .. } = reflected(&component);
    let r = |note: Value| json!({"name": "n", "note": note});
    let value = json!({
        "bool": true, "s8": -128, "u8": 255, "s16": -32768, "u16": 65535, "s32": i32::MIN, "u32": u32::MAX, "s64": i64::MIN,
        "u64": u64::MAX, "f32": 0.1, "f64": 1e300, "char": "\u{1f44b}", "string": "Grüße, 世界", "bytes": "AAECAw==",
        "words": ["a", ""], "pair": [-1, "x"], "enum": "green", "flags": ["read", "run"],
        "variants": ["none", {"one": r(json!("y"))}, {"many": [r(json!(null)), r(json!(""))]}],
        "maybe": {"some": null}, "result": {"error": "e"}, "unit": {"ok": null},
    });
    let returned = call(&component, &callables[0], json!({"value": value})).unwrap();
    assert_eq!(returned.structured, Some(value.clone()));
    assert_eq!(serde_json::from_str::<Value>(&returned.text.unwrap()).unwrap(), value);
    let output = crate::schema::compile(callables[0].tool.output_schema.as_ref().unwrap()).unwrap();
    assert_eq!(crate::schema::check(&output, &value), Ok(()));
    assert_eq!(crate::schema::check(&callables[0].input, &json!({"value": value})), Ok(()));
}

/// A `result` whose flat form is at address 16.
#[test]
fn errors_are_failures_and_units_are_empty() {
    let module = r#"
        (data (i32.const 0) "why it failed")
        (data (i32.const 16) "\01\00\00\00" "\00\00\00\00\0d\00\00\00")
        (data (i32.const 32) "\00\00\00\00" "\00\00\00\00\0d\00\00\00")
        (data (i32.const 48) "\01\00\00\00" "\01\00\00\00" "\00\00\00\00\0d\00\00\00")
        (func (export "err") (result i32) (i32.const 16))
        (func (export "ok") (result i32) (i32.const 32))
        (func (export "case") (result i32) (i32.const 48))
        (func (export "one") (result i32) (i32.const 1))
        (func (export "zero") (result i32) (i32.const 512))
        (func (export "nothing"))"#;
    let component = component(
        module,
        r#"
        (type $v-is (variant (case "none") (case "denied" string))) (export $v "v" (type $v-is))
        (type $e-is (enum "first" "second")) (export $e "e" (type $e-is))
        (func (export "fails") (result (result string (error string))) LIFT err)
        (func (export "works") (result (result string (error string))) LIFT ok)
        (func (export "denied") (result (result (list u8) (error $v))) LIFT case)
        (func (export "bare") (result (result)) LIFT one)
        (func (export "unit") (result (result (error $e))) LIFT zero)
        (func (export "number") (result (result (error u8))) LIFT err)
        (func (export "nothing") LIFT nothing)"#,
    );
    let Reflection { callables, left_out } = reflected(&component);
    assert_eq!(left_out, []);
    let of = |name: &str| {
        let tool = callables.iter().find(|callable| callable.tool.name == name).unwrap();
        (call(&component, tool, json!({})), tool.tool.output_schema.clone())
    };
    let failed = |message: &str| Err(Fault::Failed(message.into()));
    assert_eq!(of("fails"), (failed("why it failed"), None));
    let text = Returned { text: Some("why it failed".into()), structured: None };
    assert_eq!(of("works"), (Ok(text), None));
    assert_eq!(
        of("denied"),
        (failed("denied: why it failed"), Some(json!({"type": "string", "contentEncoding": "base64"})))
    );
    assert_eq!(of("bare").0, failed("the function failed and did not say why"));
    assert_eq!(of("unit"), (Ok(Returned::default()), None));
    assert_eq!(of("number").0, failed("0"));
    assert_eq!(of("nothing"), (Ok(Returned::default()), None));
}

fn interface(name: &str, functions: &str) -> String {
    format!("(instance ${0} {functions}) (export \"{name}\" (instance ${0}))", name.replace(['/', ':', '@', '.'], "-"))
}

#[test]
fn functions_of_interfaces_are_tools_and_those_of_wasi_are_not() {
    let text = format!(
        r#"(func $f (result s32) LIFT one) {} {} {} {} (func (export "init") (result s32) LIFT one)"#,
        interface("my:tools/first@1.2.3", r#"(export "run" (func $f)) (export "only-here" (func $f))"#),
        interface("my:tools/second", r#"(export "run" (func $f))"#),
        interface("wasi:cli/run@0.2.3", r#"(export "run" (func $f))"#),
        interface("exports", r#"(export "run" (func $f))"#),
    );
    let component = component(r#"(func (export "one") (result i32) (i32.const 1))"#, &text);
    let Reflection { callables, left_out } = reflected(&component);
    let names: Vec<&str> = callables.iter().map(|callable| callable.tool.name.as_str()).collect();
    assert_eq!((names, left_out), (vec!["first_run", "only_here", "second_run"], vec![]));
    assert_eq!(callables[1].tool.description, "Calls `only-here() -> s32` of `my:tools/first@1.2.3`.");
    for callable in &callables {
        assert_eq!(call(&component, callable, json!({})).unwrap().structured, Some(json!(1)));
    }
}

#[test]
fn comments_describe_the_tools() {
    let component = component(ADD, r#"(func (export "add") (param "a" s32) (param "b" s32) (result s32) LIFT add)"#);
    let described = |docs: &Docs| reflect(&ENGINE, &component, docs).unwrap().callables[0].tool.clone();
    let json = json!({"worlds": {"w": {"func_exports": {"add": {"docs": "Adds two numbers.\n\nBoth."}}}}});
    let docs = Docs::read(&[b"\x01", json.to_string().as_bytes()].concat());
    let tool = described(&docs);
    assert_eq!(tool.description, "Adds two numbers.\n\nBoth.");
    // A package that lists another schema, and a tool that is not there.
    let stored = |name: &str| Tool {
        name: name.into(),
        title: Some("Sum".into()),
        description: "Kept.".into(),
        input_schema: json!({}),
        output_schema: Some(json!({"type": "string"})),
        hints: Hints { read_only: true, ..Hints::default() },
    };
    let kept = described(&Docs::stored(vec![stored("add"), stored("other")]));
    let expected = Tool { title: Some("Sum".into()), description: "Kept.".into(), ..tool.clone() };
    assert_eq!(kept, Tool { hints: stored("add").hints, ..expected });
    let long = json!({"worlds": {"w": {"funcs": {"add": {"docs": "ü".repeat(9000)}}}}});
    let docs = Docs::read(&[b"\x01", long.to_string().as_bytes()].concat());
    assert!(described(&docs).description.ends_with("..."));
}

fn refusal(component: &Component) -> LoadError {
    reflect(&ENGINE, component, &Docs::default()).map(|_| ()).unwrap_err()
}

#[test]
fn what_offers_nothing_is_no_skill() {
    let error = refusal(&component("", ""));
    assert!(matches!(&error, LoadError::MissingExport(_)), "{error}");
    let wasi = interface("wasi:cli/run@0.2.3", r#"(export "run" (func $f))"#);
    let error = refusal(&component(
        r#"(func (export "one") (result i32) (i32.const 1))"#,
        &format!("(func $f (result s32) LIFT one) {wasi}"),
    ));
    assert!(matches!(&error, LoadError::MissingExport(_)), "{error}");
}

const RESOURCE: &str = r#"
    (type $r-is (resource (rep i32))) (export $r "r" (type $r-is))
    (func (export "[constructor]r") (result (own $r)) LIFT one)
    (func (export "[static]r.count") (result s32) LIFT one)
    (func (export "make") (result (list (own $r))) LIFT one)"#;

#[test]
fn resources_are_left_out_by_name_and_the_rest_is_offered() {
    let module = r#"(func (export "one") (result i32) (i32.const 1))"#;
    let error = refusal(&component(module, RESOURCE));
    assert!(matches!(&error, LoadError::NoTools(why) if why.contains("[constructor]r")), "{error}");
    let component = component(module, &format!(r#"{RESOURCE} (func (export "count") (result s32) LIFT one)"#));
    let Reflection { callables, left_out } = reflected(&component);
    assert_eq!(callables.len(), 1);
    let left_out: Vec<_> = left_out.iter().map(|one| (one.function.as_str(), one.reason.as_str())).collect();
    assert_eq!(
        left_out,
        [
            ("[constructor]r", "belongs to a resource, which JSON cannot hold"),
            ("[static]r.count", "belongs to a resource, which JSON cannot hold"),
            ("make", "uses a resource, which JSON cannot hold"),
        ]
    );
}

/// A record of two of the type before, so many times over.
fn doubling(levels: usize) -> String {
    let mut text = String::from("(type $t0 u8)");
    let mut before = "u8".to_owned();
    for level in 1..=levels {
        let _ = write!(
            text,
            r#"(type $is{level} (record (field "a" {before}) (field "b" {before})))
               (export $t{level} "t{level}" (type $is{level}))"#
        );
        before = format!("$t{level}");
    }
    let _ = write!(text, r#"(func (export "f") (param "value" {before}) LIFT take)"#);
    text
}

#[test]
fn a_type_that_stands_for_a_million_is_left_out() {
    let module = r#"(func (export "take") (param i32))"#;
    let Reflection { callables, .. } = reflected(&component(module, &doubling(6)));
    assert!(callables[0].tool.input_schema.to_string().len() < FUNCTION_BYTES);
    let begun = std::time::Instant::now();
    for levels in [12, 17] {
        let error = refusal(&component(module, &doubling(levels)));
        assert!(matches!(&error, LoadError::NoTools(why) if why.contains("larger than 128 KiB")), "{error}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
}

#[test]
fn a_type_that_is_too_deep_is_left_out() {
    let nested = |levels: usize| format!("{}bool{}", "(list ".repeat(levels), ")".repeat(levels));
    let module = r#"(func (export "take") (param i32 i32))"#;
    let function = |levels| format!(r#"(func (export "f") (param "value" {}) LIFT take)"#, nested(levels));
    assert_eq!(reflected(&component(module, &function(39))).callables.len(), 1);
    for levels in [40, 90] {
        let error = refusal(&component(module, &function(levels)));
        assert!(matches!(&error, LoadError::NoTools(why) if why.contains("deeper than 40 levels")), "{error}");
    }
    // Within the levels of types, but not of schemas.
    let mut text = String::from("(type $is0 (record (field \"a\" bool))) (export $t0 \"t0\" (type $is0))");
    for level in 1..35 {
        let before = level - 1;
        let _ = write!(
            text,
            r#"(type $is{level} (record (field "a" $t{before}))) (export $t{level} "t{level}" (type $is{level}))"#
        );
    }
    let error = refusal(&component(
        r#"(func (export "take") (param i32))"#,
        &format!(r#"{text} (func (export "f") (param "value" $t34) LIFT take)"#),
    ));
    assert!(matches!(&error, LoadError::NoTools(why) if why.contains("deeper than 64 levels")), "{error}");
}

#[test]
fn many_functions_and_large_names_are_refused() {
    let module = r#"(func (export "one") (result i32) (i32.const 1))"#;
    let many = |count: usize| {
        (0..count).fold(String::new(), |mut text, n| {
            let _ = write!(text, r#"(func (export "f{n}") (result s32) LIFT one)"#);
            text
        })
    };
    assert_eq!(reflected(&component(module, &many(TOOLS))).callables.len(), TOOLS);
    let error = refusal(&component(module, &many(3000)));
    assert!(matches!(&error, LoadError::Invalid(why) if why.contains("3000 functions")), "{error}");

    let name = "n".repeat(70);
    let error = refusal(&component(module, &format!(r#"(func (export "{name}") (result s32) LIFT one)"#)));
    assert!(error.to_string().contains("not 1 to 64"), "{error}");
    let name = "n".repeat(90_000);
    let error = refusal(&component(module, &format!(r#"(func (export "{name}") (result s32) LIFT one)"#)));
    assert!(error.to_string().len() < 500, "{error}");

    // A large enum is a large schema, and many of them are more than all tools may have.
    let names = (0..3000).fold(String::new(), |mut text, n| {
        let _ = write!(text, "\"case-{n}\" ");
        text
    });
    let many = (0..40).fold(String::new(), |mut text, n| {
        let _ = write!(text, r#"(func (export "g{n}") (result $e) LIFT one)"#);
        text
    });
    let text = format!(r#"(type $e-is (enum {names})) (export $e "e" (type $e-is)) {many}"#);
    let component = component(module, &text);
    let Reflection { callables, left_out } = reflected(&component);
    assert!((5..40).contains(&callables.len()) && left_out.len() == 40 - callables.len(), "{}", callables.len());
    assert!(left_out[0].reason.contains("all tools together"), "{left_out:?}");
    // What is listed can be packaged and read again, and comes out the same.
    let tools: Vec<Tool> = callables.into_iter().map(|callable| callable.tool).collect();
    let package = Package::write(b"\0asm\x0d\0\x01\0", &Manifest::bare("it"), &tools);
    let stored = Package::read(&package).unwrap().tools.unwrap();
    let again = reflect(&ENGINE, &component, &Docs::stored(stored)).unwrap();
    assert!(again.tools() == tools && again.left_out == left_out);
}
