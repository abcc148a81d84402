//! The user's world under one steady load: the same policy, replicas and cluster, another arrival law and nothing out of
//! order.

use crate::hpa::ScalingRules;
use crate::keda::TriggerKind;
use crate::scenario::ResolvedRun;
use crate::sim::{loop_info, median_startup};
use crate::traffic::{Arrivals, LengthDistribution, Trace, TrafficSpec};
use crate::units::{SimDuration, SimTime};

/// Points of the quantiles of a recorded trace's lengths.
const QUANTILES: usize = 200;

/// Mean requests per second of each source; of a closed loop those of workers which get their answers at once.
pub(super) fn mean_rates(sources: &[TrafficSpec]) -> Vec<f64> {
    let rate = |own: &TrafficSpec| match &own.arrivals {
        Arrivals::Poisson { rate } | Arrivals::Gamma { rate, .. } => *rate,
        Arrivals::Stages(stages) => {
            let seconds: f64 = stages.iter().map(|(length, _)| length.as_secs_f64()).sum();
            stages.iter().map(|(length, rate)| length.as_secs_f64() * rate).sum::<f64>() / seconds.max(1.0)
        }
        Arrivals::ClosedLoop { workers, think } => f64::from(*workers) / think.as_secs_f64().max(1.0),
        Arrivals::Recorded(trace) => {
            let seconds = trace.rows.last().map_or(0.0, |row| row.at.as_secs_f64());
            trace.rows.len() as f64 / seconds.max(1.0)
        }
    };
    sources.iter().map(rate).collect()
}

/// The shares of the load that the sources have among each other: their mean rates. The policy's check has seen that they
/// send something.
pub(super) fn weights(sources: &[TrafficSpec]) -> Vec<f64> {
    let rates = mean_rates(sources);
    let whole: f64 = rates.iter().sum();
    rates.iter().map(|rate| rate / whole).collect()
}

/// `source` at `rate` requests per second for ever: gamma gaps stay gamma gaps, everything else becomes Poisson; lengths stay,
/// those of a recorded trace drawn from its quantiles.
pub(super) fn steady_source(source: &TrafficSpec, rate: f64) -> TrafficSpec {
    let arrivals = match &source.arrivals {
        Arrivals::Gamma { cv, .. } => Arrivals::Gamma { rate, cv: *cv },
        _ => Arrivals::Poisson { rate },
    };
    let (prompt, output) = match &source.arrivals {
        Arrivals::Recorded(trace) => recorded_lengths(trace),
        _ => (source.prompt.clone(), source.output.clone()),
    };
    TrafficSpec { arrivals, prompt, output, max_tokens: source.max_tokens, start: SimTime::ZERO, stop: SimTime::NEVER }
}

/// The traffic of `run` at `rate` requests per second.
pub(super) fn steady_traffic(run: &ResolvedRun, rate: f64) -> Vec<TrafficSpec> {
    let weights = weights(&run.traffic);
    run.traffic.iter().zip(weights).map(|(source, weight)| steady_source(source, rate * weight)).collect()
}

/// Prompt and output lengths of a trace's rows, each by itself.
fn recorded_lengths(trace: &Trace) -> (LengthDistribution, LengthDistribution) {
    let quantiles = |mut tokens: Vec<f64>| {
        tokens.sort_by(f64::total_cmp);
        let place = |index: usize| (index * (tokens.len() - 1)) as f64 / QUANTILES as f64;
        LengthDistribution::Quantiles {
            probabilities: (0..=QUANTILES).map(|index| index as f64 / QUANTILES as f64).collect(),
            tokens: (0..=QUANTILES).map(|index| tokens[place(index).round() as usize]).collect(),
        }
    };
    let rows = || trace.rows.iter();
    let prompts = rows().map(|row| f64::from(row.prompt_tokens)).collect();
    (quantiles(prompts), quantiles(rows().map(|row| f64::from(row.output_tokens)).collect()))
}

