//! The asks of `model`: the only policy code of the capability. The router fills in what it knows of the name
//! (`Router::generate_ask`, `Router::embed_ask`), so that the answer here is pure.

use tracing::Span;

use super::grant::Grant;
use super::names;
use super::types::Request;
use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::policy::Grants;
use crate::policy::taint::Touch;
use crate::trace;

/// "Complete this with model X."
#[derive(Clone, Debug, Default)]
pub struct Generate {
    pub request: Request,
    pub estimate: Amount,
    pub facts: Facts,
}

/// "Embed these texts with model X."
#[derive(Clone, Debug, Default)]
pub struct Embed {
    pub model: String,
    pub inputs: Vec<String>,
    pub estimate: Amount,
    pub facts: Facts,
}

/// What the router knows about the model that an ask names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// An alias behind which is nothing but the built-in `offline` provider: it reaches nothing and costs nothing.
    pub local_only: bool,
    /// A model behind the name whose price nobody knows, while a budget of money holds.
    pub unpriced: Option<String>,
}

impl Ask for Generate {
    const CAPABILITY: &'static str = "model";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.model
    }

    fn subject(&self) -> String {
        subject(&self.request.model)
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        let verdict = allowed(&self.request.model, &self.facts, grant);
        let options = grant.as_ref().is_some_and(|grant| grant.provider_options);
        if verdict == Verdict::Yes && self.request.provider_options.is_some() && !options {
            return no(
                "it passes options to the provider, and has not been granted that",
                "set `provider-options = true` in the `model` grant of `{skill}`",
            );
        }
        verdict
    }

    fn estimate(&self) -> Amount {
        self.estimate
    }

    fn leaves(&self) -> bool {
        !self.facts.local_only
    }

    /// A model is where the operator sends what a skill works on; what it answers is the skill's own work.
    fn touches(&self) -> Touch {
        Touch::NOTHING
    }

    fn span(&self, invocation: &Span) -> Span {
        trace::model(invocation, "chat", &self.request.model)
    }
}

impl Ask for Embed {
    const CAPABILITY: &'static str = "model";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.model
    }

    fn subject(&self) -> String {
        subject(&self.model)
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        allowed(&self.model, &self.facts, grant)
    }

    fn estimate(&self) -> Amount {
        self.estimate
    }

    fn leaves(&self) -> bool {
        !self.facts.local_only
    }

    /// A model is where the operator sends what a skill works on; what it answers is the skill's own work.
    fn touches(&self) -> Touch {
        Touch::NOTHING
    }

    fn span(&self, invocation: &Span) -> Span {
        trace::model(invocation, "embeddings", &self.model)
    }
}

/// Whether `grant` lets a skill use the model called `name`. No grant at all means that the manifest does not ask for
/// models; an empty one, that the operator has granted none.
pub fn allowed(name: &str, facts: &Facts, grant: &Option<Grant>) -> Verdict {
    if !names::is_name(name) {
        return no("this is not a model's name", "name an alias such as `default`, or `provider/model`");
    }
    let Some(grant) = grant else {
        return no(
            "the manifest does not request `model`",
            "request `model` in the manifest of `{skill}`, then run `ringfence grant {skill} model=default`",
        );
    };
    if !facts.local_only && !grant.models.iter().any(|entry| covers(entry, name)) {
        let known = match grant.models.as_slice() {
            [] => "no model has been granted".to_owned(),
            some => format!("only {} may be used", some.join(", ")),
        };
        return no(known, format!("run `ringfence grant {{skill}} model={name}`"));
    }
    match &facts.unpriced {
        Some(model) => no(
            format!("the price of `{model}` is not known, and a budget of money holds"),
            format!("set `[models.prices.\"{model}\"]` in the configuration, or lift the budget of micro-dollars"),
        ),
        None => Verdict::Yes,
    }
}

/// An alias or a whole name is itself; `provider/*` is every model of the provider. There is no other pattern.
fn covers(entry: &str, name: &str) -> bool {
    match entry.strip_suffix("/*") {
        Some(provider) => names::split(name).is_some_and(|(of, _)| of == provider),
        None => entry == name,
    }
}

