//! Keys that a person signs skills with: minisign's, in the files and forms that its own tools read and write.
//!
//! The secret one never leaves this module in the clear: it is read, used and forgotten, and what is told of it is its public
//! half.

use std::io::{Cursor, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::minisig::{DIGEST_WORD, KEY_WORD, SKILL_WORD};
use super::{SignatureError, Signer, Statement, minisig};
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::files;

/// No file of a key is longer.
const MOST_BYTES: u64 = 4 << 10;
/// The key that is made and used where none is named.
pub(crate) const DEFAULT: &str = "default";
/// Where the second line of a secret key says how it is encrypted, and that it is not.
const ENCRYPTION: std::ops::Range<usize> = 2..4;

/// A key as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyInfo {
    pub name: String,
    /// The public key, which others are to trust.
    pub key: Signer,
    /// The secret key's file.
    pub file: PathBuf,
    /// Whether a password is needed to sign with it.
    pub password: bool,
}

/// The keys in a state directory.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    dir: PathBuf,
}

impl Keys {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("keys") }
    }

    /// Makes a key. Blocks: deriving a key from a password takes most of a second.
    pub(crate) fn make(&self, name: &str, password: Option<&SecretString>) -> Result<KeyInfo, Error> {
        if !crate::policy::manifest::is_name(name) {
            return Err(SignatureError::Name(name.to_owned()).into());
        }
        let (secret, public) = (self.secret(name), self.public(name));
        if secret.symlink_metadata().is_ok() {
            return Err(SignatureError::KeyExists(name.to_owned()).into());
        }
        let failed =
            |error: minisign::PError| SignatureError::Key { what: format!("`{name}`"), reason: error.to_string() };
        let pair = match password {
            Some(password) => KeyPair::generate_encrypted_keypair(Some(password.expose_secret().to_owned())),
            None => KeyPair::generate_unencrypted_keypair(),
        };
        let pair = pair.map_err(failed)?;
        let boxed =
            Zeroizing::new(pair.sk.to_box(Some("secret key of a publisher of skills")).map_err(failed)?.into_string());
        let written = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| CatalogError::writing(path, &error)
        };
        files::make_private_dir(&self.dir).map_err(written(&self.dir))?;
        // The public one first: where the other is, this is too.
        let shown = pair.pk.to_box().map_err(failed)?.into_string();
        files::write_durably(&public, shown.as_bytes()).map_err(written(&public))?;
        files::write_durably(&secret, boxed.as_bytes()).map_err(written(&secret))?;
        self.read(name, &secret)
    }

    /// By name.
    pub(crate) fn list(&self) -> Result<Vec<KeyInfo>, Error> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(CatalogError::Unreadable { path: self.dir.clone(), reason: error.to_string() }.into());
            }
        };
        let paths =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "key"));
        let mut keys = paths
            .map(|path| self.read(&path.file_stem().unwrap_or_default().to_string_lossy(), &path))
            .collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(keys)
    }

    /// The key of this name, or in the file of this path; where nothing is said the one named `default`, or the only one.
    pub(crate) fn find(&self, word: Option<&str>) -> Result<KeyInfo, Error> {
        if let Some(path) = word.filter(|word| word.contains('/')).map(Path::new) {
            return self.read(&path.display().to_string(), path);
        }
        let keys = self.list()?;
        let name = word.unwrap_or(DEFAULT);
        let named = keys.iter().find(|key| key.name == name);
        let only = keys.first().filter(|_| word.is_none() && keys.len() == 1);
        named.or(only).cloned().ok_or_else(|| SignatureError::NoKey(name.to_owned()).into())
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    fn public(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pub"))
    }

    fn read(&self, name: &str, path: &Path) -> Result<KeyInfo, Error> {
        let text = read(path)?;
        let password = is_encrypted(name, &text)?;
        let beside = path.with_extension("pub");
        let key = match (password, beside.is_file()) {
            // Of an open key the public half is part.
            (false, _) => signer(&open(name, &text, None)?)?,
            (true, true) => Signer::parse(&read(&beside)?)?,
            (true, false) => {
                let reason = format!("its public key is not beside it, in {}", beside.display());
                return Err(SignatureError::Key { what: format!("`{name}`"), reason }.into());
            }
        };
        Ok(KeyInfo { name: name.to_owned(), key, file: path.to_owned(), password })
    }
}

