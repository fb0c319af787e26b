//! TypeScript and JavaScript skills: bundled by esbuild, and wrapped around an engine by what the SDK brings along.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::process::Command;

use super::npm::{self, For};
use super::shelf::{Client, Kit, node};
use super::{Errand, Job, Shelf, Toolchain, process};

pub(super) struct JavaScript;

const KIT: Kit = Kit {
    name: "javascript",
    title: "componentize-qjs 0.4.5 with esbuild 0.28.2",
    mib: 30,
    client: Client::Npm {
        package: include_str!("javascript/package.json"),
        lock: include_str!("javascript/package-lock.json"),
    },
    keys: &["node_modules/esbuild/lib/main.js", "node_modules/componentize-qjs/index.js"],
};

impl Toolchain for JavaScript {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        vec![folder.to_owned()]
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        build(job).boxed()
    }

    fn test<'a>(&'a self, job: Job<'a>, args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>> {
        async move {
            node().await?;
            npm::packages(job, For::Tests).await?;
            let mut command = process::program("npm", job.folder);
            command.args(["test", "--silent", "--"]).args(args);
            Ok(command)
        }
        .boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move { Ok(format!("Node.js {}; {}", node().await?, shelf.tell(&KIT)?)) }.boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        errand.shelf.get(&KIT, errand).map(|got| got.map(drop)).boxed()
    }
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    node().await?;
    let kit = job.errand.shelf.get(&KIT, job.errand).await?;
    npm::packages(job, For::Build).await?;
    let component = job.work.join("component.wasm");
    job.errand.line.say("building with esbuild and componentize-qjs");
    let mut command = process::program("node", job.folder);
    command.arg(job.sdk.join("sdk/typescript/builder/build.mjs")).arg(job.folder).arg("--out").arg(&component);
    command.arg("--tools").arg(kit);
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        return Err(process::failed("the bundler", job.folder, &ended.stderr, job.errand));
    }
    job.errand.line.warn(&ended.stderr);
    Ok(component)
}
