use proptest::prelude::*;

use super::*;

const LEAST: &str = "---\nname: a-b\ndescription: Does it.\n---\n";

fn kind(text: &str) -> String {
    AgentSkill::read(text).unwrap_err().to_string()
}

#[test]
fn what_the_specification_shows_is_read() {
    let text = "---\nname: pdf-processing\ndescription: Extract PDF text, fill forms, merge files. Use when handling PDFs.\nlicense: \
                Apache-2.0\ncompatibility: Requires git, docker, jq, and access to the internet\nallowed-tools: Bash(git:*) Read\nmetadata:\n  \
                author: example-org\n  version: \"1.0\"\n---\n\n# How\n\n---\nmore\n";
    let skill = AgentSkill::read(text).unwrap();
    assert_eq!((skill.name.as_str(), skill.license.as_deref()), ("pdf-processing", Some("Apache-2.0")));
    assert_eq!(skill.metadata["version"], "1.0");
    assert_eq!(skill.instructions, "# How\n\n---\nmore");
    let listed = LEAST.replace("---\nname", "---\nallowed-tools:\n  - Bash(git:*)\n  - Read\nmetadata:\n  n: 1\nname");
    assert_eq!(AgentSkill::read(&listed).unwrap().metadata["n"], "1", "a number there is taken by its letters");
    assert_eq!(AgentSkill::read(LEAST).unwrap().instructions, "");
}

#[test]
fn habits_of_editors_change_nothing() {
    let text = format!("{LEAST}\nOne\nTwo\n");
    let plain = AgentSkill::read(&text).unwrap();
    assert_eq!(AgentSkill::read(&text.replace('\n', "\r\n")).unwrap(), plain);
    assert_eq!(AgentSkill::read(&format!("\u{feff}{text}")).unwrap(), plain);
    let folded = "---\nname: a-b\ndescription: >\n  Does\n  it.\n---";
    assert_eq!(AgentSkill::read(folded).unwrap().description, "Does it.");
}

#[test]
fn what_is_wrong_is_named() {
    for (text, word) in [
        (String::new(), "does not begin"),
        ("# Title\n".into(), "does not begin"),
        ("----\nname: a\n---\n".into(), "does not begin"),
        ("---\nname: a\ndescription: b\n".into(), "no end"),
        ("---\nname: [a\n---\n".into(), "frontmatter of SKILL.md is not right"),
        ("---\njust text\n---\n".into(), "is not right"),
        ("---\n---\n".into(), "is not right"),
        ("---\nname: a\n---\n".into(), "description"),
        ("---\nname: a\nname: b\ndescription: c\n---\n".into(), "name"),
        ("---\nname: a\ndescription: b\nlicence: MIT\n---\n".into(), "licence"),
        ("---\nname: a\ndescription: \"\"\n---\n".into(), "`description` in SKILL.md is empty"),
        ("---\nname: a\ndescription: [b]\n---\n".into(), "is not right"),
        ("---\nname: a\ndescription: b\nmetadata:\n  c:\n    d: e\n---\n".into(), "is not right"),
        ("---\nname: a\ndescription: &x b\n---\n".into(), "is not right"),
        ("---\nname: &x a\ndescription: *x\n---\n".into(), "is not right"),
        ("---\nname: a\n<<: {description: b}\n---\n".into(), "is not right"),
        (format!("---\nname: a\ndescription: {}\n---\n", "é".repeat(1025)), "longer than 1024"),
        (format!("---\nname: a\ndescription: b\ncompatibility: {}\n---\n", "c".repeat(501)), "longer than 500"),
        (format!("{LEAST}{}", "x".repeat(TEXT_BYTES + 1)), "its text is longer"),
        (format!("---\nname: {}\n---\n", "x".repeat(FRONTMATTER_BYTES)), "its frontmatter is longer"),
        ("x".repeat(10 << 20), "it is longer"),
    ] {
        let error = kind(&text);
        let shown: String = text.chars().take(80).collect();
        assert!(error.contains(word) && !error.contains('\n'), "{shown:?}: {error}");
    }
    let at_the_limit = format!("---\nname: a\ndescription: {}\n---\n", "é".repeat(1024));
    assert!(AgentSkill::read(&at_the_limit).is_ok());
    for name in ["A", "-a", "a-", "a--b", "a_b", "../a", "ä", "a b", &"a".repeat(65)] {
        let error = kind(&format!("---\nname: {}\ndescription: b\n---\n", scalar(name)));
        assert!(error.contains("`name`") && error.contains(name), "{name}: {error}");
    }
}

