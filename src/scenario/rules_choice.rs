//! The recording rules of the PrometheusRules among the input, checked as prometheus-operator and Prometheus would
//! (prometheus-operator pkg/operator/rules.go `generateRulesConfiguration`, `sanitizePrometheusRulesSpec`; Prometheus
//! model/rulefmt/rulefmt.go `RuleGroups.Validate`, rules/manager.go `LoadGroups`). When and how they are evaluated is not
//! decided here.

use crate::manifest::{Bundle, PrometheusRule, RuleGroupWritten, RuleWritten};
use crate::prometheus::{PrometheusServer, PrometheusSettings, PrometheusVersion, RecordingRule, RuleError, RuleGroup};
use crate::scenario::RuleGroupSettings;
use crate::scenario::ledger::Ledger;
use crate::units::{Diagnostic, SimDuration, Span};

/// The groups with recording rules, in order. `namespace` is that of objects that name none.
pub(super) fn choose_rules(
    bundle: &Bundle,
    settings: &PrometheusSettings,
    namespace: &str,
    ledger: &mut Ledger,
) -> Vec<RuleGroupSettings> {
    let mut groups = Vec::new();
    let mut names = Vec::new();
    for document in bundle.of_kind("PrometheusRule") {
        let Some(object) = PrometheusRule::read(document, &mut ledger.diagnostics) else { continue };
        let place = object.namespace.as_ref().map_or(namespace, |own| own.value.as_str());
        let key = format!("{place}/{}", object.name.value);
        tell_alerts(&object, ledger);
        check_names(&object, ledger);
        let before = groups.len();
        for group in &object.groups {
            groups.extend(read_group(group, &key, settings, ledger));
        }
        if groups.len() > before {
            names.push(object.name.value.clone());
        }
    }
    if !names.is_empty() {
        let why = "Prometheus' ruleSelector and ruleNamespaceSelector are taken to select them";
        ledger.tell("PrometheusRule", names.join(", "), why);
    }
    groups
}

fn tell_alerts(object: &PrometheusRule, ledger: &mut Ledger) {
    let mut alerts = object.groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.alert.is_some());
    let Some(first) = alerts.next() else { return };
    let count = 1 + alerts.count();
    let name = &object.name.value;
    let message = format!("alerting rules of PrometheusRule {name} are not evaluated ({count}): they scale nothing");
    ledger.push(Diagnostic::note(first.span.clone(), first.path.clone(), message));
}

/// The API server and Prometheus want every group's name once.
fn check_names(object: &PrometheusRule, ledger: &mut Ledger) {
    for (index, group) in object.groups.iter().enumerate() {
        let name = &group.name.value;
        let repeated = object.groups[..index].iter().any(|before| before.name.value == *name);
        let message = if name.is_empty() {
            "Groupname must not be empty".to_owned()
        } else if repeated {
            format!("groupname: \"{name}\" is repeated in the same file")
        } else {
            continue;
        };
        ledger.push(refused(group.name.span.clone(), format!("{}.name", group.path), message));
    }
}

/// What the operator does with an object in which anything is wrong.
fn refused(span: Span, path: String, message: String) -> Diagnostic {
    let help = "prometheus-operator rejects the whole PrometheusRule, none of its rules is loaded";
    Diagnostic::error(span, path, message).help(help)
}

/// The recording rules of one group; `None` without any, or after an error.
fn read_group(
    written: &RuleGroupWritten,
    object: &str,
    settings: &PrometheusSettings,
    ledger: &mut Ledger,
) -> Option<RuleGroupSettings> {
    let version = settings.version;
    let labels = if !written.labels.is_empty() && version < PrometheusVersion::V3 {
        ignored(&written.labels[0].0.span, written, "labels", "3.0", ledger);
        &[][..]
    } else {
        &written.labels[..]
    };
    let query_offset = match &written.query_offset {
        Some(own) if version < PrometheusVersion::V2_55 => {
            ignored(&own.span, written, "query_offset", "2.53", ledger);
            SimDuration::ZERO
        }
        own => own.as_ref().map_or(SimDuration::ZERO, |own| own.value),
    };
    let mut group = RuleGroup {
        name: written.name.value.clone(),
        query_offset,
        limit: written.limit.as_ref().map_or(0, |limit| usize::try_from(limit.value).unwrap_or(usize::MAX)),
        rules: Vec::new(),
    };
    let mut sound = true;
    let mut read: Vec<(&RuleWritten, Span)> = Vec::new();
    for (index, rule) in written.rules.iter().enumerate() {
        let said = |(span, field, message): (Span, &str, String)| {
            let name = rule.record.as_ref().or(rule.alert.as_ref()).map_or("", |own| own.value.as_str());
            let message = format!("group {:?}, rule {}, {name:?}: {message}", written.name.value, index + 1);
            let path = if field.is_empty() { rule.path.clone() } else { format!("{}.{field}", rule.path) };
            refused(span, path, message)
        };
        let recording = match recording_rule(rule, labels) {
            Ok(own) => own,
            Err(wrong) => {
                ledger.push(said(wrong));
                sound = false;
                continue;
            }
        };
        // Alerts are checked like the others: one that cannot be read takes the whole object with it.
        let (is_alert, recording) = match recording {
            Some(recording) => (false, recording),
            None => (true, stand_in(rule)),
        };
        if let Err(error) = load(&recording, settings) {
            ledger.push(said(placed(rule, error)));
            sound = false;
        } else if !is_alert {
            let expr = rule.expr.as_ref().map_or_else(|| rule.span.clone(), |own| own.span.clone());
            read.push((rule, expr));
            group.rules.push(recording);
        }
    }
    if !sound || group.rules.is_empty() {
        return None;
    }
    Some(RuleGroupSettings {
        key: format!("{object}/{}", group.name),
        interval: written.interval.as_ref().map_or(settings.evaluation_interval, |own| own.value),
        group,
        places: read.into_iter().map(|(_, span)| span).collect(),
    })
}

