//! What a skill may do, in pairs: refused without the grant, done with it.

use crate::support::process::Terminal;
use crate::support::{Home, Provider, guests, probe};

#[test]
fn a_paid_model_needs_a_grant_and_loses_it() {
    let provider = Provider::says("An answer.");
    let home = Home::with_config(&provider.config());
    let skill = guests::copy_of_probe(&home, "work/asker.wasm");
    let skill = skill.display().to_string();
    let ask = ["run", &skill, "--tool", "generate", "--prompt", "hello", "--allow", "kv"];

    let refused = home.run(&ask);
    let command = format!("`ringfence grant {skill} model=default`");
    refused.fails("denied", 3, "default", &command);
    assert_eq!(provider.requests().len(), 0, "nothing was sent");

    // Once.
    home.run(&[&ask[..], &["--allow", "model=default"]].concat()).gives("An answer.\n");
    home.run(&ask).fails("denied", 3, "default", &command);

    // The command of the help, word for word.
    let words: Vec<_> = command.trim_matches('`').split(' ').skip(1).collect();
    home.run(&words).worked();
    home.run(&ask).gives("An answer.\n");

    home.run(&["revoke", &skill, "model"]).worked();
    home.run(&ask).fails("denied", 3, "default", &command);
    assert_eq!(provider.requests().len(), 2);
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    const DOWN: &str = "\u{1b}[B";
    let provider = Provider::says("An answer.");
    let home = Home::with_config(&provider.config());
    let skill = guests::copy_of_probe(&home, "work/asker.wasm").display().to_string();
    let ask = ["run", &skill, "--tool", "generate", "--prompt", "hello"];
    let answer = |keys: &str| {
        let mut terminal = Terminal::start(&home, &ask);
        terminal.wait_for("Allow it?");
        terminal.wait_for("always");
        terminal.press(keys);
        terminal.end()
    };
    let (code, shown) = answer(&format!("{DOWN}{DOWN}\r"));
    assert!(code == 3 && shown.contains("error[denied]") && shown.contains("ringfence grant"), "no: {code} {shown}");
    assert!(shown.contains("probe wants to:") && shown.contains("it says:"), "it was told what for: {shown}");
    assert_eq!(provider.requests().len(), 0);

    let (code, shown) = answer("\r");
    assert!(code == 0 && shown.contains("An answer."), "once: {code} {shown}");
    home.run(&ask).fails("denied", 3, "default", "ringfence grant");

    let (code, shown) = answer(&format!("{DOWN}\r"));
    assert!(code == 0 && shown.contains("An answer."), "always: {code} {shown}");
    // Nobody is asked again, and all that was asked for is granted.
    home.run(&ask).gives("An answer.\n");
    home.run(&["run", &skill, "--tool", "count"]).gives("1\n");
}

#[test]
fn keeping_state_needs_a_grant_and_loses_it() {
    let home = Home::new();
    let skill = guests::copy_of_probe(&home, "work/keeper.wasm");
    let skill = skill.display().to_string();
    let count = ["run", &skill, "--tool", "count"];
    let command = format!("`ringfence grant {skill} kv`");
    home.run(&count).fails("denied", 3, "keep data", &command);
    home.run(&["grant", &skill, "kv"]).worked();
    // It lasts from one process to the next.
    home.run(&count).gives("1\n");
    home.run(&count).gives("2\n");
    home.run(&["revoke", &skill]).worked();
    home.run(&count).fails("denied", 3, "keep data", &command);
    // What it had is still its own.
    home.run(&[&count[..], &["--allow", "kv"]].concat()).gives("3\n");
}

