//! Doc comments of a skill's own `wit/`, put into its component for the core to read.
//!
//! No compiler keeps them. They go where WIT's own tools keep those of a package: into a custom section `package-docs`. They describe
//! the tools of a plain component, and nothing else depends on them, so a folder that cannot be read as WIT is left alone.

use std::path::Path;

use wit_parser::{PackageMetadata, Resolve, SourceMap};

/// The component with the comments of the WIT in `folder`, where there are any.
pub(crate) fn with(mut component: Vec<u8>, folder: &Path) -> Vec<u8> {
    let wit = folder.join("wit");
    if !wit.is_dir() {
        return component;
    }
    // A package that imports our interface may have a copy of it among its dependencies, or rely on ours.
    match read(&wit, true).or_else(|_| read(&wit, false)) {
        Ok(docs) => append(&mut component, PackageMetadata::SECTION_NAME, &docs),
        Err(error) => tracing::debug!(%error, "comments of {} are not read", wit.display()),
    }
    component
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
    let (package, _) = resolve.push_dir(wit).map_err(|error| format!("{error:#}"))?;
    PackageMetadata::extract(&resolve, package).encode().map_err(|error| format!("{error:#}"))
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
