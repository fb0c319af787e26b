//! Signatures of components: who says that these bytes, with these rights, are theirs.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CatalogError;

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A detached minisign signature. Beside a file it is named as the file and `.minisig`.
    Minisign,
    /// A sigstore bundle. Beside a file it is named as the file and `.sigstore.json`.
    Sigstore,
}

impl Format {
    pub const ALL: [Self; 2] = [Self::Minisign, Self::Sigstore];

    /// What its file is named beside the component's: that name and this.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Minisign => ".minisig",
            Self::Sigstore => ".sigstore.json",
        }
    }

    /// The file of such a signature beside `file`.
    #[must_use]
    pub fn beside(self, file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(self.suffix());
        name.into()
    }
}

/// Largest signature, in bytes: a bundle with its proofs has some thousand.
pub const SIGNATURE_BYTES: usize = 256 << 10;
/// Most signatures of one component that are looked at.
pub const SIGNATURES: usize = 16;

/// A signature as it travels beside a component: a stranger's bytes, of which nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub format: Format,
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Those that lie beside a file on this machine.
    pub(crate) fn beside(file: &Path) -> Result<Vec<Self>, CatalogError> {
        let mut found = Vec::new();
        for format in Format::ALL {
            match super::read_component(&format.beside(file), SIGNATURE_BYTES as u64) {
                Ok(bytes) => found.push(Self { format, bytes }),
                Err(CatalogError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// Where a component came from, as far as it matters for what is asked of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Built here, from a folder that the person named: it was never on its way.
    Folder,
    /// A file on this machine.
    File,
    /// Fetched from a URL.
    Https,
    /// Fetched from an OCI registry.
    Oci,
    /// Found by its name in an index.
    Index,
}
