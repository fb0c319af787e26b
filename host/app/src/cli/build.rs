use std::io::Write;
use std::path::{Path, PathBuf};

use ringfence_core::catalog::agent_skill::{self, AgentSkill};
use ringfence_core::catalog::{TEXT_BYTES, Texts};
use ringfence_core::policy::manifest::{MANIFEST_BYTES, Manifest};
use ringfence_core::{Error, Host};

use super::Context;
use crate::toolchain::{self, Errand, Job, Toolchain, Way, project};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Build a skill from its source
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The skill's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Build even where nothing has changed
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let folder = std::fs::canonicalize(&args.dir).map_err(|error| Trouble::unreadable(&args.dir, &error))?;
    if !folder.join("skill.toml").is_file() {
        return Err(super::target::no_manifest(&folder));
    }
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    let file = build(&host, &folder, args.force, context, &line).await?;
    line.clear();
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "component": file }));
    }
    crate::ui::print_line(&file.display().to_string())
}

/// The packaged component of the skill in `folder`, built where its sources have changed. The path must be canonical.
pub(super) async fn fresh(host: &Host, folder: &Path, context: &Context, line: &Line) -> Result<PathBuf, Error> {
    build(host, folder, false, context, line).await
}

/// The file that makes a folder a skill.
const MANIFEST: &str = "skill.toml";

/// What is packed beside the code for people.
const README: &str = "README.md";
const LICENSES: [&str; 4] = ["LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING"];

/// What clients of packages write while a skill is built, by what the author has written.
const LOCKS: [&str; 4] = ["Cargo.lock", "package-lock.json", "go.mod", "go.sum"];

/// README, licence and instructions of the skill in `folder`, where it has them.
fn texts(folder: &Path) -> Texts {
    // No link: a stranger's could lead to a file of the person who builds.
    let own = |path: &Path| {
        let kind = path.symlink_metadata().map(|found| found.file_type());
        if kind.as_ref().is_ok_and(std::fs::FileType::is_symlink) {
            crate::ui::note(&format!("{} is a link and is left out of the package", path.display()));
        }
        kind.is_ok_and(|kind| kind.is_file())
    };
    let text = |name: &&str| {
        let path = Some(folder.join(name)).filter(|path| own(path))?;
        let read = project::text(&path, TEXT_BYTES as u64);
        if read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::FileTooLarge) {
            let most = TEXT_BYTES >> 10;
            crate::ui::note(&format!("{} is longer than {most} KiB and is left out of the package", path.display()));
        }
        read.ok()
    };
    let instructions = AgentSkill::of(folder).ok().flatten().map(|skill| skill.instructions);
    Texts {
        readme: text(&README),
        license: LICENSES.iter().find_map(text),
        instructions: instructions.filter(|text| !text.is_empty()),
    }
}

/// What outside of a skill's folder its build reads and somebody may edit: in a checkout, the SDK.
pub(super) fn beside(folder: &Path) -> Vec<PathBuf> {
    let near = || {
        let manifest = manifest(folder).ok()?;
        let lang = Way::of(&manifest, folder).ok()?.lang?;
        let near = folder.join(crate::sdk::in_checkout(folder, lang)?).canonicalize().ok()?;
        Some(vec![near.join("sdk").join(lang.sdk), near.join("wit")])
    };
    near().unwrap_or_default()
}

/// Where the component of the skill in `folder` is, or would be.
pub(super) fn packaged(folder: &Path, manifest: &Manifest) -> PathBuf {
    folder.join("target/ringfence").join(format!("{}.wasm", manifest.name))
}

/// What it says, with what `SKILL.md` beside it says of the same skill.
pub(super) fn manifest(folder: &Path) -> Result<Manifest, Error> {
    let file = folder.join(MANIFEST);
    let text = project::text(&file, MANIFEST_BYTES as u64).map_err(|error| Trouble::unreadable(&file, &error))?;
    let beside = AgentSkill::of(folder).map_err(|error| Error::from(error).about(folder))?;
    let read = match &beside {
        Some(skill) => Manifest::from_toml_beside(&text, &skill.beside()),
        None => Manifest::from_toml(&text),
    };
    read.map_err(|error| Error::from(error).about(&file))
}

