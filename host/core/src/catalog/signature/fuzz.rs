//! `signature`: bytes that came beside a component, as a signature of each form and as a key.

#![allow(clippy::panic, reason = "how a target tells what it found")]

use serde_json::Value;

use super::{Checked, Format, Roots, SIGNATURES, Signature, Signer, Statement, check_all};

/// Minisign's own, whose secret half nobody here has.
const TRUSTED: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

pub(crate) fn signature(bytes: &[u8]) {
    let Ok(trusted) = Signer::parse(TRUSTED) else { panic!("a key cannot be read") };
    let statement = Statement::made("echo", "1.0.0", "sha256:aa", Value::Null);
    let signatures = Format::ALL.map(|format| Signature { format, bytes: bytes.to_vec() });
    let Ok(checked) = check_all(&signatures, &statement, &[&trusted], &Roots::default()) else {
        panic!("the root that came along cannot be used")
    };
    for one in checked {
        match one {
            Checked::Fits(signer) => assert!(signer != trusted, "a signature was made without the key"),
            Checked::Flawed(flaw) => shown(&flaw.to_string()),
            Checked::Unknown(number) => shown(&number),
        }
    }
    let too_many = vec![signatures[0].clone(); SIGNATURES + 1];
    assert!(check_all(&too_many, &statement, &[], &Roots::default()).is_err());
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(signer) = Signer::parse(text)
    {
        shown(&signer.to_string());
        let Signer::Minisign { .. } = signer else { return };
        assert_eq!(Signer::parse(&signer.word()).ok(), Some(signer), "a key is not itself");
    }
}

/// What a person is told is one line.
fn shown(text: &str) {
    assert!(!text.contains(char::is_control) && text.len() < 1_000, "{text:?}");
}
