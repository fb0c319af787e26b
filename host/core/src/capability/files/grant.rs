//! What a manifest requests of folders, and what an operator grants.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::optional::{Apart, is_false};
use crate::policy::{Facts, GrantError, Grantable, Missing, Wish};

/// What may be done in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Listing and reading.
    #[default]
    Read,
    /// Making, changing and removing as well.
    Write,
}

/// What an operator writes to let a skill into folders, by the name that the skill knows them by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    pub folders: BTreeMap<String, Folder>,
}

/// One granted folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Folder {
    /// Where it is on this machine: an absolute path.
    pub path: String,
    pub mode: Mode,
    /// The skill adds nothing while all files below the folder together are larger. Default 1 GiB.
    pub max_bytes: Option<u64>,
    /// The skill adds nothing while the folder holds more files and folders than this. Default 10,000.
    pub max_files: Option<u64>,
    /// It is a place that holds keys or the system's own files, and the operator has said that this is meant.
    pub i_know: bool,
}

/// `[permissions.files]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// By the name that the skill gives them: the folder `docs` is `/docs` to its code. The operator says which folder of the
    /// machine that is.
    pub folders: BTreeMap<String, Wanted>,
}

/// `[permissions.files.folders.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wanted {
    pub mode: Mode,
    /// The skill can do without this folder: where it is not granted it is not there.
    #[serde(skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Why, in one sentence for the person who decides.
    pub reason: String,
}

/// What stands in a hint where only the operator knows the folder. It is refused where it is read: nobody grants it by accident.
pub const SOME_FOLDER: &str = "FOLDER";

/// Most bytes of a folder's name.
const NAME_BYTES: usize = 64;

impl Folder {
    pub fn most_bytes(&self) -> u64 {
        self.max_bytes.unwrap_or(1 << 30)
    }

    pub fn most_files(&self) -> u64 {
        self.max_files.unwrap_or(10_000)
    }

    /// This folder as far as `other`, which is the same or holds it, allows.
    fn within(&self, other: &Self) -> Self {
        Self {
            path: self.path.clone(),
            mode: self.mode.min(other.mode),
            max_bytes: Some(self.most_bytes().min(other.most_bytes())),
            max_files: Some(self.most_files().min(other.most_files())),
            i_know: self.i_know && other.i_know,
        }
    }

    fn is_below(&self, other: &Self) -> bool {
        std::path::Path::new(&self.path).starts_with(&other.path)
    }

    fn words(&self, name: &str) -> String {
        let mut words = format!("files={name}:{}", self.path);
        if self.mode == Mode::Write {
            words.push_str(":write");
        }
        for (word, most) in [("max-bytes", self.max_bytes), ("max-files", self.max_files)] {
            words.extend(most.map(|most| format!(":{word}={most}")));
        }
        if self.i_know {
            words.push_str(":i-know");
        }
        words
    }
}

impl Wanted {
    fn words(&self, name: &str) -> String {
        let what = match self.mode {
            Mode::Read => "read all files",
            Mode::Write => "read, change and delete all files",
        };
        format!("{what} in a folder that you choose (`{name}`)")
    }

    fn risk(&self) -> u8 {
        match self.mode {
            Mode::Read => 60,
            Mode::Write => 80,
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= NAME_BYTES && name.chars().all(plain)
}

const EXAMPLE: &str = "write for example `files=docs:./notes` to let it read, or `files=docs:./notes:write`";

/// Reads one `NAME:FOLDER[:write][:max-bytes=N][:max-files=N][:i-know]`. From the right, since a path may hold colons.
fn parse_one(text: &str) -> Result<(String, Folder), GrantError> {
    let wrong = |why: &str| GrantError::new(format!("`files={text}`: {why}"), EXAMPLE);
    let (name, mut rest) = text.split_once(':').ok_or_else(|| wrong("it names no folder of this machine"))?;
    if !is_name(name) {
        return Err(wrong("a folder's name is 1 to 64 of `a-z 0-9 - _`"));
    }
    let mut folder = Folder::default();
    while let Some((path, word)) = rest.rsplit_once(':') {
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong("a quota is a whole number"));
        match word.split_once('=') {
            None if word == "read" => folder.mode = Mode::Read,
            None if word == "write" => folder.mode = Mode::Write,
            None if word == "i-know" => folder.i_know = true,
            Some(("max-bytes", most)) => folder.max_bytes = Some(number(most)?),
            Some(("max-files", most)) => folder.max_files = Some(number(most)?),
            _ => break,
        }
        rest = path;
    }
    if rest.is_empty() || rest == SOME_FOLDER {
        return Err(wrong("say which folder of this machine it is"));
    }
    rest.clone_into(&mut folder.path);
    Ok((name.to_owned(), folder))
}

/// Takes `a:x,b:y` apart. A comma that no `NAME:` follows belongs to a path.
fn parts(value: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for piece in value.split(',') {
        let begins = piece.split_once(':').is_some_and(|(name, _)| is_name(name));
        match parts.last_mut() {
            Some(last) if !begins => {
                last.push(',');
                last.push_str(piece);
            }
            _ => parts.push(piece.to_owned()),
        }
    }
    parts
}

impl Grantable for Grant {
    const CAPABILITY: &'static str = "files";
    type Request = Request;

