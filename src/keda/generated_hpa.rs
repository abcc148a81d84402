//! The HPA that KEDA creates (`controllers/keda/hpa.go`, `newHPAForScaledObject`).
//!
//! Translates; defaulting and validating the result is the API server's part, done by [`HpaSpec::resolve`].

use crate::hpa::{ControllerFlags, HpaSpec, MetricSpec, MetricTarget, selector_text, without_empty_policies};
use crate::keda::signal_scalers::scaler;
use crate::keda::trigger_value::float_to_milli;
use crate::keda::{
    COMPOSITE, KedaVersion, Modifiers, ResourceTrigger, ScaledObjectSpec, ScalingAnnotations, TargetType, Trigger,
    TriggerKind,
};
use crate::manifest::{Behavior, ScaledObject, ScalingRules};
use crate::units::{Diagnostic, Diagnostics, Judge, Located, Quantity, Severity};

/// Where the behaviour stands in a ScaledObject.
const BEHAVIOR_PATH: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior";

/// The HPA that KEDA creates, and where KEDA's answers for its metrics come from.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedHpa {
    /// The HPA.
    pub spec: HpaSpec,
    /// Per metric of the HPA.
    pub origins: Vec<MetricOrigin>,
}

/// What an HPA metric that KEDA generated stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricOrigin {
    /// The trigger at this position. A cpu or memory trigger's metric is read from metrics-server, without KEDA.
    Trigger(usize),
    /// The formula.
    Formula,
}

/// Bounds, behaviour and metric specs of the generated HPA (keda.md section 2).
///
/// # Errors
/// What the API server would refuse when KEDA creates the HPA.
pub fn generate_hpa(
    spec: &ScaledObjectSpec,
    written: &ScaledObject,
    version: KedaVersion,
    flags: &ControllerFlags,
) -> Result<(GeneratedHpa, Diagnostics), Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let metrics = match &spec.modifiers {
        Some(modifiers) => with_formula(spec, modifiers, written, &mut diagnostics),
        None => metric_specs(spec, written, version, &mut diagnostics),
    };
    let (metrics, origins) = metrics.into_iter().unzip();
    let (min, max) = bounds(spec);
    // KEDA's Go types drop an explicit empty `policies` on the way, so that the defaults apply.
    let behavior = written.behavior.as_ref().map(without_empty_policies);
    let behavior = with_pauses(behavior, spec.annotations, written);
    let hpa = HpaSpec::resolve(min, max, metrics, behavior.as_ref(), BEHAVIOR_PATH, flags);
    let hpa = hpa.map(|(hpa, rest)| (of_keda(hpa, spec), rest));
    let (hpa, rest) = hpa.map_or_else(|rest| (None, rest), |(hpa, rest)| (Some(hpa), rest));
    diagnostics.0.extend(rest.0);
    for error in diagnostics.0.iter_mut().filter(|own| own.severity == Severity::Error) {
        error.judge.get_or_insert(Judge::HpaValidation);
    }
    match hpa {
        Some(hpa) => diagnostics.into_result(GeneratedHpa { spec: hpa, origins }),
        None => Err(diagnostics),
    }
}

/// What KEDA adds to its HPA: its namespace, and the selector by which its metrics server knows whose metric is asked for.
fn of_keda(mut hpa: HpaSpec, spec: &ScaledObjectSpec) -> HpaSpec {
    hpa.namespace.clone_from(&spec.namespace);
    for metric in hpa.metrics.iter_mut().filter(|own| own.target.is_external()) {
        metric.selector = Some(selector_text(&[("scaledobject.keda.sh/name", &spec.name)], &[]));
    }
    hpa
}

/// `minReplicas` and `maxReplicas` (`GetHPAMinReplicas`, `GetHPAMaxReplicas`): never 0, and idle plays no part.
fn bounds(spec: &ScaledObjectSpec) -> (i32, i32) {
    (spec.min_replicas.max(1), spec.max_replicas)
}

