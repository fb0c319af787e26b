//! What goes wrong between a source and its component: each with the author's own words, and nothing half-made.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::support::process::{below, interrupt, is_alive, start, until};
use crate::support::{Done, Home};

/// A new skill with one file changed, and what building it says.
fn broken(home: &Home, lang: &str, change: impl Fn(&std::path::Path)) -> Done {
    home.run(&["new", "odd", "--lang", lang]).worked();
    change(&home.work().join("odd"));
    let done = home.run(&["build", "odd"]);
    assert!(!home.work().join("odd/target/ringfence/odd.wasm").exists(), "{done:?}");
    done
}

fn source(lang: &str) -> &'static str {
    match lang {
        "c" => "src/skill.c",
        "go" => "skill.go",
        "javascript" => "src/skill.js",
        "python" => "skill.py",
        "rust" => "src/lib.rs",
        "typescript" => "src/skill.ts",
        other => panic!("{other}"),
    }
}

async fn a_syntax_error_is_the_compilers_own(lang: &'static str) {
    tokio::task::spawn_blocking(move || {
        let home = Home::new();
        let file = source(lang);
        let done = broken(&home, lang, |folder| {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{text}\n)) ZEBRA ((\n")).unwrap();
        });
        done.fails("build-failed", 1, "odd", "correct what");
        let lines = std::fs::read_to_string(home.work().join("odd").join(file)).unwrap().lines().count();
        let place = file.rsplit('/').next().unwrap();
        assert!(done.err.contains(place), "{lang}: {done:?}");
        assert!(done.err.contains("ZEBRA") || done.err.contains("syntax error"), "{lang}: {done:?}");
        assert!(done.err.contains(&lines.to_string()), "{lang}: line {lines} is not named: {done:?}");
    })
    .await
    .unwrap();
}

in_every_language!(a_syntax_error_is_the_compilers_own);

