//! Plain components: the functions that a component exports, without `ringfence:skill/skill`, become tools.
//!
//! Everything that depends on types is prepared here, once: a call walks the prepared [`Shape`]s and nothing of wasmtime's types.
//! The component is a stranger's, and a type of 40 lines can stand for a million others, so what is looked at is counted. A function
//! that cannot be a tool is left out by name, and the others are offered.

mod docs;
mod meter;
mod names;
mod shape;
#[cfg(test)]
mod tests;
mod values;
#[cfg(test)]
mod values_tests;

use serde_json::Value;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Val};

use super::tool::{Callable, DESCRIPTION_BYTES, Hints, TOOLS, Tool, is_tool_name};
use crate::engine::LoadError;
use crate::policy::manifest::{Manifest, ManifestError};
use crate::schema;
pub(crate) use docs::Docs;
use meter::{Meter, Spent};
use names::Place;
use shape::{Direction, Shape};
pub(crate) use values::Misfit;

/// Bytes of schemas that the types of one function may stand for, and those of all of a component: about, before they are made.
const FUNCTION_BYTES: usize = 128 << 10;
const ALL_BYTES: usize = 1 << 20;
/// Bytes of all tools with their descriptions, as they are listed. A package holds a little more.
const LIST_BYTES: usize = 1000 << 10;
/// Functions that are named with the reason why they are no tools.
const LEFT_OUT: usize = 64;
/// Characters of a signature in a description.
const SIGNATURE: usize = 600;
/// Bytes of what a function says about its error.
const MESSAGE_BYTES: usize = 16 << 10;

/// Exports that belong to language runtimes and are no functions of the author.
const OF_RUNTIMES: [&str; 2] = ["exports", "init"];

/// What a component offers.
pub(crate) struct Reflection {
    pub(crate) callables: Vec<Callable>,
    pub(crate) left_out: Vec<LeftOut>,
}

impl Reflection {
    pub(crate) fn tools(&self) -> Vec<Tool> {
        self.callables.iter().map(|callable| callable.tool.clone()).collect()
    }

    /// The name of the tool that a manifest names as its upgrade step, which must be among these.
    pub(crate) fn step(&self, manifest: &Manifest) -> Result<Option<String>, ManifestError> {
        let Some(name) = manifest.state.as_ref().and_then(|state| state.upgrade.clone()) else { return Ok(None) };
        match self.callables.iter().any(|callable| callable.tool.name == name) {
            true => Ok(Some(name)),
            false => Err(ManifestError::new(format!("`state.upgrade` is {name:?}, and it has no tool of that name"))),
        }
    }
}

/// An exported function that is no tool.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeftOut {
    /// As the component names it, its interface in front.
    pub function: String,
    pub reason: String,
}

/// A function, prepared to be called with JSON.
pub(crate) struct Plan {
    pub(crate) export: ComponentExportIndex,
    /// A record of the parameters.
    params: Shape,
    returns: Returns,
}

/// What is made of the result.
#[derive(Debug)]
struct Returns {
    /// None where there is nothing to give.
    value: Option<Shape>,
    /// Whether the result is a `result`, and what its error is.
    error: Option<Option<Shape>>,
}

/// What a function gave: nothing, a text, or a value and its JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Returned {
    pub(crate) text: Option<String>,
    pub(crate) structured: Option<Value>,
}

/// Why a function gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The error of its `result`, in words.
    Failed(String),
    /// What came back is not of the type that was promised, which wasmtime sees to.
    Mistyped,
}

impl Plan {
    /// The arguments for an input, which may take `limit` bytes as values.
    pub(crate) fn arguments(&self, input: Value, limit: usize) -> Result<Vec<Val>, Misfit> {
        match values::lower(&self.params, input, &mut Meter::new(limit))? {
            Val::Record(fields) => Ok(fields.into_iter().map(|(_, value)| value).collect()),
            _ => Ok(Vec::new()),
        }
    }

    /// How many results the function has: none or one.
    pub(crate) fn results(&self) -> usize {
        usize::from(self.returns.value.is_some() || self.returns.error.is_some())
    }

