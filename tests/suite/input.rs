//! Input that a tool does not take.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Done, Home, TestHost, call, probe};

#[test]
fn an_unknown_tool() {
    let done = Home::new().probe("dance", &["--input", "{}"]);
    done.fails("unknown-tool", 2, "`dance`", "echo");
}

#[tokio::test]
async fn an_unknown_tool_of_the_host() {
    let host = TestHost::new().await;
    let error = host.call("dance", serde_json::json!({})).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), ("unknown-tool", "`probe` has no tool `dance`"));
    assert!(error.hint().contains("echo"), "{}", error.hint());
}

#[test]
fn no_tool_where_there_are_several() {
    let probe = probe().display().to_string();
    let done = Home::new().run(&["run", &probe, "--text", "x"]);
    done.fails("invalid-input", 2, "tools", "behind the skill: echo");
}

#[test]
fn input_that_fails_its_schema_says_where() {
    let home = Home::new();
    for (input, place, value) in [
        (r#"{"text":"a","count":9}"#, "/count", "9"),
        (r#"{"text":"a","count":"three"}"#, "/count", "three"),
        (r#"{"text":7,"count":1}"#, "/text", "7"),
        (r#"{"text":"a","count":1,"tags":["x",5]}"#, "/tags/1", "5"),
    ] {
        let done = home.probe("typed", &["--input", input]);
        done.fails("invalid-input", 2, place, "ringfence run SKILL --help");
        done.fails("invalid-input", 2, value, "ringfence run SKILL --help");
    }
    home.probe("typed", &["--input", r#"{"text":"a"}"#]).fails("invalid-input", 2, "--count", "--help");
    home.probe("typed", &["--text", "a", "--count", "x"]).fails("invalid-input", 2, "--count x", "whole number");
    home.probe("typed", &["--input", "[1]"]).fails("invalid-input", 2, "no JSON object", "--input");
    home.probe("typed", &["--input", "{\"text\":"]).fails("invalid-input", 2, "EOF", "--input");
    let unknown = home.probe("typed", &["--text", "a", "--count", "1", "--nonsense", "x"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.err.contains("--nonsense"), "{unknown:?}");
}

#[tokio::test]
async fn the_host_checks_input_itself() {
    let host = TestHost::new().await;
    for (input, place) in [
        (r#"{"text":"a","count":9}"#, "/count"),
        (r#"{"text":"a"}"#, "count"),
        ("{", "EOF"),
        ("[]", "object"),
        (r#"{"text":"a","count":1,"other":1}"#, "other"),
    ] {
        let call = ringfence_core::Call { input: input.into(), ..call(&host.probe, "typed", serde_json::json!({})) };
        let error = host.host.invoke(call).await.unwrap_err();
        assert_eq!(error.kind(), "invalid-input", "{input}: {error}");
        assert!(error.to_string().contains(place), "{input}: {error}");
    }
}

#[test]
fn a_document_of_200_megabytes_is_refused_before_it_is_read() {
    let home = Home::new();
    let path = home.write("work/huge.txt", "");
    std::fs::File::create(path).unwrap().set_len(200_000_000).unwrap();
    // Less memory than the file is long: a program that read it would not get to its answer.
    let mut command = std::process::Command::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_ringfence");
    let probe = probe().display().to_string();
    command.args(["-c", "ulimit -d 262144; exec \"$@\"", "sh", program, "run", &probe, "--tool", "echo"]);
    command.args(["--allow", "model", "--allow", "kv", "--file", "huge.txt", "--set", "engine.allocator=on-demand"]);
    command.current_dir(home.work()).stdin(Stdio::null());
    home.environment(&mut command);
    let done = Done::of(&mut command);
    done.fails("too-large", 2, "huge.txt has 200000000 bytes; at most 16777216", "limits.input-kib");
    assert!(done.took < Duration::from_secs(10), "{:?}", done.took);
}

#[test]
fn a_stream_that_never_ends_is_cut_off() {
    let home = Home::new();
    let probe = probe().display().to_string();
    let mut command = home.command(&["run", &probe, "--tool", "echo", "--allow", "model", "--allow", "kv"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let piece = vec![b'a'; 1 << 16];
        let mut sent = 0;
        while sent < 400 << 20 && input.write_all(&piece).is_ok() {
            sent += piece.len();
        }
        sent
    });
    let done = Done::wait(child, begun);
    done.fails("too-large", 2, "16777216", "limits.input-kib");
    assert!(writer.join().unwrap() < 20 << 20, "it was not read to its end");
}

/// The tool `maybe` of the probe, whose text may be left out, with something to read from.
fn maybe(home: &Home, args: &[&str], stdin: impl Into<Stdio>) -> Done {
    let mut command = home.command(&["run"]);
    command.arg(probe()).args(["maybe", "--allow", "model", "--allow", "kv"]).args(args).stdin(stdin);
    Done::of(&mut command)
}

/// A pipe with `text` in it, and its end.
fn pipe(text: &str) -> Stdio {
    let (from, mut into) = std::io::pipe().unwrap();
    into.write_all(text.as_bytes()).unwrap();
    from.into()
}

#[test]
fn a_text_that_may_be_left_out_comes_from_a_pipe_or_a_file() {
    let home = Home::new();
    maybe(&home, &[], pipe("a,b\n1,2\n")).gives("text=a,b\n1,2\n;\n");
    maybe(&home, &["--title", "x"], pipe("hello")).gives("text=hello;title=x;\n");
    let file = home.write("work/notes.txt", "of a file");
    maybe(&home, &[], std::fs::File::open(&file).unwrap()).gives("text=of a file;\n");
    maybe(&home, &[], pipe(r#"{"text": "t", "path": "p"}"#)).gives("text=t;path=p;\n");
    // Nothing is no text.
    maybe(&home, &[], pipe("")).gives("");
    maybe(&home, &[], Stdio::null()).gives("");
}

/// What a loop of a shell has on its stdin, and what a parent never ends, is left alone where the tool has what it needs.
#[test]
fn stdin_is_left_alone_where_something_else_says_what_to_read() {
    let home = Home::new();
    for (args, given) in [
        (&["--path", "a.csv"][..], "path=a.csv;\n"),
        (&["--text", "t"], "text=t;\n"),
        (&["--input", r#"{"title": "x"}"#], "title=x;\n"),
    ] {
        let (from, into) = std::io::pipe().unwrap();
        let mut kept = from.try_clone().unwrap();
        maybe(&home, args, from).gives(given);
        // It read nothing: what is written now is all that there is.
        let mut into = into;
        into.write_all(b"rest").unwrap();
        drop(into);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut kept, &mut rest).unwrap();
        assert_eq!(rest, "rest", "{args:?}");
    }
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    maybe(&home, &[], std::os::fd::OwnedFd::from(theirs)).gives("");
    drop(ours);
}

#[test]
fn whoever_waits_for_stdin_is_told() {
    let home = Home::new();
    let (from, into) = std::io::pipe().unwrap();
    let mut command = home.command(&["run"]);
    command.arg(probe()).args(["maybe", "--allow", "model", "--allow", "kv"]).stdin(from);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    assert_eq!(line, "waiting for stdin to end; `< /dev/null` gives nothing\n");
    drop(into);
    Done::wait(child, begun).gives("");
}

#[test]
fn a_document_that_is_no_text() {
    let home = Home::new();
    home.write("work/picture.bin", b"ab\xff\xfe");
    home.probe("echo", &["--file", "picture.bin"]).fails("invalid-input", 2, "byte 2", "UTF-8");
    home.probe("echo", &["--file", "gone.txt"]).fails("not-found", 2, "gone.txt", "path");
    home.probe("echo", &["--file", "."]).fails("invalid-input", 2, "folder", "file");
}
