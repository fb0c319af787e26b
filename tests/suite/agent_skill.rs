//! Skills as Agent Skills: what is written is checked by the format's own validator, what is read comes from strangers.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{Done, Home, guests, repository, wat};

/// The reference implementation of the specification, and what it needs.
const VALIDATOR: [&str; 4] = ["skills-ref==0.1.1", "strictyaml==1.7.3", "click==8.5.1", "python-dateutil==4.0.0"];

/// Where it is, fetched once for this and later runs.
fn validator() -> &'static Path {
    static VALIDATED: OnceLock<PathBuf> = OnceLock::new();
    VALIDATED.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(VALIDATOR[0]);
        if !place.is_dir() {
            let draft = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--only-binary=:all:",
            ]);
            let done = Done::of(pip.args(["--target".as_ref(), draft.path().as_os_str()]).args(VALIDATOR));
            assert_eq!(done.code, 0, "{done:?}");
            // Another run may have been faster.
            drop(std::fs::rename(draft.path(), &place));
        }
        place
    })
}

fn validate(folder: &Path) -> Done {
    let mut python = Command::new("python3");
    Done::of(python.args(["-m", "skills_ref.cli", "validate"]).arg(folder).env("PYTHONPATH", validator()))
}

#[track_caller]
fn is_valid(folder: &Path) {
    let done = validate(folder);
    assert_eq!(done.code, 0, "{done:?}");
}

/// A plain component of one function that adds.
fn adder() -> Vec<u8> {
    wat::plain(
        r#"(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))"#,
        r#"(func (export "add-up") (param "a" s32) (param "b" s32) (result s32) LIFT add)"#,
    )
}

fn frontmatter(name: &str, more: &str) -> String {
    format!("---\nname: {name}\ndescription: Adds two numbers.\n{more}---\n\nCall `add_up`.\n")
}

/// A skill with a manifest, whose component something else has built.
fn sum(home: &Home, manifest: &str, agent: &str) {
    home.write("work/sum/skill.toml", format!("{manifest}version = \"0.1.0\"\n[build]\ncomponent = \"a.wasm\"\n"));
    home.write("work/sum/SKILL.md", agent);
    home.write("work/sum/a.wasm", adder());
}

#[test]
fn a_new_skill_is_one_in_each_language() {
    let home = Home::new();
    for lang in ["c", "go", "javascript", "python", "rust", "typescript"] {
        let dir = format!("{lang}/my-skill");
        let text = "Says: \"what\" --- is \\ to be done, # yes?";
        let new = ["new", "my-skill", "--lang", lang, "--dir", &dir, "--description", text, "--license", "MIT"];
        home.run(&new).worked();
        is_valid(&home.work().join(&dir));
        let written = std::fs::read_to_string(home.work().join(&dir).join("SKILL.md")).unwrap();
        for line in ["license: MIT\n", "compatibility: Requires ringfence >= ", "  ringfence.component: target/"] {
            assert!(written.contains(line), "{lang}: {written}");
        }
        assert!(!written.contains("{{") && written.contains("| `count` |"), "{lang}: {written}");
    }
    home.run(&["new", "two--dashes"]).fails("invalid-input", 2, "two--dashes", "single `-`");
    let long = "x".repeat(1025);
    home.run(&["new", "long", "--description", &long]).fails("invalid-input", 2, "1025", "between 1 and 1024");
    let elsewhere = home.run(&["new", "my-skill", "--dir", "other"]).worked();
    assert!(elsewhere.err.contains("name of the skill"), "{elsewhere:?}");
    assert_ne!(validate(&home.work().join("other")).code, 0, "what is noted is so");
}

