//! What the bars of reliability need of a guest: state that is kept and told, calls that may fail, and work of a known size.

use ringfence_skill::model::Event;
use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::json;

/// Slots of each writer: the number that is written goes round through them.
const SLOTS: u64 = 64;

/// Keeps a text.
#[tool]
pub fn put(key: &str, value: &str) -> Result<String, Failure> {
    kv::set(key, value)?;
    Ok("kept".into())
}

/// The text that was kept.
#[tool(read_only)]
pub fn get(key: &str) -> Result<String, Failure> {
    Ok(kv::get::<String>(key)?.unwrap_or_default())
}

/// All numbers that are kept under a prefix, each on a line behind its key.
#[tool(read_only)]
pub fn numbers(prefix: &str) -> Result<String, Failure> {
    let mut lines = String::new();
    for key in kv::keys(prefix) {
        let key = key?;
        let number = kv::get::<u64>(&key)?.unwrap_or_default();
        lines.push_str(&format!("{key} {number}\n"));
    }
    Ok(lines)
}

/// Keeps numbers without end, and tells a server of each as soon as it is kept.
#[tool(open_world)]
pub fn writer(url: &str, number: u32, from: u64) -> Result<String, Failure> {
    for n in from.. {
        kv::set(&format!("w{number}-{}", n % SLOTS), &n)?;
        http::get(&format!("{url}/{number}/{n}"))?.error_for_status()?;
    }
    Ok(String::new())
}

/// Starts writers and waits for them, which have no end.
#[tool(open_world)]
pub fn writers(url: &str, count: u32, from: u64) -> Result<String, Failure> {
    let start = |number: u32| tools::start("keeper/writer", &json!({ "url": url, "number": number, "from": from }));
    let all = (0..count).map(start).collect::<Result<Vec<_>, _>>()?;
    for one in all {
        one.wait()?;
    }
    Ok(String::new())
}

/// Asks a model once, and says what came of it in one word, whatever it was.
#[tool(open_world)]
pub fn attempt(model: &str, prompt: &str, max_tokens: u32, streamed: bool) -> String {
    let ask = model::ask(prompt).model(model).max_tokens(max_tokens);
    let done = if streamed { ask.open().and_then(read) } else { ask.send().map(drop) };
    match done {
        Ok(()) => "answered".into(),
        Err(Refusal::Unavailable(why)) => format!("unavailable: {why}"),
        Err(Refusal::TimedOut(why)) => format!("timed-out: {why}"),
        Err(other) => format!("other: {other}"),
    }
}

fn read(generation: model::Generation) -> Result<(), Refusal> {
    for event in generation {
        if let Event::Done(_) = event? {
            return Ok(());
        }
    }
    Err(Refusal::Invalid("it ended without its end".into()))
}

/// Uses the processor for so many thousand turns.
#[tool(read_only)]
pub fn work(thousands: u32) -> String {
    let mut sum = 0_u64;
    for turn in 0..u64::from(thousands) * 1_000 {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(turn));
    }
    sum.to_string()
}
