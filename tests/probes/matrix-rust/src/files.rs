//! Files of granted folders, by Rust's own functions.

use ringfence_skill::prelude::*;

use crate::models::Names;

/// Reads a file.
#[tool(read_only)]
pub fn read_file(path: &str) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(path)?)
}

/// Writes a file.
#[tool(destructive)]
pub fn write_file(path: &str, text: &str) -> Result<&'static str, Failure> {
    std::fs::write(path, text)?;
    Ok("ok")
}

/// The names in a folder, sorted.
#[tool(read_only)]
pub fn list_files(path: &str) -> Result<Names, Failure> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(Names { names })
}
