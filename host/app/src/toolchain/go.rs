//! Go skills, compiled by stock Go for WASI preview 1.

use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;

use super::shelf::{Client, Kit, python};
use super::{Errand, Job, Shelf, Toolchain, encode, process};

pub(super) struct Go;

const KIT: Kit =
    Kit { name: "go", title: "Go 1.27.3", mib: 72, client: Client::Pip { requirements: include_str!("go.txt") } };

/// The oldest Go that builds skills: that of the kit, with which the SDK is tried.
const OLDEST: (u32, u32) = (1, 27);

impl Toolchain for Go {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        vec![folder.to_owned()]
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        build(job).boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move {
            match of_the_machine().await {
                Some(version) => Ok(format!("Go {version}, the machine's own")),
                None => Ok(format!("{}; {}", python().await?.version(), shelf.state(&KIT))),
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
    let number = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (number >= OLDEST).then_some(version)
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    let own = of_the_machine().await.is_none();
    let program = match own {
        true => job.errand.shelf.get(&KIT, job.errand).await?.join("go/bin/go"),
        false => "go".into(),
    };
    let module = job.work.join("module.wasm");
    job.errand.line.say("building with Go");
    let mut command = process::program(program, job.folder);
    command
        .args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-checklinkname=0 -s -w", "-o"])
        .arg(&module)
        .arg(".")
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0")])
        // Neither another version of Go nor a workspace around the skill may change what is built.
        .envs([("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOFLAGS", "-mod=mod")]);
    if own {
        // Somebody who never installed Go has no use for its folders in the home directory.
        let cache = job.work.parent().unwrap_or(job.work);
        command.env("GOCACHE", cache.join("compiled")).env("GOPATH", cache.join("modules"));
        command.env("GOENV", "off").env_remove("GOROOT");
    }
    if job.errand.shelf.offline {
        command.env("GOPROXY", "off");
    }
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        return Err(process::failed("Go", job.folder, &ended.said(), job.errand));
    }
    encode::component(job, &module)
}
