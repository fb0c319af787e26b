//! A disk whose power may go at any moment.
//!
//! What was synced stays. Of what was not, anything may be there afterwards, in any order: a write whole, in part, as junk or
//! not at all, a name or none. That is what POSIX allows, and more than most file systems do.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::dice::Dice;
use super::record::Event;

/// What a disk writes at once, or not.
const SECTOR: usize = 512;

/// One directory with what is below it.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    dirs: BTreeMap<PathBuf, Dir>,
    /// The names as a process sees them now.
    names: BTreeMap<PathBuf, usize>,
    open: BTreeMap<i32, Open>,
    /// Counts changes, over all files.
    clock: u64,
}

#[derive(Clone, Debug)]
enum Open {
    File(usize),
    Dir(PathBuf),
}

/// A file, whatever it is called.
#[derive(Clone, Debug, Default)]
struct Node {
    synced: Vec<u8>,
    loose: Vec<(u64, Change)>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    synced: BTreeMap<OsString, Entry>,
    loose: Vec<(u64, Turn)>,
}

#[derive(Clone, Debug)]
enum Entry {
    File(usize),
    Dir,
}

#[derive(Clone, Debug)]
enum Turn {
    Put(OsString, Entry),
    Gone(OsString),
    Renamed { from: OsString, to: OsString, node: usize },
}

/// Which of the changes that were not synced are on the disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lot {
    None,
    All,
    /// Those before a time; the one at it in part.
    Until(u64),
    /// Each by itself.
    Any,
}

impl Lot {
    fn draw(dice: &mut Dice, clock: u64) -> Self {
        match dice.below(8) {
            0 => Self::None,
            1 => Self::All,
            2 | 3 => Self::Until(dice.below(clock + 1)),
            _ => Self::Any,
        }
    }
}

impl Disk {
    /// The directory as it is now, all of it synced.
    pub(super) fn load(root: &Path) -> Self {
        Self::load_as(root, root)
    }

    /// What lies in `from`, as if it were at `root`.
    pub(super) fn load_as(from: &Path, root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            nodes: Vec::new(),
            dirs: BTreeMap::new(),
            names: BTreeMap::new(),
            open: BTreeMap::new(),
            clock: 0,
        };
        disk.load_dir(from, root);
        disk
    }

    fn load_dir(&mut self, from: &Path, to: &Path) {
        let mut dir = Dir::default();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            let kept = if entry.file_type().unwrap().is_dir() {
                self.load_dir(&entry.path(), &to);
                Entry::Dir
            } else {
                let node = self.node(std::fs::read(entry.path()).unwrap());
                self.names.insert(to, node);
                Entry::File(node)
            };
            dir.synced.insert(entry.file_name(), kept);
        }
        self.dirs.insert(to.to_owned(), dir);
    }

    fn node(&mut self, synced: Vec<u8>) -> usize {
        self.nodes.push(Node { synced, loose: Vec::new() });
        self.nodes.len() - 1
    }

    /// Follows one event. What is outside of the directory is somebody else's.
    pub(super) fn apply(&mut self, event: &Event) {
        self.clock += 1;
        match event {
            Event::Open { fd, path, made, emptied } => self.opened(*fd, path, *made, *emptied),
            Event::Close { fd } => drop(self.open.remove(fd)),
            Event::Write { fd, at, data } => self.changed(*fd, Change::Write { at: *at, data: data.clone() }),
            Event::Truncate { fd, length } => self.changed(*fd, Change::Length(*length)),
            Event::Sync { fd } => match self.open.get(fd) {
                Some(Open::File(node)) => self.nodes[*node].sync(),
                Some(Open::Dir(path)) => self.dirs.get_mut(path).unwrap().sync(),
                None => {}
            },
            Event::Rename { from, to } => self.renamed(from, to),
            Event::Unlink { path } => {
                if self.names.remove(path).is_some() {
                    self.turn(path, Turn::Gone(name(path)));
                }
            }
            Event::MakeDir { path } => {
                if path.starts_with(&self.root) {
                    self.dirs.insert(path.clone(), Dir::default());
                    self.turn(path, Turn::Put(name(path), Entry::Dir));
                }
            }
            Event::Note(_) | Event::Failed => {}
        }
    }

    fn opened(&mut self, fd: i32, path: &Path, made: bool, emptied: bool) {
        if self.dirs.contains_key(path) {
            self.open.insert(fd, Open::Dir(path.to_owned()));
        } else if made && path.starts_with(&self.root) {
            let node = self.node(Vec::new());
            self.names.insert(path.to_owned(), node);
            self.turn(path, Turn::Put(name(path), Entry::File(node)));
            self.open.insert(fd, Open::File(node));
        } else if let Some(node) = self.names.get(path) {
            self.open.insert(fd, Open::File(*node));
            if emptied {
                self.changed(fd, Change::Length(0));
            }
        }
    }

    fn changed(&mut self, fd: i32, change: Change) {
        if let Some(Open::File(node)) = self.open.get(&fd) {
            self.nodes[*node].loose.push((self.clock, change));
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path) {
        if let Some(node) = self.names.remove(from) {
            assert_eq!(from.parent(), to.parent(), "files of ours are renamed where they are");
            self.names.insert(to.to_owned(), node);
            self.turn(to, Turn::Renamed { from: name(from), to: name(to), node });
        }
    }

    fn turn(&mut self, path: &Path, turn: Turn) {
        self.dirs.get_mut(path.parent().unwrap()).unwrap().loose.push((self.clock, turn));
    }

    /// As a killed process leaves it: everything is there.
    pub(super) fn kill(&self, into: &Path) {
        self.leave(into, &mut Dice::new(0), Lot::All, Lot::All);
    }

    /// The power goes, and only what was synced is there.
    pub(super) fn lose(&self, into: &Path) {
        self.leave(into, &mut Dice::new(0), Lot::None, Lot::None);
    }

    /// The power goes, and this is what is found afterwards. Says what became of the changes of contents and of names.
    pub(super) fn cut(&self, into: &Path, dice: &mut Dice) -> (Lot, Lot) {
        let (data, names) = (Lot::draw(dice, self.clock), Lot::draw(dice, self.clock));
        self.leave(into, dice, data, names);
        (data, names)
    }

    fn leave(&self, into: &Path, dice: &mut Dice, data: Lot, names: Lot) {
        self.leave_dir(&self.root, into, dice, data, names);
    }

    fn leave_dir(&self, from: &Path, into: &Path, dice: &mut Dice, data: Lot, names: Lot) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(into).unwrap();
        for (name, entry) in self.dirs[from].after(dice, names) {
            let to = into.join(&name);
            match entry {
                Entry::Dir => self.leave_dir(&from.join(&name), &to, dice, data, names),
                Entry::File(node) => {
                    let mut options = std::fs::OpenOptions::new();
                    let mut file = options.write(true).create_new(true).mode(0o600).open(to).unwrap();
                    std::io::Write::write_all(&mut file, &self.nodes[node].after(dice, data)).unwrap();
                }
            }
        }
    }
}

