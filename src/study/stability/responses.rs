//! What triggers show on average at each held count of replicas: measured where no expectation is exact.

use crate::keda::TriggerKind;
use crate::record::{Counted, DecisionRecord, LoadStep, RunRecord};
use crate::scenario::ResolvedRun;
use crate::sim::{MeanResponse, SimulateError, loop_info, simulate};
use crate::study::stability::load::LoadScale;
use crate::study::stability::world::{LoopTimes, held, steady_traffic, undisturbed};
use crate::units::SimDuration;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Counts of replicas that are held one by one, at most.
const MOST_COUNTS: i32 = 20;
/// How long each count is watched after its warm-up, and at least.
const WATCHED: SimDuration = SimDuration::from_secs(3600);
const WATCHED_AT_LEAST: SimDuration = SimDuration::from_secs(300);
/// Requests of all held runs of a map together.
const REQUESTS: f64 = 3e6;
/// Where a trigger counts work the loop stays near load / threshold: so many counts to either side are held, and the rest takes
/// the nearest one's value.
const AROUND: i32 = 1;

/// What stands for a trigger in the loop without requests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    /// The query itself, over counters that grow at the expected rate.
    Exact,
    /// The expected requests per second.
    Requests,
    /// Its mean response, to be measured.
    Measured,
    /// As ever: it does not see requests.
    AsIs,
}

/// How the triggers of a policy are stood for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Responses {
    stands: Vec<Stand>,
    /// How long each held count is watched.
    watched: SimDuration,
    /// Names of the triggers whose mean response is measured.
    pub measured: Vec<String>,
}

impl Responses {
    /// For a map of `loads`.
    ///
    /// # Errors
    /// Why no loop without requests can stand for this policy.
    pub fn plan(run: &ResolvedRun, scale: &LoadScale, loads: &[f64]) -> Result<Self, String> {
        let Some(keda) = &run.keda else {
            return Err("the metrics are not KEDA's, and those of pods have no expectation".to_owned());
        };
        let triggers = &keda.scaled_object.triggers;
        let mut stands = Vec::new();
        for (trigger, query) in triggers.iter().zip(&loop_info(run).queries) {
            stands.push(match (&trigger.kind, query.counts) {
                (TriggerKind::Resource(_), _) => {
                    return Err(format!("{} is read from the pods, whose use has no expectation", trigger.metric_name));
                }
                (TriggerKind::Prometheus(_), Counted::Requests) => Stand::Requests,
                (TriggerKind::Prometheus(_), Counted::Nothing) => Stand::Measured,
                (TriggerKind::Prometheus(_), _) => Stand::Exact,
                _ => Stand::AsIs,
            });
        }
        let name = |(own, _): (&crate::keda::Trigger, &Stand)| own.metric_name.clone();
        let measured: Vec<String> =
            triggers.iter().zip(&stands).filter(|(_, stand)| **stand == Stand::Measured).map(name).collect();
        let (_, most) = run.replica_bounds();
        if !measured.is_empty() && most > MOST_COUNTS {
            return Err(format!(
                "{} has no exact expectation, and maxReplicas {most} is too many counts to hold one by one (at most \
                 {MOST_COUNTS})",
                measured.join(", ")
            ));
        }
        let mut own = Responses { stands, watched: WATCHED, measured };
        let held = |load: &f64| load * own.counts(run, scale.need(*load)).len() as f64;
        let per_second: f64 = loads.iter().map(held).sum();
        let affordable = SimDuration::from_secs_f64((REQUESTS / per_second.max(1e-9)).min(WATCHED.as_secs_f64()));
        own.watched = affordable.saturating_sub(own.warmup(run)).max(WATCHED_AT_LEAST);
        Ok(own)
    }

    /// The counts that are held at a load that needs `need`.
    fn counts(&self, run: &ResolvedRun, need: Option<i32>) -> Vec<i32> {
        let (least, most) = run.replica_bounds();
        let all = least.max(1)..=most.max(1);
        all.filter(|count| need.is_none_or(|need| (count - need).abs() <= AROUND)).collect()
    }

    fn warmup(&self, run: &ResolvedRun) -> SimDuration {
        // The pods of a held run are there from its start.
        LoopTimes::of(run).range + SimDuration::from_secs(120)
    }

    /// Whether every trigger shows its own expectation, whatever the load does.
    pub fn is_exact(&self) -> bool {
        self.stands.iter().all(|own| matches!(own, Stand::Exact | Stand::AsIs))
    }

    /// How long a held count is watched, when any is.
    pub fn watched(&self) -> Option<SimDuration> {
        (!self.measured.is_empty()).then_some(self.watched)
    }

    /// The responses of all triggers at `rate` requests per second, which need `need` replicas.
    ///
    /// # Errors
    /// A held run that could not be completed.
    pub fn at(
        &self,
        run: &ResolvedRun,
        rate: f64,
        load: LoadStep,
        need: Option<i32>,
    ) -> Result<Vec<Option<MeanResponse>>, SimulateError> {
        let held = if self.measured.is_empty() { Vec::new() } else { self.held_runs(run, rate, need)? };
        let info = loop_info(run);
        let one = |(index, stand): (usize, &Stand)| {
            let by_replicas: BTreeMap<usize, f64> = match stand {
                Stand::Exact | Stand::AsIs => return None,
                Stand::Requests => BTreeMap::from([(1, load.requests)]),
                Stand::Measured => held.iter().map(|(count, means)| (*count, means[index])).collect(),
            };
            Some(MeanResponse {
                by_replicas,
                seen_without_replicas: run.gateway.is_some(),
                window: info.queries[index].range,
                age: SimDuration::from_ps(info.scrape_interval.as_ps() / 2),
            })
        };
        Ok(self.stands.iter().enumerate().map(one).collect())
    }

    /// Per held count the mean of every trigger.
    fn held_runs(
        &self,
        run: &ResolvedRun,
        rate: f64,
        need: Option<i32>,
    ) -> Result<Vec<(usize, Vec<f64>)>, SimulateError> {
        let triggers = &run.keda.as_ref().expect("the plan has seen KEDA").scaled_object.triggers;
        let names: Vec<&str> = triggers.iter().map(|own| own.metric_name.as_str()).collect();
        let warmup = self.warmup(run);
        let one = |count: i32| {
            let mut own = held(&undisturbed(run, count, warmup, warmup + self.watched), count);
            own.traffic = steady_traffic(run, rate);
            let record = simulate(&own, false)?;
            let means = names.iter().map(|name| mean_of(&record, name, warmup)).collect();
            Ok((usize::try_from(count).unwrap_or(0), means))
        };
        let runs: Vec<Result<_, SimulateError>> = self.counts(run, need).into_par_iter().map(one).collect();
        runs.into_iter().collect()
    }
}

/// Mean of what the HPA was told of the metric `name` after the warm-up; 0 when it never was told anything.
fn mean_of(record: &RunRecord, name: &str, warmup: SimDuration) -> f64 {
    let syncs = record.decisions.iter().filter_map(DecisionRecord::sync);
    let measured = syncs.filter(|sync| sync.t.as_ps() >= warmup.as_ps());
    let values: Vec<f64> = measured
        .filter_map(|sync| sync.metrics.iter().find(|own| own.trigger == name)?.value)
        .filter(|value| value.is_finite())
        .collect();
    crate::analysis::mean(&values).unwrap_or(0.0)
}
