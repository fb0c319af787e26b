use ringfence_core::Error;
use ringfence_core::capability::model::discover::LAST_RESORT;
use ringfence_core::capability::model::report::{CandidateReport, ModelReport};

use super::Context;
use crate::ui::table;

/// Show the models: what each alias stands for, which providers answer, and what they cost
///
/// Asks each provider for its list of models, which costs nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn run(_args: &Args, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let report = host.models().await;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&report);
    }
    crate::ui::print(&text(&report))?;
    if let Some(advice) = advice(&report) {
        crate::ui::note(&advice);
    }
    Ok(())
}

/// What to do where the alias that most skills name leads to the built-in engine.
fn advice(report: &ModelReport) -> Option<String> {
    let default = report.aliases.iter().find(|alias| alias.name == "default")?;
    if default.candidates.iter().any(|candidate| candidate.name != LAST_RESORT) {
        return None;
    }
    // Who has a provider that answers needs no other one.
    let built_in = LAST_RESORT.split('/').next();
    let ready = report.providers.iter().find(|one| Some(one.name.as_str()) != built_in && one.state == "ready");
    let choose = match ready {
        Some(one) => format!("choose one that `{0}` has with --model {0}/MODEL", one.name),
        None => "set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, start Ollama, or choose one with \
                 --model PROVIDER/MODEL"
            .into(),
    };
    Some(format!("\nFor a language model {choose} (for good: `models.aliases.default` in the configuration)."))
}

fn text(report: &ModelReport) -> String {
    let mut aliases = table::table(["ALIAS", "MODELS, IN ORDER", "$ PER MILLION TOKENS, IN / OUT"]);
    for alias in &report.aliases {
        for (n, candidate) in alias.candidates.iter().enumerate() {
            let name = if n == 0 { alias.name.clone() } else { String::new() };
            aliases.add_row([name, candidate.name.clone(), price(candidate)]);
        }
    }
    let mut providers = table::table(["PROVIDER", "KEY", "STATE", "MODELS"]);
    for provider in &report.providers {
        let key = provider.key_variable.clone().unwrap_or_else(|| "needs none".into());
        let about = provider.about.map_or_else(|| provider.models.len().to_string(), str::to_owned);
        providers.add_row([provider.name.clone(), key, provider.state.clone(), about]);
    }
    format!("{}\n{}", table::text(&aliases), table::text(&providers))
}

fn price(candidate: &CandidateReport) -> String {
    match &candidate.price {
        Some(price) => format!("{} / {}", dollars(price.input), dollars(price.output)),
        None if candidate.local => "free".into(),
        None => "not known".into(),
    }
}

/// Micro-dollars as dollars.
fn dollars(micro: u64) -> String {
    format!("{:.2}", micro as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use ringfence_core::capability::model::report::{Alias, ProviderReport};

    use super::*;

    fn report(default: &str, providers: &[(&str, &str)]) -> ModelReport {
        let candidates = vec![CandidateReport { name: default.into(), local: true, price: None }];
        let provider = |(name, state): &(&str, &str)| ProviderReport {
            name: (*name).into(),
            local: true,
            key_variable: None,
            state: (*state).into(),
            models: Vec::new(),
            about: None,
        };
        let aliases = vec![Alias { name: "default".into(), candidates }];
        ModelReport { aliases, providers: providers.iter().map(provider).collect() }
    }

    #[test]
    fn advice_is_what_is_not_done_yet() {
        let nothing = [("offline", "ready"), ("ollama", "not running")];
        assert!(advice(&report(LAST_RESORT, &nothing)).unwrap().contains("set OPENAI_API_KEY"));
        let server = [("offline", "ready"), ("openai", "ready")];
        let told = advice(&report(LAST_RESORT, &server)).unwrap();
        assert!(told.contains("--model openai/MODEL") && !told.contains("OPENAI_API_KEY"), "{told}");
        assert_eq!(advice(&report("openai/x", &server)), None);
    }
}
