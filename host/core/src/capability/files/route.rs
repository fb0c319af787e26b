//! Paths as guests give them, taken apart before the system sees any of it.

use super::bindings::wasi::filesystem::types::ErrorCode;

/// Most bytes of a name and of a path, and most names of a path from the granted folder on.
const NAME_BYTES: usize = 255;
const PATH_BYTES: usize = 4096;
pub(super) const DEPTH: usize = 100;

/// A path below a granted folder: plain names and nothing else. What the system gets is put together from these, so that it
/// holds no `..`, no empty name, no leading and no trailing slash: systems read each of those in ways of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    parts: Vec<String>,
    /// It ended with a slash or a dot: only a folder is meant.
    pub(super) folder_only: bool,
}

impl Route {
    /// Reads `path` as given to a folder that is itself at `base`.
    pub(super) fn below(base: &Self, path: &str) -> Result<Self, ErrorCode> {
        if path.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        if path.len() > PATH_BYTES {
            return Err(ErrorCode::NameTooLong);
        }
        if path.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        let mut parts = base.parts.clone();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(ErrorCode::NotPermitted),
                _ if part.len() > NAME_BYTES => return Err(ErrorCode::NameTooLong),
                _ if !is_plain(part) => return Err(ErrorCode::Invalid),
                _ => parts.push(part.to_owned()),
            }
        }
        if parts.len() > DEPTH {
            return Err(ErrorCode::NameTooLong);
        }
        let folder_only = path.ends_with('/') || path == "." || path.ends_with("/.");
        Ok(Self { parts, folder_only })
    }

    /// The same, whether it is a folder or not.
    pub(super) fn any_kind(&self) -> Self {
        Self { folder_only: false, ..self.clone() }
    }

    /// From the granted folder on: `a/b`. Empty for the folder itself.
    pub(super) fn text(&self) -> String {
        self.parts.join("/")
    }

    pub(super) fn depth(&self) -> usize {
        self.parts.len()
    }

    /// As the system takes it, relative to the granted folder.
    pub(super) fn system(&self) -> String {
        if self.parts.is_empty() { ".".into() } else { self.text() }
    }

    /// The folder that it is in, as the system takes it, and its own name. None for the granted folder itself.
    pub(super) fn split(&self) -> Option<(String, &str)> {
        let (name, above) = self.parts.split_last()?;
        Some((if above.is_empty() { ".".into() } else { above.join("/") }, name))
    }
}

/// Whether a name is one that guests see and use. A backslash separates on other systems; what moves a cursor has no place in
/// a name.
pub(super) fn is_plain(name: &str) -> bool {
    !name.contains(|c: char| c == '\\' || c == '/' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Result<String, ErrorCode> {
        Route::below(&Route::default(), path).map(|route| route.text())
    }

    #[test]
    fn t51_paths_are_plain_names_or_refused() {
        for (path, code) in [
            ("../x", ErrorCode::NotPermitted),
            ("/etc/passwd", ErrorCode::NotPermitted),
            ("//etc/passwd", ErrorCode::NotPermitted),
            ("/", ErrorCode::NotPermitted),
            ("a/../../x", ErrorCode::NotPermitted),
            ("a/../x", ErrorCode::NotPermitted),
            ("..", ErrorCode::NotPermitted),
            ("a/..", ErrorCode::NotPermitted),
            ("", ErrorCode::NoEntry),
            ("a\0b", ErrorCode::Invalid),
            ("a\nb", ErrorCode::Invalid),
            ("a\\..\\b", ErrorCode::Invalid),
            ("C:\\x", ErrorCode::Invalid),
            ("\\\\?\\C:", ErrorCode::Invalid),
            (&"x".repeat(5000), ErrorCode::NameTooLong),
            (&"x".repeat(256), ErrorCode::NameTooLong),
            (&"x/".repeat(101), ErrorCode::NameTooLong),
        ] {
            assert_eq!(read(path), Err(code), "{path:?}");
        }
        // Names that mean more on other systems only are names here. They lie inside like any other.
        for path in ["CON", "a:ads", "C:", "...", "a b", "ä", &"x".repeat(255)] {
            assert_eq!(read(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn what_means_nothing_is_left_out() {
        for (path, text, folder_only) in [
            ("a/b", "a/b", false),
            ("./a//b", "a/b", false),
            ("a/", "a", true),
            ("a/.", "a", true),
            (".", "", true),
            ("./", "", true),
        ] {
            let route = Route::below(&Route::default(), path).unwrap();
            assert_eq!((route.text().as_str(), route.folder_only), (text, folder_only), "{path}");
        }
        let base = Route::below(&Route::default(), "a").unwrap();
        let below = Route::below(&base, "b/c").unwrap();
        assert_eq!((below.text().as_str(), below.split()), ("a/b/c", Some(("a/b".into(), "c"))));
        assert_eq!(Route::default().split(), None);
        assert_eq!(Route::default().system(), ".");
        let deep = Route::below(&Route::default(), &"x/".repeat(100)).unwrap();
        assert_eq!(Route::below(&deep, "y"), Err(ErrorCode::NameTooLong), "a handle of a deep folder leads no deeper");
    }
}