/// `run` without what would disturb a steady state, from `initial` replicas, for `duration` of which `warmup` is left out.
pub(super) fn undisturbed(run: &ResolvedRun, initial: i32, warmup: SimDuration, duration: SimDuration) -> ResolvedRun {
    ResolvedRun {
        duration: Some(duration),
        warmup,
        initial_replicas: initial,
        fixed_replicas: false,
        replications: 1,
        faults: Vec::new(),
        // Only the files of a single run tell them.
        policy_text: String::new(),
        provenance: Vec::new(),
        ..run.clone()
    }
}

/// `run` with the policy held at `count` replicas: it goes on asking its metrics.
pub(super) fn held(run: &ResolvedRun, count: i32) -> ResolvedRun {
    let mut own = run.clone();
    own.initial_replicas = count;
    own.kubernetes.hpa.min_replicas = count;
    own.kubernetes.hpa.max_replicas = count;
    if let Some(keda) = &mut own.keda {
        keda.scaled_object.min_replicas = count;
        keda.scaled_object.max_replicas = count;
        keda.scaled_object.idle_replicas = None;
    }
    own
}

/// The times of a policy that decide how long its transients take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoopTimes {
    /// The longest range of a query.
    pub range: SimDuration,
    /// Median start-up.
    pub startup: SimDuration,
    /// The longest of both windows and all policies' periods, KEDA's cooldown where it moves to zero or idle.
    pub windows: SimDuration,
    /// The scale-down window.
    pub down: SimDuration,
}

impl LoopTimes {
    pub fn of(run: &ResolvedRun) -> Self {
        let info = loop_info(run);
        let range = info.queries.iter().map(|own| own.range).max().unwrap_or_default();
        let periods = |rules: &ScalingRules| rules.policies.iter().map(|own| own.period).max().unwrap_or_default();
        let behavior = run.kubernetes.hpa.behavior.as_ref();
        let periods = behavior.map_or(SimDuration::ZERO, |(up, down)| periods(up).max(periods(down)));
        let keda = run.keda.as_ref().map(|keda| &keda.scaled_object);
        let cools = keda.filter(|own| own.min_replicas == 0 || own.idle_replicas.is_some());
        let cooldown = cools.map_or(SimDuration::ZERO, |own| own.cooldown_period + own.polling_interval);
        let windows = info.scale_up_window.max(info.scale_down_window).max(periods).max(cooldown);
        LoopTimes { range, startup: median_startup(run), windows, down: info.scale_down_window }
    }

    /// S0 of verdicts.md 3.3: how long a transient takes at most, as a rule.
    pub fn transient(self) -> SimDuration {
        (self.range + self.startup).times(2) + self.windows.times(3)
    }

    /// How long is looked for a cycle after the transient.
    pub fn recorded(self) -> SimDuration {
        self.windows.max(self.range).times(4).max(SimDuration::from_secs(1200))
    }
}

/// What the traffic that was given is, beside its lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenTraffic {
    /// Gamma gaps, which stay.
    pub is_gamma: bool,
    /// A recorded trace.
    pub is_recorded: bool,
    /// Clients that wait for answers.
    pub is_closed_loop: bool,
    /// Rates that change.
    pub is_staged: bool,
}

impl GivenTraffic {
    pub(super) fn of(run: &ResolvedRun) -> Self {
        let any = |is: fn(&Arrivals) -> bool| run.traffic.iter().any(|own| is(&own.arrivals));
        GivenTraffic {
            is_gamma: any(|own| matches!(own, Arrivals::Gamma { .. })),
            is_recorded: any(|own| matches!(own, Arrivals::Recorded(_))),
            is_closed_loop: any(|own| matches!(own, Arrivals::ClosedLoop { .. })),
            is_staged: any(|own| matches!(own, Arrivals::Stages(_))),
        }
    }
}

/// Names of the triggers that follow the clock or what the user gave, not the load.
pub(super) fn clocked(run: &ResolvedRun) -> Vec<String> {
    let triggers = run.keda.iter().flat_map(|keda| &keda.scaled_object.triggers);
    let clocked = triggers.filter(|own| matches!(own.kind, TriggerKind::Cron(_) | TriggerKind::Signal(_)));
    clocked.map(|own| own.metric_name.clone()).collect()
}
