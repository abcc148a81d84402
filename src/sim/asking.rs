//! KEDA asks its triggers: requests that take time, and the second request after a failed one.
//!
//! Source: `GetMetricsAndActivityForScaler` (`pkg/scaling/cache/scalers_cache.go`): after an error the scaler is built anew
//! and asked once more at once, and only that answer counts. A query is evaluated as it arrives, at the whole second before,
//! on what is committed by then (a querier's isolation, tsdb/isolation.go `State`), however long the answer takes.

use crate::cluster::PodState;
use crate::keda::{Trigger, TriggerKind, TriggerValue, Unanswered, http_error, value_from_query};
use crate::scenario::KedaSettings;
use crate::series::{Labels, QueryValue};
use crate::sim::world::World;
use crate::units::SimTime;
use std::collections::BTreeSet;

/// A trigger's answer, or its request on the way.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    trigger: usize,
    /// When the request went out.
    pub(super) asked: SimTime,
    /// When its outcome is there.
    pub(super) due: SimTime,
    pub(super) outcome: Result<TriggerValue, String>,
    is_second: bool,
}

impl World<'_> {
    /// Asks a trigger now.
    pub(super) fn ask(&mut self, keda: &KedaSettings, trigger: usize) -> Asking {
        self.request(keda, trigger, false)
    }

    /// Takes the requests on by now; when the next outcome comes, if one is still missing.
    pub(super) fn advance(&mut self, keda: &KedaSettings, askings: &mut [Option<Asking>]) -> Option<SimTime> {
        for asking in askings.iter_mut().flatten() {
            // One that failed at once would fail at once again: that answer stands for both.
            let took_time = asking.asked < asking.due;
            if asking.due <= self.now && asking.outcome.is_err() && took_time && !asking.is_second {
                *asking = self.request(keda, asking.trigger, true);
            }
        }
        askings.iter().flatten().map(|asking| asking.due).filter(|due| *due > self.now).min()
    }

    fn request(&mut self, keda: &KedaSettings, index: usize, is_second: bool) -> Asking {
        let trigger = &keda.scaled_object.triggers[index];
        let asked = self.now;
        let at = |due: SimTime, outcome| Asking { trigger: index, asked, due, outcome, is_second };
        let TriggerKind::Prometheus(own) = &trigger.kind else {
            return at(asked, self.read_trigger(keda, index, trigger));
        };
        let seconds = self.unix_seconds();
        let unanswered = |why| Err(own.unanswered(seconds, why));
        if self.prometheus_is_down() {
            return at(asked, unanswered(Unanswered::Refused));
        }
        let (latency, timeout) = (self.query_latency(), own.timeout.unwrap_or(keda.http_timeout));
        let ends = asked.saturating_add(latency.min(timeout));
        if let Some(stop) = self.prometheus_stops_before(ends) {
            return at(stop, unanswered(Unanswered::Cut));
        }
        if latency >= timeout {
            return at(ends, unanswered(Unanswered::TimedOut));
        }
        at(ends, self.read_trigger(keda, index, trigger))
    }

    /// The clock of KEDA and of the rest, seconds since the Unix epoch, cut.
    fn unix_seconds(&self) -> i64 {
        let start = self.run.monitoring.server.epoch_ms.div_euclid(1000);
        start + i64::try_from(self.now.as_secs_floor()).expect("the clock ends after 213 days")
    }

    /// What the trigger at `index` shows in the loop without requests; `None` in every other world.
    fn mean_response(&mut self, index: usize) -> Option<f64> {
        self.fluid.as_ref()?;
        self.grow_expected();
        self.fluid.as_ref()?.value(index, self.now)
    }

    /// One trigger's answer now, before any fallback.
    fn read_trigger(&mut self, keda: &KedaSettings, index: usize, trigger: &Trigger) -> Result<TriggerValue, String> {
        let version = keda.version;
        match &trigger.kind {
            TriggerKind::Prometheus(own) => {
                if let Some(mean) = self.mean_response(index) {
                    let answer = QueryValue::Vector(vec![(Labels::default(), mean)]);
                    return value_from_query(own, version, Ok(&answer));
                }
                let query = match &self.monitoring.queries[index] {
                    Some(Ok(query)) => *query,
                    Some(Err(refused)) => {
                        return value_from_query(own, version, Err(&http_error(version, 400, refused)));
                    }
                    None => unreachable!("every Prometheus trigger has its query compiled"),
                };
                let answer = self.monitoring.server.query(query, self.now.floor_to_second(), self.now);
                self.control.null_answers[index] = answer.as_ref().is_ok_and(is_null);
                let text = answer.as_ref().err().map(|error| http_error(version, 422, &error.to_string()));
                value_from_query(own, version, answer.as_ref().map_err(|_| text.as_deref().unwrap_or_default()))
            }
            TriggerKind::Cron(own) => Ok(own.value_at(self.unix_seconds(), version)),
            TriggerKind::KubernetesWorkload(own) => {
                if let Some(given) = &own.given {
                    let count = given.value_at(self.now);
                    let count =
                        count.ok_or_else(|| format!("the signal for this count gives no value at {}", self.now));
                    return Ok(own.value_of(count?, version));
                }
                // The selector matches the target's pods: the scenario room refuses any other.
                let pods = self.deployment.pods.iter().filter(|pod| pod.state != PodState::Gone);
                let count = if own.group_by_node {
                    pods.filter_map(|pod| pod.node).collect::<BTreeSet<u32>>().len()
                } else {
                    pods.count()
                };
                Ok(own.value_of(count as f64, version))
            }
            // Only queries of Prometheus carry a time stamp of whole seconds.
            TriggerKind::Signal(own) => own.answer_at(self.now, version),
            TriggerKind::Resource(_) => Err("KEDA does not read it".to_owned()),
        }
    }
}

/// Whether KEDA can make no number of it: nothing, NaN or an infinity.
fn is_null(answer: &QueryValue) -> bool {
    match answer {
        QueryValue::Vector(elements) => elements.first().is_none_or(|(_, value)| !value.is_finite()),
        QueryValue::Matrix(_) => true,
        QueryValue::Scalar(_) | QueryValue::String(_) => false,
    }
}
