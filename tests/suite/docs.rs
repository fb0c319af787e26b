//! What the documents say is run: commands, configuration, code, links. A page that is wrong fails here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::house::root;

/// A place to try a page's commands in: the repository as far as they name it, and nothing of the person who runs this.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let work = desk.work();
        std::fs::create_dir(&work).unwrap();
        for part in ["README.md", "plugins", "sdk", "wit"] {
            std::os::unix::fs::symlink(root().join(part).canonicalize().unwrap(), work.join(part)).unwrap();
        }
        desk
    }

    fn work(&self) -> PathBuf {
        self.0.path().join("work")
    }

    fn command(&self, args: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.args(args).current_dir(self.work()).stdin(Stdio::null());
        // The toolchain needs its environment; what decides about providers, files and colours must not be the machine's.
        let foreign = ["RINGFENCE_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "OPENROUTER_", "XDG_", "RUST_LOG"];
        for (name, _) in std::env::vars_os() {
            if foreign.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        for (variable, folder) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data")]
        {
            command.env(variable, self.0.path().join(folder));
        }
        // Port 1 answers nobody: an Ollama of this machine would answer differently from the page.
        command.env("OLLAMA_HOST", "http://127.0.0.1:1").env("NO_COLOR", "1");
        // Skills are built once for all runs of the suite.
        command.env("RINGFENCE_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
        command
    }

    /// Runs one line of a page; gives what it printed.
    fn run(&self, line: &str) -> String {
        let words = words(line);
        let args = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["cargo", "run", "--", ..] => &words[3..],
            ["ringfence", ..] => &words[1..],
            _ => panic!("this page shows a command that is not run here: {line}"),
        };
        let done = self.command(args).output().unwrap();
        assert!(done.status.success(), "{line}\n{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

/// A fenced block of a page.
#[derive(Debug, PartialEq)]
struct Block {
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some(Block { language: language.to_owned(), text: String::new() }),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// Commands of a `console` block, each with what the page says it prints.
fn session(block: &str) -> Vec<(&str, String)> {
    let mut steps: Vec<(&str, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command, String::new())),
            (None, Some((_, expected))) => {
                expected.push_str(line);
                expected.push('\n');
            }
            (None, None) => panic!("a console block begins with a command, not with {line:?}"),
        }
    }
    steps
}

/// Words as a shell takes them apart, as far as pages need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                assert!(!"\\'$|<>&;`*".contains(c), "pages are run without a shell: {line}");
                word.push(c);
                begun = true;
            }
        }
    }
    assert!(!quoted, "{line}");
    if begun {
        words.push(word);
    }
    words
}

