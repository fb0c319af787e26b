//! The tokens by which programs are known: one for clients, one for admins, each in a file that only this user reads.
//!
//! A file is made once. Whoever replaces its text gives out another token, and whoever removes it takes it back: a server that runs
//! looks at its files every half second.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::TryRng as _;
use ringfence_core::Error;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Rights;
use crate::trouble::Trouble;

/// How old what is known of a file may be.
const FRESH: Duration = Duration::from_millis(500);
/// Bytes of randomness of a token.
const BYTES: usize = 32;
/// Characters that a token has at least: one that somebody wrote must be worth trying as little as ours.
const SHORTEST: usize = 32;
const LONGEST: u64 = 4096;

type Hash = [u8; 32];

/// Both tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    client: Token,
    admin: Token,
}

impl Tokens {
    /// Reads the tokens of a state directory, and makes what is not there yet.
    pub(crate) fn open(state: &Path) -> Result<Self, Error> {
        Ok(Self { client: Token::open(state, "client")?, admin: Token::open(state, "admin")? })
    }

    /// What whoever has this token may do.
    #[cfg(test)]
    fn rights(&self, given: &str) -> Option<Rights> {
        self.rights_of(&Given::new(given))
    }

    /// What whoever has this token may do. Takes as long for one that is nearly right as for any other.
    pub(super) fn rights_of(&self, Given(given): &Given) -> Option<Rights> {
        let (client, admin) = (self.client.is(given), self.admin.is(given));
        match (admin, client) {
            (true, _) => Some(Rights::Admin),
            (false, true) => Some(Rights::Client),
            (false, false) => None,
        }
    }

    pub(crate) fn client_file(&self) -> &Path {
        &self.client.file
    }

    pub(crate) fn admin_file(&self) -> &Path {
        &self.admin.file
    }
}

/// A token that came with a request, of which only a hash is held.
pub(super) struct Given(Hash);

impl Given {
    pub(super) fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// One token: its file, and what the file said last. Of the token itself only a hash is held.
#[derive(Debug)]
struct Token {
    file: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    looked: Instant,
    hash: Option<Hash>,
}

impl Token {
    fn open(state: &Path, whose: &str) -> Result<Self, Error> {
        let file = state.join(format!("{whose}.token"));
        if !file.exists() {
            make(&file, whose).map_err(|error| Trouble::unwritable(&file, &error))?;
        }
        let hash = read(&file).map_err(|why| why.told(&file))?;
        Ok(Self { file, known: Mutex::new(Known { looked: Instant::now(), hash: Some(hash) }) })
    }

    fn is(&self, given: &Hash) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.elapsed() >= FRESH {
            let hash = read(&self.file);
            if let (Err(why), Some(_)) = (&hash, &known.hash) {
                tracing::warn!(file = %self.file.display(), %why, "a token is taken no more");
            }
            *known = Known { looked: Instant::now(), hash: hash.ok() };
        }
        known.hash.is_some_and(|hash| hash.ct_eq(given).into())
    }
}

/// Why a file gives no token.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    #[error("others can read it, or it is not yours")]
    Shared,
    #[error("it holds no token of at least {SHORTEST} characters without spaces")]
    NoToken,
}

impl Unusable {
    fn told(&self, file: &Path) -> Error {
        let hint = match self {
            Self::Shared => format!("`chmod 600 {0}`, or remove it, and a new token is made", file.display()),
            _ => "remove it, and a new token is made".into(),
        };
        Trouble::new("token-unusable", format!("{}: {self}", file.display()), hint)
    }
}

fn read(file: &Path) -> Result<Hash, Unusable> {
    use std::io::Read as _;
    let opened = std::fs::File::open(file)?;
    let about = opened.metadata()?;
    if !about.is_file() || about.mode() & 0o077 != 0 || about.uid() != rustix::process::geteuid().as_raw() {
        return Err(Unusable::Shared);
    }
    let mut text = String::new();
    opened.take(LONGEST).read_to_string(&mut text)?;
    let token = text.trim();
    match token.len() >= SHORTEST && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Sha256::digest(token).into()),
        false => Err(Unusable::NoToken),
    }
}

/// Whole or not there: of two programs that make it at once, one makes it.
fn make(file: &Path, whose: &str) -> std::io::Result<()> {
    let mut bytes = [0; BYTES];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(made, "ringfence-{whose}-{digits}")?;
    made.as_file().sync_all()?;
    match made.persist_noclobber(file) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn text(tokens: &Tokens) -> [String; 2] {
        [&tokens.client, &tokens.admin].map(|token| std::fs::read_to_string(&token.file).unwrap().trim().to_owned())
    }

    /// As if what is known were old.
    fn age(token: &Token) {
        token.known.lock().unwrap().looked = Instant::now() - FRESH;
    }

    #[test]
    fn t110_each_token_is_made_once_for_this_user_only_and_opens_its_own_door() {
        let state = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(state.path()).unwrap();
        let [client, admin] = text(&tokens);
        for token in [&tokens.client, &tokens.admin] {
            assert_eq!(std::fs::metadata(&token.file).unwrap().mode() & 0o777, 0o600);
        }
        assert_ne!(client, admin);
        assert_eq!(text(&Tokens::open(state.path()).unwrap()), [client.clone(), admin.clone()]);
        assert_eq!(tokens.rights(&client), Some(Rights::Client));
        assert_eq!(tokens.rights(&admin), Some(Rights::Admin));
        for wrong in ["", &client[..client.len() - 1], &format!("{client}0"), &client.to_uppercase()] {
            assert_eq!(tokens.rights(wrong), None, "{wrong}");
        }
        assert!(!format!("{tokens:?}").contains(&client));
    }

    #[test]
    fn t110_a_token_that_was_replaced_or_removed_is_taken_no_more() {
        let state = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(state.path()).unwrap();
        let [client, admin] = text(&tokens);
        let another = "x".repeat(SHORTEST);
        std::fs::write(&tokens.client.file, &another).unwrap();
        age(&tokens.client);
        assert_eq!((tokens.rights(&client), tokens.rights(&another)), (None, Some(Rights::Client)));
        std::fs::remove_file(&tokens.client.file).unwrap();
        age(&tokens.client);
        assert_eq!((tokens.rights(&another), tokens.rights(&admin)), (None, Some(Rights::Admin)));
    }

    #[test]
    fn a_token_that_others_can_read_or_guess_is_none() {
        let state = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(state.path()).unwrap();
        let [client, _] = text(&tokens);
        let file = &tokens.client.file;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o640)).unwrap();
        age(&tokens.client);
        assert_eq!(tokens.rights(&client), None);
        let error = Tokens::open(state.path()).unwrap_err();
        assert_eq!(error.kind(), "token-unusable");
        assert!(error.hint().contains("chmod 600") && !format!("{error}").contains(&client), "{error}");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        for weak in ["", "secret", &"x".repeat(SHORTEST - 1), &"x y".repeat(SHORTEST)] {
            std::fs::write(file, weak).unwrap();
            assert_eq!(Tokens::open(state.path()).unwrap_err().kind(), "token-unusable", "{weak:?}");
        }
    }
}
