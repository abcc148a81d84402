//! From messages to who upstream refuses an object.

use crate::units::{Diagnostic, Judge, Severity};

/// Who may refuse an object, in the order of their turn.
const DEFENCE: [Judge; 4] = [Judge::ApiServer, Judge::Webhook, Judge::Operator, Judge::HpaValidation];

/// What upstream says to an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The answer.
    pub status: VerdictStatus,
    /// Everybody who would refuse it if asked, in the order of their turn.
    pub rejected_by: Vec<Judge>,
    /// Whether `kubectl apply`, which validates strictly, refuses it.
    pub strict_apply_refuses: bool,
    /// One per trigger with a PromQL query.
    pub queries: Vec<QueryReport>,
}

/// Whether an object works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictStatus {
    /// Nobody refuses it.
    Accepted,
    /// Somebody does.
    Rejected,
    /// Nobody is known to refuse it, but not everything could be judged.
    Unknown,
}

/// One query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryReport {
    /// The trigger's metric in the HPA.
    pub trigger: String,
    /// What becomes of it.
    pub status: QueryStatus,
    /// Why; empty when it is fine.
    pub message: String,
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryStatus {
    /// Prometheus evaluates it and KEDA can read the answer.
    Ok,
    /// Prometheus' parser refuses it (HTTP 400).
    Refused,
    /// Prometheus answers in a form that KEDA gets no value from, whatever the data.
    NeverAnswers,
    /// It uses something that is not modelled.
    Unknown,
}

/// The verdict on an object with these messages; `complete`: everybody could be asked.
///
/// What Prometheus says is no matter of the object. A warning of the API server is a key that it drops and that strict
/// validation refuses.
pub(super) fn judge(diagnostics: &[Diagnostic], complete: bool) -> Verdict {
    let errors = || diagnostics.iter().filter(|own| own.severity == Severity::Error);
    let refuses = |judge: &Judge| errors().any(|own| own.judge == Some(*judge));
    let rejected_by: Vec<Judge> = DEFENCE.into_iter().filter(refuses).collect();
    let status = match (rejected_by.is_empty(), complete) {
        (false, _) => VerdictStatus::Rejected,
        (true, true) => VerdictStatus::Accepted,
        (true, false) => VerdictStatus::Unknown,
    };
    let by_server = |own: &Diagnostic| own.severity >= Severity::Warning && own.judge == Some(Judge::ApiServer);
    Verdict { status, rejected_by, strict_apply_refuses: diagnostics.iter().any(by_server), queries: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(judge: Option<Judge>) -> Diagnostic {
        Diagnostic { judge, ..Diagnostic::error(None, "", "no") }
    }

    #[test]
    fn every_judge_is_named_in_the_order_of_its_turn() {
        let table: &[(&[Option<Judge>], &[Judge])] = &[
            (&[], &[]),
            (&[Some(Judge::Webhook)], &[Judge::Webhook]),
            (&[Some(Judge::HpaValidation), Some(Judge::ApiServer)], &[Judge::ApiServer, Judge::HpaValidation]),
            (&[Some(Judge::Operator), Some(Judge::Operator)], &[Judge::Operator]),
            // A query that fails at every poll leaves the object as it is.
            (&[Some(Judge::Prometheus)], &[]),
            // A limit of kedasim's is nobody's refusal.
            (&[None], &[]),
        ];
        for (given, expected) in table {
            let diagnostics: Vec<Diagnostic> = given.iter().map(|judge| error(*judge)).collect();
            let verdict = judge(&diagnostics, true);
            assert_eq!(verdict.rejected_by, *expected, "{given:?}");
            let status = if expected.is_empty() { VerdictStatus::Accepted } else { VerdictStatus::Rejected };
            assert_eq!(verdict.status, status, "{given:?}");
        }
    }

    #[test]
    fn what_was_not_judged_is_not_accepted() {
        assert_eq!(judge(&[error(None)], false).status, VerdictStatus::Unknown);
        assert_eq!(judge(&[error(Some(Judge::Webhook))], false).status, VerdictStatus::Rejected);
    }

    #[test]
    fn a_dropped_key_is_refused_by_a_strict_apply_alone() {
        let dropped = Diagnostic::warning(None, "spec.minReplicas", "unknown key").by(Judge::ApiServer);
        let verdict = judge(&[dropped], true);
        assert_eq!((verdict.status, verdict.strict_apply_refuses), (VerdictStatus::Accepted, true));
        let by_webhook = Diagnostic::warning(None, "spec.pollingInterval", "not relevant").by(Judge::Webhook);
        assert!(!judge(&[by_webhook], true).strict_apply_refuses);
    }
}
