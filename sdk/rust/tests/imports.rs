//! The modules of the imports, against the fake.

use std::cell::Cell;
use std::rc::Rc;

use ringfence_skill::fake::{Host, Reply};
use ringfence_skill::log::Level;
use ringfence_skill::model::{Event, StopReason};
use ringfence_skill::prelude::*;
use serde_json::json;

#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Person {
    name: String,
}

#[test]
fn an_ask_says_what_it_was_told() {
    let host = Host::new().answer("Hi.");
    let ask = model::ask("Hello")
        .model("fast")
        .system("One.")
        .system("Two.")
        .max_tokens(9)
        .temperature(0.5)
        .stop("END")
        .cache_so_far();
    assert_eq!(ask.send().unwrap().text(), "Hi.");
    let request = &host.requests()[0];
    assert_eq!((request.model.as_str(), request.max_tokens, request.cache_until), ("fast", Some(9), Some(2)));
    assert_eq!(host.prompts(), ["One.\n\nTwo.\n\nHello"]);
    assert_eq!(request.stop, ["END"]);
}

#[test]
fn json_is_asked_for_by_schema_and_read() {
    let host = Host::new().answer(r#"{"name":"Ada"}"#).answer("Ada");
    assert_eq!(model::ask("Who?").json::<Person>().unwrap(), Person { name: "Ada".into() });
    assert!(host.requests()[0].output_schema.as_ref().unwrap().contains("\"name\""));
    assert!(matches!(model::ask("Who?").json::<Person>(), Err(Refusal::Invalid(_))));
}

#[test]
fn an_answer_that_was_cut_says_so() {
    let _host = Host::new().answer(Reply::text(r#"{"name":"#).stopped(StopReason::MaxTokens));
    let refusal = model::ask("Who?").json::<Person>().unwrap_err();
    assert!(refusal.to_string().contains("cut at its largest length"), "{refusal}");
}

#[test]
fn a_generation_streams_and_ends_with_the_whole() {
    let host = Host::new().answer(Reply::text("one two three").thinking("hm")).answer("four five");
    let events: Vec<Event> = model::ask("?").open().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(events[0], Event::Thinking("hm".into()));
    assert_eq!(events[1], Event::Text("one ".into()));
    assert!(matches!(events.last(), Some(Event::Done(response)) if response.text() == "one two three"));
    assert_eq!(model::ask("?").open().unwrap().emit().unwrap().text(), "four five");
    assert_eq!(host.emitted(), "four five");
}

#[test]
fn a_generation_that_breaks_keeps_what_came_before() {
    let _host = Host::new().answer(Reply::text("one two").then_breaks(Refusal::Unavailable("gone".into())));
    let chunks: Vec<_> = model::ask("?").open().unwrap().text_chunks().collect();
    assert_eq!(chunks, [Ok("one ".into()), Ok("two".into()), Err(Refusal::Unavailable("gone".into()))]);
}

#[test]
fn parallel_answers_come_in_order_and_bounded() {
    let host = Host::new().answer_with(|request| Some(request.messages[0].text().to_uppercase().into()));
    let asks = ["a", "b", "c", "d", "e"].map(model::ask);
    let answers: Vec<String> = model::parallel(asks, 3).map(|answer| answer.unwrap().text()).collect();
    assert_eq!(answers, ["A", "B", "C", "D", "E"]);
    assert_eq!(host.most_in_flight(), 3);
}

#[test]
fn dropping_parallel_closes_what_is_open() {
    let host = Host::new().answer_with(|_| Some("x".into()));
    let mut parallel = model::parallel(["a", "b", "c"].map(model::ask), 2);
    parallel.next();
    drop(parallel);
    drop(model::ask("d").open().unwrap());
    assert_eq!(host.most_in_flight(), 2);
}

#[test]
fn a_tool_loop_runs_until_the_model_answers() {
    let first = Reply::tool_call("find", &json!({ "name": "Ada" })).and_tool_call("find", &json!({ "nam": 1 }));
    let host = Host::new().answer(first).answer("Found her.");
    let ask = model::ask("Find Ada.").tool(model::tool::<Person>("find", "Finds people."));
    let answer = ask.run(5, |call| Ok(format!("{} lives here", call.parse::<Person>()?.name))).unwrap();
    assert_eq!(answer.text(), "Found her.");
    let turns = &host.requests()[1].messages;
    assert_eq!(turns.len(), 3);
    let results = format!("{:?}", turns[2]);
    assert!(results.contains("Ada lives here") && results.contains("is-error: true"), "{results}");
}

#[test]
fn a_tool_loop_ends_after_its_rounds() {
    let host = Host::new().answer_with(|request| {
        Some(match request.tool_choice {
            model::ToolChoice::None => "enough".into(),
            _ => Reply::tool_call("again", &json!({})),
        })
    });
    let answer = model::ask("?").tool(model::tool::<Person>("again", "Again.")).run(3, |_| Ok("ok".into())).unwrap();
    assert_eq!((answer.text().as_str(), host.requests().len()), ("enough", 4));
}

#[test]
fn refusals_come_back_as_values() {
    let _host = Host::new().refuse(Refusal::Cancelled).answer("yes").refuse_kv(Refusal::Cancelled);
    assert_eq!(model::ask("?").send().unwrap_err(), Refusal::Cancelled);
    assert_eq!(model::ask("?").send().unwrap().text(), "yes");
    assert_eq!(kv::get::<u8>("a").unwrap_err(), Refusal::Cancelled);
    assert_eq!(kv::get::<u8>("a").unwrap(), None);
}

#[test]
fn rules_answer_before_the_script() {
    let _host = Host::new().answer("script").answer_when("weather", "sunny");
    assert_eq!(model::ask("the weather?").send().unwrap().text(), "sunny");
    assert_eq!(model::ask("news?").send().unwrap().text(), "script");
}

#[test]
fn embeddings_come_one_per_input() {
    let _host = Host::new().vectors([vec![1.0], vec![2.0], vec![3.0]]);
    assert_eq!(model::embed("embed", ["a", "b"]).unwrap().vectors, [[1.0], [2.0]]);
}

#[test]
fn values_are_kept_with_versions() {
    let host = Host::new().kv("seen", 3);
    assert_eq!(kv::get::<u32>("seen").unwrap(), Some(3));
    let version = kv::set("seen", &4).unwrap();
    assert_eq!(host.stored::<u32>("seen"), Some(4));
    let stale = kv::set_if("seen", b"5", kv::Condition::Version(version - 1)).unwrap();
    assert_eq!(stale, kv::Written::Conflict(Some(version)));
    kv::delete("seen").unwrap();
    assert_eq!(kv::get_bytes("seen").unwrap(), None);
    assert!(matches!(kv::get::<u8>(""), Err(Refusal::Invalid(_))));
}

#[test]
fn an_update_loses_no_change_of_others() {
    let host = Host::new().kv("count", 1).race("count", 10);
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    let new = kv::update("count", |old: Option<u32>| {
        counted.set(counted.get() + 1);
        old.unwrap_or(0) + 1
    });
    assert_eq!((new.unwrap(), calls.get(), host.stored::<u32>("count")), (11, 2, Some(11)));
}

#[test]
fn keys_are_listed_over_pages() {
    let mut host = Host::new().kv("other", 0);
    for number in 0..250 {
        host = host.kv(&format!("note/{number:03}"), number);
    }
    let keys: Vec<String> = kv::keys("note/").collect::<Result<_, _>>().unwrap();
    assert_eq!((keys.len(), keys[0].as_str(), keys[249].as_str()), (250, "note/000", "note/249"));
    drop(host);
}

#[test]
fn settings_have_types() {
    let _host = Host::new().config("limit", 7);
    assert_eq!(config::get::<u32>("limit").unwrap(), Some(7));
    assert_eq!(config::get_or("other", 3).unwrap(), 3);
    assert!(matches!(config::get::<String>("limit"), Err(Refusal::Invalid(_))));
}

#[test]
fn lines_have_fields() {
    let host = Host::new();
    let parts = 3;
    log::info!("read {parts} {}", "parts"; file = "a.md", bytes = 10);
    log::warn!("plain");
    let logs = host.logs();
    assert_eq!((logs[0].level, logs[0].message.as_str()), (Level::Info, "read 3 parts"));
    assert_eq!(logs[0].fields, [("file".to_owned(), "a.md".to_owned()), ("bytes".to_owned(), "10".to_owned())]);
    assert_eq!((logs[1].level, logs[1].fields.len()), (Level::Warn, 0));
}

#[test]
fn progress_counts_steps() {
    let host = Host::new();
    let mut progress = progress::Progress::new(2, "begin");
    progress.step("one");
    progress.step("two");
    let done: Vec<_> = host.reports().iter().map(|report| (report.done, report.total)).collect();
    assert_eq!(done, [(0, Some(2)), (1, Some(2)), (2, Some(2))]);
}

#[test]
#[should_panic(expected = "begin the test with `let host = ringfence_skill::fake::Host::new();`")]
fn without_a_fake_an_import_says_what_to_do() {
    let _ = model::ask("?").send();
}

#[test]
#[should_panic(expected = "the fake has no answer for it")]
fn an_answer_that_was_not_scripted_fails_the_test() {
    let _host = Host::new();
    let _ = model::ask("?").send();
}

#[test]
fn a_request_is_built_sent_and_read() {
    use ringfence_skill::fake::Page;
    let host = Host::new()
        .serve("https://a.test/x", "hello")
        .serve("https://a.test/json", Page::json(json!({ "name": "Ada" })))
        .serve("https://a.test/gone", Page::status(404))
        .serve("https://a.test/busy", Page::status(503).header("Retry-After", "1"))
        .serve("https://a.test/refused", Page::refuse(Refusal::Cancelled));
    assert_eq!(http::get("https://a.test/x?q=1").unwrap().text().unwrap(), "hello");
    let ask = http::request("POST", "https://a.test/json").header("x-a", "{{secret:A}}").json(&json!({ "a": 1 }));
    assert_eq!(ask.follow(false).send().unwrap().json::<Person>().unwrap(), Person { name: "Ada".into() });
    let sent = &host.sent()[1];
    assert_eq!((sent.method.as_str(), sent.body.as_slice(), sent.follow), ("POST", &b"{\"a\":1}"[..], false));
    assert_eq!(sent.headers[1], ("content-type".to_owned(), "application/json".to_owned()));
    let gone = http::get("https://a.test/gone").unwrap();
    assert!(!gone.is_success() && matches!(gone.error_for_status(), Err(Refusal::Invalid(_))));
    let busy = http::get("https://a.test/busy").unwrap();
    assert_eq!(busy.header("RETRY-after"), Some("1"));
    assert!(busy.error_for_status().unwrap_err().is_temporary());
    assert_eq!(http::get("https://a.test/refused").unwrap_err(), Refusal::Cancelled);
    assert!(matches!(http::get("https://b.test/"), Err(Refusal::Denied(_))));
}

#[test]
fn bodies_are_read_and_written_in_pieces() {
    use std::io::Read as _;
    let host = Host::new().serve_with(|request| Some(String::from_utf8_lossy(&request.body).to_uppercase().into()));
    let mut upload = http::request("PUT", "https://a.test/").begin().unwrap();
    upload.write(b"one ").unwrap();
    upload.write(b"two").unwrap();
    let mut response = upload.finish().unwrap();
    assert_eq!(ringfence_skill::http::Response::read(&mut response, 4).unwrap(), b"ONE ");
    let mut rest = String::new();
    response.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), host.sent().len()), ("TWO", 1));
    let requests = ["a", "b", "c"].map(|body| http::request("POST", "https://a.test/").body(body));
    let texts: Vec<_> = http::parallel(requests, 2).map(|answer| answer.unwrap().text().unwrap()).collect();
    assert_eq!(texts, ["A", "B", "C"]);
}

