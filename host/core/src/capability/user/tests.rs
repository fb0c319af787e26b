use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::broker::{Session, Setup, Shared};
use crate::budget::{Budgets, Treasury};
use crate::error::Refusal;
use crate::person::{Person, Question};
use crate::policy::Grants;
use crate::policy::rules::Rules;
use crate::policy::taint::Touch;

#[test]
fn every_shape_that_a_person_can_answer() {
    let one = |schema: Value| match Shape::read(&schema).unwrap() {
        Shape::One(field) => field,
        Shape::Form(_) => panic!("a form: {schema}"),
    };
    let plain = |values: &[&str]| -> Vec<Choice> {
        values.iter().map(|value| Choice { value: (*value).into(), title: None }).collect()
    };
    let titled = || vec![Choice { value: "a".into(), title: Some("An A".into()) }];
    for (schema, kind) in [
        (json!({"type": "boolean", "default": true}), Kind::Boolean),
        (json!({"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "format": "email"}), Kind::Text),
        (json!({"type": "string", "enum": ["a", "b"]}), Kind::Choice(plain(&["a", "b"]))),
        (json!({"type": "string", "enum": ["a"], "enumNames": ["An A"]}), Kind::Choice(titled())),
        (json!({"type": "string", "oneOf": [{"const": "a", "title": "An A"}]}), Kind::Choice(titled())),
        (
            json!({"type": "array", "maxItems": 1, "items": {"type": "string", "enum": ["a", "b"]}}),
            Kind::Choices(plain(&["a", "b"])),
        ),
        (json!({"type": "array", "items": {"anyOf": [{"const": "a", "title": "An A"}]}}), Kind::Choices(titled())),
        (json!({"type": "number", "minimum": 0, "exclusiveMaximum": 1}), Kind::Number),
        (json!({"type": "integer", "format": "uint32", "maximum": 9, "title": "t", "description": "d"}), Kind::Integer),
    ] {
        assert_eq!(one(schema.clone()).kind, kind, "{schema}");
    }
    assert_eq!(one(json!({"type": "integer", "default": 3})).default, Some(json!(3)));
    assert_eq!(one(json!({"type": "integer", "default": "x"})).default, None, "what does not fit is no default");

    let form = json!({
        "type": "object", "required": ["name"], "additionalProperties": false,
        "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
    });
    let Shape::Form(fields) = Shape::read(&form).unwrap() else { panic!("no form") };
    let told: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.required)).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&("name", true)) && told.contains(&("age", false)));
}

