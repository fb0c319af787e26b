//! Doc comments of a skill's own `wit/`, put into its component for the core to read.
//!
//! No compiler keeps them. They go where WIT's own tools keep those of a package: into a custom section `package-docs`. They describe
//! the tools of a plain component, and nothing else depends on them, so a folder that cannot be read as WIT is left alone.

use std::path::{Path, PathBuf};

use wit_parser::{PackageMetadata, Resolve, SourceMap, UnresolvedPackageGroup};

use super::project;

/// The component with the comments of the WIT in `folder`, where there are any.
pub(crate) fn with(mut component: Vec<u8>, folder: &Path) -> Vec<u8> {
    let wit = folder.join("wit");
    if !wit.is_dir() {
        return component;
    }
    match read_apart(wit.clone()) {
        Ok(docs) => append(&mut component, PackageMetadata::SECTION_NAME, &docs),
        Err(error) => tracing::debug!(%error, "comments of {} are not read", wit.display()),
    }
    component
}

/// Bytes of the stack on which WIT is read. The library goes down into what an interface or a world uses, which may be as deep as there
/// are lines in [`MOST_BYTES`]; nothing else bounds it.
const STACK: usize = 256 << 20;

/// Reads it on a thread of its own. What cannot be done there is no comment.
fn read_apart(wit: PathBuf) -> Result<Vec<u8>, String> {
    // A package that imports our interface may have a copy of it among its dependencies, or rely on ours.
    let both = move || read(&wit, true).or_else(|_| read(&wit, false));
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(both).map_err(|error| error.to_string())?;
    thread.join().unwrap_or_else(|_| Err("the library that reads WIT failed".into()))
}

fn read(wit: &Path, with_ours: bool) -> Result<Vec<u8>, String> {
    let mut resolve = Resolve::default();
    if with_ours {
        let mut map = SourceMap::default();
        for (name, text) in crate::sdk::interface() {
            map.push_str(&name, text);
        }
        let group = map.parse().map_err(|(_, error)| error.to_string())?;
        resolve.push_group(group).map_err(|error| error.to_string())?;
    }
    let (main, dependencies) = packages(wit).map_err(|error| format!("{error:#}"))?;
    let package = resolve.push_groups(main, dependencies).map_err(|error| error.to_string())?;
    PackageMetadata::extract(&resolve, package).encode().map_err(|error| format!("{error:#}"))
}

/// Most files of WIT, and most bytes of them all.
const MOST_FILES: u64 = 1_000;
const MOST_BYTES: u64 = 1 << 20;

/// What is left of them.
struct Room {
    files: u64,
    bytes: u64,
}

/// The package in a folder, and those in the `deps` below it: a folder or a file each. The library itself would wait for a pipe, read
/// `/dev/zero` to its end, and take WebAssembly for a package as well.
fn packages(wit: &Path) -> std::io::Result<(UnresolvedPackageGroup, Vec<UnresolvedPackageGroup>)> {
    let mut room = Room { files: MOST_FILES, bytes: MOST_BYTES };
    let mut dependencies = Vec::new();
    for dependency in inside(&wit.join("deps"), &mut room)? {
        let files = if dependency.is_dir() { inside(&dependency, &mut room)? } else { vec![dependency] };
        dependencies.extend(package(&files, &mut room).transpose()?);
    }
    let main = package(&inside(wit, &mut room)?, &mut room).transpose()?;
    Ok((main.ok_or_else(|| std::io::Error::other("there is no WIT"))?, dependencies))
}

/// What lies in a folder; nothing where it is none.
fn inside(folder: &Path, room: &mut Room) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        room.files = room.files.checked_sub(1).ok_or_else(too_much)?;
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The package that files are of; None where none of them is WIT.
fn package(files: &[PathBuf], room: &mut Room) -> Option<std::io::Result<UnresolvedPackageGroup>> {
    let mut texts =
        files.iter().filter(|file| file.extension().is_some_and(|end| end == "wit") && !file.is_dir()).peekable();
    texts.peek()?;
    let read = || {
        let mut map = SourceMap::default();
        for file in texts {
            let text = project::text(file, room.bytes)?;
            room.bytes -= text.len() as u64;
            map.push(file, text);
        }
        map.parse().map_err(|(_, error)| std::io::Error::other(error.to_string()))
    };
    Some(read())
}

fn too_much() -> std::io::Error {
    std::io::Error::other(format!("there are more than {MOST_FILES} files"))
}

/// Appends a custom section.
fn append(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = Vec::new();
    leb(name.len(), &mut body);
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    component.push(0);
    leb(body.len(), component);
    component.extend(body);
}

/// A number as WebAssembly writes it: seven bits to a byte, the least first.
fn leb(mut number: usize, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commented(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("wit")).unwrap();
        std::fs::write(folder.path().join("wit/world.wit"), text).unwrap();
        let component = with(b"component".to_vec(), folder.path());
        String::from_utf8_lossy(component.strip_prefix(b"component").unwrap()).into_owned()
    }

    #[test]
    fn comments_are_taken_along_and_what_is_no_wit_is_left_alone() {
        let text = "package a:b;\nworld w { import ringfence:skill/kv@0.1.0;\n/// Says hello.\nexport hello: func(); }";
        let section = commented(text);
        assert!(section.contains("package-docs") && section.contains("Says hello."), "{section}");
        assert_eq!(commented("package a:b; world w { import x:y/z; }"), "");
        assert_eq!(commented("no wit"), "");
        assert_eq!(with(vec![1], Path::new("/nowhere")), [1]);
    }

    /// The library goes down into each of them, and on a stack of the usual size would end the program.
    #[test]
    fn a_chain_of_interfaces_ends_nobody() {
        let uses: String = (1..25_000).map(|n| format!("interface i{n} {{ use i{}.{{t}}; }}\n", n - 1)).collect();
        let world = "world w {\n/// Says hello.\nexport hello: func(); }";
        let section = commented(&format!("package a:b;\ninterface i0 {{ type t = u8; }}\n{uses}{world}"));
        assert!(section.contains("Says hello."), "{}", section.len());
    }

    #[test]
    fn what_has_no_end_is_left_alone_and_dependencies_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join("wit").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let read = || with(Vec::new(), folder.path());
        write(
            "world.wit",
            "package a:b;\nworld w { import c:d/e; import f:g/h;\n/// Says hello.\nexport hello: func(); }",
        );
        write("deps/d/types.wit", "package c:d;\ninterface e { use f:g/h.{t}; }");
        write("deps/f.wit", "package f:g;\ninterface h { type t = u8; }");
        write("deps/notes.txt", "no WIT");
        assert!(String::from_utf8_lossy(&read()).contains("Says hello."));
        let odd = folder.path().join("wit/odd.wit");
        rustix::fs::mknodat(rustix::fs::CWD, &odd, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert_eq!(read(), [0; 0]);
        std::fs::remove_file(&odd).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &odd).unwrap();
        assert_eq!(read(), [0; 0]);
        std::fs::remove_file(&odd).unwrap();
        std::fs::create_dir(&odd).unwrap();
        assert!(!read().is_empty(), "a folder is no file of WIT");
        write("long.wit", &" ".repeat(1 << 20));
        assert_eq!(read(), [0; 0], "all of it has so many bytes at most");
    }

    #[test]
    fn numbers_are_written_as_webassembly_has_them() {
        for (number, bytes) in
            [(0, &[0][..]), (127, &[127]), (128, &[128, 1]), (300, &[172, 2]), (70_000, &[240, 162, 4])]
        {
            let mut written = Vec::new();
            leb(number, &mut written);
            assert_eq!(written, bytes);
        }
    }
}
