//! Each language's own functions for files, or the SDK's where the language has none.

use serde_json::json;

use crate::stage::Stage;

async fn granted_folders_are_read_and_written(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let home = &stage.host.home;
    home.write("docs/a.md", "Grüße\n");
    home.write("docs/b/c.md", "");
    assert_eq!(stage.text("read_file", json!({ "path": "/docs/a.md" })).await, "Grüße\n");
    assert_eq!(stage.value("list_files", json!({ "path": "/docs" })).await, json!({ "names": ["a.md", "b"] }));
    stage.text("write_file", json!({ "path": "/out/new.txt", "text": "neu ü" })).await;
    assert_eq!(std::fs::read_to_string(home.path("out/new.txt")).unwrap(), "neu ü");
    stage.text("write_file", json!({ "path": "/out/new.txt", "text": "x" })).await;
    assert_eq!(std::fs::read_to_string(home.path("out/new.txt")).unwrap(), "x", "a shorter text leaves no rest");
}

async fn others_are_not(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let home = &stage.host.home;
    home.write("secret.txt", "CANARY");
    home.write("docs/a.md", "a");
    for path in ["/docs/../secret.txt", "/etc/passwd", "/docs/none.md"] {
        let error = stage.failure("read_file", json!({ "path": path })).await;
        assert!(!error.to_string().contains("CANARY"), "{lang}: {path}: {error}");
    }
    stage.failure("write_file", json!({ "path": "/docs/a.md", "text": "b" })).await;
    assert_eq!(std::fs::read_to_string(home.path("docs/a.md")).unwrap(), "a", "{lang}");
}

in_every_language!(granted_folders_are_read_and_written, others_are_not);
