//! What each metric alone proposes (hpa.md section 6), one function per kind.
//!
//! Source: `replica_calculator.go` (`GetExternalPerPodMetricReplicas`, `GetExternalMetricReplicas`,
//! `calcPlainMetricReplicas`, `GetResourceReplicas`) and `metrics/utilization.go`. Must not know of other metrics, windows
//! or bounds. The arithmetic is in doubles, in upstream's order of operations; do not rearrange it.

use crate::hpa::go_numbers::{to_i32, to_i64};
use crate::hpa::messages::Failure;
use crate::hpa::pod_groups::{PodSamples, SampleTarget};
use crate::hpa::tolerance::Tolerances;
use crate::hpa::{
    ControllerFlags, HpaSpec, KubernetesVersion, MetricDecision, MetricObservation, MetricSpec, MetricTarget,
    Observation, Tolerated,
};

/// One metric's proposal with what `status.currentMetrics` shows for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The proposal and its reasons.
    pub decision: MetricDecision,
    /// The current value shown in `status.currentMetrics`; `None` when the metric failed.
    pub shown: Option<ShownMetric>,
}

/// A value in `status.currentMetrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownMetric {
    /// A quantity in milli units.
    Milli(i64),
    /// `currentAverageUtilization`, percent of the request.
    Percent(i32),
}

/// What every metric of the spec proposes for this observation, in order.
///
/// # Panics
/// When the observation does not hold one entry per metric of the spec.
pub fn propose(flags: &ControllerFlags, spec: &HpaSpec, observation: &Observation) -> Vec<Proposal> {
    assert_eq!(observation.metrics.len(), spec.metrics.len(), "one observation per metric of the spec");
    let sync = Sync { flags, tolerances: Tolerances::of(flags, spec), observation };
    let metrics = spec.metrics.iter().zip(&observation.metrics).enumerate();
    let each = metrics.map(|(index, (metric, observed))| {
        let proposal = sync.propose_one(index, metric, observed);
        proposal.unwrap_or_else(|failure| Proposal::failed(metric.failure(&spec.namespace, &failure)))
    });
    each.collect()
}

impl Proposal {
    fn failed(error: String) -> Self {
        let decision =
            MetricDecision { proposal: None, ratio: None, tolerated: Tolerated::NotTested, error: Some(error) };
        Proposal { decision, shown: None }
    }

    fn made(replicas: i32, ratio: f64, tolerated: Tolerated, shown: ShownMetric) -> Self {
        let decision = MetricDecision { proposal: Some(replicas), ratio: Some(ratio), tolerated, error: None };
        Proposal { decision, shown: Some(shown) }
    }
}

const NO_PODS: &str = "no pods returned by selector while calculating replica count";

/// What all metrics of one sync share.
struct Sync<'s> {
    flags: &'s ControllerFlags,
    tolerances: Tolerances,
    observation: &'s Observation,
}

