//! The ask of `files`: the only policy code of the capability.

use super::grant::{Grant, Mode};
use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::policy::Grants;
use crate::policy::taint::Touch;

/// What is done to a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reading a file, or the names in a folder.
    Read,
    /// Reading and changing a file.
    Change,
    /// Making or changing, without reading.
    Write,
    Remove,
    Rename,
    /// Making a link. Never allowed: a link made inside would be followed by whoever uses the folder from outside.
    Link,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Change => "change",
            Self::Write => "write",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Link => "link",
        }
    }

    fn writes(self) -> bool {
        self != Self::Read
    }
}

/// "Do this to that file."
#[derive(Clone, Debug)]
pub struct Act {
    pub verb: Verb,
    /// The folder as the guest knows it.
    pub folder: String,
    /// The path below it, in plain parts; empty for the folder itself.
    pub path: String,
}

impl Act {
    fn name(&self) -> String {
        if self.path.is_empty() { self.folder.clone() } else { format!("{}/{}", self.folder, self.path) }
    }
}

impl Ask for Act {
    const CAPABILITY: &'static str = "files";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.files
    }

    fn subject(&self) -> String {
        format!("files {} {}", self.verb.word(), self.name())
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        let no = |reason: &str, hint: String| Verdict::No { reason: reason.into(), hint };
        let folder = grant.as_ref().and_then(|grant| grant.folders.get(&self.folder));
        let Some(folder) = folder else {
            let hint = format!("run `ringfence grant {{skill}} files={}:FOLDER` to allow it", self.folder);
            return no("the operator has not granted it this folder", hint);
        };
        if self.verb == Verb::Link {
            return no("links are never made from inside of a skill", "let the skill copy the file".into());
        }
        if self.verb.writes() && folder.mode == Mode::Read {
            let hint = format!(
                "run `ringfence grant {{skill}} files={}:{}:write` where its manifest requests that",
                self.folder, folder.path
            );
            return no("the folder is granted for reading only", hint);
        }
        Verdict::Yes
    }

    /// Files cost no tokens and no money.
    fn estimate(&self) -> Amount {
        Amount::default()
    }

    fn leaves(&self) -> bool {
        self.verb.writes()
    }

    fn touches(&self) -> Touch {
        match self.verb {
            Verb::Read | Verb::Change => Touch::PRIVATE,
            _ => Touch::NOTHING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Grantable as _;

    #[test]
    fn what_may_be_done_where() {
        let grant = Some(Grant::parse(Some("docs:/d,out:/o:write")).unwrap());
        let ask = |verb, folder: &str| Act { verb, folder: folder.into(), path: "a/b".into() };
        let verbs = [Verb::Read, Verb::Change, Verb::Write, Verb::Remove, Verb::Rename, Verb::Link];
        let may = |folder: &str| verbs.map(|verb| ask(verb, folder).allowed(&grant) == Verdict::Yes);
        assert_eq!(may("docs"), [true, false, false, false, false, false]);
        assert_eq!(may("out"), [true, true, true, true, true, false]);
        assert_eq!(may("other"), [false; 6]);
        assert!(verbs.iter().all(|verb| ask(*verb, "docs").allowed(&None) != Verdict::Yes));
    }

    #[test]
    fn what_is_recorded_and_remembered() {
        let ask = |verb| Act { verb, folder: "docs".into(), path: "a.txt".into() };
        assert_eq!(ask(Verb::Read).subject(), "files read docs/a.txt");
        assert_eq!(Act { path: String::new(), ..ask(Verb::Read) }.subject(), "files read docs");
        assert!(!ask(Verb::Read).leaves() && ask(Verb::Write).leaves() && ask(Verb::Remove).leaves());
        assert_eq!((ask(Verb::Read).touches(), ask(Verb::Change).touches()), (Touch::PRIVATE, Touch::PRIVATE));
        assert_eq!(ask(Verb::Write).touches(), Touch::NOTHING);
    }
}
