//! Values between JSON and the component model, by prepared shapes. Both directions take a value apart and move its texts.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};
use wasmtime::component::Val;

use super::meter::{Meter, Spent};
use super::shape::{Cases, NOT_FINITE, Shape};
use crate::schema::shorten;

/// A place of the input that is not of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Steps of a JSON Pointer, the innermost first.
    steps: Vec<String>,
    problem: String,
    /// How many bytes of values there may be, where there were more.
    pub(crate) beyond: Option<usize>,
}

impl Misfit {
    fn new(problem: impl Into<String>) -> Self {
        Self { steps: Vec::new(), problem: problem.into(), beyond: None }
    }

    fn within(mut self, step: impl ToString) -> Self {
        self.steps.push(step.to_string());
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: String =
            self.steps.iter().rev().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect();
        let path = if path.is_empty() { "/".into() } else { shorten(&path, 300) };
        write!(f, "{path}: {}", self.problem)
    }
}

impl From<Spent> for Misfit {
    fn from(spent: Spent) -> Self {
        Self { beyond: Some(spent.limit), ..Self::new("is more than fits into one call") }
    }
}

/// What a value is held in, whatever it is.
pub(super) const VAL: usize = size_of::<Val>();

/// The value of `shape` that JSON means. `meter` counts the values that it takes: `{}` may stand for thousands of fields, and a text of
/// base64 for as many values as it has bytes. Texts are moved, so that they count for nothing.
pub(super) fn lower(shape: &Shape, value: Value, meter: &mut Meter) -> Result<Val, Misfit> {
    meter.charge(VAL)?;
    Ok(match shape {
        Shape::Bool => Val::Bool(value.as_bool().ok_or_else(|| wrong(&value, "true or false"))?),
        Shape::S8 => Val::S8(whole(&value)?),
        Shape::U8 => Val::U8(whole(&value)?),
        Shape::S16 => Val::S16(whole(&value)?),
        Shape::U16 => Val::U16(whole(&value)?),
        Shape::S32 => Val::S32(whole(&value)?),
        Shape::U32 => Val::U32(whole(&value)?),
        Shape::S64 => Val::S64(whole(&value)?),
        Shape::U64 => Val::U64(whole(&value)?),
        Shape::F64 => Val::Float64(value.as_f64().ok_or_else(|| wrong(&value, "a number"))?),
        Shape::F32 => {
            let number = value.as_f64().ok_or_else(|| wrong(&value, "a number"))?;
            if number.abs() > f64::from(f32::MAX) {
                return Err(wrong(&value, "a number of 32 bits"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "an f32 is the nearest one")]
            let nearest = number as f32;
            Val::Float32(nearest)
        }
        Shape::Char => {
            let mut chars = value.as_str().unwrap_or_default().chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => Val::Char(only),
                _ => return Err(wrong(&value, "a text of one character")),
            }
        }
        Shape::String => match value {
            Value::String(text) => Val::String(text),
            other => return Err(wrong(&other, "a text")),
        },
        Shape::Bytes => {
            let Value::String(text) = value else { return Err(wrong(&value, "a text of base64")) };
            meter.charge((text.len() / 4).saturating_mul(3 * VAL))?;
            let bytes = STANDARD.decode(text).map_err(|error| Misfit::new(format!("is no base64: {error}")))?;
            Val::List(bytes.into_iter().map(Val::U8).collect())
        }
        Shape::List(item) => {
            let items = array(value)?.into_iter().enumerate();
            let one = |(at, value)| lower(item, value, meter).map_err(|misfit| misfit.within(at));
            Val::List(items.map(one).collect::<Result<_, _>>()?)
        }
        Shape::Tuple(parts) => {
            let items = array(value)?;
            if items.len() != parts.len() {
                return Err(Misfit::new(format!("has {} items, and there are {}", items.len(), parts.len())));
            }
            let mut values = Vec::with_capacity(parts.len());
            for (at, (value, part)) in items.into_iter().zip(parts).enumerate() {
                values.push(lower(part, value, meter).map_err(|misfit| misfit.within(at))?);
            }
            Val::Tuple(values)
        }
        Shape::Record(fields) => {
            let mut given = object(value)?;
            let mut values = Vec::with_capacity(fields.len().min(given.len()));
            for field in fields {
                meter.charge(size_of::<String>() + field.name.len())?;
                let value = match given.remove(&field.name) {
                    Some(value) => lower(&field.shape, value, meter).map_err(|misfit| misfit.within(&field.name))?,
                    None if field.shape.is_nullable() => {
                        meter.charge(VAL)?;
                        Val::Option(None)
                    }
                    None => return Err(Misfit::new(format!("lacks `{}`", shorten(&field.name, 60)))),
                };
                values.push((field.name.clone(), value));
            }
            if let Some(unknown) = given.keys().next() {
                return Err(Misfit::new(format!("has `{}`, which nobody knows", shorten(unknown, 60))));
            }
            Val::Record(values)
        }
        Shape::Variant(cases) => {
            let (name, payload) = match value {
                Value::String(name) => (name, None),
                other => tag(other).map(|(name, payload)| (name, Some(payload)))?,
            };
            meter.charge(name.len())?;
            match (cases.get(&name), payload) {
                (Some(None), None) => Val::Variant(name, None),
                (Some(Some(shape)), Some(payload)) => {
                    let payload = lower(shape, payload, meter).map_err(|misfit| misfit.within(&name))?;
                    Val::Variant(name, Some(Box::new(payload)))
                }
                (Some(None), Some(_)) => return Err(Misfit::new(format!("is the case `{name}`, which has no value"))),
                (Some(Some(_)), None) => {
                    return Err(Misfit::new(format!("is the case `{name}` without its value: {{\"{name}\": ...}}")));
                }
                (None, _) => return Err(unknown(&name, cases)),
            }
        }
        Shape::Enum(cases) => match value {
            Value::String(name) if cases.place(&name).is_some() => {
                meter.charge(name.len())?;
                Val::Enum(name)
            }
            Value::String(name) => return Err(unknown(&name, cases)),
            other => return Err(wrong(&other, "a text")),
        },
        Shape::Flags(cases) => {
            let mut is_set = vec![false; cases.list.len()];
            let mut names = Vec::new();
            for (at, value) in array(value)?.into_iter().enumerate() {
                let Value::String(name) = value else { return Err(wrong(&value, "a text").within(at)) };
                match cases.place(&name).and_then(|place| is_set.get_mut(place)) {
                    None => return Err(unknown(&name, cases).within(at)),
                    Some(true) => return Err(Misfit::new(format!("`{name}` is there already")).within(at)),
                    Some(set) => *set = true,
                }
                meter.charge(size_of::<String>() + name.len())?;
                names.push(name);
            }
            Val::Flags(names)
        }
        Shape::Option(_) if value.is_null() => Val::Option(None),
        Shape::Option(some) if some.is_nullable() => match tag(value)? {
            (name, value) if name == "some" => {
                let value = lower(some, value, meter).map_err(|misfit| misfit.within("some"))?;
                Val::Option(Some(Box::new(value)))
            }
            (name, _) => return Err(Misfit::new(format!("has `{}` instead of `some`", shorten(&name, 60)))),
        },
        Shape::Option(some) => Val::Option(Some(Box::new(lower(some, value, meter)?))),
        Shape::Result(ok, error) => {
            let (name, value) = tag(value)?;
            let mut payload = |shape: &Option<Box<Shape>>, value: Value| match shape {
                Some(shape) => lower(shape, value, meter).map(|value| Some(Box::new(value))),
                None if value.is_null() => Ok(None),
                None => Err(wrong(&value, "null")),
            };
            match name.as_str() {
                "ok" => Val::Result(Ok(payload(ok, value).map_err(|misfit| misfit.within("ok"))?)),
                "error" => Val::Result(Err(payload(error, value).map_err(|misfit| misfit.within("error"))?)),
                _ => return Err(Misfit::new(format!("has `{}` instead of `ok` or `error`", shorten(&name, 60)))),
            }
        }
    })
}