/// Programs by name in a folder of their own: the only ones that the host finds.
fn only(home: &Home, programs: &[(&str, &str)]) -> PathBuf {
    let bin = home.path(&format!("bin-{}", programs.len()));
    std::fs::create_dir_all(&bin).unwrap();
    for (name, script) in programs {
        let file = bin.join(name);
        if let Some(real) = script.strip_prefix("-> ") {
            symlink(real, &file).unwrap();
            continue;
        }
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

/// A build in a cache of its own, where no toolchain is.
fn bare(home: &Home, lang: &str, programs: &[(&str, &str)], more: &[&str]) -> Done {
    if !home.work().join(lang).exists() {
        home.run(&["new", lang, "--lang", lang]).worked();
    }
    let mut args = vec!["build", lang];
    args.extend(more);
    let mut command: Command = home.command(&args);
    command.env("RINGFENCE_CACHE_DIR", home.path("cache")).env("PATH", only(home, programs));
    Done::of(&mut command)
}

/// Nothing stands in the toolchains' folder that looks like one.
fn nothing_half_made(home: &Home) {
    let left = home.files("cache/toolchains");
    assert!(left.iter().all(|file| file.contains("-lock")), "{left:?}");
}

#[test]
fn without_the_languages_own_client_it_is_named() {
    let home = Home::new();
    for lang in ["python", "go", "c"] {
        bare(&home, lang, &[], &[]).fails("toolchain-missing", 4, "there is no Python", "install Python");
    }
    for lang in ["javascript", "typescript"] {
        bare(&home, lang, &[], &[]).fails("toolchain-missing", 4, "there is no Node.js", "install Node.js");
    }
    nothing_half_made(&home);
}

#[test]
fn an_old_one_and_one_without_its_client_are_named() {
    let home = Home::new();
    let old = [("python3", "echo 3.7"), ("x", "")];
    bare(&home, "python", &old, &[]).fails("toolchain-missing", 4, "Python 3.7 is too old", "3.9");
    let bare_python = [("python3", "case \"$1\" in -c) echo 3.11;; *) exit 1;; esac"), ("x", ""), ("y", "")];
    bare(&home, "python", &bare_python, &[]).fails("toolchain-missing", 4, "has no pip", "ensurepip");
    let old = [("node", "echo v16.1.0"), ("x", ""), ("y", ""), ("z", "")];
    bare(&home, "typescript", &old, &[]).fails("toolchain-missing", 4, "Node.js 16.1.0 is too old", "Node.js");
    nothing_half_made(&home);
}

#[test]
fn offline_fetches_nothing() {
    let home = Home::new();
    let python = [("python3", "echo 3.11")];
    for (lang, what) in [("python", "componentize-py"), ("go", "Go 1.27"), ("c", "zig cc")] {
        bare(&home, lang, &python, &["--offline"]).fails("toolchain-missing", 4, what, "doctor --fix");
    }
    let node = [("node", "echo v22.0.0"), ("npm", "echo 11")];
    bare(&home, "typescript", &node, &["--offline"]).fails("toolchain-missing", 4, "componentize-qjs", "doctor --fix");
    nothing_half_made(&home);
}

#[test]
fn a_client_that_fails_half_way_leaves_nothing() {
    let home = Home::new();
    // It writes a part, and then the network is gone.
    let script = "case \"$*\" in *install*) for a; do last=$a; done; mkdir -p half; echo x > half/file; \
                  echo 'ERROR: no route to the index' >&2; exit 1;; *) echo 3.11;; esac";
    let done = bare(&home, "python", &[("python3", script), ("mkdir", "-> /bin/mkdir")], &[]);
    done.fails("toolchain-missing", 4, "pip could not fetch componentize-py", "pip says above");
    assert!(done.err.contains("fetching componentize-py 0.25.1 (17 MiB), once"), "{done:?}");
    assert!(done.err.contains("no route to the index"), "the client's own words: {done:?}");
    nothing_half_made(&home);
}

/// Something that tidies disks, or a fetch that was killed, has left a part of a toolchain.
#[test]
fn a_toolchain_that_is_not_whole_is_told_and_fetched_again() {
    let home = Home::new();
    let puts = "while [ \"$1\" != --target ]; do shift; done; cd \"$2\"; \
                /bin/mkdir -p componentize_py go/bin ziglang; : > componentize_py/__init__.py; : > go/bin/go; : > ziglang/zig";
    let python = |install: &str| format!("case \"$*\" in *install*) {install};; *) echo 3.11;; esac");
    let doctor = |install: &str, more: &[&str]| {
        let mut command = home.command(&[&["doctor"], more].concat());
        let programs = only(&home, &[("python3", &python(install))]);
        Done::of(command.env("RINGFENCE_CACHE_DIR", home.path("cache")).env("PATH", programs))
    };
    let line = |done: &Done| done.out.lines().find(|line| line.contains("c toolchain")).unwrap().to_owned();
    // Languages whose own programs a machine lacks are no failure: nobody asked for Node.js.
    let done = doctor(puts, &["--fix"]).worked();
    assert!(line(&done).starts_with("ok") && line(&done).contains("zig cc 0.17.1 is here"), "{done:?}");
    let toolchains = std::fs::read_dir(home.path("cache/toolchains")).unwrap().map(|entry| entry.unwrap().path());
    let zig = toolchains.into_iter().find(|path| path.join("ziglang").is_dir() && is_of(path, "c-")).unwrap();

    for missing in ["ziglang/zig", "complete"] {
        std::fs::remove_file(zig.join(missing)).unwrap();
        std::fs::create_dir_all(home.path("cache/toolchains/.new-c-killed/half")).unwrap();
        let done = doctor(puts, &[]).worked();
        assert!(line(&done).starts_with("note") && line(&done).contains(&format!("{missing} is missing")), "{done:?}");
        assert!(done.out.contains("run `ringfence doctor --fix`"), "{done:?}");
        for (install, more) in [(puts, &["--fix", "--offline"][..]), ("echo no route >&2; exit 1", &["--fix"])] {
            let done = doctor(install, more);
            assert!(done.code == 1 && line(&done).starts_with("problem"), "{more:?}: {done:?}");
        }
        let done = doctor(puts, &["--fix"]).worked();
        assert!(line(&done).starts_with("ok") && done.err.contains("zig cc 0.17.1 is broken"), "{done:?}");
        assert!(zig.join(missing).is_file());
        assert!(!home.path("cache/toolchains/.new-c-killed").exists());
    }
    std::fs::remove_file(zig.join("ziglang/zig")).unwrap();
    bare(&home, "c", &[("python3", "echo 3.11")], &["--offline"]).fails(
        "toolchain-missing",
        4,
        "ziglang/zig is missing, and `--offline` forbids",
        "doctor --fix",
    );
}

fn is_of(path: &std::path::Path, name: &str) -> bool {
    path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name))
}