/// Signs a statement about the file of this name, and gives the text of the signature. Blocks, as [`Keys::make`].
///
/// Its trusted comment, which is signed as well, holds the public key, so that somebody who meets it first can come to trust
/// it, and what was signed, so that a signature that does not fit says what it is of.
pub(crate) fn sign(
    key: &KeyInfo,
    password: Option<&SecretString>,
    statement: &Statement,
    file: &str,
) -> Result<String, Error> {
    let words = format!("\t{SKILL_WORD}{} {}\t{DIGEST_WORD}{}", statement.name, statement.version, statement.digest);
    sign_bytes(key, password, &statement.bytes(), file, "a skill's statement", &words)
}

/// As [`sign`], of these bytes themselves. `words` stand in the trusted comment.
pub(crate) fn sign_bytes(
    key: &KeyInfo,
    password: Option<&SecretString>,
    bytes: &[u8],
    file: &str,
    what: &str,
    words: &str,
) -> Result<String, Error> {
    let secret = open(&key.name, &read(&key.file)?, password)?;
    let public = signer(&secret)?;
    let comment = format!(
        "timestamp:{}\tfile:{}{words}\t{KEY_WORD}{}",
        jiff::Timestamp::now().as_second(),
        crate::plain::line(file, 200).0,
        public.word()
    );
    let untrusted = format!("signature of {what} by minisign key {}", minisig::number_of(&public.word()));
    let signed = minisign::sign(None, &secret, Cursor::new(bytes), Some(&comment), Some(&untrusted));
    let failed =
        |error: minisign::PError| SignatureError::Key { what: format!("`{}`", key.name), reason: error.to_string() };
    Ok(signed.map_err(failed)?.into_string())
}

/// Writes a signature beside the file that it is of, for everybody to read.
pub(crate) fn write_beside(file: &Path, signature: &str) -> Result<PathBuf, Error> {
    let path = super::Format::Minisign.beside(file);
    let failed = |error: std::io::Error| CatalogError::writing(path.clone(), &error);
    files::write_atomically(&path, signature.as_bytes()).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    Ok(path)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => CatalogError::NotFound(path.display().to_string()),
        _ => CatalogError::Unreadable { path: path.to_owned(), reason: error.to_string() },
    };
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn is_encrypted(name: &str, text: &str) -> Result<bool, SignatureError> {
    let bytes = text.lines().nth(1).and_then(|line| STANDARD.decode(line.trim()).ok()).map(Zeroizing::new);
    let how = bytes.as_ref().and_then(|bytes| bytes.get(ENCRYPTION));
    how.map(|how| how != [0, 0]).ok_or_else(|| not_a_key(name, "it is no secret key of minisign"))
}

fn open(name: &str, text: &str, password: Option<&SecretString>) -> Result<SecretKey, SignatureError> {
    let boxed = SecretKeyBox::from_string(text).map_err(|error| not_a_key(name, &error.to_string()))?;
    match (is_encrypted(name, text)?, password) {
        (false, _) => boxed.into_unencrypted_secret_key().map_err(|error| not_a_key(name, &error.to_string())),
        // What it does without a password is to ask at the terminal by itself.
        (true, None) => Err(SignatureError::Password(name.to_owned())),
        (true, Some(password)) => boxed
            .into_secret_key(Some(password.expose_secret().to_owned()))
            .map_err(|_| SignatureError::Password(name.to_owned())),
    }
}

fn signer(secret: &SecretKey) -> Result<Signer, SignatureError> {
    let public = PublicKey::from_secret_key(secret).map_err(|error| not_a_key("the key", &error.to_string()))?;
    Signer::parse(&public.to_base64())
}

fn not_a_key(name: &str, reason: &str) -> SignatureError {
    SignatureError::Key { what: format!("`{name}`"), reason: crate::plain::line(reason, 200).0 }
}
