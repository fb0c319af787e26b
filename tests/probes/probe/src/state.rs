//! What lasts between calls.

use ringfence_skill::prelude::*;

/// Keeps a text.
#[tool]
pub fn put(key: &str, value: &str) -> Result<String, Failure> {
    Ok(kv::set(key, value)?.to_string())
}

/// Gives the text that is kept, and says `nothing` where there is none.
#[tool(read_only)]
pub fn read(key: &str) -> Result<String, Failure> {
    Ok(kv::get::<String>(key)?.unwrap_or_else(|| "nothing".into()))
}

/// Counts its own calls.
#[tool]
pub fn count() -> Result<String, Failure> {
    Ok(kv::update("count", |old: Option<u64>| old.unwrap_or(0) + 1)?.to_string())
}

/// Brings what is kept from one version to the next: each text says so. A key named `poison` makes it fail, after it has changed what
/// comes before, and one named `curious` lets it look for more than it may.
#[tool]
pub fn renew(from: u32, to: u32) -> Result<String, Failure> {
    let keys = kv::keys("").collect::<Result<Vec<_>, _>>()?;
    for key in &keys {
        match key.as_str() {
            "poison" => return Err(Failure::failed("what is kept cannot be read")),
            "curious" => {
                let seen = http::get("https://example.com/").err().map_or("everything".into(), |no| no.to_string());
                kv::set(key, &seen)?;
            }
            key => {
                let old = kv::get::<String>(key)?.unwrap_or_default();
                kv::set(key, &format!("{old} ({from} to {to})"))?;
            }
        }
    }
    Ok(keys.len().to_string())
}

/// Forgets a text.
#[tool]
pub fn forget(key: &str) -> Result<String, Failure> {
    kv::delete(key)?;
    Ok(String::new())
}
