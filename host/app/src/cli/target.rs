//! Which skill is meant: a folder, a file, or the name of an installed one.

use std::path::{Path, PathBuf};

use ringfence_core::catalog::{Texts, agent_skill};
use ringfence_core::{Error, Host, SkillRef};

use super::{Context, build};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// A skill as somebody named it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A folder with `skill.toml`, built when its sources have changed.
    Folder(PathBuf),
    /// A folder with `SKILL.md` alone, which carries a component.
    AgentSkill(PathBuf),
    /// A `.wasm` file.
    File(PathBuf),
    Installed(String),
}

impl Target {
    /// A path when it contains `/`, starts with `.`, ends in `.wasm` or exists as a folder; an installed name otherwise.
    pub(super) fn find(text: &str) -> Result<Self, Error> {
        let path = Path::new(text);
        let is_path = text.contains('/') || text.starts_with('.') || text.ends_with(".wasm") || path.is_dir();
        if !is_path {
            return Ok(Self::Installed(text.to_owned()));
        }
        let path = std::fs::canonicalize(path).map_err(|error| Trouble::unreadable(path, &error))?;
        if !path.is_dir() {
            return Ok(Self::File(path));
        }
        if path.join("skill.toml").is_file() {
            return Ok(Self::Folder(path));
        }
        if path.join(agent_skill::FILE).symlink_metadata().is_ok() {
            return Ok(Self::AgentSkill(path));
        }
        Err(no_manifest(&path))
    }

    /// What grants, state and budgets belong to.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Folder(path) | Self::AgentSkill(path) | Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Installed(name) => name.clone(),
        }
    }

    /// What its author wrote about a skill that has been loaded.
    pub(super) async fn texts(&self, host: &Host, skill: &SkillRef) -> Result<Texts, Error> {
        Ok(Texts::read(&self.component(host, skill).await?))
    }

    /// The component of a skill that has been loaded.
    pub(super) async fn component(&self, host: &Host, skill: &SkillRef) -> Result<Vec<u8>, Error> {
        let file = match self {
            Self::Folder(folder) => build::packaged(folder, &skill.manifest()),
            Self::File(file) => file.clone(),
            Self::AgentSkill(folder) => return host.agent_skill(folder, None).await,
            Self::Installed(name) => return host.component(name).await,
        };
        std::fs::read(&file).map_err(|error| Trouble::unreadable(&file, &error))
    }

    /// Builds where needed, and loads.
    pub(super) async fn load(&self, host: &Host, context: &Context, line: &Line) -> Result<SkillRef, Error> {
        match self {
            Self::Folder(path) => {
                let component = build::fresh(host, path, context, line).await?;
                context.unless_cancelled(host.load_file(&component, Some(path), Some(line.steps()))).await
            }
            Self::AgentSkill(path) => context.unless_cancelled(host.load_agent_skill(path, Some(line.steps()))).await,
            Self::File(path) => context.unless_cancelled(host.load_file(path, Some(path), Some(line.steps()))).await,
            Self::Installed(name) => {
                // The tools of a server are called as those of a skill; whether they were approved is said where it is loaded.
                if host.server(name).is_err() {
                    installed(host, name).await?;
                }
                context.unless_cancelled(host.load_installed(name, Some(line.steps()))).await
            }
        }
    }
}

/// For a folder that holds no skill.
pub(super) fn no_manifest(folder: &Path) -> Error {
    Trouble::new(
        "not-found",
        format!("{} is a folder without skill.toml", folder.display()),
        "name a skill's folder, a .wasm file or an installed skill; `ringfence new NAME` begins a skill",
    )
}

/// Makes sure that a skill of this name is installed.
pub(super) async fn installed(host: &Host, name: &str) -> Result<(), Error> {
    let names: Vec<String> = host.list().await?.into_iter().map(|skill| skill.name).collect();
    if names.iter().any(|known| known == name) { Ok(()) } else { Err(not_installed(name, names)) }
}

fn not_installed(name: &str, names: Vec<String>) -> Error {
    let help = match crate::config::nearest(name, names.iter().cloned()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => {
            "install one with `ringfence add PATH`, or name a path: one with a `/` in it, like `./skill`".into()
        }
        None => format!("installed are: {}; a path must contain a `/`", names.join(", ")),
    };
    Trouble::new("not-found", format!("no skill named `{}` is installed", crate::ui::printable(name)), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_an_installed_skill_and_the_rest_are_paths() {
        assert_eq!(Target::find("summarize").unwrap(), Target::Installed("summarize".into()));
        for path in ["./nowhere", "a/b", ".hidden", "gone.wasm"] {
            assert_eq!(Target::find(path).unwrap_err().kind(), "not-found", "{path}");
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let help = |names: &[&str]| not_installed("sumarize", names.iter().map(|n| (*n).into()).collect()).hint();
        assert_eq!(help(&["extract", "summarize"]), "did you mean `summarize`?");
        assert!(help(&["zebra"]).starts_with("installed are: zebra"));
        assert!(help(&[]).starts_with("install one"));
    }

    #[test]
    fn a_folder_needs_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        assert!(Target::find(name).unwrap_err().to_string().contains("without skill.toml"));
        std::fs::write(folder.path().join("SKILL.md"), "").unwrap();
        assert!(matches!(Target::find(name).unwrap(), Target::AgentSkill(_)));
        std::fs::write(folder.path().join("skill.toml"), "").unwrap();
        assert!(matches!(Target::find(name).unwrap(), Target::Folder(_)));
    }
}
