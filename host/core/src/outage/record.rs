//! What `shim.c` wrote down: every change below one directory, in order.

use std::path::PathBuf;

/// One line of the record. Numbers are file descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// `made` where it was not there before, `emptied` where it was and was cut to nothing.
    Open {
        fd: i32,
        path: PathBuf,
        made: bool,
        emptied: bool,
    },
    Close {
        fd: i32,
    },
    Write {
        fd: i32,
        at: usize,
        data: Vec<u8>,
    },
    Truncate {
        fd: i32,
        length: usize,
    },
    Sync {
        fd: i32,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    MakeDir {
        path: PathBuf,
    },
    /// The child told something.
    Note(String),
    /// The next change was made to fail, and so is not in the record.
    Failed,
}

impl Event {
    /// What happened, without what was written.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Write { fd, at, data } => format!("write of {} bytes at {at} to {fd}", data.len()),
            other => format!("{other:?}"),
        }
    }

    /// Whether the shim counts it as a change.
    pub(super) fn is_change(&self) -> bool {
        match self {
            Self::Open { made, .. } => *made,
            Self::Close { .. } | Self::Note(_) | Self::Failed => false,
            _ => true,
        }
    }
}

/// The whole record. A last line that is cut off, since the child was killed, is left out.
pub(super) fn read(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_at_checked(24) {
        let op = u32::from_ne_bytes(head[0..4].try_into().unwrap());
        let fd = i32::from_ne_bytes(head[4..8].try_into().unwrap());
        let at = i64::from_ne_bytes(head[8..16].try_into().unwrap());
        let length = u64::from_ne_bytes(head[16..24].try_into().unwrap());
        let Some((data, after)) = after.split_at_checked(usize::try_from(length).unwrap()) else { break };
        events.push(event(op, fd, at, data));
        rest = after;
    }
    events
}

fn event(op: u32, fd: i32, at: i64, data: &[u8]) -> Event {
    let text = || String::from_utf8(data.to_vec()).unwrap();
    let path = || PathBuf::from(text());
    let number = || usize::try_from(at).unwrap();
    match op {
        1 => Event::Open { fd, path: path(), made: at & 1 != 0, emptied: at & 2 != 0 },
        2 => Event::Close { fd },
        3 => Event::Write { fd, at: number(), data: data.to_vec() },
        4 => Event::Truncate { fd, length: number() },
        5 => Event::Sync { fd },
        6 => {
            let text = text();
            let (from, to) = text.split_once('\0').unwrap();
            Event::Rename { from: from.into(), to: to.into() }
        }
        7 => Event::Unlink { path: path() },
        8 => Event::MakeDir { path: path() },
        9 => Event::Note(text()),
        10 => Event::Failed,
        other => panic!("the record has an unknown line: {other}"),
    }
}

/// As it is read.
pub(super) fn write(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned().into_bytes();
        let (op, fd, at, data): (u32, i32, usize, Vec<u8>) = match event {
            Event::Open { fd, path, made, emptied } => {
                (1, *fd, usize::from(*made) | usize::from(*emptied) << 1, text(path))
            }
            Event::Close { fd } => (2, *fd, 0, Vec::new()),
            Event::Write { fd, at, data } => (3, *fd, *at, data.clone()),
            Event::Truncate { fd, length } => (4, *fd, *length, Vec::new()),
            Event::Sync { fd } => (5, *fd, 0, Vec::new()),
            Event::Rename { from, to } => (6, -1, 0, [text(from), text(to)].join(&0)),
            Event::Unlink { path } => (7, -1, 0, text(path)),
            Event::MakeDir { path } => (8, -1, 0, text(path)),
            Event::Note(note) => (9, -1, 0, note.clone().into_bytes()),
            Event::Failed => (10, -1, 0, Vec::new()),
        };
        bytes.extend(op.to_ne_bytes());
        bytes.extend(fd.to_ne_bytes());
        bytes.extend((at as u64).to_ne_bytes());
        bytes.extend((data.len() as u64).to_ne_bytes());
        bytes.extend(data);
    }
    bytes
}
