//! Whether a trigger's query can give KEDA a value at all, told before the run. What Prometheus refuses is no mistake of the
//! run's: the deployed policy would be refused in the same way at every poll, and the run shows what follows from it.

use crate::keda::{ScaledObjectSpec, TriggerKind};
use crate::prometheus::{PrometheusVersion, ResultType, result_type};
use crate::scenario::ledger::Ledger;
use crate::units::{Diagnostic, Judge};

/// Tells of queries that never give a value; one that only this simulator cannot read is an error.
pub(super) fn check_queries(spec: &ScaledObjectSpec, version: PrometheusVersion, ledger: &mut Ledger) {
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let TriggerKind::Prometheus(own) = &trigger.kind else { continue };
        let path = format!("spec.triggers[{index}].metadata.query");
        let place = own.query_span.clone();
        let help = "KEDA never has a value of this trigger, and the HPA does not scale down without one";
        ledger.push(match result_type(&own.query, version) {
            Ok(ResultType::InstantVector) => continue,
            Ok(ResultType::RangeVector) if own.ignore_null_values => {
                let message = "the query gives a range vector, in which KEDA finds no value: it counts as 0";
                let help = "put the range into a function, such as rate(metric[5m])";
                Diagnostic::warning(place, path, message).by(Judge::Operator).help(help)
            }
            Ok(kind) => {
                let words = kind.words();
                let message = format!("the query gives a {words}, expected an instant vector of one element");
                Diagnostic::warning(place, path, message).by(Judge::Operator).help(help)
            }
            Err(error) if error.own_limit => {
                Diagnostic::error(place, path, format!("the query cannot be run: {error}"))
            }
            Err(error) => {
                let message = format!("Prometheus refuses the query (HTTP 400 at every poll and sync): {error}");
                Diagnostic::warning(place, path, message).by(Judge::Prometheus).help(help)
            }
        });
    }
}
