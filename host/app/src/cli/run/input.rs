//! Where a tool's input comes from: `--input`, flags, files, stdin; always within the limit, and refused before it is read
//! in whole.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use ringfence_core::Error;
use ringfence_core::catalog::tool::Tool;
use ringfence_core::engine::LimitSettings;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::Args;
use super::fields::Field;
use super::flags::Form;
use crate::cli::Context;
use crate::config::Config;
use crate::trouble::Trouble;

/// Names of inputs, or how they end, that say where a document is instead of being it.
const PLACES: [&str; 6] = ["path", "paths", "file", "files", "url", "uri"];

/// How long stdin may be silent before a person is told what is waited for.
const SILENCE: Duration = Duration::from_secs(3);

/// The input as JSON text. Flags go on top of `--input`. Stdin is read where it is no terminal and something that the tool
/// requires is still missing; and where it is a pipe or a file, for a main text that may be left out and that nothing else stands for.
pub(super) async fn gather(name: &str, tool: &Tool, args: &Args, context: &Context) -> Result<String, Error> {
    let most = most_bytes(&context.config, name);
    let (tool, input, rest) = (tool.clone(), args.input.clone(), args.rest.clone());
    // A pipe that nobody writes to holds a thread for ever. It must not be the one that hears Ctrl-C.
    let (waits, waited) = oneshot::channel();
    let reading = tokio::task::spawn_blocking(move || read_all(&tool, input.as_deref(), &rest, most, waits));
    let patience = async {
        if waited.await.is_ok() && !context.quiet {
            tokio::time::sleep(SILENCE).await;
            crate::ui::note("waiting for stdin to end; `< /dev/null` gives nothing");
        }
        std::future::pending::<Infallible>().await
    };
    let read = tokio::select! {
        read = reading => read,
        never = patience => match never {},
    };
    read.unwrap_or_else(|_| Err(Trouble::new("host-fault", "reading the input failed", "try again")))
}

/// `waits` is told when stdin is waited for.
fn read_all(
    tool: &Tool,
    given: Option<&str>,
    rest: &[OsString],
    most: u64,
    waits: oneshot::Sender<()>,
) -> Result<String, Error> {
    let form = Form::of(tool);
    let load = |path: &Path| match path == Path::new("-") {
        true => read("stdin", std::io::stdin().lock(), most),
        false => file(path, most),
    };
    let mut input = match given {
        None => Map::new(),
        Some("-") => object("stdin", &read("stdin", std::io::stdin().lock(), most)?)?,
        Some(text) => match text.strip_prefix('@') {
            Some(path) => object(path, &file(Path::new(path), most)?)?,
            None => object("--input", text)?,
        },
    };
    input.extend(form.parse(rest, &load)?);
    let lacks = |field: &Field| field.required && !input.contains_key(&field.name);
    let wanted = match form.fields.iter().any(lacks) {
        true => !std::io::stdin().is_terminal(),
        false => takes_text(&form, &input) && holds_text(),
    };
    if wanted && given.is_none() {
        // Nobody may be there to be told.
        let _ = waits.send(());
        let text = read("stdin", std::io::stdin().lock(), most)?;
        add_stdin(&form, text, &mut input)?;
    }
    missing(tool, &form, &input)?;
    let text = Value::Object(input).to_string();
    if text.len() as u64 > most {
        return Err(too_large("the input", text.len() as u64, most));
    }
    Ok(text)
}

/// Whether a main text may be left out and was, while no other input says where it is instead.
fn takes_text(form: &Form, input: &Map<String, Value>) -> bool {
    let stands_for_it = |name: &str| {
        let last = name.rsplit(['_', '-']).next().unwrap_or(name).to_ascii_lowercase();
        PLACES.contains(&last.as_str())
    };
    form.main().is_some_and(|main| !input.contains_key(&main.name)) && !input.keys().any(|name| stands_for_it(name))
}

/// Whether stdin is a pipe or a file. What else it may be, such as a socket that a parent has left open, may never end.
#[cfg(unix)]
fn holds_text() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from);
    let about = stdin.and_then(|file| file.metadata());
    about.is_ok_and(|about| about.is_file() || about.file_type().is_fifo())
}

