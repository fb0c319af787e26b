//! Models that answer: streamed or not, with what they cost.

use serde_json::json;

use crate::support::hosts::{open_with, said};
use crate::support::{Done, Home, Provider, Reply, call, probe};

#[test]
fn a_run_tells_what_it_used_and_what_it_cost() {
    let provider = Provider::says("four words of answer");
    let home = Home::with_config(&provider.config());
    for (tool, more) in [("generate", &[][..]), ("open", &["--how", "read", "--count", "1"])] {
        let done = home.probe(tool, &[&["--prompt", "hello", "--format", "json"], more].concat()).worked();
        let told = done.json();
        assert_eq!(told["outcome"]["content"], json!([{ "type": "text", "text": "four words of answer" }]), "{told}");
        assert_eq!(told["usage"]["input-tokens"], 20, "{told}");
        assert_eq!(told["usage"]["output-tokens"], 4, "{told}");
        // 20 tokens in at a dollar for a million, 4 out at two.
        assert_eq!(told["cost"]["micro-dollars"], 28, "{told}");
        assert_eq!(told["model"], "fake/clever-2026", "{told}");
        for part in ["queued-us", "instantiate-us", "run-us"] {
            assert!(told["timings"][part].is_u64(), "{part}: {told}");
        }
    }
    let bodies: Vec<_> = provider.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!((&bodies[0]["model"], &bodies[0]["messages"][0]["content"]), (&json!("clever"), &json!("hello")));
    assert_eq!(bodies[1]["stream"], true);
}

#[test]
fn a_pipe_gets_the_result_alone() {
    let provider = Provider::says("The answer.");
    let home = Home::with_config(&provider.config());
    let done = home.probe("open", &["--prompt", "hello", "--how", "read", "--count", "1"]);
    done.gives("The answer.\n");
    assert_eq!(done.err, "", "and nothing is said beside it");
    home.probe("emit", &["--text", "ab", "--times", "3"]).gives("ababab\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_leave_nothing_running() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::new();
    let host = open_with(&home, &provider.patient_config(), &[]).await.unwrap();
    let probe = tokio::task::spawn_blocking(probe).await.unwrap();
    let skill = host.load_file(probe, None, None).await.unwrap();
    for how in ["drop", "hold"] {
        let input = json!({ "prompt": "hello", "how": how, "count": 5 });
        let done = host.invoke(call(&skill, "open", input)).await.unwrap();
        assert_eq!(said(&done), "");
        // Eight at once is all that the provider takes: held ones that went on would stop the next round.
        assert!(done.timings.run_us < 20_000_000, "{done:?}");
    }
}

#[test]
fn a_server_behind_a_base_url_needs_nothing_else() {
    let provider = Provider::says("from the server");
    let home = Home::new();
    let with = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("OPENAI_API_KEY", "sk-x").env("OPENAI_BASE_URL", provider.base_url());
        Done::of(&mut command).worked()
    };
    let models = with(&["models"]);
    let default = models.out.lines().find(|line| line.starts_with("default")).unwrap_or_default();
    assert!(default.contains("openai/clever"), "{models:?}");
    assert!(!models.err.contains("OPENAI_API_KEY"), "it is set: {models:?}");
    let doctor = with(&["doctor"]);
    assert!(!doctor.out.contains("set OPENAI_API_KEY"), "{doctor:?}");
    let probe = probe().display().to_string();
    let run = ["run", &probe, "--tool", "generate", "--allow", "model=default", "--allow", "kv", "--prompt", "hello"];
    with(&run).gives("from the server\n");
    assert_eq!(provider.requests().len(), 1, "its list is no question");
    assert_eq!(provider.requests()[0].body["model"], "clever");
}

#[test]
fn models_and_doctor_and_config_tell_what_there_is() {
    let provider = Provider::says("x");
    let home = Home::with_config(&provider.config());
    let models = home.run(&["models"]).worked();
    assert!(models.out.contains("fake/clever") && models.out.contains("1.00 / 2.00"), "{models:?}");
    assert!(models.out.contains("FAKE_KEY"), "{models:?}");
    let report = home.run(&["models", "--format", "json"]).worked().json();
    assert!(report["aliases"].as_array().unwrap().iter().any(|alias| alias["name"] == "default"), "{report}");

    let doctor = home.run(&["doctor", "--format", "json"]).worked().json();
    let findings = doctor.as_array().unwrap();
    assert!(findings.len() > 3 && findings.iter().all(|finding| finding["state"] != "problem"), "{doctor}");
    assert!(home.run(&["doctor"]).worked().out.contains("ok"));

    let shown = home.run(&["config", "show", "--origin", "--set", "limits.cpu-seconds=7"]).worked();
    let line = |key: &str| shown.out.lines().find(|line| line.starts_with(key)).map(str::to_owned).unwrap_or_default();
    assert!(line("limits.cpu-seconds = 7").contains("--set limits.cpu-seconds"), "{shown:?}");
    assert!(line("models.retries = 1").contains("config.toml:3"), "{shown:?}");
}
