//! Keys of every sort: those of values, and those of doors.

use ringfence_skill::prelude::*;

/// Keeps numbers, one after the other, and says each as soon as it is kept.
#[tool]
pub fn keep(prefix: &str, times: u32) -> Result<String, Failure> {
    for n in 1..=times {
        kv::set(&format!("{prefix}{n}"), &n.to_string())?;
        log::warn!("kept {n}.");
    }
    Ok("all".into())
}

/// The keys that begin so.
#[tool(read_only)]
pub fn listed(prefix: &str) -> Result<String, Failure> {
    let keys = kv::keys(prefix).collect::<Result<Vec<_>, _>>()?;
    Ok(keys.join("\n"))
}

/// Writes a text to the log.
#[tool]
pub fn note(text: &str) -> String {
    log::warn!("{text}");
    "noted".into()
}

/// Whether a secret of that name may be used.
#[tool(read_only)]
pub fn has_secret(name: &str) -> String {
    secrets::exists(name).to_string()
}