#[test]
fn shapes_that_no_person_can_answer_are_refused() {
    let many: serde_json::Map<_, _> = (0..21).map(|n| (n.to_string(), json!({"type": "string"}))).collect();
    for (schema, word) in [
        (json!(true), "not an object"),
        (json!({}), "`type` is missing"),
        (json!({"type": ["string", "integer"]}), "not one word"),
        (json!({"type": "array"}), "no `items`"),
        (json!({"type": "array", "items": {"type": "string"}}), "neither `enum` nor `anyOf`"),
        (json!({"type": "array", "items": {"type": "string", "pattern": "a"}}), "`pattern`"),
        (json!({"type": "array", "items": {"anyOf": [{"const": 1, "title": "One"}]}}), "`const` and `title`"),
        (json!({"type": "null"}), "`null`"),
        (json!({"type": "string", "oneOf": []}), "0 choices"),
        (json!({"type": "string", "oneOf": [{"const": "a"}]}), "`const` and `title`"),
        (json!({"type": "string", "enum": ["a"], "oneOf": [{"const": "a", "title": "A"}]}), "beside `enum`"),
        (json!({"type": "string", "enum": ["a"], "enumNames": ["A", "B"]}), "`enumNames` 2"),
        (json!({"type": "string", "enumNames": ["A"]}), "beside `enum`"),
        (json!({"type": "string", "enum": ["a", 1]}), "not a list of strings"),
        (json!({"type": "string", "enum": []}), "0 choices"),
        (json!({"type": "boolean", "enum": ["a"]}), "`enum`"),
        (json!({"$ref": "#/$defs/a", "$defs": {}}), "`type` is missing"),
        (json!({"type": "string", "pattern": "("}), "pattern"),
        (json!({"type": "object"}), "no `properties`"),
        (json!({"type": "object", "properties": {}}), "0 properties"),
        (json!({"type": "object", "properties": many}), "21 properties"),
        (json!({"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}), "`object`"),
        (json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}), "`b`"),
        (json!({"type": "object", "properties": {"a": {"type": "string"}}, "patternProperties": {}}), "pattern"),
        (json!({"type": "string", "title": "x".repeat(20_000)}), "of at most"),
    ] {
        match Shape::read(&schema) {
            Err(Refusal::Invalid(text)) => assert!(text.contains(word), "{word}: {text}"),
            other => panic!("{schema}: {other:?}"),
        }
    }
}

#[test]
fn questions_are_checked() {
    let new = |text: &str, schema: Option<&str>, name: Option<&str>| {
        Ask::new(text.into(), schema, Some(5), name.map(str::to_owned))
    };
    let ask = new("Sure?", None, Some("sure_1")).unwrap();
    assert_eq!((ask.schema, ask.timeout), (json!({"type": "string"}), Some(Duration::from_millis(5))));
    for (text, schema, name) in [
        ("", None, None),
        (" \n", None, None),
        ("a", Some("{"), None),
        ("a", None, Some("")),
        ("a", None, Some("A b")),
        ("a", None, Some(&*"x".repeat(65))),
    ] {
        assert!(matches!(new(text, schema, name), Err(Refusal::Invalid(_))), "{text} {schema:?} {name:?}");
    }
    assert!(matches!(new(&"x".repeat(2_001), None, None), Err(Refusal::TooLarge(excess)) if excess.limit == 2_000));
}

/// Gives answers by a script, and counts the questions. Says nothing, for ever, where the script is over.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<Option<Value>>>,
    asked: Mutex<Vec<Question>>,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Option<Value>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

impl Person for Scripted {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        self.asked.lock().unwrap().push(question);
        match self.answers.lock().unwrap().pop_front() {
            Some(answer) => Box::pin(std::future::ready(answer)),
            None => Box::pin(std::future::pending()),
        }
    }
}

struct Ground {
    _dir: tempfile::TempDir,
    shared: Arc<Shared>,
    treasury: Treasury,
    answers: Answers,
}

impl Ground {
    async fn new() -> Self {
        let (dir, state) = crate::state::testing::temporary();
        let treasury = Treasury::open(state.clone()).await.unwrap();
        let (answers, shared) = (Answers::new(state.clone()), Shared::on(state, Rules::default()));
        Self { _dir: dir, shared, treasury, answers }
    }

    fn session(&self, person: Option<Arc<Scripted>>, granted: bool) -> Session {
        let grants = Grants { user: granted.then(Default::default), ..Grants::default() };
        let ledger = self.treasury.ledger("a", "1", &Budgets::default());
        let person = person.map(|person| person as Arc<dyn Person>);
        Session::new(Setup { person, ..Setup::of(Arc::clone(&self.shared), grants, ledger) })
    }

    async fn ask(&self, session: &Session, schema: &Value, remember: Option<&str>) -> Result<Value, Refusal> {
        let asked = Asked::default();
        let view = View { session, answers: &self.answers, asked: &asked };
        let answer = host::ask(&view, "What?", Some(&schema.to_string()), None, remember).await?;
        Ok(serde_json::from_str(&answer).unwrap())
    }
}

#[tokio::test]
async fn a_question_needs_a_grant_and_a_person() {
    let ground = Ground::new().await;
    let schema = json!({"type": "boolean"});
    let person = Scripted::new([Some(json!(true))]);
    let refused = ground.ask(&ground.session(Some(person.clone()), false), &schema, None).await;
    let Err(Refusal::Denied(denial)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        (denial.subject.as_str(), denial.hint.as_str()),
        ("user ask", "run `ringfence grant a user` to allow it, where the manifest requests it")
    );
    assert!(person.asked().is_empty());
    let nobody = ground.ask(&ground.session(None, true), &schema, None).await;
    assert!(matches!(&nobody, Err(Refusal::Unavailable(text)) if text.contains("nobody is there")), "{nobody:?}");
    let session = ground.session(Some(person.clone()), true);
    assert_eq!(ground.ask(&session, &schema, None).await, Ok(json!(true)));
    assert_eq!(session.taint().so_far(), Touch::PRIVATE);
    let Question::Skill { skill, text, .. } = &person.asked()[0] else { panic!("another question") };
    assert_eq!((skill.as_str(), text.as_str()), ("a", "What?"));
}

