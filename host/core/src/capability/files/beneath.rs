//! Opening below a folder, so that nothing outside of it is ever reached.
//!
//! On Linux the kernel resolves the path (`openat2`): no step leads above the folder, through a magic link of `/proc`, or onto
//! another mounted file system, whatever others rename meanwhile. Links that stay inside are followed. Where the kernel
//! cannot, each name is opened by itself and no link is followed at all. Callers give plain names (see `route.rs`).

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// How files are opened: a pipe or a device must neither hold us up nor become our terminal before it is looked at.
pub(super) const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// How a folder is opened that is listed.
pub(super) const FOLDER: OFlags = OFlags::CLOEXEC.union(OFlags::DIRECTORY);

/// How something is opened that is only looked at, and a folder in which something is done.
#[cfg(target_os = "linux")]
pub(super) const LOOK: OFlags = OFlags::CLOEXEC.union(OFlags::PATH);
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK: OFlags = OPEN;

/// Opens what is at `path` below `folder`.
pub(super) fn open(folder: &File, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    below(folder, path, flags, Mode::empty())
}

/// Makes a file that is not there yet.
pub(super) fn make(folder: &File, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    // What the user's other programs may do with it is the user's `umask`.
    below(folder, path, flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, Mode::from_raw_mode(0o666))
}

fn below(folder: &File, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags as Resolve;
        let resolve = Resolve::BENEATH | Resolve::NO_MAGICLINKS | Resolve::NO_XDEV;
        if let Some(opened) = by_kernel(folder.as_fd(), Path::new(path), flags, mode, resolve) {
            return opened;
        }
    }
    let parts: Vec<&std::ffi::OsStr> = path.split('/').map(std::ffi::OsStr::new).collect();
    let device = rustix::fs::fstat(folder)?.st_dev;
    step_by_step(folder.as_fd(), &parts, flags, mode, |fd| match rustix::fs::fstat(fd)?.st_dev == device {
        true => Ok(()),
        false => Err(Errno::XDEV),
    })
}

/// Opens the folder at a path from the top that holds no links, as canonical ones are.
pub(super) fn root(path: &Path) -> Result<File, Errno> {
    #[cfg(target_os = "linux")]
    if let Some(opened) = by_kernel(CWD, path, FOLDER, Mode::empty(), rustix::fs::ResolveFlags::NO_SYMLINKS) {
        return opened.map(File::from);
    }
    let top = openat(CWD, "/", FOLDER, Mode::empty())?;
    let parts: Vec<&std::ffi::OsStr> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    if parts.is_empty() {
        return Ok(File::from(top));
    }
    step_by_step(top.as_fd(), &parts, FOLDER, Mode::empty(), |_| Ok(())).map(File::from)
}

/// None where this kernel, or a filter around this process, has no `openat2`.
#[cfg(target_os = "linux")]
fn by_kernel(
    folder: rustix::fd::BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    resolve: rustix::fs::ResolveFlags,
) -> Option<Result<OwnedFd, Errno>> {
    /// A rename anywhere on the machine meanwhile makes the kernel say "again".
    const ATTEMPTS: u32 = 32;

    for _ in 0..ATTEMPTS {
        match rustix::fs::openat2(folder, path, flags, mode, resolve) {
            Err(Errno::AGAIN) => {}
            // A filter may say "not permitted" for a call that it does not know.
            Err(Errno::NOSYS | Errno::PERM) => return None,
            opened => return Some(opened),
        }
    }
    Some(Err(Errno::BUSY))
}

fn step_by_step(
    folder: rustix::fd::BorrowedFd<'_>,
    parts: &[&std::ffi::OsStr],
    flags: OFlags,
    mode: Mode,
    check: impl Fn(&OwnedFd) -> Result<(), Errno>,
) -> Result<OwnedFd, Errno> {
    let (last, above) = parts.split_last().ok_or(Errno::NOENT)?;
    let mut at: Option<OwnedFd> = None;
    for part in above {
        let next = openat(at.as_ref().map_or(folder, AsFd::as_fd), *part, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        check(&next)?;
        at = Some(next);
    }
    let opened = openat(at.as_ref().map_or(folder, AsFd::as_fd), *last, flags | OFlags::NOFOLLOW, mode)?;
    check(&opened)?;
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without `openat2`, no link is followed, and what is inside is reached all the same.
    #[test]
    fn step_by_step_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/f"), "in").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).unwrap();
        let folder = File::open(dir.path()).unwrap();
        let step = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(std::ffi::OsStr::new).collect();
            step_by_step(folder.as_fd(), &parts, OPEN, Mode::empty(), |_| Ok(())).map(drop)
        };
        assert_eq!(step(&["a", "b", "f"]), Ok(()));
        assert_eq!(step(&["."]), Ok(()));
        assert!(matches!(step(&["link", "b", "f"]), Err(Errno::LOOP | Errno::NOTDIR)));
        assert_eq!(step(&["out"]), Err(Errno::LOOP));
        assert_eq!(step(&["none"]), Err(Errno::NOENT));
    }
}
