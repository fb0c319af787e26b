//! What a skill should not do.

use std::hint::black_box;

use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::json;

/// Works for ever.
#[tool]
pub fn spin() -> String {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Answers at once, or works for ever: nobody knows before.
#[tool]
pub fn feign(spins: bool) -> String {
    if spins { spin() } else { String::new() }
}

/// Calls the host for ever: its clock, or its settings.
#[tool]
pub fn spin_host(what: &str) -> Result<String, Failure> {
    loop {
        match what {
            "clock" => drop(black_box(std::time::Instant::now())),
            _ => drop(config::get::<String>("nothing")?),
        }
    }
}

/// Takes memory until there is no more, and says how many MiB it got; or crashes there.
#[tool]
pub fn grow(crash: bool) -> String {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut one = Vec::new();
        if crash {
            one.reserve_exact(1 << 20);
        } else if one.try_reserve_exact(1 << 20).is_err() {
            return all.len().to_string();
        }
        one.resize(1 << 20, 1);
        all.push(black_box(one));
    }
}

/// Calls itself until the stack is used up.
#[tool]
pub fn recurse() -> String {
    #[expect(unconditional_recursion, reason = "this is what it is for")]
    fn deeper(n: u64) -> u64 {
        let here = black_box([n; 64]);
        deeper(n + 1) + here[0]
    }
    deeper(0).to_string()
}

/// Writes lines to the log.
#[tool]
pub fn log_flood(lines: u32) -> String {
    for n in 0..lines {
        log::info!("line {n}");
    }
    "done".into()
}

/// Writes lines to standard output.
#[tool]
pub fn print_flood(lines: u32) -> String {
    for n in 0..lines {
        println!("line {n}");
    }
    "done".into()
}

/// Gives an outcome of this size.
#[tool]
pub fn big_outcome(bytes: u32) -> String {
    "x".repeat(bytes as usize)
}

/// Passes this many bytes to the host in one call.
#[tool]
pub fn big_host_call(bytes: u32) -> String {
    progress::emit(&"x".repeat(bytes as usize));
    "done".into()
}

/// Panics.
#[tool]
pub fn panics(message: &str) -> String {
    panic!("{message}")
}

/// What `bad_output` promises.
#[derive(Serialize, JsonSchema)]
struct Promise {
    count: u32,
}

/// Promises a number and gives a text.
#[tool(output = Promise)]
pub fn bad_output() -> Result<Outcome, Failure> {
    Outcome::structured(&json!({ "count": "many" }))
}