/// Each line is ten times the one before it, and the whole of them would be 10^9 words.
#[test]
fn nothing_in_the_frontmatter_multiplies() {
    let mut bomb = String::from("---\nname: a\ndescription: b\nmetadata:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let all = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb += &format!("  a{n}: &a{n} [{all}]\n");
    }
    assert!(kind(&(bomb + "---\n")).contains("is not right"));
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let deep = format!("---\nname: a\ndescription: {}{}\n---\n", open.repeat(3000), close.repeat(3000));
        assert!(kind(&deep).contains("is not right"));
    }
    let nested: String = (0..100).map(|n| format!("{}k:\n", " ".repeat(n))).collect();
    assert!(kind(&format!("---\n{nested}---\n")).contains("is not right"));
}

#[test]
fn names_are_those_of_the_specification() {
    for (skill, agent) in [("a", "a"), ("a--b", "a-b"), ("x-", "x"), ("9-lives", "9-lives"), ("a---", "a")] {
        assert_eq!(name_of(skill), agent);
        assert!(is_name(&name_of(skill)));
    }
}

#[test]
fn a_long_description_ends_with_a_sentence() {
    let short = "Does  it.\nAnd\tthat.";
    assert_eq!(description_of(short), "Does it. And that.");
    let sentence = "It does something that takes sixty letters to be told of here. ";
    let long = description_of(&sentence.repeat(40));
    assert!(long.ends_with("told of here.") && long.len() <= 1024 && long.len() > 900, "{long}");
    let words = description_of(&"word ".repeat(400));
    assert!(words.ends_with("word…") && words.chars().count() <= 1024, "{words}");
    assert_eq!(description_of(&"é".repeat(3000)).chars().count(), 1024);
    let after = format!("Short. {}", "W".repeat(1100));
    assert_eq!(description_of(&after), "Short.");
    assert!(!description_of("a\u{1b}[2J\u{202e}b").contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn what_could_be_read_as_something_else_stands_in_quotes() {
    for (text, written) in [
        ("Summarises texts, of any length.", "Summarises texts, of any length."),
        ("yes", "\"yes\""),
        ("1.0", "\"1.0\""),
        ("a: b", "\"a: b\""),
        ("a --- b", "\"a --\\x2d b\""),
        ("# x", "\"# x\""),
        ("say \"x\\y\"", "\"say \\\"x\\\\y\\\"\""),
        ("", "\"\""),
    ] {
        assert_eq!(scalar(text), written);
    }
}

/// Without a panic, and in no time to speak of.
fn reads(text: &str) {
    if let Ok(skill) = AgentSkill::read(text) {
        assert!(is_name(&skill.name));
        assert_eq!(AgentSkill::read(&skill.write()).unwrap(), skill, "what was read can be written");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        reads(&text);
        reads(&format!("---\n{text}\n---\n"));
        reads(&format!("---\nname: a\ndescription: {text}\nmetadata:\n  k: {text}\n---\n{text}"));
    }

    /// Of the letters that mean something in YAML.
    #[test]
    fn any_yaml_is_read_or_refused(text in "([-:?,\\[\\]{}#&*!|>'\"%@` \n\tab0~<.]|name: |\n  |\n- |&a |\\*a|!!str |---\n){0,60}") {
        reads(&format!("---\n{text}\n---\n"));
        reads(&format!("---\nname: a\ndescription: b\n{text}\n---\n"));
        reads(&format!("---\nname: a\ndescription: {text}\n---\n"));
    }

    #[test]
    fn what_is_written_is_read_again(
        description in "[^\\s].{0,200}", license in proptest::option::of("[a-zA-Z0-9.-]{1,20}"), key in "[^\\s]{1,20}", value in any::<String>(), body in any::<String>(),
    ) {
        let description = description.trim().to_owned();
        prop_assume!(!description.is_empty());
        let skill = AgentSkill {
            name: "a-b".into(),
            description,
            license,
            compatibility: Some(compatibility()),
            metadata: [(key, value)].into(),
            instructions: body.replace('\r', "").trim().to_owned(),
        };
        let written = skill.write();
        prop_assert_eq!(AgentSkill::read(&written).unwrap(), skill, "{}", written);
    }

    #[test]
    fn any_description_becomes_one_that_fits(text in ".{0,2000}") {
        let cut = description_of(&text);
        prop_assert!(cut.chars().count() <= DESCRIPTION_CHARS);
        prop_assert!(!cut.contains('\n'));
    }
}
