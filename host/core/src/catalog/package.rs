//! A packaged component: the component with its manifest and its tools inside, as custom sections.
//!
//! One file carries everything, so that listing a skill runs none of its code, and nothing has to be unpacked. The code is
//! identified apart from the package: a new description compiles nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{BinaryReader, Parser, Payload};

use super::reflect::Docs;
use super::tool::Tool;
use crate::engine::LoadError;
use crate::engine::linker::PACKAGE;
use crate::policy::manifest::{Manifest, ManifestError};

const MANIFEST: &str = "ringfence:manifest";
const TOOLS: &str = "ringfence:tools";
/// The last section of a file that is whole: the digest of all bytes before it.
const WHOLE: &str = "ringfence:whole";
/// Where WIT's own tools keep doc comments.
const DOCS: &str = "package-docs";

/// Largest list of tools, in bytes.
const TOOLS_BYTES: usize = 1 << 20;

/// A component taken apart.
pub(crate) struct Package {
    /// The component without custom sections of its own level: what is compiled.
    pub(crate) code: Vec<u8>,
    pub(crate) manifest: Option<Manifest>,
    /// The same as it stands in the file.
    pub(crate) manifest_json: Option<Value>,
    pub(crate) tools: Option<Vec<Tool>>,
    /// What is written about the functions of a plain component.
    pub(crate) docs: Docs,
    /// The interface of this host's that it is made for, with its version: `ringfence:skill@0.1.0`. None for a plain component.
    pub(crate) wit: Option<String>,
}

/// Why a package could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

#[derive(Serialize, Deserialize)]
struct Tools {
    tools: Vec<Tool>,
}

impl Package {
    /// Takes a component apart. Looks at the outermost sections only; the engine checks the rest.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        if !bytes.get(..8).is_some_and(Parser::is_component) {
            crate::engine::precheck::check(bytes)?;
        }
        let mut package = Self {
            code: Vec::with_capacity(bytes.len()),
            manifest: None,
            manifest_json: None,
            tools: None,
            docs: Docs::default(),
            wit: None,
        };
        let mut kept = 0;
        let mut depth = 0_u32;
        // Where the section before ended, which is where this one's header begins: its size may be written in more bytes than
        // it needs.
        let mut ended = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| LoadError::Invalid(error.to_string()))?;
            let start = ended;
            if depth == 0 {
                ended = match &payload {
                    Payload::Version { range, .. } => range.end,
                    other => other.as_section().map_or(ended, |(_, range)| range.end),
                };
            }
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 => {
                    let range = section.range();
                    package.code.extend_from_slice(bytes.get(kept..start).unwrap_or_default());
                    kept = range.end;
                    match section.name() {
                        MANIFEST => {
                            package.manifest = Some(Manifest::from_json(section.data())?);
                            package.manifest_json = serde_json::from_slice(section.data()).ok();
                        }
                        TOOLS => package.tools = Some(read_tools(section.data())?),
                        DOCS => package.docs = Docs::read(section.data()),
                        _ => {}
                    }
                }
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports.into_iter().flatten() {
                        package.made_for(import.name.name);
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports.into_iter().flatten() {
                        package.made_for(export.name.name);
                    }
                }
                _ => {}
            }
        }
        package.code.extend_from_slice(bytes.get(kept..).unwrap_or_default());
        Ok(package)
    }

    /// Takes the version out of the name of an import or an export. Other versions than one are refused when it is loaded.
    fn made_for(&mut self, name: &str) {
        let version =
            name.strip_prefix(PACKAGE).filter(|rest| rest.starts_with('/')).and_then(|rest| rest.split_once('@'));
        if let Some((_, version)) = version {
            self.wit.get_or_insert_with(|| format!("{PACKAGE}@{version}"));
        }
    }

    /// Puts manifest and tools into the component.
    pub(crate) fn write(code: &[u8], manifest: &Manifest, tools: &[Tool]) -> Vec<u8> {
        let mut bytes = code.to_vec();
        // Serialising our own plain structures cannot fail.
        let manifest = serde_json::to_vec(manifest).unwrap_or_default();
        let tools = serde_json::to_vec(&Tools { tools: tools.to_vec() }).unwrap_or_default();
        CustomSection { name: MANIFEST.into(), data: manifest.into() }.append_to_component(&mut bytes);
        CustomSection { name: TOOLS.into(), data: tools.into() }.append_to_component(&mut bytes);
        bytes
    }

    /// Ends a file, so that whoever watches it knows that it is whole the moment the last byte is there. It proves nothing
    /// about who wrote it.
    pub(crate) fn seal(bytes: &mut Vec<u8>) {
        let digest = Sha256::digest(&*bytes).to_vec();
        CustomSection { name: WHOLE.into(), data: digest.into() }.append_to_component(bytes);
    }

    /// Whether it ends where a section ends, as a component that somebody is still writing mostly does not. Anything that is no WebAssembly
    /// ends well: it will not become any by waiting. Strangers' bytes: looks at the headers of the outermost sections alone.
    pub(crate) fn ends_well(bytes: &[u8]) -> bool {
        const MAGIC: &[u8] = b"\0asm";
        let Some((head, rest)) = bytes.split_at_checked(8) else {
            return !MAGIC.starts_with(bytes.get(..4).unwrap_or(bytes));
        };
        if !head.starts_with(MAGIC) {
            return true;
        }
        let mut reader = BinaryReader::new(rest, 0);
        while !reader.eof() {
            let skipped =
                reader.read_u8().and_then(|_| reader.read_var_u32()).and_then(|size| reader.read_bytes(size as usize));
            if skipped.is_err() {
                return false;
            }
        }
        true
    }

    /// Whether it ends with a seal that is right. Strangers' bytes: reads no more than the end of them and their digest.
    pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
        let mut seal = Vec::new();
        CustomSection { name: WHOLE.into(), data: [0; 32].as_slice().into() }.append_to_component(&mut seal);
        let Some((rest, end)) = bytes.len().checked_sub(seal.len()).and_then(|at| bytes.split_at_checked(at)) else {
            return false;
        };
        let Some((head, digest)) = end.split_at_checked(seal.len() - 32) else { return false };
        seal.starts_with(head) && *Sha256::digest(rest) == *digest
    }
}

