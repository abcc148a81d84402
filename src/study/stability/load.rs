//! The unit of load, the range that a map spans, and the points on it.

use crate::hpa::tolerance_band;
use crate::keda::TriggerKind;
use crate::record::{Counted, LoadStep};
use crate::replica::EngineConfig;
use crate::scenario::{MetricSource, ResolvedRun};
use crate::sim::{SimulateError, loop_info, simulate, trigger_infos};
use crate::study::stability::world::{steady_traffic, undisturbed, weights};
use crate::traffic::Arrivals;
use crate::units::{SimDuration, math};

/// Replicas' shares of load beyond which a default range does not go: a cluster of hundreds would take hours.
pub(super) const MOST_REPLICAS: i32 = 20;
/// How long one saturated replica is watched.
const SATURATED_WARMUP: SimDuration = SimDuration::from_secs(1200);
const SATURATED: SimDuration = SimDuration::from_secs(4 * 3600);
/// Clients that wait at one replica to saturate it, at most.
const WAITING_CLIENTS: u32 = 512;

/// The unit in which a trigger counts load, beside requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadUnit {
    /// What is counted.
    pub counted: Counted,
    /// How much of it a request brings on average.
    pub per_request: f64,
}

impl LoadUnit {
    /// `tokens/s`.
    pub fn name(&self) -> &'static str {
        match self.counted {
            Counted::AllTokens => "tokens/s",
            Counted::PromptTokens => "prompt tokens/s",
            Counted::GeneratedTokens => "generated tokens/s",
            Counted::Requests | Counted::Nothing => "requests/s",
        }
    }
}

/// How load is measured under a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadScale {
    /// The unit of the trigger that asks for the most replicas; `None` when no trigger counts work.
    pub unit: Option<LoadUnit>,
    /// Requests per second that are one replica's share by that trigger.
    pub target: Option<f64>,
    /// Its name and threshold in its own unit.
    pub trigger: Option<(String, f64)>,
    /// Requests per second that one saturated replica completes, measured where no trigger counts work.
    pub capacity: Option<f64>,
    /// Tokens of a request on average: prompt, output.
    pub tokens: (f64, f64),
    /// The band of ratios that the HPA takes for 1: its edges.
    pub tolerance: (f64, f64),
    /// Replicas that the policy allows.
    pub bounds: (i32, i32),
}

impl LoadScale {
    /// Reads the policy's triggers; where none counts work, runs one saturated replica to see what it can do.
    ///
    /// # Errors
    /// That run's.
    pub fn of(run: &ResolvedRun) -> Result<Self, SimulateError> {
        let one = step_of(run, 1.0);
        let info = loop_info(run);
        let triggers = trigger_infos(run);
        let counting = triggers.iter().zip(&info.queries).filter_map(|(own, query)| {
            let per_request = one.counted(query.counts);
            let counts = per_request > 0.0 && own.threshold > 0.0 && own.target_type != "Utilization";
            counts.then(|| (own.threshold / per_request, LoadUnit { counted: query.counts, per_request }, own))
        });
        let nearest = counting.min_by(|left, right| left.0.total_cmp(&right.0));
        let mut scale = LoadScale {
            unit: nearest.as_ref().map(|(_, unit, _)| *unit),
            target: nearest.as_ref().map(|(target, ..)| *target),
            trigger: nearest.as_ref().map(|(.., own)| (own.name.clone(), own.threshold)),
            capacity: None,
            tokens: (one.prompt_tokens, one.generated_tokens),
            tolerance: tolerance_band(&run.kubernetes.flags, &run.kubernetes.hpa),
            bounds: run.replica_bounds(),
        };
        if scale.target.is_none() {
            scale.capacity = Some(saturated_rate(run)?);
        }
        Ok(scale)
    }

    /// Requests per second that make one replica's share: by the trigger, else by what a replica completes.
    pub fn share(&self) -> f64 {
        self.target.or(self.capacity).unwrap_or(1.0)
    }

    /// `ceil(load / target)` within the bounds; `None` when no trigger counts work.
    pub fn need(&self, load: f64) -> Option<i32> {
        let replicas = (load / self.target? - 1e-9).ceil().max(0.0) as i32;
        Some(replicas.clamp(self.bounds.0, self.bounds.1))
    }

    /// `load` in the trigger's unit.
    pub fn in_unit(&self, load: f64) -> Option<f64> {
        self.unit.filter(|unit| unit.counted != Counted::Requests).map(|unit| load * unit.per_request)
    }

    /// The range that a map spans when nobody gives one.
    pub fn default_range(&self) -> LoadRange {
        let most = self.bounds.1.clamp(1, MOST_REPLICAS);
        let origin = if self.target.is_some() { RangeOrigin::Target } else { RangeOrigin::Capacity };
        let (low, high) = if self.target.is_some() { (0.2, 1.2) } else { (0.02, 1.1) };
        let share = self.share();
        let is_cut = self.bounds.1 > most;
        LoadRange { from: low * share, to: high * share * f64::from(most), origin, replicas: most, is_cut }
    }
}

