use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use ringfence_core::Error;
use ringfence_core::catalog::agent_skill::{self, AgentSkill};

use super::Context;
use crate::sdk;
use crate::toolchain::{self, Lang};
use crate::trouble::Trouble;

/// Begin a new skill in a new folder
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name: small letters, digits and `-`
    name: String,
    /// Its language
    #[arg(long, default_value = "rust", value_parser = PossibleValuesParser::new(toolchain::names()))]
    lang: String,
    /// The folder to make; the name where it is left out
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One sentence saying what it does
    #[arg(long, value_name = "TEXT", default_value = "Says what it does in one sentence.")]
    description: String,
    /// Its licence, an SPDX expression
    #[arg(long, value_name = "SPDX")]
    license: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Error> {
    check_name(&args.name)?;
    check_text("--description", &args.description, agent_skill::DESCRIPTION_CHARS)?;
    check_text("--license", args.license.as_deref().unwrap_or("-"), 200)?;
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let whole = std::path::absolute(&folder).map_err(|error| Trouble::unwritable(&folder, &error))?;
    if whole.symlink_metadata().is_ok() {
        return Err(Trouble::new(
            "already-exists",
            format!("{} exists already", folder.display()),
            "choose another name, or another folder with --dir",
        ));
    }
    let lang = toolchain::named(&args.lang)
        .ok_or_else(|| Trouble::input(format!("`{}` is no language", args.lang), "see `ringfence new --help`"))?;
    tracing::debug!(lang = %args.lang, folder = %whole.display(), "a new skill");
    make(&whole, lang, args)?;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "name": args.name, "folder": whole }));
    }
    if whole.file_name().is_none_or(|name| name != args.name.as_str()) {
        crate::ui::note(
            "an Agent Skill's folder has the name of the skill: some programs will not take this one for one",
        );
    }
    let shown = shell_path(&folder);
    crate::ui::print_line(&format!("made {shown}\n\n  ringfence run {shown} --help\n  ringfence test {shown}"))
}

/// Makes the folder beside its place and moves it there when it is whole.
fn make(folder: &Path, lang: &Lang, args: &Args) -> Result<(), Error> {
    let above = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(above).map_err(|error| Trouble::unwritable(above, &error))?;
    let draft = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(above)
        .map_err(|error| Trouble::unwritable(above, &error))?;
    let path = sdk::path(folder, lang);
    let fill = |text: &str| {
        text.replace("{{name}}", &args.name)
            .replace("{{sdk}}", &path.to_string_lossy())
            .replace("{{description}}", &escaped(&args.description))
            .replace("{{frontmatter}}\n", &frontmatter(args))
    };
    for (name, text) in sdk::template(lang)? {
        let file = draft.path().join(fill(&name.to_string_lossy()));
        let parent = file.parent().unwrap_or(draft.path());
        std::fs::create_dir_all(parent).map_err(|error| Trouble::unwritable(parent, &error))?;
        std::fs::write(&file, fill(&text)).map_err(|error| Trouble::unwritable(&file, &error))?;
    }
    if sdk::in_checkout(folder, lang).is_none() {
        sdk::unpack(draft.path(), lang)?;
    }
    set_mode(draft.path())?;
    std::fs::rename(draft.path(), folder).map_err(|error| Trouble::unwritable(folder, &error))
}

/// What `SKILL.md` begins with.
fn frontmatter(args: &Args) -> String {
    let component = format!("target/ringfence/{}.wasm", args.name);
    let skill = AgentSkill {
        name: args.name.clone(),
        description: agent_skill::description_of(&args.description),
        license: args.license.clone(),
        compatibility: Some(agent_skill::compatibility()),
        metadata: [(agent_skill::COMPONENT.to_owned(), component)].into(),
        instructions: String::new(),
    };
    skill.frontmatter()
}

/// Temporary folders are their owner's alone; a project, like any other folder, is not.
pub(super) fn set_mode(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).map_err(|error| Trouble::unwritable(path, &error))?;
    }
    Ok(())
}

/// The description stands inside of quotes, in TOML and in the languages.
fn escaped(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.replace('\\', "\\\\").replace('"', "\\\"")
}

fn check_name(name: &str) -> Result<(), Error> {
    if agent_skill::is_name(name) {
        return Ok(());
    }
    Err(Trouble::input(
        format!("`{}` is no name for a skill", crate::ui::printable(name)),
        "use 1 to 64 of a-z, 0-9 and single `-`, with a letter or digit at both ends; --dir says where it is made",
    ))
}

/// Texts that `SKILL.md` has limits for.
fn check_text(flag: &str, text: &str, most: usize) -> Result<(), Error> {
    match text.trim().is_empty() || text.chars().count() > most {
        true => Err(Trouble::input(
            format!("the text of {flag} has {} characters", text.trim().chars().count()),
            format!("give between 1 and {most}"),
        )),
        false => Ok(()),
    }
}

/// How `run` will take it for a path, as a shell takes it for one word.
fn shell_path(folder: &Path) -> String {
    let text = folder.display().to_string();
    let path = if text.contains('/') { text } else { format!("./{text}") };
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%=:,".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "my-skill", "2fast"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "..", "a b", "a--b", "a-", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_is_one_word_to_a_shell() {
        for (folder, word) in [
            ("mine", "./mine"),
            ("a/über_1.0", "a/über_1.0"),
            ("a b/x", "'a b/x'"),
            ("it's", r"'./it'\''s'"),
            ("$HOME/x", "'$HOME/x'"),
            ("~/x", "'~/x'"),
        ] {
            assert_eq!(shell_path(Path::new(folder)), word);
        }
    }

    #[test]
    fn a_description_cannot_leave_its_quotes() {
        assert_eq!(escaped("a \"b\" \\ c\nd"), "a \\\"b\\\" \\\\ c d");
    }
}
