//! What guests are linked against, and the check that a component asks for nothing else.
//!
//! Deliberately absent: `wasi:http`, and any socket. A skill reaches the network through the broker or not at all. `wasi:sockets` can be
//! imported, because CPython and other runtimes import it whether the skill has a use for it or not; what would make a socket or look
//! a name up is refused before the system hears of it.

use wasmtime::component::{
    Component, ComponentExportIndex, HasData, Instance, InstancePre, Linker, ResourceTable, TypedFunc,
};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::LoadError;
use super::guest::Guest;
use crate::capability;

/// The export of every skill.
pub(crate) mod exports {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package ringfence:host; world exports { export ringfence:skill/skill@0.1.0; }",
        world: "ringfence:host/exports",
        exports: { default: async },
        with: { "ringfence:skill/types@0.1.0": crate::capability::words::types },
    });
    pub(crate) use self::exports::ringfence::skill::skill::{Caller, Context};
    pub(crate) use crate::capability::words::types::{Content, Failure, FailureKind, Outcome, Tool, ToolHints};
}

/// A component with its imports resolved and its exports found: what is left per call is to instantiate it.
#[derive(Clone)]
pub(crate) enum Pre {
    Skill(Skill),
    /// One without the export of skills: its functions may be tools.
    Plain(InstancePre<Guest>),
}

/// A component with the export of every skill.
#[derive(Clone)]
pub(crate) struct Skill {
    pub(crate) pre: exports::ExportsPre<Guest>,
    /// What a call needs of it, and all that it looks up.
    call: ComponentExportIndex,
}

impl Skill {
    fn new(pre: InstancePre<Guest>) -> wasmtime::Result<Self> {
        let pre = exports::ExportsPre::new(pre)?;
        let component = pre.instance_pre().component();
        let interface = component.get_export_index(None, format!("{PACKAGE}/{EXPORT}@{VERSION}"));
        let call = interface.and_then(|interface| component.get_export_index(Some(&interface), "call"));
        let call = call.ok_or_else(|| wasmtime::Error::msg("it has no `call`"))?;
        Ok(Self { pre, call })
    }

    /// A new instance.
    pub(crate) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        self.pre.instance_pre().instantiate_async(store).await
    }

    /// Calls a tool of an instance of this component.
    pub(crate) async fn call(
        &self,
        store: &mut Store<Guest>,
        instance: Instance,
        tool: &str,
        input: &str,
        context: &exports::Context,
    ) -> wasmtime::Result<Result<exports::Outcome, exports::Failure>> {
        type Call<'a> =
            TypedFunc<(&'a str, &'a str, &'a exports::Context), (Result<exports::Outcome, exports::Failure>,)>;
        let call: Call<'_> = instance.get_typed_func(&mut *store, self.call)?;
        let (called,) = call.call_async(store, (tool, input, context)).await?;
        Ok(called)
    }
}

/// The package of our interface, and the version that this host serves.
pub(crate) const PACKAGE: &str = "ringfence:skill";
pub(crate) const VERSION: &str = "0.1.0";
const EXPORT: &str = "skill";

/// Interfaces of WASI that are linked: all empty, but for files, which are a capability. Patch versions of 0.2 match one another.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Makes the linker. Done once per host: type-checking imports is far too slow for a call.
pub(crate) fn link(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    capability::link(&mut linker)?;
    link_wasi(&mut linker)?;
    Ok(linker)
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

fn link_wasi(l: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
    use wasmtime_wasi::p2::bindings::{cli, clocks, random, sockets};
    use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
    use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
    use wasmtime_wasi_io::bindings::wasi::io;

    io::error::add_to_linker::<Guest, Io>(l, |guest| guest.ctx().table)?;
    io::poll::add_to_linker::<Guest, Io>(l, |guest| guest.ctx().table)?;
    io::streams::add_to_linker::<Guest, Io>(l, |guest| guest.ctx().table)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    random::random::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    // The context allows neither TCP nor UDP nor names: see `wasi.rs`.
    sockets::instance_network::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::network::add_to_linker::<Guest, WasiSockets>(
        l,
        &sockets::network::LinkOptions::default(),
        Guest::sockets,
    )?;
    sockets::ip_name_lookup::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::tcp::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::udp::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::udp_create_socket::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    Ok(())
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi()
    }
}

/// Checks imports and exports by name, so that a refusal can say which, and links.
pub(crate) fn prepare(engine: &Engine, linker: &Linker<Guest>, component: &Component) -> Result<Pre, LoadError> {
    let ty = component.component_type();
    for (name, _) in ty.imports(engine) {
        check_import(name)?;
    }
    let mut found = None;
    for (name, _) in ty.exports(engine) {
        if let Some((interface, version)) = ours(name)
            && interface == EXPORT
        {
            found = Some(version.to_owned());
        }
    }
    if let Some(version) = found.as_deref().filter(|version| *version != VERSION) {
        return Err(LoadError::WitVersion {
            found: format!("{PACKAGE}@{version}"),
            served: format!("{PACKAGE}@{VERSION}"),
        });
    }
    let pre: InstancePre<Guest> = linker.instantiate_pre(component).map_err(|error| {
        let text = format!("{error:#}");
        let name = text.split('`').nth(1).unwrap_or("?").to_owned();
        LoadError::UnsupportedImport { name, detail: format!(" in this form ({})", first_line(&text)) }
    })?;
    if found.is_none() {
        return Ok(Pre::Plain(pre));
    }
    Skill::new(pre).map(Pre::Skill).map_err(|error| {
        let detail = first_line(&format!("{error:#}")).to_owned();
        LoadError::MissingExport(format!("{PACKAGE}/{EXPORT}@{VERSION} in its right form ({detail})"))
    })
}

/// What is said of a component that offers nothing at all.
pub(crate) fn no_export() -> LoadError {
    LoadError::MissingExport(format!("{PACKAGE}/{EXPORT}@{VERSION}"))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn check_import(name: &str) -> Result<(), LoadError> {
    if let Some((interface, version)) = ours(name) {
        if version != VERSION {
            return Err(LoadError::WitVersion {
                found: format!("{PACKAGE}@{version}"),
                served: format!("{PACKAGE}@{VERSION}"),
            });
        }
        if interface == "types" || capability::NAMES.contains(&interface) {
            return Ok(());
        }
    } else if WASI.iter().any(|prefix| name.starts_with(prefix)) && name.contains("@0.2.") {
        return Ok(());
    }
    Err(LoadError::UnsupportedImport { name: name.to_owned(), detail: String::new() })
}

/// Interface and version of a name in our package.
fn ours(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(rest.split_once('@').unwrap_or((rest, "none")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_served_or_named() {
        for name in [
            "ringfence:skill/kv@0.1.0",
            "ringfence:skill/types@0.1.0",
            "wasi:cli/stdout@0.2.9",
            "wasi:sockets/tcp@0.2.9",
        ] {
            check_import(name).unwrap();
        }
        for name in [
            "wasi:sockets/tcp@0.3.0",
            "wasi:http/outgoing-handler@0.2.3",
            "wasi:cli/stdout@0.3.0",
            "ringfence:skill/admin@0.1.0",
            "env",
        ] {
            let error = check_import(name).unwrap_err();
            assert!(matches!(&error, LoadError::UnsupportedImport { name: named, .. } if named == name), "{error}");
        }
        let error = check_import("ringfence:skill/kv@0.2.0").unwrap_err();
        assert!(error.to_string().contains("0.2.0") && error.to_string().contains("0.1.0"), "{error}");
    }
}