fn name(path: &Path) -> OsString {
    path.file_name().unwrap().to_owned()
}

impl Node {
    fn sync(&mut self) {
        for (_, change) in std::mem::take(&mut self.loose) {
            change.make(&mut self.synced);
        }
    }

    fn after(&self, dice: &mut Dice, lot: Lot) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let mut torn = false;
        for (time, change) in &self.loose {
            match lot {
                Lot::None => {}
                Lot::All => change.make(&mut bytes),
                Lot::Until(end) if *time < end => change.make(&mut bytes),
                Lot::Until(_) if torn => {}
                Lot::Until(_) => {
                    torn = true;
                    change.begin(&mut bytes, dice);
                }
                Lot::Any => match dice.below(4) {
                    0 => {}
                    1 => change.tear(&mut bytes, dice),
                    _ => change.make(&mut bytes),
                },
            }
        }
        bytes
    }
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write { at, data } => put(bytes, *at, data),
        }
    }

    /// Only the first bytes arrive.
    fn begin(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        if let Self::Write { at, data } = self {
            let length = usize::try_from(dice.below(data.len() as u64 + 1)).unwrap();
            put(bytes, *at, &data[..length]);
        }
    }

    /// Each sector arrives, or not, or as junk.
    fn tear(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let Self::Write { at, data } = self else { return };
        let mut done = 0;
        while done < data.len() {
            let start = at + done;
            let length = (SECTOR - start % SECTOR).min(data.len() - done);
            match dice.below(3) {
                0 => {}
                1 => put(bytes, start, &dice.bytes(length)),
                _ => put(bytes, start, &data[done..done + length]),
            }
            done += length;
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let end = at + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(data);
}

impl Dir {
    fn sync(&mut self) {
        for (_, turn) in std::mem::take(&mut self.loose) {
            turn.make(&mut self.synced);
        }
    }

    fn after(&self, dice: &mut Dice, lot: Lot) -> BTreeMap<OsString, Entry> {
        let mut names = self.synced.clone();
        for (time, turn) in &self.loose {
            let kept = match lot {
                Lot::None => false,
                Lot::All => true,
                Lot::Until(end) => *time < end,
                Lot::Any => !dice.one_in(2),
            };
            if kept {
                turn.make(&mut names);
            }
        }
        names
    }
}

impl Turn {
    fn make(&self, names: &mut BTreeMap<OsString, Entry>) {
        match self {
            Self::Put(name, entry) => drop(names.insert(name.clone(), entry.clone())),
            Self::Gone(name) => drop(names.remove(name)),
            Self::Renamed { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), Entry::File(*node));
            }
        }
    }
}
