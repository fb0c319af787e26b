//! What is said in a conversation, and how answers are read. Knows no terminal.
//!
//! Strangers' words stand behind a bar at the start of each line, so that none of them can pass for the host's.

use std::io::Write;

use ringfence_core::capability::user::{Choice, Field, Kind, Shape};
use ringfence_core::{Approval, Question, schema};
use serde_json::{Map, Value};

/// Lines and characters that are shown at once of what would be sent.
const PAGE_LINES: usize = 30;
const PAGE_CHARS: usize = 3_000;
/// Characters that are shown of an answer that may be kept.
const SHOWN_ANSWER: usize = 200;

pub(crate) type Read<'a> = &'a mut dyn FnMut() -> Option<String>;

/// Asks, and gives the answer. None where the person gave none.
pub(crate) fn about(question: &Question, out: &mut dyn Write, read: Read<'_>) -> Option<Value> {
    match question {
        Question::Approve(approval) => approve(approval, out, read).map(Value::Bool),
        Question::Skill { skill, text, schema, remember } => {
            let shape = Shape::read(schema).ok()?;
            say(out, &format!("\n{} asks you (these are the skill's words):\n", line(skill)));
            say(out, &quoted(text));
            if let Some(name) = remember {
                say(out, &format!("(You can have the answer kept as `{}` afterwards.)\n", line(name)));
            }
            match shape {
                Shape::One(field) => match one(&field, out, read) {
                    Given::Value(value) => Some(value),
                    Given::Nothing | Given::Declined => None,
                },
                Shape::Form(fields) => form(&fields, out, read),
            }
        }
        Question::Keep { skill, name, answer } => {
            let answer = schema::shorten(&answer.to_string(), SHOWN_ANSWER);
            say(out, &format!("Your answer was:\n{}", quoted(&answer)));
            say(
                out,
                &format!(
                    "Keep it as `{}`, and give it to {} the next time without asking? [y/N] ",
                    line(name),
                    line(skill)
                ),
            );
            Some(Value::Bool(read().is_some_and(|answer| is_yes(&answer))))
        }
    }
}

fn approve(approval: &Approval, out: &mut dyn Write, read: Read<'_>) -> Option<bool> {
    let Approval { skill, caller, capability, subject, arguments, reason } = approval;
    say(out, &format!("\n{} wants to use `{}` (called by {}):\n", line(skill), line(capability), line(caller)));
    say(out, &quoted(subject));
    say(out, &format!("You are asked because {}.\nThis is exactly what it would do:\n", line(reason)));
    let mut rest = arguments.as_str();
    loop {
        let (page, left) = page(rest);
        say(out, &quoted(page));
        rest = left;
        let more = if rest.is_empty() {
            ""
        } else {
            say(out, &format!("({} of {} bytes are not shown yet.)\n", rest.len(), arguments.len()));
            "/m for more"
        };
        say(out, &format!("Allow it, this once? [y/N{more}] "));
        match read()?.trim() {
            answer if is_yes(answer) => return Some(true),
            "m" | "M" if !rest.is_empty() => {}
            _ => return Some(false),
        }
    }
}

/// As much as is shown at once, and what is left.
fn page(text: &str) -> (&str, &str) {
    let by_chars = text.char_indices().nth(PAGE_CHARS).map_or(text.len(), |(at, _)| at);
    let by_lines = text.match_indices('\n').nth(PAGE_LINES - 1).map_or(text.len(), |(at, _)| at + 1);
    text.split_at(by_chars.min(by_lines))
}

enum Given {
    Value(Value),
    /// The field is optional and was left out.
    Nothing,
    Declined,
}

fn form(fields: &[Field], out: &mut dyn Write, read: Read<'_>) -> Option<Value> {
    let mut all = Map::new();
    for field in fields {
        match one(field, out, read) {
            Given::Value(value) => drop(all.insert(field.name.clone(), value)),
            Given::Nothing => {}
            Given::Declined => return None,
        }
    }
    Some(Value::Object(all))
}

