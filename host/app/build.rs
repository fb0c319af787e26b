//! Gathers what travels inside of the program, the SDK and the interface, without what builds leave in their folders.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// What builds, package clients and interpreters leave beside sources.
const LEFT: [&str; 8] =
    ["target", "build", "node_modules", "__pycache__", ".pytest_cache", ".venv", ".ringfence", ".git"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let into = PathBuf::from(std::env::var("OUT_DIR")?).join("embedded");
    match fs::remove_dir_all(&into) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&into)?,
    }
    // A digest for each SDK and one for the interface: a change of one language's rebuilds no skill in another.
    let mut digests = vec![env!("CARGO_PKG_VERSION").to_owned()];
    let languages = fs::read_dir(root.join("sdk")).into_iter().flatten().filter_map(Result::ok);
    let mut parts: Vec<_> = languages.map(|entry| Path::new("sdk").join(entry.file_name())).collect();
    parts.push("wit".into());
    parts.sort();
    println!("cargo::rerun-if-changed={}", root.join("sdk").display());
    for part in parts {
        let from = root.join(&part);
        if !from.is_dir() {
            println!("cargo::rerun-if-changed={}", root.display());
            println!("cargo::warning={} is missing: `ringfence new` will not work", part.display());
            continue;
        }
        let mut digest = DefaultHasher::new();
        copy(&from, &into.join(&part), &mut digest)?;
        digests.push(format!("{}={:016x}", part.file_name().unwrap_or_default().to_string_lossy(), digest.finish()));
    }
    println!("cargo::rustc-env=EMBEDDED={}", digests.join(" "));
    Ok(())
}

fn copy(from: &Path, to: &Path, digest: &mut DefaultHasher) -> Result<(), Box<dyn Error>> {
    let walk = WalkDir::new(from).sort_by_file_name().into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        // An SDK's own tests are for those who work on it; a template's are for everybody.
        let of_an_sdk = entry.depth() == 1 && name == "tests";
        entry.depth() == 0 || !(of_an_sdk || LEFT.contains(&&*name))
    });
    for entry in walk {
        let entry = entry?;
        let name = entry.path().strip_prefix(from)?;
        if entry.file_type().is_dir() {
            // A folder's own time changes when a file comes or goes, and not when a build writes deep below `target`.
            println!("cargo::rerun-if-changed={}", entry.path().display());
            fs::create_dir_all(to.join(name))?;
        } else {
            println!("cargo::rerun-if-changed={}", entry.path().display());
            let content = fs::read(entry.path())?;
            (name, &content).hash(digest);
            fs::write(to.join(name), content)?;
        }
    }
    Ok(())
}
