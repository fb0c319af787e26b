//! The smallest acts of a skill, one per tool: what a test wants to see done, and nothing around it.

mod hostile;
mod keys;
mod models;
mod others;
mod state;
mod streams;
mod web;
mod world;

use ringfence_skill::prelude::*;

/// Gives back what it is given.
#[tool(read_only)]
fn echo(
    /// What to give back.
    text: &str,
) -> String {
    text.to_owned()
}

/// Takes every kind of value, so that a test can give a wrong one.
#[tool(read_only)]
fn typed(text: &str, #[schemars(range(min = 1, max = 5))] count: u32, tags: Option<Vec<String>>) -> String {
    format!("{text} {count} {}", tags.unwrap_or_default().join(","))
}

/// Says what it was given of a document that may be left out.
#[tool(read_only)]
fn maybe(text: Option<String>, path: Option<String>, title: Option<String>) -> String {
    [("text", text), ("path", path), ("title", title)]
        .into_iter()
        .filter_map(|(name, given)| Some(format!("{name}={};", given?)))
        .collect()
}

/// Fails in words of its own.
#[tool(read_only)]
fn fail(kind: &str, message: &str, hint: Option<String>) -> Result<String, Failure> {
    let failure = match kind {
        "invalid-input" => Failure::invalid_input(message),
        "unavailable" => Failure::unavailable(message),
        _ => Failure::failed(message),
    };
    Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// Shows a text piece by piece, and gives the whole of it.
#[tool(read_only)]
fn emit(text: &str, times: u32) -> String {
    for at in 0..times {
        progress::report(u64::from(at), Some(u64::from(times)), Some("emitting"));
        progress::emit(text);
    }
    text.repeat(times as usize)
}

ringfence_skill::export!(
    echo,
    typed,
    maybe,
    fail,
    emit,
    hostile::spin,
    hostile::feign,
    hostile::spin_host,
    hostile::grow,
    hostile::recurse,
    hostile::log_flood,
    hostile::print_flood,
    hostile::big_outcome,
    hostile::big_host_call,
    hostile::panics,
    hostile::bad_output,
    keys::keep,
    keys::listed,
    keys::note,
    keys::has_secret,
    models::generate,
    models::open,
    others::relay,
    others::attempt,
    others::fan_out,
    others::callable,
    others::read_and_relay,
    others::relay_twice,
    others::question,
    state::put,
    state::read,
    state::count,
    state::renew,
    state::forget,
    streams::stream,
    streams::hold,
    web::carry,
    web::fetch,
    web::fetch_all,
    web::fetch_some,
    web::upload,
    world::sleep,
    world::time,
    world::random,
    world::surroundings,
    world::dial,
);
