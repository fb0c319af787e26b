//! C skills, compiled by clang as the package of Zig brings it, with a C library for WASI.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::process::Command;
use walkdir::WalkDir;

use super::shelf::{Client, Kit, python};
use super::{Errand, Job, Shelf, Toolchain, encode, process};
use crate::trouble::Trouble;

pub(super) struct C;

const KIT: Kit = Kit {
    name: "c",
    title: "zig cc 0.17.1",
    mib: 97,
    client: Client::Pip { requirements: include_str!("c.txt") },
    keys: &["ziglang/zig"],
};

const NO_MAKE: &str = "there is no `make`, which runs the tests of C skills";
const MAKE: &str = "install it from your system's packages; a compiler need not be there";

/// Tests are built by the skill's own Makefile, which is its author's to change.
async fn has_make() -> bool {
    process::output("make", &["--version"], Path::new(".")).await.is_ok()
}

/// How all of it is compiled.
const FLAGS: [&str; 13] = [
    "-target",
    "wasm32-wasi",
    // A component is called, it has no `main`.
    "-mexec-model=reactor",
    // Strict C would hide what WASI's C library has for time and chance.
    "-std=gnu11",
    "-Oz",
    "-s",
    // Without it `assert` says nothing at this level of optimisation.
    "-UNDEBUG",
    // Writing to address 0 is allowed in WebAssembly: these make mistakes end the call, and cost some hundred bytes.
    "-fsanitize=null,bounds,return,unreachable",
    "-fsanitize-trap=all",
    // The usual 16 MiB would be memory of each call.
    "-Wl,-z,stack-size=1048576",
    "-Wall",
    "-Wextra",
    "-fmacro-backtrace-limit=1",
];

impl Toolchain for C {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        vec![folder.to_owned()]
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        build(job).boxed()
    }

    fn test<'a>(&'a self, job: Job<'a>, args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>> {
        async move {
            if !has_make().await {
                return Err(Trouble::new("toolchain-missing", NO_MAKE, MAKE));
            }
            let mut command = process::program("make", job.folder);
            command.arg("test").args(args);
            // A machine without a compiler of its own has the one that builds the component.
            if process::output("cc", &["--version"], job.folder).await.is_err() {
                let zig = job.errand.shelf.get(&KIT, job.errand).await?.join("ziglang/zig");
                command.arg(format!("CC={} cc", zig.display()));
            }
            Ok(command)
        }
        .boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move {
            let tests = if has_make().await { String::new() } else { format!("; {NO_MAKE}: {MAKE}") };
            Ok(format!("{}; {}{tests}", python().await?.version(), shelf.tell(&KIT)?))
        }
        .boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        errand.shelf.get(&KIT, errand).map(|got| got.map(drop)).boxed()
    }
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    // From the folder, so that what the compiler says names them as the author does.
    let own = c_files(&job.folder.join("src"));
    let own: Vec<_> = own.iter().map(|file| file.strip_prefix(job.folder).unwrap_or(file)).collect();
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
    command.arg(format!("-fmacro-prefix-map={}=sdk/c", sdk.display()));
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
