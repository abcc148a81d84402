//! Which pods' samples a Pods or Resource metric may use, and their mean against the target (hpa.md section 6.3).
//!
//! Source: `groupPods`, `removeMetricsForPods`, `calculatePodRequests` (`replica_calculator.go`), `GetMetricUsageRatio`,
//! `GetResourceUtilizationRatio` (`metrics/utilization.go`).

use crate::hpa::messages::Failure;
use crate::hpa::proposal::ShownMetric;
use crate::hpa::{ControllerFlags, MetricSpec, PodObservation, Resource};
use crate::units::SimTime;

/// What the mean is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleTarget {
    /// A mean in milli units.
    Raw(i64),
    /// A percentage of the pods' requests.
    Utilization(i32),
}

/// The samples of one metric after grouping the pods.
pub(super) struct PodSamples {
    target: SampleTarget,
    /// (sample, request) of the pods that count so far.
    used: Vec<(i64, i64)>,
    ready_count: usize,
    /// Requests of pods without a sample.
    missing: Vec<i64>,
    /// Requests of pods that are not ready to be measured.
    unready: Vec<i64>,
}

impl PodSamples {
    /// Groups `pods` for `metric`, which stands at `index`.
    ///
    /// # Errors
    /// No sample at all, none left, or (Utilization) a pod without a request.
    pub(super) fn group(
        pods: &[PodObservation],
        index: usize,
        metric: &MetricSpec,
        target: SampleTarget,
        (flags, now): (&ControllerFlags, SimTime),
    ) -> Result<Self, Failure<'static>> {
        // The metrics API is asked before any pod is looked at: without a sample it has returned nothing.
        if pods.iter().all(|pod| pod.samples_milli.get(index).copied().flatten().is_none()) {
            return Err(Failure::Empty);
        }
        // HPA-POD-10: cpu only, of the pod or of one container; memory of a starting pod counts at once.
        let is_cpu = metric.resource() == Some(Resource::Cpu);
        let mut groups =
            PodSamples { target, used: Vec::new(), ready_count: 0, missing: Vec::new(), unready: Vec::new() };
        for pod in pods {
            let request = pod.requests_milli.get(index).copied().flatten().unwrap_or(0);
            if pod.ignored {
                // Being deleted or failed: neither the pod nor its sample counts.
                continue;
            }
            if pod.pending {
                groups.unready.push(request);
                continue;
            }
            let Some(sample) = pod.samples_milli.get(index).copied().flatten() else {
                groups.missing.push(request);
                continue;
            };
            // HPA-POD-5: a Pods metric counts a running pod whether or not it is ready.
            if is_cpu && is_unready_for_cpu(pod, flags, now) {
                groups.unready.push(request);
                continue;
            }
            groups.used.push((sample, request));
        }
        groups.ready_count = groups.used.len();
        if groups.used.is_empty() {
            return Err(failure("did not receive metrics for targeted pods (pods might be unready)"));
        }
        let by_request = matches!(target, SampleTarget::Utilization(_));
        if by_request && pods.iter().any(|pod| pod.requests_milli.get(index).copied().flatten().is_none()) {
            return Err(Failure::Pods(missing_request(metric)));
        }
        if by_request && groups.used.iter().all(|(_, request)| *request == 0) {
            return Err(failure("no metrics returned matched known pods"));
        }
        Ok(groups)
    }

    /// usage/target and the usage that status shows.
    pub(super) fn ratio(&self) -> (f64, ShownMetric) {
        let total = self.used.iter().fold(0i64, |sum, (sample, _)| sum.wrapping_add(*sample));
        match self.target {
            SampleTarget::Raw(target) => {
                let count = i64::try_from(self.used.len()).expect("fewer pods than i64::MAX");
                // HPA-POD-6: integer division, cut towards zero, before anything becomes a double.
                let mean = total / count;
                (mean as f64 / target as f64, ShownMetric::Milli(mean))
            }
            SampleTarget::Utilization(percent) => {
                let requests = self.used.iter().fold(0i64, |sum, (_, request)| sum.wrapping_add(*request));
                // HPA-POD-7: a whole percentage, cut: 1099m of 2000m is 54 %. Go's int32() of an integer wraps.
                let utilization = (total.wrapping_mul(100).checked_div(requests).unwrap_or(0)) as i32;
                (f64::from(utilization) / f64::from(percent), ShownMetric::Percent(utilization))
            }
        }
    }

    pub(super) fn has_unready(&self) -> bool {
        !self.unready.is_empty()
    }

    pub(super) fn has_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Pods measured before any assumption was made.
    pub(super) fn ready_count(&self) -> i32 {
        i32::try_from(self.ready_count).unwrap_or(i32::MAX)
    }

    /// Samples now, assumed ones included.
    pub(super) fn count(&self) -> i32 {
        i32::try_from(self.used.len()).unwrap_or(i32::MAX)
    }

    pub(super) fn fill_missing_with_target(&mut self) {
        let target = self.target;
        let filled = self.missing.drain(..).map(|request| match target {
            SampleTarget::Raw(milli) => (milli, request),
            // HPA-POD-8: all of the request, or the target when that is above 100 %.
            SampleTarget::Utilization(percent) => (request.wrapping_mul(i64::from(percent.max(100))) / 100, request),
        });
        self.used.extend(filled);
    }

    pub(super) fn fill_missing_with_zero(&mut self) {
        self.used.extend(self.missing.drain(..).map(|request| (0, request)));
    }

    pub(super) fn fill_unready_with_zero(&mut self) {
        self.used.extend(self.unready.drain(..).map(|request| (0, request)));
    }
}

fn failure(message: &str) -> Failure<'static> {
    Failure::Pods(message.to_owned())
}

/// Upstream names the pod, and the container without a request, too; an observation knows neither.
fn missing_request(metric: &MetricSpec) -> String {
    let resource = metric.resource().map_or("", Resource::word);
    match &metric.container {
        Some(container) => format!("missing request for {resource} in container {container}"),
        None => format!("missing request for {resource}"),
    }
}

/// HPA-POD-9: cpu of a starting pod is not to be trusted.
fn is_unready_for_cpu(pod: &PodObservation, flags: &ControllerFlags, now: SimTime) -> bool {
    let (Some(ready), Some(start)) = (pod.ready, pod.start) else { return true };
    // A condition without a transition time has Go's zero time, which is before everything.
    let transition = pod.ready_transition;
    if start.saturating_add(flags.cpu_initialization_period) > now {
        // Still initializing: the sample must lie wholly after the pod became ready.
        return !ready || transition.is_some_and(|at| pod.sample_time < at.saturating_add(pod.sample_window));
    }
    // Later: only a pod that was never ready, known by a transition soon after the start.
    !ready && transition.is_none_or(|at| start.saturating_add(flags.initial_readiness_delay) > at)
}
