//! Guests that call themselves.

use crate::ground::{Ground, kind};
use crate::support::wat;

#[tokio::test(flavor = "multi_thread")]
async fn t30_recursion_without_end() {
    let locals = "(local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)";
    for (what, module) in [
        (
            "itself",
            "(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))".to_owned(),
        ),
        (
            "one another",
            "(func $deeper (param i32) (result i32) (i32.add (call $other (local.get 0)) (i32.const 1)))
             (func $other (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))"
                .to_owned(),
        ),
        (
            "with large frames",
            format!(
                "(func $deeper (param i32) (result i32) {locals}
                    (local.set 1 (i64.extend_i32_u (local.get 0)))
                    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.wrap_i64 (local.get 1))))"
            ),
        ),
        (
            "through a table",
            "(type $f (func (param i32) (result i32))) (table 1 funcref) (elem (i32.const 0) $deeper)
             (func $deeper (param i32) (result i32)
                (i32.add (call_indirect (type $f) (local.get 0) (i32.const 0)) (i32.const 1)))"
                .to_owned(),
        ),
    ] {
        let ground = Ground::new().await;
        let skill = ground.load(&wat::skill("(call $deeper (i32.const 1))", &module, "")).await.unwrap();
        assert_eq!(kind(ground.act(&skill).await), "stack-overflow", "{what}");
        ground.survived(Some(&skill), "stack-overflow").await;
    }
}