/// Loads from..=to, requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadRange {
    /// Lowest.
    pub from: f64,
    /// Highest.
    pub to: f64,
    /// Where it comes from.
    pub origin: RangeOrigin,
    /// Replicas whose shares it spans, when derived.
    pub replicas: i32,
    /// Whether the policy allows more replicas than a derived range spans.
    pub is_cut: bool,
}

/// Where a range comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeOrigin {
    /// The user's.
    Given,
    /// From a fifth of one replica's share of the target to 1.2 times that of all.
    Target,
    /// From a fiftieth of what one replica completes (where it is needed at all is not known) to 1.1 times what all complete.
    Capacity,
}

impl LoadRange {
    /// Whether loads stand at equal ratios: from a capacity nobody knows at which of them the policy moves.
    pub fn is_geometric(&self) -> bool {
        self.origin == RangeOrigin::Capacity
    }

    /// `steps` loads at equal distances, or at equal ratios.
    pub fn grid(&self, steps: usize) -> Vec<f64> {
        let last = steps.saturating_sub(1).max(1) as f64;
        let at = |index: usize| match index as f64 / last {
            0.0 => self.from,
            1.0 => self.to,
            share if self.is_geometric() => self.from * math::pow(self.to / self.from, share),
            share => self.from + (self.to - self.from) * share,
        };
        (0..steps).map(at).collect()
    }

    /// Around every step of the replica count and both edges of its dead band, one percent to either side.
    pub fn around_steps(&self, scale: &LoadScale) -> Vec<f64> {
        let Some(target) = scale.target else { return Vec::new() };
        let (low, high) = scale.tolerance;
        let mut loads = Vec::new();
        for count in 1..=scale.bounds.1.clamp(1, MOST_REPLICAS) {
            let count = f64::from(count);
            for step in [count * target, high * count * target, low * (count + 1.0) * target] {
                loads.extend([0.99 * step, 1.01 * step]);
            }
        }
        loads.retain(|load| *load >= self.from && *load <= self.to);
        loads
    }
}

/// The expected load of `run`'s requests at `rate` per second.
pub(super) fn step_of(run: &ResolvedRun, rate: f64) -> LoadStep {
    let mut step = LoadStep { requests: rate, ..LoadStep::default() };
    for (source, weight) in steady_traffic(run, rate).iter().zip(weights(&run.traffic)) {
        step.prompt_tokens += rate * weight * source.prompt.mean();
        step.generated_tokens += rate * weight * source.mean_output();
    }
    step
}

/// Requests per second that one replica completes while clients wait at it all the time.
fn saturated_rate(run: &ResolvedRun) -> Result<f64, SimulateError> {
    let duration = SATURATED_WARMUP + SATURATED;
    let mut own = undisturbed(run, 1, SATURATED_WARMUP, duration);
    own.fixed_replicas = true;
    own.gateway = None;
    own.client_timeout = duration;
    own.traffic = steady_traffic(run, 1.0);
    let clients = clients_of(&run.engine);
    let sources = own.traffic.len() as u32;
    for source in &mut own.traffic {
        source.arrivals = Arrivals::ClosedLoop { workers: clients.div_ceil(sources), think: SimDuration::ZERO };
    }
    let record = simulate(&own, false)?;
    let tokens = record.tokens.generated_completed.max(1) as f64;
    let one = step_of(run, 1.0);
    let seconds = record.info.end.as_secs_f64() - SATURATED_WARMUP.as_secs_f64();
    Ok(tokens / one.generated_tokens / seconds)
}

fn clients_of(engine: &EngineConfig) -> u32 {
    engine.max_num_seqs.min(WAITING_CLIENTS)
}

/// Whether some trigger's value may depend on the load; else what the triggers follow.
pub(super) fn follows_load(run: &ResolvedRun) -> Result<(), String> {
    let Some(keda) = &run.keda else {
        let external = |source: &MetricSource| matches!(source, MetricSource::ExternalSignal(_));
        let all = run.kubernetes.sources.iter().all(external);
        return if all { Err("its metrics are series that the user gave".to_owned()) } else { Ok(()) };
    };
    let mut told = Vec::new();
    for trigger in &keda.scaled_object.triggers {
        let what = match &trigger.kind {
            TriggerKind::Cron(_) => "follows the clock",
            TriggerKind::Signal(_) => "is a series that the user gave",
            TriggerKind::KubernetesWorkload(_) => "counts pods",
            TriggerKind::Prometheus(_) | TriggerKind::Resource(_) => return Ok(()),
        };
        told.push(format!("{} {what}", trigger.metric_name));
    }
    Err(told.join(", "))
}