/// A paused direction is one whose `selectPolicy` is `Disabled`, whatever the user chose; the rest of the block stays.
fn with_pauses(behavior: Option<Behavior>, pauses: ScalingAnnotations, written: &ScaledObject) -> Option<Behavior> {
    if !pauses.paused_scale_in && !pauses.paused_scale_out {
        return behavior;
    }
    let span = &written.span;
    let none = || Behavior { span: span.clone(), scale_up: None, scale_down: None };
    let mut behavior = behavior.unwrap_or_else(none);
    let disable = |rules: &mut Option<ScalingRules>| {
        let absent = || ScalingRules {
            span: span.clone(),
            stabilization_window_seconds: None,
            select_policy: None,
            policies: None,
            tolerance: None,
        };
        rules.get_or_insert_with(absent).select_policy = Some(Located::new("Disabled".to_owned(), span.clone()));
    };
    if pauses.paused_scale_in {
        disable(&mut behavior.scale_down);
    }
    if pauses.paused_scale_out {
        disable(&mut behavior.scale_up);
    }
    Some(behavior)
}

/// The one External metric that takes the triggers' place when there is a formula (`getScaledObjectMetricSpecs`).
fn composite_spec(modifiers: &Modifiers, written: &ScaledObject, diagnostics: &mut Diagnostics) -> MetricSpec {
    let milli = modifiers.target_milli();
    if milli <= 0 {
        let place = written.scaling_modifiers.as_ref().and_then(|node| node.get("target")).map(|own| own.span.clone());
        let message = format!(
            "found a target of {}, which becomes {}; the API server refuses the HPA: must be positive",
            modifiers.target_text,
            Quantity::from_milli(milli)
        );
        diagnostics.push(
            Diagnostic::error(place, "spec.advanced.scalingModifiers.target", message)
                .help("choose one of at least 0.001; KEDA passes three decimals on"),
        );
    }
    let target = match modifiers.target_type {
        TargetType::Value => MetricTarget::ExternalValue(milli.max(1)),
        TargetType::AverageValue | TargetType::Utilization => MetricTarget::ExternalAverageValue(milli.max(1)),
    };
    MetricSpec::new(COMPOSITE, target)
}

/// A formula takes the External metrics' place. Upstream keeps Resource metrics before it and loses ContainerResource ones.
fn with_formula(
    spec: &ScaledObjectSpec,
    modifiers: &Modifiers,
    written: &ScaledObject,
    diagnostics: &mut Diagnostics,
) -> Vec<(MetricSpec, MetricOrigin)> {
    let mut metrics = Vec::with_capacity(spec.triggers.len() + 1);
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let TriggerKind::Resource(own) = &trigger.kind else { continue };
        if let Some(container) = &own.container {
            let message = format!(
                "KEDA drops the {} of container {container} from the HPA because there is a formula",
                own.resource.word()
            );
            let path = format!("{}.metadata.containerName", path_of(written, index));
            let diagnostic = Diagnostic::warning(trigger.span.clone(), path, message);
            diagnostics.push(diagnostic.help("remove containerName to have the whole pod's counted, or the trigger"));
        } else {
            metrics.push((resource_spec(own), MetricOrigin::Trigger(index)));
        }
    }
    metrics.push((composite_spec(modifiers, written, diagnostics), MetricOrigin::Formula));
    metrics
}

/// One metric per trigger, sorted by the type's name and otherwise in order (`getScaledObjectMetricSpecs`,
/// `GetMetricSpecForScaling`, `GetMetricTargetMili`). An External target that is not positive is an error; 1m stands in for
/// it, so that the rest of the HPA can still be checked.
fn metric_specs(
    spec: &ScaledObjectSpec,
    written: &ScaledObject,
    version: KedaVersion,
    diagnostics: &mut Diagnostics,
) -> Vec<(MetricSpec, MetricOrigin)> {
    let mut ranked: Vec<(&str, MetricSpec, MetricOrigin)> = Vec::with_capacity(spec.triggers.len());
    let containers = |own: &&Trigger| matches!(&own.kind, TriggerKind::Resource(own) if own.container.is_some());
    let mut at = spec.triggers.iter().filter(containers).count();
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let origin = MetricOrigin::Trigger(index);
        let (kind, metric) = match &trigger.kind {
            TriggerKind::Resource(own) => {
                (if own.container.is_some() { "ContainerResource" } else { "Resource" }, resource_spec(own))
            }
            _ => {
                at += 1;
                ("External", external_spec(trigger, (index, at - 1), written, version, diagnostics))
            }
        };
        ranked.push((kind, metric, origin));
    }
    ranked.sort_by_key(|(kind, _, _)| *kind);
    ranked.into_iter().map(|(_, metric, origin)| (metric, origin)).collect()
}

