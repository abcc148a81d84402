//! The need R(t): how many replicas the load asks for at an instant, before any start-up (verdicts.md 1.4, 5.3).
//!
//! [`Need`] is neutral: whoever knows better (an oracle with a replica model) hands in its own. The shortcut here divides the
//! offered work by the policy's own threshold.

use crate::analysis::load::{Load, earlier};
use crate::record::{Counted, LoadStep, RunRecord};
use crate::units::{SimDuration, SimTime};

/// A step function of replicas over time, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    provenance: String,
    /// Start of each step and its count, in order of time; neighbours differ.
    steps: Vec<(SimTime, i32)>,
    /// Where a schedule that answers the need is known: its changes of direction count instead of the need's own.
    schedule: Option<Box<Need>>,
    /// The same without the policy's largest count, where that is known.
    demand: Option<Box<Need>>,
    /// Whether it follows from work or capacity, and not from the replicas that the policy itself ran.
    is_independent: bool,
}

impl Need {
    /// A need from `steps` (start, replicas) in order of time, the first at the run's start. `provenance` says in words how it
    /// came about; reports print it.
    ///
    /// # Panics
    /// Without a step at the run's start, or when the steps are not in order.
    pub fn new(provenance: impl Into<String>, steps: impl IntoIterator<Item = (SimTime, i32)>) -> Self {
        let mut kept: Vec<(SimTime, i32)> = Vec::new();
        for (from, count) in steps {
            assert!(kept.last().is_none_or(|(last, _)| *last < from), "steps come in order of time");
            if kept.last().is_none_or(|(_, last)| *last != count) {
                kept.push((from, count));
            }
        }
        assert!(kept.first().is_some_and(|(from, _)| *from == SimTime::ZERO), "a need begins at the run's start");
        Need { provenance: provenance.into(), steps: kept, schedule: None, demand: None, is_independent: true }
    }

    /// With the `steps` that it has where no largest count limits it.
    fn unlimited(self, steps: Vec<(SimTime, i32)>) -> Self {
        let demand = Need::new(self.provenance.clone(), steps);
        Need { demand: Some(Box::new(demand)), ..self }
    }

    /// With the `steps` of a schedule that answers it, start-ups and holding included (verdicts.md 1.4: `R*`).
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn answered_by(self, steps: impl IntoIterator<Item = (SimTime, i32)>) -> Self {
        let schedule = Need::new(self.provenance.clone(), steps);
        Need { schedule: Some(Box::new(schedule)), ..self }
    }

    /// How it came about.
    pub fn provenance(&self) -> &str {
        &self.provenance
    }

    /// Replicas needed at `t`.
    pub fn at(&self, t: SimTime) -> i32 {
        self.steps[self.steps.partition_point(|(from, _)| *from <= t) - 1].1
    }

    /// Replicas needed at `t`, more than the policy allows where it is known that they are; `None` of a need that was only made
    /// from the replicas that the policy ran.
    pub fn demanded_at(&self, t: SimTime) -> Option<i32> {
        self.is_independent.then(|| self.demand.as_deref().unwrap_or(self).at(t))
    }

    /// The parts of `from..=to` with their counts; of an empty interval the instant `from`.
    fn parts(&self, from: SimTime, to: SimTime) -> impl Iterator<Item = (SimDuration, i32)> {
        let ends = self.steps.iter().skip(1).map(|(at, _)| *at).chain([SimTime::NEVER]);
        let inside = move |((start, count), end): (&(SimTime, i32), SimTime)| {
            let touches = *start <= to.max(from) && end > from;
            touches.then(|| (to.min(end).saturating_since((*start).max(from)), *count))
        };
        self.steps.iter().zip(ends).filter_map(inside)
    }

    /// How long it is above `level` within `from..to`.
    pub fn time_above(&self, level: i32, from: SimTime, to: SimTime) -> SimDuration {
        let above = self.parts(from, to).filter(|(_, count)| *count > level);
        above.fold(SimDuration::ZERO, |sum, (time, _)| sum + time)
    }

    /// Whether it is above `level` somewhere in `from..=to`.
    pub fn is_above(&self, level: i32, from: SimTime, to: SimTime) -> bool {
        self.parts(from, to).any(|(_, count)| count > level)
    }

