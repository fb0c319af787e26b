//! Agent Skills in folders that strangers filled: the file, and the component that it means.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{AgentSkill, AgentSkillError, COMPONENT, DIGEST, FILE, FRONTMATTER_BYTES};
use crate::catalog::TEXT_BYTES;
use crate::catalog::signature::{Format, SIGNATURE_BYTES, Signature};
use crate::{engine, files};

/// Where components are looked for when none is named, and how much is looked at.
const PLACES: [&str; 2] = ["scripts", "assets"];
const DEPTH: usize = 4;
const ENTRIES: usize = 4096;

/// Most names in a sentence.
const NAMED: usize = 5;

/// An Agent Skill with the component that it carries.
pub(crate) struct Carried {
    pub(crate) skill: AgentSkill,
    /// From the folder.
    pub(crate) component: PathBuf,
    pub(crate) bytes: Vec<u8>,
    /// What lies beside it. Nothing of it is checked yet.
    pub(crate) signatures: Vec<Signature>,
}

impl AgentSkill {
    /// That of a folder; none where the folder has no `SKILL.md`. Reads the file once, and only so much of it as it may hold.
    pub fn of(folder: &Path) -> Result<Option<Self>, AgentSkillError> {
        let file = match files::open_beneath(folder, Path::new(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(opening(FILE, &error)),
        };
        let most = FRONTMATTER_BYTES + TEXT_BYTES;
        let bytes = read(file, most as u64).map_err(|error| AgentSkillError::Unreadable(error.to_string()))?;
        if bytes.len() > most {
            return Err(AgentSkillError::TooLong { what: "it", most });
        }
        let text = String::from_utf8(bytes).map_err(|_| AgentSkillError::NotText)?;
        Self::read(&text).map(Some)
    }
}

/// The Agent Skill in `folder` with its component, of which at most `limit` bytes and one more are read. The digest is what
/// `SKILL.md` says, where it says one.
pub(crate) fn carried(folder: &Path, limit: u64) -> Result<Carried, AgentSkillError> {
    let skill = AgentSkill::of(folder)?.ok_or_else(|| AgentSkillError::Unreadable("there is none".into()))?;
    let component = match skill.metadata.get(COMPONENT) {
        Some(named) => PathBuf::from(named),
        None => only(folder, &skill.name)?,
    };
    let shown = component.display().to_string();
    let file = files::open_beneath(folder, &component).map_err(|error| opening(&shown, &error))?;
    let bytes = read(file, limit).map_err(|_| AgentSkillError::NotThere(shown.clone()))?;
    if let Some(expected) = skill.metadata.get(DIGEST) {
        let found = engine::digest(&bytes);
        if *expected != found {
            return Err(AgentSkillError::OtherDigest { component: shown, expected: expected.clone(), found });
        }
    }
    let mut signatures = Vec::new();
    for format in Format::ALL {
        let beside = format.beside(&component);
        let shown = beside.display().to_string();
        match files::open_beneath(folder, &beside) {
            Ok(file) => {
                let bytes = read(file, SIGNATURE_BYTES as u64).map_err(|_| AgentSkillError::NotThere(shown))?;
                signatures.push(Signature { format, bytes });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // One that is there and cannot be read is not the same as none.
            Err(error) => return Err(opening(&shown, &error)),
        }
    }
    Ok(Carried { skill, component, bytes, signatures })
}

fn opening(name: &str, error: &std::io::Error) -> AgentSkillError {
    match error.kind() {
        std::io::ErrorKind::NotADirectory => AgentSkillError::Link(name.into()),
        _ if name == FILE => AgentSkillError::Unreadable(error.to_string()),
        _ => AgentSkillError::NotThere(name.into()),
    }
}

fn read(file: std::fs::File, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The only component beneath `scripts/` and `assets/`.
fn only(folder: &Path, name: &str) -> Result<PathBuf, AgentSkillError> {
    let (mut components, mut others, mut left) = (Vec::new(), Vec::new(), ENTRIES);
    for place in PLACES {
        walk(folder, Path::new(place), DEPTH, &mut left, &mut |path| match path
            .extension()
            .is_some_and(|end| end == "wasm")
        {
            true => components.push(path),
            false if place == "scripts" => others.push(path),
            false => {}
        });
    }
    components.sort();
    others.sort();
    let name = name.to_owned();
    match components.len() {
        1 => Ok(components.swap_remove(0)),
        0 if others.is_empty() => Err(AgentSkillError::TextOnly(name)),
        0 => Err(AgentSkillError::ScriptsOnly { name, scripts: names(&others) }),
        _ => Err(AgentSkillError::Several { name, found: names(&components) }),
    }
}

/// The files below a folder, as paths from `root`. Follows no link, and gives up quietly where there is too much.
fn walk(root: &Path, below: &Path, depth: usize, left: &mut usize, found: &mut dyn FnMut(PathBuf)) {
    if depth == 0 || !root.join(below).symlink_metadata().is_ok_and(|this| this.is_dir()) {
        return;
    }
    for entry in std::fs::read_dir(root.join(below)).into_iter().flatten().filter_map(Result::ok) {
        let Some(fewer) = left.checked_sub(1) else { return };
        *left = fewer;
        let path = below.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(root, &path, depth - 1, left, found),
            Ok(kind) if kind.is_file() => found(path),
            _ => {}
        }
    }
}

fn names(paths: &[PathBuf]) -> String {
    let mut text = paths.iter().take(NAMED).map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED {
        text += ", ...";
    }
    text
}