    /// Only folders that are requested, and no more than is requested. Of several grants of one name the last holds: what was
    /// allowed for this call only.
    fn effective(request: &Request, granted: &[&Self]) -> Option<Self> {
        let folders: BTreeMap<_, _> = request
            .folders
            .iter()
            .filter_map(|(name, wanted)| {
                let folder = granted.iter().rev().find_map(|grant| grant.folders.get(name))?;
                Some((name.clone(), Folder { mode: folder.mode.min(wanted.mode), ..folder.clone() }))
            })
            .collect();
        (!folders.is_empty()).then_some(Self { folders })
    }

    /// Two skills know a folder by different names, so it is paths that are compared. The names stay those of the skill that is
    /// called: it gets its own folders as far as one of its caller's, `other`, is the same or holds it.
    fn within(&self, other: &Self) -> Self {
        let allowed = |folder: &Folder| {
            let above = other.folders.values().filter(|held| folder.is_below(held));
            above.max_by_key(|held| held.mode).map(|held| folder.within(held))
        };
        let folders = self.folders.iter().filter_map(|(name, folder)| Some((name.clone(), allowed(folder)?)));
        Self { folders: folders.collect() }
    }

    /// A name leads to one folder: the newest one said.
    fn merged(mut self, more: Self) -> Self {
        self.folders.extend(more.folders);
        self
    }

    /// Folder by folder.
    fn apart(request: &Request) -> Apart<Request> {
        let (without, needed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            request.folders.clone().into_iter().partition(|(_, wanted)| wanted.optional);
        let some = |folders: BTreeMap<_, _>| (!folders.is_empty()).then_some(Request { folders });
        match request.folders.is_empty() {
            true => (Some(request.clone()), None),
            false => (some(needed), some(without)),
        }
    }

    fn whole(request: &Request) -> Self {
        let folder = |wanted: &Wanted| Folder { mode: wanted.mode, ..Folder::default() };
        Self { folders: request.folders.iter().map(|(name, wanted)| (name.clone(), folder(wanted))).collect() }
    }

    fn missing(request: &Request, have: Option<&Self>, _: &Facts<'_>) -> Option<Missing> {
        let held = |name: &str| have.and_then(|grant| grant.folders.get(name));
        let lacking: Vec<_> = request
            .folders
            .iter()
            .filter(|(name, wanted)| held(name).is_none_or(|folder| folder.mode < wanted.mode))
            .collect();
        let grants = lacking.iter().map(|(name, wanted)| match wanted.mode {
            Mode::Read => format!("{name}:{SOME_FOLDER}"),
            Mode::Write => format!("{name}:{SOME_FOLDER}:write"),
        });
        (!lacking.is_empty()).then(|| Missing {
            capability: Self::CAPABILITY,
            grant: format!("files={}", grants.collect::<Vec<_>>().join(",")),
            words: join(lacking.iter().map(|(name, wanted)| wanted.words(name)), "; "),
            reason: join(lacking.iter().map(|(_, wanted)| wanted.reason.clone()), " "),
            risk: lacking.iter().map(|(_, wanted)| wanted.risk()).max().unwrap_or_default(),
            optional: false,
        })
    }

    fn wish(request: &Request) -> Wish {
        Wish {
            capability: Self::CAPABILITY,
            words: join(request.folders.iter().map(|(name, wanted)| wanted.words(name)), "; "),
            reason: join(request.folders.values().map(|wanted| wanted.reason.clone()), " "),
            risk: request.folders.values().map(Wanted::risk).max().unwrap_or_default(),
            optional: false,
        }
    }

    fn check(&self) -> Result<(), GrantError> {
        for (name, folder) in &self.folders {
            if !is_name(name) {
                let message = format!("`{}` is no name of a folder", name.escape_debug());
                return Err(GrantError::new(message, "a folder's name is 1 to 64 of `a-z 0-9 - _`"));
            }
            if !folder.path.starts_with('/') || folder.path.contains('\0') {
                let message = format!("`{}` is not an absolute path", folder.path.escape_debug());
                return Err(GrantError::new(message, EXAMPLE));
            }
        }
        Ok(())
    }

    fn parse(value: Option<&str>) -> Result<Self, GrantError> {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(GrantError::new("`files` alone names no folder", EXAMPLE));
        };
        let folders = parts(value).iter().map(|one| parse_one(one)).collect::<Result<_, _>>()?;
        Ok(Self { folders })
    }

