//! The packages that the author of a Python skill asks for, fetched by pip in the form that runs in the guest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ringfence_core::Error;
use tokio::process::Command;

use super::shelf::python;
use super::{Job, process, project, stale};
use crate::trouble::Trouble;
use crate::ui::printable;

/// The Python that runs in the component.
const GUEST: &str = "3.14";

/// What a draft is called until it is whole.
const DRAFT: &str = ".new-";

/// Where the packages of the skill are; None where it asks for none. The folder is named after what is asked for: the same list fetches
/// nothing again.
pub(super) async fn packages(job: Job<'_>, verb: &str) -> Result<Option<PathBuf>, Error> {
    let Some(list) = Requirements::of(job.folder)? else { return Ok(None) };
    let place = job.work.join(format!("packages-{}", stale::short(format!("{GUEST}\n{}", list.text).as_bytes())));
    if place.is_dir() {
        return Ok(Some(place));
    }
    if job.errand.shelf.offline {
        return Err(job.errand.shelf.own_not_offline(&format!("what {} depends on", job.folder.display()), verb));
    }
    // A build and a test may want them at once.
    let lock = job.work.join(".packages-lock");
    let _lock = tokio::select! {
        biased;
        () = job.errand.cancel.cancelled() => return Err(process::cancelled()),
        lock = stale::lock(&lock, job.errand.line) => lock?,
    };
    if place.is_dir() {
        return Ok(Some(place));
    }
    stale::sweep(job.work, DRAFT);
    let draft = tempfile::Builder::new()
        .prefix(DRAFT)
        .tempdir_in(job.work)
        .map_err(|error| Trouble::unwritable(job.work, &error))?;
    let note = format!("fetching the packages of {}, with pip", job.folder.display());
    job.errand.line.suspend(|| crate::ui::note(&note));
    let mut command = pip("install", "--target", draft.path(), job).await?;
    command.arg("--no-compile").args(list.arguments(job.work)?);
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        job.errand.line.suspend(|| crate::ui::note(&ended.said()));
        return Err(refused(&ended.said(), job).await?);
    }
    std::fs::rename(draft.path(), &place).map_err(|error| Trouble::unwritable(&place, &error))?;
    Ok(Some(place))
}

/// pip, told to take nothing but what runs in the guest, and to build nothing: that would run the code of strangers outside of the sandbox.
/// It stands where no stranger's file lies: a name that ends as archives do is a file to it where there is one, and that it would build.
async fn pip(verb: &str, into: &str, place: &Path, job: Job<'_>) -> Result<Command, Error> {
    let python = python().await?;
    let mut command = python.command(job.work);
    command
        .args(["-m", "pip", verb, "--disable-pip-version-check", "--no-input", "--retries", "2"])
        // Whatever is compiled for a machine cannot run in WebAssembly.
        .args(["--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"])
        .args(["--python-version", GUEST, into])
        .arg(place);
    Ok(command)
}

/// What the author asks for.
#[derive(Debug)]
struct Requirements {
    /// All of it, to be compared.
    text: String,
    /// The lines of `requirements.txt` as they were looked at, without remarks. None where it lists nothing.
    lines: Option<String>,
    /// What `pyproject.toml` names.
    names: Vec<String>,
}

impl Requirements {
    /// What `requirements.txt` and `pyproject.toml` list, both of them; none where that is nothing. A list with digests is whole and
    /// stands alone: pip-compile has made it of the other, and pip takes no package without a digest beside it.
    fn of(folder: &Path) -> Result<Option<Self>, Error> {
        let listed = folder.join("requirements.txt");
        let (mut text, mut lines, mut names) = (String::new(), None, Vec::new());
        if listed.is_file() {
            let all = project::text(&listed, project::LIST_BYTES);
            let all = all.map_err(|error| Trouble::unreadable(&listed, &error))?;
            for line in all.trim_start_matches('\u{feff}').lines() {
                text += named(line, &listed)?;
                text.push('\n');
            }
            if !text.trim().is_empty() {
                lines = Some(text.clone());
            }
        }
        if !text.contains("--hash=") {
            names = of_project(&folder.join("pyproject.toml"))?;
            text += &names.join("\n");
        }
        Ok((lines.is_some() || !names.is_empty()).then_some(Self { text, lines, names }))
    }

