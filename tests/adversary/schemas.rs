//! Skills whose tools have schemas that take for ever, or more stack than there is.

use serde_json::{Map, Value, json};

use crate::ground::Ground;
use crate::support::wat;

/// A skill whose one tool has this schema for its input.
fn skill(schema: &Value) -> Vec<u8> {
    let text = schema.to_string();
    let data: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    wat::skill(
        "(i32.const 128)",
        &format!(
            r#"(func $tell
                    (drop (memory.grow (i32.const 8)))
                    (memory.init $schema (i32.const 131072) (i32.const 0) (i32.const {length}))
                    (i32.store (i32.const 92) (i32.const 131072))
                    (i32.store (i32.const 96) (i32.const {length})))
               (start $tell)
               (data $schema "{data}")"#,
            length = text.len()
        ),
        "",
    )
}

/// Definitions that are each made of a reference to the next.
fn definitions(count: usize, make: fn(Value) -> Value) -> Value {
    let defs: Map<String, Value> = (0..=count)
        .map(|at| {
            (at.to_string(), if at < count { make(json!({"$ref": format!("#/$defs/{}", at + 1)})) } else { json!({}) })
        })
        .collect();
    json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/0"}}, "$defs": defs})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_takes_for_ever_or_the_whole_stack() {
    let ground = Ground::new().await;
    let good = ground.load(&skill(&definitions(10, |next| json!({"allOf": [next]})))).await.unwrap();
    ground.act(&good).await.unwrap();
    for schema in [
        definitions(28, |next| json!({"allOf": [next, next]})),
        definitions(4_000, |next| json!({"anyOf": [{"type": "null"}, next]})),
        json!({"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}]}}}),
    ] {
        let refused = ground.load(&skill(&schema)).await.unwrap_err();
        assert_eq!(refused.kind(), "invalid-component", "{refused}");
        assert!(refused.to_string().contains("takes too long to check"), "{refused}");
        ground.survived(None, "").await;
    }
}
