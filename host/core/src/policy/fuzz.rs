//! `manifest`: a stranger's `skill.toml`, and the same as JSON in a package.

#![allow(clippy::panic, reason = "the fuzzer takes a panic for a finding")]

use super::manifest::{MANIFEST_BYTES, Manifest, is_name};
use super::{Grants, NOTHING_IS_FREE, effective, missing};

/// Capabilities whose requests are checked whole when a manifest is read.
const READ: &[&str] = &["http", "kv", "user"];

/// The text of either form.
pub(crate) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::from_json(bytes) {
        holds(&manifest);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        match Manifest::from_toml(text) {
            Ok(manifest) => holds(&manifest),
            Err(error) => assert!(!error.to_string().contains('\n'), "{error} is not one line"),
        }
        assert!(is_name(&Manifest::bare(text).name), "{text:?} became no name");
    }
}

fn holds(manifest: &Manifest) {
    assert!(is_name(&manifest.name));
    let requests = &manifest.permissions;
    // It goes into the package as it was read.
    let json = serde_json::to_vec(manifest).unwrap_or_default();
    match Manifest::from_json(&json) {
        Ok(again) => {
            assert_eq!((&again.name, &again.version), (&manifest.name, &manifest.version));
            assert_eq!(&again.permissions, requests, "{}", String::from_utf8_lossy(&json));
        }
        Err(error) => assert!(json.len() > MANIFEST_BYTES, "what was packaged cannot be read: {error}"),
    }
    // To ask is not to have. Of models and tools an empty list may stand there, which allows nothing.
    let mut bare = effective(requests, &[]);
    let model = bare.model.take().unwrap_or_default();
    let tools = bare.tools.take().unwrap_or_default();
    assert!(
        model.models.is_empty() && !model.provider_options && tools.tools.is_empty(),
        "a request granted something"
    );
    assert_eq!(bare, Grants::default(), "a request granted something");
    assert!(requests.ask_the_same(requests));
    assert_eq!(requests.beyond(requests), [], "it asks for more than itself");
    // What a person is told to write can be written, and then it is not missing any more. Names of models, tools, secrets and
    // folders are not looked at when a manifest is read: one that nobody can grant grants nothing.
    let mut all = Grants::default();
    for one in missing(requests, &[], &NOTHING_IS_FREE) {
        match Grants::parse([one.grant.as_str()]) {
            Ok(grants) => all = all.merged(grants),
            Err(error) => assert!(!READ.contains(&one.capability), "`{}` cannot be granted: {error}", one.grant),
        }
    }
    for one in missing(requests, &[&all], &NOTHING_IS_FREE) {
        assert!(!READ.contains(&one.capability), "`{}` is missing though it was granted", one.grant);
    }
    let had = effective(requests, &[&all]);
    assert_eq!(effective(requests, &[&had]), had, "what counts is not what counts");
}
