//! Signatures of components: who says that these bytes, with these rights, are theirs.

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A detached minisign signature. Beside a file it is named as the file and `.minisig`.
    Minisign,
    /// A sigstore bundle. Beside a file it is named as the file and `.sigstore.json`.
    Sigstore,
}

/// A signature as it travels beside a component: a stranger's bytes, of which nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub format: Format,
    pub bytes: Vec<u8>,
}
