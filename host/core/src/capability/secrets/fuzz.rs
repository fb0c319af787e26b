//! `redact`: secrets in what a server says, in pieces and as a whole.

use std::sync::Arc;

use secrecy::SecretString;

use super::redact::{REDACTED, Redactor};
use super::vault;

/// Two secrets, a line each, then what a server says. `$1` and `$2` in it stand for the secrets, `$!` for the end of a piece.
pub(crate) fn redact(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let secrets = [line(), line()].map(|line| String::from_utf8_lossy(line).into_owned());
    let body = line();
    // Others cannot be kept.
    let kept: Vec<&String> = secrets.iter().filter(|secret| vault::check(secret).is_ok()).collect();
    let Some(redactor) =
        Redactor::new(&kept.iter().map(|secret| SecretString::from(secret.as_str())).collect::<Vec<_>>())
    else {
        return;
    };
    let redactor = Arc::new(redactor);
    let (mut whole, mut pieces) = (Vec::new(), vec![Vec::new()]);
    let mut rest = body;
    while let [byte, after @ ..] = rest {
        rest = after;
        let said: &[u8] = match (byte, after.first()) {
            (b'$', Some(b'1' | b'2' | b'!')) => {
                rest = &after[1..];
                match after[0] {
                    b'1' => secrets[0].as_bytes(),
                    b'2' => secrets[1].as_bytes(),
                    _ => {
                        pieces.push(Vec::new());
                        &[]
                    }
                }
            }
            _ => std::slice::from_ref(byte),
        };
        whole.extend_from_slice(said);
        if let Some(piece) = pieces.last_mut() {
            piece.extend_from_slice(said);
        }
    }
    let told = redactor.whole(&whole);
    let last = pieces.pop().unwrap_or_default();
    assert_eq!(streamed(&redactor, pieces, last), told, "pieces are not as the whole");
    let bytes = whole.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(streamed(&redactor, bytes, Vec::new()), told, "single bytes are not as the whole");
    for secret in &kept {
        // What takes the place of a secret could, with what stands around it, be one again.
        if !secret.contains(['[', ']']) && !REDACTED.contains(secret.as_str()) {
            assert!(!contains(&told, secret.as_bytes()), "{secret:?} is left");
        }
    }
    if !contains(&told, REDACTED.as_bytes()) {
        assert_eq!(told, whole, "honest text was changed");
    }
}

fn streamed(redactor: &Arc<Redactor>, pieces: Vec<Vec<u8>>, last: Vec<u8>) -> Vec<u8> {
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for piece in pieces {
        out.extend(stream.push(piece.into(), false));
        assert!(stream.held.len() < redactor.longest, "more is held back than a secret is long");
    }
    out.extend(stream.push(last.into(), true));
    out
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