#[test]
fn tools_of_others_are_called_one_by_one_and_at_once() {
    let host = Host::new()
        .tool("shout/loud", "HEY")
        .tool_with("sum/add", |input| {
            let sum = input["a"].as_i64().unwrap() + input["b"].as_i64().unwrap();
            Outcome::structured(&sum)
        })
        .tool_with("shout/broken", |_| Err(Failure::invalid_input("no such volume").hint("use another")))
        .refuse_tool("far/away", Refusal::Unavailable("it is gone; install it".into()));
    assert_eq!(tools::call("shout/loud", &json!({ "text": "hey" })).unwrap().joined_text(), "HEY");
    assert_eq!(tools::call_for::<i64>("sum/add", &json!({ "a": 2, "b": 3 })).unwrap(), 5);
    let sums: Vec<_> = (0..3).map(|n| tools::start("sum/add", &json!({ "a": n, "b": 1 })).unwrap()).collect();
    let sums: Vec<i64> = sums.into_iter().map(|sum| sum.wait_for().unwrap()).collect();
    assert_eq!((sums, host.most_in_flight()), (vec![1, 2, 3], 3));
    assert_eq!(host.calls()[0], ("shout/loud".to_owned(), r#"{"text":"hey"}"#.to_owned()));
    assert_eq!(tools::list().len(), 4);
    assert!(tools::call_for::<bool>("sum/add", &json!({ "a": 2, "b": 3 })).is_err());

    // What the other skill was given wrong is no wrong input of this one's caller.
    let failure = Failure::from(tools::call("shout/broken", &json!({})).unwrap_err());
    assert_eq!((failure.kind, failure.message.as_str()), (ringfence_skill::FailureKind::Failed, "no such volume"));
    assert_eq!(failure.hint.as_deref(), Some("use another"));
    let failure = Failure::from(tools::call("far/away", &json!({})).unwrap_err());
    assert_eq!(
        (failure.kind, failure.hint.as_deref()),
        (ringfence_skill::FailureKind::Unavailable, Some("install it"))
    );
}

#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Address {
    street: String,
    number: Option<u32>,
}

#[test]
fn a_person_is_asked_for_what_the_skill_needs() {
    let host = Host::new()
        .person("Ada")
        .person(true)
        .person("formal")
        .person(2.5)
        .person(json!({ "street": "Rue" }))
        .person(7)
        .refuse_question(Refusal::Cancelled);
    assert_eq!(user::ask("Who?").text().unwrap(), "Ada");
    assert!(user::confirm("Sure?").unwrap());
    let tone = user::choose("Tone?", &["plain", "formal"]).remember("tone").timeout(std::time::Duration::from_secs(9));
    assert_eq!(tone.text().unwrap(), "formal");
    assert_eq!(user::ask("How much?").number().unwrap(), 2.5);
    assert_eq!(user::ask("Where?").json::<Address>().unwrap(), Address { street: "Rue".into(), number: None });
    assert!(matches!(user::ask("Who?").text(), Err(Refusal::Invalid(_))));
    assert_eq!(user::ask("Who?").text(), Err(Refusal::Cancelled));
    assert!(matches!(user::ask("Who?").text(), Err(Refusal::Unavailable(_))), "nobody is left");
    let asked = host.questions();
    assert_eq!((asked[0].schema.as_deref(), asked[0].remember.as_deref()), (None, None));
    assert_eq!((asked[2].timeout_ms, asked[2].remember.as_deref()), (Some(9_000), Some("tone")));
    assert_eq!(asked[2].schema.as_deref(), Some(r#"{"enum":["plain","formal"],"type":"string"}"#));
    assert!(asked[4].schema.as_deref().unwrap().contains("\"street\""));
}

#[test]
fn a_refusal_names_its_case_as_the_interface_does() {
    let denial = ringfence_skill::Denial {
        capability: "kv".into(),
        subject: "kv".into(),
        reason: "it has not been granted".into(),
        hint: "grant it".into(),
    };
    assert_eq!(Refusal::Denied(denial).kind(), "denied");
    assert_eq!(Refusal::TimedOut("it took too long".into()).kind(), "timed-out");
    assert_eq!(Refusal::Cancelled.kind(), "cancelled");
}