#[test]
fn the_tests_of_a_c_skill_need_make() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "c"]).worked();
    let mut command = home.command(&["test", "odd"]);
    Done::of(command.env("PATH", only(&home, &[]))).fails("toolchain-missing", 4, "there is no `make`", "install it");
}

#[test]
fn a_python_package_with_compiled_parts_is_named() {
    let home = Home::new();
    let done =
        broken(&home, "python", |folder| std::fs::write(folder.join("requirements.txt"), "numpy==2.3.0\n").unwrap());
    done.fails("build-failed", 1, "`numpy==2.3.0` has no version that runs in WebAssembly", "without compiled parts");
}

#[test]
fn a_package_in_pure_python_is_honoured() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "python"]).worked();
    let folder = home.work().join("odd");
    // As a new project is: the other list is there, and empty.
    let project = std::fs::read_to_string(folder.join("pyproject.toml")).unwrap();
    let project = project.replace("[project]\n", "[project]\ndependencies = [\"roman-numerals==3.1.0\"]\n");
    std::fs::write(folder.join("pyproject.toml"), project).unwrap();
    std::fs::write(
        folder.join("skill.py"),
        "from roman_numerals import RomanNumeral\nfrom ringfence import tool\n\n\n@tool\ndef roman(number: int) -> str:\n    \
         \"\"\"Writes a number as the Romans did.\"\"\"\n    return str(RomanNumeral(number))\n",
    )
    .unwrap();
    home.run(&["run", "./odd", "--number", "2026"]).gives("MMXXVI\n");
}

/// pip has pydantic 1.10 for a component, since pydantic 2 is compiled in part.
#[test]
fn a_model_of_pydantic_is_a_type_of_a_tool() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "python"]).worked();
    let folder = home.work().join("odd");
    std::fs::write(folder.join("requirements.txt"), "pydantic<2\n").unwrap();
    std::fs::write(
        folder.join("skill.py"),
        "from typing import Optional\n\nfrom pydantic import BaseModel, Field\nfrom ringfence import tool\n\n\n\
         class Order(BaseModel):\n    \"\"\"An order.\"\"\"\n\n    item: str = Field(description=\"What.\")\n    \
         count: int = Field(1, ge=1)\n    note: Optional[str] = None\n\n\n\
         @tool\ndef price(order: Order) -> Order:\n    \"\"\"Prices an order.\"\"\"\n    return order\n",
    )
    .unwrap();
    let told = home.run(&["run", "./odd", "--order", "{\"item\": \"tea\"}", "--format", "json"]).worked().json();
    let order = serde_json::json!({ "item": "tea", "count": 1, "note": null });
    assert_eq!(told["outcome"]["structured"], order, "{told}");
    home.run(&["run", "./odd", "--order", "{\"item\": \"tea\", \"count\": 0}"]).fails("invalid-input", 2, "count", "");
}

#[test]
fn what_pip_cannot_fetch_is_told_apart() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "python"]).worked();
    let asked = |list: &str| home.write("work/odd/requirements.txt", list);
    asked("pydantic==2.11.0\n");
    home.run(&["build", "odd"]).fails("build-failed", 1, "pydantic-core is compiled", "write `pydantic<2`: 1.10");
    asked("docopt==0.6.2\n");
    home.run(&["build", "odd"]).fails("build-failed", 1, "`docopt==0.6.2` is to be had as a source archive", "a wheel");
    asked("roman-numerals==99\n");
    home.run(&["build", "odd"]).fails(
        "build-failed",
        1,
        "`roman-numerals==99` asks for a version",
        "take one that there is: ",
    );
    asked("roman-numerals==3.0.0\n");
    home.run(&["build", "odd", "--offline"]).fails(
        "toolchain-missing",
        4,
        "depends on",
        "`ringfence build` once without",
    );
    let mut command = home.command(&["build", "odd"]);
    command.env("PIP_INDEX_URL", "http://127.0.0.1:1/simple/").env_remove("PIP_EXTRA_INDEX_URL");
    Done::of(unmirrored(&mut command)).fails("build-failed", 1, "pip reaches no index of packages", "network");
}