/// Whether the page shows what was printed: a line `...` stands for anything, and where lines break does not matter.
fn shows(expected: &str, printed: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = plain(printed);
    let mut parts = vec![String::new()];
    for line in expected.lines() {
        if line.trim() == "..." {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    let last = parts.len() - 1;
    for (n, part) in parts.iter().map(|part| plain(part)).enumerate() {
        let at = if n == last && last > 0 { rest.rfind(&part) } else { rest.find(&part) };
        match at {
            Some(at) if n > 0 || at == 0 => rest = rest.split_off(at + part.len()).trim_start().to_owned(),
            _ => return false,
        }
    }
    rest.is_empty() || expected.lines().last().is_some_and(|line| line.trim() == "...")
}

#[test]
fn the_readme_prints_what_it_says() {
    let page = std::fs::read_to_string(root().join("README.md")).unwrap();
    let desk = Desk::new();
    let mut ran = 0;
    for block in blocks(&page) {
        match block.language.as_str() {
            "console" => {
                for (line, expected) in session(&block.text) {
                    let printed = desk.run(line);
                    assert!(shows(&expected, &printed), "$ {line}\n{printed}\nbut the page says\n{expected}");
                    ran += 1;
                }
            }
            // A file that the page has the reader write.
            "python" => {
                let place = block.text.lines().next().unwrap().strip_prefix("# ").unwrap();
                std::fs::write(desk.work().join(place), block.text).unwrap();
            }
            "toml" => {
                let file = desk.work().join("page.toml");
                std::fs::write(&file, &block.text).unwrap();
                let line = format!("ringfence config show --config {}", file.display());
                let shown = desk.run(&line);
                let known = ["budget.host-day.micro-dollars = 5000000", "agents.planner.max-steps = 20"];
                assert!(known.iter().any(|value| shown.contains(value)), "{}", block.text);
            }
            "sh" => {}
            other => panic!("nobody checks blocks of {other:?}"),
        }
    }
    assert!(ran >= 4, "{ran}");
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut pages: Vec<_> =
        ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"].map(|page| root().join(page)).into();
    for above in ["sdk", "plugins"] {
        let below = std::fs::read_dir(root().join(above)).unwrap().map(|entry| entry.unwrap().path().join("README.md"));
        pages.extend(below.filter(|page| page.is_file()));
    }
    let mut followed = 0;
    for path in pages {
        let page = path.display();
        let text = std::fs::read_to_string(&path).unwrap();
        // What stands between fences is code.
        let text: String = text.split("```").step_by(2).collect();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            if target.contains("://") || file.is_empty() {
                continue;
            }
            assert!(path.parent().unwrap().join(file).exists(), "{page}: {target}");
            followed += 1;
        }
    }
    assert!(followed > 10, "{followed}");
}

/// Files that ARCHITECTURE.md and SECURITY.md name in backticks are there, so that the map does not outlive the land.
#[test]
fn files_that_the_map_names_exist() {
    let folders = [
        "",
        "host/core/src",
        "host/app/src",
        "sdk/rust/src",
        "host/core/src/capability/http",
        "host/core/src/capability/model",
    ];
    let mut named = 0;
    for page in ["ARCHITECTURE.md", "SECURITY.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_file = [".rs", ".wit", ".toml", ".sql"].iter().any(|end| word.ends_with(end)) || word.ends_with('/');
            if !is_file || word.contains(|c: char| c.is_whitespace() || "~*<>{}".contains(c)) || word.contains("NAME") {
                continue;
            }
            let found = folders.iter().any(|folder| Path::new(root()).join(folder).join(word).exists());
            assert!(found || ["skill.toml", "ringfence.toml", "config.toml"].contains(&word), "{page}: {word}");
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}

/// A promise names its tests; a test that is renamed or removed takes the promise with it.
#[test]
fn tests_that_promises_name_exist() {
    let mut code = String::new();
    for folder in ["host", "tests/adversary", "tests/suite"] {
        gather(&root().join(folder), &mut code);
    }
    let page = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut named = 0;
    for word in page.split('`').skip(1).step_by(2) {
        let is_test = word.matches('_').count() >= 2
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_test && word != "get_module_export" {
            assert!(code.contains(&format!("fn {word}(")), "there is no test {word}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

fn gather(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, code);
        } else if path.extension().is_some_and(|end| end == "rs") {
            code.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn pages_are_read_as_people_read_them() {
    let page = "a\n```console\n$ ringfence a \"b c\"\nx\n...\nz\n```\n";
    let found = blocks(page);
    assert_eq!(found.len(), 1);
    assert_eq!(session(&found[0].text), [("ringfence a \"b c\"", "x\n...\nz\n".to_owned())]);
    assert_eq!(words("ringfence a \"b c\" \"\""), ["ringfence", "a", "b c", ""]);
    assert!(shows("x\n...\nz\n", "x y\nz"));
    assert!(shows("x y\nz", "x\ny z\n"));
    assert!(shows("x\n...\n", "x y z") && shows("", ""));
    assert!(!shows("x\n", "x y") && !shows("y", "x y") && !shows("x\n...\nz", "x z y") && !shows("", "x"));
}
