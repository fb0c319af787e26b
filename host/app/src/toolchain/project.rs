//! Files of a skill's folder. A stranger may have filled it: what is read there has an end, and nobody waits for a pipe.

use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Largest list of packages: what clients write down of large projects has some MiB.
pub(crate) const LIST_BYTES: u64 = 32 << 20;
/// Largest file in which we say what something was made of.
pub(crate) const STAMP_BYTES: u64 = 4 << 10;

/// Opens what is a file, perhaps behind a link: to wait for somebody who writes into a pipe is to wait for ever, and `/dev/zero` has no end.
pub(crate) fn open(path: &Path) -> io::Result<std::fs::File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file")),
    }
}

/// A text of at most so many bytes.
pub(crate) fn text(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is longer than {} KiB", most >> 10)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_a_file_with_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        assert_eq!(text(&at("file"), 4).unwrap(), "text");
        assert_eq!(text(&at("link"), 4).unwrap(), "text");
        assert_eq!(text(&at("file"), 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), pipe, rustix::fs::Mode::RUSR, 0).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("endless")).unwrap();
        for name in ["pipe", "endless", "."] {
            assert_eq!(text(&at(name), 4).unwrap_err().to_string(), "it is not a file", "{name}");
        }
        std::fs::write(at("file"), b"\xff").unwrap();
        assert!(text(&at("file"), 4).unwrap_err().to_string().contains("UTF-8"));
        assert_eq!(text(&at("none"), 4).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
