//! Providers that are not there, that refuse, hang, talk nonsense or stop.

use std::time::Duration;

use crate::support::{Done, Home, Provider, Reply, probe};

const KEY: &str = "sk-CANARY-0123456789abcdef";

/// Asks the provider through the probe. The key must not be seen anywhere afterwards.
fn ask(home: &Home, tool: &str, more: &[&str]) -> Done {
    let probe = probe().display().to_string();
    let mut args = vec!["run", &probe, "--tool", tool, "--allow", "model=default", "--allow", "kv", "-vv"];
    args.extend(more);
    let done = Done::of(home.command(&args).env("FAKE_KEY", KEY));
    assert!(!format!("{done:?}").contains("CANARY"), "{done:?}");
    for file in home.files("state") {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|six| six == b"CANARY"), "{file}");
    }
    done
}

fn both(reply: Reply, check: impl Fn(&Done)) {
    for (tool, more) in
        [("generate", &["--prompt", "hello"][..]), ("open", &["--prompt", "hello", "--how", "read", "--count", "1"])]
    {
        let provider = Provider::start(reply.clone());
        let home = Home::with_config(&provider.config());
        let done = ask(&home, tool, more);
        check(&done);
        assert_eq!(provider.requests().len(), 1, "{tool}");
        assert_eq!(provider.requests()[0].authorization, format!("Bearer {KEY}"));
        // Nothing is stuck: a polite provider serves the next run from the same state.
        let next = Provider::says("fine");
        home.write(".config/ringfence/config.toml", next.config());
        ask(&home, tool, more).gives("fine\n");
    }
}

#[test]
fn no_model_is_configured() {
    let home = Home::with_config(
        "[models.providers.openai]\ntype = \"openai\"\n[models.aliases]\ndefault = [\"openai/gpt-5\"]\n",
    );
    let done = ask(&home, "generate", &["--prompt", "hello"]);
    done.fails("unavailable", 4, "openai/gpt-5: there is no key", "OPENAI_API_KEY");
}

#[test]
fn nothing_listens_there() {
    let provider = Provider::start(Reply::Hang);
    let config = provider.config();
    let home = Home::with_config(&config.replace("http://127.0.0.1:", "http://127.0.0.1:1/"));
    let done = ask(&home, "generate", &["--prompt", "hello"]);
    done.fails("unavailable", 4, "fake/clever: the provider cannot be reached", "models.providers.fake.base-url");
}

#[test]
fn a_wrong_key() {
    both(Reply::Status(401, "Incorrect API key provided: sk-CANARY-0123456789abcdef."), |done| {
        done.fails("unavailable", 4, "fake/clever: the provider refused the key (HTTP 401)", "FAKE_KEY");
    });
}

#[test]
fn a_provider_that_fails() {
    both(Reply::Status(500, "the backend is on fire"), |done| {
        done.fails("unavailable", 4, "fake/clever: the provider failed (HTTP 500)", "another model");
    });
    both(Reply::Status(400, "this model has no such parameter"), |done| {
        assert_eq!(done.out, "");
        assert!(done.code == 1 && done.err.contains("fake/clever"), "{done:?}");
    });
}

#[test]
fn a_provider_that_hangs() {
    both(Reply::Hang, |done| {
        done.fails(
            "unavailable",
            4,
            "fake/clever: the provider did not answer in time",
            "models.providers.fake.timeouts",
        );
        assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
    });
}

#[test]
fn a_provider_that_hangs_inside_of_its_answer() {
    both(Reply::HangInside, |done| {
        done.fails("unavailable", 4, "fake/clever: the provider", "models.providers.fake.timeouts");
        assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
    });
}

#[test]
fn a_provider_that_streams_garbage() {
    both(Reply::Garbage, |done| {
        done.fails("unavailable", 4, "fake/clever: the provider's answer makes no sense", "another model");
        assert!(!done.err.contains('\u{1b}'), "{done:?}");
    });
}

#[test]
fn a_provider_that_stops_half_way() {
    both(Reply::StopHalfWay, |done| {
        done.fails("unavailable", 4, "fake/clever: the provider's answer makes no sense", "another model")
    });
}

/// The first has no answer to give: it hangs, talks nonsense, or is something else.
#[test]
fn the_next_model_is_asked_after_one_that_gives_nothing() {
    for reply in [Reply::Hang, Reply::Garbage, Reply::Status(302, "moved"), Reply::Status(404, "404 page not found")] {
        let (first, second) = (Provider::start(reply), Provider::says("fine"));
        let other = second.config();
        let base = other.lines().find(|line| line.trim().starts_with("base-url")).unwrap();
        let both = first.config().replace("[\"fake/clever\"]", "[\"fake/clever\", \"other/clever\"]");
        let home = Home::with_config(&format!(
            "{both}\n[models.providers.other]\ntype = \"openai-compatible\"\n{base}\n[models.prices.\"other/clever\"]\n\
             input = 1000000\noutput = 2000000\n"
        ));
        ask(&home, "generate", &["--prompt", "hello"]).gives("fine\n");
        ask(&home, "open", &["--prompt", "hello", "--how", "read", "--count", "1"]).gives("fine\n");
        assert_eq!((first.requests().len(), second.requests().len()), (2, 2));
    }
}

#[test]
fn a_base_url_that_leads_elsewhere() {
    both(Reply::Status(404, "404 page not found"), |done| {
        let sentence = "is no OpenAI-compatible API: it answered with HTTP 404: 404 page not found";
        done.fails("unavailable", 4, sentence, "models.providers.fake.base-url");
    });
    both(Reply::Status(302, "moved"), |done| {
        let sentence = "is no OpenAI-compatible API: it answered with a redirect (HTTP 302)";
        done.fails("unavailable", 4, sentence, "models.providers.fake.base-url");
    });
}
