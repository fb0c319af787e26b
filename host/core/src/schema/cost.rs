//! What a schema may cost, found from its text before anything compiles it.
//!
//! A check that looks at the value is counted while it runs (`steps`). What it does between two looks is not: keywords that hand
//! the same value on (`allOf`, `$ref` and their kin) form a graph, in which forty definitions that each refer twice to the next
//! are 2^40 visits, a chain of eight thousand is as many frames of the stack, and a ring never ends. So that graph is walked here
//! first, each schema in it once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ptr::from_ref;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{MAX_DEPTH, SchemaError, shorten};

/// Most schemas that a check may visit without descending into the value.
pub(super) const MAX_VISITS: u64 = 20_000;
/// Most schemas in a row that hand the same value on.
pub(super) const MAX_CHAIN: usize = 64;
/// Most schemas inside of each other that a check may be in.
const MAX_FRAMES: usize = 1024;
/// Most looks at the value that one check may take; one takes some 10 ns. Twenty thousand records of two fields need about a
/// tenth of it.
const MAX_STEPS: u64 = 10_000_000;
/// Most visits of one check; one takes some 10 ns as well.
const MAX_ALL_VISITS: u64 = 100_000_000;
/// Most embedded documents (`$id`), each of which a fragment may be meant for.
const MAX_DOCUMENTS: usize = 64;
/// What `unevaluatedProperties` and its like count for in a chain: they go over the schemas beside them a second time, and
/// take several times the stack.
const UNEVALUATED: usize = 8;
/// References that the library follows on the stack while it compiles; it defers what comes after.
const NESTED_REFERENCES: usize = 9;

/// What one schema may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Schemas visited between two looks at the value, at most.
    pub(super) visits: u64,
    /// Schemas in a row that hand the same value on, at most.
    pub(super) chain: usize,
    /// Schemas that are compiled inside of each other, at most.
    pub(super) nested: usize,
    /// Different patterns.
    pub(super) patterns: usize,
    pub(super) matching: Matching,
}

impl Cost {
    /// Deepest value that may be held against the schema, in levels: the frames of a check have to fit a guest's stack.
    pub(super) fn deepest(&self) -> usize {
        (MAX_FRAMES / self.chain).min(MAX_DEPTH)
    }

    /// Looks at the value that one check may take.
    pub(super) fn steps(&self) -> u64 {
        MAX_STEPS.min(MAX_ALL_VISITS / self.visits)
    }
}

/// What patterns cost while a text is held against them. The engine is linear in the text, and each of its bytes may take a visit to
/// every place in the pattern: `[ab]*a[ab]{900}c` takes a second for 80 KB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matching {
    /// Places in the largest pattern that may go on for as long as the text does.
    endless: u64,
    /// The same of those that end by themselves, after so many characters at most.
    ending: u64,
    /// Most patterns that the names of one object are held against.
    names: u64,
}

/// Places that a text may be at in a pattern, times the bytes of the text, that are one step.
const PLACES: u64 = 64;

impl Matching {
    pub(super) const NONE: Self = Self { endless: 0, ending: 0, names: 0 };

    /// Steps for a text of so many bytes.
    pub(super) fn text(self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        let endless = bytes.saturating_mul(self.endless.saturating_add(1));
        let ending = bytes.min(self.ending.saturating_mul(4)).saturating_mul(self.ending);
        endless.saturating_add(ending) / PLACES
    }

    /// Steps for a name of so many bytes.
    pub(super) fn name(self, bytes: usize) -> u64 {
        self.text(bytes).saturating_add(1).saturating_mul(self.names.max(1))
    }

    fn add(&mut self, pattern: &str) {
        let (places, ends) = places(pattern);
        let most = if ends { &mut self.ending } else { &mut self.endless };
        *most = places.max(*most);
    }
}

/// About how many places a text may be at in a pattern, counted repetitions written out, and whether it can be in it for no longer than
/// that many characters. What the pattern means is the library's business: all that matters here is that it is not taken for less.
fn places(pattern: &str) -> (u64, bool) {
    let anchored = pattern.strip_prefix('^').is_some_and(|rest| !rest.starts_with(['?', '{']));
    let mut ends = anchored && !pattern.contains('|');
    // Of each group that is open, the places before it.
    let mut groups: Vec<u64> = Vec::new();
    let (mut all, mut last) = (0_u64, 0_u64);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '(' => {
                groups.push(std::mem::take(&mut all));
                last = 0;
                let flags = chars.as_str().strip_prefix('?').and_then(|rest| rest.split([':', ')', '<']).next());
                if flags.is_some_and(|flags| flags.contains('x')) {
                    // Spaces and comments, which would hide from here what is repeated.
                    return (u64::MAX, false);
                }
            }
            ')' => {
                last = all.max(1);
                all = groups.pop().unwrap_or_default().saturating_add(last);
            }
            '*' | '+' => ends = false,
            '?' | '^' | '$' | '|' => {}
            _ => {
                if c == '{'
                    && let Some((most, is_open, rest)) = repetition(chars.as_str())
                {
                    let more = last.saturating_mul(most.saturating_sub(1));
                    (all, last) = (all.saturating_add(more), last.saturating_add(more));
                    ends &= !is_open;
                    chars = rest.chars();
                    continue;
                }
                match c {
                    '\\' => drop(chars.next()),
                    // A class is one place, whatever it holds.
                    '[' => {
                        while let Some(c) = chars.next()
                            && c != ']'
                        {
                            if c == '\\' {
                                chars.next();
                            }
                        }
                    }
                    _ => {}
                }
                (all, last) = (all.saturating_add(1), 1);
            }
        }
    }
    (groups.into_iter().fold(all, u64::saturating_add), ends)
}

