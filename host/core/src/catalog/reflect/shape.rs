//! A WIT type as JSON sees it: which values there are, and the schema that says so.
//!
//! The forms are those that a Rust author knows from serde, and a model writes without being told:
//!
//! | WIT | JSON |
//! | --- | --- |
//! | `bool`, `string`, `char` | the same; a `char` is a text of one character |
//! | `s8` to `u64` | an integer within its bounds. JSON has no largest integer; programs that read numbers as doubles see 64 bits exactly up to 2^53 |
//! | `f32`, `f64` | a number. Results that are not finite are `"NaN"`, `"Infinity"` and `"-Infinity"`; arguments are finite |
//! | `list<u8>` | a text of base64 |
//! | `list<T>`, `tuple<..>` | an array |
//! | `record` | an object. Fields of type `option` may be left out in arguments |
//! | `variant` | `"case"`, or `{"case": payload}` |
//! | `enum` | a text |
//! | `flags` | an array of the names that are set |
//! | `option<T>` | `null` or T; `{"some": T}` where T may be `null` itself |
//! | `result<T, E>` | `{"ok": T}` or `{"error": E}`. As the result of a function: T, and E is a failure |

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value, json};
use wasmtime::component::Type;
use wasmtime::component::types::ComponentFunc;

use super::meter::Meter;