#[test]
fn packages_of_npm_are_those_that_are_asked_for_now() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "javascript"]).worked();
    let folder = home.work().join("odd");
    let depend = |on: &str| {
        home.write("work/odd/package.json", format!(r#"{{"type": "module", "dependencies": {{{on}}}}}"#));
    };
    let version = || {
        let text = std::fs::read_to_string(folder.join("node_modules/is-number/package.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["version"].clone()
    };
    depend("\"is-number\": \"6.0.0\"");
    home.run(&["build", "odd"]).worked();
    assert_eq!(version(), "6.0.0");
    // The lock of the first build tells of another package.json by now.
    assert!(folder.join("package-lock.json").is_file());
    depend("\"is-number\": \"7.0.0\"");
    home.run(&["build", "odd", "--offline"]).fails(
        "toolchain-missing",
        4,
        "asks for now",
        "`ringfence build` once without",
    );
    home.run(&["build", "odd"]).worked();
    assert_eq!(version(), "7.0.0");
    for entry in std::fs::read_dir(folder.join("node_modules/is-number")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    home.run(&["build", "odd", "--force"]).worked();
    assert_eq!(version(), "7.0.0");
    // Nothing is fetched where nothing has changed.
    let quiet = home.run(&["build", "odd", "--force", "--offline"]).worked();
    assert!(!quiet.err.contains("fetching"), "{quiet:?}");
    depend("\"is-number\": \"7.0.0\", \"is-odd\": \"3.0.1\"");
    let mut command = home.command(&["build", "odd"]);
    command.env("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1/").env("NPM_CONFIG_CACHE", home.path("npm"));
    Done::of(unmirrored(&mut command)).fails("build-failed", 1, "npm reaches no registry", "network");
}

/// An author without a Go of his own names a module in go.mod, and has nothing that would write go.sum.
#[test]
fn a_module_of_go_that_go_mod_names_is_fetched() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "go"]).worked();
    // A proxy of modules is a folder.
    let module = "module example.test/hello\n\ngo 1.20\n";
    let versions = "proxy/example.test/hello/@v";
    home.write(&format!("{versions}/list"), "v1.0.0\n");
    home.write(&format!("{versions}/v1.0.0.info"), r#"{"Version": "v1.0.0", "Time": "2026-01-01T00:00:00Z"}"#);
    home.write(&format!("{versions}/v1.0.0.mod"), module);
    let inside = "packed/example.test/hello@v1.0.0";
    home.write(&format!("{inside}/go.mod"), module);
    home.write(&format!("{inside}/hello.go"), "package hello\n\nfunc Hello() string { return \"hello\" }\n");
    // Of files alone: Go takes no archive with folders in it.
    let pack = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], \"w\") as archive:\n    \
                for name in sys.argv[2:]:\n        archive.write(name)";
    let packed = Command::new("python3")
        .args(["-c", pack])
        .arg(home.path(&format!("{versions}/v1.0.0.zip")))
        .args(["go.mod", "hello.go"].map(|name| format!("example.test/hello@v1.0.0/{name}")))
        .current_dir(home.path("packed"))
        .status();
    assert!(packed.unwrap().success());

    // The toolchain has to be here, or what is missing offline is Go and not the module.
    home.run(&["build", "odd"]).worked();
    let folder = home.work().join("odd");
    let project = std::fs::read_to_string(folder.join("go.mod")).unwrap();
    let require = "require ringfence v0.0.0\n";
    home.write("work/odd/go.mod", project.replace(require, &format!("{require}\nrequire example.test/hello v1.0.0\n")));
    std::fs::remove_file(folder.join("skill_test.go")).unwrap();
    home.write(
        "work/odd/skill.go",
        "package main\n\nimport (\n\t\"example.test/hello\"\n\t\"ringfence\"\n)\n\nfunc main() {}\n\nfunc init() {\n\t\
         ringfence.Tool(\"a\", \"Says it.\", func(*ringfence.Context, ringfence.None) (string, error) {\n\t\t\
         return hello.Hello(), nil\n\t})\n}\n",
    );
    let proxied = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("GOPROXY", format!("file://{}", home.path("proxy").display())).env("GOSUMDB", "off");
        Done::of(&mut command)
    };
    proxied(&["build", "odd", "--offline"]).fails(
        "toolchain-missing",
        4,
        "a module that",
        "`ringfence build` once without",
    );
    proxied(&["run", "./odd"]).gives("hello\n");
    assert!(std::fs::read_to_string(folder.join("go.sum")).unwrap().contains("example.test/hello v1.0.0"));
}

