//! From names of functions to names of tools.

use std::collections::HashMap;
use std::fmt;

/// Where a function is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `namespace:package/interface@version`, or a plain name; None for the component itself.
    pub(super) interface: Option<String>,
    pub(super) function: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{interface}#{}", self.function),
            None => f.write_str(&self.function),
        }
    }
}

/// How much of the interface's name can be put in front: nothing, the interface, its package as well, its version as well.
const LONGEST: usize = 3;

impl Place {
    /// The interface's own name, without package and version.
    pub(super) fn interface_name(&self) -> Option<&str> {
        let path = self.interface.as_deref()?;
        let path = path.split_once('@').map_or(path, |(path, _)| path);
        Some(path.rsplit_once('/').map_or(path, |(_, name)| name))
    }

    fn name(&self, length: usize) -> String {
        let path = self.interface.as_deref().unwrap_or_default();
        let (path, version) = path.split_once('@').unwrap_or((path, ""));
        let front = match length {
            0 => "",
            1 => self.interface_name().unwrap_or_default(),
            _ => path,
        };
        let version = if length >= LONGEST { version } else { "" };
        let parts = [front, version, self.function.as_str()];
        snake(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_"))
    }

    fn longest(&self) -> usize {
        if self.interface.is_some() { LONGEST } else { 0 }
    }
}

/// What stands between the words of a name becomes `_`; everything else that a tool's name cannot hold stays, and is refused.
fn snake(name: &str) -> String {
    let one = |c: char| if "-:/.+".contains(c) { '_' } else { c.to_ascii_lowercase() };
    name.chars().map(one).collect()
}

/// The tools' names, in the order of `places`: the function's name, and as much of its interface's in front as it takes to tell it
/// from the others. Says why where that is not enough.
pub(super) fn tools(places: &[&Place]) -> Vec<Result<String, String>> {
    let mut lengths = vec![0; places.len()];
    let names = |lengths: &[usize]| -> Vec<String> {
        places.iter().zip(lengths).map(|(place, length)| place.name(*length)).collect()
    };
    loop {
        let now = names(&lengths);
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for name in &now {
            *seen.entry(name).or_default() += 1;
        }
        let mut grown = false;
        for ((place, length), name) in places.iter().zip(&mut lengths).zip(&now) {
            if seen.get(name.as_str()).is_some_and(|count| *count > 1) && *length < place.longest() {
                *length += 1;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    let mut taken: HashMap<String, &Place> = HashMap::new();
    let mut out = Vec::with_capacity(places.len());
    for (place, name) in places.iter().zip(names(&lengths)) {
        out.push(match taken.get(&name) {
            Some(other) => Err(format!("would be a tool `{name}`, as `{other}` is")),
            None => {
                taken.insert(name.clone(), place);
                Ok(name)
            }
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<Result<String, String>> {
        let places: Vec<Place> = names
            .iter()
            .map(|name| match name.split_once('#') {
                Some((interface, function)) => Place { interface: Some(interface.into()), function: function.into() },
                None => Place { interface: None, function: (*name).into() },
            })
            .collect();
        tools(&places.iter().collect::<Vec<_>>())
    }

    fn named(names: &[&str]) -> Vec<String> {
        of(names).into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn a_tool_is_named_after_its_function() {
        assert_eq!(named(&["add", "a:b/c@1.0.0#word-count", "get-URL"]), ["add", "word_count", "get_url"]);
    }

    #[test]
    fn only_what_collides_is_longer() {
        assert_eq!(named(&["run", "a:b/c#run", "a:b/d#stop"]), ["run", "c_run", "stop"]);
        assert_eq!(named(&["a:b/c#run", "a:b/d#run"]), ["c_run", "d_run"]);
        assert_eq!(named(&["a:b/c#run", "a:e/c#run"]), ["a_b_c_run", "a_e_c_run"]);
        assert_eq!(
            named(&["a:b/c@1.0.0#run", "a:b/c@2.0.0-rc.1+x#run"]),
            ["a_b_c_1_0_0_run", "a_b_c_2_0_0_rc_1_x_run"]
        );
        // A longer name may be another function's.
        assert_eq!(named(&["c-run", "a:b/c#run", "a:b/d#run"]), ["c_run", "a_b_c_run", "d_run"]);
    }

    #[test]
    fn what_cannot_be_told_apart_is_left_out_by_name() {
        let names = of(&["a-b", "a_b", "x:y/z#f"]);
        assert_eq!(names[0], Ok("a_b".into()));
        assert!(names[1].as_ref().unwrap_err().contains("as `a-b` is"), "{names:?}");
        assert_eq!(names[2], Ok("f".into()));
    }
}