/// The operator drops a field that the Prometheus does not know.
fn ignored(span: &Span, group: &RuleGroupWritten, field: &str, since: &str, ledger: &mut Ledger) {
    let message = format!("{field} of a group is known from Prometheus {since} on: the operator leaves it out");
    ledger.push(Diagnostic::warning(span.clone(), format!("{}.{field}", group.path), message));
}

/// The rule as Prometheus takes it, `None` for an alert; or the place, field and words of what is wrong.
fn recording_rule(
    rule: &RuleWritten,
    group_labels: &[(crate::manifest::Key, crate::units::Located<String>)],
) -> Result<Option<RecordingRule>, (Span, &'static str, String)> {
    let wrong = |span: &Span, field, message: &str| Err((span.clone(), field, message.to_owned()));
    match (&rule.record, &rule.alert) {
        (Some(record), Some(_)) => {
            return wrong(&record.span, "record", "only one of 'record' and 'alert' must be set");
        }
        (None, None) => return wrong(&rule.span, "", "one of 'record' or 'alert' must be set"),
        _ => {}
    }
    let Some(expr) = &rule.expr else { return wrong(&rule.span, "expr", "field 'expr' must be set in rule") };
    let Some(record) = &rule.record else { return Ok(None) };
    if let Some((field, span)) = rule.of_alerts.first() {
        return wrong(span, field, &format!("invalid field '{field}' in recording rule"));
    }
    if record.value.contains(['{', '}']) {
        let message = format!("braces present in the recording rule name; should it be in expr?: {}", record.value);
        return wrong(&record.span, "record", &message);
    }
    // The rule's own labels win over its group's.
    let mut labels: Vec<(String, String)> = Vec::new();
    for (key, value) in group_labels.iter().chain(&rule.labels) {
        labels.retain(|(name, _)| *name != key.name);
        labels.push((key.name.clone(), value.value.clone()));
    }
    Ok(Some(RecordingRule { record: record.value.clone(), expr: expr.value.clone(), labels }))
}

/// A recording rule with an alert's expression, to have it read.
fn stand_in(rule: &RuleWritten) -> RecordingRule {
    let expr = rule.expr.as_ref().map(|own| own.value.clone()).unwrap_or_default();
    RecordingRule { record: "alert".to_owned(), expr, labels: Vec::new() }
}

/// Whether Prometheus loads the rule.
fn load(rule: &RecordingRule, settings: &PrometheusSettings) -> Result<(), RuleError> {
    let group = RuleGroup { name: String::new(), query_offset: SimDuration::ZERO, limit: 0, rules: vec![rule.clone()] };
    PrometheusServer::new(settings.clone()).add_rule_group(&group).map(|_| ())
}

/// Prometheus' words for what it refuses, and the field's place.
fn placed(rule: &RuleWritten, error: RuleError) -> (Span, &'static str, String) {
    let of = |own: Option<&Span>| own.cloned().unwrap_or_else(|| rule.span.clone());
    match error.field {
        "expr" => {
            let message = format!("could not parse expression: {}", error.message);
            (of(rule.expr.as_ref().map(|own| &own.span)), "expr", message)
        }
        "record" => {
            let record = rule.record.as_ref();
            let name = record.map_or("", |own| own.value.as_str());
            (of(record.map(|own| &own.span)), "record", format!("invalid recording rule name: {name}"))
        }
        _ => (of(rule.labels.first().map(|(key, _)| &key.span)), "labels", error.message),
    }
}