/// Asks for one field until the answer fits.
fn one(field: &Field, out: &mut dyn Write, read: Read<'_>) -> Given {
    let Ok(validator) = schema::compile(&field.schema) else { return Given::Declined };
    let label = field.title.as_deref().unwrap_or(&field.name);
    let words = [Some(label).filter(|label| !label.is_empty()), field.description.as_deref()];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    if !words.is_empty() {
        say(out, &quoted(&words.join(": ")));
    }
    if let Kind::Choice(choices) | Kind::Choices(choices) = &field.kind {
        let shown = |choice: &Choice| choice.title.clone().unwrap_or_else(|| choice.value.clone());
        let listed: Vec<_> =
            choices.iter().enumerate().map(|(at, choice)| format!("{}) {}", at + 1, shown(choice))).collect();
        say(out, &quoted(&listed.join("\n")));
    }
    let empty = match (&field.default, field.required) {
        (Some(default), _) => format!("an empty line means {}", line(&default.to_string())),
        (None, true) => "an empty line declines to answer".to_owned(),
        (None, false) => "an empty line leaves it out".to_owned(),
    };
    let what = match &field.kind {
        Kind::Boolean => "y or n".to_owned(),
        Kind::Text => "your answer".to_owned(),
        Kind::Choice(choices) => format!("a number from 1 to {}", choices.len()),
        Kind::Choices(choices) => format!("numbers from 1 to {}, with commas between them", choices.len()),
        Kind::Number => "a number".to_owned(),
        Kind::Integer => "a whole number".to_owned(),
    };
    loop {
        say(out, &format!("({what}; {empty}) > "));
        let Some(answer) = read() else { return Given::Declined };
        let answer = answer.trim();
        if answer.is_empty() {
            return match (&field.default, field.required) {
                (Some(default), _) => Given::Value(default.clone()),
                (None, true) => Given::Declined,
                (None, false) => Given::Nothing,
            };
        }
        match value(&field.kind, answer) {
            None => say(out, &format!("Not {what}.\n")),
            Some(value) => match schema::check(&validator, &value) {
                Ok(()) => return Given::Value(value),
                Err(wrong) => say(out, &format!("That does not fit:\n{}", quoted(&schema::render(&wrong)))),
            },
        }
    }
}

fn value(kind: &Kind, answer: &str) -> Option<Value> {
    match kind {
        Kind::Boolean if is_yes(answer) => Some(true.into()),
        Kind::Boolean => ["n", "no"].contains(&answer.to_lowercase().as_str()).then(|| false.into()),
        Kind::Text => Some(answer.into()),
        Kind::Choice(choices) => chosen(choices, answer).map(Value::from),
        Kind::Choices(choices) => {
            // A person who names one twice means it once.
            let mut all = Vec::new();
            for answer in answer.split(',') {
                let value = chosen(choices, answer.trim())?;
                if !all.contains(&value) {
                    all.push(value);
                }
            }
            Some(all.into())
        }
        Kind::Number => answer.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        Kind::Integer => answer.parse::<i64>().ok().map(Into::into),
    }
}

/// The value of a choice, which a person names by value, by title or by its number.
fn chosen<'a>(choices: &'a [Choice], answer: &str) -> Option<&'a str> {
    let by_value = choices.iter().find(|choice| choice.value == answer);
    let by_title = || choices.iter().find(|choice| choice.title.as_deref() == Some(answer));
    let by_number = || answer.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
    by_value.or_else(by_title).or_else(by_number).map(|choice| choice.value.as_str())
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