/// What is behind the `{` of a counted repetition: its larger count, whether there may be more, and what follows.
fn repetition(text: &str) -> Option<(u64, bool, &str)> {
    let (counts, rest) = text.split_once('}')?;
    if counts.is_empty() || !counts.chars().all(|c| c.is_ascii_digit() || c == ',' || c.is_whitespace()) {
        return None;
    }
    let counts: String = counts.split_whitespace().collect();
    let numbers = counts.split(',').filter(|number| !number.is_empty());
    let most = numbers.map(|number| number.parse().unwrap_or(u64::MAX)).max().unwrap_or(1);
    Some((most, counts.ends_with(','), rest))
}

/// The cost of `schema`, which is at most [`MAX_DEPTH`] levels deep, or why it is too much.
pub(super) fn cost(schema: &Value) -> Result<Cost, SchemaError> {
    let mut graph = Graph { documents: vec![schema], ..Graph::default() };
    graph.collect(schema, Place::Schema, 1);
    if graph.documents.len() > MAX_DOCUMENTS {
        return Err(SchemaError::Costly(format!("holds more than {MAX_DOCUMENTS} schemas with an `$id`")));
    }
    let (mut visits, mut chain) = (1, 1);
    for start in graph.schemas.clone() {
        let walk = graph.walk(start, 0)?;
        visits = visits.max(walk.visits());
        chain = chain.max(walk.chain);
    }
    let nested = graph.depth * NESTED_REFERENCES.min(1 + graph.references);
    let mut matching = Matching { names: graph.names as u64, ..Matching::NONE };
    graph.patterns.iter().for_each(|pattern| matching.add(pattern));
    Ok(Cost { visits, chain, nested, patterns: graph.patterns.len(), matching })
}

/// What a value in the text of a schema is there for.
#[derive(Clone, Copy)]
enum Place {
    Schema,
    /// Names of the author, with a schema for each.
    Named,
}

#[derive(Default)]
struct Graph<'a> {
    /// Values that a fragment may start from: the whole, and what has an `$id`.
    documents: Vec<&'a Value>,
    anchors: HashMap<&'a str, Vec<&'a Value>>,
    schemas: Vec<&'a Map<String, Value>>,
    /// The same, by address.
    known: HashSet<*const Map<String, Value>>,
    patterns: BTreeSet<&'a str>,
    /// Most patterns of one `patternProperties`.
    names: usize,
    references: usize,
    /// Deepest nesting of the text.
    depth: usize,
    /// By address; None while it is on the way.
    walked: HashMap<*const Map<String, Value>, Option<Walk>>,
}

/// How often a schema visits others, itself included, for one value.
#[derive(Clone, Copy)]
struct Walk {
    /// To say whether the value is valid.
    verdict: u64,
    /// To say why not, or which of its parts were looked at: for that, each schema is asked for its verdict too.
    reasons: u64,
    chain: usize,
}

impl Walk {
    fn visits(&self) -> u64 {
        self.verdict.saturating_add(self.reasons)
    }
}

