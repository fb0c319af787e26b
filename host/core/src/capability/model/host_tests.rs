use super::super::router::tests::{Do, Fake, fake, request, router_of};
use super::*;
use crate::budget::{Budgets, Treasury};
use crate::capability::model::Grant;
use crate::policy::Grants;

const SETTINGS: &str = r#"
    [providers.a]
    type = "openai-compatible"
    base-url = "http://127.0.0.1:1/v1"
    [aliases]
    smart = ["a/m"]
    default = ["offline/extractive"]
"#;

/// A session without limits whose call has begun, and the directory of its ledger.
async fn session(models: &[&str]) -> (tempfile::TempDir, Session) {
    let (dir, session) = starting(models).await;
    session.enter();
    (dir, session)
}

/// The same while its component starts.
async fn starting(models: &[&str]) -> (tempfile::TempDir, Session) {
    let (dir, state) = crate::state::testing::temporary();
    let ledger = Treasury::open(state.clone()).await.unwrap().ledger("demo", "1", &Budgets::default());
    let model = Some(Grant { models: models.iter().map(|&m| m.to_owned()).collect(), ..Grant::default() });
    let shared = crate::broker::Shared::on(state, Default::default());
    let setup = crate::broker::Setup::of(shared, Grants { model, ..Grants::default() }, ledger);
    let session = Session::new(crate::broker::Setup { skill: "demo".into(), entered: false, ..setup });
    (dir, session)
}

fn asked(model: &str) -> wit::Request {
    let plain = request(model);
    wit::Request {
        model: plain.model,
        messages: vec![wit::Message {
            role: wit::Role::User,
            parts: vec![wit::Part::Text("How many legs has a spider?".into())],
        }],
        tools: Vec::new(),
        tool_choice: wit::ToolChoice::Auto,
        output_schema: None,
        max_tokens: plain.max_tokens,
        temperature: None,
        top_p: None,
        stop: Vec::new(),
        effort: None,
        cache_until: None,
        provider_options: None,
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    session: Session,
    table: ResourceTable,
    router: Arc<Router>,
}

impl Bench {
    async fn new(models: &[&str], a: &Arc<Fake>) -> Self {
        let router = Arc::new(router_of(SETTINGS, &[("a", a)]));
        let (dir, session) = session(models).await;
        Self { _dir: dir, session, table: ResourceTable::new(), router }
    }

    fn view(&mut self) -> ModelView<'_> {
        ModelView { session: &self.session, table: &mut self.table, router: &self.router, money_limited: false }
    }
}

#[tokio::test]
async fn a_granted_model_answers_and_another_is_refused() {
    use wit::Host;
    let mut bench = Bench::new(&["smart"], &fake([Do::Report("eight", 1, 1)])).await;
    let response = bench.view().generate(asked("smart")).await.unwrap().unwrap();
    assert_eq!(response.model, "a/m");
    assert!(matches!(&response.message.parts[0], wit::Part::Text(text) if text == "eight"));
    let refusal = bench.view().generate(asked("a/m")).await.unwrap().unwrap_err();
    let words::types::Refusal::Denied(denial) = refusal else { panic!("{refusal:?}") };
    assert_eq!(denial.hint, "run `ringfence grant demo model=a/m`");
}