fn read_tools(data: &[u8]) -> Result<Vec<Tool>, LoadError> {
    if data.len() > TOOLS_BYTES {
        return Err(LoadError::Invalid(format!(
            "its list of tools is {} bytes long, of at most {TOOLS_BYTES}",
            data.len()
        )));
    }
    let tools: Tools = serde_json::from_slice(data)
        .map_err(|error| LoadError::Invalid(format!("its list of tools cannot be read: {error}")))?;
    Ok(tools.tools)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packaged_comes_apart_again() {
        let code = wat::parse_str("(component (core module (func)) (component (core module)))").unwrap();
        let manifest = Manifest::bare("echo");
        let package = Package::write(&code, &manifest, &[]);
        let apart = Package::read(&package).unwrap();
        assert_eq!(apart.manifest, Some(manifest.clone()));
        assert_eq!(apart.tools, Some(vec![]));
        assert_eq!(apart.code, Package::read(&code).unwrap().code, "the code does not depend on what was put in");
        let again = Package::write(&apart.code, &manifest, &[]);
        assert_eq!(Package::read(&again).unwrap().code, apart.code);
    }

    #[test]
    fn a_file_is_known_to_be_whole_by_its_last_byte() {
        let code = wat::parse_str("(component (core module (func)))").unwrap();
        let mut whole = Package::write(&code, &Manifest::bare("echo"), &[]);
        assert!(!Package::is_sealed(&whole));
        Package::seal(&mut whole);
        assert!(Package::is_sealed(&whole));
        assert_eq!(Package::read(&whole).unwrap().code, Package::read(&code).unwrap().code);
        for end in 0..whole.len() {
            assert!(!Package::is_sealed(&whole[..end]), "{end} of {}", whole.len());
        }
        for at in 0..whole.len() {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            assert!(!Package::is_sealed(&torn), "byte {at}");
        }
    }

    #[test]
    fn custom_sections_of_others_are_dropped() {
        let mut code = wat::parse_str("(component (core module (func)))").unwrap();
        let plain = Package::read(&code).unwrap().code;
        CustomSection { name: "padding".into(), data: vec![0; 100_000].into() }.append_to_component(&mut code);
        assert_eq!(Package::read(&code).unwrap().code, plain);
    }
}