impl<'a> Graph<'a> {
    /// Finds what references can lead to. Goes as deep as the text is.
    fn collect(&mut self, value: &'a Value, place: Place, depth: usize) {
        self.depth = self.depth.max(depth);
        match (value, place) {
            (Value::Array(items), _) => items.iter().for_each(|item| self.collect(item, Place::Schema, depth + 1)),
            (Value::Object(map), Place::Named) => {
                map.values().for_each(|value| self.collect(value, Place::Schema, depth + 1));
            }
            (Value::Object(map), Place::Schema) => {
                self.schemas.push(map);
                self.known.insert(from_ref(map));
                for (key, inner) in map {
                    match (key.as_str(), inner) {
                        // Draft 4 has `id`; up to draft 7, one that is only a fragment is an anchor.
                        ("$id" | "id", Value::String(id)) => match id.strip_prefix('#') {
                            Some(name) => self.anchors.entry(name).or_default().push(value),
                            None if depth > 1 => self.documents.push(value),
                            None => {}
                        },
                        ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                            self.anchors.entry(name).or_default().push(value);
                        }
                        ("pattern", Value::String(pattern)) => drop(self.patterns.insert(pattern)),
                        _ => {}
                    }
                    match applies(key) {
                        Applies::Never => {}
                        Applies::Definitions | Applies::Parts { named: true } | Applies::Same { named: true } => {
                            if let (true, Some(map)) = (key == "patternProperties", inner.as_object()) {
                                self.patterns.extend(map.keys().map(String::as_str));
                                self.names = self.names.max(map.len());
                            }
                            self.collect(inner, Place::Named, depth + 1);
                        }
                        Applies::Reference => self.references += 1,
                        Applies::Parts { named: false } | Applies::Same { named: false } => {
                            self.collect(inner, Place::Schema, depth + 1);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Goes to every schema that is given the same value as `schema`. At most [`MAX_CHAIN`] deep.
    fn walk(&mut self, schema: &'a Map<String, Value>, above: usize) -> Result<Walk, SchemaError> {
        let address = from_ref(schema);
        match self.walked.get(&address) {
            Some(Some(walk)) => return Ok(*walk),
            Some(None) => return Err(SchemaError::Costly(format!("{} leads back to itself", shown(schema)))),
            None => {}
        }
        let too_long = || {
            SchemaError::Costly(format!(
                "{} is the end of more than {MAX_CHAIN} that lead to each other",
                shown(schema)
            ))
        };
        if above >= MAX_CHAIN {
            return Err(too_long());
        }
        self.walked.insert(address, None);
        let (mut walk, mut unevaluated) = (Walk { verdict: 1, reasons: 1, chain: 0 }, false);
        for (key, value) in schema {
            unevaluated |= key.starts_with("unevaluated");
            let mut inner = Vec::new();
            match applies(key) {
                Applies::Reference => inner = self.targets(value)?,
                Applies::Same { named: true } => inner.extend(value.as_object().into_iter().flat_map(Map::values)),
                Applies::Same { named: false } => match value {
                    Value::Array(items) => inner.extend(items),
                    other => inner.push(other),
                },
                Applies::Parts { .. } | Applies::Definitions | Applies::Never => {}
            }
            for map in inner.into_iter().filter_map(Value::as_object) {
                let one = self.walk(map, above + 1)?;
                walk.verdict = walk.verdict.saturating_add(one.verdict);
                walk.reasons = walk.reasons.saturating_add(one.visits());
                walk.chain = walk.chain.max(one.chain);
            }
        }
        walk.chain += 1;
        if unevaluated {
            walk.verdict = walk.verdict.saturating_add(walk.reasons);
            walk.reasons = walk.reasons.saturating_mul(2);
            walk.chain += UNEVALUATED - 1;
        }
        if walk.chain > MAX_CHAIN {
            return Err(too_long());
        }
        if walk.visits() > MAX_VISITS {
            let why = format!("{} stands for more than {MAX_VISITS} schemas for one value", shown(schema));
            return Err(SchemaError::Costly(why));
        }
        self.walked.insert(address, Some(walk));
        Ok(walk)
    }

    /// All that a reference may mean, whichever draft and whichever document it is read in. What is no schema by its place, like
    /// a default, was not looked into: a reference that makes it one would bring in what nobody has weighed.
    fn targets(&self, reference: &Value) -> Result<Vec<&'a Value>, SchemaError> {
        let Some(fragment) = reference.as_str().and_then(|text| text.strip_prefix('#')) else { return Ok(Vec::new()) };
        let fragment = percent_decode_str(fragment).decode_utf8_lossy();
        let documents = self.documents.iter().filter_map(|document| document.pointer(&fragment));
        let anchors = self.anchors.get(fragment.as_ref()).into_iter().flatten().copied();
        let targets: Vec<_> = documents.chain(anchors).collect();
        if targets.iter().filter_map(|target| target.as_object()).all(|target| self.known.contains(&from_ref(target))) {
            return Ok(targets);
        }
        let message = format!("`#{}` is no schema, by the place where it stands", shorten(&fragment, 60));
        Err(SchemaError::Malformed { path: "/".into(), message })
    }
}

/// What a keyword does with the schemas in it.
enum Applies {
    /// They are given parts of the value: each costs a look.
    Parts {
        named: bool,
    },
    /// They are given the same value. What nobody knows is taken for this.
    Same {
        named: bool,
    },
    Reference,
    /// Only references lead to them.
    Definitions,
    /// They are data.
    Never,
}

fn applies(keyword: &str) -> Applies {
    match keyword {
        "properties" | "patternProperties" => Applies::Parts { named: true },
        "additionalProperties" | "unevaluatedProperties" | "propertyNames" => Applies::Parts { named: false },
        "items" | "prefixItems" | "additionalItems" | "unevaluatedItems" | "contains" => {
            Applies::Parts { named: false }
        }
        "$ref" | "$dynamicRef" | "$recursiveRef" => Applies::Reference,
        "$defs" | "definitions" => Applies::Definitions,
        "dependentSchemas" | "dependencies" => Applies::Same { named: true },
        "const" | "enum" | "default" | "examples" => Applies::Never,
        _ => Applies::Same { named: false },
    }
}

/// A schema as a message names it: by what it refers to, or by its beginning.
fn shown(schema: &Map<String, Value>) -> String {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(target) => format!("`{}`", shorten(target, 60)),
        None => format!("`{}`", shorten(&Value::Object(schema.clone()).to_string(), 60)),
    }
}