#[tokio::test]
async fn a_wrong_answer_is_asked_for_again_and_then_refused() {
    let ground = Ground::new().await;
    let schema = json!({"type": "integer", "minimum": 1});
    let person = Scripted::new([Some(json!("x")), Some(json!(0)), Some(json!(5))]);
    let session = ground.session(Some(person.clone()), true);
    assert_eq!(ground.ask(&session, &schema, None).await, Ok(json!(5)));
    assert_eq!(person.asked().len(), 3);
    let stubborn = Scripted::new((0..9).map(|_| Some(json!(0))));
    let refused = ground.ask(&ground.session(Some(stubborn.clone()), true), &schema, None).await;
    assert!(matches!(&refused, Err(Refusal::Unavailable(text)) if text.contains("does not fit")), "{refused:?}");
    assert_eq!(stubborn.asked().len(), 3);
    let declines = Scripted::new([None]);
    let refused = ground.ask(&ground.session(Some(declines), true), &schema, None).await;
    assert_eq!(refused, Err(Refusal::Cancelled));
    let long = Scripted::new([Some(json!("x".repeat(70_000)))]);
    let refused = ground.ask(&ground.session(Some(long), true), &json!({"type": "string"}), None).await;
    assert!(matches!(refused, Err(Refusal::TooLarge(excess)) if excess.what == "answer"));
}

#[tokio::test]
async fn an_answer_is_kept_only_where_the_person_agrees() {
    let ground = Ground::new().await;
    let schema = json!({"type": "string"});
    let person = Scripted::new([Some(json!("x")), Some(json!(false)), Some(json!("y")), Some(json!(true))]);
    let session = ground.session(Some(person.clone()), true);
    assert_eq!(ground.ask(&session, &schema, Some("tone")).await, Ok(json!("x")));
    assert_eq!(ground.answers.of("a").await.unwrap(), []);
    assert_eq!(ground.ask(&session, &schema, Some("tone")).await, Ok(json!("y")));
    let kept = ground.answers.of("a").await.unwrap();
    assert_eq!((kept.len(), kept[0].name.as_str(), &kept[0].answer), (1, "tone", &json!("y")));
    assert!(matches!(&person.asked()[3], Question::Keep { name, answer, .. } if name == "tone" && answer == "y"));
    // Now nobody needs to be there; under another name, with another schema or for another skill somebody does.
    let alone = ground.session(None, true);
    assert_eq!(ground.ask(&alone, &schema, Some("tone")).await, Ok(json!("y")));
    assert_eq!(person.asked().len(), 4);
    for (schema, name) in [(&schema, "other"), (&json!({"type": "string", "minLength": 1}), "tone")] {
        assert!(matches!(ground.ask(&alone, schema, Some(name)).await, Err(Refusal::Unavailable(_))), "{name}");
    }
    assert_eq!(ground.answers.get("b", "tone", &schema).await.unwrap(), None);
    // Without a grant a kept answer is nothing that it gets.
    let refused = ground.ask(&ground.session(None, false), &schema, Some("tone")).await;
    assert!(matches!(refused, Err(Refusal::Denied(_))));
    assert_eq!(ground.answers.forget("a", Some("tone")).await.unwrap(), 1);
    assert!(matches!(ground.ask(&alone, &schema, Some("tone")).await, Err(Refusal::Unavailable(_))));
}

#[tokio::test]
async fn nobody_is_asked_for_ever_or_without_end() {
    let ground = Ground::new().await;
    let silent = Scripted::new([]);
    let session = ground.session(Some(silent), true);
    let asked = Asked::default();
    let view = View { session: &session, answers: &ground.answers, asked: &asked };
    let late = host::ask(&view, "What?", None, Some(30), None).await;
    assert!(matches!(&late, Err(Refusal::TimedOut(text)) if text.contains("nobody answered")), "{late:?}");

    let eager = Scripted::new((0..100).map(|_| Some(json!("x"))));
    let session = ground.session(Some(eager.clone()), true);
    let view = View { session: &session, answers: &ground.answers, asked: &Asked::default() };
    for n in 0..25 {
        let answer = host::ask(&view, "What?", None, None, None).await;
        assert_eq!(answer.is_ok(), n < MOST_QUESTIONS, "{n}: {answer:?}");
    }
    assert_eq!(eager.asked().len() as u32, MOST_QUESTIONS);
}
