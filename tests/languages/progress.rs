use ringfence_core::Event;
use serde_json::json;

use crate::stage::Stage;
use crate::support::hosts::said;

async fn reports_and_partial_output(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let (done, events) = stage.watched("progress", json!({})).await;
    let done = done.unwrap();
    assert_eq!(said(&done), "abc");
    assert!(done.streamed);
    let text: String = events
        .iter()
        .filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(text, "abc");
    let reports: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { done, total, message } => Some((*done, *total, message.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(reports, [(1, Some(3), Some("one".to_owned())), (2, Some(3), None), (3, Some(3), None)], "{lang}");
}

in_every_language!(reports_and_partial_output);