#[test]
fn an_npm_package_is_honoured_and_one_for_node_is_named() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "javascript"]).worked();
    let folder = home.work().join("odd");
    std::fs::write(folder.join("package.json"), r#"{"type": "module", "dependencies": {"is-number": "7.0.0"}}"#)
        .unwrap();
    std::fs::write(
        folder.join("src/skill.js"),
        "import isNumber from \"is-number\";\nimport { skill, tool, s } from \"ringfence\";\n\nexport default skill(tool({\n  \
         name: \"check\", description: \"Whether it is a number.\", input: { text: s.string() },\n  \
         run: ({ text }) => String(isNumber(text)),\n}));\n",
    )
    .unwrap();
    home.run(&["run", "./odd", "--text", "12"]).gives("true\n");
    std::fs::write(
        folder.join("src/skill.js"),
        "import net from \"node:net\";\nimport { skill, tool, s } from \"ringfence\";\n\nexport default skill(tool({\n  \
         name: \"check\", description: \"Dials.\", input: {}, run: () => String(net.connect),\n}));\n",
    )
    .unwrap();
    let done = home.run(&["build", "odd"]);
    done.fails("build-failed", 1, "odd", "correct what");
    assert!(done.err.contains("node:net") && done.err.contains("skill.js"), "{done:?}");
}

#[test]
fn an_unknown_language_and_no_language_at_all() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "cobol"]).fails("usage", 2, "cobol", "python");
    home.write(
        "work/odd/skill.toml",
        "name = \"odd\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n[build]\nlang = \"pyhton\"\n",
    );
    home.run(&["build", "odd"]).fails("build-failed", 1, "`lang = \"pyhton\"`", "did you mean `lang = \"python\"`?");
    home.write("work/odd/skill.toml", "name = \"odd\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n");
    home.run(&["build", "odd"]).fails("build-failed", 1, "holds no source", "typescript");
}

#[test]
fn a_component_that_something_else_built() {
    let home = Home::new();
    let manifest = |component: &str| {
        format!("name = \"odd\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n[build]\ncomponent = \"{component}\"\n")
    };
    home.write("work/odd/skill.toml", manifest("out/odd.wasm"));
    home.run(&["build", "odd"]).fails("build-failed", 1, "out/odd.wasm is not there", "build it first");
    home.write("work/odd/out/odd.wasm", std::fs::read(crate::support::probe()).unwrap());
    home.run(&["run", "./odd", "echo", "--text", "hello"]).gives("hello\n");
    for outside in ["../odd.wasm", "/etc/hostname"] {
        home.write("work/odd/skill.toml", manifest(outside));
        home.run(&["build", "odd"]).fails("manifest-invalid", 2, outside, "without `..`");
    }
    home.write("work/odd/skill.toml", format!("{}lang = \"rust\"\n", manifest("odd.wasm")));
    home.run(&["build", "odd"]).fails("manifest-invalid", 2, "either `lang` or `component`", "skill.toml");
}

