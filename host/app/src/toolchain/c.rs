//! C skills, compiled by clang as the package of Zig brings it, with a C library for WASI.

use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use walkdir::WalkDir;

use super::shelf::{Client, Kit, python};
use super::{Errand, Job, Shelf, Toolchain, encode, process};
use crate::trouble::Trouble;

pub(super) struct C;

const KIT: Kit =
    Kit { name: "c", title: "zig cc 0.17.1", mib: 97, client: Client::Pip { requirements: include_str!("c.txt") } };

/// A reactor: a component is called, it has no `main`.
const FLAGS: [&str; 9] = [
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-std=gnu11",
    "-Oz",
    "-s",
    "-Wl,-z,stack-size=1048576",
    "-Wall",
    "-fmacro-backtrace-limit=1",
];

impl Toolchain for C {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        vec![folder.to_owned()]
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        build(job).boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move { Ok(format!("{}; {}", python().await?.version(), shelf.state(&KIT))) }.boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        errand.shelf.get(&KIT, errand).map(|got| got.map(drop)).boxed()
    }
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    let own = c_files(&job.folder.join("src"));
    if own.is_empty() {
        return Err(Trouble::new(
            "build-failed",
            format!("{} holds no src/*.c", job.folder.display()),
            "put the skill's C files into `src/`",
        ));
    }
    let kit = job.errand.shelf.get(&KIT, job.errand).await?;
    let sdk = job.sdk.join("sdk/c");
    let module = job.work.join("module.wasm");
    job.errand.line.say("building with zig cc");
    let mut command = process::program(kit.join("ziglang/zig"), job.folder);
    let cache = job.work.parent().unwrap_or(job.work);
    command.arg("cc").args(FLAGS).arg("-I").arg(sdk.join("include")).arg("-I").arg("include").args(own);
    command.args(c_files(&sdk.join("src"))).args(c_files(&sdk.join("bindings"))).arg("-o").arg(&module);
    // The C library is compiled once for all skills.
    command.env("ZIG_GLOBAL_CACHE_DIR", cache.join("zig")).env("ZIG_LOCAL_CACHE_DIR", job.work.join("zig"));
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        return Err(process::failed("zig cc", job.folder, &ended.said(), job.errand));
    }
    job.errand.line.warn(&ended.stderr);
    encode::component(job, &module)
}

/// The C files of a folder and of those below it, in a fixed order.
fn c_files(folder: &Path) -> Vec<PathBuf> {
    let walk = WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    walk.map(walkdir::DirEntry::into_path).filter(|path| path.extension().is_some_and(|end| end == "c")).collect()
}