    /// What the result means.
    pub(crate) fn returned(&self, results: Vec<Val>) -> Result<Returned, Fault> {
        let given = results.into_iter().next();
        let value = match (&self.returns.error, given) {
            (Some(_), Some(Val::Result(Ok(value)))) => value.map(|value| *value),
            (Some(shape), Some(Val::Result(Err(error)))) => {
                return Err(failed(shape.as_ref(), error.map(|error| *error)));
            }
            (Some(_), _) => return Err(Fault::Mistyped),
            (None, given) => given,
        };
        match (&self.returns.value, value) {
            (None, None) => Ok(Returned::default()),
            (Some(Shape::String), Some(Val::String(text))) => Ok(Returned { text: Some(text), structured: None }),
            (Some(shape), Some(value)) => {
                let value = values::lift(shape, value).ok_or(Fault::Mistyped)?;
                Ok(Returned { text: Some(value.to_string()), structured: Some(value) })
            }
            _ => Err(Fault::Mistyped),
        }
    }
}

/// An error in words: a text as it is, a case by its name, everything else as JSON.
fn failed(shape: Option<&Shape>, error: Option<Val>) -> Fault {
    let (Some(shape), Some(error)) = (shape, error) else {
        return Fault::Failed("the function failed and did not say why".into());
    };
    let case = match &error {
        Val::Variant(case, _) => Some(case.clone()),
        _ => None,
    };
    let Some(mut value) = values::lift(shape, error) else { return Fault::Mistyped };
    let payload = case.as_ref().and_then(|case| value.get_mut(case)).map(Value::take);
    let words = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let message = match (case, payload) {
        (Some(case), Some(payload)) => format!("{case}: {}", words(payload)),
        _ => words(value),
    };
    Fault::Failed(cut(message, MESSAGE_BYTES))
}

fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes.saturating_sub(3)));
        text.push_str("...");
    }
    text
}

/// A function among the exports.
struct Found {
    place: Place,
    ty: ComponentFunc,
    export: ComponentExportIndex,
}

/// A function that can be called.
struct Ready {
    found: Found,
    params: Shape,
    returns: Returns,
}

/// Makes tools of the functions that `component` exports. `docs` says what they are for, as far as anybody wrote it down.
pub(crate) fn reflect(engine: &Engine, component: &Component, docs: &Docs) -> Result<Reflection, LoadError> {
    let mut aside = Aside::default();
    let found = functions(engine, component, &mut aside)?;
    if found.len() > TOOLS {
        return Err(LoadError::Invalid(format!("it exports {} functions, of at most {TOOLS}", found.len())));
    }
    let mut all = Meter::new(ALL_BYTES);
    let mut ready = Vec::new();
    for found in found {
        match shapes(&found.ty, &mut all) {
            Ok((params, returns)) => ready.push(Ready { found, params, returns }),
            Err(reason) => aside.put(&found.place, reason),
        }
    }
    let names = names::tools(&ready.iter().map(|ready| &ready.found.place).collect::<Vec<_>>());
    let mut callables = Vec::new();
    // What was charged for the types was a guess, and descriptions come on top.
    let mut told = Meter::new(LIST_BYTES);
    for (ready, name) in ready.into_iter().zip(names) {
        let place = ready.found.place.clone();
        match name.and_then(|name| callable(ready, name, docs, &mut told)) {
            Ok(callable) => callables.push(callable),
            Err(reason) => aside.put(&place, reason),
        }
    }
    let left_out = aside.close();
    match (callables.is_empty(), left_out.first()) {
        (false, _) => Ok(Reflection { callables, left_out }),
        (true, Some(LeftOut { function, reason })) => Err(LoadError::NoTools(format!("`{function}` {reason}"))),
        (true, None) => Err(crate::engine::linker::no_export()),
    }
}

/// What was left out, at most so many of them.
#[derive(Default)]
struct Aside {
    kept: Vec<LeftOut>,
    more: usize,
}

impl Aside {
    fn put(&mut self, place: &Place, reason: String) {
        if self.kept.len() < LEFT_OUT {
            self.kept.push(LeftOut { function: schema::shorten(&place.to_string(), 120), reason });
        } else {
            self.more += 1;
        }
    }

    fn close(mut self) -> Vec<LeftOut> {
        if self.more > 0 {
            let function = format!("and {} more", self.more);
            self.kept.push(LeftOut { function, reason: "for reasons like these".into() });
        }
        self.kept
    }
}

