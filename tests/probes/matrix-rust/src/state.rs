//! What was there before the call, and what lasts after it.

use ringfence_skill::kv::{Condition, Written};
use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::Value;

/// A setting.
#[derive(Serialize, JsonSchema)]
pub struct Setting {
    value: Value,
}

/// Gives a setting of the operator, or null.
#[tool(read_only)]
pub fn setting(key: &str) -> Result<Setting, Failure> {
    Ok(Setting { value: config::get_or(key, Value::Null)? })
}

/// What came of each step.
#[derive(Serialize, JsonSchema)]
pub struct Kept {
    missing: bool,
    first: u64,
    conflict: Option<u64>,
    second: u64,
    value: String,
    keys: Vec<String>,
    deleted: bool,
}

/// Writes, reads, lists and deletes a key, with and without conditions that hold.
#[tool(name = "state")]
pub fn kept(key: &str) -> Result<Kept, Failure> {
    let missing = kv::entry(key)?.is_none();
    let first = done(kv::set_if(key, b"one", Condition::Absent)?)?;
    let conflict = match kv::set_if(key, b"x", Condition::Absent)? {
        Written::Conflict(version) => version,
        Written::Done(_) => return Err(Failure::failed("a key that was there was written as if it were absent")),
    };
    let second = done(kv::set_if(key, b"two", Condition::Version(first))?)?;
    let value = String::from_utf8(kv::get_bytes(key)?.unwrap_or_default())?;
    let keys = kv::keys(key).collect::<Result<_, _>>()?;
    kv::delete(key)?;
    let deleted = kv::entry(key)?.is_none();
    Ok(Kept { missing, first, conflict, second, value, keys, deleted })
}

fn done(written: Written) -> Result<u64, Failure> {
    match written {
        Written::Done(version) => Ok(version),
        Written::Conflict(there) => Err(Failure::failed(format!("the condition did not hold; there is {there:?}"))),
    }
}