/// The JSON of a value. None where the value is not of the shape, which wasmtime sees to.
pub(super) fn lift(shape: &Shape, val: Val) -> Option<Value> {
    Some(match (shape, val) {
        (Shape::Bool, Val::Bool(value)) => value.into(),
        (Shape::S8, Val::S8(value)) => value.into(),
        (Shape::U8, Val::U8(value)) => value.into(),
        (Shape::S16, Val::S16(value)) => value.into(),
        (Shape::U16, Val::U16(value)) => value.into(),
        (Shape::S32, Val::S32(value)) => value.into(),
        (Shape::U32, Val::U32(value)) => value.into(),
        (Shape::S64, Val::S64(value)) => value.into(),
        (Shape::U64, Val::U64(value)) => value.into(),
        (Shape::F32, Val::Float32(value)) => number(shortest(value)),
        (Shape::F64, Val::Float64(value)) => number(value),
        (Shape::Char, Val::Char(value)) => value.to_string().into(),
        (Shape::String, Val::String(text)) => text.into(),
        (Shape::Bytes, Val::List(items)) => {
            let byte = |item: Val| if let Val::U8(byte) = item { Some(byte) } else { None };
            STANDARD.encode(items.into_iter().map(byte).collect::<Option<Vec<u8>>>()?).into()
        }
        (Shape::List(item), Val::List(items)) => {
            Value::Array(items.into_iter().map(|value| lift(item, value)).collect::<Option<_>>()?)
        }
        (Shape::Tuple(parts), Val::Tuple(items)) if items.len() == parts.len() => {
            Value::Array(items.into_iter().zip(parts).map(|(value, part)| lift(part, value)).collect::<Option<_>>()?)
        }
        (Shape::Record(fields), Val::Record(values)) if values.len() == fields.len() => {
            let one = |((name, value), field): ((String, Val), &super::shape::Field)| {
                Some((name, lift(&field.shape, value)?))
            };
            Value::Object(values.into_iter().zip(fields).map(one).collect::<Option<_>>()?)
        }
        (Shape::Variant(cases), Val::Variant(name, payload)) => match (cases.get(&name)?, payload) {
            (None, None) => name.into(),
            (Some(shape), Some(payload)) => {
                let payload = lift(shape, *payload)?;
                tagged(name, payload)
            }
            _ => return None,
        },
        (Shape::Enum(_), Val::Enum(name)) => name.into(),
        (Shape::Flags(_), Val::Flags(names)) => names.into(),
        (Shape::Option(_), Val::Option(None)) => Value::Null,
        (Shape::Option(some), Val::Option(Some(value))) => {
            let value = lift(some, *value)?;
            if some.is_nullable() { tagged("some".into(), value) } else { value }
        }
        (Shape::Result(ok, error), Val::Result(value)) => {
            let (name, shape, value) = match value {
                Ok(value) => ("ok", ok, value),
                Err(value) => ("error", error, value),
            };
            let payload = match (shape, value) {
                (None, None) => Value::Null,
                (Some(shape), Some(value)) => lift(shape, *value)?,
                _ => return None,
            };
            tagged(name.into(), payload)
        }
        _ => return None,
    })
}

