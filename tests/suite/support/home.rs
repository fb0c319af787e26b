//! A home of its own for each test, and the real program run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Variables that cargo may need to build a guest. Nothing else of the machine reaches the program under test.
const PASSED: &[&str] = &["PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR"];
const PASSED_BEGIN: &[&str] = &["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];
const PASSED_END: &[&str] = &["_proxy", "_PROXY"];

/// How long the longest run of a test may take before it counts as hanging. A guest may have to be built meanwhile, and others may be
/// building theirs.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Home(tempfile::TempDir);

impl Home {
    /// A configuration that asks for no signature of what is fetched.
    pub(crate) const UNSIGNED: &str = "[signatures]\nhttps = \"off\"\noci = \"off\"\nindex = \"off\"\n";

    /// Empty, but for a shared cache of compiled guests and the key that makes it believed.
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(home.work()).unwrap();
        super::guests::seed_key(&home.state());
        home
    }

    /// With a user's configuration.
    pub(crate) fn with_config(text: &str) -> Self {
        let home = Self::new();
        home.write(".config/ringfence/config.toml", text);
        home
    }

    /// Where nobody asks for signatures, for tests that are about something else.
    pub(crate) fn unsigned() -> Self {
        Self::with_config(Self::UNSIGNED)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where the program runs.
    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.args(args).current_dir(self.work()).stdin(Stdio::null());
        self.environment(&mut command);
        command
    }

    /// Gives `command` the environment of this home and nothing of the machine's but what programs are found by.
    pub(crate) fn environment(&self, command: &mut Command) {
        command.env_clear();
        for (name, value) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if PASSED.contains(&&*text)
                || PASSED_BEGIN.iter().any(|begin| text.starts_with(begin))
                || PASSED_END.iter().any(|end| text.ends_with(end))
            {
                command.env(&name, value);
            }
        }
        for (name, below) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let usual = || std::env::var_os("HOME").map(|home| Path::new(&home).join(below).into_os_string());
            if let Some(dir) = std::env::var_os(name).or_else(usual) {
                command.env(name, dir);
            }
        }
        command
            .env("HOME", self.0.path())
            .env("RINGFENCE_STATE_DIR", self.state())
            .env("RINGFENCE_DATA_DIR", self.path("data"))
            .env("RINGFENCE_CACHE_DIR", super::guests::cache());
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        Done::of(&mut self.command(args))
    }

    /// Runs a tool of the probe with everything allowed.
    pub(crate) fn probe(&self, tool: &str, more: &[&str]) -> Done {
        let probe = super::probe().display().to_string();
        let mut args = vec!["run", &probe, "--tool", tool, "--allow", "model=default", "--allow", "kv"];
        args.extend(more);
        self.run(&args)
    }

    /// The names of all files below a folder of this home.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        fn walk(folder: &Path, into: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, into) } else { into.push(path.display().to_string()) }
            }
        }
        let mut files = Vec::new();
        walk(&self.path(folder), &mut files);
        files.sort();
        files
    }
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

impl Done {
    pub(crate) fn of(command: &mut Command) -> Self {
        let begun = Instant::now();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self::wait(child, begun)
    }

    /// Waits for a program that was started with both outputs piped.
    pub(crate) fn wait(child: Child, begun: Instant) -> Self {
        let pid = child.id();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || drop(send.send(child.wait_with_output())));
        match receive.recv_timeout(PATIENCE) {
            Ok(output) => Self::from(output.unwrap(), begun.elapsed()),
            Err(_) => {
                drop(Command::new("kill").args(["-9", &pid.to_string()]).status());
                panic!("the program hangs");
            }
        }
    }

    fn from(output: Output, took: Duration) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        // As a shell tells it.
        let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal)).unwrap();
        Self { code, out: text(output.stdout), err: text(output.stderr), took }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It worked, and this is all that it printed as its result.
    #[track_caller]
    pub(crate) fn gives(&self, text: &str) {
        assert_eq!((self.code, self.out.as_str()), (0, text), "{self:?}");
    }

    #[track_caller]
    pub(crate) fn worked(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It failed as people and scripts expect it: the kind, the exit code, a sentence with the offending value, a help
    /// that says what to do, and nothing on standard output.
    #[track_caller]
    pub(crate) fn fails(&self, kind: &str, code: i32, sentence: &str, help: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        let (head, hint) = self.error();
        assert!(head.starts_with(&format!("error[{kind}]: ")), "{self:?}");
        assert!(head.contains(sentence), "the sentence should hold {sentence:?}: {self:?}");
        assert!(hint.contains(help), "the help should hold {help:?}: {self:?}");
    }

    /// The sentence with its kind, and the help.
    fn error(&self) -> (String, String) {
        let at = self.err.find("error[").unwrap_or_else(|| panic!("no error: {self:?}"));
        let (head, hint) = self.err[at..].split_once("\n  help: ").unwrap_or_else(|| panic!("no help: {self:?}"));
        (head.to_owned(), hint.trim_end().to_owned())
    }
}
