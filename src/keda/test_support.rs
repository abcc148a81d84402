//! Hand-built ScaledObjects for this room's tests.

use crate::keda::{
    KedaVersion, PrometheusRequest, PrometheusTrigger, ScaledObjectSpec, ScalingAnnotations, TargetType, Trigger,
    TriggerKind,
};
use crate::manifest::{self, Key, ScaleTargetRef, ScaledObject};
use crate::units::{Located, SimDuration, Span};

/// The last minor release before rounding.
pub(super) const OLD: KedaVersion = version(2, 19, 0);

pub(super) const fn version(major: u32, minor: u32, patch: u32) -> KedaVersion {
    KedaVersion { major, minor, patch }
}

/// A place; every value has its own line, so that a test can tell places apart.
pub(super) fn at(line: u32) -> Span {
    Span::new("so.yaml", line, 3)
}

pub(super) fn text(value: &str, line: u32) -> Located<String> {
    Located::new(value.to_owned(), at(line))
}

pub(super) fn number(value: i64, line: u32) -> Option<Located<i64>> {
    Some(Located::new(value, at(line)))
}

pub(super) fn key(name: &str, line: u32) -> Key {
    Key { name: name.to_owned(), span: at(line) }
}

/// A resolved Prometheus part, all defaults.
pub(super) fn prometheus() -> PrometheusTrigger {
    PrometheusTrigger {
        query_span: at(102),
        query: "sum(q)".into(),
        activation_threshold: 0.0,
        ignore_null_values: true,
        timeout: None,
        request: PrometheusRequest {
            server_address: "http://prometheus:9090".into(),
            namespace: None,
            parameters: Vec::new(),
            headers: Vec::new(),
        },
    }
}

/// A resolved Prometheus trigger: threshold 10, all defaults.
pub(super) fn trigger() -> Trigger {
    Trigger {
        name: None,
        metric_name: "s0-prometheus".into(),
        span: at(100),
        threshold: 10.0,
        target_type: TargetType::AverageValue,
        use_cached_metrics: false,
        kind: TriggerKind::Prometheus(prometheus()),
    }
}

/// A resolved ScaledObject: min 0, max 100, cooldown 300 s, one trigger.
pub(super) fn spec() -> ScaledObjectSpec {
    ScaledObjectSpec {
        name: "so".into(),
        namespace: "default".into(),
        target_name: "vllm".into(),
        target_kind: "Deployment".into(),
        target_api_version: "apps/v1".into(),
        polling_interval: SimDuration::from_secs(30),
        cooldown_period: SimDuration::from_secs(300),
        initial_cooldown_period: SimDuration::ZERO,
        idle_replicas: None,
        min_replicas: 0,
        max_replicas: 100,
        triggers: vec![trigger()],
        fallback: None,
        modifiers: None,
        annotations: ScalingAnnotations::default(),
    }
}

/// A written Prometheus trigger number `index`; its metadata start at line `100 * (index + 1) + 1`.
pub(super) fn written_trigger(index: u32) -> manifest::Trigger {
    let line = 100 * (index + 1);
    let metadata = [("serverAddress", "http://prometheus:9090"), ("query", "sum(q)"), ("threshold", "10")];
    let located =
        metadata.into_iter().zip(line + 1..).map(|((name, value), line)| (key(name, line), text(value, line)));
    manifest::Trigger {
        span: at(line),
        path: format!("spec.triggers[{index}]"),
        kind: text("prometheus", line),
        name: None,
        metric_type: None,
        use_cached_metrics: None,
        metadata: located.collect(),
    }
}

/// A written ScaledObject with one Prometheus trigger and nothing optional.
pub(super) fn written() -> ScaledObject {
    ScaledObject {
        span: at(1),
        name: text("so", 2),
        namespace: None,
        annotations: Vec::new(),
        scale_target_ref: ScaleTargetRef { name: text("vllm", 4), kind: None, api_version: None },
        polling_interval: None,
        cooldown_period: None,
        initial_cooldown_period: None,
        idle_replica_count: None,
        min_replica_count: None,
        max_replica_count: None,
        triggers: vec![written_trigger(0)],
        fallback: None,
        behavior: None,
        hpa_name: None,
        scaling_modifiers: None,
    }
}