/// Types inside of each other. Schemas may be 64 levels deep, and most types take two.
const DEPTH: usize = 40;
/// What a type stands for in a schema, beside its names.
const TYPE_BYTES: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`.
    Bytes,
    List(Box<Shape>),
    Tuple(Vec<Shape>),
    Record(Vec<Field>),
    Variant(Cases<Option<Shape>>),
    Enum(Cases<()>),
    Flags(Cases<()>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) shape: Shape,
}

/// Named alternatives, in the order of the type, and found at once: there may be thousands, for each of thousands of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cases<T> {
    pub(super) list: Vec<(String, T)>,
    places: HashMap<String, usize>,
}

impl<T> Cases<T> {
    pub(super) fn new(list: Vec<(String, T)>) -> Self {
        let places = list.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        Self { list, places }
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.list.get(self.place(name)?).map(|(_, of)| of)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(name, _)| name.as_str())
    }
}

/// Whether a schema is for what is given to a function or for what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

impl Shape {
    /// The parameters of a function, as a record.
    pub(super) fn params(ty: &ComponentFunc, meter: &mut Meter) -> Result<Self, String> {
        let field = |(name, ty): (&str, Type)| field(name, &ty, meter, 0);
        ty.params().map(field).collect::<Result<_, _>>().map(Self::Record)
    }

    /// The shape of a type, or why JSON cannot hold it.
    pub(super) fn of(ty: &Type, meter: &mut Meter) -> Result<Self, String> {
        shape(ty, meter, 0)
    }

    /// Whether `null` is one of its values.
    pub(super) fn is_nullable(&self) -> bool {
        matches!(self, Self::Option(_))
    }

    /// JSON Schema 2020-12.
    pub(super) fn schema(&self, direction: Direction) -> Value {
        let of = |shape: &Shape| shape.schema(direction);
        match self {
            Self::Bool => json!({"type": "boolean"}),
            Self::S8 => integer(i8::MIN, i8::MAX),
            Self::U8 => integer(u8::MIN, u8::MAX),
            Self::S16 => integer(i16::MIN, i16::MAX),
            Self::U16 => integer(u16::MIN, u16::MAX),
            Self::S32 => integer(i32::MIN, i32::MAX),
            Self::U32 => integer(u32::MIN, u32::MAX),
            Self::S64 => integer(i64::MIN, i64::MAX),
            Self::U64 => integer(u64::MIN, u64::MAX),
            Self::F32 | Self::F64 if direction == Direction::Out => {
                json!({"anyOf": [{"type": "number"}, {"enum": NOT_FINITE}]})
            }
            Self::F32 => json!({"type": "number", "minimum": f64::from(f32::MIN), "maximum": f64::from(f32::MAX)}),
            Self::F64 => json!({"type": "number"}),
            Self::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            Self::String => json!({"type": "string"}),
            Self::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Self::List(item) => json!({"type": "array", "items": of(item)}),
            Self::Tuple(parts) => {
                let parts: Vec<Value> = parts.iter().map(of).collect();
                json!({"type": "array", "minItems": parts.len(), "prefixItems": parts, "items": false})
            }
            Self::Record(fields) => {
                let is_required = |field: &&Field| direction == Direction::Out || !field.shape.is_nullable();
                let required: Vec<&str> = fields.iter().filter(is_required).map(|field| field.name.as_str()).collect();
                let properties = fields.iter().map(|field| (field.name.clone(), of(&field.shape)));
                object(properties.collect(), &required)
            }
            Self::Variant(cases) => {
                let bare: Vec<&str> =
                    cases.list.iter().filter(|(_, payload)| payload.is_none()).map(|(name, _)| name.as_str()).collect();
                let mut any = Vec::new();
                if !bare.is_empty() {
                    any.push(words(&bare));
                }
                any.extend(cases.list.iter().filter_map(|(name, payload)| Some(tagged(name, of(payload.as_ref()?)))));
                either(any)
            }
            Self::Enum(cases) => words(&cases.names().collect::<Vec<_>>()),
            Self::Flags(cases) => {
                json!({"type": "array", "items": words(&cases.names().collect::<Vec<_>>()), "uniqueItems": true,
                    "maxItems": cases.list.len()})
            }
            Self::Option(some) if some.is_nullable() => either(vec![json!({"type": "null"}), tagged("some", of(some))]),
            Self::Option(some) => nullable(of(some)),
            Self::Result(ok, error) => {
                let payload = |shape: &Option<Box<Shape>>| {
                    shape.as_ref().map_or_else(|| json!({"type": "null"}), |shape| of(shape))
                };
                either(vec![tagged("ok", payload(ok)), tagged("error", payload(error))])
            }
        }
    }
}

/// How results that no JSON number can be are written.
pub(super) const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

fn integer(least: impl Into<Value>, most: impl Into<Value>) -> Value {
    json!({"type": "integer", "minimum": least.into(), "maximum": most.into()})
}

fn words(names: &[&str]) -> Value {
    json!({"type": "string", "enum": names})
}

fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An object of one property.
fn tagged(name: &str, inner: Value) -> Value {
    object(Map::from_iter([(name.to_owned(), inner)]), &[name])
}

fn either(mut any: Vec<Value>) -> Value {
    match any.pop() {
        Some(only) if any.is_empty() => only,
        last => {
            any.extend(last);
            json!({"anyOf": any})
        }
    }
}

/// The same or null, in the short form where there is one: programs make better forms of it.
fn nullable(mut schema: Value) -> Value {
    match schema.get_mut("type") {
        Some(ty @ Value::String(_)) if schema_is_short(ty) => {
            let was = ty.take();
            *ty = json!([was, "null"]);
            if let Some(Value::Array(words)) = schema.get_mut("enum") {
                words.push(Value::Null);
            }
            schema
        }
        _ => either(vec![schema, json!({"type": "null"})]),
    }
}

fn schema_is_short(ty: &Value) -> bool {
    ["boolean", "integer", "number", "string"].iter().any(|word| ty == word)
}

fn field(name: &str, ty: &Type, meter: &mut Meter, depth: usize) -> Result<Field, String> {
    charge(meter, name)?;
    Ok(Field { name: name.to_owned(), shape: shape(ty, meter, depth)? })
}

fn charge(meter: &mut Meter, name: &str) -> Result<(), String> {
    // In the schema a name stands in two places, and in quotes.
    meter.charge(2 * name.len() + 6).map_err(|spent| too_large(spent.limit))
}

fn too_large(limit: usize) -> String {
    format!("has types that would make a schema larger than {} KiB", limit >> 10)
}

fn shape(ty: &Type, meter: &mut Meter, depth: usize) -> Result<Shape, String> {
    if depth >= DEPTH {
        return Err(format!("has types that are nested deeper than {DEPTH} levels"));
    }
    meter.charge(TYPE_BYTES).map_err(|spent| too_large(spent.limit))?;
    let inner = |ty: &Type, meter: &mut Meter| shape(ty, meter, depth + 1);
    let cannot = |what: &str| Err(format!("uses {what}, which JSON cannot hold"));
    Ok(match ty {
        Type::Bool => Shape::Bool,
        Type::S8 => Shape::S8,
        Type::U8 => Shape::U8,
        Type::S16 => Shape::S16,
        Type::U16 => Shape::U16,
        Type::S32 => Shape::S32,
        Type::U32 => Shape::U32,
        Type::S64 => Shape::S64,
        Type::U64 => Shape::U64,
        Type::Float32 => Shape::F32,
        Type::Float64 => Shape::F64,
        Type::Char => Shape::Char,
        Type::String => Shape::String,
        Type::List(list) => match inner(&list.ty(), meter)? {
            Shape::U8 => Shape::Bytes,
            item => Shape::List(Box::new(item)),
        },
        Type::Tuple(tuple) => Shape::Tuple(tuple.types().map(|ty| inner(&ty, meter)).collect::<Result<_, _>>()?),
        Type::Record(record) => {
            let field = |one: wasmtime::component::types::Field<'_>| field(one.name, &one.ty, meter, depth + 1);
            Shape::Record(record.fields().map(field).collect::<Result<_, _>>()?)
        }
        Type::Variant(variant) => {
            let mut cases = Vec::new();
            for case in variant.cases() {
                charge(meter, case.name)?;
                let payload = case.ty.map(|ty| inner(&ty, meter)).transpose()?;
                cases.push((case.name.to_owned(), payload));
            }
            Shape::Variant(Cases::new(cases))
        }
        Type::Enum(names) => Shape::Enum(cases(names.names(), meter)?),
        Type::Flags(names) => Shape::Flags(cases(names.names(), meter)?),
        Type::Option(option) => Shape::Option(Box::new(inner(&option.ty(), meter)?)),
        Type::Result(result) => {
            let mut part = |ty: Option<Type>| ty.map(|ty| inner(&ty, meter).map(Box::new)).transpose();
            Shape::Result(part(result.ok())?, part(result.err())?)
        }
        Type::Own(_) | Type::Borrow(_) => return cannot("a resource"),
        Type::Future(_) => return cannot("a future"),
        Type::Stream(_) => return cannot("a stream"),
        Type::ErrorContext => return cannot("an error context"),
        // Both are proposals that are off (`engine/config.rs`), so no component that gets here has one.
        Type::Map(_) | Type::FixedLengthList(_) => return Err("uses a proposal that this host has switched off".into()),
    })
}

fn cases<'a>(names: impl Iterator<Item = &'a str>, meter: &mut Meter) -> Result<Cases<()>, String> {
    let mut list = Vec::new();
    for name in names {
        charge(meter, name)?;
        list.push((name.to_owned(), ()));
    }
    Ok(Cases::new(list))
}

/// As in WIT, but written out where WIT would give a name.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Bool => "bool",
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            Self::Bytes => "list<u8>",
            Self::List(item) => return write!(f, "list<{item}>"),
            Self::Option(some) => return write!(f, "option<{some}>"),
            Self::Tuple(parts) => return write!(f, "tuple<{}>", joined(parts.iter())),
            Self::Record(fields) => {
                let fields = fields.iter().map(|field| format!("{}: {}", field.name, field.shape));
                return write!(f, "record {{ {} }}", joined(fields));
            }
            Self::Variant(cases) => {
                let cases = cases.list.iter().map(|(name, payload)| match payload {
                    Some(payload) => format!("{name}({payload})"),
                    None => name.clone(),
                });
                return write!(f, "variant {{ {} }}", joined(cases));
            }
            Self::Enum(cases) => return write!(f, "enum {{ {} }}", joined(cases.names())),
            Self::Flags(cases) => return write!(f, "flags {{ {} }}", joined(cases.names())),
            Self::Result(ok, error) => return f.write_str(&result(ok.as_deref(), error.as_deref())),
        };
        f.write_str(word)
    }
}

/// A `result` as in WIT.
pub(super) fn result(ok: Option<&Shape>, error: Option<&Shape>) -> String {
    match (ok, error) {
        (None, None) => "result".into(),
        (Some(ok), None) => format!("result<{ok}>"),
        (None, Some(error)) => format!("result<_, {error}>"),
        (Some(ok), Some(error)) => format!("result<{ok}, {error}>"),
    }
}

fn joined(parts: impl Iterator<Item = impl fmt::Display>) -> String {
    parts.map(|part| part.to_string()).collect::<Vec<_>>().join(", ")
}
