//! Names that are easily taken for each other.

/// The names among `known` that `name` could be mistaken for, itself left out. Names are lower case letters, digits and hyphens, so
/// there are no look-alikes of other scripts.
#[must_use]
pub fn alike<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> =
        known.into_iter().filter(|other| *other != name && is_alike(name, other)).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

fn is_alike(name: &str, other: &str) -> bool {
    let bare = |name: &str| name.replace('-', "");
    // What looks the same in many fonts.
    let drawn = |name: &str| {
        bare(name).replace("rn", "m").replace("vv", "w").replace(['0', 'o'], "o").replace(['1', 'l', 'i'], "l")
    };
    let words = |name: &str| {
        let mut words: Vec<String> = name.split('-').map(str::to_owned).collect();
        words.sort();
        words
    };
    let shorter = name.len().min(other.len());
    // A short name is near to many others by chance.
    let most = match shorter {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    drawn(name) == drawn(other) || words(name) == words(other) || strsim::osa_distance(name, other) <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t108_what_is_near_and_what_is_not() {
        for (name, other) in [
            ("githb", "github"),
            ("gihtub", "github"),
            ("git-hub", "github"),
            ("summarise", "summarize"),
            ("surnmarize", "summarize"),
            ("p0stgres", "postgres"),
            ("pdf-reader", "reader-pdf"),
            ("web-1ist", "web-list"),
        ] {
            assert_eq!(alike(name, [other]), [other], "{name}");
            assert_eq!(alike(other, [name]), [name], "{other}");
        }
        for (name, other) in [
            ("a", "b"),
            ("sql", "xml"),
            ("cat", "car"),
            ("writer", "reader"),
            ("github", "gitlab"),
            ("sheet", "summarize"),
        ] {
            assert!(alike(name, [other]).is_empty(), "{name} and {other}");
        }
        assert!(alike("same", ["same"]).is_empty());
    }
}