    fn words(&self) -> Vec<String> {
        self.folders.iter().map(|(name, folder)| folder.words(name)).collect()
    }
}

fn join(texts: impl Iterator<Item = String>, with: &str) -> String {
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(with)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        Grant::parse(Some(text)).unwrap()
    }

    fn request(folders: &[(&str, Mode)]) -> Request {
        let wanted = |mode| Wanted { mode, reason: "r".into(), ..Wanted::default() };
        Request { folders: folders.iter().map(|(name, mode)| ((*name).to_owned(), wanted(*mode))).collect() }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let all = grant("docs:/a,b,out:/x:y:write:max-bytes=10:max-files=2,keys:/k:i-know,read:/read");
        assert_eq!(all.folders["docs"].path, "/a,b", "a comma that no name follows belongs to the path");
        let out =
            Folder { path: "/x:y".into(), mode: Mode::Write, max_bytes: Some(10), max_files: Some(2), i_know: false };
        assert_eq!(all.folders["out"], out);
        assert!(all.folders["keys"].i_know);
        for word in all.words() {
            let read = Grant::parse(word.strip_prefix("files=")).unwrap();
            let (name, folder) = read.folders.first_key_value().unwrap();
            assert_eq!(&all.folders[name], folder, "{word}");
        }
        for wrong in
            ["", "docs", "docs:", "Docs:/a", "../a:/b", ":/a", "a:FOLDER", "a:FOLDER:write", "a:/x:max-files=-1"]
        {
            assert!(Grant::parse(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Grant::parse(None).is_err());
        assert!(grant("a:./x").check().is_err(), "only whole paths are kept");
        assert!(grant("a:/x").check().is_ok());
    }

    #[test]
    fn a_grant_reaches_no_further_than_the_request() {
        let both = request(&[("docs", Mode::Read), ("out", Mode::Write)]);
        let stored = grant("docs:/d:write,out:/o,other:/p:write");
        let have = Grant::effective(&both, &[&stored]).unwrap();
        assert_eq!(have, grant("docs:/d,out:/o"), "modes are the lesser ones, and what is not requested is not there");
        let once = grant("out:/q:write");
        assert_eq!(Grant::effective(&both, &[&stored, &once]).unwrap().folders["out"], once.folders["out"]);
        assert_eq!(Grant::effective(&both, &[&grant("other:/p")]), None);

        let facts = Facts { is_free: &|_| false };
        let missing = Grant::missing(&both, Some(&have), &facts).unwrap();
        assert_eq!((missing.grant.as_str(), missing.risk), ("files=out:FOLDER:write", 80));
        assert!(Grant::parse(missing.grant.strip_prefix("files=")).is_err(), "a hint is no grant");
        assert_eq!(Grant::missing(&both, None, &facts).unwrap().grant, "files=docs:FOLDER,out:FOLDER:write");
        assert_eq!(Grant::missing(&both, Some(&grant("docs:/d,out:/o:write")), &facts), None);
    }

    #[test]
    fn each_folder_is_needed_or_not() {
        let mut wanted = request(&[("docs", Mode::Read), ("out", Mode::Write)]);
        assert_eq!(Grant::apart(&wanted), (Some(wanted.clone()), None));
        wanted.folders.get_mut("out").unwrap().optional = true;
        let (needed, without) = Grant::apart(&wanted);
        let names = |of: Option<Request>| of.unwrap().folders.into_keys().collect::<Vec<_>>();
        assert_eq!((names(needed), names(without)), (vec!["docs".to_owned()], vec!["out".to_owned()]));
        wanted.folders.remove("docs");
        assert_eq!(Grant::apart(&wanted), (None, Some(wanted.clone())));
        // To compare by, and no grant: it leads nowhere.
        assert!(Grant::whole(&wanted).check().is_err());
        assert_eq!(Grant::missing(&wanted, Some(&Grant::whole(&wanted)), &Facts { is_free: &|_| false }), None);
    }

    #[test]
    fn a_skill_that_is_called_gets_what_its_caller_holds() {
        let caller = grant("mine:/home/notes,work:/work:write:max-files=5");
        let callee = grant("docs:/home/notes/a:write,out:/work:write,other:/home:write,near:/home/notes2");
        let both = callee.within(&caller);
        assert_eq!(both.folders.keys().collect::<Vec<_>>(), ["docs", "out"]);
        assert_eq!((both.folders["docs"].mode, both.folders["docs"].path.as_str()), (Mode::Read, "/home/notes/a"));
        assert_eq!((both.folders["out"].mode, both.folders["out"].max_files), (Mode::Write, Some(5)));
        assert_eq!(callee.within(&Grant::default()), Grant::default());
    }
}
