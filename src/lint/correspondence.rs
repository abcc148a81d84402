//! Which rule a message belongs to that the API server, KEDA or Prometheus gives: the message stays, with the rule's code
//! and what mends it.

use crate::lint::rules::rule;
use crate::lint::{Edit, Effective, Finding, Rule};
use crate::units::{Judge, Severity};

/// The finding with its rule, when it has none and belongs to one; `text` is the file's, `effective` what is in force of
/// the object.
pub(super) fn named(mut finding: Finding, text: Option<&str>, effective: Option<&Effective>) -> Finding {
    if finding.rule.is_some() {
        return finding;
    }
    let Some(rule) = rule_of(&finding) else { return finding };
    finding.rule = Some(rule);
    // The webhook calls periods irrelevant that still act with an idle count, or through the failures that polls count.
    let acts = match rule.code {
        "L-01" => effective.is_none_or(|own| own.cooldown_period_acts),
        "L-03" => effective.is_none_or(|own| own.polling_interval_acts),
        _ => false,
    };
    finding.edit = if acts { None } else { edit(rule.code, &finding, text) };
    if finding.diagnostic.help.is_none() {
        finding.diagnostic.help = Some(rule.fix.to_owned());
    }
    if rule.code == "L-02" {
        severity_of_misplaced_type(&mut finding);
    }
    finding
}

fn rule_of(finding: &Finding) -> Option<&'static Rule> {
    let own = &finding.diagnostic;
    let (path, message) = (own.path.as_str(), own.message.as_str());
    let in_metadata = path.contains(".metadata.");
    let code = match (own.judge, own.severity) {
        (Some(Judge::Webhook), Severity::Warning) if path == "spec.cooldownPeriod" => "L-01",
        (Some(Judge::Webhook), Severity::Warning) if path == "spec.pollingInterval" => "L-03",
        (Some(Judge::ApiServer), Severity::Warning) if message.starts_with("unknown key") => "L-05",
        (Some(Judge::ApiServer), Severity::Error) if in_metadata && message.contains("must be of type string") => {
            "L-27"
        }
        (Some(Judge::Operator), Severity::Error) if in_metadata && message.starts_with("unable to set param") => "L-27",
        (Some(Judge::HpaValidation), Severity::Error) if message.ends_with("must be positive") => "L-29",
        (Some(Judge::Operator), _) if message.starts_with("the query gives a scalar") => "L-30",
        (Some(Judge::Operator), _) if message.starts_with("the query gives a range vector") => "L-31",
        (Some(Judge::Webhook), Severity::Error) if message.contains("is already managed by the") => "L-16",
        (Some(Judge::Webhook), Severity::Error) if message.starts_with("property \"useCachedMetrics\"") => "L-44",
        (Some(Judge::Operator), Severity::Error) if path.ends_with("/paused-replicas") => "L-50",
        (None, Severity::Warning) if path.ends_with(".metadata.metricType") => "L-02",
        (None, Severity::Warning) if path.ends_with(".metadata.metricName") => "L-28",
        (None, Severity::Warning) if message.contains("finds the fallback invalid") => "L-20",
        (None, Severity::Warning)
            if path.contains("annotations.autoscaling.keda.sh/") && message.contains("counts as true") =>
        {
            "L-50"
        }
        (None, Severity::Warning) if path.ends_with("/paused-replicas") && message.contains("is paused") => "L-50",
        _ => return None,
    };
    rule(code)
}

/// A type in the wrong place that is the one in force does no harm; another one is not what runs.
fn severity_of_misplaced_type(finding: &mut Finding) {
    let own = &mut finding.diagnostic;
    let is_same = own.message.split('"').nth(1).is_some_and(|found| own.message.ends_with(&format!(" {found}")));
    own.severity = if is_same { Severity::Note } else { Severity::Error };
    if !is_same {
        // Which of the two was meant is for the author to say.
        finding.edit = None;
    }
}

fn edit(code: &str, finding: &Finding, text: Option<&str>) -> Option<Edit> {
    let own = &finding.diagnostic;
    let span = own.span.clone()?;
    let key = own.path.rsplit('.').next()?.to_owned();
    let delete = || Some(Edit::DeleteEntry { line: span.line, key: key.clone() });
    match code {
        "L-01" | "L-03" | "L-02" | "L-28" => delete(),
        "L-05" => {
            // Only the two that everybody means: `minReplicas` and `maxReplicas`, while the right key is not there.
            let help = own.help.as_deref()?;
            let meant = ["minReplicaCount", "maxReplicaCount"]
                .into_iter()
                .find(|own| help == format!("did you mean {own}?"))?;
            own.message.contains("is then its default").then(|| Edit::Replace {
                at: span,
                old: key,
                new: meant.to_owned(),
            })
        }
        "L-27" if own.judge == Some(Judge::ApiServer) => {
            let old = scalar_at(text?, &span)?;
            let new = format!("\"{old}\"");
            Some(Edit::Replace { at: span, old, new })
        }
        _ => None,
    }
}

/// The plain scalar that begins at a place: up to the end of the line, a comment or what ends a flow entry.
fn scalar_at(text: &str, span: &crate::units::Span) -> Option<String> {
    let line = text.trim_start_matches('\u{feff}').lines().nth(usize::try_from(span.line).ok()?.checked_sub(1)?)?;
    let rest: String = line.chars().skip(usize::try_from(span.column).ok()?.checked_sub(1)?).collect();
    let end = rest.find([' ', '\t', ',', '}', ']']).unwrap_or(rest.len());
    let own = &rest[..end];
    let is_plain = !own.is_empty() && own.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
    is_plain.then(|| own.to_owned())
}
