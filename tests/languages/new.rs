//! A new skill in each language: it builds, its own tests pass, and it answers, on a machine where nobody prepared anything.

use serde_json::json;

use crate::support::{Home, guests};

/// Each in a home of its own, which lies in no checkout: the SDK comes out of the program.
async fn a_new_skill_is_built_tested_and_run(lang: &'static str) {
    tokio::task::spawn_blocking(move || whole(lang)).await.unwrap();
}

fn whole(lang: &str) {
    let home = Home::new();
    let description = "Says \"what\" is \\ to be done.";
    home.run(&["new", "my-skill", "--lang", lang, "--description", description]).worked();
    let told =
        home.run(&["run", "./my-skill", "count", "--text", "one two\nthree", "--format", "json"]).worked().json();
    let counts = &told["outcome"]["structured"];
    assert_eq!(counts, &json!({ "words": 3, "lines": 2, "minutes": 1 }), "{lang}: {told}");
    let items =
        ["run", "./my-skill", "action_items", "--text", "Ada will book a room until Friday.", "--format", "json"];
    let told = home.run(&items).worked().json();
    assert!(told["outcome"]["structured"]["items"].is_array(), "{lang}: {told}");
    home.run(&["run", "./my-skill", "action_items", "--text", " "]).fails("invalid-input", 2, "`text`", "text");
    let shown = home.run(&["show", "./my-skill", "--format", "json"]).worked().json();
    assert_eq!(shown["manifest"]["description"], description, "{lang}: {shown}");

    // Nothing has changed: nothing is built. Something has: it is.
    let built = home.work().join("my-skill/target/ringfence/my-skill.wasm");
    let before = std::fs::metadata(&built).unwrap().modified().unwrap();
    home.run(&["build", "my-skill"]).worked();
    assert_eq!(std::fs::metadata(&built).unwrap().modified().unwrap(), before, "{lang}: built again without a reason");
    // The SDK is no part of the skill's history, nor is what was built.
    let ignored = std::fs::read_to_string(home.work().join("my-skill/.gitignore")).unwrap();
    assert!(ignored.contains("/target"), "{lang}: {ignored}");
    assert_eq!(std::fs::read_to_string(home.work().join("my-skill/.ringfence/.gitignore")).unwrap(), "*\n");

    let tested = home.run(&["test", "my-skill"]).worked();
    let said = format!("{}{}", tested.out, tested.err);
    assert!(said.contains("pass") || said.contains("ok"), "{lang}: {said}");
}

in_every_language!(a_new_skill_is_built_tested_and_run);

/// In a checkout a new skill uses the SDK that lies there.
#[test]
fn in_a_checkout_the_sdk_is_that_of_the_checkout() {
    let home = Home::new();
    for part in ["sdk/python", "wit"] {
        std::fs::create_dir_all(home.work().join(part)).unwrap();
    }
    home.write("work/sdk/python/README.md", "");
    home.write("work/wit/world.wit", "");
    home.run(&["new", "my-skill", "--lang", "python", "--dir", "skills/mine"]).worked();
    let project = std::fs::read_to_string(home.work().join("skills/mine/pyproject.toml")).unwrap();
    assert!(project.contains("\"../../sdk/python/src\""), "{project}");
    assert!(!home.work().join("skills/mine/.ringfence").exists());
    assert!(guests::repository().join("sdk/python/README.md").is_file());
}