/// A cpu or memory metric under upstream's name.
fn resource_spec(own: &ResourceTrigger) -> MetricSpec {
    let mut metric = MetricSpec::new(own.resource.word(), own.target);
    metric.container.clone_from(&own.container);
    metric
}

/// The External metric of the trigger at `place` (its index, and its metric's index in the HPA).
fn external_spec(
    trigger: &Trigger,
    place: (usize, usize),
    written: &ScaledObject,
    version: KedaVersion,
    diagnostics: &mut Diagnostics,
) -> MetricSpec {
    let milli = float_to_milli(trigger.threshold, version);
    let value = trigger.target_type == TargetType::Value;
    if milli <= 0 {
        let (word, found) = (if value { "value" } else { "averageValue" }, Quantity::from_milli(milli));
        let own = written.triggers.get(place.0);
        let key = match &trigger.kind {
            TriggerKind::KubernetesWorkload(_) => "value",
            TriggerKind::Signal(signal) => match scaler(&signal.type_name).zip(own) {
                Some((row, own)) => (row.target)(own),
                None => "target",
            },
            _ => "threshold",
        };
        let message = format!(
            "found a {key} of {}, which becomes {found}; the API server refuses the HPA: \
             spec.metrics[{}].external.target.{word}: Invalid value: \"{found}\": must be positive",
            trigger.threshold, place.1
        );
        // A target that the signal tells has no place in the manifest but the trigger itself.
        let span = own.and_then(|own| own.metadata(key)).map_or_else(|| trigger.span.clone(), |own| own.span);
        let path = format!("{}.metadata.{key}", path_of(written, place.0));
        let diagnostic = Diagnostic::error(span, path, message);
        diagnostics.push(diagnostic.help("choose one of at least 0.001; KEDA passes three decimals on"));
    }
    let milli = milli.max(1);
    let target = if value { MetricTarget::ExternalValue(milli) } else { MetricTarget::ExternalAverageValue(milli) };
    MetricSpec::new(trigger.metric_name.clone(), target)
}

