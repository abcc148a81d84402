use super::*;
use crate::manifest::Bundle;

fn read(spec: &str) -> (Option<PrometheusRule>, Vec<String>) {
    let text =
        format!("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {{name: r}}\nspec:\n{spec}\n");
    let bundle = Bundle::from_text(&text, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    let object = PrometheusRule::read(&bundle.documents[0], &mut diagnostics);
    (object, diagnostics.0.iter().map(ToString::to_string).collect())
}

#[test]
fn groups_and_rules_are_read() {
    let spec = "
  groups:
    - name: vllm
      interval: 20s
      query_offset: 10s
      limit: 100
      labels: {team: blue}
      partial_response_strategy: warn
      rules:
        - record: job:vllm_running:sum
          expr: sum by (job) (vllm:num_requests_running)
          labels: {kind: load}
        - {record: one, expr: 1}
        - alert: TooMany
          expr: job:vllm_running:sum > 100
          for: 5m
          labels: {severity: page}
          annotations: {summary: 'busy: {{ $value }}'}
    - {name: empty, interval: \"\"}
";
    let (object, messages) = read(spec);
    assert_eq!(messages, Vec::<String>::new());
    let object = object.expect("readable");
    let [group, empty] = object.groups.as_slice() else { panic!("two groups") };
    let value = |own: &Option<Located<String>>| own.as_ref().map(|own| own.value.clone());
    let seconds = |own: &Option<Located<SimDuration>>| own.as_ref().map(|own| own.value);
    assert_eq!((group.name.value.as_str(), group.path.as_str()), ("vllm", "spec.groups[0]"));
    assert_eq!(seconds(&group.interval), Some(SimDuration::from_secs(20)));
    assert_eq!(seconds(&group.query_offset), Some(SimDuration::from_secs(10)));
    assert_eq!(group.limit.as_ref().map(|own| own.value), Some(100));
    assert_eq!(group.labels[0].1.value, "blue");
    let [sum, one, alert] = group.rules.as_slice() else { panic!("three rules") };
    assert_eq!(value(&sum.record), Some("job:vllm_running:sum".to_owned()));
    assert_eq!((sum.labels[0].0.name.as_str(), sum.path.as_str()), ("kind", "spec.groups[0].rules[0]"));
    assert_eq!(value(&one.expr), Some("1".to_owned()), "a number is an expression");
    assert_eq!((value(&alert.alert), value(&alert.record)), (Some("TooMany".to_owned()), None));
    let of_alerts: Vec<&str> = alert.of_alerts.iter().map(|(key, _)| *key).collect();
    assert_eq!(of_alerts, ["for", "annotations"]);
    assert!(empty.interval.is_none() && empty.rules.is_empty());
    // Without a spec there is nothing.
    let bare = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: r}\n";
    let bundle = Bundle::from_text(bare, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    assert!(PrometheusRule::read(&bundle.documents[0], &mut diagnostics).is_some_and(|own| own.groups.is_empty()));
    assert!(diagnostics.0.is_empty());
}

#[test]
fn what_is_mistyped_is_told_with_its_place() {
    // (spec, part of the only message)
    let cases = [
        ("  groups: [{rules: []}]", "error: t:5:12: spec.groups[0].name: the required field name is missing"),
        ("  groups: [{name: a, interval: 1.5m}]", "error: t:5:32: spec.groups[0].interval: "),
        ("  groups: [{name: a, queryOffset: 1m}]", "did you mean query_offset?"),
        ("  groups: [{name: a, limit: -1}]", "spec.groups[0].limit: found the integer -1"),
        (
            "  groups: [{name: a, rules: [{record: a, expr: true}]}]",
            "rules[0].expr: found the boolean true, expected a string",
        ),
        ("  groups: [{name: a, rules: [{record: a, expr: x, label: {}}]}]", "did you mean labels?"),
        ("  group: []", "did you mean groups?"),
    ];
    for (spec, part) in cases {
        let (_, messages) = read(spec);
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].contains(part), "{part} is not in {messages:?}");
    }
}