/// The functions of the component itself and of the interfaces that it exports.
fn functions(engine: &Engine, component: &Component, aside: &mut Aside) -> Result<Vec<Found>, LoadError> {
    let gone = || LoadError::Invalid("one of its exports cannot be found".into());
    let mut found = Vec::new();
    for (name, export) in component.component_type().exports(engine) {
        if OF_RUNTIMES.contains(&name) || name.starts_with("wasi:") {
            continue;
        }
        match export.ty {
            ComponentItem::ComponentFunc(ty) => {
                let place = Place { interface: None, function: name.to_owned() };
                let export = component.get_export_index(None, name).ok_or_else(gone)?;
                keep(Found { place, ty, export }, &mut found, aside);
            }
            ComponentItem::ComponentInstance(instance) => {
                let within = component.get_export_index(None, name).ok_or_else(gone)?;
                for (function, export) in instance.exports(engine) {
                    let ComponentItem::ComponentFunc(ty) = export.ty else { continue };
                    let place = Place { interface: Some(name.to_owned()), function: function.to_owned() };
                    let export = component.get_export_index(Some(&within), function).ok_or_else(gone)?;
                    keep(Found { place, ty, export }, &mut found, aside);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn keep(found: Found, into: &mut Vec<Found>, aside: &mut Aside) {
    match found.place.function.starts_with('[') {
        true => aside.put(&found.place, "belongs to a resource, which JSON cannot hold".into()),
        false => into.push(found),
    }
}

/// The types of a function as shapes, or why it is no tool.
fn shapes(ty: &ComponentFunc, all: &mut Meter) -> Result<(Shape, Returns), String> {
    if ty.async_() {
        return Err("is asynchronous, which this host has switched off".into());
    }
    let mut own = Meter::new(FUNCTION_BYTES);
    let params = Shape::params(ty, &mut own)?;
    let mut results = ty.results();
    let returns = match (results.next(), results.next()) {
        (_, Some(_)) => return Err("has more than one result".into()),
        (None, None) => Returns { value: None, error: None },
        (Some(result), None) => match Shape::of(&result, &mut own)? {
            Shape::Result(ok, error) => Returns { value: ok.map(|ok| *ok), error: Some(error.map(|error| *error)) },
            other => Returns { value: Some(other), error: None },
        },
    };
    match all.charge(own.used()) {
        Ok(()) => Ok((params, returns)),
        Err(spent) => Err(too_many(spent)),
    }
}

fn too_many(spent: Spent) -> String {
    format!("would make all tools together larger than {} KiB", spent.limit >> 10)
}

fn callable(ready: Ready, name: String, docs: &Docs, all: &mut Meter) -> Result<Callable, String> {
    let Ready { found, params, returns } = ready;
    if !is_tool_name(&name) {
        return Err("has a name that is not 1 to 64 of a-z, 0-9, _ and - as a tool".into());
    }
    let output_schema = match &returns.value {
        None | Some(Shape::String) => None,
        Some(shape) => Some(shape.schema(Direction::Out)),
    };
    let told = docs.of(&name, &found.place);
    let tool = Tool {
        title: told.as_ref().and_then(|told| told.title.clone()),
        description: match &told {
            Some(told) => cut(told.description.clone(), DESCRIPTION_BYTES),
            None => signature(&found.place, &params, &returns),
        },
        input_schema: params.schema(Direction::In),
        output_schema,
        hints: told.map_or_else(Hints::default, |told| told.hints),
        name,
    };
    let listed = serde_json::to_vec(&tool).unwrap_or_default().len();
    all.charge(listed).map_err(too_many)?;
    let plan = Plan { export: found.export, params, returns };
    Callable::plain(tool, plan).map_err(|error| format!("has types that cannot be a schema: {error}"))
}

/// What is said of a function that nobody described.
fn signature(place: &Place, params: &Shape, returns: &Returns) -> String {
    let params = match params {
        Shape::Record(fields) => fields.iter().map(|field| format!("{}: {}", field.name, field.shape)).collect(),
        _ => Vec::new(),
    };
    let returns = match (&returns.value, &returns.error) {
        (None, None) => String::new(),
        (Some(value), None) => format!(" -> {value}"),
        (ok, Some(error)) => format!(" -> {}", shape::result(ok.as_ref(), error.as_ref())),
    };
    let call = schema::shorten(&format!("{}({}){returns}", place.function, params.join(", ")), SIGNATURE);
    match &place.interface {
        Some(interface) => format!("Calls `{call}` of `{}`.", schema::shorten(interface, 120)),
        None => format!("Calls `{call}`."),
    }
}