async fn build(host: &Host, folder: &Path, force: bool, context: &Context, line: &Line) -> Result<PathBuf, Error> {
    let manifest = manifest(folder)?;
    let packaged = packaged(folder, &manifest);
    let out = packaged.parent().unwrap_or(folder);
    std::fs::create_dir_all(out).map_err(|error| Trouble::unwritable(out, &error))?;
    let stamp = packaged.with_extension("digest");
    let way = Way::of(&manifest, folder)?;
    let cache = &context.config.dirs.cache;
    let toolchain = way.toolchain();
    let mut sources = toolchain.sources(folder, &way.build);
    sources.extend([MANIFEST, "wit", README, agent_skill::FILE].iter().chain(&LICENSES).map(|name| folder.join(name)));
    let (mut sdk, mut salt) = (folder.to_owned(), way.name().to_owned());
    if let Some(lang) = way.lang {
        let near = crate::sdk::ready(folder, lang, line)?;
        sdk = crate::sdk::trusted(cache, lang)?;
        salt = format!("{} {}", crate::sdk::version(lang), lang.name);
        if !near.starts_with(folder) {
            // A checkout's SDK changes under somebody's hands; a copy of the skill's own, with this program's version alone.
            sources.extend([near.join("sdk").join(lang.sdk), near.join("wit")]);
        }
    }
    let digest = || toolchain::digest(&salt, &sources);
    let built_of = || project::text(&stamp, project::STAMP_BYTES);
    if !force && packaged.is_file() && built_of().is_ok_and(|old| Some(old) == digest().ok()) {
        return Ok(packaged);
    }

    let work = toolchain.workplace(&cache.join("build").join(way.name()), folder);
    std::fs::create_dir_all(&work).map_err(|error| Trouble::unwritable(&work, &error))?;
    // Cargo locks its folder too, but says so to nobody who sees our line only.
    let _lock = context.unless_cancelled(toolchain::lock(&work.join(".ringfence-lock"), line)).await?;
    let written: Vec<_> = sources.iter().filter(|path| !path.ends_with("Cargo.lock")).cloned().collect();
    let before = toolchain::digest_without(&salt, &written, &LOCKS)?;
    let shelf = context.shelf();
    let errand = Errand { shelf: &shelf, line, cancel: &context.cancel };
    let job = Job { folder, build: &way.build, sdk: &sdk, work: &work, errand };
    let component = component(toolchain, job, &salt, &sources, force).await?;
    line.say("packaging");
    let bytes = host.read_component(&component)?;
    let bytes = toolchain::comments::with(bytes, folder);
    let listed = context.unless_cancelled(host.package(&bytes, &manifest, Some(line.steps()))).await;
    let mut bytes = listed.map_err(|error| unlisted(error, folder))?;
    texts(folder).append(&mut bytes);
    ringfence_core::catalog::seal(&mut bytes);
    // A stamp must never stand beside a component that it does not tell of, whenever this is ended.
    match std::fs::remove_file(&stamp) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Trouble::unwritable(&stamp, &error)),
        _ => {}
    }
    write(&packaged, &bytes)?;
    // Sources that changed meanwhile may be half in it: then there is no new stamp, and the next run builds again. The lock
    // file may be written by the build itself.
    if before == toolchain::digest_without(&salt, &written, &LOCKS)? {
        write(&stamp, digest()?.as_bytes())?;
    }
    Ok(packaged)
}

/// A skill that ends itself when it is asked for its tools: whoever builds it is its author, and its SDK has said what is wrong.
fn unlisted(error: Error, folder: &Path) -> Error {
    if error.kind() != "trap" {
        return error;
    }
    let words = error.to_string();
    let words = words.strip_prefix("the skill crashed: ").unwrap_or(&words);
    Trouble::new(
        "build-failed",
        format!("the tools of {} cannot be listed: {words}", folder.display()),
        "correct the skill; where it only crashes, `-v` shows what it says before",
    )
}

/// The component of the code alone. A new README, another permission or a test builds no code again, which takes some toolchains half a
/// minute.
async fn component(
    toolchain: &dyn Toolchain,
    job: Job<'_>,
    salt: &str,
    sources: &[PathBuf],
    force: bool,
) -> Result<PathBuf, Error> {
    if !toolchain.keeps_component() {
        return toolchain.build(job).await;
    }
    let beside: Vec<&str> = [MANIFEST, README, agent_skill::FILE, "tests"].into_iter().chain(LICENSES).collect();
    let code: Vec<_> =
        sources.iter().filter(|path| !beside.iter().any(|name| **path == job.folder.join(name))).cloned().collect();
    let digest = || toolchain::digest_without(salt, &code, &beside);
    let written = || toolchain::digest_without(salt, &code, &[&beside[..], &LOCKS].concat());
    let (stamp, now, before) = (job.work.join("built"), digest()?, written()?);
    let kept = std::fs::read_to_string(&stamp).ok();
    let kept = kept.as_deref().and_then(|text| text.split_once('\n')).filter(|(digest, _)| *digest == now);
    if let Some(path) = kept.map(|(_, path)| PathBuf::from(path)).filter(|path| !force && path.is_file()) {
        return Ok(path);
    }
    let component = toolchain.build(job).await?;
    // What changed meanwhile may be half in it.
    if before == written()? {
        write(&stamp, format!("{}\n{}", digest()?, component.display()).as_bytes())?;
    }
    Ok(component)
}

/// Writes a file so that a reader sees the old one or the new one, never a part.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let unwritable = |error| Trouble::unwritable(path, &error);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
    file.write_all(bytes).map_err(unwritable)?;
    file.persist(path).map_err(|error| unwritable(error.error))?;
    Ok(())
}
