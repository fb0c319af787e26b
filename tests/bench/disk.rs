//! What a host does whose disk is full, fails or cannot be written, at each place where it keeps something; and whether it goes on
//! by itself when that is over.
//!
//! The host lives in a process of its own, in which disks can be made that way while it runs:
//!
//! - *full*: file systems of some MiB in a mount namespace, filled to the last byte. Needs user namespaces, or root.
//! - *failing*: no file may grow any more (`RLIMIT_FSIZE` of 0, with `SIGXFSZ` ignored), so every write fails. Needs nothing.
//! - *read-only*: files and folders that are immutable, also for who has them open. Needs root and a file system that knows it.
//!   For somebody else folders without write permission, which keeps nobody from files that are open: those are not tried then.
//!   SQLite's index of the log is left out: it is memory that the processes share, and has nothing that must last.
//!
//! What cannot be tried on a machine is a row that is not met.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ringfence_core::journal::audit::Filter;
use ringfence_core::{Call, Error, Finished, Host, Settings, SkillRef};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use walkdir::WalkDir;

use crate::guest;
use crate::server::Server;
use crate::table::Table;
use crate::wat;

/// The argument that makes this program the host.
pub(crate) const VERB: &str = "disk-host";

/// Kept in one value, so that a write needs room.
const BYTES: usize = 200_000;
/// Acts that may still find room, in what was reserved before.
const LAST_ACTS: usize = 2_000;
const GOAL: f64 = 5.0;
/// After this time nothing comes back any more.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Full,
    Failing,
    ReadOnly,
}

const ALL: [(Trouble, &str); 3] =
    [(Trouble::Full, "full"), (Trouble::Failing, "failing"), (Trouble::ReadOnly, "read-only")];

const PLACES: [&str; 4] = ["kv", "audit", "artefacts", "installed skills"];

