//! What the control loop of a run was set to and what load it was given, as far as conclusions about causes need it.

use crate::units::{SimDuration, SimTime};

/// Settings of the loop. Not in `summary.json`: `scenario.yaml` and `policy.yaml` have them as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoopInfo {
    /// Period of the HPA controller.
    pub sync_period: SimDuration,
    /// Stabilization window upwards, 0 without a `behavior`.
    pub scale_up_window: SimDuration,
    /// Stabilization window downwards; without a `behavior` the controller's flag.
    pub scale_down_window: SimDuration,
    /// Whether the HPA has a `behavior`.
    pub has_behavior: bool,
    /// Whether the policies of both directions allow what upstream's defaults allow.
    pub default_policies: bool,
    /// `pollingInterval`; `None` without KEDA.
    pub polling_interval: Option<SimDuration>,
    /// `idleReplicaCount`.
    pub idle_replicas: Option<i32>,
    /// The pods' scrape interval (the longest, of several jobs).
    pub scrape_interval: SimDuration,
    /// Prometheus' lookback delta: so long a sample stands in for a target that is gone.
    pub lookback: SimDuration,
    /// `terminationGracePeriodSeconds` of the pods.
    pub grace_period: SimDuration,
    /// What each trigger asks, in the order of [`crate::record::RunInfo::triggers`].
    pub queries: Vec<QueryInfo>,
    /// What the clients send.
    pub load: LoadInfo,
}

/// What a trigger's query measures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryInfo {
    /// The longest range it looks over; 0 when it reads gauges.
    pub range: SimDuration,
    /// What it counts per second over all pods.
    pub counts: Counted,
    /// Whether it is by its form an average over replicas.
    pub is_average: bool,
}

/// A total per second that a query yields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// Something else, or an average.
    #[default]
    Nothing,
    /// Requests.
    Requests,
    /// Prompt tokens.
    PromptTokens,
    /// Generated tokens.
    GeneratedTokens,
    /// Both kinds of tokens.
    AllTokens,
}

/// What the clients send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadInfo {
    /// The expected load as a step function, each step until the next; `None` when some source follows no law whose mean is
    /// known (a closed loop, a recorded trace).
    pub law: Option<Vec<LoadStep>>,
    /// Whether some source waits for responses before it sends again.
    pub closed_loop: bool,
    /// Coefficient of variation of a request's tokens, where lengths are drawn.
    pub size_cv: Option<f64>,
}

/// A step of the expected load.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadStep {
    /// Its start.
    pub from: SimTime,
    /// Requests per second.
    pub requests: f64,
    /// Prompt tokens per second.
    pub prompt_tokens: f64,
    /// Generated tokens per second.
    pub generated_tokens: f64,
}

impl LoadStep {
    /// The part of it that a query counts, per second.
    pub fn counted(&self, what: Counted) -> f64 {
        match what {
            Counted::Nothing => 0.0,
            Counted::Requests => self.requests,
            Counted::PromptTokens => self.prompt_tokens,
            Counted::GeneratedTokens => self.generated_tokens,
            Counted::AllTokens => self.prompt_tokens + self.generated_tokens,
        }
    }
}
