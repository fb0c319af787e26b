//! What goes wrong, in WASI's words for it.

use rustix::io::Errno;
use wasmtime::component::ResourceTableError;

use super::bindings::wasi::filesystem::types::ErrorCode;
use crate::error::Refusal;

/// Why a function of a guest's did not do what it should.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The guest is told.
    Code(ErrorCode),
    /// The invocation ends.
    Trap(wasmtime::Error),
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<ResourceTableError> for Fault {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(_) => Self::Code(ErrorCode::NotPermitted),
            Refusal::OverBudget(_) | Refusal::TooLarge(_) => Self::Code(ErrorCode::Quota),
            Refusal::Unavailable(_) | Refusal::Server(_) => Self::Code(ErrorCode::Io),
            Refusal::Invalid(_) => Self::Code(ErrorCode::Invalid),
            Refusal::TimedOut(_) | Refusal::Cancelled => Self::Trap(refusal.into()),
        }
    }
}

/// What the system said.
pub(super) fn of_system(error: Errno) -> ErrorCode {
    match error {
        Errno::ACCESS => ErrorCode::Access,
        Errno::BADF => ErrorCode::BadDescriptor,
        Errno::BUSY => ErrorCode::Busy,
        Errno::DQUOT => ErrorCode::Quota,
        Errno::EXIST => ErrorCode::Exist,
        Errno::FBIG => ErrorCode::FileTooLarge,
        Errno::INVAL => ErrorCode::Invalid,
        Errno::ISDIR => ErrorCode::IsDirectory,
        Errno::LOOP => ErrorCode::Loop,
        Errno::MLINK => ErrorCode::TooManyLinks,
        Errno::NAMETOOLONG => ErrorCode::NameTooLong,
        Errno::NOENT => ErrorCode::NoEntry,
        Errno::NOMEM => ErrorCode::InsufficientMemory,
        Errno::NOSPC => ErrorCode::InsufficientSpace,
        Errno::NOTDIR => ErrorCode::NotDirectory,
        Errno::NOTEMPTY => ErrorCode::NotEmpty,
        Errno::NOTSUP => ErrorCode::Unsupported,
        Errno::OVERFLOW => ErrorCode::Overflow,
        Errno::ROFS => ErrorCode::ReadOnly,
        Errno::TXTBSY => ErrorCode::TextFileBusy,
        // A pipe or a device that nobody reads, opened for writing; and whatever leads outside or to another file system.
        Errno::NXIO | Errno::NODEV | Errno::PERM | Errno::XDEV => ErrorCode::NotPermitted,
        _ => {
            tracing::debug!(%error, "an error of the file system");
            ErrorCode::Io
        }
    }
}

pub(super) fn of_io(error: &std::io::Error) -> ErrorCode {
    Errno::from_io_error(error).map_or(ErrorCode::Io, of_system)
}