#[test]
fn every_skill_of_the_repository_is_one() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository().join("plugins")).unwrap() {
        let folder = entry.unwrap().path();
        is_valid(&folder);
        let text = std::fs::read_to_string(folder.join("SKILL.md")).unwrap();
        let skill = ringfence_core::catalog::agent_skill::AgentSkill::read(&text).unwrap();
        let words = skill.instructions.split_whitespace().count();
        assert!((80..800).contains(&words), "{}: {words} words", folder.display());
        let version = format!("ringfence >= {}", env!("CARGO_PKG_VERSION"));
        assert!(skill.compatibility.is_some_and(|text| text.contains(&version)), "{}", folder.display());
        let toml = std::fs::read_to_string(folder.join("skill.toml")).unwrap();
        let manifest = ringfence_core::Manifest::from_toml_beside(
            &toml,
            &ringfence_core::policy::manifest::Beside {
                name: &skill.name,
                description: &skill.description,
                license: None,
            },
        );
        assert_eq!(manifest.unwrap().name, folder.file_name().unwrap().to_str().unwrap());
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn the_manifest_takes_its_text_from_there() {
    let home = Home::new();
    let agent = frontmatter("sum", "license: MIT\n");
    sum(&home, "name = \"sum\"\n", &agent);
    let shown = home.run(&["show", "./sum", "--format", "json"]).worked().json();
    assert_eq!(shown["manifest"]["description"], "Adds two numbers.", "{shown}");
    assert_eq!(shown["manifest"]["license"], "MIT", "{shown}");
    assert!(!shown.to_string().contains("Call `add_up`"), "metadata alone: {shown}");
    home.run(&["show", "./sum", "--instructions"]).gives("Call `add_up`.\n");
    home.run(&["add", "./sum", "--grant-nothing"]).worked();
    home.run(&["show", "sum", "--instructions"]).gives("Call `add_up`.\n");
    home.run(&["show", "sum", "--readme"]).fails("not-found", 2, "no README", "SKILL.md");
    // New instructions are packed anew, though the code is the same.
    home.write("work/sum/SKILL.md", agent.replace("Call", "Please call"));
    home.run(&["show", "./sum", "--instructions"]).gives("Please call `add_up`.\n");

    home.write("work/sum/SKILL.md", frontmatter("other", ""));
    let done = home.run(&["build", "sum"]);
    done.fails("manifest-invalid", 2, "`name` is \"sum\" in skill.toml and \"other\" in SKILL.md", "one name");
    sum(&home, "name = \"sum\"\ndescription = \"Something else.\"\n", &agent);
    let done = home.run(&["build", "sum"]);
    done.fails("manifest-invalid", 2, "\"Something else.\" in skill.toml and \"Adds two numbers.\"", "take it out");
    sum(&home, "name = \"sum\"\ndescription = \"Adds two numbers.\"\n", &agent);
    home.run(&["build", "sum"]).worked();
    std::fs::remove_file(home.work().join("sum/SKILL.md")).unwrap();
    home.run(&["show", "./sum", "--instructions"]).fails("not-found", 2, "no instructions", "SKILL.md");
    sum(&home, "name = \"sum\"\n", "");
    std::fs::remove_file(home.work().join("sum/SKILL.md")).unwrap();
    home.run(&["build", "sum"]).fails("manifest-invalid", 2, "`description` is missing", "skill.toml");
}

#[test]
fn a_bad_one_is_refused_in_a_sentence() {
    let home = Home::new();
    let bomb = "metadata:\n  a: &a [x, x, x, x, x, x, x, x]\n  b: [*a, *a, *a, *a, *a, *a, *a, *a]\n";
    let long = format!("---\nname: sum\ndescription: {}\n---\n", "x".repeat(10 << 20));
    let cases: [(&[u8], &str); 8] = [
        (b"---\nname: [sum\n---\n", "is not right"),
        (b"name: sum\n", "does not begin"),
        (b"---\nname: sum\n", "no end"),
        (b"\0asm\x01\0\xff\xfe", "not text in UTF-8"),
        (long.as_bytes(), "is longer than"),
        (frontmatter("sum", bomb).leak().as_bytes(), "is not right"),
        (frontmatter("Sum", "").leak().as_bytes(), "`name` in SKILL.md is \"Sum\""),
        (frontmatter("sum", "licence: MIT\n").leak().as_bytes(), "licence"),
    ];
    sum(&home, "name = \"sum\"\n", "");
    for (bytes, words) in cases {
        home.write("work/sum/SKILL.md", bytes);
        home.run(&["build", "sum"]).fails("manifest-invalid", 2, words, "");
    }
    let place = home.work().join("sum/SKILL.md");
    let outside = home.write("outside.md", frontmatter("sum", ""));
    std::fs::remove_file(&place).unwrap();
    symlink(&outside, &place).unwrap();
    home.run(&["build", "sum"]).fails("manifest-invalid", 2, "SKILL.md is a link", "itself");
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    home.run(&["build", "sum"]).fails("manifest-invalid", 2, "it is not a file", "check");
    std::fs::remove_dir(&place).unwrap();
    for good in [frontmatter("sum", "").replace('\n', "\r\n"), format!("\u{feff}{}", frontmatter("sum", ""))] {
        home.write("work/sum/SKILL.md", good);
        home.run(&["show", "./sum", "--instructions"]).gives("Call `add_up`.\n");
    }
}

#[test]
fn a_folder_that_carries_a_component_is_run_and_installed() {
    let home = Home::new();
    home.write("work/sum/SKILL.md", frontmatter("sum", "license: MIT\nmetadata:\n  ringfence.version: 1.2.0\n"));
    home.write("work/sum/scripts/deep/add.wasm", adder());
    home.write("work/sum/scripts/help.sh", "exit 1");
    home.run(&["run", "./sum", "add_up", "--a", "2", "--b", "3"]).gives("5\n");
    let added = home.run(&["add", "./sum", "--grant-nothing", "--format", "json"]).worked().json();
    assert_eq!(added["manifest"]["version"], "1.2.0", "{added}");
    assert_eq!(added["manifest"]["description"], "Adds two numbers.", "{added}");
    home.run(&["run", "sum", "--a", "2", "--b", "3"]).gives("5\n");
    home.run(&["show", "sum", "--instructions"]).gives("Call `add_up`.\n");
    let listed = home.run(&["list", "--format", "json"]).worked().json();
    assert!(listed[0]["source"].as_str().unwrap().ends_with("/work/sum"), "{listed}");

    // Several of them, until one is named.
    home.write("work/sum/assets/two.wasm", adder());
    let several = home.run(&["run", "./sum", "--a", "2", "--b", "3"]);
    several.fails("manifest-invalid", 2, "assets/two.wasm, scripts/deep/add.wasm", "ringfence.component");
    let naming = |path: &str| frontmatter("sum", &format!("metadata:\n  ringfence.component: {path}\n"));
    home.write("work/sum/SKILL.md", naming("assets/two.wasm"));
    home.run(&["run", "./sum", "--a", "2", "--b", "3"]).gives("5\n");
    for wrong in ["../sum/assets/two.wasm", "/etc/hostname", "assets/none.wasm", "assets"] {
        home.write("work/sum/SKILL.md", naming(wrong));
        home.run(&["run", "./sum"]).fails("not-found", 2, wrong, "ringfence.component");
    }
}

#[test]
fn nothing_leaves_the_folder_and_nothing_else_is_run() {
    let home = Home::new();
    home.write("outside/add.wasm", adder());
    home.write("work/sum/SKILL.md", frontmatter("sum", "metadata:\n  ringfence.component: scripts/add.wasm\n"));
    symlink(home.path("outside"), home.work().join("sum/scripts")).unwrap();
    home.run(&["run", "./sum"]).fails(
        "manifest-invalid",
        2,
        "scripts/add.wasm is a link, or lies behind one",
        "itself",
    );
    home.write("work/sum/SKILL.md", frontmatter("sum", ""));
    home.run(&["add", "./sum"]).fails("not-found", 2, "instructions alone", "ringfence new");
    std::fs::remove_file(home.work().join("sum/scripts")).unwrap();
    std::fs::create_dir(home.work().join("sum/scripts")).unwrap();
    symlink(home.path("outside/add.wasm"), home.work().join("sum/scripts/add.wasm")).unwrap();
    home.run(&["add", "./sum"]).fails("not-found", 2, "instructions alone", "ringfence new");
    home.write("work/sum/scripts/run.sh", "touch ran");
    home.write("work/sum/scripts/more/run.py", "open('ran', 'w')");
    for verb in ["add", "run"] {
        let done = home.run(&[verb, "./sum"]);
        done.fails(
            "not-found",
            2,
            "(scripts/more/run.py, scripts/run.sh) would run outside of the sandbox",
            "components alone",
        );
    }
    assert!(!home.work().join("ran").exists());
}

#[test]
fn name_and_digest_are_those_of_the_component() {
    let home = Home::new();
    sum(&home, "name = \"sum\"\n", &frontmatter("sum", ""));
    let built = home.run(&["build", "sum"]).worked();
    let bytes = std::fs::read(built.out.trim()).unwrap();
    home.write("work/copy/assets/sum.wasm", &bytes);
    let shown = home.run(&["show", "./sum", "--format", "json"]).worked().json();
    let digest = shown["digest"].as_str().unwrap();
    let of = |name: &str, digest: &str| frontmatter(name, &format!("metadata:\n  ringfence.digest: {digest}\n"));
    home.write("work/copy/SKILL.md", of("sum", digest));
    home.run(&["run", "./copy", "--a", "2", "--b", "3"]).gives("5\n");
    home.write("work/copy/SKILL.md", of("other", digest));
    let done = home.run(&["run", "./copy"]);
    done.fails(
        "manifest-invalid",
        2,
        "calls the skill `other`, and its component assets/sum.wasm calls it `sum`",
        "one name",
    );
    home.write("work/copy/SKILL.md", of("sum", &digest.replace(|c: char| c.is_ascii_digit(), "0")));
    home.run(&["add", "./copy"]).fails("digest-mismatch", 6, digest, "do not run this one");
}

#[test]
fn a_component_s_signature_is_checked_as_that_of_any_file() {
    let home = Home::with_config("[signatures]\nfile = \"require\"\n");
    let sign = |file: &Path, key: &str| home.run(&["sign", file.to_str().unwrap(), "--key", key]).worked();
    for name in ["ada", "eve"] {
        let made = home.run(&["key", "new", name, "--no-password", "--format", "json"]).worked().json();
        if name == "ada" {
            home.run(&["trust", "add", "Ada", made["key"]["key"].as_str().unwrap()]).worked();
        }
    }
    let bytes = wat::named("sum", "1.0.0", serde_json::json!({}));
    let file = home.write("work/sum/scripts/sum.wasm", &bytes);
    home.write("work/sum/SKILL.md", frontmatter("sum", ""));
    let refused = |kind: &str| {
        home.run(&["add", "./sum", "--grant-nothing"]).fails(kind, 3, "", "");
        home.run(&["list", "--format", "json"]).gives("[]\n");
    };
    refused("unsigned");
    // By somebody whom nobody trusts, then by somebody who is trusted, of other bytes.
    sign(&file, "eve");
    refused("untrusted-publisher");
    sign(&file, "ada");
    home.write("work/sum/scripts/sum.wasm", wat::named("sum", "1.0.1", serde_json::json!({})));
    refused("signature-invalid");
    // A link is not followed to a signature either.
    home.write("work/sum/scripts/sum.wasm", &bytes);
    let beside = home.path("work/sum/scripts/sum.wasm.minisig");
    std::fs::rename(&beside, home.path("work/sum.minisig")).unwrap();
    symlink(home.path("work/sum.minisig"), &beside).unwrap();
    home.run(&["add", "./sum"]).fails("manifest-invalid", 2, "sum.wasm.minisig is a link", "itself");
    std::fs::rename(home.path("work/sum.minisig"), &beside).unwrap();
    let added = home.run(&["add", "./sum", "--grant-nothing", "--format", "json"]).worked().json();
    assert_eq!(added["signer"]["name"], "Ada", "{added}");
    let pins = home.run(&["trust", "list", "--format", "json"]).worked().json();
    assert_eq!(pins["pins"][0]["skill"], "sum", "{pins}");
}

#[test]
fn a_signature_of_a_component_alone_says_nothing_of_skill_md() {
    let home = Home::new();
    home.run(&["key", "new", "ada", "--no-password"]).worked();
    let file = home.write("work/sum/scripts/add.wasm", adder());
    home.write("work/sum/SKILL.md", frontmatter("sum", ""));
    home.run(&["sign", file.to_str().unwrap(), "--key", "ada"]).worked();
    let added = home.run(&["add", "./sum", "--format", "json"]).worked().json();
    assert_eq!(added["signer"], Value::Null, "{added}");
    // One that does not fit is refused all the same.
    let mut other = adder();
    other.extend([0, 2, 1, b'x']);
    home.write("work/sum/scripts/add.wasm", other);
    home.run(&["run", "./sum", "add_up", "--a", "2", "--b", "3"]).gives("5\n");
    home.run(&["add", "./sum"]).fails("signature-invalid", 3, "of another file", "");
}

#[test]
fn an_export_is_one_and_runs_anywhere() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_ringfence");
    let calls = |folder: &Path, args: &[&str]| {
        let mut script = Command::new(folder.join("scripts/run.sh"));
        home.environment(&mut script);
        let mut path = std::ffi::OsString::from(Path::new(program).parent().unwrap());
        path.push(":/usr/bin:/bin");
        Done::of(script.args(args).current_dir("/").env("PATH", path))
    };
    // A folder, into a folder whose name no shell likes.
    sum(&home, "name = \"sum\"\n", &frontmatter("sum", "license: MIT\n"));
    let told = home.run(&["export", "agent-skill", "./sum", "it's $HOME \"x\"", "--format", "json"]).worked().json();
    let folder = PathBuf::from(told["folder"].as_str().unwrap());
    assert_eq!(folder, home.work().join("it's $HOME \"x\"/sum"));
    assert_eq!(told["files"], serde_json::json!(["SKILL.md", "assets/sum.wasm", "scripts/run.sh"]), "{told}");
    is_valid(&folder);
    calls(&folder, &["add_up", "--input", r#"{"a": 20, "b": 22}"#]).gives("42\n");
    let text = std::fs::read_to_string(folder.join("SKILL.md")).unwrap();
    for part in
        ["license: MIT\n", "\nCall `add_up`.\n", "### `add_up`", "| `a` | whole number | yes |", "Nothing: it only"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let none = Command::new("/bin/sh").arg(folder.join("scripts/run.sh")).env("PATH", "/nowhere").output().unwrap();
    assert!(!none.status.success());

    // What was exported comes in again, and is the same component.
    let path = folder.display().to_string();
    let added = home.run(&["add", &path, "--grant-nothing", "--format", "json"]).worked().json();
    let digest = |shown: &Value| shown["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest(&added), digest(&home.run(&["show", "./sum", "--format", "json"]).worked().json()));

    // The installed one, to a folder of its own name; twice only by force, and only over itself.
    let again = ["export", "agent-skill", "sum", "deep/sum"];
    home.run(&again).gives(&format!("{}\n", home.work().join("deep/sum").display()));
    home.write("work/deep/sum/mine.txt", "x");
    home.run(&again).fails("already-exists", 2, "deep/sum exists already", "--force");
    assert!(home.work().join("deep/sum/mine.txt").exists());
    home.run(&[&again[..], &["--force"]].concat()).worked();
    assert!(!home.work().join("deep/sum/mine.txt").exists());
    is_valid(&home.work().join("deep/sum"));
    let left: Vec<_> =
        std::fs::read_dir(home.work().join("deep")).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["sum"]);
    home.write("work/mine/sum/thesis.txt", "x");
    home.run(&["export", "agent-skill", "sum", "mine", "--force"]).fails("already-exists", 2, "sum", "another place");
    symlink(home.work().join("deep/sum"), home.work().join("mine/link")).unwrap();
    std::fs::create_dir(home.work().join("linked")).unwrap();
    symlink(home.work().join("deep/sum"), home.work().join("linked/sum")).unwrap();
    home.run(&["export", "agent-skill", "sum", "linked", "--force"]).fails("already-exists", 2, "sum", "another place");

    // A skill that wants something, from a file; and a component that says nothing of itself.
    let probe = crate::support::probe().display().to_string();
    home.run(&["export", "agent-skill", &probe]).worked();
    is_valid(&home.work().join("probe"));
    let text = std::fs::read_to_string(home.work().join("probe/SKILL.md")).unwrap();
    assert!(text.contains("It has none of this until the person grants it"), "{text}");
    let refused = calls(&home.work().join("probe"), &["echo", "--text", "x"]);
    assert_eq!(refused.code, 3, "nothing is granted by an export: {refused:?}");
    home.write("work/My Tool.wasm", adder());
    home.run(&["export", "agent-skill", "./My Tool.wasm", "out"]).worked();
    is_valid(&home.work().join("out/my-tool"));
    calls(&home.work().join("out/my-tool"), &["--a", "1", "--b", "1"]).gives("2\n");
}

/// The component of a folder of the repository, exported as its author wrote it.
#[test]
fn the_authors_own_instructions_stand_in_front() {
    let home = Home::new();
    let built = guests::build("plugins/summarize").display().to_string();
    home.run(&["export", "agent-skill", &built]).worked();
    is_valid(&home.work().join("summarize"));
    let text = std::fs::read_to_string(home.work().join("summarize/SKILL.md")).unwrap();
    let own = std::fs::read_to_string(repository().join("plugins/summarize/SKILL.md")).unwrap();
    let body = own.split_once("---\n\n").unwrap().1.trim();
    assert!(text.contains(body) && text.contains("| `text` | text | yes |"), "{text}");
    assert!(text.contains("license: Apache-2.0 OR MIT\n"), "{text}");
}