fn no(reason: impl Into<String>, hint: impl Into<String>) -> Verdict {
    Verdict::No { reason: reason.into(), hint: hint.into() }
}

/// The name comes from the guest: cut and stripped, it can be shown and logged.
pub(super) fn subject(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(names::LONGEST).collect();
    format!("model {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(models: &[&str]) -> Option<Grant> {
        Some(Grant { models: models.iter().map(|&m| m.to_owned()).collect(), ..Grant::default() })
    }

    fn generate(model: &str) -> Generate {
        Generate { request: Request { model: model.into(), ..Request::default() }, ..Generate::default() }
    }

    #[test]
    fn grants_and_refusals_in_pairs() {
        let long = format!("a/{}", "x".repeat(300));
        let cases: &[(&str, Option<Grant>, bool)] = &[
            ("smart", grant(&["smart"]), true),
            ("smart", grant(&["fast"]), false),
            ("smart", grant(&[]), false),
            ("smart", None, false),
            ("Smart", grant(&["smart"]), false),
            ("openai/gpt", grant(&["openai/gpt"]), true),
            ("openai/gpt-mini", grant(&["openai/gpt"]), false),
            ("openai/gpt", grant(&["gpt"]), false),
            ("openai/gpt", grant(&["openai"]), false),
            ("openai/gpt", grant(&["openai/*"]), true),
            ("openrouter/a/b", grant(&["openrouter/*"]), true),
            ("openrouter/a/b", grant(&["openrouter/a/*"]), false),
            ("openai2/gpt", grant(&["openai/*"]), false),
            ("openai", grant(&["openai/*"]), false),
            ("smart", grant(&["*"]), false),
            ("openai/gpt", grant(&["*/*"]), false),
            ("openai/../gpt", grant(&["openai/*"]), false),
            ("offline/extractive", grant(&[]), false),
            ("offline/extractive", grant(&["offline/*"]), true),
            ("", grant(&[""]), false),
            ("a\u{0}b", grant(&["a\u{0}b"]), false),
            (&long, grant(&["a/*"]), false),
        ];
        for (name, grant, yes) in cases {
            assert_eq!(generate(name).allowed(grant) == Verdict::Yes, *yes, "{name:?} with {grant:?}");
            let embed = Embed { model: (*name).into(), ..Embed::default() };
            assert_eq!(embed.allowed(grant) == Verdict::Yes, *yes, "embed {name:?} with {grant:?}");
        }
    }

    #[test]
    fn what_reaches_nothing_needs_no_grant_but_the_request() {
        let ask = Generate { facts: Facts { local_only: true, ..Facts::default() }, ..generate("default") };
        assert_eq!(ask.allowed(&grant(&[])), Verdict::Yes);
        assert!(matches!(ask.allowed(&None), Verdict::No { .. }));
    }

    #[test]
    fn an_unknown_price_is_refused_and_named() {
        let facts = Facts { unpriced: Some("work/big".into()), ..Facts::default() };
        let Verdict::No { reason, hint } = (Generate { facts, ..generate("smart") }).allowed(&grant(&["smart"])) else {
            panic!("allowed");
        };
        assert!(reason.contains("work/big") && hint.contains("models.prices.\"work/big\""), "{reason} {hint}");
    }

    #[test]
    fn options_need_the_flag() {
        let mut ask = generate("smart");
        ask.request.provider_options = Some(serde_json::Map::new());
        assert!(matches!(ask.allowed(&grant(&["smart"])), Verdict::No { .. }));
        let allowed = grant(&["smart"]).map(|grant| Grant { provider_options: true, ..grant });
        assert_eq!(ask.allowed(&allowed), Verdict::Yes);
    }

    #[test]
    fn the_hint_is_the_command_and_the_subject_is_clean() {
        let Verdict::No { reason, hint } = generate("smart").allowed(&grant(&["fast", "ollama/*"])) else {
            panic!("allowed");
        };
        assert_eq!(hint, "run `ringfence grant {skill} model=smart`");
        assert_eq!(reason, "only fast, ollama/* may be used");
        assert_eq!(generate("a\u{1b}[31m\n").subject(), "model a[31m");
        assert_eq!(generate(&"x".repeat(9_000)).subject().len(), "model ".len() + names::LONGEST);
    }
}
