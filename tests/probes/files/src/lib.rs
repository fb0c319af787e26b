//! The smallest acts on files, one per tool: Rust's own functions, and nothing around them.

use std::fs;
use std::io::{Read, Write};

use ringfence_skill::prelude::*;

/// What a file function said: `Operation not permitted (os error 63)` and its like.
fn failed(error: std::io::Error) -> Failure {
    Failure::failed(error.to_string())
}

/// Reads a file.
#[tool(read_only)]
fn fs_read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(failed)
}

/// Makes or overwrites a file.
#[tool]
fn fs_write(path: &str, text: &str) -> Result<String, Failure> {
    fs::write(path, text).map(|()| "written".into()).map_err(failed)
}

/// Writes at a file's end.
#[tool]
fn fs_append(path: &str, text: &str) -> Result<String, Failure> {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map(|()| "written".into()).map_err(failed)
}

/// The names in a folder, in order, folders with a slash.
#[tool(read_only)]
fn fs_list(path: &str) -> Result<String, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let end = if entry.file_type().map_err(failed)?.is_dir() { "/" } else { "" };
        names.push(format!("{}{end}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names.join(" "))
}

/// The size of a file.
#[tool(read_only)]
fn fs_size(path: &str) -> Result<String, Failure> {
    fs::metadata(path).map(|found| found.len().to_string()).map_err(failed)
}

/// Makes a folder with all above it, as a path with a slash at its end.
#[tool]
fn fs_make_dir(path: &str) -> Result<String, Failure> {
    fs::create_dir_all(path).map(|()| "made".into()).map_err(failed)
}

/// Removes a file, or a folder with everything in it.
#[tool]
fn fs_remove(path: &str) -> Result<String, Failure> {
    let is_dir = fs::symlink_metadata(path).map_err(failed)?.is_dir();
    let done = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    done.map(|()| "removed".into()).map_err(failed)
}

/// Renames a file.
#[tool]
fn fs_rename(path: &str, to: &str) -> Result<String, Failure> {
    fs::rename(path, to).map(|()| "renamed".into()).map_err(failed)
}

/// Makes another name of a file.
#[tool]
fn fs_link(path: &str, to: &str) -> Result<String, Failure> {
    fs::hard_link(path, to).map(|()| "linked".into()).map_err(failed)
}

/// Opens a file for writing and cuts it to a size.
#[tool]
fn fs_truncate(path: &str, size: u64) -> Result<String, Failure> {
    let file = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
    file.set_len(size).map(|()| "cut".into()).map_err(failed)
}

/// Makes files of a size below a folder until something says no. How many, and what was said.
#[tool]
fn fs_fill(path: &str, files: u32, bytes: u32) -> String {
    let content = vec![b'x'; bytes as usize];
    for at in 0..files {
        if let Err(error) = fs::write(format!("{path}/fill-{at}"), &content) {
            return format!("{at} {error}");
        }
    }
    format!("{files}")
}

/// Opens a file so many times at once. How many, and what was said.
#[tool]
fn fs_hold(path: &str, times: u32) -> String {
    let mut open = Vec::new();
    for at in 0..times {
        match fs::File::open(path) {
            Ok(file) => open.push(file),
            Err(error) => return format!("{at} {:?}", error.kind()),
        }
    }
    format!("{times}")
}

/// Opens and reads a file so many times. How often it held what it should, how often it was refused; anything else is told.
#[tool]
fn fs_race(path: &str, expected: &str, times: u32) -> Result<String, Failure> {
    let (mut good, mut refused) = (0, 0);
    for _ in 0..times {
        let mut text = String::new();
        match fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) if text == expected => good += 1,
            Ok(_) => return Err(Failure::failed(format!("it held `{text}`"))),
            Err(_) => refused += 1,
        }
    }
    Ok(format!("{good} {refused}"))
}

/// Reads a file over and over.
#[tool]
fn fs_spin(path: &str) -> Result<String, Failure> {
    loop {
        fs::read(path).map_err(failed)?;
    }
}

ringfence_skill::export!(
    fs_read,
    fs_write,
    fs_append,
    fs_list,
    fs_size,
    fs_make_dir,
    fs_remove,
    fs_rename,
    fs_link,
    fs_truncate,
    fs_fill,
    fs_hold,
    fs_race,
    fs_spin,
);
