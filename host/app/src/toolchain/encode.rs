//! From a core module, as linkers write it, to a component.

use std::path::{Path, PathBuf};

use ringfence_core::Error;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::Job;
use crate::trouble::Trouble;

/// The world of a skill.
const WORLD: &str = "guest";

/// Makes a component, beside other work, of a module that imports and exports what the bindings of the interface in `wit` do. What it wants of WASI preview 1
/// is answered by the adapter, which imports WASI 0.2; a module that wants nothing of it gets none.
pub(super) fn component(job: Job<'_>, module: &Path) -> Result<PathBuf, Error> {
    let bytes = std::fs::read(module).map_err(|error| Trouble::unreadable(module, &error))?;
    let component = encode(bytes, &job.sdk.join("wit")).map_err(|error| refused(&with_causes(&*error), job.folder))?;
    let file = job.work.join("component.wasm");
    std::fs::write(&file, component).map_err(|error| Trouble::unwritable(&file, &error))?;
    Ok(file)
}

/// What a module lacks. One without the SDK has nothing at all that a host could call.
fn refused(why: &str, folder: &Path) -> Error {
    if why.contains("failed to find export of interface `ringfence:skill/skill") {
        return Trouble::new(
            "build-failed",
            format!("{} has no tools: nothing in it uses the SDK", folder.display()),
            "import the SDK and register a tool; in Go, `import \"ringfence\"` and call `ringfence.Tool(...)` in `func init()`",
        );
    }
    Trouble::new(
        "build-failed",
        format!("{} cannot be made a component: {why}", folder.display()),
        "use the SDK's own bindings and leave what they export alone",
    )
}

fn encode(mut module: Vec<u8>, wit: &Path) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    // Bindings for C bring the types along; those for Go have no way to.
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().module(&module)?.validate(true).adapter(PREVIEW1, REACTOR)?.encode()?)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}").replace('\n', " "))
}
