//! The example of the core's documentation: a host within another program.

use crate::support::{Home, hosts};

#[allow(unreachable_pub, reason = "it is written as a program of its own would have it")]
#[path = "../../host/core/examples/embed.rs"]
mod example;

#[tokio::test]
async fn the_example_of_the_documentation_installs_a_skill_and_calls_it() {
    let home = Home::new();
    let folder = home.path("embedded");
    let probe = tokio::task::spawn_blocking(crate::support::probe).await.unwrap();
    let paths = [&folder, probe].map(|path| path.to_str().unwrap());
    let done = example::embed(paths[0], paths[1], env!("CARGO_BIN_EXE_ringfence")).await.unwrap();
    assert_eq!(hosts::said(&done), "Hello");
    let none = home.path("no-such-worker");
    let error =
        example::embed(home.path("other").to_str().unwrap(), paths[1], none.to_str().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("could not be started"), "{error}");
}

#[test]
fn the_example_is_ten_lines_and_stands_in_the_documentation() {
    let root = crate::support::repository();
    let text = std::fs::read_to_string(root.join("host/core/examples/embed.rs")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 10, "{lines} lines");
    let docs = std::fs::read_to_string(root.join("host/core/src/lib.rs")).unwrap();
    assert!(docs.contains("#![doc = include_str!(\"../examples/embed.rs\")]"));
}
