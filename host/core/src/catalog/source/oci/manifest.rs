//! The documents of a registry, as far as they are read here: the CNCF's Wasm OCI artifact layout of one component in one layer
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), and the manifests of signatures that refer to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::signature::Format;
use crate::catalog::source::digest::Digest;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The index of Docker's own format, so that one who asks for such an image is told what it is.
const DOCKER: &str = "application/vnd.docker.distribution.manifest.";
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub(super) const LAYER: &str = "application/wasm";
/// The configuration of an artefact that has none.
pub(super) const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Largest document, as the distribution specification recommends.
pub(super) const MOST_BYTES: u64 = 4 << 20;

pub(super) const VERSION: &str = "org.opencontainers.image.version";

/// What a signature is in a registry.
pub(super) fn media_type(format: Format) -> &'static str {
    match format {
        Format::Minisign => "application/vnd.ringfence.signature.minisign.v1",
        Format::Sigstore => "application/vnd.dev.sigstore.bundle.v0.3+json",
    }
}

pub(super) fn format_of(media_type: &str) -> Option<Format> {
    Format::ALL.into_iter().find(|format| self::media_type(*format) == media_type)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(super) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// A list of manifests: what refers to another manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(default)]
    pub(super) manifests: Vec<Descriptor>,
}

impl Index {
    pub(super) fn empty() -> Self {
        Self { schema_version: 2, media_type: Some(INDEX.into()), manifests: Vec::new() }
    }
}

/// What a registry says that it sends must be what it is: a document that two programs read as two kinds of things is how one of them is
/// led astray. The error says what is wrong.
pub(super) fn read(content_type: Option<&str>, bytes: &[u8]) -> Result<Manifest, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let kind: Kind = serde_json::from_slice(bytes).map_err(|error| format!("its manifest cannot be read: {error}"))?;
    let sent = content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_owned());
    let named = [sent.as_deref(), kind.media_type.as_deref()];
    if kind.manifests.is_some() || named.contains(&Some(INDEX)) {
        return Err("it is an index of several manifests, and a skill is one".into());
    }
    if let Some(name) = named.into_iter().flatten().find(|name| *name != MANIFEST) {
        let shown = crate::plain::line(name, 100).0;
        return Err(match name.starts_with(DOCKER) {
            true => "it is a Docker image".into(),
            false => format!("its manifest says that it is `{shown}`"),
        });
    }
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| format!("its manifest cannot be read: {error}"))?;
    match manifest.schema_version {
        2 => Ok(manifest),
        other => Err(format!("its manifest is of version {other}, and 2 is the one there is")),
    }
}

/// The one layer that is the component.
pub(super) fn component(manifest: &Manifest) -> Result<&Descriptor, String> {
    if manifest.config.media_type != CONFIG {
        let shown = crate::plain::line(&manifest.config.media_type, 100).0;
        return Err(format!("its configuration is `{shown}` instead of `{CONFIG}`, so it is something else"));
    }
    match manifest.layers.as_slice() {
        [layer] if layer.media_type == LAYER => Ok(layer),
        [layer] => {
            let shown = crate::plain::line(&layer.media_type, 100).0;
            Err(format!("its layer is `{shown}` instead of `{LAYER}`"))
        }
        layers => Err(format!("it has {} layers, and a skill is one", layers.len())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        let digest = Digest::of(b"x");
        json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": digest, "size": 1 },
            "layers": [{ "mediaType": LAYER, "digest": digest, "size": 1 }],
        })
    }

    fn check(content_type: Option<&str>, document: &Value) -> Result<Digest, String> {
        let manifest = read(content_type, document.to_string().as_bytes())?;
        component(&manifest).map(|layer| layer.digest.clone())
    }

    #[test]
    fn t103_one_component_in_one_layer_and_nothing_that_says_otherwise() {
        assert_eq!(check(Some(MANIFEST), &good()), Ok(Digest::of(b"x")));
        assert_eq!(check(None, &good()), Ok(Digest::of(b"x")));
        let silent = {
            let mut document = good();
            document.as_object_mut().unwrap().remove("mediaType");
            document
        };
        assert!(check(Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"), &silent).is_ok());

        let layer = good()["layers"][0].clone();
        for (pointer, value, word) in [
            ("/schemaVersion", json!(1), "version 1"),
            ("/mediaType", json!(INDEX), "index"),
            ("/mediaType", json!("application/vnd.docker.distribution.manifest.v2+json"), "Docker image"),
            ("/mediaType", json!("text/html"), "text/html"),
            ("/config/mediaType", json!("application/vnd.oci.image.config.v1+json"), "something else"),
            ("/layers/0/mediaType", json!("application/vnd.oci.image.layer.v1.tar+gzip"), "instead of"),
            ("/layers/0/digest", json!("sha512:00"), "cannot be read"),
            ("/layers/0/digest", json!("sha256:../../etc/passwd"), "cannot be read"),
            ("/layers/0/size", json!(-1), "cannot be read"),
            ("/layers", json!([]), "0 layers"),
            ("/layers", json!([layer, layer]), "2 layers"),
            ("/layers", json!("x"), "cannot be read"),
        ] {
            let mut document = good();
            *document.pointer_mut(pointer).unwrap() = value;
            let error = check(Some(MANIFEST), &document).unwrap_err();
            assert!(error.contains(word), "{pointer}: {error}");
        }
        assert!(check(Some(INDEX), &good()).unwrap_err().contains("index"), "two kinds at once");
        let mut both = good();
        both["manifests"] = json!([]);
        assert!(check(Some(MANIFEST), &both).unwrap_err().contains("index"));
        assert!(read(None, b"").is_err() && read(None, b"[]").is_err());
    }
}
