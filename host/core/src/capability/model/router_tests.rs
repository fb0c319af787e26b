use std::collections::VecDeque;
use std::sync::Mutex;

use proptest::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use super::super::provider::Features;
use super::super::types::{Event, Message, Role};
use super::*;

/// What a fake provider does with one call.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// An answer that has begun, and says nothing.
    Hear(Box<Do>),
    Answer(&'static str),
    /// An answer with a report of (input, output) tokens.
    Report(&'static str, u64, u64),
    /// Events first.
    Stream(Vec<&'static str>, Box<Do>),
    Fail(ProviderError),
    Hang,
}

/// Plays a script, and remembers what it was asked and when.
#[derive(Default)]
pub(crate) struct Fake {
    script: Mutex<VecDeque<Do>>,
    pub(crate) calls: Mutex<Vec<(Instant, String, Request)>>,
    native_schema: bool,
    models: Vec<String>,
    /// It lists nothing while this holds.
    silent: std::sync::atomic::AtomicBool,
}

pub(crate) struct Played(Arc<Fake>);

impl Provider for Played {
    fn features(&self) -> Features {
        Features { native_schema: self.0.native_schema, embeddings: true, local: false }
    }

    fn generate<'a>(
        &'a self,
        _permit: &'a Permit<Generate>,
        model: &'a str,
        request: &'a Request,
        events: Option<&'a Events>,
    ) -> BoxFuture<'a, Result<Response, ProviderError>> {
        self.0.calls.lock().unwrap().push((Instant::now(), model.to_owned(), request.clone()));
        let mut next = self.0.script.lock().unwrap().pop_front().expect("one call more than the script has");
        Box::pin(async move {
            loop {
                next = match next {
                    Do::Answer(text) => return Ok(response(text, None)),
                    Do::Report(text, input_tokens, output_tokens) => {
                        return Ok(response(text, Some(Usage { input_tokens, output_tokens, ..Usage::default() })));
                    }
                    Do::Fail(error) => return Err(error),
                    Do::Hang => std::future::pending().await,
                    Do::Hear(then) => {
                        events.unwrap().heard();
                        *then
                    }
                    Do::Stream(texts, then) => {
                        for text in texts {
                            let event = Event::Text(text.to_owned());
                            events.unwrap().send(event).await?;
                        }
                        *then
                    }
                }
            }
        })
    }

    fn embed<'a>(
        &'a self,
        _permit: &'a Permit<Embed>,
        _model: &'a str,
        inputs: &'a [String],
    ) -> BoxFuture<'a, Result<Embeddings, ProviderError>> {
        let vectors = vec![vec![1.0]; inputs.len()];
        Box::pin(async move { Ok(Embeddings { vectors, model: String::new(), usage: None }) })
    }

    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<String>, ProviderError>> {
        let silent = self.0.silent.load(std::sync::atomic::Ordering::Relaxed);
        Box::pin(async move {
            match self.0.models.first().map(String::as_str) {
                _ if silent => Err(ProviderError::Connect("refused".into())),
                Some("no list") => Err(ProviderError::Foreign { status: 404, text: String::new() }),
                _ => Ok(self.0.models.clone()),
            }
        })
    }
}

fn response(text: &str, usage: Option<Usage>) -> Response {
    let message = Message::text(Role::Assistant, text);
    Response { message, stop_reason: StopReason::End, model: String::new(), usage }
}

/// One whose wire has JSON Schemas.
fn native(script: impl IntoIterator<Item = Do>) -> Arc<Fake> {
    Arc::new(Fake { script: Mutex::new(script.into_iter().collect()), native_schema: true, ..Fake::default() })
}

pub(crate) fn fake(script: impl IntoIterator<Item = Do>) -> Arc<Fake> {
    Arc::new(Fake { script: Mutex::new(script.into_iter().collect()), ..Fake::default() })
}

const TWO: &str = r#"
    [providers.a]
    type = "openai-compatible"
    base-url = "https://a.example.com/v1"
    key-env = "A_KEY"
    concurrency = 1
    [providers.b]
    type = "openai-compatible"
    base-url = "https://b.example.com/v1"
    [aliases]
    smart = ["a/m", "b/m"]
    alone = ["a/m"]
    free = ["offline/extractive"]
    mixed = ["offline/extractive", "b/m"]
    [prices."a/m"]
    input = 1000000
    output = 2000000
    [prices."b/m"]
    input = 3000000
    output = 4000000
