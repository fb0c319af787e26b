//! Which folders of the machine may be granted at all.

use std::path::{Path, PathBuf};

/// Where the kernel shows itself. `/proc` holds this process's environment, and with it keys.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What belongs to the system, with all that is below.
const SYSTEM: [&str; 24] = [
    "/etc",
    "/run",
    "/boot",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/var/backups",
    "/var/cache",
    "/var/db",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/root",
    "/var/run",
    "/var/spool",
    "/private/etc",
    "/private/var/db",
    "/private/var/root",
    "/root",
    "/System",
    "/Library",
];

/// Where the folders of many things and people lie side by side.
const ROOTS: [&str; 8] = ["/home", "/Users", "/opt", "/srv", "/mnt", "/media", "/tmp", "/Applications"];

/// What of the machine is ours and what is the user's home, as a face hands it over. The core reads no environment.
#[derive(Clone, Debug, Default)]
pub struct Places {
    home: Option<PathBuf>,
    ours: Vec<PathBuf>,
}

/// What may become of a folder that somebody wants to grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Free,
    /// Only by somebody who says that it is meant. Why.
    Sensitive(&'static str),
    /// By nobody. Why.
    Never(&'static str),
}

impl Places {
    /// Paths need not exist yet. Links in them are followed as far as they do.
    pub fn new<'a>(home: Option<&Path>, ours: impl IntoIterator<Item = &'a Path>) -> Self {
        // A path that is not whole would be a part of every other.
        let real = |path: &Path| path.is_absolute().then(|| real(path));
        Self { home: home.and_then(real), ours: ours.into_iter().filter_map(real).collect() }
    }

    /// `path` is canonical.
    pub(super) fn standing(&self, path: &Path) -> Standing {
        let overlaps = |other: &Path| path.starts_with(other) || other.starts_with(path);
        if self.ours.iter().any(|ours| overlaps(ours)) {
            return Standing::Never(
                "it holds, or is inside of, what belongs to Ringfence itself: grants, keys and records",
            );
        }
        if KERNEL.iter().any(|kernel| overlaps(Path::new(kernel))) {
            return Standing::Never("it is where the kernel shows itself, the host's own keys included");
        }
        let of_system = SYSTEM.iter().any(|system| overlaps(Path::new(system)));
        let system = Standing::Sensitive("it belongs to the system");
        // A user may live inside of the system's folders: the administrator does, and so do services. Nobody has all of them for a home.
        let home = self.home.as_deref().filter(|home| home.components().count() > 1);
        let is_in = home.is_some_and(|home| path != home && path.starts_with(home));
        if of_system && !is_in {
            return system;
        }
        if ROOTS.iter().any(|root| path == Path::new(root)) {
            return Standing::Sensitive("it holds the folders of many programs and people");
        }
        let Some(home) = home else { return Standing::Free };
        if home.starts_with(path) {
            return Standing::Sensitive("it is the whole home folder, with every key and password in it");
        }
        let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.') || name == "Library";
        match path.strip_prefix(home).ok().and_then(|below| below.iter().next()) {
            // `.ssh`, `.gnupg`, `.aws`, `.config`, `.kube`, `.docker`, browsers' profiles: what is hidden in a home folder is
            // what programs keep there, and a list of them would never be whole.
            Some(first) if hidden(first) => Standing::Sensitive(
                "it is in a hidden folder of the home folder, where programs keep keys and passwords",
            ),
            _ => Standing::Free,
        }
    }
}

/// `path` without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut at = path;
    loop {
        if let Ok(real) = at.canonicalize() {
            return rest.iter().rev().fold(real, |path, part| path.join(part));
        }
        let (Some(above), Some(name)) = (at.parent(), at.file_name()) else { return path.to_owned() };
        rest.push(name);
        at = above;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t58_what_may_be_granted() {
        let places = Places {
            home: Some("/home/u".into()),
            ours: vec!["/home/u/.local/state/ringfence".into(), "/srv/ringfence".into()],
        };
        for path in [
            "/",
            "/home",
            "/home/u",
            "/home/u/.local",
            "/home/u/.local/state/ringfence",
            "/home/u/.local/state/ringfence/sub",
            "/srv",
            "/srv/ringfence",
            "/srv/ringfence/a/b",
            "/proc",
            "/proc/self",
            "/sys",
            "/dev",
            "/dev/shm",
        ] {
            assert!(matches!(places.standing(Path::new(path)), Standing::Never(_)), "{path}");
        }
        for path in [
            "/etc",
            "/etc/ssl",
            "/run/user/1000",
            "/boot",
            "/usr",
            "/usr/bin",
            "/usr/local/lib",
            "/bin",
            "/lib64",
            "/var",
            "/var/lib/x",
            "/var/spool/cron",
            "/root",
            "/root/notes",
            "/opt",
            "/mnt",
            "/home/u/.ssh",
            "/home/u/.gnupg",
            "/home/u/.aws",
            "/home/u/.config",
            "/home/u/.config/gh",
            "/home/u/.kube",
            "/home/u/.docker",
            "/home/u/.mozilla/firefox",
        ] {
            assert!(matches!(places.standing(Path::new(path)), Standing::Sensitive(_)), "{path}");
        }
        for path in [
            "/home/u/notes",
            "/home/u/notes/.git",
            "/home/u2",
            "/srv/data",
            "/srv/ringfence2",
            "/tmp/x",
            "/processes",
            "/var/www/x",
            "/opt/x/data",
        ] {
            assert_eq!(places.standing(Path::new(path)), Standing::Free, "{path}");
        }
        for (home, free, sensitive) in [
            ("/root", "/root/notes", "/root/.ssh"),
            ("/var/lib/x", "/var/lib/x/data", "/var/lib/y"),
            ("/", "/srv/x", "/usr/bin"),
        ] {
            let places = Places { home: Some(home.into()), ours: Vec::new() };
            assert_eq!(places.standing(Path::new(free)), Standing::Free, "{free}");
            assert!(matches!(places.standing(Path::new(sensitive)), Standing::Sensitive(_)), "{sensitive}");
            assert!(!matches!(places.standing(Path::new(home)), Standing::Free), "{home}");
        }
        let elsewhere = Places { home: Some("/home/u".into()), ours: vec!["/srv/ringfence".into()] };
        for path in ["/home", "/home/u"] {
            assert!(matches!(elsewhere.standing(Path::new(path)), Standing::Sensitive(_)), "{path}");
        }
    }

    #[test]
    fn links_to_what_is_ours_are_ours() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir(dir.join("real")).unwrap();
        std::os::unix::fs::symlink(dir.join("real"), dir.join("link")).unwrap();
        let places = Places::new(None, [&*dir.join("link/state/not/yet")]);
        assert_eq!(places.ours, [dir.join("real/state/not/yet")]);
        assert!(matches!(places.standing(&dir.join("real/state")), Standing::Never(_)));
        assert_eq!(places.standing(&dir.join("real/other")), Standing::Free);
    }
}