#[cfg(not(unix))]
fn holds_text() -> bool {
    false
}

/// The limit of input that holds for the skill of this name. The host decides; this only spares reading what it refuses.
fn most_bytes(config: &Config, name: &str) -> u64 {
    let own = config.settings.skills.get(name).map(|skill| skill.limits).unwrap_or_default();
    let all = config.settings.limits;
    LimitSettings { input_kib: own.input_kib.or(all.input_kib), ..all }.resolve().input_bytes as u64
}

/// The input that a text alone makes, for faces that have nothing else: the tool's whole input where it is a JSON object with the tool's
/// keys, else its main text. None where the tool has none.
pub(crate) fn of_text(tool: &Tool, text: String) -> Option<Map<String, Value>> {
    let mut input = Map::new();
    add_stdin(&Form::of(tool), text, &mut input).is_ok().then_some(input)
}

/// A JSON object whose keys are all inputs of the tool is the input; any other text is the tool's main text.
fn add_stdin(form: &Form, text: String, input: &mut Map<String, Value>) -> Result<(), Error> {
    if text.is_empty() {
        return Ok(());
    }
    let known = |name: &String| form.fields.iter().any(|field| field.name == *name);
    if let Ok(Value::Object(object)) = serde_json::from_str(&text)
        && !object.is_empty()
        && object.keys().all(known)
    {
        for (name, value) in object {
            // A flag is nearer than a pipe.
            input.entry(name).or_insert(value);
        }
        return Ok(());
    }
    let Some(main) = form.main() else {
        return Err(Trouble::input(
            "stdin holds text, and the tool has no main text that it could fill",
            "pipe a JSON object with the tool's inputs, or use flags",
        ));
    };
    input.entry(main.name.clone()).or_insert(text.into());
    Ok(())
}

/// Says what is missing in the words of the command line. The host checks the input against the schema in any case.
fn missing(tool: &Tool, form: &Form, input: &Map<String, Value>) -> Result<(), Error> {
    let missing = form.fields.iter().filter(|field| field.required && !input.contains_key(&field.name));
    let flags: Vec<_> = missing.map(|field| format!("--{}", field.flag)).collect();
    if flags.is_empty() {
        return Ok(());
    }
    let unknown = input.keys().find(|name| !form.fields.iter().any(|field| field.name == **name));
    if let Some(unknown) = unknown {
        let names = form.fields.iter().map(|field| field.name.clone());
        let all: Vec<_> = names.clone().collect();
        let near = crate::config::nearest(unknown, names).map(|near| format!("did you mean `{near}`? "));
        return Err(Trouble::input(
            format!("`{}` has no input `{}`", tool.name, crate::ui::printable(unknown)),
            format!("{}its inputs are: {}", near.unwrap_or_default(), all.join(", ")),
        ));
    }
    let file = form.main().map(|_| ", --file PATH or a pipe for its text").unwrap_or_default();
    Err(Trouble::input(
        format!("`{}` needs {}", tool.name, flags.join(", ")),
        format!("give it by flag{file}; `ringfence run SKILL --help` shows all flags"),
    ))
}

fn object(source: &str, text: &str) -> Result<Map<String, Value>, Error> {
    let wrong = |what: String| {
        Trouble::input(
            format!("{source} holds no JSON object: {what}"),
            "write for example --input '{\"text\": \"...\"}'",
        )
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(wrong("it is another JSON value".into())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Reads a text file. One that is too large is refused by its size alone.
fn file(path: &Path, most: u64) -> Result<String, Error> {
    let unreadable = |error| Trouble::unreadable(path, &error);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return Err(Trouble::input(format!("{} is a folder", path.display()), "name a text file"));
    }
    let name = path.display().to_string();
    if about.len() > most {
        return Err(too_large(&name, about.len(), most));
    }
    read(&name, file, most)
}

/// Reads text of at most `most` bytes: what grows or has no size stops there too.
fn read(name: &str, from: impl Read, most: u64) -> Result<String, Error> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes).map_err(|error| Trouble::unreadable(Path::new(name), &error))?;
    if bytes.len() as u64 > most {
        return Err(Trouble::new("too-large", format!("{name} has more than {most} bytes"), HINT));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Trouble::input(
            format!("{name} is UTF-16 text, not UTF-8"),
            "convert it first, for example with `iconv -f UTF-16 -t UTF-8`",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let binary = error.as_bytes().iter().take(1024).any(|byte| *byte == 0);
        let help = if binary { "it looks like a binary file: name a text file" } else { "convert it to UTF-8 first" };
        Trouble::input(format!("{name} is no UTF-8 text: byte {at} makes no sense"), help)
    })
}

