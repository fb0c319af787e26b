//! Every function of the interface, one tool for each: the same tools as the other languages' probes have, so that one suite
//! can compare what a skill in each language makes of the host.

mod files;
mod models;
mod others;
mod signals;
mod state;
mod web;
mod world;

use std::hint::black_box;

use ringfence_skill::prelude::*;
use ringfence_skill::{Content, Link};

/// Gives back what it is given.
#[tool(read_only)]
fn echo(text: &str) -> String {
    text.to_owned()
}

/// How to go about it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Fast,
    Slow,
}

/// A place.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Point {
    x: f64,
    y: f64,
}

/// What `shapes` was given.
#[derive(Serialize, JsonSchema)]
struct Shapes {
    count: i64,
    ratio: f64,
    flag: bool,
    words: Vec<String>,
    note: Option<String>,
    mode: Mode,
    point: Point,
}

/// Gives back a value of every kind.
#[tool(read_only)]
fn shapes(
    /// How many.
    count: i64,
    ratio: f64,
    flag: bool,
    words: Vec<String>,
    note: Option<String>,
    mode: Mode,
    point: Point,
) -> Shapes {
    Shapes { count, ratio, flag, words, note, mode, point }
}

/// Fails as if the input were wrong.
#[tool]
fn give_up(message: &str, hint: Option<String>) -> Result<String, Failure> {
    let failure = Failure::invalid_input(message);
    Err(Failure { hint, ..failure })
}

/// Panics, some calls down.
#[tool]
fn crash(message: &str) -> String {
    deep(message)
}

fn deep(message: &str) -> String {
    panic!("{message}")
}

/// What the host refused, as the skill sees it.
#[derive(Serialize, JsonSchema)]
struct Refused {
    kind: String,
    message: String,
    hint: Option<String>,
}

/// Asks a model, and tells the refusal instead of failing of it.
#[tool]
fn refusal(prompt: &str, model: &str) -> Result<Refused, Failure> {
    match model::ask(prompt).model(model).send() {
        Ok(_) => Err(Failure::failed("the model answered")),
        Err(refusal) => Ok(Refused { kind: refusal.kind().into(), message: refusal.to_string(), hint: refusal.hint() }),
    }
}

/// Gives text, an image and a link.
#[tool(read_only)]
fn media() -> Outcome {
    let link = Link { uri: "https://example.com/".into(), title: Some("Example".into()), media_type: None };
    Outcome::text("here").with_image("image/png", vec![1, 2, 3]).with(Content::Link(link))
}

/// Computes for ever.
#[tool]
fn spin() -> String {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Gives a text of this size.
#[tool]
fn big(bytes: u32) -> String {
    "x".repeat(bytes as usize)
}

/// Gives text beyond ASCII: umlauts, ideographs, an emoji with a skin tone, and a letter with a combining accent.
#[tool(read_only)]
fn unicode() -> &'static str {
    "Grüße, 世界 👋🏽 e\u{301}"
}

ringfence_skill::export!(
    echo,
    shapes,
    signals::logs,
    signals::reports,
    state::setting,
    state::kept,
    web::fetch,
    web::fetch_many,
    web::send_up,
    web::secret,
    models::ask,
    models::stream,
    models::parallel,
    models::structured,
    models::tool_loop,
    models::embed,
    models::names,
    others::list_tools,
    others::call_tool,
    others::call_many,
    others::ask_person,
    others::confirm_person,
    files::read_file,
    files::write_file,
    files::list_files,
    world::time_and_chance,
    give_up,
    crash,
    refusal,
    world::who,
    media,
    spin,
    big,
    unicode,
);
