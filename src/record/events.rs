//! Events: pods, scale writes, faults. Never one per request.

use crate::units::SimTime;

/// Who wrote `spec.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleSource {
    /// The HPA, by metrics.
    Hpa,
    /// KEDA's executor.
    Keda,
    /// The HPA, because the count was outside min..max.
    Bounds,
    /// A schedule in the autoscaler's place.
    Schedule,
}

impl ScaleSource {
    /// The word in files.
    pub fn word(self) -> &'static str {
        match self {
            ScaleSource::Hpa => "hpa",
            ScaleSource::Keda => "keda",
            ScaleSource::Bounds => "bounds",
            ScaleSource::Schedule => "schedule",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub t: SimTime,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// Traffic began or ended (open or closed loop, as the spec says).
    TrafficStarted,
    /// See `TrafficStarted`.
    TrafficStopped,
    /// `spec.replicas` was written.
    Scaled {
        /// Replicas before.
        from: i32,
        /// Replicas after.
        to: i32,
        /// Who wrote.
        source: ScaleSource,
        /// Upstream's sentence.
        reason: String,
    },
    /// A pod entered a state: `created`, `scheduled`, `loading`, `listening`, `ready`, `routable`, `deleted`, `gone`.
    Pod {
        /// Its name.
        pod: String,
        /// The state entered.
        state: &'static str,
    },
    /// A fault of the Scenario began.
    FaultStarted {
        /// Its kind: `prometheusDown`, ...
        fault: &'static str,
        /// Its settings as a Scenario has them: `{share: 1, pods: all}`.
        settings: String,
    },
    /// A fault of the Scenario is over.
    FaultEnded {
        /// See `FaultStarted`.
        fault: &'static str,
        /// See `FaultStarted`.
        settings: String,
    },
    /// A recording rule of Prometheus began to fail.
    RuleFailed {
        /// Its `record`.
        record: String,
        /// Why.
        message: String,
    },
    /// Requests failed with a pod or for want of one.
    RequestsFailed {
        /// The pod, when one was involved.
        pod: Option<String>,
        /// How many.
        count: u64,
        /// `refused`, `killed`, `unavailable`, `error`.
        cause: &'static str,
    },
}