    /// The same as pip takes it. It is given the lines that were looked at, in a file below `work`: in the author's it may see others, by a
    /// coding that a remark names or by ends of lines that are none here.
    fn arguments(self, work: &Path) -> Result<Vec<OsString>, Error> {
        let mut arguments = Vec::new();
        if let Some(lines) = self.lines {
            let file = work.join("requirements.txt");
            std::fs::write(&file, lines).map_err(|error| Trouble::unwritable(&file, &error))?;
            arguments.extend(["-r".into(), file.into()]);
        }
        arguments.extend(self.names.into_iter().map(OsString::from));
        Ok(arguments)
    }
}

/// The dependencies that a `pyproject.toml` names.
fn of_project(file: &Path) -> Result<Vec<String>, Error> {
    let text = match project::text(file, project::LIST_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| Trouble::unreadable(file, &error))?,
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Trouble::new("build-failed", format!("{} is not TOML: {}", file.display(), error.message()), "correct it")
    })?;
    let Some(listed) = table.get("project").and_then(|project| project.get("dependencies")) else {
        return Ok(Vec::new());
    };
    let names = listed.as_array().and_then(|list| list.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>());
    let names = names.ok_or_else(|| {
        Trouble::new(
            "build-failed",
            format!("{} has `dependencies` that are no list of texts", file.display()),
            "write `dependencies = [\"humanize>=4\"]` under `[project]`",
        )
    })?;
    let names = names.into_iter().map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| if by_name(name) { Ok(name.to_owned()) } else { Err(no_name(name, file)) }).collect()
}

/// The line without its remark. Refuses what is no package by name: an option (`--no-binary`), a path or an address would have pip build
/// a source, and that runs its author's code outside of the sandbox.
fn named<'a>(line: &'a str, file: &Path) -> Result<&'a str, Error> {
    let line = line.split(" #").next().unwrap_or(line).trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok("");
    }
    // A line that goes on in the next, as pip-compile writes those with digests. Apart from what comes there: two halves could be a path.
    let whole = line.strip_suffix(" \\").unwrap_or(line).trim_end();
    let digest = whole.strip_prefix("--hash=sha256:").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if digest || by_name(whole) { Ok(line) } else { Err(no_name(line, file)) }
}

fn no_name(line: &str, file: &Path) -> Error {
    let shown: String = printable(line).chars().take(80).collect();
    Trouble::new(
        "build-failed",
        format!("{} asks for `{shown}`, which names no package", file.display()),
        "name packages and their versions alone; options, paths and addresses could run code outside of the sandbox",
    )
}

/// How files end that pip takes for sources or packages where they lie there, whatever else they could name.
const ARCHIVES: [&str; 12] =
    [".zip", ".whl", ".tar", ".tgz", ".gz", ".tbz", ".bz2", ".txz", ".xz", ".tlz", ".lz", ".lzma"];

/// Whether pip takes it for a package by name. It puts variables of the person who builds in for `${NAME}`, which may be a path.
fn by_name(line: &str) -> bool {
    let plain = |c: char| matches!(c, ' '..='~' | '\t') && !matches!(c, '@' | '/' | '\\' | '$');
    let is_archive = |word: &str| {
        let word = word.to_ascii_lowercase();
        ARCHIVES.iter().any(|end| word.ends_with(end))
    };
    line.starts_with(|c: char| c.is_ascii_alphanumeric())
        && line.chars().all(plain)
        && !line.split([' ', '\t', ';', '[', ']', ',']).any(is_archive)
}

/// Why pip could not fetch what it was asked for. It says the same of a package that is not there, of one that is compiled, of one that
/// has to be built first, and of a machine without a network: so it is asked once more about the one package, and says what it sees.
async fn refused(said: &str, job: Job<'_>) -> Result<Error, Error> {
    let unknown = || {
        Trouble::new(
            "build-failed",
            format!("pip could not fetch the packages of {}", job.folder.display()),
            "see what pip says above; it needs the network where a package is new",
        )
    };
    if unreachable(said) {
        return Ok(no_network(job.folder));
    }
    let Some(lack) = Lack::of(said).filter(|lack| by_name(&lack.wanted)) else { return Ok(unknown()) };
    let nothing = tempfile::tempdir().map_err(|error| Trouble::unwritable(&std::env::temp_dir(), &error))?;
    let mut command = pip("download", "--dest", nothing.path(), job).await?;
    command.args(["--no-deps", "-vv", "--", &lack.wanted]);
    let seen = process::run(command, job.errand).await?;
    Ok(lack.explained(&format!("{}\n{}", seen.stdout, seen.stderr), job.folder))
}

/// Whether pip gave up on the index.
fn unreachable(said: &str) -> bool {
    said.contains("Retrying (Retry(total=0")
}

