//! One entry more in a configuration that is somebody else's: put in as text, so that comments, order and blanks stay as they are.
//!
//! What was put in is read again and compared with what was there before. Anything else than one entry more is refused.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::Refused;

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// JSON, with the comments and the commas at ends that editors allow. None where the entry is there already.
pub(super) fn json(text: &str, table: &str, name: &str, value: &Value) -> Result<Option<String>, Refused> {
    let empty = text.trim_start_matches('\u{feff}').trim().is_empty();
    let text = if empty { "{\n}\n" } else { text };
    // Of the same length, so that a place in the one is that place in the other.
    let plain = without_comments(text)?;
    let whole = object(&plain, 0, "the file")?;
    let (at, entry) = match whole.fields.get(table) {
        Some(servers) => {
            let servers = object(servers.get(), place(&plain, servers.get()), &format!("`{table}`"))?;
            if let Some(there) = servers.fields.get(name) {
                let same = serde_json::from_str::<Value>(there.get()).is_ok_and(|there| there == *value);
                return if same { Ok(None) } else { Err(Refused::Taken(name.to_owned())) };
            }
            (servers.inside, member(name, value, 4, servers.fields.is_empty()))
        }
        None => {
            let servers = serde_json::json!({ name: value });
            (whole.inside, member(table, &servers, 2, whole.fields.is_empty()))
        }
    };
    let after = format!("{}{entry}{}", &text[..at], &text[at..]);
    let read = |text: &str| -> Result<Value, Refused> {
        serde_json::from_str(&without_comments(text)?).map_err(|error| Refused::Unreadable(error.to_string()))
    };
    let mut expected = read(text)?;
    if let Some(servers) = expected.as_object_mut().map(|all| all.entry(table).or_insert_with(|| serde_json::json!({})))
    {
        servers[name] = value.clone();
    }
    match read(&after)? == expected {
        true => Ok(Some(after)),
        false => Err(Refused::Unreadable("an entry cannot be put in without changing others".into())),
    }
}

/// A member of an object, to stand behind its opening brace.
fn member(name: &str, value: &Value, indent: usize, only: bool) -> String {
    let blanks = " ".repeat(indent);
    let value = format!("{value:#}").replace('\n', &format!("\n{blanks}"));
    format!("\n{blanks}{}: {value}{}", Value::from(name), if only { "" } else { "," })
}

struct Object<'a> {
    fields: Fields<'a>,
    /// Where the first member goes.
    inside: usize,
}

fn object<'a>(text: &'a str, at: usize, what: &str) -> Result<Object<'a>, Refused> {
    let opening = text.find('{').filter(|opening| text[..*opening].trim().is_empty());
    let opening = opening.ok_or_else(|| Refused::Unreadable(format!("{what} is not an object")))?;
    let fields = serde_json::from_str(&text[opening..]).map_err(|error| Refused::Unreadable(error.to_string()))?;
    Ok(Object { fields, inside: at + opening + 1 })
}

/// Where in `whole` a part of it begins.
fn place(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// The same text with blanks in the place of comments, and of commas that nothing follows.
fn without_comments(text: &str) -> Result<String, Refused> {
    let mut bytes = text.as_bytes().to_vec();
    if text.starts_with('\u{feff}') {
        bytes[..3].fill(b' ');
    }
    let mut at = 0;
    let mut comma = None;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            (b'"', _) => {
                comma = None;
                string(&bytes, at)
            }
            (b'/', Some(b'/')) => {
                let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |line| at + line);
                bytes[at..end].fill(b' ');
                end
            }
            (b'/', Some(b'*')) => {
                let inner = bytes.get(at + 2..).unwrap_or_default();
                let end = inner.windows(2).position(|two| two == b"*/");
                let end = at + 4 + end.ok_or_else(|| Refused::Unreadable("a comment does not end".into()))?;
                bytes[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
                end
            }
            (b',', _) => {
                comma = Some(at);
                at + 1
            }
            (b'}' | b']', _) => {
                if let Some(comma) = comma.take() {
                    bytes[comma] = b' ';
                }
                at + 1
            }
            (byte, _) => {
                if !byte.is_ascii_whitespace() {
                    comma = None;
                }
                at + 1
            }
        };
        at = end;
    }
    String::from_utf8(bytes).map_err(|_| Refused::Unreadable("it is not UTF-8".into()))
}