fn tagged(name: String, payload: Value) -> Value {
    Value::Object(Map::from_iter([(name, payload)]))
}

fn number(value: f64) -> Value {
    let [nan, infinity, minus] = NOT_FINITE;
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => nan.into(),
        None if value > 0.0 => infinity.into(),
        None => minus.into(),
    }
}

/// 0.1 rather than 0.10000000149011612: the double with the fewest digits that is this number in 32 bits.
fn shortest(value: f32) -> f64 {
    let short: f64 = value.to_string().parse().unwrap_or_else(|_| f64::from(value));
    #[expect(clippy::cast_possible_truncation, reason = "whether it comes back is what is asked")]
    let back = short as f32;
    if back.to_bits() == value.to_bits() { short } else { f64::from(value) }
}

/// A whole number, also where it is written `1.0`, as JSON Schema has it.
fn whole<T: TryFrom<i128> + Bounded>(value: &Value) -> Result<T, Misfit> {
    let Value::Number(number) = value else { return Err(wrong(value, T::WORDS)) };
    let exact = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
    let exact = exact.or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and what is too large is so as i128 as well")]
        number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128)
    });
    exact.and_then(|number| T::try_from(number).ok()).ok_or_else(|| wrong(value, T::WORDS))
}

/// Integers, with the words for what is wanted.
trait Bounded {
    const WORDS: &'static str;
}

macro_rules! bounded {
    ($($ty:ty: $words:literal,)*) => { $(impl Bounded for $ty { const WORDS: &'static str = $words; })* };
}

bounded! {
    i8: "an integer from -128 to 127",
    u8: "an integer from 0 to 255",
    i16: "an integer from -32768 to 32767",
    u16: "an integer from 0 to 65535",
    i32: "an integer from -2147483648 to 2147483647",
    u32: "an integer from 0 to 4294967295",
    i64: "an integer of 64 bits",
    u64: "an integer from 0, of 64 bits",
}

fn array(value: Value) -> Result<Vec<Value>, Misfit> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong(&other, "an array")),
    }
}

fn object(value: Value) -> Result<Map<String, Value>, Misfit> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(wrong(&other, "an object")),
    }
}

/// The only property of an object.
fn tag(value: Value) -> Result<(String, Value), Misfit> {
    let mut map = object(value)?.into_iter();
    match (map.next(), map.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Misfit::new("is no object of one property")),
    }
}

fn wrong(value: &Value, wanted: &str) -> Misfit {
    let found = match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        other => shorten(&other.to_string(), 60),
    };
    Misfit::new(format!("{found} is not {wanted}"))
}

fn unknown<T>(name: &str, cases: &Cases<T>) -> Misfit {
    let known: Vec<&str> = cases.list.iter().take(12).map(|(name, _)| name.as_str()).collect();
    let more = if cases.list.len() > known.len() { ", ..." } else { "" };
    Misfit::new(shorten(&format!("\"{}\" is not one of {}{more}", shorten(name, 60), known.join(", ")), 400))
}
