//! What the variables of OpenTelemetry say of a signal, beside what the SDK reads itself (sampler, headers, attributes) and the outbox (batches).

use std::time::Duration;

use opentelemetry_otlp::Protocol;

use crate::config::Environment;

/// How long one delivery may take where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing, as the specification has it.
pub(super) const USUAL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// As sentences name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// As variables name it.
    fn upper(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

/// How one signal is sent.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) timeout: Duration,
    /// Whether the operator has named the service.
    pub(super) is_named: bool,
}

impl Plan {
    /// None where nothing is to be sent.
    pub(super) fn of(env: &Environment, signal: Signal) -> Option<Result<Self, String>> {
        let name = signal.upper();
        let of = |what: &str| {
            env.get(&format!("OTEL_EXPORTER_OTLP_{name}_{what}"))
                .or_else(|| env.get(&format!("OTEL_EXPORTER_OTLP_{what}")))
        };
        let is_off = env.get("OTEL_SDK_DISABLED").is_some_and(|word| word.trim().eq_ignore_ascii_case("true"));
        let chosen = format!("OTEL_{name}_EXPORTER");
        let exporter = env.get(&chosen).unwrap_or("otlp").trim();
        of("ENDPOINT")?;
        if is_off || exporter == "none" {
            return None;
        }
        if exporter != "otlp" {
            let exporter = crate::ui::printable(exporter);
            return Some(Err(format!("{chosen} is `{exporter}`; there are `otlp` and `none`")));
        }
        Some(Self::read(env, signal, of("PROTOCOL"), of("TIMEOUT")))
    }

    fn read(env: &Environment, signal: Signal, protocol: Option<&str>, timeout: Option<&str>) -> Result<Self, String> {
        let protocol = match protocol.map_or("http/protobuf", str::trim) {
            "http/protobuf" => Protocol::HttpBinary,
            "http/json" => Protocol::HttpJson,
            other => {
                let other = crate::ui::printable(other);
                return Err(format!(
                    "OTEL_EXPORTER_OTLP_PROTOCOL is `{other}`; set `http/protobuf` and a port that takes it, usually 4318"
                ));
            }
        };
        let millis = timeout.map(str::parse::<u64>).transpose();
        let millis = millis.map_err(|_| "OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds".to_owned())?;
        let attributes = env.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let names_service = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| name.trim() == "service.name");
        let is_named = env.get("OTEL_SERVICE_NAME").is_some() || attributes.split(',').any(names_service);
        Ok(Self { signal, protocol, timeout: millis.map_or(USUAL, Duration::from_millis), is_named })
    }
}

/// Whether the trace context of others is taken and told: `OTEL_PROPAGATORS`.
pub(super) fn carries(env: &Environment) -> bool {
    let named = env.get("OTEL_PROPAGATORS");
    named.is_none_or(|names| names.split(',').any(|name| name.trim().eq_ignore_ascii_case("tracecontext")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(signal: Signal, pairs: &[(&str, &str)]) -> Option<Result<Plan, String>> {
        Plan::of(&Environment::from(pairs), signal)
    }

    const THERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn nothing_is_sent_where_nothing_names_an_endpoint_or_something_turns_it_off() {
        for signal in Signal::ALL {
            let name = signal.upper();
            let (exporter, endpoint) = (format!("OTEL_{name}_EXPORTER"), format!("OTEL_EXPORTER_OTLP_{name}_ENDPOINT"));
            assert_eq!(plan(signal, &[]), None);
            assert_eq!(plan(signal, &[("OTEL_SERVICE_NAME", "x"), (&exporter, "otlp")]), None);
            assert_eq!(plan(signal, &[THERE, ("OTEL_SDK_DISABLED", "TRUE")]), None);
            assert_eq!(plan(signal, &[THERE, (&exporter, "none")]), None);
            assert_eq!(
                plan(signal, &[THERE]),
                Some(Ok(Plan { signal, protocol: Protocol::HttpBinary, timeout: USUAL, is_named: false }))
            );
            let own = [(endpoint.as_str(), "http://127.0.0.1/x")];
            assert!(plan(signal, &own).is_some());
            for other in Signal::ALL.into_iter().filter(|other| *other != signal) {
                assert_eq!(plan(other, &own), None, "{other:?} is not {signal:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (name, value, word) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "`otlp` and `none`"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "milliseconds"),
        ] {
            let said = plan(Signal::Traces, &[THERE, (name, value)]).unwrap().unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_service_that_is_named_keeps_its_name() {
        let is_named =
            |pairs: &[(&str, &str)]| plan(Signal::Logs, &[&[THERE], pairs].concat()).unwrap().unwrap().is_named;
        assert!(is_named(&[("OTEL_SERVICE_NAME", "mine")]));
        assert!(is_named(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=mine")]));
        assert!(!is_named(&[("OTEL_RESOURCE_ATTRIBUTES", "a=service.name")]));
    }

    #[test]
    fn the_context_is_carried_unless_other_ways_are_named() {
        let of = |value: &str| carries(&Environment::from(&[("OTEL_PROPAGATORS", value)][..]));
        assert!(carries(&Environment::default()) && of("baggage, tracecontext"));
        assert!(!of("none") && !of("b3"));
    }
}