    /// Whether it is the same all through `from..=to`.
    pub fn is_constant(&self, from: SimTime, to: SimTime) -> bool {
        self.parts(from, to).count() == 1
    }

    /// When it rises, and to what, in order of time.
    pub fn rises(&self) -> Vec<(SimTime, i32)> {
        let pairs = self.steps.windows(2).filter(|pair| pair[1].1 > pair[0].1);
        pairs.map(|pair| pair[1]).collect()
    }

    /// Changes of direction after `from`: of the schedule that answers it where one is known, else its own.
    pub fn reversals(&self, from: SimTime) -> u64 {
        if let Some(schedule) = &self.schedule {
            return schedule.reversals(from);
        }
        let mut before = 0;
        let mut reversals = 0;
        for pair in self.steps.windows(2) {
            let sign = (pair[1].1 - pair[0].1).signum();
            reversals += u64::from(pair[1].0 >= from && before != 0 && sign != before);
            before = sign;
        }
        reversals
    }

    /// The shortcut of verdicts.md 1.4 for a run without an oracle: `ceil(offered work / threshold)`, the offered work smoothed
    /// over `window` unless its mean is known, between the policy's bounds. Where no trigger counts work, the need follows the
    /// offered requests, scaled to the run's mean of ready replicas.
    pub fn of_load(record: &RunRecord, window: SimDuration, ready_mean: f64) -> Self {
        let load = Load::of(record);
        let terms = terms(record);
        let smoothing = match &load {
            Load::Law(_) => "mean offered load".to_owned(),
            Load::Sent(_) => format!("requests sent, smoothed over {window}"),
        };
        if !terms.is_empty() {
            let named: Vec<String> = terms.iter().map(|(name, threshold, _)| format!("{name}'s {threshold}")).collect();
            let text = format!("estimated: {smoothing} / {}, rounded up", named.join(", "));
            let steps = |most| need_steps(record, &load, &terms, (window, most));
            return Need::new(text, steps(record.info.max_replicas)).unlimited(steps(i32::MAX));
        }
        let mean = load.mean(SimTime::ZERO + record.info.warmup, record.info.end);
        if mean <= 0.0 || ready_mean <= 0.0 {
            let least = record.info.min_replicas;
            return Need::new("none: no load was offered, or no replica was ready", [(SimTime::ZERO, least)]);
        }
        let text = format!(
            "estimated: {smoothing}, in proportion to the mean of {ready_mean:.2} ready replicas (no trigger counts work)"
        );
        let term = (String::new(), mean / ready_mean, Counted::Requests);
        let steps = need_steps(record, &load, &[term], (window, record.info.max_replicas));
        Need { is_independent: false, ..Need::new(text, steps) }
    }
}

/// What a fleet sustains, for [`Need::of_capacity`].
pub struct FleetCapacity<'a> {
    /// Replicas that sustain so many requests per second, before rounding up, and how many more one further request per second
    /// needs there.
    pub replicas: &'a dyn Fn(f64) -> (f64, f64),
    /// Fewest and most replicas.
    pub bounds: (i32, i32),
    /// How it came about, in words.
    pub provenance: String,
}

impl Need {
    /// The need by measured capacity: offered requests / what a replica sustains, smoothed over `window` unless the mean load
    /// is known, so that the chance in single arrivals is no change of demand.
    pub fn of_capacity(record: &RunRecord, window: SimDuration, capacity: &FleetCapacity<'_>) -> Self {
        let load = Load::of(record);
        let (least, most) = capacity.bounds;
        let steps = |most: i32| {
            let bounded = |need: f64| (need.max(0.0) as i32).clamp(least, most.max(least));
            let steps = match &load {
                Load::Law(steps) => {
                    let need = |step: &LoadStep| bounded(((capacity.replicas)(step.requests).0 - 1e-9).ceil());
                    steps.iter().map(|step| (step.from, need(step))).collect()
                }
                Load::Sent(rows) => smoothed(&load, rows, (window, record.info.end), capacity.replicas, &bounded),
            };
            with_start(steps, least)
        };
        Need::new(capacity.provenance.clone(), steps(most)).unlimited(steps(i32::MAX))
    }
}