fn no_network(folder: &Path) -> Error {
    Trouble::new(
        "build-failed",
        format!("pip reaches no index of packages, and {} needs some that are not here yet", folder.display()),
        "connect to the network, or correct pip's settings for its index and proxy; what was fetched once is kept",
    )
}

/// A package that pip has nothing of, as far as it is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Lack {
    /// With its versions.
    wanted: String,
    /// The package that needs it; None where the author named it.
    by: Option<String>,
    /// Its versions that would run, as pip lists them.
    others: Vec<String>,
}

impl Lack {
    fn of(said: &str) -> Option<Self> {
        Self::direct(said).or_else(|| Self::indirect(said))
    }

    fn direct(said: &str) -> Option<Self> {
        let after = |words: &str| said.lines().find_map(|line| Some(line.split_once(words)?.1.trim()));
        let wanted = after("No matching distribution found for ")?.to_owned();
        let told = after("Could not find a version that satisfies the requirement ").unwrap_or_default();
        let inside = |words: &str| Some(told.split_once(words)?.1.split_once(')')?.0);
        let others = inside("(from versions: ").unwrap_or_default().split(", ").filter(|name| *name != "none");
        let by = inside("(from ").filter(|by| !by.starts_with("versions:") && !by.starts_with("-r "));
        let by = by.map(|by| by.split(['=', '<', '>', '!', '~']).next().unwrap_or(by).to_owned());
        Some(Self { wanted, by, others: others.filter(|name| !name.is_empty()).map(str::to_owned).collect() })
    }

    /// All versions of what the author named need one package, and none of them gets it.
    fn indirect(said: &str) -> Option<Self> {
        if !said.contains("ResolutionImpossible") || said.contains("The user requested ") {
            return None;
        }
        let mut needs = said.lines().filter_map(|line| line.split_once(" depends on "));
        let (by, wanted) = needs.next()?;
        let same = |other: &str| name_of(other) == name_of(wanted);
        if !needs.all(|(_, other)| same(other.trim())) {
            return None;
        }
        let by = by.split_whitespace().next().map(str::to_owned);
        Some(Self { wanted: wanted.trim().to_owned(), by, others: Vec::new() })
    }

    /// What is the matter with it, from what pip sees when it is asked about this package alone.
    fn explained(&self, seen: &str, folder: &Path) -> Error {
        if unreachable(seen) {
            return no_network(folder);
        }
        let name = name_of(&self.wanted);
        let shown = match &self.by {
            Some(by) => format!("`{}`, which {} needs,", printable(&self.wanted), printable(by)),
            None => format!("`{}`", printable(&self.wanted)),
        };
        let failed = |what: String, hint: String| Trouble::new("build-failed", what, hint);
        if !seen.contains("Fetched page") && !seen.contains("Found link") && !seen.contains("Skipping link: No sources")
        {
            return failed(
                format!("pip finds no package `{}`", printable(name)),
                "correct its name in requirements.txt or pyproject.toml; pip asks the index that it is set up for"
                    .into(),
            );
        }
        if name.replace(['_', '.'], "-").eq_ignore_ascii_case("pydantic-core") {
            return failed(
                format!(
                    "{shown} has no version that runs in WebAssembly: pydantic-core is compiled, and pydantic 2 needs it"
                ),
                "write `pydantic<2`: 1.10 is in pure Python, and its models are types of tools as well".into(),
            );
        }
        let files: Vec<_> = seen.lines().filter_map(|line| link(line, exact(&self.wanted))).collect();
        let wheel = files.iter().any(|file| file.ends_with(".whl"));
        if !self.others.is_empty() && (exact(&self.wanted).is_none() || files.is_empty()) {
            let newest: Vec<_> = self.others.iter().rev().take(5).rev().map(|version| printable(version)).collect();
            return failed(
                format!("{shown} asks for a version of which there is none in pure Python for Python {GUEST}"),
                format!("take one that there is: {}", newest.join(", ")),
            );
        }
        if !files.is_empty() && !wheel {
            return failed(
                format!(
                    "{shown} is to be had as a source archive alone, and making a package of it would run its code outside of \
                     the sandbox"
                ),
                "use a version or another package that has a wheel, or copy its Python files beside skill.py, where its licence \
                 allows it"
                    .into(),
            );
        }
        failed(
            format!("{shown} has no version that runs in WebAssembly: there is none in pure Python for Python {GUEST}"),
            "use a package without compiled parts, or leave that work to a tool of another skill or to a service"
                .into(),
        )
    }
}

