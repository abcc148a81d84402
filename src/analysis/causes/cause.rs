//! The causes, what each is called and what to change.

/// A row of verdicts.md 2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The load itself: justified.
    Load,
    /// C1: metric noise near a step.
    Noise,
    /// C2: cold-start dead time.
    ColdStart,
    /// C3: rate-window lag.
    RateWindowLag,
    /// C4: scale-down window too short.
    ShortDownWindow,
    /// C5: policy step too large.
    LargeStep,
    /// C6: tolerance band.
    Tolerance,
    /// C7: empty or NaN read as 0.
    NullAsZero,
    /// C8: the cut to zero or idle.
    CutToZero,
    /// C9: an average with AverageValue.
    AverageOfAverage,
    /// C10: status is not spec.
    StatusNotSpec,
    /// C11: saturation.
    Saturation,
    /// C12: cron edge.
    CronEdge,
    /// C13: fallback edge.
    FallbackEdge,
    /// C14: trigger tug.
    TriggerTug,
    /// C15: initial or restart state.
    InitialState,
    /// C16: idle mode.
    IdleMode,
    /// C17: a past maximum adds pods.
    PastMaximum,
    /// C18: closed-loop clients.
    ClosedLoop,
}

impl Cause {
    /// In the order in which signatures are tested: specific before generic.
    pub const ORDER: [Cause; 19] = [
        Cause::Load,
        Cause::NullAsZero,
        Cause::CutToZero,
        Cause::IdleMode,
        Cause::CronEdge,
        Cause::FallbackEdge,
        Cause::InitialState,
        Cause::PastMaximum,
        Cause::StatusNotSpec,
        Cause::AverageOfAverage,
        Cause::TriggerTug,
        Cause::Saturation,
        Cause::ClosedLoop,
        Cause::ColdStart,
        Cause::RateWindowLag,
        Cause::LargeStep,
        Cause::Tolerance,
        Cause::ShortDownWindow,
        Cause::Noise,
    ];

    /// `C1`.
    pub fn code(self) -> &'static str {
        match self {
            Cause::Load => "C0",
            Cause::Noise => "C1",
            Cause::ColdStart => "C2",
            Cause::RateWindowLag => "C3",
            Cause::ShortDownWindow => "C4",
            Cause::LargeStep => "C5",
            Cause::Tolerance => "C6",
            Cause::NullAsZero => "C7",
            Cause::CutToZero => "C8",
            Cause::AverageOfAverage => "C9",
            Cause::StatusNotSpec => "C10",
            Cause::Saturation => "C11",
            Cause::CronEdge => "C12",
            Cause::FallbackEdge => "C13",
            Cause::TriggerTug => "C14",
            Cause::InitialState => "C15",
            Cause::IdleMode => "C16",
            Cause::PastMaximum => "C17",
            Cause::ClosedLoop => "C18",
        }
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Cause::Load => "the load itself",
            Cause::Noise => "metric noise near a step",
            Cause::ColdStart => {
                "cold-start dead time: replicas are added for a backlog that those on their way would clear"
            }
            Cause::RateWindowLag => "rate-window lag: the query answers after the load has turned back",
            Cause::ShortDownWindow => "the scale-down window is short against the metric's memory",
            Cause::LargeStep => "a policy allows too large a step",
            Cause::Tolerance => "the metric swings across the edge of the tolerance band",
            Cause::NullAsZero => "an empty result or NaN was read as 0",
            Cause::CutToZero => "KEDA cut to zero or idle while the load went on",
            Cause::AverageOfAverage => "a per-replica average under AverageValue, divided by the replica count twice",
            Cause::StatusNotSpec => "status.replicas lagged behind spec.replicas and was copied into it",
            Cause::Saturation => {
                "saturation: the replicas' throughput was at its cap, so the metric showed capacity, not demand"
            }
            Cause::CronEdge => "the edge of a cron trigger",
            Cause::FallbackEdge => "a fallback stood in for a trigger",
            Cause::TriggerTug => "two triggers pull in turns",
            Cause::InitialState => "the HPA was younger than its scale-down window",
            Cause::IdleMode => "idle mode: KEDA goes back and forth between idle and the minimum",
            Cause::PastMaximum => "without a behavior block a past maximum adds pods",
            Cause::ClosedLoop => "closed-loop clients: they sent less because answers were slower",
        }
    }

    /// What to change; `None` where nothing in the policy is at fault.
    pub fn edit(self) -> Option<&'static str> {
        Some(match self {
            Cause::Load | Cause::InitialState => return None,
            Cause::Noise => {
                "a longer rate window, a longer scaleDown.stabilizationWindowSeconds, or both; only then a longer scaleUp window"
            }
            Cause::ColdStart => {
                "a metric that does not integrate (arrival rate instead of queue) or a larger queue target; scaleUp Percent 50 per start-up time"
            }
            Cause::RateWindowLag => {
                "a shorter rate window (at least 4 scrapes), and scaleDown.stabilizationWindowSeconds of at least rate window + start-up"
            }
            Cause::ShortDownWindow => "scaleDown.stabilizationWindowSeconds of at least twice the rate window",
            Cause::LargeStep => "a smaller value, a longer periodSeconds, or selectPolicy: Min",
            Cause::Tolerance => "behavior.*.tolerance (Kubernetes 1.35 and later), or another threshold",
            Cause::NullAsZero => {
                "ignoreNullValues: \"false\" (an error blocks scale-down), a rate window of at least 4 scrapes, a fallback with currentReplicasIfHigher"
            }
            Cause::CutToZero => {
                "minReplicaCount 1, or a cooldownPeriod above the longest silence, or activation by a signal of the gateway"
            }
            Cause::AverageOfAverage => "metricType: Value on the trigger, or a query for the sum",
            Cause::StatusNotSpec => "more quota, no rollouts under load; nothing in the HPA",
            Cause::Saturation => {
                "a threshold of at most 0.7 of a replica's capacity; arrivals or the queue as a trigger beside throughput"
            }
            Cause::CronEdge => "overlapping windows, equal counts, or a scaleDown window longer than the gap",
            Cause::FallbackEdge => {
                "fallback.behavior currentReplicas or currentReplicasIfHigher, a higher failureThreshold"
            }
            Cause::TriggerTug => "drop or re-target the trigger that is noisy",
            Cause::IdleMode => "idleReplicaCount 0, or none",
            Cause::PastMaximum => "a behavior block with the same numbers",
            Cause::ClosedLoop => "an open-loop test with the same arrivals; this is no fault of the policy",
        })
    }
}