/// Per trigger that divides a total of work per second among the replicas: its name, and its threshold as a part of what one
/// replica sustains when it sustains `rate` requests per second.
pub fn threshold_shares(record: &RunRecord, rate: f64) -> Vec<(String, f64)> {
    let averages =
        |name: &str| record.info.triggers.iter().any(|own| own.name == name && own.target_type == "AverageValue");
    let terms = terms(record).into_iter().filter(|(name, _, _)| averages(name));
    let share = |(name, threshold, what): (String, f64, Counted)| {
        let sustained = rate * Load::per_request(record, what);
        (sustained > 0.0).then(|| (name, threshold / sustained))
    };
    terms.filter_map(share).collect()
}

/// Per trigger that counts work per second: its name, its threshold and what it counts.
fn terms(record: &RunRecord) -> Vec<(String, f64, Counted)> {
    let triggers = record.info.triggers.iter().zip(&record.loop_info.queries);
    let counting = triggers.filter(|(own, query)| {
        query.counts != Counted::Nothing && own.threshold > 0.0 && own.target_type != "Utilization"
    });
    counting.map(|(own, query)| (own.name.clone(), own.threshold, query.counts)).collect()
}

fn need_steps(
    record: &RunRecord,
    load: &Load<'_>,
    terms: &[(String, f64, Counted)],
    (window, most): (SimDuration, i32),
) -> Vec<(SimTime, i32)> {
    let (least, most) = (record.info.min_replicas.max(0), most.max(0));
    let bounded = |need: f64| (need.max(0.0) as i32).clamp(least, most.max(least));
    let steps: Vec<(SimTime, i32)> = match load {
        Load::Law(steps) => {
            let need = |step: &LoadStep| {
                let each = terms.iter().map(|(_, threshold, what)| step.counted(*what) / threshold);
                // A mean that is a multiple of the threshold needs exactly so many.
                bounded((each.fold(0.0, f64::max) - 1e-9).ceil())
            };
            steps.iter().map(|step| (step.from, need(step))).collect()
        }
        Load::Sent(rows) => {
            let per_request: Vec<f64> =
                terms.iter().map(|(_, threshold, what)| Load::per_request(record, *what) / threshold).collect();
            let largest = per_request.iter().copied().fold(0.0, f64::max);
            smoothed(load, rows, (window, record.info.end), &|mean| (mean * largest, largest), &bounded)
        }
    };
    with_start(steps, least)
}

/// The need at each of `rows`, from the mean load of a window around it, in a run that ends at the given time; `replicas` as in
/// [`FleetCapacity`].
fn smoothed(
    load: &Load<'_>,
    rows: &[(SimTime, f64)],
    (window, end): (SimDuration, SimTime),
    replicas: &dyn Fn(f64) -> (f64, f64),
    bounded: &dyn Fn(f64) -> i32,
) -> Vec<(SimTime, i32)> {
    let half = SimDuration::from_ps(window.as_ps() / 2);
    let mut current = f64::NAN;
    let mut need = |at: SimTime| {
        let (from, to) = (earlier(at, half), at.saturating_add(half).min(end));
        let mean = load.mean(from, to);
        let (replicas, per_request) = replicas(mean);
        // One standard deviation of the count within the window: less is no change of the load.
        let doubt = per_request * (mean / to.saturating_since(from).as_secs_f64_exact().max(1.0)).sqrt();
        if !(current - 1.0 - doubt..=current + doubt).contains(&replicas) {
            current = (replicas - 1e-9).ceil();
        }
        bounded(current)
    };
    rows.iter().map(|(at, _)| (*at, need(*at))).collect()
}

/// With a step at the run's start.
fn with_start(mut steps: Vec<(SimTime, i32)>, least: i32) -> Vec<(SimTime, i32)> {
    steps.dedup_by_key(|(from, _)| *from);
    match steps.first_mut() {
        Some(first) => first.0 = SimTime::ZERO,
        None => steps.push((SimTime::ZERO, least)),
    }
    steps
}