#[test]
fn a_folder_is_granted_by_its_path_and_taken_back() {
    let home = Home::new();
    let skill = home.path("work/reader.wasm");
    std::fs::copy(guests::build("tests/probes/files"), &skill).unwrap();
    let skill = skill.display().to_string();
    home.write("work/notes/a.txt", "inside");
    std::fs::create_dir(home.path("work/out")).unwrap();
    std::fs::create_dir(home.path(".ssh")).unwrap();
    let read = ["run", &skill, "--tool", "fs_read", "--path", "/docs/a.txt"];
    let command = format!("`ringfence grant {skill} files=docs:FOLDER,out:FOLDER:write`");
    home.run(&read).fails("denied", 3, "read all files in a folder that you choose", &command);

    // A path is what it is where it is written, and a hint is no grant.
    let held = home.run(&["grant", &skill, "files=docs:notes/../notes,out:./out:write"]).worked();
    assert!(held.out.contains(&format!("files=docs:{}", home.work().join("notes").display())), "{held:?}");
    home.run(&read).gives("inside\n");
    home.run(&["grant", &skill, "files=docs:FOLDER"]).fails("grant-invalid", 2, "which folder", "files=docs:./notes");
    home.run(&read).gives("inside\n");
    home.run(&["revoke", &skill, "files"]).worked();
    home.run(&read).fails("denied", 3, "read all files", &command);
    let once = ["--allow", "files=docs:./notes", "--allow", "files=out:./out:write"];
    home.run(&[&read[..], &once].concat()).gives("inside\n");

    let keys = ["grant", &skill, "files=docs:../.ssh"];
    home.run(&keys).fails("grant-invalid", 2, ".ssh", "--i-know");
    home.run(&[&keys[..], &["--i-know"]].concat()).worked();
    let ours = format!("files=docs:{}", home.state().display());
    home.run(&["grant", &skill, &ours, "--i-know"]).fails(
        "grant-invalid",
        2,
        "belongs to Ringfence",
        "folder of yours",
    );
}

#[test]
fn skills_never_see_each_others_keys() {
    let home = Home::new();
    for name in ["one", "two"] {
        let skill = guests::copy_of_probe(&home, &format!("work/{name}.wasm")).display().to_string();
        home.run(&["grant", &skill, "kv"]).worked();
        let read = ["run", &skill, "--tool", "read", "--key", "name"];
        home.run(&read).gives("nothing\n");
        home.run(&["run", &skill, "--tool", "put", "--key", "name", "--value", name]).worked();
        home.run(&read).gives(&format!("{name}\n"));
    }
    let one = home.path("work/one.wasm").display().to_string();
    home.run(&["run", &one, "--tool", "read", "--key", "name"]).gives("one\n");
}

#[tokio::test]
async fn a_grant_of_one_capability_is_none_of_another() {
    let host = crate::support::TestHost::new().await;
    let only_model = toml::from_str("[model]\nmodels = [\"default\"]\n").unwrap();
    let call =
        ringfence_core::Call { allow: only_model, ..crate::support::call(&host.probe, "count", serde_json::json!({})) };
    let error = host.host.invoke(call).await.unwrap_err();
    assert_eq!(error.kind(), "refused");
    assert!(error.to_string().contains("kv"), "{error}");
    assert!(error.hint().contains("ringfence grant") && error.hint().contains(" kv"), "{}", error.hint());
    host.still_works().await;
}

#[test]
fn a_skill_that_needs_nothing_is_asked_nothing() {
    let home = Home::new();
    let summarize = guests::build("plugins/summarize").display().to_string();
    // Its model is the free one of this machine: no grant is needed.
    let done = home.run(&["run", &summarize, "--text", "Bees hum. They make honey. Honey is sweet."]).worked();
    assert!(!done.out.trim().is_empty());
}

#[test]
fn a_grant_that_the_manifest_does_not_request_is_kept_and_said_to_be_idle() {
    let home = Home::new();
    let summarize = guests::build("plugins/summarize").display().to_string();
    let done = home.run(&["grant", &summarize, "kv", "model=default"]).worked();
    assert_eq!(done.out, format!("{summarize} may use: model=default\n"), "{done:?}");
    assert!(done.err.contains("`kv` is kept, but ") && done.err.contains("`[permissions.kv]`"), "{done:?}");
    let done = home.run(&["grant", &summarize, "model=default", "--format", "json"]).worked();
    assert!(done.json()["kv"].is_object(), "all that is kept: {done:?}");
    // A folder is not built for it.
    home.write("work/plain/skill.toml", "name = \"plain\"\nversion = \"1.0.0\"\ndescription = \"Nothing.\"\n");
    let done = home.run(&["grant", "./plain", "user"]).worked();
    assert_eq!(done.out, "./plain may use nothing of what it was granted\n");
    assert!(done.err.contains("`user` is kept, but "), "{done:?}");
}

#[test]
fn grants_that_make_no_sense() {
    let home = Home::new();
    let probe = probe().display().to_string();
    home.run(&["grant", &probe, "modle=default"]).fails("grant-invalid", 2, "`modle`", "`model`");
    home.run(&["grant", &probe, "model=*"]).fails("grant-invalid", 2, "*", "ringfence models");
    home.run(&["revoke", &probe, "filez"]).fails("grant-invalid", 2, "`filez`", "capabilities are: ");
}
