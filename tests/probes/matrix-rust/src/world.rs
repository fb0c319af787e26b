//! What differs from call to call.

use std::time::SystemTime;

use ringfence_skill::Caller;
use ringfence_skill::prelude::*;

/// A moment, and a number that nobody can guess.
#[derive(Serialize, JsonSchema)]
pub struct Now {
    /// Milliseconds since 1970.
    now_ms: u64,
    /// 16 random bytes as hexadecimal digits.
    random: String,
}

/// The time, and a random number.
#[tool(read_only)]
pub fn time_and_chance() -> Result<Now, Failure> {
    let now_ms = u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Now { now_ms, random: format!("{:032x}", u128::from_be_bytes(bytes)) })
}

/// About this call.
#[derive(Serialize, JsonSchema)]
pub struct Who {
    invocation: String,
    caller: String,
    deadline_ms: u64,
    locale: Option<String>,
}

/// Who calls, and how long there is.
#[tool(read_only)]
pub fn who(context: Context) -> Who {
    let caller = match context.caller {
        Caller::User => "user",
        Caller::Client => "client",
        Caller::Model => "model",
        Caller::Skill => "skill",
    };
    let Context { invocation, deadline_ms, locale, .. } = context;
    Who { invocation, caller: caller.into(), deadline_ms, locale }
}