impl Sync<'_> {
    fn propose_one<'o>(
        &self,
        index: usize,
        metric: &MetricSpec,
        observed: &'o MetricObservation,
    ) -> Result<Proposal, Failure<'o>> {
        let series = match observed {
            MetricObservation::Failed(message) => return Err(Failure::Fetch(message)),
            MetricObservation::Series(series) => series.as_slice(),
            MetricObservation::PerPod => &[],
        };
        // HPA-FETCH-1: an empty answer is an error of the metric, never a zero.
        if metric.target.is_external() && series.is_empty() {
            return Err(Failure::Empty);
        }
        match metric.target {
            MetricTarget::ExternalAverageValue(target) => Ok(self.external_average_value(series, target)),
            MetricTarget::ExternalValue(target) => self.external_value(series, target),
            MetricTarget::PodsAverageValue(target) | MetricTarget::ResourceAverageValue(_, target) => {
                self.per_pod(index, metric, SampleTarget::Raw(target))
            }
            MetricTarget::ResourceUtilization(_, percent) => {
                self.per_pod(index, metric, SampleTarget::Utilization(percent))
            }
        }
    }

    /// External, AverageValue: KEDA's default (`GetExternalPerPodMetricReplicas`).
    fn external_average_value(&self, series: &[i64], target: i64) -> Proposal {
        let caps = self.flags.version >= KubernetesVersion::V1_34;
        let mut usage = 0i64;
        let mut capped = false;
        for value in series {
            usage = usage.wrapping_add(*value);
            // HPA-AVG-4: from 1.34 any negative running sum is taken for an overflow, real negatives too.
            if caps && usage < 0 {
                usage = i64::MAX;
                capped = true;
                break;
            }
        }
        // HPA-AVG-1: the count in the tolerance test is status.replicas: not spec, not ready.
        let status = self.observation.status_replicas;
        let ratio = usage as f64 / (target as f64 * f64::from(status));
        let shown = if capped { usage } else { to_i64((usage as f64 / f64::from(status)).ceil()) };
        let shown = ShownMetric::Milli(shown);
        if self.tolerances.is_within_average(ratio) {
            // HPA-AVG-2: "within" proposes the status count, so a lagging status rewrites spec.
            return Proposal::made(status, ratio, Tolerated::Within, shown);
        }
        // HPA-AVG-3: outside, no replica count enters at all.
        let replicas = ceil_to_replicas(usage as f64 / target as f64, caps);
        Proposal::made(replicas, ratio, Tolerated::Outside, shown)
    }

    /// External, Value (`GetExternalMetricReplicas`, `getUsageRatioReplicaCount`).
    fn external_value(&self, series: &[i64], target: i64) -> Result<Proposal, Failure<'static>> {
        let caps = self.flags.version >= KubernetesVersion::V1_35;
        let usage = sum_of_values(series, caps);
        let ratio = usage as f64 / target as f64;
        let shown = ShownMetric::Milli(usage);
        if self.observation.spec_replicas == 0 {
            // HPA-VAL-4: from 0 neither tolerance nor readiness counts, and there is no cap in any version.
            return Ok(Proposal::made(to_i32(ratio.ceil()), ratio, Tolerated::NotTested, shown));
        }
        if self.tolerances.is_within(ratio) {
            // HPA-VAL-1: "within" proposes spec, without looking at pods.
            return Ok(Proposal::made(self.observation.spec_replicas, ratio, Tolerated::Within, shown));
        }
        if !self.observation.pods_exist {
            // HPA-VAL-2: no pods at all is an error; pods of which none is ready is a proposal of 0.
            return Err(Failure::Pods(NO_PODS.to_owned()));
        }
        // HPA-VAL-3: times ready pods, not spec or status.
        let product = ratio * f64::from(self.observation.ready_pods);
        Ok(Proposal::made(ceil_to_replicas(product, caps), ratio, Tolerated::Outside, shown))
    }

    /// Pods, Resource and ContainerResource metrics (`calcPlainMetricReplicas`, `GetResourceReplicas`).
    fn per_pod(&self, index: usize, metric: &MetricSpec, target: SampleTarget) -> Result<Proposal, Failure<'static>> {
        let observation = self.observation;
        let mut samples = PodSamples::group(&observation.pods, index, metric, target, (self.flags, observation.now))?;
        let current = observation.spec_replicas;
        let (ratio, shown) = samples.ratio();
        let up_with_unready = samples.has_unready() && ratio > 1.0;
        if !up_with_unready && !samples.has_missing() {
            if self.tolerances.is_within(ratio) {
                return Ok(Proposal::made(current, ratio, Tolerated::Within, shown));
            }
            // HPA-POD-1: times the pods that were measured, not spec or status.
            let replicas = to_i32((ratio * f64::from(samples.ready_count())).ceil());
            return Ok(Proposal::made(replicas, ratio, Tolerated::Outside, shown));
        }
        if ratio < 1.0 {
            // HPA-POD-2: on the way down a missing pod is assumed to use its whole target.
            samples.fill_missing_with_target();
        } else if ratio > 1.0 {
            // HPA-POD-3: on the way up it is assumed to use nothing.
            samples.fill_missing_with_zero();
        }
        if up_with_unready {
            samples.fill_unready_with_zero();
        }
        let (refilled, _) = samples.ratio();
        if self.tolerances.is_within(refilled) {
            return Ok(Proposal::made(current, refilled, Tolerated::Within, shown));
        }
        // HPA-POD-4: assumptions about missing pods must not turn the direction round.
        let turned = (ratio < 1.0 && refilled > 1.0) || (ratio > 1.0 && refilled < 1.0);
        let replicas = to_i32((refilled * f64::from(samples.count())).ceil());
        let against_ratio = (refilled < 1.0 && replicas > current) || (refilled > 1.0 && replicas < current);
        let proposal = if turned || against_ratio { current } else { replicas };
        Ok(Proposal::made(proposal, refilled, Tolerated::Outside, shown))
    }
}

/// `usage` of a Value metric. From 1.35 a positive overflow ends at the largest int64; before, it wraps as Go's integers do.
fn sum_of_values(series: &[i64], caps: bool) -> i64 {
    let mut usage = 0i64;
    for value in series {
        match usage.checked_add(*value) {
            Some(sum) => usage = sum,
            None if caps && *value > 0 => return i64::MAX,
            None => usage = usage.wrapping_add(*value),
        }
    }
    usage
}

/// Rounds a count of pods up. With `caps` too many is the largest int32; without, Go's conversion (HPA-NUM-1) makes it
/// the smallest, which later counts as 0.
fn ceil_to_replicas(count: f64, caps: bool) -> i32 {
    let whole = count.ceil();
    if caps && whole > f64::from(i32::MAX) { i32::MAX } else { to_i32(whole) }
}

#[cfg(test)]
#[path = "proposal_tests.rs"]
mod tests;