fn say(out: &mut dyn Write, text: &str) {
    // A terminal that has gone gives no answers either.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Strangers' words on lines of their own.
fn quoted(text: &str) -> String {
    crate::ui::printable(text).lines().map(|line| format!("  | {line}\n")).collect()
}

/// Strangers' words inside of a line.
fn line(text: &str) -> String {
    crate::ui::printable(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Has a conversation with these lines, and gives the answer, what was shown, and how many lines were left.
    fn talk(question: &Question, lines: &[&str]) -> (Option<Value>, String, usize) {
        let (mut out, mut lines) = (Vec::new(), lines.iter());
        let answer = about(question, &mut out, &mut || lines.next().map(|line| (*line).to_owned()));
        (answer, String::from_utf8(out).unwrap(), lines.len())
    }

    fn skill(schema: Value) -> Question {
        Question::Skill { skill: "a".into(), text: "What?".into(), schema, remember: None }
    }

    fn approval(arguments: &str) -> Question {
        Question::Approve(Approval {
            skill: "a".into(),
            caller: "user".into(),
            capability: "http",
            subject: "http POST https://example.com/".into(),
            arguments: arguments.into(),
            reason: "the rules say so".into(),
        })
    }

    #[test]
    fn every_shape_is_asked_for_until_it_fits() {
        let titled = json!({"type": "string", "oneOf": [{"const": "r", "title": "Deep red"}]});
        let many =
            json!({"type": "array", "maxItems": 2, "items": {"type": "string", "enum": ["red", "green", "blue"]}});
        for (schema, lines, answer) in [
            (json!({"type": "boolean"}), &["maybe", "Yes"][..], Some(json!(true))),
            (json!({"type": "boolean"}), &["n"], Some(json!(false))),
            (json!({"type": "boolean", "default": true}), &[""], Some(json!(true))),
            (json!({"type": "string", "minLength": 3}), &["ab", " abc "], Some(json!("abc"))),
            (json!({"type": "string", "enum": ["red", "2"]}), &["0", "3", "1"], Some(json!("red"))),
            (json!({"type": "string", "enum": ["red", "1"]}), &["1"], Some(json!("1"))),
            (titled.clone(), &["blue", "Deep red"], Some(json!("r"))),
            (titled, &["1"], Some(json!("r"))),
            (many.clone(), &["1, 4", "1, 2, 3", "3,red, 3"], Some(json!(["blue", "red"]))),
            (many, &[""], None),
            (json!({"type": "number", "maximum": 3}), &["x", "NaN", "4", "2.5"], Some(json!(2.5))),
            (json!({"type": "integer"}), &["2.5", "-7"], Some(json!(-7))),
            (json!({"type": "string"}), &[""], None),
            (json!({"type": "integer"}), &["x"], None),
            (json!({"type": "array"}), &["x"], None),
        ] {
            let (given, shown, left) = talk(&skill(schema.clone()), lines);
            assert_eq!(given, answer, "{schema}: {shown}");
            assert!(left == 0 || answer.is_none(), "{shown}");
        }
    }

    #[test]
    fn choices_are_shown_by_their_titles() {
        let schema = json!({"type": "array", "items": {"anyOf": [
            {"const": "r", "title": "Deep red"}, {"const": "g", "title": "y\n1) Deep red\x1b[2J"},
        ]}});
        let (given, shown, _) = talk(&skill(schema), &["1,2"]);
        assert_eq!(given, Some(json!(["r", "g"])), "{shown}");
        assert!(shown.contains("  | 1) Deep red\n  | 2) y\n  | 1) Deep red") && !shown.contains('\x1b'), "{shown}");
    }

    #[test]
    fn a_form_is_asked_for_field_by_field() {
        let form = json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "title": "Your name"},
            "age": {"type": "integer", "description": "in years"},
        }});
        let (given, shown, _) = talk(&skill(form.clone()), &["", "Ada"]);
        assert_eq!(given, Some(json!({"name": "Ada"})), "{shown}");
        assert!(shown.contains("| Your name\n") && shown.contains("| age: in years\n"), "{shown}");
        assert_eq!(talk(&skill(form.clone()), &["36", "Ada"]).0, Some(json!({"age": 36, "name": "Ada"})));
        assert_eq!(talk(&skill(form), &["36", ""]).0, None, "what is required was declined");
    }

    #[test]
    fn words_of_skills_cannot_pass_for_the_hosts() {
        let text = "Hi\r\n\nAllow it, this once? [y/N] \x1b[2J\u{202e}";
        let question = Question::Skill {
            skill: "a\nb".into(),
            text: text.into(),
            schema: json!({"type": "string"}),
            remember: None,
        };
        let (_, shown, _) = talk(&question, &["x"]);
        assert!(!shown.contains(['\x1b', '\r', '\u{202e}']), "{shown:?}");
        let forged = shown.lines().find(|line| line.contains("Allow it")).unwrap();
        assert!(forged.starts_with("  | "), "{shown}");
        assert!(shown.contains("a b asks you (these are the skill's words):\n"), "{shown}");
    }

    #[test]
    fn an_approval_shows_everything_and_takes_only_a_yes() {
        for (lines, answer) in
            [(&["y"][..], Some(true)), (&["YES"], Some(true)), (&[""], Some(false)), (&["m"], Some(false)), (&[], None)]
        {
            let (given, shown, _) = talk(&approval("POST it\nbody"), lines);
            assert_eq!(given, answer.map(Value::Bool));
            assert!(shown.contains("  | POST it\n  | body\n") && shown.contains("the rules say so"), "{shown}");
        }
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let (given, shown, _) = talk(&approval(&long), &["m", "m", "m", "y"]);
        assert_eq!(given, Some(Value::Bool(true)));
        assert!(shown.contains("| line 99\n") && shown.contains("bytes are not shown yet"), "{shown}");
        let (_, shown, _) = talk(&approval(&"x".repeat(10_000)), &["y"]);
        assert!(shown.contains("(7000 of 10000 bytes are not shown yet.)"), "{shown}");
    }

    #[test]
    fn an_answer_is_kept_only_after_a_yes() {
        let keep = Question::Keep { skill: "a".into(), name: "tone".into(), answer: json!("formal") };
        for (lines, answer) in [(&["y"][..], true), (&[""], false), (&["n"], false), (&[], false)] {
            let (given, shown, _) = talk(&keep, lines);
            assert_eq!(given, Some(Value::Bool(answer)));
            assert!(shown.contains("`tone`") && shown.contains("| \"formal\"\n"), "{shown}");
        }
    }
}
