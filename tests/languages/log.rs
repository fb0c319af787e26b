use ringfence_core::Event;
use serde_json::json;

use crate::stage::Stage;

async fn lines_of_every_level_with_fields(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let (done, events) = stage.watched("logs", json!({})).await;
    done.unwrap();
    let lines: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Log(line) => {
                Some((serde_json::to_value(line.level).unwrap(), line.message.clone(), line.fields.clone()))
            }
            _ => None,
        })
        .collect();
    let expected: Vec<_> = ["trace", "debug", "info", "warn", "error"]
        .iter()
        .enumerate()
        .map(|(n, level)| (json!(level), format!("line at {level}"), vec![("n".to_owned(), n.to_string())]))
        .collect();
    assert_eq!(lines, expected, "{lang}");
}

in_every_language!(lines_of_every_level_with_fields);