pub(crate) fn measure(table: &mut Table) {
    let server = Server::start();
    let component = guest::component();
    for (trouble, name) in ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        let mut reasons = Vec::new();
        for mut command in ways(trouble) {
            command.args([VERB, name]).arg(folder.path()).arg(component).arg(&server.base_url);
            let done = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
            match done {
                Ok(done) if done.status.success() => {
                    told = String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect();
                    break;
                }
                Ok(done) => reasons.push(format!("{}", done.status)),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        for place in PLACES {
            let what = format!("disk: {name}, {place}: until it works again");
            let fields: Option<Vec<&str>> = told.iter().find_map(|line| {
                let fields: Vec<&str> = line.split('\t').collect();
                (fields.first() == Some(&place)).then_some(fields)
            });
            match fields.as_deref() {
                Some([_, "untried", why]) => untried(table, what, why),
                Some([_, kind, reads, seconds]) => {
                    // No number is a figure that is not met.
                    let seconds = seconds.parse().unwrap_or(f64::NAN);
                    table.goal(what, *kind, *reads, (seconds, GOAL, " s"));
                }
                _ => untried(table, what, &format!("no host could be run so: {}", reasons.join(", "))),
            }
        }
    }
}

fn untried(table: &mut Table, what: String, why: &str) {
    eprintln!("  NOT TRIED: {what}: {why}");
    table.goal(what, "NOT TRIED", why, (f64::NAN, GOAL, " s"));
}

/// Commands that run this program where the disk can be made so, the best first.
fn ways(trouble: Trouble) -> Vec<Command> {
    let own = std::env::current_exe().unwrap();
    let under = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).arg(&own);
        command
    };
    match trouble {
        Trouble::Full => vec![
            under("unshare", &["--user", "--map-root-user", "--mount"]),
            under("unshare", &["--mount", "--propagation", "private"]),
        ],
        Trouble::Failing => vec![under("/bin/sh", &["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])],
        Trouble::ReadOnly => vec![Command::new(own)],
    }
}

/// The host's whole life.
pub(crate) fn live(args: &[String]) {
    let [_, name, folder, component, server] = args_of(args);
    let trouble = ALL.iter().find(|(_, known)| *known == name).unwrap().0;
    guest::built(Path::new(component));
    let folder = PathBuf::from(folder);
    if trouble == Trouble::Full {
        for name in ["state", "data", "cache"] {
            let place = folder.join(name);
            fs::create_dir_all(&place).unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs"])
                .arg(&place)
                .stderr(Stdio::null())
                .status();
            if !mounted.is_ok_and(|status| status.success()) {
                // The next way is tried.
                std::process::exit(99);
            }
        }
    }
    guest::runtime().block_on(async {
        let mut patient = Patient::new(folder, trouble, server).await;
        for place in PLACES {
            let line = match place {
                "kv" => patient.kv().await,
                "audit" => patient.audit().await,
                "artefacts" => patient.artefacts().await,
                _ => patient.skills().await,
            };
            match line {
                Ok(Told { kind, reads, seconds }) => println!("{place}\t{kind}\t{reads}\t{seconds}"),
                Err(why) => println!("{place}\tuntried\t{why}"),
            }
        }
        // What was put off meanwhile is written, and the chain is whole.
        let Patient { host, .. } = patient;
        assert_eq!(host.audit().verify().await.unwrap().fault, None);
        host.close().await.unwrap();
    });
}

fn args_of(args: &[String]) -> [&str; 5] {
    let all: Vec<&str> = std::iter::once(VERB).chain(args.iter().map(String::as_str)).collect();
    all.try_into().expect("four arguments")
}

/// What was seen at one place.
struct Told {
    /// Kinds of the errors.
    kind: String,
    /// What went on meanwhile.
    reads: String,
    /// Until it worked again; not a number where something was wrong.
    seconds: f64,
}

/// The disk is as it should not be, until this is dropped.
enum Ill {
    Full(PathBuf),
    Failing(Rlimit),
    Immutable(Vec<PathBuf>),
    Closed(PathBuf),
}

impl Ill {
    /// `open` says that files there are open already, and must not be written either.
    fn make(trouble: Trouble, folder: &Path, open: bool) -> Result<Self, String> {
        match trouble {
            Trouble::Full => {
                let filler = folder.join("filler");
                let mut file = File::create(&filler).unwrap();
                let mut size = 1 << 20;
                while size > 0 {
                    if file.write_all(&vec![0; size]).is_err() {
                        size /= 2;
                    }
                }
                Ok(Self::Full(filler))
            }
            Trouble::Failing => {
                let before = getrlimit(Resource::Fsize);
                setrlimit(Resource::Fsize, Rlimit { current: Some(0), maximum: before.maximum })
                    .map_err(|error| error.to_string())?;
                Ok(Self::Failing(before))
            }
            Trouble::ReadOnly => {
                let mut ill = Vec::new();
                let all = WalkDir::new(folder).contents_first(true).into_iter().flatten();
                let is_index = |path: &PathBuf| path.to_string_lossy().ends_with("-shm");
                for path in all.map(walkdir::DirEntry::into_path).filter(|path| !is_index(path)) {
                    match immutable(&path, true) {
                        Ok(()) => ill.push(path),
                        Err(error) if ill.is_empty() => {
                            let is_root = rustix::process::geteuid().is_root();
                            if open || is_root {
                                return Err(format!("no file can be made immutable here: {error}"));
                            }
                            fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
                            return Ok(Self::Closed(folder.to_owned()));
                        }
                        // Another way out than a panic: what is immutable must not stay so.
                        Err(error) => {
                            drop(Self::Immutable(ill));
                            return Err(format!("{} cannot be made immutable: {error}", path.display()));
                        }
                    }
                }
                Ok(Self::Immutable(ill))
            }
        }
    }

    /// What an error's kind may be.
    fn kinds(&self) -> &'static [&'static str] {
        match self {
            Self::Full(_) => &["state-full"],
            _ => &["state-unwritable"],
        }
    }
}

impl Drop for Ill {
    fn drop(&mut self) {
        match self {
            Self::Full(filler) => fs::remove_file(filler).unwrap(),
            Self::Failing(before) => setrlimit(Resource::Fsize, *before).unwrap(),
            Self::Immutable(paths) => paths.iter().rev().for_each(|path| immutable(path, false).unwrap()),
            Self::Closed(folder) => fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap(),
        }
    }
}

fn immutable(path: &Path, set: bool) -> rustix::io::Result<()> {
    let file = rustix::fs::open(path, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())?;
    let mut flags = ioctl_getflags(&file)?;
    flags.set(IFlags::IMMUTABLE, set);
    ioctl_setflags(&file, flags)
}

/// The host that all this is done to.
struct Patient {
    host: Host,
    keeper: SkillRef,
    folder: PathBuf,
    trouble: Trouble,
    server: String,
    /// Where something lies that no disk is ill of.
    work: tempfile::TempDir,
    /// Numbers that were given out.
    given: u32,
}

impl Patient {
    async fn new(folder: PathBuf, trouble: Trouble, server: &str) -> Self {
        let mut settings = Settings::default();
        (settings.http.requests, settings.http.per_minute) = (u32::MAX, u32::MAX);
        let mut config = guest::config(&folder, settings);
        config.cache_dir = folder.join("cache");
        let host = Host::open(config).await.unwrap();
        let work = tempfile::tempdir().unwrap();
        let permissions = format!("[permissions.kv]\n[permissions.http]\nallow = [\"{server}\"]\n");
        let grants = ["kv", &format!("http={server}")];
        let keeper = guest::installed(&host, work.path(), "keeper", &permissions, &grants).await;
        let mut patient = Self { host, keeper, folder, trouble, server: server.to_owned(), work, given: 0 };
        patient.put("small", "before").await.unwrap();
        patient.act().await.unwrap();
        patient
    }

    async fn run(&self, tool: &str, input: serde_json::Value) -> Result<Finished, Error> {
        let call = Call { tool: Some(tool.to_owned()), ..Call::new(self.keeper.clone(), input.to_string()) };
        self.host.invoke(call).await
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), Error> {
        self.run("put", serde_json::json!({ "key": key, "value": value })).await.map(drop)
    }

    async fn get(&self, key: &str) -> Result<String, Error> {
        let done = self.run("get", serde_json::json!({ "key": key })).await?;
        Ok(guest::said(&done).to_owned())
    }

    fn next(&mut self) -> u32 {
        self.given += 1;
        self.given
    }

    /// Something that leaves, which the audit must know before. Its name is told where it was done.
    async fn act(&mut self) -> Result<String, (Error, String)> {
        let number = self.next();
        let name = format!("{:?}-{number}", self.trouble);
        let url = format!("{}/kept/0/{name}", self.server);
        match self.run("fetch", serde_json::json!({ "url": url, "times": 1 })).await {
            Ok(_) => Ok(name),
            Err(error) => Err((error, name)),
        }
    }

    fn ill(&self, folder: &str, open: bool) -> Result<Ill, String> {
        Ill::make(self.trouble, &self.folder.join(folder), open)
    }

    async fn kv(&mut self) -> Result<Told, String> {
        let ill = self.ill("state", true)?;
        let big = "x".repeat(BYTES);
        let mut refused = None;
        for n in 0..LAST_ACTS {
            if let Err(error) = self.put(&format!("big-{}", n % 32), &big).await {
                refused = Some(error);
                break;
            }
        }
        let kind = kind_within(refused.as_ref(), ill.kinds());
        let small = self.get("small").await.ok().as_deref() == Some("before");
        let listed = self.host.list().await.is_ok_and(|all| all.len() == 1) && self.host.runs(10).await.is_ok();
        drop(ill);
        let begun = Instant::now();
        let mut back = false;
        while !back && begun.elapsed() < PATIENCE {
            back = self.put("small", "before").await.is_ok();
        }
        let seconds = begun.elapsed().as_secs_f64();
        let back = back && self.get("small").await.ok().as_deref() == Some("before");
        Ok(told(kind, &[("values", small), ("listings", listed), ("all as before", back)], seconds))
    }

    async fn audit(&mut self) -> Result<Told, String> {
        let ill = self.ill("state", true)?;
        let mut refused = None;
        for _ in 0..LAST_ACTS {
            if let Err(failed) = self.act().await {
                refused = Some(failed);
                break;
            }
        }
        let kind = kind_within(refused.as_ref().map(|(error, _)| error), ill.kinds());
        let why = refused.as_ref().is_some_and(|(error, _)| error.to_string().contains("the audit"));
        let kind = kind.filter(|_| why);
        let small = self.get("small").await.ok().as_deref() == Some("before");
        let records = self.host.audit().list(Filter::default(), 10).await.is_ok_and(|all| all.len() == 10);
        let known = bare(&format!("{}/kept/0", self.server)).await;
        let left = refused.is_some_and(|(_, name)| known.lines().any(|line| line == name));
        drop(ill);
        let begun = Instant::now();
        let mut back = false;
        while !back && begun.elapsed() < PATIENCE {
            back = self.act().await.is_ok();
        }
        // And what was done then is signed by itself.
        let last = self.host.audit().list(Filter::default(), 1).await.unwrap().first().map_or(0, |record| record.seq);
        let mut signed = false;
        while back && !signed && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let found = self.host.audit().verify().await.unwrap();
            signed = found.fault.is_none() && found.signed >= last;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let all = [("values", small), ("records", records), ("nothing left", !left), ("signed again", signed)];
        Ok(told(kind, &all, seconds))
    }

    async fn artefacts(&mut self) -> Result<Told, String> {
        let cached = self.artefact_files();
        // Before: what is wrong may be wrong for all files of this process.
        let new = self.fresh().await;
        let ill = self.ill("cache/artefacts", false)?;
        let loaded = self.host.load_file(&new, None, None).await;
        let runs = match &loaded {
            Ok(skill) => {
                self.host.invoke(Call::new(skill.clone(), "{}")).await.is_err_and(|error| error.kind() == "trap")
            }
            Err(error) => {
                eprintln!("  {}: {error}", error.kind());
                false
            }
        };
        // What is cached is still taken from there: nothing is compiled.
        let compiled = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&compiled);
        let notice: ringfence_core::Progress = std::sync::Arc::new(move |step| {
            if matches!(step, ringfence_core::Step::Compiling { .. }) {
                seen.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        });
        let again = self.host.load_installed("keeper", Some(notice)).await.is_ok();
        let from_there = again && !compiled.load(std::sync::atomic::Ordering::SeqCst);
        let unchanged = self.artefact_files() == cached;
        drop(ill);
        let begun = Instant::now();
        let mut back = false;
        while !back && begun.elapsed() < PATIENCE {
            let new = self.fresh().await;
            // One with its code, two files each.
            back = self.host.load_file(&new, None, None).await.is_ok() && self.artefact_files() > cached + 1;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let kind = Some("no error: compiled, not kept".to_owned()).filter(|_| loaded.is_ok());
        let all = [("new ones run", runs), ("cached ones", from_there), ("no junk", unchanged), ("kept again", back)];
        Ok(told(kind, &all, seconds))
    }

    async fn skills(&mut self) -> Result<Told, String> {
        let paths = [self.named().await, self.named().await];
        let ill = self.ill("data/skills", false)?;
        let refused = self.host.add(&paths[0], None).await.err();
        let kind = refused.as_ref().map(Error::kind).filter(|kind| ill.kinds().contains(kind)).map(str::to_owned);
        if kind.is_none() {
            eprintln!("  installed skills: {refused:?}");
        }
        let whole = self.host.list().await.is_ok_and(|all| all.len() == 1);
        let runs = self.host.load_installed("keeper", None).await.is_ok() && self.get("small").await.is_ok();
        drop(ill);
        let begun = Instant::now();
        let mut back = false;
        while !back && begun.elapsed() < PATIENCE {
            back = self.host.add(&paths[1], None).await.is_ok();
        }
        let seconds = begun.elapsed().as_secs_f64();
        let files = fs::read_dir(self.folder.join("data/skills")).unwrap().count();
        let all = [("installed ones", runs), ("nothing half", whole && files == 2), ("installed again", back)];
        Ok(told(kind, &all, seconds))
    }

    /// A component that was never compiled.
    async fn fresh(&mut self) -> PathBuf {
        let body = format!("(drop (i32.const {})) unreachable", self.next());
        let path = self.work.path().join(format!("fresh-{}.wasm", self.given));
        fs::write(&path, wat::skill(&body, "", "")).unwrap();
        path
    }

    /// A package that was never installed.
    async fn named(&mut self) -> PathBuf {
        let name = format!("new-{}", self.next());
        guest::packaged(&self.host, self.work.path(), &name, "").await
    }

    fn artefact_files(&self) -> usize {
        fs::read_dir(self.folder.join("cache/artefacts"))
            .unwrap()
            .flatten()
            .filter(|file| file.file_name() != "filler")
            .count()
    }
}

/// The kind of the host's error, which a skill is told in words.
fn kind_within(refused: Option<&Error>, kinds: &[&str]) -> Option<String> {
    let error = refused?;
    let text = error.to_string();
    let found = kinds.iter().find(|kind| error.kind() == "unavailable" && text.contains(&format!("({kind})")));
    if found.is_none() {
        eprintln!("  {}: {text}", error.kind());
    }
    found.map(|kind| (*kind).to_owned())
}

fn told(kind: Option<String>, all: &[(&str, bool)], seconds: f64) -> Told {
    let reads = all.iter().map(|(what, fine)| format!("{what}{}", if *fine { "" } else { " NOT" }));
    let fine = kind.is_some() && all.iter().all(|(_, fine)| *fine);
    Told {
        kind: kind.unwrap_or_else(|| "NO TYPED ERROR".into()),
        reads: reads.collect::<Vec<_>>().join(", "),
        seconds: if fine { seconds } else { f64::NAN },
    }
}

async fn bare(url: &str) -> String {
    ringfence_core::bench::http().unwrap().get(url).send().await.unwrap().text().await.unwrap()
}
