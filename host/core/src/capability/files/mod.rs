//! Folders of the user's, through each language's own file functions: `wasi:filesystem`, in our own hands.
//!
//! There is no interface of ours. A granted folder is what WASI calls a preopened directory, `/NAME` to the guest. What stands
//! between is this module and not wasmtime's own implementation, because each open must be asked, counted and recorded, and
//! because paths are resolved here: see `beneath.rs`.

mod act;
mod ask;
mod beneath;
mod code;
mod disk;
mod grant;
mod host;
mod listing;
mod place;
mod quota;
mod route;
mod stream;
#[cfg(test)]
mod tests;

pub use ask::{Act, Verb};
pub use disk::{Disk, FolderError, Folders};
pub use grant::{Folder, Grant, Mode, Request, SOME_FOLDER, Wanted};
pub use host::{Descriptor, View, add_to_linker};
pub use listing::Listing;
pub use place::Places;

mod bindings {
    wasmtime::component::bindgen!({
        path: "src/capability/files/wasi.wit",
        world: "ringfence:files-words/words",
        imports: { default: async | trappable },
        trappable_error_type: { "wasi:filesystem/types.error-code" => crate::capability::files::code::Fault },
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem/types.descriptor": crate::capability::files::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": crate::capability::files::Listing,
        },
    });
}