/// Where a string that begins at `at` is over.
fn string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// TOML: a table of its own at the end. None where the entry is there already.
pub(super) fn toml(text: &str, table: &str, name: &str, lines: &str) -> Result<Option<String>, Refused> {
    let read = |text: &str| -> Result<toml::Table, Refused> {
        toml::from_str(text).map_err(|error: toml::de::Error| Refused::Unreadable(error.message().to_owned()))
    };
    let (mut expected, entry) = (read(text)?, read(lines)?);
    let entry = entry.get(table).and_then(|servers| servers.get(name)).cloned();
    let entry = entry.ok_or_else(|| Refused::Unreadable("the entry cannot be written".into()))?;
    if let Some(there) = expected.get(table).and_then(|servers| servers.get(name)) {
        return if *there == entry { Ok(None) } else { Err(Refused::Taken(name.to_owned())) };
    }
    let before = match text {
        "" => String::new(),
        text if text.ends_with('\n') => format!("{text}\n"),
        text => format!("{text}\n\n"),
    };
    let after = before + lines;
    let servers = expected.entry(table).or_insert_with(|| toml::Table::new().into());
    if let Some(servers) = servers.as_table_mut() {
        servers.insert(name.to_owned(), entry);
    }
    match read(&after)? == expected {
        true => Ok(Some(after)),
        false => Err(Refused::Unreadable(format!("`{table}` is written in a way that nothing can be added to"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(text: &str) -> Result<Option<String>, Refused> {
        json(text, "mcpServers", "r", &json!({ "command": "/r" }))
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(&without_comments(text).unwrap()).unwrap()
    }

    #[test]
    fn an_empty_file_gets_the_entry_alone() {
        for empty in ["", " \n", "{}", "{\n}\n", "// nothing yet\n{ /* here */ }"] {
            let after = put(empty).unwrap().unwrap();
            assert_eq!(read(&after), json!({ "mcpServers": { "r": { "command": "/r" } } }), "{empty:?}: {after}");
            assert_eq!(put(&after), Ok(None), "{empty:?}");
        }
    }

    #[test]
    fn all_that_stands_there_stays_as_it_is() {
        let text = concat!(
            "\u{feff}// mine, { and \"\n{\n  \"z\": [1, 2, ], /* } */\n  \"a//b\": \"x/*\\\"\",\n",
            "  \"mcpServers\": {\n    // the other\n    \"other\": { \"url\": \"https://a.example/\" },\n  },\n}\n"
        );
        let after = put(text).unwrap().unwrap();
        let mut rest = after.as_str();
        for line in text.lines() {
            let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is gone from {after}"));
            rest = &rest[at + line.len()..];
        }
        let plain = after.trim_start_matches('\u{feff}');
        assert_eq!(read(plain)["mcpServers"]["r"]["command"], "/r", "{after}");
        assert_eq!(read(plain)["mcpServers"]["other"]["url"], "https://a.example/");
        assert_eq!(put(&after), Ok(None));
    }

    #[test]
    fn a_table_that_is_missing_is_made() {
        let after = put("{\"theme\": \"dark\"}").unwrap().unwrap();
        assert_eq!(read(&after), json!({ "theme": "dark", "mcpServers": { "r": { "command": "/r" } } }));
    }

    #[test]
    fn what_cannot_be_read_or_is_anothers_is_refused() {
        for broken in ["{", "[]", "{\"mcpServers\": []}", "{\"mcpServers\": 1}", "{} x", "{/*", "nul", "{\"a\" \"b\"}"]
        {
            assert!(matches!(put(broken), Err(Refused::Unreadable(_))), "{broken}");
        }
        assert_eq!(put("{\"mcpServers\": {\"r\": {\"command\": \"/other\"}}}"), Err(Refused::Taken("r".into())));
    }

    #[test]
    fn a_table_of_toml_is_added_at_the_end() {
        let lines = "[mcp_servers.r]\ncommand = \"/r\"\n";
        let put = |text: &str| toml(text, "mcp_servers", "r", lines);
        let text = "# mine\nmodel = 'x'\n[mcp_servers.other]\ncommand = 'o' # here";
        let after = put(text).unwrap().unwrap();
        assert!(after.starts_with(text) && after.ends_with(lines), "{after}");
        assert_eq!(put(&after), Ok(None));
        assert_eq!(put("").unwrap().unwrap(), lines);
        for broken in ["x = ", "mcp_servers = {}", "mcp_servers = 1"] {
            assert!(matches!(put(broken), Err(Refused::Unreadable(_))), "{broken}");
        }
        assert_eq!(put("[mcp_servers.r]\ncommand = '/other'\n"), Err(Refused::Taken("r".into())));
    }
}
