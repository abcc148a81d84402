//! A recorded HPA scenario: as written in JSON, checked for shape, and turned into the hpa room's own types.

use crate::hpa::{
    ControllerFlags, HpaSpec, KubernetesVersion, MetricObservation, MetricSpec, MetricTarget, Observation,
    PodObservation, Resource, ScalingRules,
};
use crate::manifest;
use crate::units::{Located, Quantity, SimDuration, SimTime, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Recorded clocks may start before zero (pods older than the scenario); this much is added to every time stamp.
const EPOCH_SECONDS: i64 = 1_000_000;
/// The latest recorded second: the virtual clock spans 213 days.
const SECONDS_MAX: i64 = 10_000_000;

/// One scenario, ready to be replayed.
pub(super) struct Scenario {
    /// `file:line`.
    pub(super) place: String,
    pub(super) name: String,
    pub(super) flags: ControllerFlags,
    pub(super) spec: HpaSpec,
    /// The recorded defaulted behavior, `None` when the file has none.
    pub(super) effective_behavior: Option<Option<(ScalingRules, ScalingRules)>>,
    pub(super) initial_replicas: i32,
    pub(super) expect: Columns,
    observations: Vec<Observation>,
    edits: Vec<Edit>,
}

/// A change that is made before a step.
struct Edit {
    step: usize,
    change: Change,
}

enum Change {
    Replicas(i32),
    Min(i32),
    Max(i32),
    Behavior(Option<(ScalingRules, ScalingRules)>),
}

/// The recorded outputs, one entry a step.
#[derive(Deserialize)]
pub(super) struct Columns {
    pub(super) proposals: Vec<Vec<Option<i32>>>,
    pub(super) metric_desired: Vec<Option<i32>>,
    pub(super) stabilized: Vec<Option<i32>>,
    pub(super) new_spec: Vec<i32>,
    pub(super) status_desired: Vec<i32>,
    pub(super) rescaled: Letters,
    pub(super) able: Letters,
    pub(super) active: Letters,
    pub(super) limited: Letters,
    pub(super) reason: Letters,
    pub(super) error: Letters,
    pub(super) current_metrics: Option<Vec<Option<Vec<String>>>>,
    pub(super) scaled_to_zero: Option<Letters>,
}

/// One character a step.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Letters(Vec<char>);

impl From<String> for Letters {
    fn from(text: String) -> Self {
        Letters(text.chars().collect())
    }
}

impl Letters {
    pub(super) fn at(&self, step: usize) -> char {
        self.0[step]
    }
}

#[derive(Deserialize)]
struct Written {
    name: String,
    min: Option<i32>,
    max: i32,
    initial_replicas: i32,
    behavior: Option<WrittenBehavior>,
    effective_behavior: Option<WrittenBehavior>,
    tolerance: Option<f64>,
    downscale_stabilization_s: Option<u32>,
    cpu_initialization_s: Option<u32>,
    initial_readiness_delay_s: Option<u32>,
    #[serde(default)]
    gates: BTreeMap<String, bool>,
    metrics: Vec<WrittenMetric>,
    steps: WrittenSteps,
    expect: Columns,
}

#[derive(Deserialize)]
struct WrittenMetric {
    kind: String,
    target: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenBehavior {
    scale_up: Option<WrittenRules>,
    scale_down: Option<WrittenRules>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRules {
    stabilization_window_seconds: Option<i64>,
    select_policy: Option<String>,
    policies: Option<Vec<WrittenPolicy>>,
    tolerance: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenPolicy {
    #[serde(rename = "type")]
    kind: String,
    value: i64,
    period_seconds: i64,
}

#[derive(Deserialize)]
struct WrittenSteps {
    t_ms: Vec<i64>,
    values: Option<Vec<Vec<serde_json::Value>>>,
    spec: Vec<i32>,
    status: Vec<i32>,
    ready: Vec<i32>,
    #[serde(default)]
    set_spec: Vec<(usize, i32)>,
    #[serde(default)]
    set_min: Vec<(usize, i32)>,
    #[serde(default)]
    set_max: Vec<(usize, i32)>,
    #[serde(default)]
    set_behavior: Vec<(usize, serde_json::Value)>,
    #[serde(default)]
    pods: Vec<(usize, Vec<WrittenPod>)>,
}

#[derive(Deserialize)]
struct WrittenPod {
    phase: String,
    ready: Option<bool>,
    start_s: Option<i64>,
    ready_at_s: Option<i64>,
    #[serde(default)]
    deleting: bool,
    request_m: Option<i64>,
    values: Vec<Option<i64>>,
    sample_at_s: Option<i64>,
    window_s: Option<u32>,
}

impl Scenario {
    /// Reads `line`, which stands at `place` (`file:line`).
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub(super) fn parse(line: &str, place: &str, version: KubernetesVersion) -> Result<Self, String> {
        let written: Written = serde_json::from_str(line).map_err(|wrong| {
            // The message ends with serde_json's own "at line 1 column N", which the place replaces.
            let text = wrong.to_string();
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
            format!("{place}:{}: {text}", wrong.column().max(1))
        })?;
        let name = written.name.clone();
        build(written, place, version).map_err(|message| format!("{place}: {name}: {message}"))
    }

    /// How many steps were recorded.
    pub(super) fn steps(&self) -> usize {
        self.observations.len()
    }

    /// Makes the edits that stand before `step` and returns what the sync sees.
    pub(super) fn apply_edits(&self, step: usize, spec: &mut HpaSpec, replicas: &mut i32) -> Observation {
        for edit in self.edits.iter().filter(|edit| edit.step == step) {
            match &edit.change {
                Change::Replicas(set) => *replicas = *set,
                Change::Min(min) => spec.min_replicas = *min,
                Change::Max(max) => spec.max_replicas = *max,
                Change::Behavior(behavior) => spec.behavior.clone_from(behavior),
            }
        }
        self.observations[step].clone()
    }
}

fn build(written: Written, place: &str, version: KubernetesVersion) -> Result<Scenario, String> {
    let flags = flags(&written, version)?;
    let metrics = written.metrics.iter().enumerate().map(|(index, metric)| {
        let target = target(metric).map_err(|message| format!("metrics[{index}].target: {message}"))?;
        Ok(MetricSpec::new(format!("s{index}"), target))
    });
    let metrics = metrics.collect::<Result<Vec<_>, String>>()?;
    if metrics.is_empty() {
        return Err("metrics: found an empty list, expected at least one metric".to_owned());
    }
    check_lengths(&written)?;
    let behavior = written.behavior.as_ref().map(|behavior| manifest_behavior(behavior, place)).transpose()?;
    let (spec, _) =
        HpaSpec::resolve(written.min.unwrap_or(1), written.max, metrics, behavior.as_ref(), "behavior", &flags)
            .map_err(|diagnostics| diagnostics.to_string())?;
    let effective_behavior = written.effective_behavior.as_ref();
    let effective_behavior =
        effective_behavior.map(|recorded| resolve_behavior(Some(recorded), &spec, &flags, place)).transpose()?;
    let edits = edits(&written.steps, &spec, &flags, place)?;
    let observations =
        (0..written.steps.t_ms.len()).map(|step| observe(&written, &spec, step)).collect::<Result<Vec<_>, _>>()?;
    Ok(Scenario {
        place: place.to_owned(),
        name: written.name,
        flags,
        spec,
        effective_behavior,
        initial_replicas: written.initial_replicas,
        expect: written.expect,
        observations,
        edits,
    })
}

fn flags(written: &Written, version: KubernetesVersion) -> Result<ControllerFlags, String> {
    let mut flags = ControllerFlags::defaults(version);
    let set = |flag: &mut SimDuration, seconds: Option<u32>| {
        if let Some(seconds) = seconds {
            *flag = SimDuration::from_secs(seconds.into());
        }
    };
    flags.tolerance = written.tolerance.unwrap_or(flags.tolerance);
    set(&mut flags.downscale_stabilization, written.downscale_stabilization_s);
    set(&mut flags.cpu_initialization_period, written.cpu_initialization_s);
    set(&mut flags.initial_readiness_delay, written.initial_readiness_delay_s);
    for (gate, on) in &written.gates {
        match gate.as_str() {
            "HPAConfigurableTolerance" => flags.configurable_tolerance = *on,
            "HPAScaleToZero" => flags.scale_to_zero = *on,
            _ => {
                return Err(format!("gates: found {gate:?}, expected HPAConfigurableTolerance or HPAScaleToZero"));
            }
        }
    }
    Ok(flags)
}

fn target(metric: &WrittenMetric) -> Result<MetricTarget, String> {
    let milli = || Quantity::parse(&metric.target).map(Quantity::milli_value).map_err(|wrong| wrong.to_string());
    Ok(match metric.kind.as_str() {
        "ExternalAverageValue" => MetricTarget::ExternalAverageValue(milli()?),
        "ExternalValue" => MetricTarget::ExternalValue(milli()?),
        "PodsAverageValue" => MetricTarget::PodsAverageValue(milli()?),
        "CPUAverageValue" => MetricTarget::ResourceAverageValue(Resource::Cpu, milli()?),
        "CPUUtilization" => MetricTarget::ResourceUtilization(
            Resource::Cpu,
            metric.target.parse().map_err(|_| format!("found {:?}, expected a whole percentage", metric.target))?,
        ),
        kind => {
            return Err(format!(
                "found kind {kind:?}, expected ExternalAverageValue, ExternalValue, PodsAverageValue, CPUUtilization or \
                 CPUAverageValue"
            ));
        }
    })
}

/// Every list has one entry a step, so that later indexing cannot fail.
fn check_lengths(written: &Written) -> Result<(), String> {
    let (steps, expect) = (&written.steps, &written.expect);
    let count = steps.t_ms.len();
    let check = |field: String, length: usize, expected: usize| {
        if length == expected {
            return Ok(());
        }
        Err(format!("{field}: found {length} entries, expected {expected}"))
    };
    check("steps.spec".to_owned(), steps.spec.len(), count)?;
    check("steps.status".to_owned(), steps.status.len(), count)?;
    check("steps.ready".to_owned(), steps.ready.len(), count)?;
    check("expect.proposals".to_owned(), expect.proposals.len(), written.metrics.len())?;
    if let Some(values) = &steps.values {
        check("steps.values".to_owned(), values.len(), written.metrics.len())?;
        for (index, column) in values.iter().enumerate() {
            check(format!("steps.values[{index}]"), column.len(), count)?;
        }
    }
    for (index, column) in expect.proposals.iter().enumerate() {
        check(format!("expect.proposals[{index}]"), column.len(), count)?;
    }
    let lists = [("metric_desired", expect.metric_desired.len()), ("stabilized", expect.stabilized.len())];
    let numbers = [("new_spec", expect.new_spec.len()), ("status_desired", expect.status_desired.len())];
    let letters = [
        ("rescaled", &expect.rescaled),
        ("able", &expect.able),
        ("active", &expect.active),
        ("limited", &expect.limited),
        ("reason", &expect.reason),
        ("error", &expect.error),
    ];
    let letters = letters.into_iter().chain(expect.scaled_to_zero.iter().map(|column| ("scaled_to_zero", column)));
    let shown = expect.current_metrics.iter().map(|column| ("current_metrics", column.len()));
    let letters = letters.map(|(field, column)| (field, column.0.len()));
    for (field, length) in lists.into_iter().chain(numbers).chain(letters).chain(shown) {
        check(format!("expect.{field}"), length, count)?;
    }
    Ok(())
}

/// The behavior as a manifest holds it; every place in it is the scenario's line.
fn manifest_behavior(written: &WrittenBehavior, place: &str) -> Result<manifest::Behavior, String> {
    let span = place
        .rsplit_once(':')
        .map_or_else(|| Span::new(place, 1, 1), |(file, line)| Span::new(file, line.parse().unwrap_or(1), 1));
    let rules = |written: &WrittenRules| -> Result<manifest::ScalingRules, String> {
        let tolerance = written.tolerance.as_deref().map(Quantity::parse).transpose();
        let tolerance = tolerance.map_err(|wrong| format!("behavior tolerance: {wrong}"))?;
        let policies = written.policies.as_ref().map(|policies| {
            let policies = policies.iter().map(|policy| manifest::ScalingPolicy {
                kind: Located::new(policy.kind.clone(), span.clone()),
                value: Located::new(policy.value, span.clone()),
                period_seconds: Located::new(policy.period_seconds, span.clone()),
            });
            policies.collect()
        });
        Ok(manifest::ScalingRules {
            span: span.clone(),
            stabilization_window_seconds: written
                .stabilization_window_seconds
                .map(|seconds| Located::new(seconds, span.clone())),
            select_policy: written.select_policy.clone().map(|select| Located::new(select, span.clone())),
            policies,
            tolerance: tolerance.map(|tolerance| Located::new(tolerance, span.clone())),
        })
    };
    Ok(manifest::Behavior {
        scale_up: written.scale_up.as_ref().map(rules).transpose()?,
        scale_down: written.scale_down.as_ref().map(rules).transpose()?,
        span: span.clone(),
    })
}

/// A behavior alone, defaulted and validated.
fn resolve_behavior(
    written: Option<&WrittenBehavior>,
    spec: &HpaSpec,
    flags: &ControllerFlags,
    place: &str,
) -> Result<Option<(ScalingRules, ScalingRules)>, String> {
    let behavior = written.map(|behavior| manifest_behavior(behavior, place)).transpose()?;
    let (min, max, metrics) = (spec.min_replicas, spec.max_replicas, spec.metrics.clone());
    let resolved = HpaSpec::resolve(min, max, metrics, behavior.as_ref(), "behavior", flags);
    resolved.map(|(spec, _)| spec.behavior).map_err(|diagnostics| diagnostics.to_string())
}

fn edits(steps: &WrittenSteps, spec: &HpaSpec, flags: &ControllerFlags, place: &str) -> Result<Vec<Edit>, String> {
    let mut edits = Vec::new();
    let number = |list: &[(usize, i32)], change: fn(i32) -> Change| -> Vec<Edit> {
        list.iter().map(|(step, value)| Edit { step: *step, change: change(*value) }).collect()
    };
    edits.extend(number(&steps.set_spec, Change::Replicas));
    edits.extend(number(&steps.set_min, Change::Min));
    edits.extend(number(&steps.set_max, Change::Max));
    for (step, value) in &steps.set_behavior {
        let written: Option<WrittenBehavior> = match value.as_str() {
            Some("nil") => None,
            _ => Some(WrittenBehavior::deserialize(value).map_err(|wrong| format!("steps.set_behavior: {wrong}"))?),
        };
        let behavior = resolve_behavior(written.as_ref(), spec, flags, place)?;
        edits.push(Edit { step: *step, change: Change::Behavior(behavior) });
    }
    Ok(edits)
}

fn observe(written: &Written, spec: &HpaSpec, step: usize) -> Result<Observation, String> {
    let steps = &written.steps;
    let now = SimTime::from_millis(milliseconds(steps.t_ms[step], "steps.t_ms")?);
    // Explicit pods stay until they are replaced.
    let pods = steps.pods.iter().rev().find(|(from, _)| *from <= step).map_or(&[][..], |(_, pods)| pods.as_slice());
    let pods = pods.iter().map(|pod| observe_pod(pod, now)).collect::<Result<Vec<_>, _>>()?;
    let metrics = spec.metrics.iter().enumerate().map(|(index, metric)| {
        if !metric.target.is_external() {
            return Ok(MetricObservation::PerPod);
        }
        let value = steps.values.as_ref().map(|values| &values[index][step]);
        let value = value.ok_or_else(|| "steps.values: missing, expected for External metrics".to_owned())?;
        series(value).map_err(|message| format!("steps.values[{index}][{step}]: {message}"))
    });
    let metrics = metrics.collect::<Result<Vec<_>, String>>()?;
    Ok(Observation {
        now,
        spec_replicas: steps.spec[step],
        status_replicas: steps.status[step],
        ready_pods: steps.ready[step],
        pods_exist: steps.status[step].max(steps.ready[step]) > 0 || !pods.is_empty(),
        metrics,
        pods,
    })
}

fn observe_pod(pod: &WrittenPod, now: SimTime) -> Result<PodObservation, String> {
    let time = |seconds: Option<i64>, field: &str| {
        seconds.map(|seconds| milliseconds(seconds.saturating_mul(1000), field).map(SimTime::from_millis)).transpose()
    };
    Ok(PodObservation {
        pending: pod.phase == "Pending",
        ignored: pod.deleting || pod.phase == "Failed",
        ready: pod.ready,
        start: time(pod.start_s, "pods.start_s")?,
        ready_transition: time(pod.ready_at_s, "pods.ready_at_s")?,
        requests_milli: vec![pod.request_m; pod.values.len()],
        samples_milli: pod.values.clone(),
        sample_time: time(pod.sample_at_s, "pods.sample_at_s")?.unwrap_or(now),
        sample_window: SimDuration::from_secs(pod.window_s.unwrap_or(30).into()),
    })
}

/// A recorded time on our clock, in milliseconds.
fn milliseconds(recorded: i64, field: &str) -> Result<u64, String> {
    let shifted = recorded.saturating_add(EPOCH_SECONDS * 1000);
    u64::try_from(shifted).ok().filter(|_| recorded <= SECONDS_MAX * 1000).ok_or_else(|| {
        format!("{field}: found {} s, expected a time between -{EPOCH_SECONDS} s and {SECONDS_MAX} s", recorded / 1000)
    })
}

/// null = the fetch fails; a number = milli units; a string = a quantity; a list = several series.
fn series(value: &serde_json::Value) -> Result<MetricObservation, String> {
    Ok(match value {
        serde_json::Value::Null => MetricObservation::Failed("fetching the metric failed".to_owned()),
        serde_json::Value::Array(items) => {
            MetricObservation::Series(items.iter().map(milli_value).collect::<Result<_, _>>()?)
        }
        one => MetricObservation::Series(vec![milli_value(one)?]),
    })
}

fn milli_value(value: &serde_json::Value) -> Result<i64, String> {
    if let Some(text) = value.as_str() {
        return Quantity::parse(text).map(Quantity::milli_value).map_err(|wrong| wrong.to_string());
    }
    value.as_i64().ok_or_else(|| format!("found {value}, expected a number of milli units, a quantity or null"))
}