/// A stranger's folder is built as the person who builds: what it links to must not get into what is handed on.
#[test]
fn links_out_of_a_strangers_folder_are_not_followed() {
    let home = Home::new();
    home.write("work/odd/skill.toml", PREBUILT);
    let outside = home.write("outside/odd.wasm", std::fs::read(crate::support::probe()).unwrap());
    let secret = home.write("outside/secret.txt", "the person's own words");
    symlink(&outside, home.path("work/odd/odd.wasm")).unwrap();
    home.run(&["build", "odd"]).fails("manifest-invalid", 2, "a link that leads out of the skill's folder", "copy");
    home.run(&["run", "./odd", "echo", "--text", "x"]).fails("manifest-invalid", 2, "`odd.wasm` is a link", "copy");
    assert_eq!(home.files("work/odd/target/ringfence"), [""; 0]);

    // One inside of the folder is as good as the file.
    std::fs::remove_file(home.path("work/odd/odd.wasm")).unwrap();
    std::fs::create_dir(home.path("work/odd/out")).unwrap();
    std::fs::copy(&outside, home.path("work/odd/out/real.wasm")).unwrap();
    symlink("out/real.wasm", home.path("work/odd/odd.wasm")).unwrap();
    for name in ["README.md", "LICENSE"] {
        symlink(&secret, home.path(&format!("work/odd/{name}"))).unwrap();
    }
    let done = home.run(&["build", "odd"]).worked();
    for name in ["README.md", "LICENSE"] {
        assert!(done.err.contains(&format!("odd/{name} is a link and is left out of the package")), "{done:?}");
    }
    home.run(&["run", "./odd", "echo", "--text", "x", "--allow", "kv", "--allow", "model"]).gives("x\n");
    home.run(&["show", "./odd", "--readme"]).fails("not-found", 2, "no README", "ringfence build");
    home.run(&["show", "./odd", "--license"]).fails("not-found", 2, "no licence", "ringfence build");
    let packed = std::fs::read(home.path("work/odd/target/ringfence/odd.wasm")).unwrap();
    let words = b"the person's own words";
    assert!(!packed.windows(words.len()).any(|window| window == words));
    std::fs::remove_file(home.path("work/odd/README.md")).unwrap();
    home.write("work/odd/README.md", "The skill's own words.\n");
    home.run(&["show", "./odd", "--readme"]).gives("The skill's own words.\n");
}

/// A skill whose component something else has built.
const PREBUILT: &str =
    "name = \"odd\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n[build]\ncomponent = \"odd.wasm\"\n";

