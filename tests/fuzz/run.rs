//! One target, run by libFuzzer in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// Seconds that one input may take.
const PATIENCE: u32 = 10;
/// Memory that the process may hold.
const MEMORY_MIB: u32 = 2048;
/// Longest input that is made up.
const LONGEST: u32 = 8192;

/// The folders of a target.
pub(crate) struct Place {
    /// What was found to reach further, kept from run to run.
    corpus: PathBuf,
    /// The seeds, assembled.
    seeds: PathBuf,
    /// Inputs that broke something.
    crashes: PathBuf,
    log: PathBuf,
}

/// What a run found.
pub(crate) struct Found {
    pub(crate) name: String,
    /// Whether everything held.
    pub(crate) held: bool,
    pub(crate) crashes: Vec<PathBuf>,
    pub(crate) log: PathBuf,
    pub(crate) executions: u64,
    pub(crate) per_second: u64,
    /// Edges between blocks of code that were taken: by the seeds and what was kept, and in the end.
    pub(crate) edges: (u64, u64),
    /// Inputs that reach something of their own: at the beginning and in the end.
    pub(crate) corpus: (u64, u64),
    pub(crate) peak_mib: u64,
}

impl Place {
    pub(crate) fn prepare(base: &Path, name: &str, seeds: &Path) -> Result<Self> {
        let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let [corpus, assembled, crashes] = ["corpus", "seeds", "crashes"].map(|folder| base.join(folder).join(name));
        // Seeds that were removed must not stay.
        drop(std::fs::remove_dir_all(&assembled));
        for folder in [&corpus, &assembled, &crashes] {
            std::fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
        }
        for entry in std::fs::read_dir(seeds).map_err(|error| told(seeds, error))?.flatten() {
            let path = entry.path();
            // Text is assembled, everything else is taken as it is.
            let bytes = match path.extension() {
                Some(end) if end == "wat" => wat::parse_file(&path).map_err(|error| error.to_string())?,
                _ => std::fs::read(&path).map_err(|error| told(&path, error))?,
            };
            let to = assembled.join(entry.file_name());
            std::fs::write(&to, bytes).map_err(|error| told(&to, error))?;
        }
        Ok(Self { corpus, seeds: assembled, crashes, log: base.join(format!("{name}.log")) })
    }

    fn crashes(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> =
            std::fs::read_dir(&self.crashes).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        all.sort_unstable();
        all
    }
}

pub(crate) fn run(program: &Path, place: &Place, name: &str, seconds: u32) -> Result<Found> {
    let before = place.crashes();
    let dictionary = crate::here().join("words").join(name);
    let mut command = Command::new(program);
    command.arg(&place.corpus).arg(&place.seeds);
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let mut child = command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-artifact_prefix={}/", place.crashes.display()))
        .arg("-print_final_stats=1")
        .env("RINGFENCE_FUZZ", name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} could not be started: {error}", program.display()))?;
    let mut log = std::fs::File::create(&place.log).map_err(|error| format!("{}: {error}", place.log.display()))?;
    let mut found = Found {
        name: name.to_owned(),
        held: true,
        crashes: Vec::new(),
        log: place.log.clone(),
        executions: 0,
        per_second: 0,
        edges: (0, 0),
        corpus: (0, 0),
        peak_mib: 0,
    };
    for line in child.stderr.take().map(BufReader::new).into_iter().flat_map(|lines| lines.split(b'\n')) {
        let line = String::from_utf8_lossy(&line.map_err(|error| error.to_string())?).into_owned();
        writeln!(log, "{line}").map_err(|error| format!("{}: {error}", place.log.display()))?;
        found.hear(&line);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    found.crashes = place.crashes().into_iter().filter(|path| !before.contains(path)).collect();
    found.held = status.success() && found.crashes.is_empty();
    if found.held && found.edges.0 == 0 {
        return Err(format!(
            "{name} ran without counters of branches, which would find little: see {}",
            place.log.display()
        ));
    }
    Ok(found)
}

impl Found {
    /// Takes the figures out of a line of libFuzzer's.
    fn hear(&mut self, line: &str) {
        let number = |word: &str| after(line, word);
        if let Some(edges) = number(" cov: ") {
            let corpus = number(" corp: ").unwrap_or_default();
            if self.edges.0 == 0 && line.contains("INITED") {
                (self.edges.0, self.corpus.0) = (edges, corpus);
            }
            (self.edges.1, self.corpus.1) = (edges, corpus);
        }
        for (word, field) in [
            ("stat::number_of_executed_units:", &mut self.executions),
            ("stat::average_exec_per_sec:", &mut self.per_second),
            ("stat::peak_rss_mb:", &mut self.peak_mib),
        ] {
            if line.starts_with(word) {
                *field = after(line, word).unwrap_or_default();
            }
        }
    }
}

/// The number that stands behind `word`.
fn after(line: &str, word: &str) -> Option<u64> {
    let rest = line.split_once(word)?.1.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