"#;

pub(crate) fn router_of(settings: &str, fakes: &[(&str, &Arc<Fake>)]) -> Router {
    let settings: ModelSettings = toml::from_str(settings).unwrap();
    let build = |name: &str, _: &ProviderSettings| -> Result<Box<dyn Provider>, ModelError> {
        let found = fakes.iter().find(|(of, _)| *of == name).map(|(_, fake)| Arc::clone(fake));
        Ok(Box::new(Played(found.unwrap_or_default())))
    };
    Router::assemble(settings, vec!["default"], |_| false, build).unwrap()
}

fn two(a: &Arc<Fake>, b: &Arc<Fake>) -> Router {
    router_of(TWO, &[("a", a), ("b", b)])
}

pub(crate) fn request(model: &str) -> Request {
    let messages = vec![Message::text(Role::User, "How many legs has a spider?")];
    Request { model: model.into(), messages, max_tokens: Some(100), ..Request::default() }
}

fn permit(router: &Router, request: Request) -> Permit<Generate> {
    Permit::unchecked(router.generate_ask(request, None, false).unwrap())
}

async fn ask(router: &Router, model: &str) -> Result<Response, Refusal> {
    router.generate(permit(router, request(model)), None).await
}

fn charged(router: &Router) -> Amount {
    let charges = router.charges.lock().unwrap();
    assert_eq!(charges.len(), 1, "settled exactly once");
    charges[0]
}

fn server(status: u16) -> Do {
    Do::Fail(ProviderError::Server { status, message: "down".into(), retry_after: None })
}

fn limited(seconds: u64) -> Do {
    let retry_after = Some(Duration::from_secs(seconds));
    Do::Fail(ProviderError::RateLimited { message: "slow down".into(), retry_after })
}