fn path_of(written: &ScaledObject, index: usize) -> String {
    written.triggers.get(index).map_or_else(|| format!("spec.triggers[{index}]"), |own| own.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpa::{KubernetesVersion, Policy, PolicyKind, Resource, SelectPolicy};
    use crate::keda::Trigger;
    use crate::keda::test_support::{OLD, spec, trigger, version, written};
    use crate::manifest::Bundle;
    use crate::series::Signals;
    use crate::units::SimDuration;

    #[test]
    fn bounds_lift_zero_to_one_and_leave_idle_out() {
        // min, idle, max, the HPA's bounds.
        let table = [
            (0, None, 100, (1, 100)), // scale to zero
            (3, None, 7, (3, 7)),     // as written
            (2, Some(0), 2, (2, 2)),  // idle is the executor's business
            (0, Some(0), 1, (1, 1)),  // the smallest
        ];
        for (min_replicas, idle_replicas, max_replicas, expected) in table {
            assert_eq!(bounds(&ScaledObjectSpec { min_replicas, idle_replicas, max_replicas, ..spec() }), expected);
        }
    }

    #[test]
    fn targets_are_rounded_thresholds_by_type_and_version() {
        let average = MetricTarget::ExternalAverageValue;
        // threshold, type, version, target, or none where the API server refuses.
        let table = [
            (0.7, TargetType::AverageValue, version(2, 20, 2), Some(average(700))), // 0.7 is 700m
            (0.7, TargetType::Value, version(2, 20, 2), Some(MetricTarget::ExternalValue(700))), // the other type
            (0.9996, TargetType::AverageValue, version(2, 20, 0), Some(average(1000))), // rounded
            (0.9996, TargetType::AverageValue, OLD, Some(average(999))),            // truncated
            (0.0005, TargetType::AverageValue, version(2, 20, 2), Some(average(1))), // the smallest
            (0.0004, TargetType::AverageValue, version(2, 20, 2), None),            // becomes 0
            (0.0009, TargetType::AverageValue, OLD, None),                          // truncated to 0
            (0.0, TargetType::Value, version(2, 20, 2), None),                      // zero
            (-5.0, TargetType::AverageValue, version(2, 20, 2), None),              // made 0
            (-5.0, TargetType::AverageValue, version(2, 20, 1), None),              // passed on
        ];
        for (threshold, target_type, version, expected) in table {
            let spec = ScaledObjectSpec { triggers: vec![Trigger { threshold, target_type, ..trigger() }], ..spec() };
            let mut diagnostics = Diagnostics::new();
            let metrics = metric_specs(&spec, &written(), version, &mut diagnostics);
            match expected {
                Some(target) => {
                    assert_eq!(diagnostics, Diagnostics::new(), "{threshold}");
                    let expected = (MetricSpec::new("s0-prometheus", target), MetricOrigin::Trigger(0));
                    assert_eq!(metrics, [expected], "{threshold}");
                }
                None => assert!(diagnostics.has_errors(), "{threshold}"),
            }
        }
    }

    #[test]
    fn a_refused_target_names_place_field_and_api_text() {
        let second = Trigger { threshold: 0.0, target_type: TargetType::Value, ..trigger() };
        let spec = ScaledObjectSpec { triggers: vec![trigger(), second], ..spec() };
        let mut written = written();
        written.triggers.push(crate::keda::test_support::written_trigger(1));
        let mut diagnostics = Diagnostics::new();
        metric_specs(&spec, &written, KedaVersion::default(), &mut diagnostics);
        let shown = diagnostics.to_string();
        assert!(shown.starts_with("error: so.yaml:203:3: spec.triggers[1].metadata.threshold: found a threshold of 0"));
        assert!(shown.contains(r#"spec.metrics[1].external.target.value: Invalid value: "0": must be positive"#));
        assert_eq!(diagnostics.0.len(), 1);
    }

    /// A metric that KEDA's metrics server answers for the ScaledObject so.
    fn asked(name: &str, target: MetricTarget) -> MetricSpec {
        let selector = "&LabelSelector{MatchLabels:map[string]string{scaledobject.keda.sh/name: so,},\
                        MatchExpressions:[]LabelSelectorRequirement{},}";
        MetricSpec::new(name, target).with_selector(selector)
    }

    const WRITTEN: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: vllm}
  minReplicaCount: MIN
  maxReplicaCount: 3
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: BEHAVIOR
  triggers:
    - type: prometheus
      metadata: {serverAddress: "http://prometheus:9090", query: sum(q), threshold: "THRESHOLD"}
    - type: prometheus
      metricType: Value
      metadata: {serverAddress: "http://prometheus:9090", query: avg(q), threshold: "0.7"}
"#;

    fn from_text(min: &str, behavior: &str, threshold: &str) -> Result<HpaSpec, String> {
        let yaml = WRITTEN.replace("MIN", min).replace("BEHAVIOR", behavior).replace("THRESHOLD", threshold);
        hpa_of(&yaml)
    }

    fn hpa_of(yaml: &str) -> Result<HpaSpec, String> {
        let bundle = Bundle::from_text(yaml, "so.yaml").expect("readable YAML");
        let mut messages = Diagnostics::new();
        let written = ScaledObject::read(&bundle.documents[0], &mut messages).expect("a ScaledObject");
        assert_eq!(messages, Diagnostics::new());
        let version = KedaVersion::default();
        let (spec, _) =
            ScaledObjectSpec::resolve(&written, version, &Signals::default()).map_err(|found| found.to_string())?;
        let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
        generate_hpa(&spec, &written, version, &flags).map(|(hpa, _)| hpa.spec).map_err(|found| found.to_string())
    }

    #[test]
    fn a_scaled_object_becomes_its_hpa() {
        let hpa = from_text("0", "null", "5").expect("valid");
        let metrics = [
            asked("s0-prometheus", MetricTarget::ExternalAverageValue(5000)),
            asked("s1-prometheus", MetricTarget::ExternalValue(700)),
        ];
        assert_eq!((hpa.min_replicas, hpa.max_replicas, hpa.metrics.as_slice()), (1, 3, metrics.as_slice()));
        assert_eq!(hpa.behavior, None, "no behaviour is another algorithm than an empty one");
    }

    #[test]
    fn behaviour_passes_unchanged_and_empty_policies_act_as_absent() {
        let defaults = from_text("1", "{}", "5").expect("valid").behavior.expect("kept");
        let window = |text: &str| from_text("1", text, "5").expect("valid").behavior.expect("kept");
        let (up, down) = window("{scaleDown: {stabilizationWindowSeconds: 120, policies: []}}");
        assert_eq!(up, defaults.0);
        assert_eq!(down.stabilization_window, SimDuration::from_secs(120));
        assert_eq!(down.policies, defaults.1.policies);
        let (up, _) = window("{scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}}");
        assert_eq!(up.policies, [Policy { kind: PolicyKind::Pods, value: 1, period: SimDuration::from_secs(60) }]);
    }

    #[test]
    fn what_the_api_server_refuses_is_all_reported() {
        let found = from_text("1", "{scaleUp: {stabilizationWindowSeconds: 3601}}", "0").expect_err("two mistakes");
        let lines: Vec<&str> = found.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(lines.len(), 2, "{found}");
        assert!(lines[0].contains("spec.triggers[0].metadata.threshold"), "{found}");
        assert!(
            lines[1]
                .contains("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.stabilizationWindowSeconds"),
            "{found}"
        );
    }

    #[test]
    fn paused_directions_are_disabled_and_keep_the_rest() {
        let paused = |annotations: &str, behavior: &str| {
            let yaml = WRITTEN.replace("MIN", "1").replace("BEHAVIOR", behavior).replace("THRESHOLD", "5");
            let yaml = yaml.replace("{name: so}", &format!("{{name: so, annotations: {{{annotations}}}}}"));
            hpa_of(&yaml).map(|hpa| hpa.behavior)
        };
        let (scale_in, scale_out) =
            ("autoscaling.keda.sh/paused-scale-in: \"true\"", "autoscaling.keda.sh/paused-scale-out: \"true\"");
        assert_eq!(paused("", "null"), Ok(None));
        let (up, down) = paused(scale_in, "null").expect("valid").expect("a behaviour appears");
        assert_eq!((up.select_policy, down.select_policy), (SelectPolicy::Max, SelectPolicy::Disabled));
        let (up, down) = paused(scale_out, "{scaleUp: {selectPolicy: Min, stabilizationWindowSeconds: 9}}")
            .expect("valid")
            .expect("kept");
        assert_eq!((up.select_policy, down.select_policy), (SelectPolicy::Disabled, SelectPolicy::Max));
        assert_eq!(up.stabilization_window, SimDuration::from_secs(9));
        let (up, down) = paused(&format!("{scale_in}, {scale_out}"), "{}").expect("valid").expect("kept");
        assert_eq!((up.select_policy, down.select_policy), (SelectPolicy::Disabled, SelectPolicy::Disabled));
    }

    #[test]
    fn a_formula_makes_one_metric() {
        let with = |target: &str, metric_type: &str| {
            let block = format!("scalingModifiers: {{formula: a * 2, target: \"{target}\"{metric_type}}}");
            let yaml = WRITTEN.replace("MIN", "1").replace("BEHAVIOR", "null").replace("THRESHOLD", "0");
            let yaml = yaml.replace("  advanced:\n", &format!("  advanced:\n    {block}\n"));
            hpa_of(&yaml.replacen("- type: prometheus", "- type: prometheus\n      name: a", 1)).map(|hpa| hpa.metrics)
        };
        // The inputs' own thresholds (one of them 0) are no matter.
        let one = |target| Ok(vec![asked("composite-metric", target)]);
        assert_eq!(with("2", ""), one(MetricTarget::ExternalAverageValue(2000)));
        assert_eq!(with("0.7", ", metricType: Value"), one(MetricTarget::ExternalValue(700)));
        assert_eq!(with("0.0019", ""), one(MetricTarget::ExternalAverageValue(1)), "cut, not rounded");
        let refused = with("0.0009", "").expect_err("cut to zero");
        assert!(refused.contains("spec.advanced.scalingModifiers.target: found a target of 0.0009, which becomes 0"));
    }

    /// Triggers by YAML, optionally under a formula; the metrics with their origins.
    fn metrics_of(triggers: &str, formula: bool) -> (Vec<(MetricSpec, MetricOrigin)>, Diagnostics) {
        let block = "  advanced: {scalingModifiers: {formula: a * 2, target: \"2\"}}\n";
        let yaml = format!(
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: so}}\nspec:\n  scaleTargetRef: {{name: vllm}}\n  \
             minReplicaCount: 1\n{}  triggers:\n{triggers}",
            if formula { block } else { "" }
        );
        let bundle = Bundle::from_text(&yaml, "so.yaml").expect("readable YAML");
        let mut messages = Diagnostics::new();
        let written = ScaledObject::read(&bundle.documents[0], &mut messages).expect("a ScaledObject");
        let version = KedaVersion::default();
        let (spec, _) = ScaledObjectSpec::resolve(&written, version, &Signals::default()).expect("valid");
        let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
        let (hpa, messages) = generate_hpa(&spec, &written, version, &flags).expect("accepted");
        (hpa.spec.metrics.into_iter().zip(hpa.origins).collect(), messages)
    }

    const MIXED: &str = r#"
    - {type: memory, metricType: AverageValue, metadata: {value: 2Gi}}
    - {type: prometheus, name: a, metadata: {serverAddress: "http://p", query: sum(q), threshold: "5"}}
    - {type: cpu, metricType: Utilization, metadata: {value: "80"}}
    - {type: cpu, metricType: Utilization, metadata: {value: "70", containerName: vllm}}
    - {type: cron, name: b, metadata: {timezone: Etc/UTC, start: 0 6 * * *, end: 0 20 * * *, desiredReplicas: "3"}}
"#;

    #[test]
    fn metrics_are_sorted_by_the_names_of_their_types() {
        let (found, messages) = metrics_of(MIXED, false);
        assert_eq!(messages, Diagnostics::new());
        let cpu = |percent| MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, percent));
        let gibibytes = MetricTarget::ResourceAverageValue(Resource::Memory, 2 * 1024 * 1024 * 1024 * 1000);
        let mut container = cpu(70);
        container.container = Some("vllm".to_owned());
        let expected = [
            (container, MetricOrigin::Trigger(3)), // ContainerResource
            (asked("s1-prometheus", MetricTarget::ExternalAverageValue(5000)), MetricOrigin::Trigger(1)),
            (asked("s4-cron-Etc-UTC-06xxx-020xxx", MetricTarget::ExternalAverageValue(1000)), MetricOrigin::Trigger(4)),
            (MetricSpec::new("memory", gibibytes), MetricOrigin::Trigger(0)), // Resource, in the order written
            (cpu(80), MetricOrigin::Trigger(2)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn under_a_formula_resources_stay_and_those_of_containers_go() {
        let (found, messages) = metrics_of(MIXED, true);
        let names: Vec<(&str, MetricOrigin)> = found.iter().map(|(own, origin)| (own.name.as_str(), *origin)).collect();
        let expected = [
            ("memory", MetricOrigin::Trigger(0)),
            ("cpu", MetricOrigin::Trigger(2)),
            ("composite-metric", MetricOrigin::Formula),
        ];
        assert_eq!(names, expected);
        let text = messages.to_string();
        assert!(text.starts_with("warning: so.yaml:"), "{text}");
        assert!(
            text.contains("spec.triggers[3].metadata.containerName: KEDA drops the cpu of container vllm"),
            "{text}"
        );
        assert_eq!(messages.0.len(), 1);
    }

    #[test]
    fn the_hpas_index_of_a_refused_target_counts_containers_before() {
        let yaml = MIXED.replace("threshold: \"5\"", "threshold: \"0\"");
        let bundle = Bundle::from_text(
            &format!(
                "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: so}}\nspec:\n  scaleTargetRef: {{name: \
                 vllm}}\n  triggers:{yaml}"
            ),
            "so.yaml",
        )
        .expect("readable YAML");
        let mut messages = Diagnostics::new();
        let written = ScaledObject::read(&bundle.documents[0], &mut messages).expect("a ScaledObject");
        let version = KedaVersion::default();
        let (spec, _) = ScaledObjectSpec::resolve(&written, version, &Signals::default()).expect("valid");
        let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
        let refused = generate_hpa(&spec, &written, version, &flags).expect_err("not positive");
        assert!(refused.to_string().contains("spec.metrics[1].external.target.averageValue"), "{refused}");
        assert!(refused.0.iter().all(|own| own.judge == Some(Judge::HpaValidation)));
    }
}
