//! `load`: the bytes of a component through everything that happens to them before the first instance.

#![allow(clippy::panic, reason = "how a target tells what it found")]

use std::sync::LazyLock;

use wasmtime::component::{Component, Linker};

use super::package::Package;
use super::reflect::reflect;
use super::tool::callables;
use crate::engine::guest::Guest;
use crate::engine::{config, linker, precheck};
use crate::policy::manifest::Manifest;

/// Larger ones are not compiled: what compiling may cost is bounded by a process of its own, which is not here.
const COMPILED: usize = 4 << 10;

/// An engine without its ticker, and what guests are linked against. None where this machine has no room for it.
static GROUND: LazyLock<Option<(wasmtime::Engine, Linker<Guest>)>> = LazyLock::new(|| {
    let engine = wasmtime::Engine::new(&config::on_demand()).ok()?;
    let linker = linker::link(&engine).ok()?;
    Some((engine, linker))
});

pub(crate) fn load(bytes: &[u8]) {
    let check = |bytes: &[u8]| precheck::check(bytes).and_then(|()| precheck::validate(bytes));
    let checked = check(bytes);
    let Ok(package) = Package::read(bytes) else { return };
    let Package { code, manifest, tools, docs, .. } = package;
    assert!(code.len() <= bytes.len(), "code grew");
    // Taking apart what was taken apart changes nothing: the digest of code depends on code alone.
    let Ok(bare) = Package::read(&code) else { panic!("what was taken out of a package cannot be read") };
    assert_eq!(bare.code, code, "custom sections were left in");
    assert!(bare.manifest.is_none() && bare.tools.is_none());
    let code_checked = check(&code);
    if checked.is_ok() {
        assert!(code_checked.is_ok(), "custom sections made code valid: {code_checked:?}");
    }
    if let Some(tools) = &tools {
        drop(callables(tools));
    }
    if code_checked.is_err() {
        return;
    }
    let manifest = manifest.unwrap_or_else(|| Manifest::bare("it"));
    let tools = tools.unwrap_or_default();
    let Ok(apart) = Package::read(&Package::write(&code, &manifest, &tools)) else {
        panic!("what was packaged does not come apart")
    };
    assert_eq!(apart.code, code);
    assert_eq!(apart.manifest.map(|manifest| manifest.name), Some(manifest.name));
    assert_eq!(apart.tools.map(|tools| tools.len()), Some(tools.len()));
    let Some((engine, linker)) = GROUND.as_ref() else { return };
    if code.len() <= COMPILED
        && let Ok(component) = Component::new(engine, &code)
    {
        let Ok(linker::Pre::Plain(pre)) = linker::prepare(engine, linker, &component) else { return };
        drop(reflect(engine, pre.component(), &docs));
    }
}