const HINT: &str = "give less, or raise `limits.input-kib` in your configuration";

fn too_large(name: &str, size: u64, most: u64) -> Error {
    Trouble::new("too-large", format!("{name} has {size} bytes; at most {most} are taken"), HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_never_read_in_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        // 200 MB that take no room on the disk.
        std::fs::File::create(&path).unwrap().set_len(200_000_000).unwrap();
        let error = file(&path, 16 << 20).unwrap_err();
        assert_eq!(error.kind(), "too-large");
        assert!(error.to_string().ends_with("big has 200000000 bytes; at most 16777216 are taken"), "{error}");
        // A stream has no size: it is cut off.
        assert_eq!(read("stdin", std::io::repeat(b'a'), 1000).unwrap_err().kind(), "too-large");
        assert_eq!(read("stdin", &b"a"[..], 1).unwrap(), "a");
    }

    #[test]
    fn text_must_be_text() {
        let error = read("stdin", &b"ab\xff"[..], 10).unwrap_err();
        assert_eq!(error.to_string(), "stdin is no UTF-8 text: byte 2 makes no sense");
        assert!(read("x", &b"\xff\xfea\0"[..], 10).unwrap_err().hint().contains("iconv"));
        assert!(read("x", &b"\x7fELF\0\xff"[..], 10).unwrap_err().hint().contains("binary"));
    }

    #[test]
    fn input_must_be_an_object() {
        assert!(object("--input", "[1]").unwrap_err().to_string().contains("another JSON value"));
        assert!(object("--input", "{").unwrap_err().to_string().contains("EOF"));
        assert_eq!(object("--input", r#"{"a":1}"#).unwrap()["a"], 1);
    }

    #[test]
    fn a_text_that_may_be_left_out_is_taken_where_nothing_stands_for_it() {
        let text = serde_json::json!({ "type": "string" });
        let properties = serde_json::json!({
            "text": text, "path": text, "source_url": text, "sheet": text, "with_files": { "type": "array" },
        });
        let form = Form::new("t", "", &serde_json::json!({ "properties": properties }));
        let bare = Form::new("t", "", &serde_json::json!({ "properties": { "path": text } }));
        for (given, taken) in [
            (&[][..], true),
            (&["sheet"], true),
            (&["text"], false),
            (&["path"], false),
            (&["sheet", "source_url"], false),
            (&["with_files"], false),
        ] {
            let input = given.iter().map(|name| ((*name).to_owned(), Value::from("x"))).collect();
            assert_eq!(takes_text(&form, &input), taken, "{given:?}");
            assert!(!takes_text(&bare, &input), "it has no main text");
        }
    }

    #[test]
    fn stdin_is_an_object_of_inputs_or_the_main_text() {
        let form = Form::new(
            "t",
            "",
            &serde_json::json!({
                "required": ["text"],
                "properties": { "text": { "type": "string" }, "n": { "type": "integer" } },
            }),
        );
        let of = |text: &str| {
            let mut input = Map::from_iter([("n".to_owned(), 1.into())]);
            add_stdin(&form, text.into(), &mut input).map(|()| Value::Object(input))
        };
        assert_eq!(of("hello").unwrap(), serde_json::json!({ "n": 1, "text": "hello" }));
        assert_eq!(of(r#"{"text":"a","n":2}"#).unwrap(), serde_json::json!({ "n": 1, "text": "a" }));
        assert_eq!(of(r#"{"other":"a"}"#).unwrap()["text"], r#"{"other":"a"}"#);
        assert_eq!(of("").unwrap(), serde_json::json!({ "n": 1 }));
    }
}
