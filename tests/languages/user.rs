use ringfence_core::Call;
use serde_json::json;

use crate::stage::Stage;
use crate::support::people::Script;

async fn a_person_is_asked(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let person = Script::new([Some(json!("Ada")), Some(json!(true)), None]);
    let with = |tool, input| Call { person: Some(person.clone()), ..stage.call(tool, input) };
    let given = stage.run(with("ask_person", json!({ "question": "Who?" }))).await.unwrap();
    assert_eq!(given.outcome.structured, Some(json!({ "answer": "Ada" })), "{lang}");
    let given = stage.run(with("confirm_person", json!({ "question": "Sure?" }))).await.unwrap();
    assert_eq!(given.outcome.structured, Some(json!({ "answer": true })), "{lang}");
    let error = stage.run(with("ask_person", json!({ "question": "Who?" }))).await.unwrap_err();
    assert!(["refused", "cancelled"].contains(&error.kind()), "declined: {error:?}");
    let error = stage.failure("ask_person", json!({ "question": "Who?" })).await;
    assert_eq!(error.kind(), "unavailable", "nobody is there: {error}");
}

in_every_language!(a_person_is_asked);
