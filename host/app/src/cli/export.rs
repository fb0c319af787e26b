use std::path::{Path, PathBuf};

use clap_complete::engine::ArgValueCompleter;
use ringfence_core::Error;
use ringfence_core::catalog::agent_skill::{self, AgentSkill, Export};

use super::Context;
use super::completions::Skills;
use super::target::Target;
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Give a skill a form that other programs take
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    form: Form,
}

#[derive(Debug, clap::Subcommand)]
enum Form {
    AgentSkill(AgentSkillArgs),
}

/// Make an Agent Skill of it: a folder with SKILL.md that any agent reads, and a script that runs the skill in its sandbox
///
/// The folder holds the component itself, so it can be put into `.claude/skills`, `.agents/skills` or wherever an agent looks, on any
/// machine with this program. Nothing is granted by that.
#[derive(Debug, clap::Args)]
struct AgentSkillArgs {
    /// An installed skill, a folder or a .wasm file
    #[arg(add = ArgValueCompleter::new(Skills))]
    skill: String,
    /// Where: the folder to make where it has the skill's name, else the folder to make it in
    #[arg(default_value = ".", value_hint = clap::ValueHint::DirPath)]
    out: PathBuf,
    /// Replace an Agent Skill of that name, with all that lies in its folder
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let Form::AgentSkill(args) = &args.form;
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    let target = Target::find(&args.skill)?;
    let skill = target.load(&host, context, &line).await?;
    let component = target.component(&host, &skill).await?;
    line.clear();
    host.close().await?;
    let export = Export::of(&skill, component).ok_or_else(|| {
        let shown = crate::ui::printable(&args.skill);
        Trouble::new("unreadable", format!("{shown} changed while it was read"), "run it again")
    })?;
    let folder = place(&args.out, &export.name())?;
    write(&folder, &export, args.force)?;
    if context.json() {
        let files: Vec<_> = export.files().into_iter().map(|file| file.path).collect();
        return crate::ui::print_json(&serde_json::json!({ "name": export.name(), "folder": folder, "files": files }));
    }
    crate::ui::print_line(&folder.display().to_string())
}

/// Where the folder will be, which has the skill's name in any case: programs refuse an Agent Skill in any other.
fn place(out: &Path, name: &str) -> Result<PathBuf, Error> {
    let whole = std::path::absolute(out).map_err(|error| Trouble::unwritable(out, &error))?;
    let named = whole.file_name().is_some_and(|last| last == name);
    Ok(if named { whole } else { whole.join(name) })
}

/// Makes the folder beside its place, and puts it there when it is whole.
fn write(folder: &Path, export: &Export, force: bool) -> Result<(), Error> {
    let exists = folder.symlink_metadata().is_ok();
    if exists {
        may_replace(folder, &export.name(), force)?;
    }
    let above = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(above).map_err(|error| Trouble::unwritable(above, &error))?;
    let draft = tempfile::Builder::new()
        .prefix(".export-")
        .tempdir_in(above)
        .map_err(|error| Trouble::unwritable(above, &error))?;
    for file in export.files() {
        let path = draft.path().join(&file.path);
        let parent = path.parent().unwrap_or(draft.path());
        std::fs::create_dir_all(parent).map_err(|error| Trouble::unwritable(parent, &error))?;
        std::fs::write(&path, &file.bytes).map_err(|error| Trouble::unwritable(&path, &error))?;
        if file.executable {
            super::new::set_mode(&path)?;
        }
    }
    super::new::set_mode(draft.path())?;
    let unwritable = |error| Trouble::unwritable(folder, &error);
    if !exists {
        return std::fs::rename(draft.path(), folder).map_err(unwritable);
    }
    // One step, so that there is always one of the two. The draft is the old one then, and goes with its name.
    let cwd = rustix::fs::CWD;
    rustix::fs::renameat_with(cwd, draft.path(), cwd, folder, rustix::fs::RenameFlags::EXCHANGE)
        .map_err(|error| unwritable(error.into()))
}

/// What is replaced goes with everything in it, so it has to be what it will be again.
fn may_replace(folder: &Path, name: &str, force: bool) -> Result<(), Error> {
    let is_folder = folder.symlink_metadata().is_ok_and(|found| found.is_dir());
    let same = is_folder && AgentSkill::of(folder).ok().flatten().is_some_and(|skill| skill.name == name);
    let exists = |help: &str| Err(Trouble::new("already-exists", format!("{} exists already", folder.display()), help));
    match (same, force) {
        (true, true) => Ok(()),
        (true, false) => exists("--force replaces it, with everything in it"),
        (false, _) => exists(&format!(
            "name another place; --force replaces only a folder whose {} names the same skill",
            agent_skill::FILE
        )),
    }
}