/// The project in a requirement, as indexes write it.
fn name_of(wanted: &str) -> &str {
    let end = wanted.find(|c: char| !c.is_ascii_alphanumeric() && !['-', '_', '.'].contains(&c));
    &wanted[..end.unwrap_or(wanted.len())]
}

/// The one version that a requirement allows.
fn exact(wanted: &str) -> Option<&str> {
    let (_, version) = wanted.split_once("==")?;
    let version = version.trim_start_matches('=').trim();
    let plain = version.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '!', '+', '-', '_'].contains(&c));
    (plain && !version.is_empty()).then_some(version)
}

/// The file that a line of pip's is about, where it is of this version.
fn link<'a>(line: &'a str, version: Option<&str>) -> Option<&'a str> {
    let address = line.split_once("Skipping link: ")?.1.split_whitespace().find(|word| word.contains("://"))?;
    let file = address.split('#').next()?.rsplit('/').next()?;
    let known = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().any(|end| file.ends_with(end));
    let of_it =
        version.is_none_or(|version| file.contains(&format!("-{version}-")) || file.contains(&format!("-{version}.")));
    (known && of_it).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_asked_for_by_name_alone() {
        let file = Path::new("requirements.txt");
        for good in
            ["", "# all", "a==1.0", "a[b] >= 1 ; python_version > '3.9'  # why", "a==1 \\", "    --hash=sha256:00 \\"]
        {
            assert!(named(good, file).is_ok(), "{good}");
        }
        assert_eq!(named(" idna==3.7  # \u{2028} why", file).unwrap(), "idna==3.7");
        assert_eq!(named("# coding: utf-7", file).unwrap(), "");
        let bad = [
            "--no-binary :all:",
            "-r /etc/passwd",
            "-e .",
            "./evil",
            "a @ file:///evil",
            "git+https://x",
            "a @ x \\",
            "../a\\",
            // What pip would take for a path or for two lines.
            "evil-1.0.ZIP",
            "evil.tar.gz [x] ; python_version > '3'",
            "a==1.whl",
            "x${SHELL}",
            "a==1\r--no-binary :all:",
            "a==1\u{2028}-e .",
            "a==1\u{c}-e .",
            "evil.z\\",
            "--hash=sha256:00 x",
        ];
        for bad in bad {
            assert_eq!(named(bad, file).unwrap_err().kind(), "build-failed", "{bad}");
        }
    }

    #[test]
    fn both_lists_count() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let asked = || {
            let list = Requirements::of(folder.path()).unwrap()?;
            Some(
                list.arguments(work.path())
                    .unwrap()
                    .into_iter()
                    .map(|word| word.into_string().unwrap())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(asked(), None);
        // What a new project has.
        write("requirements.txt", "# Packages that the skill needs.\n\n");
        write("pyproject.toml", "[project]\nname = \"a\"\ndependencies = [\"humanize>=4\"]\n");
        assert_eq!(asked().unwrap(), ["humanize>=4"]);
        // pip reads what was looked at, with the numbers of the author's lines.
        let list = work.path().join("requirements.txt").display().to_string();
        write("requirements.txt", "\u{feff}# coding: utf-7\r\n  idna==3.7  # why\r\n");
        assert_eq!(asked().unwrap(), ["-r", &list, "humanize>=4"]);
        assert_eq!(std::fs::read_to_string(&list).unwrap(), "\nidna==3.7\n");
        let before = Requirements::of(folder.path()).unwrap().unwrap().text;
        write("pyproject.toml", "[project]\nname = \"a\"\ndependencies = [\"humanize>=5\"]\n");
        assert_ne!(Requirements::of(folder.path()).unwrap().unwrap().text, before);
        // pip takes no package without a digest beside those that have one.
        write("requirements.txt", "humanize==4.9.0 \\\n    --hash=sha256:00\n");
        assert_eq!(asked().unwrap(), ["-r", &list]);
        write("requirements.txt", "");
        for (wrong, word) in [
            ("dependencies = \"humanize\"", "no list of texts"),
            ("dependencies = [{ name = \"humanize\" }]", "no list of texts"),
            ("dependencies = [\"a @ file:///evil\"]", "names no package"),
            ("dependencies = [\"evil.zip\"]", "names no package"),
            ("dependencies = [\"--hash=sha256:00\"]", "names no package"),
        ] {
            write("pyproject.toml", &format!("[project]\n{wrong}\n"));
            let error = Requirements::of(folder.path()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    /// What pip says first, and what it sees when it is asked about the package alone.
    fn why(said: &str, seen: &str) -> Error {
        Lack::of(said).unwrap_or_else(|| panic!("{said}")).explained(seen, Path::new("x"))
    }

    fn nothing(wanted: &str, versions: &str) -> String {
        format!(
            "ERROR: Could not find a version that satisfies the requirement {wanted} (from versions: {versions})\n\
             ERROR: No matching distribution found for {wanted}"
        )
    }

    #[test]
    fn what_pip_says_the_same_of_is_told_apart() {
        const PAGE: &str = "Fetched page https://pypi.org/simple/x/ as text/html\n";
        let source = |file: &str| {
            format!(
                "  Skipping link: No sources permitted for x: https://h.test/{file} (from https://pypi.org/simple/x/)\n"
            )
        };
        let wheel = |file: &str| {
            format!(
                "  Skipping link: none of the wheel's tags (cp314) are compatible (run pip debug): https://h.test/{file} (from x)\n"
            )
        };
        let compiled = format!("{PAGE}{}{}", source("numpy-2.3.0.tar.gz"), wheel("numpy-2.3.0-cp314-cp314-win32.whl"));
        let error = why(&nothing("numpy==2.3.0", "none"), &compiled).to_string();
        assert!(error.contains("`numpy==2.3.0` has no version that runs in WebAssembly"), "{error}");

        // A wheel of another version does not help.
        let archive = format!("{PAGE}{}{}", source("docopt-0.6.2.tar.gz"), wheel("docopt-0.5.0-cp27-none-any.whl"));
        let error = why(&nothing("docopt==0.6.2", "none"), &archive).to_string();
        assert!(error.contains("`docopt==0.6.2` is to be had as a source archive alone"), "{error}");

        let error = why(&nothing("reqests==1", "none"), "Could not fetch URL https://x/: 404 Client Error: Not Found");
        assert_eq!(error.to_string(), "pip finds no package `reqests`");

        let error = why(
            &nothing("humanize==999", "4.16.0, 4.17.0"),
            &format!("{PAGE}  Found link https://h.test/humanize-4.17.0-py3-none-any.whl"),
        );
        assert!(error.to_string().contains("`humanize==999` asks for a version of which there is none"), "{error}");
        assert!(error.hint().contains("4.16.0, 4.17.0"), "{}", error.hint());

        let gone = "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError(x)': /simple/x/";
        let error = why(&nothing("humanize", "none"), gone).to_string();
        assert!(error.contains("reaches no index"), "{error}");
        assert!(unreachable(gone) && !unreachable("WARNING: Retrying (Retry(total=1, connect=None))"));
    }

    #[test]
    fn a_package_that_another_needs_is_named_with_it() {
        let page = "Fetched page x\n  \
                    Skipping link: none of the wheel's tags: https://h.test/MarkupSafe-2.0-cp314-cp314-win32.whl (from x)";
        let both = "    jinja2 3.0.1 depends on MarkupSafe>=2.0\n    jinja2 3.0.0 depends on MarkupSafe>=2.0\n\
                    ERROR: ResolutionImpossible: x";
        let error = why(both, page).to_string();
        assert!(error.contains("`MarkupSafe>=2.0`, which jinja2 needs, has no version that runs"), "{error}");

        let told = "ERROR: Could not find a version that satisfies the requirement pydantic-core==2.33.0 (from pydantic) \
                    (from versions: 0.0.1)\n\
                    ERROR: No matching distribution found for pydantic-core==2.33.0";
        let error = why(told, "Fetched page x");
        assert!(error.to_string().contains("`pydantic-core==2.33.0`, which pydantic needs,"), "{error}");
        assert!(error.hint().contains("`pydantic<2`: 1.10"), "{}", error.hint());
        let all = "    pydantic 2.1.0 depends on pydantic-core==2.4.0\n    pydantic 2.0 depends on pydantic-core==2.0.1\n\
                   ERROR: ResolutionImpossible: x";
        assert!(why(all, "Fetched page x").hint().contains("`pydantic<2`"));
    }

    #[test]
    fn packages_that_do_not_fit_each_other_are_no_lack() {
        let said = "The conflict is caused by:\n    The user requested idna==2.0\n    requests 2.31.0 depends on idna<4 and >=2.5\n\
                    ERROR: ResolutionImpossible: x";
        assert_eq!(Lack::of(said), None);
        assert_eq!(Lack::of("no route"), None);
        let line = "Could not find a version that satisfies the requirement a==1 (from -r /x/requirements.txt (line 1)) \
                    (from versions: none)\n\
                    No matching distribution found for a==1";
        assert_eq!(Lack::of(line), Some(Lack { wanted: "a==1".into(), by: None, others: Vec::new() }));
    }
}
