//! The guest of `tests/bench`: each tool does one thing and as little as possible around it.

mod bars;

use std::time::SystemTime;

use ringfence_skill::model::Event;
use ringfence_skill::prelude::*;

/// Gives back what it was given.
#[tool(read_only)]
fn echo(
    /// Anything.
    text: String,
) -> String {
    text
}

/// Says when it ran: milliseconds since the Unix epoch, as this guest sees them.
#[tool(read_only)]
fn now() -> Result<String, Failure> {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Ok(since.as_millis().to_string()),
        Err(error) => Err(Failure::failed(error.to_string())),
    }
}

/// Never returns.
#[tool(read_only)]
fn spin() -> String {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Returns at once, or never.
#[tool(read_only)]
fn feign(
    /// Whether it never does.
    spins: bool,
) -> String {
    if spins { spin() } else { String::new() }
}

/// Asks the model so many times, one after the other.
#[tool(read_only)]
fn ask(
    /// How often.
    times: u32,
) -> Result<String, Failure> {
    let mut bytes = 0;
    for _ in 0..times {
        bytes += model::ask("Say it.").max_tokens(16).send()?.text().len();
    }
    Ok(bytes.to_string())
}

/// Gets a URL so many times, one after the other, and says how many bytes came.
#[tool(read_only)]
fn fetch(
    /// From where.
    url: &str,
    /// How often.
    times: u32,
) -> Result<String, Failure> {
    let mut bytes = 0;
    for _ in 0..times {
        bytes += http::get(url)?.bytes()?.len();
    }
    Ok(bytes.to_string())
}

/// Reads one streamed answer, and says how many pieces of text came.
#[tool(read_only)]
fn stream() -> Result<String, Failure> {
    let mut pieces = 0_u64;
    for event in model::ask("Say it.").open()? {
        if let Event::Text(_) = event? {
            pieces += 1;
        }
    }
    Ok(pieces.to_string())
}

/// Panics.
#[tool(read_only)]
fn crash() -> String {
    panic!("on purpose")
}

/// Takes memory until there is no more, and crashes there.
#[tool(read_only)]
fn hog() -> String {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

/// Calls itself until the stack is used up.
#[tool(read_only)]
fn recurse() -> String {
    #[expect(unconditional_recursion, reason = "this is what it is for")]
    fn deeper(n: u64) -> u64 {
        let here = std::hint::black_box([n; 64]);
        deeper(n + 1) + here[0]
    }
    deeper(0).to_string()
}

/// Writes lines to the log.
#[tool(read_only)]
fn flood(
    /// How many.
    lines: u32,
) -> String {
    for n in 0..lines {
        log::info!("line {n}");
    }
    lines.to_string()
}

ringfence_skill::export!(
    echo,
    now,
    spin,
    feign,
    ask,
    fetch,
    stream,
    crash,
    hog,
    recurse,
    flood,
    bars::put,
    bars::get,
    bars::numbers,
    bars::writer,
    bars::writers,
    bars::attempt,
    bars::work,
);