/// What `.npmrc` names in place of git would run outside of the sandbox, and what it fills into an address would tell the stranger.
#[test]
fn a_strangers_npmrc_runs_nothing_and_tells_nobody() {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", "javascript"]).worked();
    let folder = home.work().join("odd");
    let depend = |on: &str| {
        let package = format!(r#"{{"type": "module", "dependencies": {{"x": "{on}"}}}}"#);
        std::fs::write(folder.join("package.json"), package).unwrap();
    };
    let evil = home.write("work/odd/evil.sh", "#!/bin/sh\necho ran > \"$(dirname \"$0\")/ran\"\n");
    std::fs::set_permissions(&evil, std::fs::Permissions::from_mode(0o755)).unwrap();
    depend("git+http://127.0.0.1:1/x.git");
    for (text, word) in [
        (format!("git={}\n", evil.display()), "sets `git`"),
        ("registry=http://127.0.0.1:1/${HOME}/\n".to_owned(), "sets `registry`"),
    ] {
        home.write("work/odd/.npmrc", text);
        home.run(&["build", "odd"]).fails("build-failed", 1, word, "~/.npmrc");
    }
    assert!(!folder.join("ran").exists());

    // An address alone is honoured: npm asks it for the package.
    let index = Index::start();
    home.write("work/odd/.npmrc", format!("registry={}\n", index.url()));
    depend("1.0.0");
    let begun = Instant::now();
    let child = start(unmirrored(&mut home.command(&["build", "odd"])));
    index.wait();
    interrupt(&child);
    Done::wait(child, begun).fails("cancelled", 130, "", "again");
}

/// An index of packages on this machine that takes a request and never answers.
struct Index(std::net::TcpListener);

impl Index {
    fn start() -> Self {
        Self(std::net::TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/simple/", self.0.local_addr().unwrap())
    }

    /// Until somebody asks it for something. The connection stays open as long as what is given is held.
    fn wait(&self) -> std::net::TcpStream {
        let (mut stream, _) = self.0.accept().unwrap();
        let mut request = [0; 4];
        std::io::Read::read_exact(&mut stream, &mut request).unwrap();
        assert_eq!(&request, b"GET ");
        stream
    }
}

/// No proxy of this machine's stands between a client and the index of a test.
fn unmirrored(command: &mut Command) -> &mut Command {
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1")
}

/// Ctrl-C while a client waits for its index: it ends with all that it started, no toolchain is half there, and the next run fetches it.
#[track_caller]
fn stopped_while_it_fetches(lang: &str, variable: &str) {
    let home = Home::new();
    home.run(&["new", "odd", "--lang", lang]).worked();
    let index = Index::start();
    let mut command = home.command(&["build", "odd"]);
    command.env("RINGFENCE_CACHE_DIR", home.path("cache")).env(variable, index.url());
    let begun = Instant::now();
    let child = start(unmirrored(&mut command));
    let asked = index.wait();
    let fetching = below(child.id());
    assert!(!fetching.is_empty(), "a client runs");
    interrupt(&child);
    Done::wait(child, begun).fails("cancelled", 130, "the build was cancelled", "again");
    for (pid, name) in fetching {
        until(&format!("{name} ends"), || (!is_alive(pid)).then_some(()));
    }
    nothing_half_made(&home);
    drop((asked, index));
    // Neither a lock nor a folder stands in the way of the next one.
    let mut command = home.command(&["run", "./odd", "count", "--text", "one two"]);
    let counted = Done::of(command.env("RINGFENCE_CACHE_DIR", home.path("cache"))).worked();
    assert!(counted.out.contains("\"words\": 2") || counted.out.contains("\"words\":2"), "{counted:?}");
}

#[test]
fn ctrl_c_while_pip_fetches_a_toolchain() {
    stopped_while_it_fetches("python", "PIP_INDEX_URL");
}

#[test]
fn ctrl_c_while_npm_fetches_a_toolchain() {
    stopped_while_it_fetches("javascript", "NPM_CONFIG_REGISTRY");
}

/// The limit is of the file, whatever language it was written in: what a toolchain has built goes the same way.
#[test]
fn a_component_of_100_megabytes_of_any_language_is_refused_or_taken_by_the_limit() {
    let home = Home::new();
    home.write("work/odd/skill.toml", PREBUILT);
    let mut bytes = std::fs::read(crate::support::probe()).unwrap();
    // A section that says nothing: kind 0, its size in LEB128, the name `x`.
    let size: usize = 100 << 20;
    let leb = |at: usize| (size >> (7 * at) & 0x7f) as u8 | if at < 3 { 0x80 } else { 0 };
    bytes.push(0);
    bytes.extend((0..4).map(leb));
    bytes.extend([1, b'x']);
    bytes.resize(bytes.len() + size - 2, 0);
    let file = home.write("work/odd/odd.wasm", &bytes);
    for args in [&["build", "odd"][..], &["run", "./odd", "echo", "--text", "x"], &["add", "odd", "--grant-nothing"]] {
        home.run(args).fails("too-large", 2, "longer than the 67108864 bytes", "raise `engine.component-mib`");
    }
    assert_eq!(home.files("data"), [""; 0]);
    let echo = ["run", "./odd", "echo", "--text", "x", "--allow", "kv", "--allow", "model"];
    home.run(&[&echo[..], &["--set", "engine.component-mib=128"]].concat()).gives("x\n");
    // What says nothing is not packed, so that the package is no larger than its code and runs below the usual limit.
    let packed = home.path("work/odd/target/ringfence/odd.wasm");
    assert!(std::fs::metadata(&packed).unwrap().len() < 10 << 20);
    home.run(&[&["run", &*packed.display().to_string()], &echo[2..]].concat()).gives("x\n");
    std::fs::remove_file(&file).unwrap();
    home.run(&["build", "odd"]).fails("build-failed", 1, "odd.wasm is not there", "build it first");
}

/// A schema that no model can be given is told when the skill is built: by the SDK, in its language's own words, where its types cannot
/// say one, and else by the host, which looks at what every language lists in the same way.
#[test]
fn a_tool_that_no_model_can_be_given_is_no_tool() {
    let go = "package main\n\nimport \"ringfence\"\n\nfunc main() {}\n\nfunc init() {\n\tringfence.Tool(\"a\", \"Does.\", \
              func(_ *ringfence.Context, in []string) (string, error) { return in[0], nil })\n}\n";
    let python = "from ringfence import tool\n\n\n@tool\ndef a(größe: int) -> str:\n    \"\"\"Does.\"\"\"\n    return str(größe)\n";
    let c = "#include <ringfence.h>\nstatic rf_outcome *a(const rf_json *in) { (void)in; return rf_text(\"x\"); }\n\
             RF_TOOL(a, rf_json, \"Does.\", .input_schema = RF_JSON({\"type\": \"array\"}));\n";
    let typescript = "import { s, skill, tool } from \"ringfence\";\n\nexport default skill(tool({\n  name: \"a\", description: \"Does.\", \
                      input: { \"first name\": s.string() }, run: () => \"x\",\n}));\n";
    let host = "the input schema of `a`: no model can be given it";
    for (lang, text, words) in [
        ("go", go, ["its input is `[]string`", "make it a struct"]),
        ("python", python, [host, "`größe`"]),
        ("c", c, [host, "of type \"array\""]),
        ("typescript", typescript, [host, "`first name`"]),
    ] {
        let home = Home::new();
        let done = broken(&home, lang, |folder| std::fs::write(folder.join(source(lang)), text).unwrap());
        assert_ne!(done.code, 0, "{lang}: {done:?}");
        for word in words {
            assert!(done.err.contains(word), "{lang}: {word}: {done:?}");
        }
    }
}

/// Mistakes that no compiler sees: an author is told about the tool, and not about a crash of somebody else's skill.
#[test]
fn mistakes_with_tools_are_the_authors() {
    let go = |rest: &str| format!("package main\n\nimport \"ringfence\"\n\nfunc main() {{}}\n\n{rest}");
    let twice = go("type In struct {\n\tN int `json:\"n\" desc:\"N.\"`\n}\n\n\
                    func a(_ *ringfence.Context, _ In) (string, error) { return \"\", nil }\n\n\
                    func init() {\n\tringfence.Tool(\"same\", \"A.\", a)\n\tringfence.Tool(\"same\", \"A.\", a)\n}\n");
    let channel = go("type In struct {\n\tN chan int `json:\"n\" desc:\"N.\"`\n}\n\nfunc init() {\n\t\
                      ringfence.Tool(\"odd\", \"A.\", func(_ *ringfence.Context, _ In) (string, error) { return \"\", nil })\n}\n");
    let without = "package main\n\nfunc main() {}\n".to_owned();
    let silent = "#include <ringfence.h>\nint one(void) { return 1; }\n".to_owned();
    let endless = "from ringfence import tool\n\n\n@tool\ndef a(x: float = float(\"nan\")) -> str:\n    \
                   \"\"\"Does.\"\"\"\n    return str(x)\n";
    for (lang, text, words) in [
        ("go", twice, ["cannot be listed: two tools have the name `same`", "correct the skill"]),
        ("go", channel, ["cannot be listed: tool `odd`", "correct the skill"]),
        ("go", without, ["has no tools: nothing in it uses the SDK", "import \"ringfence\""]),
        ("c", silent, ["cannot be listed: the skill has no tools", "RF_TOOL"]),
        ("python", endless.to_owned(), ["`a` (skill.py:4) cannot be listed", "`x` has a default"]),
    ] {
        let home = Home::new();
        let done = broken(&home, lang, |folder| {
            std::fs::write(folder.join(source(lang)), &text).unwrap();
            drop(std::fs::remove_file(folder.join("skill_test.go")));
        });
        assert!(done.code == 1 && done.err.contains("error[build-failed]"), "{lang}: {done:?}");
        for word in words {
            assert!(done.err.contains(word), "{lang}: {word}: {done:?}");
        }
    }
}

/// Two tools of one name, and one that says nothing about its input, are told before there is a component.
#[test]
fn tools_that_cannot_be_told_apart_or_are_not_described() {
    let twice = "from ringfence import tool\n\n\n@tool\ndef a(x: int) -> str:\n    \"\"\"Does.\"\"\"\n    return str(x)\n\n\n\
                 @tool(name=\"a\")\ndef b(x: int) -> str:\n    \"\"\"Does.\"\"\"\n    return str(x)\n";
    let untyped = "from ringfence import tool\n\n\n@tool\ndef a(x) -> str:\n    \"\"\"Does.\"\"\"\n    return str(x)\n";
    let silent = "from ringfence import tool\n\n\n@tool\ndef a(x: int) -> str:\n    return str(x)\n";
    for (text, word) in [(twice, "`a`"), (untyped, "x"), (silent, "description")] {
        let home = Home::new();
        let done = broken(&home, "python", |folder| std::fs::write(folder.join("skill.py"), text).unwrap());
        done.fails("build-failed", 1, "odd", "correct what");
        assert!(done.err.contains("skill.py") && done.err.contains(word), "{word}: {done:?}");
    }
}