fn calls(fake: &Fake) -> usize {
    fake.calls.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_named_priced_and_charged() {
    let a = fake([Do::Report("eight", 10, 3)]);
    let router = two(&a, &fake([]));
    let response = ask(&router, "smart").await.unwrap();
    assert_eq!(response.model, "a/m");
    assert_eq!(response.usage.unwrap().micro_dollars, Some(16));
    assert_eq!(charged(&router), Amount { input_tokens: 10, output_tokens: 3, micro_dollars: 16, ..Amount::default() });
    assert_eq!(a.calls.lock().unwrap()[0].1, "m");
}

#[tokio::test(start_paused = true)]
async fn no_report_is_charged_with_the_most() {
    let router = two(&fake([Do::Answer("eight")]), &fake([]));
    let most = limits::prompt_tokens(&request("smart"));
    ask(&router, "smart").await.unwrap();
    assert_eq!((charged(&router).input_tokens, charged(&router).output_tokens), (most, 100));
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_repeated_three_times_then_the_next_is_asked() {
    let (a, b) = (fake([server(500), server(503), server(529)]), fake([Do::Report("eight", 1, 1)]));
    let router = two(&a, &b);
    let begin = Instant::now();
    assert_eq!(ask(&router, "smart").await.unwrap().model, "b/m");
    assert_eq!((calls(&a), calls(&b)), (3, 1));
    assert!(begin.elapsed() <= Duration::from_millis(1_500), "waits are short: {:?}", begin.elapsed());
    assert_eq!(charged(&router), Amount { input_tokens: 1, output_tokens: 1, micro_dollars: 7, ..Amount::default() });
}

#[tokio::test(start_paused = true)]
async fn which_failures_go_on_to_the_next_and_which_do_not() {
    let key = || ProviderError::Key { status: Some(401), message: "bad key".into() };
    let foreign = |status| ProviderError::Foreign { status, text: "something else".into() };
    let cases = [
        (key(), true),
        (foreign(200), true),
        (foreign(302), true),
        (foreign(404), true),
        (ProviderError::Unsendable("it has lines".into()), true),
        (ProviderError::Quota("empty".into()), true),
        (ProviderError::UnknownModel("m".into()), true),
        (ProviderError::TooLong("9 > 8".into()), true),
        (ProviderError::Invalid("no such field".into()), false),
        (ProviderError::Abandoned, false),
    ];
    for (error, goes_on) in cases {
        let (a, b) = (fake([Do::Fail(error.clone())]), fake([Do::Answer("eight")]));
        let router = two(&a, &b);
        assert_eq!(ask(&router, "smart").await.is_ok(), goes_on, "{error}");
        assert_eq!((calls(&a), calls(&b)), (1, usize::from(goes_on)), "{error}: never repeated");
    }
    let router = two(&fake([Do::Fail(key())]), &fake([Do::Fail(ProviderError::Quota("empty".into()))]));
    let Err(Refusal::Unavailable(text)) = ask(&router, "smart").await else { panic!("answered") };
    for part in ["a/m", "HTTP 401", "A_KEY", "b/m", "quota"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert_eq!(charged(&router), Amount::default());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_and_never_outlives_patience_or_the_deadline() {
    let a = fake([limited(3), Do::Answer("eight")]);
    let router = two(&a, &fake([]));
    let begin = Instant::now();
    ask(&router, "alone").await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(3) && begin.elapsed() < Duration::from_secs(4));

    // Longer than anybody waits: the provider is not asked before it allows it.
    for seconds in [31, 40, 99_999_999] {
        let a = fake([limited(seconds)]);
        let router = two(&a, &fake([]));
        let begin = Instant::now();
        let Err(Refusal::Unavailable(text)) = ask(&router, "alone").await else { panic!("answered") };
        assert_eq!((calls(&a), begin.elapsed()), (1, Duration::ZERO));
        assert!(
            text.ends_with(&format!("; try again in {seconds} s, or lower `models.providers.a.concurrency`")),
            "{text}"
        );
    }

    // 60 s of deadline: two waits of 30 s do not fit.
    let a = fake([limited(30), limited(30), Do::Answer("eight")]);
    let router = two(&a, &fake([]));
    let begin = Instant::now();
    assert!(matches!(ask(&router, "alone").await, Err(Refusal::Unavailable(_))));
    assert!(begin.elapsed() < Duration::from_secs(31), "it gives up instead of waiting for nothing");
    assert_eq!(calls(&a), 2);

    // Nobody waits long while another is ready.
    let router = two(&fake([limited(20)]), &fake([Do::Answer("eight")]));
    let begin = Instant::now();
    assert_eq!(ask(&router, "smart").await.unwrap().model, "b/m");
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_provider_is_refused_within_the_deadline_and_is_charged() {
    let a = fake([Do::Hang]);
    let router = two(&a, &fake([]));
    let begin = Instant::now();
    let Err(Refusal::TimedOut(text)) = ask(&router, "alone").await else { panic!("answered") };
    assert!(text.starts_with("a/m: the provider did not answer in time"), "it is told whose fault it is: {text}");
    assert!(text.ends_with("; try again, or raise the time limit of the skill"), "{text}");
    assert_eq!((begin.elapsed().as_secs(), calls(&a)), (54, 1), "a tenth is left to hear it in");
    assert_eq!(charged(&router).output_tokens, 100);
}

#[tokio::test(start_paused = true)]
async fn where_another_is_left_a_hanging_provider_has_half_of_the_time() {
    let (a, b) = (fake([Do::Hang]), fake([Do::Report("eight", 1, 1)]));
    let router = two(&a, &b);
    let begin = Instant::now();
    assert_eq!(ask(&router, "smart").await.unwrap().model, "b/m");
    assert_eq!((begin.elapsed().as_secs(), calls(&a), calls(&b)), (30, 1, 1));
    assert_eq!(charged(&router).output_tokens, 101, "what hung may be billed");

    let (a, b) = (fake([Do::Hang]), fake([Do::Hang]));
    let router = two(&a, &b);
    let begin = Instant::now();
    let Err(Refusal::TimedOut(text)) = ask(&router, "smart").await else { panic!("answered") };
    assert!(text.contains("b/m: the provider did not answer in time"), "{text}");
    assert!(text.contains("(before that, a/m did not answer in time)"), "{text}");
    assert_eq!((begin.elapsed().as_secs(), charged(&router).output_tokens), (57, 200));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_has_all_of_the_time() {
    for said in [Do::Hear(Box::new(Do::Hang)), Do::Stream(vec!["ei"], Box::new(Do::Hang))] {
        let (a, b) = (fake([said]), fake([]));
        let router = two(&a, &b);
        let begin = Instant::now();
        let (sender, _events) = Events::new(8);
        let refusal = router.generate(permit(&router, request("smart")), Some(sender)).await.unwrap_err();
        assert!(matches!(refusal, Refusal::TimedOut(_)), "{refusal}");
        assert_eq!((begin.elapsed().as_secs(), calls(&a), calls(&b)), (60, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_place_ends_at_the_deadline_and_costs_nothing() {
    let a = fake([Do::Answer("eight")]);
    let router = two(&a, &fake([]));
    let place = router.slots["a"].gate.acquire().await.unwrap();
    let begin = Instant::now();
    assert!(matches!(ask(&router, "alone").await, Err(Refusal::TimedOut(_))));
    assert_eq!((begin.elapsed().as_secs(), calls(&a), charged(&router)), (60, 0, Amount::default()));
    drop(place);
    ask(&router, "alone").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_charged_with_what_was_under_way() {
    let a = fake([server(500), Do::Hang]);
    let router = Arc::new(two(&a, &fake([])));
    let task = tokio::spawn({
        let router = Arc::clone(&router);
        async move { ask(&router, "alone").await }
    });
    while calls(&a) < 2 {
        tokio::time::advance(Duration::from_millis(10)).await;
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(charged(&router).output_tokens, 100, "once: the first attempt was free");
}

#[tokio::test(start_paused = true)]
async fn after_the_first_event_a_failure_is_final_and_charged() {
    let broken = ProviderError::Server { status: 500, message: "x".into(), retry_after: None };
    let a = fake([Do::Stream(vec!["ei"], Box::new(Do::Fail(broken)))]);
    let b = fake([]);
    let router = two(&a, &b);
    let (sender, mut events) = Events::new(8);
    let refusal = router.generate(permit(&router, request("smart")), Some(sender)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Unavailable(_)));
    assert_eq!(events.recv().await, Some(Event::Text("ei".into())));
    assert_eq!(events.recv().await, None);
    assert_eq!((calls(&a), calls(&b), charged(&router).output_tokens), (1, 0, 100));
}

#[tokio::test(start_paused = true)]
async fn streams_pass_in_order_and_stop_when_nobody_listens() {
    let texts = || vec!["a"; 1_000];
    let router = two(&fake([Do::Stream(texts(), Box::new(Do::Report("a", 1, 1_000)))]), &fake([]));
    let (sender, mut events) = Events::new(4);
    let (response, count) = tokio::join!(router.generate(permit(&router, request("smart")), Some(sender)), async {
        let mut count = 0;
        while events.recv().await.is_some() {
            count += 1;
        }
        count
    });
    assert_eq!((response.unwrap().usage.unwrap().output_tokens, count), (1_000, 1_000));

    let router = two(&fake([Do::Stream(texts(), Box::new(Do::Hang))]), &fake([]));
    let (sender, events) = Events::new(4);
    drop(events);
    let refusal = router.generate(permit(&router, request("smart")), Some(sender)).await.unwrap_err();
    assert_eq!(refusal, Refusal::Cancelled);
    assert!(charged(&router).output_tokens >= 100);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_stop_is_cut() {
    let flood = "x".repeat(1 << 16).leak();
    let router = two(&fake([Do::Stream(vec![flood; 600], Box::new(Do::Hang))]), &fake([]));
    let (sender, mut events) = Events::new(1_000);
    let (result, ()) = tokio::join!(router.generate(permit(&router, request("smart")), Some(sender)), async {
        while events.recv().await.is_some() {}
    });
    assert!(result.unwrap_err().to_string().contains("streams far more"));
    assert!(charged(&router).output_tokens > 20_000, "what was counted is more than what was reserved");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_billed_in_vain_is_repeated_once() {
    let garbled = || Do::Fail(ProviderError::Garbled("cut".into()));
    let a = fake([garbled(), garbled()]);
    let router = two(&a, &fake([]));
    assert!(ask(&router, "alone").await.is_err());
    assert_eq!((calls(&a), charged(&router).output_tokens), (2, 200));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_at_one_is_asked_of_the_next() {
    let late = ProviderError::TimedOut { phase: "first byte", after: Duration::from_secs(3) };
    let page = ProviderError::Foreign { status: 200, text: "a page".into() };
    for lost in [ProviderError::Garbled("cut".into()), late, page] {
        let (a, b) = (fake([Do::Fail(lost.clone())]), fake([Do::Report("eight", 1, 1)]));
        let router = two(&a, &b);
        assert_eq!(ask(&router, "smart").await.unwrap().model, "b/m", "{lost}");
        assert_eq!((calls(&a), calls(&b), charged(&router).output_tokens), (1, 1, 101), "{lost}: both are charged");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_lost_in_a_call_however_many_models_there_are() {
    let garbled = || Do::Fail(ProviderError::Garbled("cut".into()));
    let (a, b) = (fake([garbled()]), fake([garbled()]));
    let settings = TWO.replace("[\"a/m\", \"b/m\"]", "[\"a/m\", \"b/m\", \"a/n\"]");
    let router = router_of(&settings, &[("a", &a), ("b", &b)]);
    let refusal = ask(&router, "smart").await.unwrap_err().to_string();
    assert_eq!((calls(&a), calls(&b), charged(&router).output_tokens), (1, 1, 200));
    assert!(refusal.contains("a/n was not asked, as two attempts may have been billed"), "{refusal}");

    // A free failure before it is repeated as ever, and what follows is lost once.
    let (a, b) = (fake([server(500), garbled()]), fake([garbled()]));
    let router = two(&a, &b);
    assert!(ask(&router, "smart").await.is_err());
    assert_eq!((calls(&a), calls(&b), charged(&router).output_tokens), (2, 1, 200));
}

#[tokio::test(start_paused = true)]
async fn several_failures_are_one_sentence_and_one_hint() {
    let key = ProviderError::Key { status: Some(401), message: "Incorrect; you can find your key at x.".into() };
    let told = async |first: Do, second: Do| {
        let router = two(&fake([first]), &fake([second]));
        ask(&router, "smart").await.unwrap_err().to_string()
    };
    let quota = Do::Fail(ProviderError::Quota("none is left".into()));
    assert_eq!(
        told(Do::Fail(key.clone()), quota.clone()).await,
        "b/m: the account's quota is used up: none is left (before that, a/m refused the key with HTTP 401); check the key in \
         the environment variable A_KEY"
    );
    let foreign = ProviderError::Foreign { status: 302, text: "what answers is no API".into() };
    assert_eq!(
        told(quota.clone(), Do::Fail(foreign)).await,
        "b/m: what answers is no API (before that, a/m has no quota left); check `models.providers.b.base-url`"
    );
    assert_eq!(
        told(Do::Fail(key), Do::Fail(ProviderError::Invalid("no such field".into()))).await,
        "b/m: the provider rejected the request: no such field (before that, a/m refused the key with HTTP 401); correct the \
         request"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_provider_is_left_alone_for_a_while() {
    let a = fake((0..5).map(|_| server(500)).chain([Do::Answer("eight")]));
    let router = two(&a, &fake([]));
    assert!(ask(&router, "alone").await.is_err());
    let refusal = ask(&router, "alone").await.unwrap_err();
    assert_eq!(calls(&a), 5, "the fifth failure in a row opened it");
    assert!(refusal.to_string().contains("left alone"), "{refusal}");
    tokio::time::advance(Duration::from_secs(31)).await;
    ask(&router, "alone").await.unwrap();
}

fn with_schema(model: &str) -> Request {
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    Request { output_schema: Some(schema), ..request(model) }
}

#[tokio::test(start_paused = true)]
async fn structured_answers_are_checked_and_repaired_once() {
    let generate = async |script: Vec<Do>| {
        let a = fake(script);
        let router = two(&a, &fake([]));
        let result = router.generate(permit(&router, with_schema("smart")), None).await;
        (result, a, charged(&router))
    };
    let (result, a, _) = generate(vec![Do::Report("```json\n{\"n\": 8}\n```", 5, 5)]).await;
    assert_eq!(result.unwrap().message.joined_text(), "{\"n\":8}", "the text is the JSON alone");
    let sent = a.calls.lock().unwrap()[0].2.clone();
    assert!(sent.output_schema.is_none() && sent.messages.len() == 2, "instructed, for want of native support");

    let (result, a, charged) = generate(vec![Do::Report("eight", 5, 5), Do::Report("{\"n\": 8}", 7, 7)]).await;
    let usage = result.unwrap().usage.unwrap();
    assert_eq!((usage.input_tokens, charged.input_tokens, calls(&a)), (12, 12, 2), "both are charged and told");

    let (result, a, charged) = generate(vec![Do::Report("eight", 5, 5), Do::Report("nine", 7, 7)]).await;
    let Err(Refusal::Invalid(text)) = result else { panic!("answered") };
    assert!(!text.contains('\n') && text.contains("output schema: /: there is no JSON"), "{text}");
    assert_eq!((calls(&a), charged.input_tokens), (2, 12));
    let request = a.calls.lock().unwrap()[1].2.clone();
    let told = request.messages.iter().filter(|message| message.joined_text().contains("\"required\"")).count();
    assert_eq!(told, 1, "the model is told of the schema, and once");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_refuses_schemas_is_told_of_them_in_words_from_then_on() {
    let refused = || Do::Fail(ProviderError::Invalid("This response_format type is unavailable now".into()));
    let a = native([refused(), Do::Report("{\"n\": 8}", 5, 5), Do::Report("{\"n\": 9}", 5, 5)]);
    let router = two(&a, &fake([]));
    for answer in ["{\"n\": 8}", "{\"n\": 9}"] {
        let response = router.generate(permit(&router, with_schema("alone")), None).await.unwrap();
        assert_eq!(response.message.joined_text(), answer);
    }
    let natively: Vec<bool> = a.calls.lock().unwrap().iter().map(|(_, _, sent)| sent.output_schema.is_some()).collect();
    assert_eq!(natively, [true, false, false], "it is asked natively no more");
    let charges = router.charges.lock().unwrap();
    assert_eq!(
        charges.iter().map(|charge| charge.output_tokens).collect::<Vec<_>>(),
        [5, 5],
        "a refusal costs nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_is_refused_for_itself_says_nothing_of_the_next() {
    let refused = || Do::Fail(ProviderError::Invalid("Invalid schema for response_format 'answer'".into()));
    let other = || Do::Fail(ProviderError::Invalid("max_tokens is too large".into()));
    let a = native([refused(), Do::Answer("{\"n\": 8}"), other()]);
    let router = two(&a, &fake([]));
    router.generate(permit(&router, with_schema("alone")), None).await.unwrap();
    let refusal = router.generate(permit(&router, with_schema("alone")), None).await.unwrap_err();
    assert!(matches!(&refusal, Refusal::Invalid(text) if text.contains("max_tokens")), "{refusal}");
    let natively: Vec<bool> = a.calls.lock().unwrap().iter().map(|(_, _, sent)| sent.output_schema.is_some()).collect();
    assert_eq!(natively, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_look_at_schemas_is_told_in_the_correction() {
    let a = native([Do::Report("eight", 5, 5), Do::Report("{\"n\": 8}", 7, 7)]);
    let router = two(&a, &fake([]));
    router.generate(permit(&router, with_schema("alone")), None).await.unwrap();
    let request = a.calls.lock().unwrap()[1].2.clone();
    let correction = request.messages.last().unwrap().joined_text();
    assert!(correction.contains("\"required\":[\"n\"]"), "{correction}");
    assert!(request.output_schema.is_some(), "and natively once more");
    let ask = router.generate_ask(with_schema("alone"), None, false).unwrap();
    let sent: u64 = a.calls.lock().unwrap().iter().map(|(_, _, sent)| limits::prompt_tokens(sent)).sum();
    assert!(ask.estimate.input_tokens >= sent, "all of it is reserved");
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_cannot_be_used_reaches_nobody() {
    let a = fake([]);
    let router = two(&a, &fake([]));
    let mut request = with_schema("smart");
    request.output_schema = Some(json!({"$ref": "https://example.com/schema"}));
    assert!(matches!(router.generate(permit(&router, request), None).await, Err(Refusal::Invalid(_))));
    assert_eq!((calls(&a), charged(&router)), (0, Amount::default()));
}

#[tokio::test(start_paused = true)]
async fn embeddings_are_counted_and_charged() {
    let router = two(&fake([]), &fake([]));
    let inputs = vec!["one".to_owned(), "two".to_owned()];
    let ask = router.embed_ask("smart".into(), inputs.clone(), false).unwrap();
    let embeddings = router.embed(Permit::unchecked(ask)).await.unwrap();
    assert_eq!((embeddings.vectors.len(), embeddings.model.as_str()), (2, "a/m"));
    assert_eq!(charged(&router).input_tokens, limits::input_tokens(&inputs));
}

#[test]
fn asks_are_clamped_estimated_and_know_their_model() {
    let router = two(&fake([]), &fake([]));
    let ask =
        |request: Request, grant: Option<&Grant>, money: bool| router.generate_ask(request, grant, money).unwrap();
    let huge = Request { max_tokens: Some(u32::MAX), ..request("smart") };
    let tight = Grant { max_tokens: Some(50), ..Grant::default() };
    assert_eq!(ask(huge.clone(), None, false).request.max_tokens, Some(4096));
    assert_eq!(ask(huge, Some(&tight), false).request.max_tokens, Some(50));
    let none = Request { max_tokens: None, ..request("smart") };
    assert_eq!(ask(none, Some(&tight), false).request.max_tokens, Some(50));

    let plain = ask(request("smart"), None, true);
    let input = limits::prompt_tokens(&plain.request);
    assert_eq!(plain.estimate.micro_dollars, input * 3 + 400, "the dearest candidate's");
    assert_eq!(plain.estimate.host_calls, 0);
    assert!(ask(with_schema("smart"), None, true).estimate.output_tokens == 200, "room for a repair");

    assert!(ask(request("free"), None, true).facts.local_only);
    assert!(!ask(request("offline/extractive"), None, true).facts.local_only, "only aliases");
    assert!(!ask(request("mixed"), None, true).facts.local_only);
    assert!(!ask(request("nothing"), None, true).facts.local_only);
    assert_eq!(ask(request("b/x"), None, true).facts.unpriced.as_deref(), Some("b/x"));
    assert_eq!(ask(request("b/x"), None, false).facts.unpriced, None, "without a budget of money nobody minds");
}

#[tokio::test(start_paused = true)]
async fn unknown_names_and_missing_keys_are_told() {
    let router = two(&fake([]), &fake([]));
    let Err(Refusal::Invalid(text)) = ask(&router, "clever\u{7}").await else { panic!("answered") };
    assert!(text.contains("`clever`") && text.contains("smart"), "{text}");
    let router = router_of("[providers.openai]\ntype = \"openai\"", &[]);
    let Err(Refusal::Unavailable(text)) = ask(&router, "openai/gpt").await else { panic!("answered") };
    assert!(text.contains("OPENAI_API_KEY"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_running_ollama_is_found_when_an_alias_needs_it() {
    let ollama = Arc::new(Fake { models: vec!["llama3.2:1b".into()], ..Fake::default() });
    let settings = "[providers.ollama]\ntype = \"ollama\"\n[aliases]\ndefault = [\"offline/extractive\"]";
    let router = router_of(settings, &[("ollama", &ollama)]);
    router.ready("smart").await;
    assert_eq!(router.resolve("default")[0].name(), "offline/extractive", "not needed yet");
    router.ready("default").await;
    assert_eq!(router.resolve("default")[0].name(), "ollama/llama3.2:1b");
}

const SERVER: &str = "[providers.openai]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:8000/v1\"\n\
                      [providers.ollama]\ntype = \"ollama\"\n[aliases]\ndefault = [\"openai/default\"]";

#[tokio::test(start_paused = true)]
async fn a_server_that_somebody_named_serves_the_alias_with_what_it_lists() {
    let of = |models: &[&str]| {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        Arc::new(Fake { models, ..Fake::default() })
    };
    let (server, ollama) = (of(&["bge-m3", "qwen3"]), of(&["llama3.2:1b"]));
    let router = router_of(SERVER, &[("openai", &server), ("ollama", &ollama)]);
    router.ready("default").await;
    assert_eq!(router.resolve("default")[0].name(), "openai/qwen3", "before an Ollama that nobody named");
    let router = router_of(SERVER, &[("openai", &of(&["bge-m3"])), ("ollama", &ollama)]);
    router.ready("default").await;
    assert_eq!(router.resolve("default")[0].name(), "ollama/llama3.2:1b", "it has none that fits");
    let router = router_of(SERVER, &[("openai", &of(&[])), ("ollama", &of(&[]))]);
    router.ready("default").await;
    assert_eq!(router.resolve("default")[0].name(), discover::LAST_RESORT);
    // One that keeps no list is asked for one once.
    let router = router_of(SERVER, &[("openai", &of(&["no list"])), ("ollama", &ollama)]);
    router.ready("default").await;
    assert_eq!(router.resolve("default")[0].name(), discover::UNLISTED);
    assert!(router.is_ready("default"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_is_asked_again_and_nothing_stands_in_for_it() {
    use std::sync::atomic::Ordering::Relaxed;
    let server = Arc::new(Fake { models: vec!["qwen3".into()], silent: true.into(), ..Fake::default() });
    let ollama = Arc::new(Fake { models: vec!["llama3.2:1b".into()], ..Fake::default() });
    let router = router_of(SERVER, &[("openai", &server), ("ollama", &ollama)]);
    router.ready("default").await;
    assert_eq!(router.resolve("default")[0].name(), discover::UNLISTED);
    assert!(!router.is_ready("default"));
    server.silent.store(false, Relaxed);
    router.ready("default").await;
    assert!(!router.is_ready("default"), "it is left in peace for a while");
    tokio::time::advance(Duration::from_secs(11)).await;
    router.ready("default").await;
    assert_eq!(router.resolve("default")[0].name(), "openai/qwen3");
    assert!(router.is_ready("default"));
}

fn outcome() -> impl Strategy<Value = Do> {
    let errors = prop_oneof![
        Just(ProviderError::Connect("refused".into())),
        Just(ProviderError::Garbled("cut".into())),
        Just(ProviderError::Invalid("no".into())),
        Just(ProviderError::Quota("empty".into())),
        Just(ProviderError::Server { status: 500, message: String::new(), retry_after: None }),
        Just(ProviderError::Server { status: 502, message: String::new(), retry_after: None }),
        Just(ProviderError::TimedOut { phase: "idle", after: Duration::from_secs(1) }),
    ];
    let end = prop_oneof![
        Just(Do::Answer("eight")),
        (1..500u64, 1..500u64).prop_map(|(input, output)| Do::Report("eight", input, output)),
        errors.prop_map(Do::Fail),
        Just(Do::Hang),
    ];
    (any::<bool>(), end).prop_map(|(streams, end)| if streams { Do::Stream(vec!["ei"], Box::new(end)) } else { end })
}

/// What a call through this script owes: the sum over the attempts that were made.
fn owed(made: &[Do], most: (u64, u64)) -> (u64, u64) {
    let one = |attempt: &Do| {
        let (streamed, end) = match attempt {
            Do::Stream(_, end) => (true, end.as_ref()),
            end => (false, end),
        };
        match end {
            Do::Hear(_) => unreachable!("no outcome of these"),
            Do::Report(_, input, output) => (*input, *output),
            Do::Answer(_) | Do::Hang => most,
            Do::Fail(_) if streamed => most,
            Do::Fail(ProviderError::Garbled(_) | ProviderError::TimedOut { .. }) => most,
            Do::Fail(ProviderError::Server { status: 502, .. }) => most,
            _ => (0, 0),
        }
    };
    made.iter().map(one).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_attempt_is_charged_once(
        first in proptest::collection::vec(outcome(), 6),
        second in proptest::collection::vec(outcome(), 6),
        cancel_after in proptest::option::of(0..90_000u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (a, b) = (fake(first.clone()), fake(second.clone()));
        let router = two(&a, &b);
        runtime.block_on(async {
            let (sender, mut events) = Events::new(8);
            let call = router.generate(permit(&router, request("smart")), Some(sender));
            let reader = async { while events.recv().await.is_some() {} };
            let limit = Duration::from_millis(cancel_after.unwrap_or(120_000));
            let _ = tokio::time::timeout(limit, async { tokio::join!(call, reader) }).await;
        });
        let most = (limits::prompt_tokens(&request("smart")), 100);
        let one = owed(&first[..calls(&a)], most);
        let two = owed(&second[..calls(&b)], most);
        let charged = charged(&router);
        prop_assert_eq!((charged.input_tokens, charged.output_tokens), (one.0 + two.0, one.1 + two.1));
        prop_assert_eq!(charged.micro_dollars, one.0 + 2 * one.1 + 3 * two.0 + 4 * two.1);
    }
}
