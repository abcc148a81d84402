//! Whether a trigger's query can give KEDA a value at all (keda.md 5.2), told before the run. What Prometheus refuses is no
//! mistake of the run's: the deployed policy would be refused in the same way at every poll, and the run shows what follows.

use crate::keda::{PrometheusTrigger, ScaledObjectSpec, TriggerKind};
use crate::prometheus::{ParseError, PrometheusVersion, ResultType, metric_names, result_type};
use crate::replica::{EngineConfig, absence};
use crate::scenario::ledger::Ledger;
use crate::series::{Exposition, Labels, Signals};
use crate::units::{Diagnostic, Judge};
use std::collections::BTreeSet;

/// Why a query never gives KEDA a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryFault {
    /// Only this parser cannot follow; Prometheus may well.
    OwnLimit(ParseError),
    /// Prometheus' parser refuses it.
    Refused(ParseError),
    /// Its result is of a type in which KEDA finds no value.
    Unreadable {
        /// What that means.
        message: String,
        /// What to do.
        help: &'static str,
    },
}

impl QueryFault {
    /// What is wrong with `query`; `ignores_nulls` is the trigger's `ignoreNullValues`.
    pub fn of(query: &str, ignores_nulls: bool, version: PrometheusVersion) -> Option<Self> {
        let kind = match result_type(query, version) {
            Ok(kind) => kind,
            Err(error) if error.own_limit => return Some(QueryFault::OwnLimit(error)),
            Err(error) => return Some(QueryFault::Refused(error)),
        };
        let range_help = "put the range into a function, such as rate(metric[5m])";
        let (what, help) = match kind {
            ResultType::InstantVector => return None,
            ResultType::Scalar => ("KEDA cannot read a scalar, so every query is an error", "wrap it: vector(...)"),
            ResultType::String => {
                ("KEDA cannot read a string, so every query is an error", "ask for an instant vector")
            }
            ResultType::RangeVector if ignores_nulls => (
                "KEDA finds no value in a range vector and takes 0 (ignoreNullValues is true); more than one series is an error",
                range_help,
            ),
            ResultType::RangeVector => {
                ("KEDA finds no value in a range vector, so every query is an error", range_help)
            }
        };
        Some(QueryFault::Unreadable { message: format!("the query gives a {}: {what}", kind.words()), help })
    }

    /// The same as a message with its help and who upstream would give it; the caller knows its place and how bad it is.
    pub fn told(&self, diagnostic: impl FnOnce(String) -> Diagnostic) -> Diagnostic {
        match self {
            QueryFault::OwnLimit(error) => diagnostic(error.to_string()),
            QueryFault::Refused(error) => {
                let message = format!("Prometheus refuses the query (HTTP 400 at every poll and sync): {error}");
                let help = "KEDA reports: prometheus query api returned error. status: 400; without a fallback the replicas stay as they are";
                diagnostic(message).by(Judge::Prometheus).help(help)
            }
            QueryFault::Unreadable { message, help } => diagnostic(message.clone()).by(Judge::Operator).help(*help),
        }
    }
}

/// Warns of queries that never give a value; one that only this simulator cannot read is an error.
pub(super) fn check_queries(
    spec: &ScaledObjectSpec,
    version: PrometheusVersion,
    (engine, exposed, signals): (Option<&EngineConfig>, Option<&Exposition>, &Signals),
    ledger: &mut Ledger,
) {
    let exposed = exposed.into_iter().flat_map(|exposed| &exposed.series).map(|series| &series.labels);
    let there = exposed.chain(signals.series.iter().map(|series| &series.labels));
    let there: BTreeSet<&str> = there.map(Labels::metric_name).collect();
    tell_requests(spec, ledger);
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let TriggerKind::Prometheus(own) = &trigger.kind else { continue };
        tell_absent(own, index, version, (engine, &there), ledger);
        let Some(fault) = QueryFault::of(&own.query, own.ignore_null_values, version) else { continue };
        let path = format!("spec.triggers[{index}].metadata.query");
        let place = own.query_span.clone();
        ledger.push(match &fault {
            QueryFault::OwnLimit(error) => Diagnostic::error(place, path, format!("the query cannot be run: {error}")),
            _ => fault.told(|message| Diagnostic::warning(place, path, message)),
        });
    }
}

/// Warns of names that vLLM servers are known for and that are not `there`, with the reason.
fn tell_absent(
    trigger: &PrometheusTrigger,
    index: usize,
    version: PrometheusVersion,
    (engine, there): (Option<&EngineConfig>, &BTreeSet<&str>),
    ledger: &mut Ledger,
) {
    let mut told: Vec<String> = Vec::new();
    for name in metric_names(&trigger.query, version) {
        if there.contains(name.as_str()) || told.contains(&name) {
            continue;
        }
        let Some(absence) = engine.and_then(|engine| absence(engine, &name)) else { continue };
        let path = format!("spec.triggers[{index}].metadata.query");
        let message = format!("the replicas do not expose {name}: {}", absence.why);
        let help = if absence.real_has_it {
            "a real replica has it: give the series under signals.series"
        } else {
            "the query finds nothing there; use a metric that this server has"
        };
        ledger.push(Diagnostic::warning(trigger.query_span.clone(), path, message).help(help));
        told.push(name);
    }
}

/// Tells what goes out with the requests and changes nothing here: one Prometheus with one tenant is simulated.
fn tell_requests(spec: &ScaledObjectSpec, ledger: &mut Ledger) {
    let mut first: Option<&str> = None;
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let Some(own) = trigger.prometheus() else { continue };
        let request = &own.request;
        let mut tell = |key: &str, message: String, help: String| {
            let path = format!("spec.triggers[{index}].metadata.{key}");
            ledger.push(Diagnostic::note(trigger.span.clone(), path, message).help(help));
        };
        if let Some(namespace) = &request.namespace {
            let message = "the simulated Prometheus ignores the parameter namespace, as Prometheus does; a tenancy proxy in \
                           front of it would match every selector against it";
            tell(
                "namespace",
                message.to_owned(),
                format!("behind such a proxy, write namespace={namespace:?} into the query"),
            );
        }
        for (key, is_given) in
            [("queryParameters", !request.parameters.is_empty()), ("customHeaders", !request.headers.is_empty())]
        {
            if is_given {
                let message = format!("the simulated Prometheus ignores {key}");
                tell(key, message, "check that they do not change the answer".to_owned());
            }
        }
        let address = request.server_address.trim_end_matches('/');
        match first {
            Some(other) if other != address => {
                let message = format!(
                    "found the server {address} beside {other}: one Prometheus is simulated, which answers for both and has \
                     all series"
                );
                tell("serverAddress", message, "check that each has what its query asks for".to_owned());
            }
            _ => first = first.or(Some(address)),
        }
    }
}
