//! A component that knows nothing of skills: it has functions with types, and imports what it wants of the host's.

wit_bindgen::generate!({ path: ["../../../wit", "wit"], world: "probe:plain/plain", generate_all });

use exports::probe::plain::shapes::{self, Drawn, Marks, Shape, Unit};
use ringfence::skill::{kv, log};

struct Plain;

impl shapes::Guest for Plain {
    fn measure(shape: Shape, unit: Unit, marks: Marks, note: Option<String>) -> Result<Drawn, String> {
        let area = match shape {
            Shape::Dot(_) => 0.0,
            Shape::Circle((_, radius)) if radius < 0.0 => {
                return Err(format!("a radius of {radius} is less than nothing"));
            }
            Shape::Circle((_, radius)) => std::f64::consts::PI * radius * radius,
            Shape::Polygon(points) => {
                let next = points.iter().cycle().skip(1);
                points.iter().zip(next).map(|(a, b)| a.x * b.y - b.x * a.y).sum::<f64>().abs() / 2.0
            }
        };
        Ok(Drawn { area, unit, marks, note })
    }
}

impl Guest for Plain {
    fn echo(text: String) -> String {
        text
    }

    fn greet(name: String) -> String {
        log::log(log::Level::Info, "greeting", &[("name".into(), name.clone())]);
        format!("Hello, {name}!")
    }

    fn keep(key: String, value: String) -> Result<Option<String>, String> {
        let before = kv::get(&key).map_err(|refusal| refusal.to_string())?;
        kv::set(&key, value.as_bytes(), kv::Condition::Always).map_err(|refusal| refusal.to_string())?;
        Ok(before.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()))
    }

    fn read_file(path: String) -> Result<String, String> {
        std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }

    fn bytes(data: Vec<u8>) -> Vec<u8> {
        data
    }

    fn crash() {
        panic!("as it was told");
    }
}

export!(Plain);