#[tokio::test]
async fn before_the_call_has_begun_every_ask_is_denied() {
    use wit::Host;
    let mut bench = Bench::new(&["smart"], &fake([Do::Report("eight", 1, 1)])).await;
    (bench._dir, bench.session) = starting(&["smart"]).await;
    let denied = |refusal| match refusal {
        words::types::Refusal::Denied(denial) => (denial.subject, denial.reason),
        other => panic!("{other:?}"),
    };
    let reason = "no call has begun: the component asked while it was being started";
    let one = denied(bench.view().generate(asked("smart")).await.unwrap().unwrap_err());
    assert_eq!((one.0.as_str(), one.1.as_str()), ("model smart", reason));
    assert_eq!(denied(bench.view().open(asked("smart")).await.unwrap().unwrap_err()), one);
    assert_eq!(denied(bench.view().embed("smart".into(), vec!["x".into()]).await.unwrap().unwrap_err()), one);
    assert!(bench.view().models().await.unwrap().is_empty(), "a list cannot refuse");
    bench.session.enter();
    assert_eq!(bench.view().generate(asked("smart")).await.unwrap().unwrap().model, "a/m");
    assert!(!bench.view().models().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_generation_streams_ends_once_and_then_is_empty() {
    use wit::{Host, HostGeneration};
    let a = fake([Do::Stream(vec!["ei", "ght"], Box::new(Do::Report("eight", 1, 1)))]);
    let mut bench = Bench::new(&["smart"], &a).await;
    let open = bench.view().open(asked("smart")).await.unwrap().unwrap();
    let mut text = String::new();
    let done = loop {
        let handle = Resource::new_borrow(open.rep());
        let batch = bench.view().next(handle).await.unwrap().unwrap();
        assert!(!batch.is_empty(), "the end comes with `done`");
        let mut done = None;
        for event in batch {
            match event {
                wit::Event::Text(more) => text.push_str(&more),
                wit::Event::Done(response) => done = Some(response),
                other => panic!("{other:?}"),
            }
        }
        if let Some(done) = done {
            break done;
        }
    };
    assert_eq!((text.as_str(), done.model.as_str()), ("eight", "a/m"));
    let handle = Resource::new_borrow(open.rep());
    assert!(bench.view().next(handle).await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn a_broken_generation_gives_its_events_then_its_refusal_once() {
    use wit::{Host, HostGeneration};
    let broken = super::super::provider::ProviderError::Garbled("cut".into());
    let mut bench = Bench::new(&["smart"], &fake([Do::Stream(vec!["ei"], Box::new(Do::Fail(broken)))])).await;
    let open = bench.view().open(asked("smart")).await.unwrap().unwrap();
    let mut next = async || {
        let handle = Resource::new_borrow(open.rep());
        bench.view().next(handle).await.unwrap()
    };
    assert!(matches!(next().await.unwrap().as_slice(), [wit::Event::Text(text)] if text == "ei"));
    assert!(matches!(next().await, Err(words::types::Refusal::Unavailable(_))));
    assert!(next().await.unwrap().is_empty());
}

#[tokio::test]
async fn dropping_a_generation_cancels_and_settles_it() {
    use wit::{Host, HostGeneration};
    let mut bench = Bench::new(&["smart"], &fake([Do::Stream(vec!["ei"], Box::new(Do::Hang))])).await;
    let open = bench.view().open(asked("smart")).await.unwrap().unwrap();
    let handle = Resource::new_borrow(open.rep());
    bench.view().next(handle).await.unwrap().unwrap();
    assert!(bench.router.charges.lock().unwrap().is_empty());
    let begin = std::time::Instant::now();
    bench.view().drop(open).await.unwrap();
    while bench.router.charges.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
        assert!(begin.elapsed() < std::time::Duration::from_secs(10), "never settled");
    }
    assert_eq!(bench.router.charges.lock().unwrap()[0].output_tokens, 100);
}

#[tokio::test]
async fn the_list_holds_what_may_be_used_and_nothing_of_the_host() {
    use wit::Host;
    let mut bench = Bench::new(&["a/*", "ghost/x"], &fake([])).await;
    let models = bench.view().models().await.unwrap();
    let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["a/m", "default"], "`smart` is not granted, `ghost` is not there, `default` needs no grant");
    assert!(models.iter().all(|model| model.local && model.max_tokens == 4096));
    assert!(!format!("{models:?}").contains("127.0.0.1"));
}

#[test]
fn json_from_guests_is_checked() {
    let with = |change: fn(&mut wit::Request)| {
        let mut request = asked("smart");
        change(&mut request);
        decode_request(request)
    };
    assert!(with(|request| request.provider_options = Some("{\"seed\": 1}".into())).is_ok());
    assert!(with(|request| request.provider_options = Some("[]".into())).is_err());
    assert!(with(|request| request.output_schema = Some("{".into())).is_err());
    assert!(with(|request| request.output_schema = Some("[".repeat(1_000_000))).is_err());
}
