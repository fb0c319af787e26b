//! Model calls of every sort.

use ringfence_skill::prelude::*;

/// An answer, and who gave it.
#[derive(Serialize, JsonSchema)]
pub struct Answer {
    text: String,
    model: String,
    output_tokens: u64,
}

/// Asks a model.
#[tool]
pub fn ask(prompt: &str, model: Option<String>) -> Result<Answer, Failure> {
    let response = model::ask(prompt).model(model.as_deref().unwrap_or("default")).send()?;
    Ok(Answer { text: response.text(), output_tokens: response.usage.output_tokens, model: response.model })
}

/// An answer that came piece by piece.
#[derive(Serialize, JsonSchema)]
pub struct Streamed {
    text: String,
    pieces: u32,
}

/// Asks a model and shows the answer as it is written.
#[tool]
pub fn stream(prompt: &str) -> Result<Streamed, Failure> {
    let mut streamed = Streamed { text: String::new(), pieces: 0 };
    for chunk in model::ask(prompt).open()?.text_chunks() {
        let chunk = chunk?;
        progress::emit(&chunk);
        streamed.text.push_str(&chunk);
        streamed.pieces += 1;
    }
    Ok(streamed)
}

/// Answers, in the order of the questions.
#[derive(Serialize, JsonSchema)]
pub struct Texts {
    pub texts: Vec<String>,
}

/// Asks a model many things at the same time.
#[tool]
pub fn parallel(prompts: Vec<String>) -> Result<Texts, Failure> {
    let count = prompts.len();
    let texts = model::parallel(prompts.into_iter().map(model::ask), count).map(|answer| Ok(answer?.text()));
    Ok(Texts { texts: texts.collect::<Result<_, Refusal>>()? })
}

/// A city.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct City {
    city: String,
    population: i64,
}

/// Asks a model for a city, as a value.
#[tool]
pub fn structured(prompt: &str) -> Result<City, Failure> {
    Ok(model::ask(prompt).json()?)
}

/// What came of a conversation with tools.
#[derive(Serialize, JsonSchema)]
pub struct Looped {
    text: String,
    calls: u32,
}

/// Two numbers.
#[derive(Deserialize, JsonSchema)]
struct Terms {
    a: i64,
    b: i64,
}

/// Asks a model that may have numbers added.
#[tool]
pub fn tool_loop(prompt: &str) -> Result<Looped, Failure> {
    let mut calls = 0;
    let add = model::tool::<Terms>("add", "Adds two numbers.");
    let response = model::ask(prompt).tool(add).run(8, |call| {
        calls += 1;
        let Terms { a, b } = call.parse()?;
        a.checked_add(b).map(|sum| sum.to_string()).ok_or_else(|| Failure::invalid_input("the sum is too large"))
    })?;
    Ok(Looped { text: response.text(), calls })
}

/// The lengths of vectors.
#[derive(Serialize, JsonSchema)]
pub struct Dimensions {
    dimensions: Vec<usize>,
}

/// Makes vectors of texts, and says how long each is.
#[tool]
pub fn embed(texts: Vec<String>) -> Result<Dimensions, Failure> {
    let vectors = model::embed("embed", texts)?.vectors;
    Ok(Dimensions { dimensions: vectors.iter().map(Vec::len).collect() })
}

/// Names.
#[derive(Serialize, JsonSchema)]
pub struct Names {
    pub names: Vec<String>,
}

/// The models that may be asked.
#[tool(name = "models", read_only)]
pub fn names() -> Names {
    Names { names: model::models().into_iter().map(|model| model.name).collect() }
}
